"""After a restore the store is newer than the database: what it holds is not asked for again."""

import asyncio
import io

import pytest
from click.testing import CliRunner
from sqlalchemy import select, update

from media.store import original_key
from server.__main__ import main
from server.core.database import open_session
from server.models.evidence import Evidence, Photo
from server.models.installation import Installation
from server.photos.adopt import adopt_announced
from server.photos.store_check import check_store
from tests.conftest import environment
from tests.phones import make_kit
from tests.photos.conftest import settings

__all__ = ["settings"]


@pytest.fixture
async def partner(system, county):
    due = next(assignment for assignment in county.assignments if assignment.kind == "intake")
    return await system.sign_in(due.partner_login, "caseworker")


@pytest.fixture
async def stored(services, phone, partner):
    """A visit whose photos the store holds and the database knows nothing of, as after a restore."""
    kit = await make_kit(phone, partner.id)
    for item in kit.evidence:
        content = kit.photos[item["id"]]
        await services.store.put(original_key(item["sha256"]), io.BytesIO(content), len(content), "image/jpeg")
    return kit


async def restore(services):
    async with open_session(services.sessions) as session:
        await session.execute(update(Installation).values(generation=Installation.generation + 1))


async def states(services) -> set[str]:
    async with services.sessions() as session:
        return set(await session.scalars(select(Evidence.state)))


async def push(phone, partner, kit):
    assert await phone.push("evidence", *kit.evidence) == []
    assert await phone.push("visits", kit.visit) == []
    assert await partner.push("attestations", kit.attestation) == []


async def test_a_phone_that_has_removed_its_bytes_sends_its_visit_after_a_restore_and_it_is_whole(
    system, services, phone, partner, stored
):
    await restore(services)
    await push(phone, partner, stored)
    await system.run_jobs()
    assert await states(services) == {"verified"}
    assert (await phone.pull("visits"))[stored.visit["id"]]["server"]["state"] == "under_review"
    assert {item["server"]["state"] for item in (await phone.pull("evidence")).values()} == {"verified"}
    assert (await check_store(services)).keys("orphaned") == []


async def test_a_database_that_was_never_restored_looks_for_nothing(system, services, phone, partner, stored):
    await push(phone, partner, stored)
    await system.run_jobs()
    assert await states(services) == {"announced"}


async def test_bytes_that_are_not_those_announced_are_not_adopted(services, phone, partner, stored):
    await push(phone, partner, stored)
    bad, short = stored.evidence[0]["sha256"], stored.evidence[1]["sha256"]
    for sha256, content in ((bad, b"x" * stored.evidence[0]["sizeBytes"]), (short, b"")):
        await services.store.put(original_key(sha256), io.BytesIO(content), len(content), "image/jpeg")
    report = await adopt_announced(services)
    assert (report.adopted, sorted(report.altered)) == (2, sorted([original_key(bad), original_key(short)]))
    async with services.sessions() as session:
        assert {bad, short}.isdisjoint(await session.scalars(select(Photo.sha256)))
    assert (await adopt_announced(services)).adopted == 0


async def test_the_command_adopts_what_the_restored_database_waits_for(
    system, services, settings, phone, partner, stored
):
    """Announced before the dump, so that no phone announces it again."""
    await push(phone, partner, stored)

    arguments = ["check-store", "--adopt"]
    result = await asyncio.to_thread(lambda: CliRunner().invoke(main, arguments, env=environment(settings)))
    assert result.exit_code == 0, result.output
    assert "adopted 4 photos" in result.output
    await system.run_jobs()
    assert await states(services) == {"verified"}
    assert (await check_store(services)).found == []
