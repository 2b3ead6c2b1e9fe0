"""One clock: nothing compares PostgreSQL's time with ours, and no test is written for the calendar of one year.

That only server/core/clock.py reads the machine's clock is ruff's to hold (`banned-api` in pyproject.toml).
"""

import ast
import importlib
import os
import pkgutil
import re
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import DefaultClause, func

import field_api
import server
import server.models
from server.core.clock import CHINA, utc_now
from server.core.database import Base
from tests.moved_clock import VARIABLE

ROOT = Path(__file__).resolve().parent.parent
POSTGRESQLS = re.compile(
    r"\bnow\(\)|\b(clock|statement|transaction)_timestamp\b|\b(current|local)_?(date|time|timestamp)\b", re.IGNORECASE
)
# Statements that ask PostgreSQL for the time, by file: how many, and why nothing compares it with our own.
THEIR_TIME = {
    "server/models/columns.py": (1, "the default of the migrations; every row from here brings its own time"),
    "server/http/clock_skew.py": (1, "compares the two clocks on purpose"),
    "server/audit/horizon.py": (1, "the age of transactions, whose start it wrote"),
    "server/worker.py": (1, "procrastinate writes its workers' heartbeats by it"),
    "server/cli/first_hour.py": (1, "compared on purpose: how far the two clocks are apart"),
    "bench/system.py": (1, "procrastinate compares by it when a job is due"),
    "bench/idle.py": (2, "rows that fill tables, whose times nothing reads"),
    "bench/raises.py": (1, "rows that fill tables, whose times nothing reads"),
    "bench/sync.py": (3, "rows that fill tables, whose times nothing reads"),
    "server/cli/selfcheck.py": (2, "compares the two clocks, and heartbeats with the clock that wrote them"),
}


def sources(*folders):
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield path.relative_to(ROOT).as_posix(), path.read_text()


def statements(source):
    """Texts that are no docstrings, and calls of `func`."""
    tree = ast.parse(source)
    result = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in result:
            yield node.value
        if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("func."):
            yield ast.unparse(node)


def test_postgresqls_time_is_asked_for_only_where_nothing_compares_it_with_ours():
    found = Counter()
    for name, source in sources("server", "field_api", "media", "bench"):
        found[name] += sum(len(POSTGRESQLS.findall(statement)) for statement in statements(source))
    assert {name: count for name, count in found.items() if count} == {
        name: count for name, (count, _) in THEIR_TIME.items()
    }


def written_by_default():
    """The columns of each table that PostgreSQL would fill with its own time."""
    return {
        table.name: {
            column.name
            for column in table.columns
            if isinstance(column.server_default, DefaultClause) and "now()" in str(column.server_default.arg)
        }
        for table in Base.metadata.tables.values()
    }


def statements_of_modules():
    for package in (server, field_api):
        for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not info.name.endswith("__main__"):
                module = importlib.import_module(info.name)
                yield from (var for var in vars(module).values() if isinstance(var, str))
    for _, source in sources("server", "field_api"):
        yield from statements(source)


def test_a_row_written_by_a_statement_of_ours_brings_its_own_time():
    assert str(func.now()) == "now()"
    columns = written_by_default()
    assert columns["audit_entry"] == {"at"}
    seen = set()
    for statement in statements_of_modules():
        for table, names in re.findall(r"INSERT INTO (\w+)\s*\(([^){]+)\)", statement):
            missing = columns.get(table, set()) - {part.strip() for part in names.split(",")}
            assert not missing, (table, missing, statement)
            seen.add(table)
    assert {"audit_entry", "photo", "evidence", "visit", "installation"} <= seen


def test_sqlalchemy_fills_what_postgresql_would():
    for table in Base.metadata.tables.values():
        for name in written_by_default()[table.name]:
            assert table.columns[name].default is not None, (table.name, name)


# A date of these years in a test is read as one of "about now", which in a year it is no more: tests count their days
# from the clock (tests/days.py), and what lies in the past whatever the clock says stands in 2025 or before.
DATED = re.compile(
    r"""\b(?:date|datetime)\(\s*20(?:2[6-9]|3\d)\b | ["'`\s/=]20(?:2[6-9]|3\d)-(?:0\d|1[0-2])(?:\b|T)
    | ["']20(?:2[6-9]|3\d)(?:0\d|1[0-2])[0-3]\d["'] | 20(?:2[6-9]|3\d)(?:年|/(?:0\d|1[0-2]))""",
    re.VERBOSE,
)
GIVEN = {
    "tests/core/test_jobs.py": "what a former version wrote into the queue",
    "tests/sync/exchanges.py": "times that stand for those of a real run in the field contract",
    "tests/core/test_paging.py": "rows of given days",
    "tests/benefits/test_amounts.py": "amounts of given months, which ask no clock",
    "tests/benefits/test_effective_amounts.py": "amounts of given months, which ask no clock",
    "tests/rosters/test_parts.py": "parts of given months, which ask no clock",
    "tests/checklists/test_checklist_answers.py": "answers judged on a given day",
    "tests/checklists/test_checklist_shipped.py": "a family on a given day",
    "tests/core/test_id_numbers.py": "numbers judged on a given day",
    "tests/core/test_location.py": "fixes at given times",
    "tests/core/test_wechat.py": "WeChat's formats, and a clock of its own",
    "tests/core/test_working_days.py": "the decreed holidays of a year",
    "tests/media/test_media_photo.py": "what cameras wrote into photos",
    "tests/media/test_media_watermark.py": "lines drawn on a photo",
    "tests/other_dates.py": "the dates at which the suite is run",
    "tests/moved_clock.py": "how the clock is moved, by example",
    "tests/spotchecks/test_draw.py": "income of given periods, and a published draw",
    "tests/sweep.py": "values sent to every route, good and bad",
    "tests/test_clock.py": "this table",
    "tests/demo/test_county.py": "counties built on given days",
    "tests/demo/test_pictures.py": "a picture of a given time",
    "tests/test_whole_path.py": "which of two dated rules holds on a given day",
}


def test_no_test_is_written_for_the_calendar_of_one_year():
    dated = {name: [found.group().strip() for found in DATED.finditer(source)] for name, source in sources("tests")}
    assert {name: found for name, found in dated.items() if found and name not in GIVEN} == {}
    assert {name for name in GIVEN if not dated.get(name)} - {"tests/test_clock.py"} == set()


@pytest.mark.parametrize(
    "line",
    [
        "date(2026, 11, 30)",
        "datetime(2027, 1, 1)",
        '"2026-12-01"',
        '"2026-12"',
        'fill("20261231")',
        '"2026年11月"',
        "'2028-02-29T04:00'",
    ],
)
def test_such_a_date_is_seen(line):
    assert DATED.search(line)


@pytest.mark.parametrize("line", ["date(2025, 11, 30)", '"2020-01-01"', '"6200001234567890"', "date(2099, 1, 1)"])
def test_other_numbers_are_none(line):
    assert not DATED.search(line)


def test_the_clock_of_a_run_is_the_one_it_was_given(today):
    if VARIABLE in os.environ:
        begun = datetime.fromisoformat(os.environ[VARIABLE])
        assert begun < utc_now() < begun + timedelta(hours=6)
    assert today in {utc_now().astimezone(CHINA).date(), (utc_now() - timedelta(minutes=1)).astimezone(CHINA).date()}
