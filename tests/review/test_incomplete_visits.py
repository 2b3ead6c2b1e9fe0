"""Visits whose parts have not all come are before nobody: a desk sees which they are and what they lack."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import delete, select, update

from server.core.clock import utc_now
from server.core.database import open_session
from server.models.evidence import Evidence
from server.models.visits import Attestation, Visit

DAY = timedelta(days=1)
PATH = "/desk/v1/arriving-visits"


async def arriving(ground, home=0, *, days=3, photos=0, silent=False, **result):
    """A visit submitted so many days ago, so many of its photos and perhaps the partner's word still on the way."""
    visit_id = await ground.visit(home, **result)
    async with open_session(ground.services.sessions) as session:
        visit = await session.get_one(Visit, visit_id)
        visit.complete_at, visit.submitted_at = None, utc_now() - days * DAY
        listed = [UUID(photo["id"]) for photo in visit.document["photos"]]
        await session.execute(update(Evidence).where(Evidence.id.in_(listed[:photos])).values(state="announced"))
        if silent:
            await session.execute(delete(Attestation).where(Attestation.visit_id == visit_id))
    return str(visit_id)


async def listed(desk, **request):
    answer = await desk.http.get(PATH, params=request)
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


async def test_what_a_visit_lacks_is_told_and_the_longest_waiting_come_first(ground, desk):
    late = await arriving(ground, 0, days=9, photos=2)
    alone = await arriving(ground, 1, days=4, silent=True)
    both = await arriving(ground, 2, days=2, photos=3, silent=True)
    await ground.examined(3)
    lines = await listed(desk)
    assert [line["visitId"] for line in lines] == [late, alone, both]
    assert [(line["photos"], line["missingPhotos"], line["unattested"]) for line in lines] == [
        (3, 2, []),
        (3, 0, ["周桐岚"]),
        (3, 3, ["周桐岚"]),
    ]
    assert [line["waitedDays"] for line in lines] == [9, 4, 2]
    assert [item["visitId"] for item in await listed(desk, waitedDays=4)] == [late, alone]
    page = (await desk.http.get(PATH, params={"limit": 2})).json()
    rest = (await desk.http.get(PATH, params={"limit": 2, "cursor": page["nextCursor"]})).json()
    assert [item["visitId"] for item in page["items"] + rest["items"]] == [late, alone, both]


async def test_a_photo_of_other_bytes_or_of_another_visit_has_not_come(ground, desk):
    first, second = await arriving(ground, 0), await arriving(ground, 1)
    async with open_session(ground.services.sessions) as session:
        for visit_id, change in ((first, {"sha256": "f" * 64}), (second, {"visit_id": UUID(first)})):
            item = await session.scalar(select(Evidence.id).where(Evidence.visit_id == UUID(visit_id)).limit(1))
            await session.execute(update(Evidence).where(Evidence.id == item).values(**change))
    assert [item["missingPhotos"] for item in await listed(desk)] == [1, 1]


async def test_only_who_reviews_there_sees_them(ground, desk, system):
    await arriving(ground, 0, photos=1)
    elsewhere = await system.sign_in_at_desk("yusonggu", "town_officer")
    assert await listed(elsewhere) == []
    assert await listed(desk, area="339902") == []
    worker = await system.sign_in("linhexi", "caseworker")
    assert (await worker.http.get(PATH)).json()["code"] == "auth.forbidden"
