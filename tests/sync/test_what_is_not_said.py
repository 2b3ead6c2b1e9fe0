"""What no phone may say for another: a word that isn't its own, a photo that isn't its own, who was at the door."""

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, update

from field_api.sync.push import LONGEST_BATCH
from server.core.clock import utc_now
from server.core.database import open_session
from server.core.ids import new_id
from server.models.evidence import Evidence
from server.models.feed import Feed
from server.models.households import Assignment
from server.models.people import Staff
from server.models.visits import Attestation, Visit
from tests.phones import Desk, make_kit


@pytest.fixture
async def partner(system, county):
    due = next(assignment for assignment in county.assignments if assignment.kind == "intake")
    return await system.sign_in(due.partner_login, "caseworker")


@pytest.fixture
async def stranger(system, county, phone, partner):
    """A caseworker who was not there."""
    login = next(
        staff_member.login
        for staff_member in county.staff
        if staff_member.role == "caseworker"
        and staff_member.name not in {phone.signed_in["name"], partner.signed_in["name"]}
    )
    return await system.sign_in(login, "caseworker")


def code_of(returned):
    (item,) = returned
    return item["server"]["problem"]["en"]["code"]


async def is_whole(phone, kit):
    return (await phone.pull("visits"))[kit.visit["id"]]["server"]["complete"]


async def with_photos(phone, kit):
    assert await phone.push("evidence", *kit.evidence) == []
    assert await phone.push("visits", kit.visit) == []
    for evidence_id, content in kit.photos.items():
        assert (await phone.upload(evidence_id, content)).status_code == 200
    await phone.system.run_jobs()


# --- the word of an investigator


async def test_a_visit_waits_for_the_word_of_each_one_it_names_and_of_no_other(phone, partner, stranger, services):
    kit = await make_kit(phone, partner.id)
    other = await make_kit(phone, partner.id, photos=[])
    await with_photos(phone, kit)
    assert await phone.push("visits", other.visit) == []
    assert code_of(await stranger.push("attestations", kit.attestation)) == "attestation.invalid"
    assert await is_whole(phone, kit) is False
    # The author's own word, and the partner's of another visit, are not the partner's of this one.
    assert await partner.push("attestations", other.attestation) == []
    assert await phone.push("attestations", kit.attestation | {"id": str(new_id())}) == []
    assert await is_whole(phone, kit) is False
    assert await partner.push("attestations", kit.attestation | {"id": str(new_id())}) == []
    assert await is_whole(phone, kit) is True
    async with services.sessions() as session:
        given = await session.execute(
            select(Attestation.staff_id, Attestation.device_id).where(Attestation.visit_id == UUID(kit.visit["id"]))
        )
    assert set(given.all()) == {(item.id, UUID(item.signed_in["deviceId"])) for item in (phone, partner)}


async def test_a_word_given_before_the_visit_came_counts_once_it_names_who_gave_it(phone, partner, stranger):
    kit = await make_kit(phone, partner.id, photos=[])
    assert await stranger.push("attestations", kit.attestation | {"id": str(new_id())}) == []
    assert await phone.push("visits", kit.visit) == []
    assert await is_whole(phone, kit) is False
    early = await make_kit(phone, partner.id, photos=[])
    draft = early.visit | {"state": "draft"}
    assert await phone.push("visits", draft) == []  # which names nobody yet
    assert await partner.push("attestations", early.attestation) == []
    assert await phone.push("visits", early.visit, assumed=draft) == []
    assert await is_whole(phone, early) is True


async def test_a_given_word_is_changed_by_nobody_and_read_by_who_gave_it_alone(phone, partner, stranger, services):
    kit = await make_kit(phone, partner.id, photos=[])
    assert await partner.push("attestations", kit.attestation) == []
    assert await partner.push("attestations", kit.attestation) == []
    moved = kit.attestation | {"fix": None}
    for change in (moved, kit.attestation | {"_deleted": True}):
        (here,) = await partner.push("attestations", change, assumed=kit.attestation)
        assert (here["fix"], here["_deleted"]) == (kit.attestation["fix"], False)
    for other in (phone, stranger):
        for result in (moved, kit.attestation):
            (theirs,) = await other.push("attestations", result)
            assert theirs["server"]["state"] == "quarantined"
            assert theirs["fix"] == result["fix"]
    async with open_session(services.sessions) as session:
        (held,) = await session.scalars(select(Attestation))
        assert (held.staff_id, held.document["fix"]) == (partner.id, kit.attestation["fix"])
        # A feed that named it to somebody else would still show nothing.
        session.add(Feed(staff_id=stranger.id, collection="attestations", doc_id=kit.attestation["id"]))
    assert kit.attestation["id"] in await partner.pull("attestations")
    assert await stranger.pull("attestations") == {}


async def test_a_word_that_is_taken_back_before_it_was_given_is_none(partner, phone):
    kit = await make_kit(phone, partner.id, photos=[])
    assert code_of(await partner.push("attestations", kit.attestation | {"_deleted": True})) == "attestation.invalid"


# --- who was at the door


async def test_a_visit_names_two_people_who_are_there_and_its_author_is_one(phone, partner, stranger, services):
    kit = await make_kit(phone, partner.id, photos=[])

    async def words_seen_by(*people):
        visit = kit.visit | {"id": str(new_id()), "investigatorIds": [str(person) for person in people]}
        return code_of(await phone.push("visits", visit))

    assert await words_seen_by(partner.id, stranger.id) == "visit.author_not_investigator"
    assert await words_seen_by(phone.id, new_id()) == "visit.investigator_unknown"
    assert await words_seen_by(phone.id, phone.id) == "visit.one_investigator"
    async with open_session(services.sessions) as session:
        await session.execute(update(Staff).where(Staff.id == partner.id).values(disabled_at=utc_now()))
    assert await words_seen_by(phone.id, partner.id) == "visit.investigator_unknown"


async def test_a_photo_is_listed_once(phone, partner):
    kit = await make_kit(phone, partner.id)
    listed = [*kit.visit["photos"], kit.visit["photos"][0]]
    assert code_of(await phone.push("visits", kit.visit | {"photos": listed})) == "visit.photo_listed_twice"


async def test_a_visit_at_the_home_has_a_fix_and_a_time_at_both_ends_and_a_checklist_of_its_kind(phone, partner):
    kit = await make_kit(phone, partner.id, photos=[])
    away = {"mode": "phone", "modeReason": " \n", "startFix": None, "endFix": None}
    refused: list[tuple[dict[str, Any], str]] = [
        *(({item: None}, "visit.fix_missing") for item in ("startFix", "endFix", "startedAt", "endedAt")),
        (away, "visit.remote_without_reason"),
        ({"kind": "review"}, "visit.checklist_unknown"),
    ]
    for change, code in refused:
        assert code_of(await phone.push("visits", kit.visit | {"id": str(new_id())} | change)) == code


async def test_a_visit_closes_no_errand_to_another_home(phone, partner, services):
    kit = await make_kit(phone, partner.id, photos=[])
    async with services.sessions() as session:
        other = await session.scalar(
            select(Assignment.id)
            .where(Assignment.household_id != UUID(kit.visit["householdId"]), Assignment.state == "open")
            .limit(1)
        )
    assert await phone.push("visits", kit.visit | {"assignmentId": str(other)}) == []
    async with services.sessions() as session:
        assert (await session.get_one(Assignment, other)).state == "open"


# --- photos


async def test_nobody_announces_a_photo_for_a_visit_in_which_they_have_no_part(phone, partner, stranger, services):
    kit = await make_kit(phone, partner.id)
    assert await phone.push("visits", kit.visit) == []
    for manifest, announcer, code in [
        (kit.evidence[0], stranger, "evidence.visit_of_another"),
        (kit.evidence[1], partner, None),
        (kit.evidence[2], phone, None),
    ]:
        returned = await announcer.push("evidence", manifest)
        assert (code_of(returned) if code else returned) == (code or [])
    async with open_session(services.sessions) as session:
        authors = set(await session.scalars(select(Evidence.author_id)))
        assert authors == {phone.id, partner.id}


async def test_a_photo_in_the_store_is_announced_anew_by_nobody(phone, partner, services):
    kit = await make_kit(phone, partner.id)
    (manifest, *_), visit_id = kit.evidence, str(new_id())
    assert await phone.push("evidence", manifest) == []
    moved = manifest | {"visitId": visit_id}
    (theirs,) = await partner.push("evidence", moved)
    assert theirs["server"]["state"] == "quarantined"
    assert (await partner.push("evidence", moved, assumed=manifest))[0]["server"]["state"] == "quarantined"
    # Its author may, until the bytes are there.
    assert await phone.push("evidence", moved, assumed=manifest) == []
    assert await phone.push("evidence", manifest, assumed=moved) == []
    assert (await phone.upload(manifest["id"], kit.photos[manifest["id"]])).status_code == 200
    for change in (moved, manifest | {"_deleted": True}, manifest | {"sha256": "0" * 64}):
        (here,) = await phone.push("evidence", change, assumed=manifest)
        assert (here["visitId"], here["sha256"]) == (manifest["visitId"], manifest["sha256"])
    async with services.sessions() as session:
        (held,) = await session.scalars(select(Evidence))
    assert (held.author_id, held.visit_id, held.sha256) == (
        phone.id, UUID(manifest["visitId"]), manifest["sha256"]
    )  # fmt: skip


async def test_a_photo_that_another_sign_in_announced_is_taken_over_by_the_visits_author(phone, stranger, partner):
    """As a shared phone sent it: the photo with the second person's token, the visit with its author's."""
    kit = await make_kit(phone, partner.id)
    manifest = kit.evidence[0]
    assert await stranger.push("evidence", manifest) == []
    assert await phone.push("visits", kit.visit) == []
    assert await phone.push("evidence", manifest) == []
    assert (await phone.upload(manifest["id"], kit.photos[manifest["id"]])).status_code == 200
    assert manifest["id"] not in await stranger.pull("evidence")
    # Nobody else takes it, before or after.
    (theirs,) = await stranger.push("evidence", manifest)
    assert theirs["server"]["state"] == "quarantined"


async def test_a_photo_of_another_visit_makes_no_visit_whole_and_is_not_shown_on_its_page(
    phone, partner, system, county
):
    first = await make_kit(phone, partner.id, drawn=True)
    await with_photos(phone, first)
    borrowed = await make_kit(phone, partner.id, photos=[])
    borrowed.visit["photos"] = first.visit["photos"]
    assert await phone.push("visits", borrowed.visit) == []
    assert await partner.push("attestations", borrowed.attestation) == []
    assert await is_whole(phone, borrowed) is False
    login = next(staff_member.login for staff_member in county.staff if staff_member.role == "supervisor")
    desk: Desk = await system.sign_in_at_desk(login, "supervisor")
    page = (await desk.http.get(f"/desk/v1/visits/{borrowed.visit['id']}")).json()
    assert page["photos"] == []
    assert len((await desk.http.get(f"/desk/v1/visits/{first.visit['id']}")).json()["photos"]) == 4
    evidence_id = first.visit["photos"][0]["id"]
    link = await desk.http.get(f"/desk/v1/visits/{borrowed.visit['id']}/photos/{evidence_id}/link")
    assert link.json()["code"] == "thing.not_found"


# --- what one phone sees of another's


async def test_a_draft_is_its_authors_alone(phone, partner, stranger, system, county):
    kit = await make_kit(phone, partner.id, photos=[], state="draft")
    assert await phone.push("visits", kit.visit) == []
    (theirs,) = await stranger.push("visits", kit.visit | {"answers": {}})
    assert theirs["server"]["state"] == "quarantined"
    assert theirs["server"]["problem"]["en"]["code"] == "visit.not_yours"
    assert theirs["answers"] == {}
    for role in ("supervisor", "town_officer", "county_officer"):
        login = next(
            staff_member.login
            for staff_member in county.staff
            if staff_member.role == role and "339901001001".startswith(staff_member.area_code)
        )
        desk = await system.sign_in_at_desk(login, role)
        assert (await desk.http.get(f"/desk/v1/visits/{kit.visit['id']}")).json()["code"] == "thing.not_found"


async def test_what_was_kept_of_one_phone_comes_back_to_no_other(phone, partner):
    kit = await make_kit(phone, partner.id, photos=[])
    bad = kit.visit | {"answers": {}}
    assert code_of(await phone.push("visits", bad)) == "visit.answers_invalid"
    # The same id from another phone: judged by itself, and told nothing of what the first one said.
    mine = kit.visit | {"answers": {"a": "b"}, "householdId": str(new_id())}
    (theirs,) = await partner.push("visits", mine)
    assert theirs["answers"] == {"a": "b"}
    assert code_of([theirs]) == "visit.household_unknown"
    assert (await phone.pull("visits"))[kit.visit["id"]]["answers"] == {}


async def test_a_batch_of_the_longest_is_taken_and_a_longer_one_refused_whole(phone, services):
    rows = [{"newDocumentState": {"id": str(new_id())}} for _ in range(LONGEST_BATCH + 1)]
    path = "/field/v1/sync/visits/1/push"
    refusal = await phone.http.post(path, json=rows)
    assert refusal.json()["code"] == "sync.batch_too_long"
    taken = await phone.http.post(path, json=rows[:-1])
    assert (taken.status_code, len(taken.json())) == (200, LONGEST_BATCH)
    async with services.sessions() as session:
        assert list(await session.scalars(select(Visit.id))) == []
