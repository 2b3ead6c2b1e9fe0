"""The desk has a word for every code that the server may say: none of them is shown as it is, or as “other”."""

import ast
import re
from collections.abc import Iterator
from typing import get_args

import pytest

from server.audit.actions import Action
from server.cases.notices import NoticeKind
from server.cases.workflow import ACTIONS, TRANSITIONS
from server.core import job_types, jobs
from server.core.access import Role
from server.core.paths import ROOT
from server.http.reads import READS
from server.models.cases import CASE_STATES
from server.models.households import VISIT_KINDS
from server.models.notifications import NOTICE_KINDS
from server.models.visits import VISIT_STATES
from server.review.checks.registry import CHECKS

LABELS = (ROOT / "web" / "desk" / "labels.ts").read_text()


def table(name: str) -> set[str]:
    body = re.search(rf"export const {name}: Labels = {{(.*?)}};", LABELS, re.DOTALL)
    assert body is not None, name
    return set(re.findall(r"'?([\w.-]+)'?\]?: \[", body[1]))


@pytest.mark.parametrize(
    ("name", "codes"),
    [
        ("CASE_EVENTS", set(TRANSITIONS)),
        ("CASE_STEPS", set(ACTIONS)),
        ("CASE_STATES", set(CASE_STATES)),
        ("FINDINGS", {check.code for check in CHECKS}),
        (
            "FAILED_TASKS",
            {declared.task_name for declared in jobs.Job.__subclasses__() if declared.__module__ == job_types.__name__},
        ),
        ("NOTICE_KINDS", set(NOTICE_KINDS)),
        ("VISIT_KINDS", set(VISIT_KINDS)),
        ("VISIT_STATES", set(VISIT_STATES)),
        ("ROLES", {item.value for item in Role}),
    ],
)
def test_every_code_has_a_word(name, codes):
    assert codes - table(name) == set()


def test_every_act_that_the_trail_keeps_has_a_word():
    things = {name for call in calls("audit.record") for name in said(call.args[3])}
    assert len(things) > 20
    assert {action.value for action in Action} - table("AUDIT_ACTIONS") == set()
    assert things - table("AUDIT_SUBJECTS") == set()


def test_everything_that_can_be_looked_at_has_a_word(app):
    handlers = [handler for route in app.routes for handler in getattr(route, "route_handlers", [])]
    shown = {declared.thing_kind for handler in handlers if (declared := handler.opt.get(READS))}
    assert len(shown) > 20
    assert shown - table("READ_THINGS") == set()


def test_every_code_that_the_trail_keeps_as_a_fact_has_a_word():
    """Why a sign-in ended, which sheet was printed: what a program calls it is nothing to read."""
    existing = set(
        re.findall(r"'?([\w.-]+)'?\]?: \[", (ROOT / "web" / "desk" / "audit" / "auditFacts.ts").read_text() + LABELS)
    )
    result = set()
    for call in calls("audit.record", "devices.end_device"):
        places = [keyword.value for keyword in call.keywords if keyword.arg != "area_code"]
        for place in places + (call.args[4:] if ast.unparse(call.func) == "devices.end_device" else []):
            result |= said(place)
    result = {item for item in result if re.fullmatch(r"[a-z_]+", item)}
    assert len(result) >= 3
    assert result - existing == set()
    assert set(get_args(NoticeKind)) - existing == set()
    called = {
        keyword.arg
        for call in calls("audit.record")
        for keyword in call.keywords
        if keyword.arg not in {None, "area_code"}
    }
    assert len(called) > 20
    assert called - existing == set()


def calls(*names: str) -> Iterator[ast.Call]:
    for room in ("server", "field_api"):
        for path in (ROOT / room).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and ast.unparse(node.func) in names:
                    yield node


def said(node: ast.expr) -> set[str]:
    if isinstance(node, ast.JoinedStr):
        return set()
    return {item.value for item in ast.walk(node) if isinstance(item, ast.Constant) and isinstance(item.value, str)}
