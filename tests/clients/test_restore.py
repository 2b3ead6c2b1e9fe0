"""The database comes back from a dump, in another cluster: phones start over, and what the dump lacks comes again."""

import asyncio
import os
import subprocess

import msgspec
from sqlalchemy import select, text

from server import audit
from server.app import create_app
from server.audit.verify import check_audit
from server.cli.migrate import upgrade
from server.core.clock import utc_now
from server.core.ids import new_id
from server.core.services import open_services
from server.devserver.embedded import EmbeddedPostgres, find_postgres_binaries
from server.models.visits import Visit
from tests.clients.test_rxdb import alive
from tests.phones import Phone, System, make_kit


def dump(url):
    return run("pg_dump", "--no-owner", url.replace("+psycopg", "")).stdout


def restore(url, script):
    run("psql", "-q", "-v", "ON_ERROR_STOP=1", "-d", url.replace("+psycopg", ""), stdin=script)


def run(program, *words, stdin=None):
    environ = os.environ | {"PGCLIENTENCODING": "UTF8"}
    command = [str(find_postgres_binaries() / program), *words]
    done = subprocess.run(command, input=stdin, capture_output=True, env=environ, check=False, timeout=60)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    return done


async def test_after_a_restore_the_phone_starts_over_and_sends_again_what_the_dump_lacks(
    phones, live, phone, system, county, services, settings, folder
):
    due = next(assignment for assignment in county.assignments if assignment.kind == "intake")
    partner = await system.sign_in(due.partner_login, "caseworker")
    before = await make_kit(phone, partner.id, photos=[])
    after = before.visit | {"id": str(new_id()), "modeReason": "later"}
    a = await phones.phone("a", live.url, phone.signed_in["accessToken"])
    await a.insert("visits", before.visit)
    await a.sync()
    async with services.sessions.begin() as session:
        assert await audit.seal(session, services.audit_signer)
    script = dump(settings.database_url)
    await a.insert("visits", after)
    await a.sync()
    await a.sync()
    assert all(document["server"]["receipt"] for document in (await a.documents("visits")).values())

    with EmbeddedPostgres(folder / f"other-{os.getpid()}", fast=True) as other:
        url = other.create_database("restored")
        restore(url, script)
        restored = msgspec.structs.replace(settings, database_url=url)
        live.restart(restored)
        async with open_services(restored) as held:
            there = Phone(System(create_app(restored, services=held), held), phone.signed_in)
            # Until someone has run `migrate`, nothing is served in an order that means nothing.
            answer = await there.http.get("/field/v1/sync/visits/1/pull")
            assert (answer.status_code, answer.json()["code"]) == (503, "server.not_ready")
            await asyncio.to_thread(upgrade, url)

            await a.sync()
            assert await a.documents("households") == alive(await there.pull("households"))
            # The phone holds a visit that this database never saw: told so, it sends everything again.
            request = (await there.http.get("/field/v1/sync/visits/1/pull")).json()["checkpoint"]
            result = await there.http.get(
                "/field/v1/sync/visits/1/pull", params={**request, "digest": await a.do("digest", collection="visits")}
            )
            assert result.json()["code"] == "sync.digest_mismatch"
            for collection in ("visits", "households"):
                await a.do("reload", collection=collection)
            await a.sync()
            visits = await a.documents("visits")
            assert set(visits) == {before.visit["id"], after["id"]}
            assert visits == alive(await there.pull("visits"))
            assert await a.documents("households") == alive(await there.pull("households"))
            assert all(visit["server"]["receipt"] for visit in visits.values())

            # The audit trail goes on: what was sealed holds, and what is new is sealed after it.
            async with held.sessions.begin() as session:
                assert await session.scalar(select(Visit.receipt).where(Visit.id == after["id"]))
                assert await session.scalar(text("SELECT max(generation) FROM audit_entry")) == 2
                while await audit.seal(session, services.audit_signer):
                    await session.flush()
            trail = await check_audit(restored, services.audit_signer.public_keys(), now=utc_now())
            assert trail.faults == []
            async with held.sessions() as session:
                assert trail.entries == await session.scalar(text("SELECT count(*) FROM audit_entry"))
        await a.do("close")
        live.stop()
