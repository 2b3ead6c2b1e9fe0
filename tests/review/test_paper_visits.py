"""A visit written down on paper is entered at the desk: it counts like any other, stays marked, and is attested."""

import hashlib
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import select, update

from server.checklists.shipped import load_shipped
from server.core.clock import utc_now
from server.core.database import open_session
from server.core.ids import new_id
from server.models.audit import AuditEntry
from server.models.households import Assignment, Caseload
from server.models.people import Staff, StaffRole
from server.models.review import Finding
from server.models.visits import Visit
from tests.phones import make_kit, tiny_photo


@pytest.fixture
async def partner(system, county):
    due = next(assignment for assignment in county.assignments if assignment.kind == "intake")
    return await system.sign_in(due.partner_login, "caseworker")


@pytest.fixture
async def form(phone, partner):
    return await fill_form(phone, partner)


async def fill_form(phone, partner):
    """A filled-in form of the first home due, two days after the visit, and the bytes of its photo."""
    kit = await make_kit(phone, partner.id, photos=[])
    template = (await phone.pull("checklists")).values()
    body = next(item["body"] for item in template if item["code"] == kit.visit["checklistCode"])
    on_paper = {
        question["id"]
        for section in body["sections"]
        for question in section["questions"]
        if question["kind"] not in {"photo", "signature", "geopoint"}
    }
    started = utc_now().replace(microsecond=0) - timedelta(days=2)
    photo = tiny_photo(1)
    return {
        "id": str(new_id()),
        "householdId": kit.visit["householdId"],
        "checklistCode": kit.visit["checklistCode"],
        "checklistVersion": kit.visit["checklistVersion"],
        "investigatorIds": [str(phone.id), str(partner.id)],
        "startedAt": started.isoformat(),
        "endedAt": (started + timedelta(minutes=40)).isoformat(),
        "familyPresent": kit.visit["familyPresent"],
        "answers": {key: value for key, value in kit.visit["answers"].items() if key in on_paper},
        "formPhotos": [
            {"id": str(new_id()), "sha256": hashlib.sha256(photo).hexdigest(), "sizeBytes": len(photo)},
        ],
    }, photo


async def enter(desk, body):
    return await desk.http.post("/desk/v1/paper-visits", json=body)


async def attest(person, visit_id):
    attestation = {
        "id": str(new_id()),
        "visitId": visit_id,
        "attestedAt": utc_now().isoformat(),
        "fix": None,
        "_deleted": False,
    }
    assert await person.push("attestations", attestation) == []


async def state_of(services, visit_id):
    async with services.sessions() as session:
        return (await session.get_one(Visit, UUID(visit_id))).state


async def test_a_form_counts_once_its_photo_is_in_and_both_investigators_have_attested(
    county_desk, phone, partner, form, system, services
):
    body, photo = form
    answer = await enter(county_desk, body)
    assert answer.status_code == 200, answer.text
    entered = answer.json()
    assert entered["attest"] == body["investigatorIds"]
    assert entered["assignmentId"]
    assert entered["assignmentId"] not in await phone.pull("assignments")
    await attest(phone, body["id"])
    await attest(partner, body["id"])
    await system.run_jobs()
    assert await state_of(services, body["id"]) == "submitted", "the photo of the form is missing"
    uploaded = await county_desk.http.post(
        "/field/v1/photos",
        data={"evidenceId": body["formPhotos"][0]["id"]},
        files={"file": ("a.jpg", photo, "image/jpeg")},
    )
    assert uploaded.status_code == 200, uploaded.text
    await system.run_jobs()
    assert await state_of(services, body["id"]) == "under_review"
    async with services.sessions() as session:
        visit = await session.get_one(Visit, UUID(body["id"]))
        assert (visit.author_id, visit.typed_by) == (phone.id, county_desk.id)
        [marked] = await session.scalars(
            select(Finding).where(Finding.visit_id == visit.id, Finding.code == "visit.from_paper")
        )
        assert (marked.severity, marked.facts["staffId"]) == ("notice", str(county_desk.id))
        about = await session.scalars(select(Finding.code).where(Finding.visit_id == visit.id))
        assert not {"photo.time_off", "photo.near_duplicate", "visit.one_phone_for_two"} & set(about)
        entry = await session.scalar(select(AuditEntry).where(AuditEntry.action == "visit.entered_from_paper"))
        assert entry is not None
        assert (entry.thing_id, entry.facts["author"]) == (body["id"], str(phone.id))
    own = (await phone.pull("visits"))[body["id"]]
    assert own["server"]["fromPaper"] is True


async def test_the_author_attests_too_because_somebody_else_wrote_it(county_desk, partner, form, system, services):
    body, photo = form
    assert (await enter(county_desk, body)).status_code == 200
    await county_desk.http.post(
        "/field/v1/photos",
        data={"evidenceId": body["formPhotos"][0]["id"]},
        files={"file": ("a.jpg", photo, "image/jpeg")},
    )
    await attest(partner, body["id"])
    await system.run_jobs()
    assert await state_of(services, body["id"]) == "submitted"
    waiting = (await county_desk.http.get("/desk/v1/arriving-visits")).json()["items"]
    line = next(item for item in waiting if item["visitId"] == body["id"])
    assert len(line["unattested"]) == 1
    page = (await county_desk.http.get(f"/desk/v1/visits/{body['id']}")).json()
    assert page["typedByName"]
    assert [person["isAuthor"] for person in page["investigators"] if person["attestedAt"] is None] == [True]


async def test_who_entered_a_form_may_not_review_it(county_desk, desk, phone, partner, form, system, services):
    body, photo = form
    await enter(county_desk, body)
    await county_desk.http.post(
        "/field/v1/photos",
        data={"evidenceId": body["formPhotos"][0]["id"]},
        files={"file": ("a.jpg", photo, "image/jpeg")},
    )
    await attest(phone, body["id"])
    await attest(partner, body["id"])
    await system.run_jobs()
    refused = await county_desk.http.post(f"/desk/v1/queue/{body['id']}/claim")
    assert (refused.status_code, refused.json()["code"]) == (403, "review.own_visit")
    assert (await desk.http.post(f"/desk/v1/queue/{body['id']}/claim")).status_code == 200


async def test_a_form_without_its_photo_is_refused(county_desk, form):
    body, _ = form
    answer = await enter(county_desk, body | {"formPhotos": []})
    assert (answer.status_code, answer.json()["code"]) == (400, "request.invalid")


async def test_the_same_form_again_is_the_same_visit_and_another_under_its_id_is_none(county_desk, form):
    body, _ = form
    first = await enter(county_desk, body)
    again = await enter(county_desk, body)
    assert (again.status_code, again.json()) == (200, first.json())
    other = await enter(county_desk, body | {"familyPresent": []})
    assert (other.status_code, other.json()["code"]) == (409, "request.idempotency_key_reused")


async def test_what_a_phone_must_not_leave_out_paper_must_not_either(county_desk, form, services):
    body, _ = form
    hours = timedelta(hours=3)
    cases = {
        "visit.one_investigator": {"investigatorIds": [body["investigatorIds"][0]] * 2},
        "visit.investigator_unknown": {"investigatorIds": [body["investigatorIds"][0], str(new_id())]},
        "visit.answers_invalid": {"answers": {}},
        "visit.checklist_unknown": {"checklistVersion": 99},
        "visit.remote_without_reason": {"mode": "phone"},
        "request.invalid": {"endedAt": (utc_now() + hours).isoformat()},
        "thing.not_found": {"householdId": str(new_id())},
    }
    for code, change in cases.items():
        assert (await enter(county_desk, body | change)).json()["code"] == code
    async with services.sessions() as session:
        assert await session.get(Visit, UUID(body["id"])) is None
        open_orders = select(Assignment.id).where(
            Assignment.household_id == UUID(body["householdId"]), Assignment.state == "open"
        )
        assert await session.scalar(open_orders) is not None


async def test_an_investigator_had_a_part_in_the_area_of_the_home_at_that_time(county_desk, partner, form, services):
    body, _ = form
    async with open_session(services.sessions) as session:
        ended = utc_now() - timedelta(days=30)
        for model in (StaffRole, Caseload):
            await session.execute(update(model).where(model.staff_id == partner.id).values(revoked_at=ended))
    assert (await enter(county_desk, body)).json()["code"] == "visit.investigator_unknown"


async def test_a_spot_check_is_never_entered_from_paper(county_desk, form):
    body, _ = form
    template = next(template for template in load_shipped() if template.kind == "spot_check")
    spot_check = {"checklistCode": template.code, "checklistVersion": template.version}
    assert (await enter(county_desk, body | spot_check)).json()["code"] == "visit.paper_spot_check"


async def test_a_supervisor_and_a_caseworker_enter_nothing(system, county, phone, form):
    body, _ = form
    supervisor = next(person for person in county.staff if person.role == "supervisor")
    seat = await system.sign_in_at_desk(supervisor.login, "supervisor")
    assert (await enter(seat, body)).status_code == 403
    assert (await enter(phone, body)).status_code == 403


async def test_a_returned_form_is_amended_by_phone_and_stays_from_paper(county_desk, phone, partner, form, services):
    body, _ = form
    await enter(county_desk, body)
    own = (await phone.pull("visits"))[body["id"]]
    document = {key: value for key, value in own.items() if key != "server"}
    amended = document | {
        "familyPresent": [],
        "amendment": {"reason": "在场人员写错", "amendedAt": utc_now().isoformat()},
    }
    assert await phone.push("visits", amended, assumed=own) == []
    async with services.sessions() as session:
        visit = await session.get_one(Visit, UUID(body["id"]))
        assert (visit.state, visit.typed_by) == ("amended", county_desk.id)
        assert await session.scalar(select(Staff.id).where(Staff.id == visit.typed_by))
