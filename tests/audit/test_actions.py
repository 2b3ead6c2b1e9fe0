"""Every action of the audit log is declared once, used, and recorded by its declared name alone."""

import ast
import re

import pytest
from sqlalchemy import text

from server.audit.actions import Action
from server.audit.trail import actor_params, audit_cte
from server.core.clock import utc_now
from server.core.paths import ROOT

DECLARATION = ROOT / "server" / "audit" / "actions.py"
SOURCES = [
    path for room in ("server", "field_api") for path in sorted((ROOT / room).rglob("*.py")) if path != DECLARATION
]
TREES = {path: ast.parse(path.read_text()) for path in SOURCES}


def test_a_member_has_the_name_of_its_value():
    assert {action.name: action.value for action in Action} == {
        action.value.replace(".", "_").upper(): action.value for action in Action
    }


def test_every_action_is_used_and_every_used_action_is_declared():
    used = {
        node.attr
        for tree in TREES.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "Action"
    }
    assert used == {action.name for action in Action}


def test_every_entry_is_recorded_with_a_declared_action():
    """Neither `record` nor `audit_cte` is called with a string, and no SQL writes an action of its own."""
    calls = [
        (path, node)
        for path, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in {"audit_cte", "record"}
    ]
    places = {"audit_cte": 0, "record": 2}
    actions = [(path, node.args[places[ast.unparse(node.func).split(".")[-1]]]) for path, node in calls]
    assert len(actions) > 80
    values = {action.value for action in Action}
    spelled = [
        (path.name, node.lineno)
        for path, argument in actions
        for node in ast.walk(argument)
        if isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and node.value in values)
    ]
    assert spelled == []
    in_sql = [
        (path.name, node.lineno, quoted)
        for path, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        for quoted in re.findall(r"'([a-z_]+\.[a-z_]+)'", node.value)
        if quoted in values or "audit_entry" in node.value
    ]
    assert in_sql == []


@pytest.mark.parametrize(
    ("action", "select", "expected"),
    [
        (Action.VISIT_OPENED, "SELECT 'visit', '1', '33', '{\"a\": 1}'::jsonb", ["visit.opened"]),
        (
            {"draft": Action.VISIT_SAVED, "amended": Action.VISIT_AMENDED},
            """SELECT state, 'visit', n::text, '33', '{"a": 1}'::jsonb
            FROM (VALUES ('draft', 1), ('amended', 1)) AS rows(state, n)""",
            ["visit.amended", "visit.saved"],
        ),
    ],
)
async def test_a_statement_records_its_action_or_that_of_the_key(services, action, select, expected):
    statement = f"WITH {audit_cte(action, select)} SELECT 1"
    async with services.sessions() as session:
        connection = await session.connection()
        await connection.exec_driver_sql(statement, {"now": utc_now(), **actor_params(None)})
        rows = await session.execute(
            text(
                "SELECT action, actor_kind, thing_kind, thing_id, area_code, facts FROM audit_entry"
                " WHERE thing_id = '1' ORDER BY action"
            )
        )
        assert rows.all() == [(name, "system", "visit", "1", "33", {"a": 1}) for name in expected]


async def test_a_key_without_an_action_records_nothing(services):
    """The column takes no null: a state that nobody declared fails the whole statement."""
    select = "SELECT 'unheard', 'visit', '1', NULL, '{}'::jsonb"
    statement = f"WITH {audit_cte({'draft': Action.VISIT_SAVED}, select)} SELECT 1"
    async with services.sessions() as session:
        connection = await session.connection()
        with pytest.raises(Exception, match='null value in column "action"'):
            await connection.exec_driver_sql(statement, {"now": utc_now(), **actor_params(None)})
