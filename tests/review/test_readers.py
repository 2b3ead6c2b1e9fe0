"""Who read unusually much in a day stands on the overview."""

import pytest
from sqlalchemy import insert

from server.core.clock import utc_now
from server.core.database import open_session
from server.models.audit import ReadEntry

PATH = "/desk/v1/overview/readers"


async def read(services, person, *looks):
    async with open_session(services.sessions) as session:
        for action, thing_id, shown in looks:
            line = {"action": action, "thing_kind": "household", "thing_id": thing_id, "shown": shown, "filters": {}}
            await session.execute(
                insert(ReadEntry).values(at=utc_now(), actor_kind="staff", actor_id=person.id, **line)
            )


@pytest.fixture
async def worker(office):
    return await office.person("caseworker")


async def test_who_opened_more_things_than_usual_is_listed_and_the_same_thing_counts_once(office, services, worker):
    await office.rule("reads.unusual_opened", 3)
    supervisor = await office.person("supervisor")
    await read(services, worker, *[("opened", "a", 1)] * 9, ("opened", "b", 1), ("opened", "c", 1))
    assert (await supervisor.http.get(PATH)).json() == []
    await read(services, worker, ("opened", "d", 1))
    (line,) = (await supervisor.http.get(PATH)).json()
    assert (line["staffId"], line["opened"], line["exportedRows"]) == (str(worker.id), 4, 0)


async def test_who_exported_more_rows_than_usual_is_listed_and_lists_and_pulls_do_not_count(office, services, worker):
    await office.rule("reads.unusual_exported", 500)
    supervisor = await office.person("supervisor")
    await read(services, worker, ("listed", None, 900), ("pulled", None, 900), ("exported", None, 500))
    assert (await supervisor.http.get(PATH)).json() == []
    await read(services, worker, ("exported", None, 1))
    (line,) = (await supervisor.http.get(PATH)).json()
    assert (line["name"], line["exportedRows"]) == (worker.signed_in["name"], 501)
    saved = await supervisor.http.get(f"{PATH}/export")
    assert saved.text.splitlines()[1].endswith(f"{worker.signed_in['name']},{worker.id},0,501")


async def test_readers_of_other_areas_are_not_shown(office, services, county, worker):
    await office.rule("reads.unusual_opened", 1)
    await read(services, worker, ("opened", "a", 1), ("opened", "b", 1))
    other = next(
        member.login for member in county.staff if member.role == "town_officer" and member.area_code != "339901001"
    )
    assert (await (await office.sign_in(other)).http.get(PATH)).json() == []
    assert (await worker.http.get(PATH)).status_code == 403
