"""The trail against someone who may do anything to the database: what they can't do is sign, or reach a kept head."""

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import select, text

from server import audit
from server.__main__ import main
from server.audit import seals
from server.audit.verify import check_audit, read_head
from server.core.clock import utc_now
from server.core.database import open_session
from server.core.job_types import LogAuditHead
from server.core.keys import generate_keys, read_ring
from server.core.tokens import StatementKind, StatementSigner
from server.models.audit import AuditEntry, AuditSeal
from server.worker import log_audit_head
from tests.conftest import environment


@pytest.fixture
async def trail(system, services):
    """A used system with three seals."""
    for login in ("linhexi", "zhoutonglan", "maohetang"):
        await system.sign_in_at_desk(login, "county_officer") if login == "maohetang" else await system.sign_in(
            login, "caseworker"
        )
        await seal_all(services)
    return await head_of(services)


async def seal_all(services, signer=None):
    async with open_session(services.sessions) as session:
        await audit.seal(session, signer or services.audit_signer)


async def head_of(services):
    async with services.sessions() as session:
        return (await audit.load_head(session)).signature


async def attack(services, *statements):
    """As the tables' owner, past the triggers."""
    async with open_session(services.sessions) as session:
        for table in ("audit_entry", "audit_seal"):
            await session.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER {table}_is_append_only"))
        for statement in statements:
            changed: Any = await session.execute(text(statement))
            assert changed.rowcount, statement


async def faults(services, settings, *, since=None, after=timedelta()):
    keys = services.audit_signer.public_keys()
    return (await check_audit(settings, keys, now=utc_now() + after, since=since)).faults


async def run(settings, *arguments):
    result = await asyncio.to_thread(CliRunner().invoke, main, list(arguments), env=environment(settings))
    return result.exit_code, result.output


async def test_a_trail_whose_last_seals_were_deleted_does_not_hold(services, settings, trail):
    assert await faults(services, settings, since=trail) == []
    await attack(services, "DELETE FROM audit_seal WHERE position > 1")
    [cut] = await faults(services, settings, since=trail)
    assert cut.startswith("cut off: seal 3 ")
    # Without a head that was kept: the entries wait for a seal.
    [waiting] = await faults(services, settings, after=timedelta(hours=2))
    assert "wait for a seal" in waiting
    # With their entries gone too, only a kept head shows it; a seal made later does not hide it.
    await attack(
        services,
        "DELETE FROM audit_entry WHERE id > (SELECT last_entry_id FROM audit_seal WHERE position = 1)",
        "INSERT INTO audit_entry (at, actor_kind, action, thing_kind, thing_id, facts)"
        " SELECT at, actor_kind, action, thing_kind, thing_id, facts FROM audit_entry LIMIT 1",
    )
    for _ in range(2):
        await seal_all(services)
    assert len(await faults(services, settings, since=trail)) == 1


async def test_a_trail_that_was_emptied_does_not_hold(services, settings, trail):
    await attack(
        services, "UPDATE audit_seal SET previous_id = NULL", "DELETE FROM audit_seal", "DELETE FROM audit_entry"
    )
    assert await faults(services, settings) == ["nothing is sealed, yet this system was used"]
    assert len(await faults(services, settings, since=trail)) == 2


async def test_a_trail_with_deleted_rows_and_a_recomputed_chain_does_not_hold(services, settings, trail):
    """Recomputed as the program does it, with every signature that a writer of the database could put there."""
    own = StatementSigner(read_ring("K", generate_keys()["ZOUFANG_AUDIT_KEYS"]))
    async with services.sessions() as session:
        old = list(await session.scalars(select(AuditSeal.signature).order_by(AuditSeal.position)))
    await attack(
        services,
        "UPDATE audit_seal SET previous_id = NULL",
        "DELETE FROM audit_seal",
        "DELETE FROM audit_entry WHERE id = (SELECT min(id) FROM audit_entry WHERE action = 'device.signed_in')",
    )
    await seal_all(services, own)
    assert await faults(services, settings) == ["altered: seal 1 does not hold"]
    for signature in old:
        await attack(services, f"UPDATE audit_seal SET signature = '{signature}'")
        assert await faults(services, settings) == ["altered: seal 1 does not hold"]
    # As seals were before they were signed.
    await attack(services, "UPDATE audit_seal SET signature = NULL, total = NULL")
    assert await faults(services, settings) == ["seal 1, the newest, is not signed"]
    assert len(await faults(services, settings, since=trail)) == 2


async def test_a_chain_recomputed_before_the_first_signed_seal_does_not_hold(services, settings, trail):
    """A signed seal holds what came before it, signed or not."""
    await attack(services, "UPDATE audit_seal SET signature = NULL, total = NULL WHERE position < 3")
    assert await faults(services, settings) == []
    await attack(
        services, "DELETE FROM audit_entry WHERE id = (SELECT min(id) FROM audit_entry)",
        "UPDATE audit_seal SET entries = entries - 1 WHERE position = 1",
    )  # fmt: skip
    async with open_session(services.sessions) as session:
        first = await session.scalar(select(AuditSeal).where(AuditSeal.position == 1))
        rows = seals.entries_after(None).limit(first.entries)
        hashed = seals._chain(seals.GENESIS, list(await session.scalars(rows)), first.form)
    await attack(services, f"UPDATE audit_seal SET hash = '{hashed}' WHERE position = 1")
    assert await faults(services, settings) == ["altered: seal 2 does not hold"]


async def test_a_head_that_was_not_signed_here_is_refused(services, settings, trail):
    for wrong in ("", "nothing", services.receipts.sign(StatementKind.RECEIPT, {"position": 1}), trail[:-4] + "AAAA"):
        [fault] = await faults(services, settings, since=wrong)
        assert "not signed with these keys" in fault


async def test_the_head_is_published_and_kept_in_every_form(system, services, settings, trail, tmp_path, capsys):
    published = (await system.client().get("/.well-known/zoufang-audit-head.json")).json()
    keys = (await system.client().get("/.well-known/zoufang-audit-keys.json")).json()
    async with services.sessions() as session:
        assert published["entries"] == len(list(await session.scalars(select(AuditEntry.id))))
    assert (published["head"], published["position"]) == (trail, 3)
    assert "d" not in keys["keys"][0]
    await log_audit_head(services, LogAuditHead())
    line = next(line for line in capsys.readouterr().err.splitlines() if "audit.head" in line)
    for kept in (json.dumps(published), line, trail + "\n", f"2026 3 9 {trail}\n"):
        assert read_head(kept) == trail


async def test_the_commands_print_and_check_a_head(services, settings, trail, tmp_path):
    """A head in a file, on the command line, and of a trail that was cut."""
    code, line = await run(settings, "audit-head")
    assert (code, line.split()[-1]) == (0, trail)
    (tmp_path / "head").write_text(line)
    (tmp_path / "keys").write_text(json.dumps(services.audit_signer.public_keys()))
    for since in (trail, str(tmp_path / "head")):
        code, output = await run(settings, "verify-audit", "--since", since, "--keys", str(tmp_path / "keys"))
        assert (code, "The audit trail holds: 3 seals" in output) == (0, True), output


async def test_an_empty_trail_holds_only_where_nothing_was_ever_done(postgres, settings):
    import msgspec

    from server.cli.migrate import upgrade

    url = postgres.create_database("never_used")
    await asyncio.to_thread(upgrade, url)
    fresh = msgspec.structs.replace(settings, database_url=url)
    assert (await run(fresh, "verify-audit"))[0] == 0
    assert (await run(fresh, "audit-head"))[0] == 1
    assert (await run(settings, "verify-audit"))[0] == 1
    postgres.drop_database("never_used")
