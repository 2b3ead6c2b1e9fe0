"""What a phone can't help is taken and marked: its clock, its sensors, and a household that the desk changed."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from msgspec import inspect
from sqlalchemy import select
from sqlalchemy.orm import selectinload

from field_api.sync.collections import COLLECTIONS
from server.core.clock import utc_now
from server.core.database import open_session
from server.core.ids import canonical_id, canonical_ids, new_id
from server.households.versions import keep_first_version, keep_version
from server.models.feed import QuarantinedRow
from server.models.households import Household, HouseholdMember
from server.models.review import Finding, ReviewItem, SeenFix
from server.models.visits import Visit
from server.workload.schedule import schedule_reviews
from tests.makers.records import make_record
from tests.phones import make_kit
from tests.test_first_path import push_whole

EXTREMES = [
    "0001-01-01T00:00:00+08:00",
    "0001-01-01T00:00:00-14:00",
    "0001-01-01T00:00:00+14:00",
    "1600-01-01T00:00:00Z",
    "1970-01-01T00:00:00Z",
    "2019-12-31T23:59:59+08:00",
    "2199-06-01T08:00:00+23:59",
    "2569-11-30T08:00:00+08:00",
    "9999-12-31T23:59:59-14:00",
    "9999-12-31T23:59:59.999999+14:00",
]
NO_TIMES = [
    "9999-12-31T23:59:59.999999999Z",
    "2016-12-31T23:59:60Z",
    "0000-01-01T00:00:00Z",
    "+012345-01-01T00:00:00Z",
    "NaN",
    1e12,
    None,
    True,
]
VALUES = [*EXTREMES, *NO_TIMES]


@pytest.fixture
async def partner(system, county):
    due = next(assignment for assignment in county.assignments if assignment.kind == "intake")
    return await system.sign_in(due.partner_login, "caseworker")


def time_fields(kind: inspect.Type, at: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    match kind:
        case inspect.StructType():
            return [path for field in kind.fields for path in time_fields(field.type, (*at, field.encode_name))]
        case inspect.UnionType():
            return [path for part in kind.types for path in time_fields(part, at)]
        case inspect.Metadata():
            return time_fields(kind.type, at)
        case inspect.DateTimeType():
            return [at]
    return []


def changed(document: dict[str, Any], path: tuple[str, ...], value: Any) -> dict[str, Any]:
    name, *rest = path
    return document | {name: changed(document.get(name) or {}, tuple(rest), value) if rest else value}


async def test_no_time_in_any_document_of_a_phone_stops_a_push_or_a_later_pull(phone, partner, services):
    """Every time field of every collection that phones write, found in the documents themselves."""
    kit = await make_kit(phone, partner.id)
    templates = {
        "visits": kit.visit | {"state": "draft", "amendment": {"reason": "更正", "amendedAt": kit.visit["endedAt"]}},
        "evidence": kit.evidence[0] | {"fix": kit.visit["startFix"]},
        "attestations": kit.attestation,
        "proposals": {
            "householdId": kit.visit["householdId"],
            "proposedAt": kit.visit["endedAt"],
            "changes": {"address": "新址"},
        },
        "records": (await make_record(phone, photos=0)).record
        | {"state": "draft", "amendment": {"reason": "更正", "amendedAt": kit.visit["endedAt"]}},
    }
    assert templates.keys() == {name for name, item in COLLECTIONS.items() if item.apply}
    for name, template in templates.items():
        fields = time_fields(inspect.type_info(COLLECTIONS[name].document))
        assert fields, name
        rows = [
            changed(template, path, value) | {"id": str(new_id()), "_deleted": False}
            for path in fields
            for value in VALUES
        ]
        batches = [rows[:100], rows[100:]]
        returned = [item for batch in batches for item in await phone.push(name, *batch)]
        assert {item["id"] for item in returned} <= {row["id"] for row in rows}
        pulled = await phone.pull(name)
        assert pulled.keys() == {row["id"] for row in rows}, "whatever came stands here, and comes down"
        extreme = {row["id"] for row, value in zip(rows, VALUES * len(fields), strict=True) if value in EXTREMES}
        assert not extreme & {item["id"] for item in returned}, "a time far off is no reason for quarantine"
        again = [item for batch in batches for item in await phone.push(name, *batch)]
        assert [item["id"] for item in again] == [item["id"] for item in returned], "a repeat has the same answer"


@pytest.mark.parametrize("reported", EXTREMES[::3])
async def test_a_visit_at_an_impossible_time_is_reviewed_and_counted_from_its_receipt(
    system, services, phone, partner, desk, reported
):
    kit = await make_kit(phone, partner.id)
    kit.visit |= {
        "startedAt": reported,
        "endedAt": reported,
        "startFix": kit.visit["startFix"] | {"capturedAt": reported},
    }
    before = utc_now()
    await push_whole(phone, partner, kit)
    await system.run_jobs()
    async with open_session(services.sessions) as session:
        visit = await session.get_one(Visit, UUID(kit.visit["id"]))
        assert visit.started_at is not None
        assert before <= visit.started_at <= utc_now()
        assert visit.document["startedAt"] == reported
        found = select(Finding).where(Finding.visit_id == visit.id, Finding.code == "visit.time_implausible")
        moments = {finding.facts["moment"] for finding in await session.scalars(found)}
        assert moments == {"start", "end", "start_fix"}
        assert await session.get_one(ReviewItem, visit.id)
        for fix in await session.scalars(select(SeenFix).where(SeenFix.visit_id == visit.id)):
            assert before - timedelta(hours=1) <= fix.captured_at <= utc_now()
        await schedule_reviews(session, visit.area_code[:6], utc_now())
    detail = await desk.http.get(f"/desk/v1/visits/{visit.id}")
    assert detail.status_code == 200, detail.text
    assert reported in str(detail.json()["findings"])


async def test_a_clock_set_right_during_the_visit_is_a_finding(system, services, phone, partner):
    kit = await make_kit(phone, partner.id)
    start = datetime.fromisoformat(kit.visit["startedAt"])
    kit.visit["endedAt"] = (start - timedelta(seconds=1)).isoformat()
    await push_whole(phone, partner, kit)
    await system.run_jobs()
    assert (await codes(services, kit)) >= {"visit.times_inverted"}


async def codes(services, kit) -> set[str]:
    async with services.sessions() as session:
        rows = select(Finding.code).where(Finding.visit_id == UUID(kit.visit["id"]), Finding.superseded_at.is_(None))
        return set(await session.scalars(rows))


@pytest.mark.parametrize(
    "readings",
    [
        {"accuracyM": -1},
        {"accuracyM": 1e9},
        {"latitude": 91.5},
        {"longitude": -200},
        {"altitudeM": 99_999},
        {"speedMps": 5e8},
    ],
)
async def test_a_reading_that_no_sensor_gives_is_a_finding(system, services, phone, partner, readings):
    kit = await make_kit(phone, partner.id)
    kit.visit["startFix"] |= readings
    kit.evidence[0]["fix"] = kit.visit["startFix"]
    kit.attestation["fix"] |= readings
    kit.visit["answers"]["home_location"] |= {"accuracyM": -1}
    await push_whole(phone, partner, kit)
    await system.run_jobs()
    async with services.sessions() as session:
        assert (await session.scalars(select(QuarantinedRow))).all() == []
        found = select(Finding).where(Finding.code == "visit.reading_implausible")
        facts = [finding.facts for finding in await session.scalars(found)]
    [(reading, value)] = readings.items()
    assert {"moment": "start", "reading": reading, "reported": value} in facts
    assert {item["moment"] for item in facts} == {"start", "attestation", "answer"}


async def test_a_speed_that_a_phone_does_not_know_is_no_finding(system, services, phone, partner):
    kit = await make_kit(phone, partner.id)
    kit.visit["startFix"] |= {"speedMps": -1}
    await push_whole(phone, partner, kit)
    await system.run_jobs()
    assert "visit.reading_implausible" not in await codes(services, kit)


async def change_household(services, kit, *, joins: bool):
    """What the desk does while the phone is offline: a newborn joins, or the last member leaves."""
    async with open_session(services.sessions) as session:
        household = await session.get_one(
            Household, UUID(kit.visit["householdId"]), options=[selectinload(Household.members)]
        )
        await keep_first_version(session, household, utc_now())
        if joins:
            newborn = HouseholdMember(
                id=new_id(),
                household_id=household.id,
                name="新生儿",
                relation="child",
                sex="female",
                born_on=utc_now().date(),
                position=len(household.members),
            )
            session.add(newborn)
        else:
            await session.delete(household.members[-1])
        await session.flush()
        await session.refresh(household, ["members"])
        await keep_version(session, None, household, "变动", utc_now())


@pytest.mark.parametrize("joins", [True, False])
async def test_a_household_changed_meanwhile_is_judged_as_the_phone_had_it(
    system, services, phone, partner, desk, joins
):
    kit = await make_kit(phone, partner.id)
    home = (await phone.pull("households"))[kit.visit["householdId"]]
    await change_household(services, kit, joins=joins)
    await push_whole(phone, partner, kit)
    await system.run_jobs()
    assert "visit.household_changed" in await codes(services, kit)
    page = (await desk.http.get(f"/desk/v1/visits/{kit.visit['id']}")).json()
    assert {member["id"] for member in page["membersThen"]} == {member["id"] for member in home["members"]}
    [finding] = [item for item in page["findings"] if item["code"] == "visit.household_changed"]
    assert (finding["facts"]["joined"], finding["facts"]["left"]) == ((1, 0) if joins else (0, 1))


async def test_a_member_that_no_version_of_the_household_had_is_still_refused(services, phone, partner):
    kit = await make_kit(phone, partner.id, photos=[])
    await change_household(services, kit, joins=True)
    invented = [row | {"memberId": str(new_id())} for row in kit.visit["answers"]["members"]]
    [returned] = await phone.push("visits", kit.visit | {"answers": kit.visit["answers"] | {"members": invented}})
    assert returned["server"]["problem"]["en"]["code"] == "visit.answers_invalid"


async def test_a_household_that_did_not_change_is_judged_as_it_is(system, services, phone, partner, desk):
    kit = await make_kit(phone, partner.id)
    await push_whole(phone, partner, kit)
    await system.run_jobs()
    assert (await desk.http.get(f"/desk/v1/visits/{kit.visit['id']}")).json()["membersThen"] is None


def upper(value: Any) -> Any:
    """As iOS writes ids."""
    if isinstance(value, dict):
        return {key: upper(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [upper(inner) for inner in value]
    return value.upper() if isinstance(value, str) and canonical_id(value.upper()) != value.upper() else value


async def test_ids_in_upper_case_are_taken_everywhere_and_given_back_as_they_came(
    system, services, phone, partner, desk
):
    kit = await make_kit(phone, partner.id)
    plain_id = kit.visit["id"]
    kit.visit, kit.evidence, kit.attestation = upper(kit.visit), upper(kit.evidence), upper(kit.attestation)
    kit.photos = {key.upper(): value for key, value in kit.photos.items()}
    assert kit.visit["answers"] != canonical_ids(kit.visit["answers"]), "answers hold ids too"
    await push_whole(phone, partner, kit)
    await system.run_jobs()
    for name, sent in (("visits", kit.visit), ("evidence", kit.evidence[0])):
        pulled = await phone.pull(name)
        assert sent["id"] in pulled, "under the client's own id"
        assert len(pulled) == (1 if name == "visits" else 4), "and under no second one"
        assert await phone.push(name, sent) == []
    assert (await phone.pull("visits"))[kit.visit["id"]]["server"]["state"] == "under_review"
    page = (await desk.http.get(f"/desk/v1/visits/{kit.visit['id']}")).json()
    assert (page["id"], page["document"]["id"]) == (plain_id, plain_id)
    assert len(page["photos"]) == 4
    assert "photo.not_listed" not in {finding["code"] for finding in page["findings"]}


async def test_a_refused_row_in_upper_case_goes_back_under_its_own_id_and_is_mended_under_it(phone, partner):
    kit = await make_kit(phone, partner.id, photos=[])
    bad = upper(kit.visit) | {"investigatorIds": [str(phone.id).upper()]}
    [returned] = await phone.push("visits", bad)
    assert (returned["id"], returned["server"]["state"]) == (bad["id"], "quarantined")
    assert list(await phone.pull("visits")) == [bad["id"]]
    assert await phone.push("visits", upper(kit.visit), assumed=returned) == []
    pulled = await phone.pull("visits")
    assert {key: item["server"]["state"] for key, item in pulled.items()} == {bad["id"]: "submitted"}
    [conflict] = await phone.push("visits", kit.visit | {"modeReason": "lower case, other content"})
    assert conflict["id"] == kit.visit["id"]
