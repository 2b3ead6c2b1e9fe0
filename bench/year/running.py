"""Run the year and the planted errors on an embedded PostgreSQL, with the API and the jobs in this process.

Fails when a fen is unexplained or when a planted error reaches the bank's file.
"""

import asyncio
import contextlib
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from litestar import Litestar
from litestar.datastructures import State

import server.worker  # noqa: F401  importing registers every task
from bench.rows import NotProven, Row
from bench.year.books import MonthBooks
from bench.year.replay import Replay
from server.app import create_app
from server.cli.migrate import upgrade
from server.core import keys
from server.core.clock import today
from server.core.money import format_fen
from server.core.services import Services, open_services
from server.core.settings import Settings, load_settings
from server.demo.county import build_county
from server.demo.loading import load_demo_county
from server.devserver.embedded import EmbeddedPostgres
from tests.makers.cases import Office
from tests.makers.roster_errors import ERRORS, PlantedError
from tests.makers.roster_trial import Trial, try_error
from tests.makers.rosters import RosterOffice
from tests.phones import System

HOMES, MONTHS = 24_000, 12
FAULTS_SHOWN = 20


def measure(seconds: float, homes: int = HOMES, months: int = MONTHS) -> Iterator[Row]:
    """Yield the rows of the year and of the planted errors. Raise `NotProven` at the end when something is wrong."""
    del seconds  # measures a fixed year
    wrong: list[str] = []
    yield from measure_year(homes, months, wrong)
    yield from measure_errors(wrong)
    if wrong:
        raise NotProven(wrong)


@contextlib.contextmanager
def _running_postgres() -> Iterator[EmbeddedPostgres]:
    folder = Path(tempfile.mkdtemp(prefix="zoufang-bench-"))
    folder.chmod(0o755)
    try:
        with EmbeddedPostgres(folder / "postgres") as postgres:
            yield postgres
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _settings_of(url: str, secrets: dict[str, str]) -> Settings:
    """Nothing of a year goes to the photo store or to WeChat."""
    nowhere = dict.fromkeys(("ZOUFANG_S3_ENDPOINT", "ZOUFANG_WECHAT_BASE_URL"), "http://127.0.0.1:9")
    access = {"ZOUFANG_S3_ACCESS_KEY": "none", "ZOUFANG_S3_SECRET_KEY": "none"}
    return load_settings({**secrets, **nowhere, **access, "ZOUFANG_DATABASE_URL": url})


@contextlib.asynccontextmanager
async def _open_system(app: Litestar, settings: Settings) -> AsyncIterator[tuple[Services, System]]:
    async with open_services(settings) as services:
        app.state = State({"services": services})
        yield services, System(app, services)


@contextlib.contextmanager
def _without_log() -> Iterator[None]:
    """Keep the lines of thousands of requests from the screen."""
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stderr(nowhere):
        yield


def measure_year(homes: int, months: int, wrong: list[str]) -> Iterator[Row]:
    """Yield a row a month, the sums of the year, and the time of each step; add to `wrong` what nothing explains."""
    with _running_postgres() as postgres, asyncio.Runner() as runner:
        url = postgres.create_database("year")
        upgrade(url)
        settings = _settings_of(url, keys.generate_keys())
        running: list[Replay] = []
        replayed = _replay(create_app(settings), settings, homes, months, running)
        books: list[MonthBooks] = []
        while True:
            with _without_log():
                month = runner.run(_next_month(replayed))
            if month is None:
                break
            books.append(month)
            yield _describe_month(month)
        yield from _describe_year(running[0], books, homes, wrong)


async def _next_month(months: AsyncIterator[MonthBooks]) -> MonthBooks | None:
    return await anext(months, None)


async def _replay(
    app: Litestar, settings: Settings, homes: int, months: int, running: list[Replay]
) -> AsyncIterator[MonthBooks]:
    async with _open_system(app, settings) as (services, system):
        running.append(Replay(services, system, homes=homes, months=months))
        async for month in running[0].run():
            yield month


def _describe_month(month: MonthBooks) -> Row:
    return Row(
        f"{month.month:%Y-%m}: roster = file = lines = report = timelines, sent = paid + returned",
        f"{format_fen(month.unexplained_fen)} unexplained",
        f"sent {format_fen(month.sent_fen)}, paid {format_fen(month.paid_fen)}, returned and paid again"
        f" {format_fen(month.returned_fen)}; left out {format_fen(month.left_out_fen)}, overpaid"
        f" {format_fen(month.overpaid_fen)}",
    )


def _describe_year(replay: Replay, books: list[MonthBooks], homes: int, wrong: list[str]) -> Iterator[Row]:
    year, proof = replay.year, replay.proof
    assert year is not None
    assert proof is not None
    faults = [fault for month in books for fault in month.faults]
    faults += [(f"{fault.roster} {fault.what}: {fault.code}", fault.fen or 1) for fault in proof.faults]
    unexplained_fen = sum(fen for _, fen in faults)
    wrong += [f"{what}: {fen} fen" for what, fen in faults[:FAULTS_SHOWN]]
    took = sum(year.seconds.values())
    yield Row(
        f"{len(books)} months of a county of {homes:,} homes",
        f"{took:.0f} s",
        f"{proof.rosters} rosters with {proof.lines:,} lines, {format_fen(proof.paid_fen)} paid",
    )
    yield Row(
        "decisions, rosters, files, bank and report compared", f"{unexplained_fen} fen unexplained", target="0 fen"
    )
    for what, count in sorted(year.counts.items()):
        yield Row(f"of which {what}", f"{count:,}")
    for step, spent in sorted(year.seconds.items(), key=lambda entry: entry[1], reverse=True):
        yield Row(f"time: {step}", f"{spent:.0f} s", "", f"{spent / took:.0%} of the year")


def measure_errors(wrong: list[str]) -> Iterator[Row]:
    """Yield what stopped each planted error before the bank's file; add to `wrong` what passed."""
    with _running_postgres() as postgres, asyncio.Runner() as runner:
        upgrade(postgres.create_database("template"))
        secrets = keys.generate_keys()
        settings = _settings_of(postgres.create_database("demo", template="template"), secrets)
        county = build_county(today=today())
        with _without_log():
            runner.run(load_demo_county(settings, with_cases=False, on=county.today))
        app, stopped = create_app(settings), 0
        for place, error in enumerate(ERRORS):
            name = f"trial_{place}"
            on_trial = _settings_of(postgres.create_database(name, template="demo"), secrets)
            with _without_log():
                trial = runner.run(_try(app, on_trial, error))
            postgres.drop_database(name)
            is_stopped = error.stopped_by in trial.stopped_by and not trial.has_file
            stopped += is_stopped
            if not is_stopped:
                wrong.append(f"planted error passed: {error.zh}")
            yield _describe_error(error, trial, is_stopped=is_stopped)
        yield Row("planted errors stopped before the bank's file", f"{stopped} of {len(ERRORS)}", target="all")


async def _try(app: Litestar, settings: Settings, error: PlantedError) -> Trial:
    async with _open_system(app, settings) as (services, system):
        office = Office(system, services, build_county(today=today()))
        return await try_error(await RosterOffice(office, system, services).open(), error)


def _describe_error(error: PlantedError, trial: Trial, *, is_stopped: bool) -> Row:
    found = ", ".join(sorted(trial.found)) or "–"
    return Row(
        f"planted, {error.at}: {error.zh}",
        f"stopped by {error.stopped_by}" if is_stopped else "PASSED",
        f"refused with {trial.refused}; found {found}",
    )
