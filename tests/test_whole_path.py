"""Promises about the whole: layers of truth that no single feature owns."""

import io
import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from alembic import command
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError

from server import audit
from server.__main__ import SECTIONS, main
from server.app import create_app
from server.audit import seals
from server.audit.verify import check_audit
from server.cli.migrate import alembic_config, upgrade
from server.core.clock import utc_now
from server.core.database import open_session
from server.core.errors import CATALOGUE, Problem, preferred_language, problem_body
from server.core.log import set_up_logging
from server.core.paths import OPENAPI, ROOT
from server.core.services import build_audit_signer
from server.core.settings import REQUIRED, SECRETS, Settings, SettingsError, load_settings, settings_table
from server.core.tokens import StatementKind, verify_receipt
from server.models import Base
from server.models.audit import AuditEntry, AuditSeal
from server.openapi.document import write_openapi
from server.policy.resolver import load_policy_values
from server.review.checks.registry import CHECKS

README = ROOT / "README.md"
OPEN_TO_ALL = {
    "end_web_session",
    "set_password",
    "sign_in_staff",
    "sign_in_staff_with_wechat",
    "sign_in_resident",
    "begin_wechat_sign_in",
    "finish_wechat_sign_in",
    "request_sign_in_code",
    "sign_in_without_wechat",
    "refresh_tokens",
    "is_alive",
    "is_ready",
    "get_receipt_keys",
    "get_audit_keys",
    "get_audit_head",
    "describe_tus",
    "begin_qr_sign_in",
    "finish_qr_sign_in",
    "prove_push_address",
    "take_wechat_event",
}


# --- the database ---


def test_migrations_from_empty_give_the_models(postgres):
    url = postgres.create_database("from_empty")
    upgrade(url)
    command.check(alembic_config(url))
    upgrade(url)
    postgres.drop_database("from_empty")


def test_every_constraint_has_a_name_that_says_the_rule():
    unnamed = [
        f"{table.name}: {constraint}"
        for table in Base.metadata.tables.values()
        for constraint in table.constraints
        if constraint.name is None
    ]
    assert unnamed == []


async def test_audit_rows_cannot_be_changed_or_removed(services, phone):
    async with open_session(services.sessions) as session:
        assert await audit.seal(session, services.audit_signer)
    for statement in (
        "UPDATE audit_entry SET action = 'x'",
        "DELETE FROM audit_entry",
        "TRUNCATE audit_entry",
        "UPDATE audit_seal SET hash = repeat('0', 64)",
        "DELETE FROM audit_seal",
        "TRUNCATE audit_seal",
    ):
        async with services.sessions() as session:
            with pytest.raises(DBAPIError, match="written once"):
                await session.execute(text(statement))


async def check(settings):
    return await check_audit(settings, build_audit_signer(settings).public_keys(), now=utc_now())


ALTERED = [
    *(
        f"UPDATE audit_entry SET {change} WHERE id = (SELECT min(id) FROM audit_entry WHERE action = 'device.signed_in')"
        for change in (
            "at = at + interval '1 microsecond'",
            "actor_kind = 'system'",
            "actor_id = gen_random_uuid()",
            "actor_id = NULL",
            "device_id = NULL",
            "request_id = 'another'",
            "action = 'nothing.happened'",
            "thing_kind = 'another'",
            "thing_id = 'another'",
            "area_code = '339901'",
            """facts = '{"more": 1}'""",
            "xid = '1', id = DEFAULT",
        )
    ),
    "DELETE FROM audit_entry WHERE id = (SELECT min(id) FROM audit_entry)",
    "DELETE FROM audit_entry WHERE id = (SELECT max(id) FROM audit_entry)",
    (
        "INSERT INTO audit_entry (actor_kind, action, thing_kind, thing_id, facts, xid)"
        " SELECT actor_kind, action, thing_kind, thing_id, facts, xid FROM audit_entry ORDER BY id LIMIT 1"
    ),
    "DELETE FROM audit_seal WHERE position = 1",
    "UPDATE audit_seal SET hash = repeat('0', 64) WHERE position = 1",
    "UPDATE audit_seal SET entries = entries - 1 WHERE position = 1",
    "UPDATE audit_seal SET form = 1",
]


async def test_the_audit_chain_holds_and_breaks_wherever_it_is_altered(system, services, settings, phone):
    """By someone who may do anything to the tables, and undone again, one alteration after the other."""
    for login in ("linhexi", "zhoutonglan"):
        async with open_session(services.sessions) as session:
            assert await audit.seal(session, services.audit_signer) >= 1
        await system.sign_in(login, "caseworker")
    async with open_session(services.sessions) as session:
        assert await audit.seal(session, services.audit_signer) >= 1
        entries = await session.scalar(select(func.count()).select_from(AuditEntry))
    assert await check(settings) == (3, entries, [])
    for statement in ALTERED:
        async with services.sessions() as session:
            for table in ("audit_entry", "audit_seal"):
                await session.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER {table}_is_append_only"))
            await session.execute(text("ALTER TABLE audit_seal DROP CONSTRAINT fk_audit_seal_previous_id_audit_seal"))
            changed = await session.execute(text(statement))
            assert changed.rowcount, statement
            assert await audit.broken_seal(session, services.audit_signer.public_keys()) is not None, statement
            await session.rollback()
    assert await check(settings) == (3, entries, [])


async def test_seals_from_before_requests_were_sealed_still_hold(services, settings, phone):
    async with open_session(services.sessions) as session:
        entries = list(await session.scalars(select(AuditEntry).order_by(AuditEntry.xid, AuditEntry.id)))
        session.add(
            AuditSeal(
                position=1,
                last_xid=entries[-1].xid,
                last_entry_id=entries[-1].id,
                entries=len(entries),
                form=1,
                hash=seals._chain(seals.GENESIS, entries, 1),
            )
        )
    assert await check(settings) == (1, len(entries), ["seal 1, the newest, is not signed"])
    # A signed seal behind it holds it.
    async with open_session(services.sessions) as session:
        assert await audit.seal(session, services.audit_signer) == 0
    assert await check(settings) == (2, len(entries), [])


async def test_the_nearest_area_and_the_latest_date_decide_a_rule(services):
    from datetime import date

    from server.models.areas import PolicySetting

    async with services.sessions() as session:
        for area, since, value in (("3399", date(2026, 1, 1), 300), ("339901", date(2026, 6, 1), 80)):
            session.add(
                PolicySetting(
                    key="visit.home_radius_m", area_code=area, effective_from=since, value=value, source="test"
                )
            )
        await session.flush()

        async def radius(area, on):
            return (await load_policy_values(session, area, on, ["visit.home_radius_m"]))["visit.home_radius_m"]

        assert await radius("339901001001", date(2026, 7, 1)) == 80
        assert await radius("339901001001", date(2026, 3, 1)) == 300
        assert await radius("110101001001", date(2026, 7, 1)) == 150


def test_every_rule_of_review_reads_numbers_that_the_migration_wrote():
    sources = "".join(path.read_text() for path in (ROOT / "server" / "review").rglob("*.py"))
    migrations = "".join(path.read_text() for path in (ROOT / "migrations" / "versions").glob("*.py"))
    expected = set(re.findall(r'context\.setting\("([^"]+)"\)', sources))
    assert expected
    assert [key for key in expected if f'"{key}"' not in migrations] == []
    assert len({rule.code for rule in CHECKS}) == len(CHECKS)


# --- the wire ---


def test_the_committed_openapi_is_what_the_routes_give():
    assert write_openapi(check=True), "run `make openapi`"


def _handlers():
    for route in create_app(Settings()).routes:
        for handler in getattr(route, "route_handlers", []):
            if (
                route.path.startswith(("/auth", "/field", "/desk/v", "/resident", "/uploads"))
                and handler.handler_name != "options_handler"
            ):
                yield route.path, handler


def test_every_route_asks_who_is_calling_unless_it_is_listed_as_open():
    seen = 0
    for path, handler in _handlers():
        seen += 1
        asks = {"caller", "field_staff", "officer", "uploader", "resident_caller"} & set(
            handler.parsed_fn_signature.parameters
        )
        assert asks or handler.handler_name in OPEN_TO_ALL, f"{path} serves anyone"
    assert seen > 15


def test_error_answers_have_one_shape_in_openapi():
    schema = msgspec.json.decode(OPENAPI.read_bytes())
    seen = 0
    for path, item in schema["paths"].items():
        for operation in item.values():
            for status, answer in operation.get("responses", {}).items():
                if status >= "400" and path != "/health/ready":
                    shared = schema["components"]["responses"].get(answer.get("$ref", "").rpartition("/")[2])
                    content = (shared or answer)["content"]
                    assert list(content) == ["application/problem+json"], (path, status)
                    assert content["application/problem+json"]["schema"] == {"$ref": "#/components/schemas/ProblemBody"}
                    seen += 1
    assert seen > 50


@pytest.mark.parametrize("code", sorted(CATALOGUE))
def test_each_code_speaks_both_languages(code):
    for language in ("zh", "en"):
        body = problem_body(Problem(code), language)
        assert body.title
        assert "{" not in body.detail
    assert re.search("[一-鿿]", CATALOGUE[code].zh)
    assert not re.search("[一-鿿]", CATALOGUE[code].en + CATALOGUE[code].en_detail)


def test_every_code_raised_stands_in_the_catalogue():
    raised = {
        code
        for room in ("server", "field_api", "media")
        for file in (ROOT / room).rglob("*.py")
        for code in re.findall(r'(?:Problem|problems)\(\s*"([a-z_]+\.[a-z_]+)"', file.read_text())
    }
    assert raised - set(CATALOGUE) == set()


@pytest.mark.parametrize(
    ("header", "language"),
    [
        (None, "zh"),
        ("", "zh"),
        ("en", "en"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("en;q=0.8,zh;q=0.7", "en"),
        ("fr", "zh"),
        ("en;q=x", "zh"),
    ],
)
def test_chinese_comes_first_unless_english_is_preferred(header, language):
    assert preferred_language(header) == language


async def test_an_unknown_address_and_method_have_the_one_shape(system):
    for method, path, code in (
        ("GET", "/nothing", "request.not_found"),
        ("PUT", "/health/live", "request.method_not_allowed"),
    ):
        answer = await system.client().request(method, path)
        assert answer.json()["code"] == code
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["x-request-id"] == answer.json()["requestId"]


async def test_a_fault_of_ours_says_nothing_of_itself(system, services, monkeypatch):
    monkeypatch.setattr("server.identity.sign_in.check_password", lambda *_: 1 / 0)
    body = {"login": "x", "password": "secret-word", "device": {"label": "x"}}
    answer = await system.client().post("/auth/v1/staff/sign-in", json=body)
    assert (answer.status_code, answer.json()["code"]) == (500, "server.error")
    assert "ZeroDivision" not in answer.text
    assert answer.json()["requestId"] in answer.json()["detail"]


async def test_a_log_of_a_fault_says_where_it_was_and_nothing_that_was_typed(system, services, monkeypatch):
    monkeypatch.setattr("server.identity.sign_in.check_password", lambda *_: int("11010519491231002X"))
    body = {"login": "x", "password": "y", "device": {"label": "x"}}
    with monkeypatch.context() as patch:
        patch.setattr("sys.stderr", io.StringIO())
        set_up_logging("json")
        assert (await system.client().post("/auth/v1/staff/sign-in", json=body)).status_code == 500
        logged = sys.stderr.getvalue()
    set_up_logging("json")
    assert "ValueError" in logged
    assert "sign_in.py" in logged
    assert "11010519491231002X" not in logged


# --- health ---


async def test_ready_says_what_is_missing(system, services):
    ready = await system.client().get("/health/ready")
    assert (ready.status_code, set(ready.json().values())) == (200, {"ok"})
    async with services.sessions() as session:
        await session.execute(text("UPDATE alembic_version SET version_num = '0000'"))
        await session.commit()
    behind = await system.client().get("/health/ready")
    assert behind.status_code == 503
    assert behind.json()["migrations"].startswith("at 0000")


async def test_metrics_are_served_by_route_pattern(system, phone):
    await phone.pull("visits")
    result = (await system.client().get("/metrics")).text
    assert "/field/v1/sync/visits/{schema_version}/pull" in result


async def test_a_receipt_is_checked_offline_with_the_published_keys(system, services):
    keys = (await system.client().get("/.well-known/zoufang-receipt-keys.json")).json()
    receipt = services.receipts.sign(StatementKind.RECEIPT, {"visitId": "one", "sha256": "0" * 64})
    assert verify_receipt(receipt, keys)["visitId"] == "one"
    assert "d" not in keys["keys"][0]


# --- settings and documents ---


def test_a_missing_setting_is_named_in_one_line():
    with pytest.raises(SettingsError) as error:
        load_settings({})
    assert all(f"ZOUFANG_{name.upper()}" in str(error.value) for name in REQUIRED)
    assert "\n" not in str(error.value)


def test_a_mistyped_setting_is_refused_by_name():
    with pytest.raises(SettingsError, match="ZOUFANG_DATABSE_URL is no setting"):
        load_settings({"ZOUFANG_DATABSE_URL": "x"}, complete=False)
    with pytest.raises(SettingsError, match="ZOUFANG_PORT can't be read"):
        load_settings({"ZOUFANG_PORT": "many"}, complete=False)


def test_a_secret_may_come_from_a_file_and_never_shows(tmp_path: Path):
    (tmp_path / "secret").write_text("hush\n")
    settings = load_settings({"ZOUFANG_WECHAT_SECRET_FILE": str(tmp_path / "secret")}, complete=False)
    assert settings.wechat_secret == "hush"
    assert "hush" not in repr(settings)
    assert set(Settings.__struct_fields__) >= SECRETS


def test_readme_has_the_table_of_settings():
    assert settings_table() in README.read_text(), "run `python -m server settings-table` and put it into README.md"


def test_readme_names_every_command():
    text_ = README.read_text()
    missing = [name for name in main.commands if f"`{name}" not in text_ and f"server {name}" not in text_]
    assert missing == []


def test_help_reads_like_a_product():
    completed = subprocess.run(
        [sys.executable, "-m", "server", "--help"], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert "走访 zoufang" in completed.stdout
    assert "..." not in completed.stdout.partition("Options:")[2], "a line was cut"
    assert set(main.commands) == {command.name for commands in SECTIONS.values() for command in commands}
