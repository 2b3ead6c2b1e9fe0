"""Who reads, is seen: each look at personal data leaves a line, written before the answer leaves; no line, no answer."""

from datetime import date, timedelta

import pytest
from litestar.handlers import HTTPRouteHandler
from psycopg.errors import RestrictViolation
from sqlalchemy import delete, insert, select, text, update
from sqlalchemy.exc import IntegrityError

from server.audit.reads import purge_read_trail
from server.core.clock import utc_now
from server.core.database import open_session
from server.core.id_numbers import make_id_number
from server.core.ids import new_id
from server.core.job_types import PurgeReadTrail
from server.http.reads import READS, select_filters
from server.models.audit import ReadEntry
from server.models.households import Household
from server.models.people import Staff, StaffRole


@pytest.fixture
async def town(system):
    return await system.sign_in_at_desk("panhuaixu", "town_officer")


async def trail(services):
    async with open_session(services.sessions) as session:
        return list(await session.scalars(select(ReadEntry).order_by(ReadEntry.id)))


async def some_household(services):
    """A household of the town officer's area."""
    async with open_session(services.sessions) as session:
        area = select(StaffRole.area_code).join(StaffRole.staff).where(Staff.login == "panhuaixu").scalar_subquery()
        return await session.scalar(select(Household).where(Household.area_code.startswith(area)).limit(1))


def test_every_route_that_can_be_read_says_what_personal_data_it_shows(app):
    silent = {
        (route.path, handler.handler_name)
        for route in app.routes
        for handler in getattr(route, "route_handlers", [])
        if isinstance(handler, HTTPRouteHandler) and "GET" in handler.http_methods
        if handler.include_in_schema is not False and not handler.fn.__module__.startswith("litestar.")
        if READS not in handler.opt
    }
    assert silent == set()


def test_a_route_that_names_no_caller_shows_nothing_personal(app):
    """A line needs somebody to name."""
    anonymous = {
        handler.handler_name
        for route in app.routes
        for handler in getattr(route, "route_handlers", [])
        if isinstance(handler, HTTPRouteHandler) and handler.opt.get(READS)
        if not {"caller", "field_staff", "officer", "resident_caller"} & set(handler.parsed_fn_signature.parameters)
    }
    assert anonymous == set()


async def test_a_look_at_a_household_names_reader_household_and_area(town, services):
    household = await some_household(services)
    assert (await town.http.get(f"/desk/v1/households/{household.id}")).status_code == 200
    (line,) = await trail(services)
    assert (line.actor_id, line.actor_kind, line.action) == (town.id, "staff", "opened")
    assert (line.thing_kind, line.thing_id, line.shown) == ("household", str(household.id), 1)
    assert line.area_code == household.area_code
    assert line.device_id is not None


async def test_a_list_leaves_one_line_with_its_filters_and_count_and_no_search_text(town, services):
    answer = await town.http.get("/desk/v1/households", params={"area": "339901", "q": "林", "limit": 7})
    (line,) = await trail(services)
    assert (line.action, line.thing_kind, line.thing_id) == ("listed", "household", None)
    assert line.shown == len(answer.json()["items"])
    assert line.filters == {"area": "339901", "q": "…", "limit": "7"}


def test_what_an_address_says_stays_short_in_the_trail_and_holds_no_number():
    number = make_id_number("110105", date(1961, 4, 2), 201)
    kept = select_filters({"area": "339901", "other": number, number: ["a", number], "long": "x" * 6000, "q": number})
    assert kept["area"] == "339901"
    assert number not in str(kept)
    assert len(kept["long"]) == 200
    assert len(select_filters({str(place): "x" for place in range(5000)})) == 30


async def test_a_pull_that_returned_rows_leaves_a_line_and_an_empty_pull_and_a_checklist_none(phone, services):
    held = await phone.pull("households")
    lines = await trail(services)
    assert [(line.action, line.thing_kind, line.shown) for line in lines] == [("pulled", "households", len(held))]
    page = (await phone.http.get("/field/v1/sync/households/1/pull")).json()
    before = len(await trail(services))
    assert (await phone.http.get("/field/v1/sync/households/1/pull", params=page["checkpoint"])).status_code == 200
    assert await phone.pull("checklists")
    assert len(await trail(services)) == before


async def test_every_page_of_a_saved_list_is_counted(desk, services):
    answer = await desk.http.get("/desk/v1/households/export", params={"format": "csv"})
    lines = [line for line in await trail(services) if line.thing_kind == "household"]
    assert {line.action for line in lines} == {"exported"}
    assert sum(line.shown for line in lines) == len(answer.text.strip().splitlines()) - 1 > 200


async def test_without_its_line_nothing_is_shown(town, phone, services):
    household = await some_household(services)
    async with open_session(services.sessions) as session:
        await session.execute(text("ALTER TABLE read_entry RENAME TO read_entry_away"))
    paths = [f"/desk/v1/households/{household.id}", "/desk/v1/households", "/desk/v1/households/export"]
    answers = [await town.http.get(path) for path in paths]
    answers.append(await phone.http.get("/field/v1/sync/households/1/pull"))
    assert [(answer.status_code, answer.json()["code"]) for answer in answers] == [(503, "reads.not_logged")] * 4
    assert (await town.http.get("/desk/v1/map")).status_code == 200


async def test_a_look_that_is_refused_or_finds_nothing_leaves_no_line(town, phone, services):
    assert (await town.http.get(f"/desk/v1/households/{new_id()}")).status_code == 404
    assert (await phone.http.get("/desk/v1/households")).status_code == 403
    assert await trail(services) == []


async def test_lines_are_written_once_and_kept_half_a_year(town, services):
    await town.http.get("/desk/v1/households")
    for statement in (update(ReadEntry).values(shown=0), delete(ReadEntry), text("TRUNCATE read_entry")):
        with pytest.raises(IntegrityError) as refused:
            async with open_session(services.sessions) as session:
                await session.execute(statement)
        assert isinstance(refused.value.orig, RestrictViolation)


async def test_what_is_older_than_the_office_keeps_is_purged(town, services):
    days = services.settings.read_trail_days
    values = {"actor_kind": "staff", "actor_id": town.id, "action": "listed", "thing_kind": "household", "shown": 1}
    async with open_session(services.sessions) as session:
        for age in (days + 1, days - 1):
            at = utc_now() - timedelta(days=age)
            await session.execute(insert(ReadEntry).values(at=at, filters={}, **values))
    await town.http.get("/desk/v1/households")
    await purge_read_trail(services, PurgeReadTrail())
    ages = [(utc_now() - line.at).days for line in await trail(services)]
    assert ages == [days - 1, 0]


async def test_a_get_can_not_write_whatever_its_handler_tries(town, app, monkeypatch):
    """Such a transaction holds back the feed of every phone. Every other test of a GET is held to the same."""

    async def write(session, *_, **__):
        await session.execute(update(Household).values(head_name="甲"))

    monkeypatch.setattr("server.directory.devices.list_devices", write)
    answer = await town.http.get("/desk/v1/devices")
    assert answer.status_code == 503
    assert (await town.http.get("/desk/v1/households")).json()["items"][0]["headName"] != "甲"


async def test_an_audit_entry_of_a_look_stands_before_its_answer_and_without_it_there_is_none(desk, town, services):
    household = await some_household(services)
    path = f"/desk/v1/households/{household.id}/record"
    assert (await town.http.get(path)).status_code == 200
    entries = (await desk.http.get("/desk/v1/audit", params={"thingId": str(household.id)})).json()["items"]
    assert [(entry["action"], entry["actorId"]) for entry in entries] == [("household.opened", str(town.id))]
    async with open_session(services.sessions) as session:
        await session.execute(text("ALTER TABLE audit_entry RENAME TO audit_entry_away"))
    answer = await town.http.get(path)
    assert (answer.status_code, answer.json()["code"]) == (503, "reads.not_logged")
    assert str(household.id) not in answer.text
