"""A link to a photo: of minutes, for one rendition, within scope, logged with who and why, whole or in part."""

import asyncio
import urllib.error
import urllib.request
from datetime import datetime, timedelta
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import pytest
from sqlalchemy import select, update

from server.core.clock import utc_now
from server.core.database import open_session
from server.models.audit import AuditEntry
from server.models.evidence import Evidence
from tests.evidence.conftest import drawn


async def ask(who, kit, rendition="1280", number=0):
    url = f"/desk/v1/visits/{kit.visit['id']}/photos/{kit.evidence[number]['id']}/link"
    return await who.http.get(url, params={"rendition": rendition})


def fetch(url, **headers):
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10) as answer:
        return dict(answer.headers), answer.read()


@drawn
async def test_a_link_opens_the_photo_whole_and_in_part_and_for_minutes_alone(settings, desk, kit):
    result = (await ask(desk, kit, "original")).json()
    original = kit.photos[kit.evidence[0]["id"]]
    headers, body = await asyncio.to_thread(fetch, result["url"])
    assert (headers["Content-Type"], body) == ("image/jpeg", original)
    for request, start, end in (
        ("0-99", 0, 100),
        ("5000-", 5000, len(original)),
        ("-7", len(original) - 7, len(original)),
    ):
        headers, body = await asyncio.to_thread(fetch, result["url"], Range=f"bytes={request}")
        assert body == original[start:end]
        assert headers["Content-Range"] == f"bytes {start}-{end - 1}/{len(original)}"
    ends = datetime.fromisoformat(result["expiresAt"]) - utc_now()
    assert timedelta(minutes=settings.link_minutes - 1) < ends <= timedelta(minutes=settings.link_minutes)
    assert parse_qs(urlsplit(result["url"]).query)["X-Amz-Expires"] == [str(settings.link_minutes * 60)]


async def test_a_link_to_one_rendition_opens_no_other(desk, kit):
    url = (await ask(desk, kit, "320")).json()["url"]
    of_another = url.replace(kit.evidence[0]["sha256"], kit.evidence[1]["sha256"])
    for other in (url.replace("/320.jpg", "/1280.jpg"), of_another):
        assert other != url
        with pytest.raises(urllib.error.HTTPError, match="403"):
            await asyncio.to_thread(fetch, other)


async def test_no_link_is_given_to_a_photo_nobody_has_looked_at_or_whose_bytes_are_gone(services, desk, kit):
    first = UUID(kit.evidence[0]["id"])
    for change, code in (
        ({"state": "received"}, "photo.not_ready"),
        ({"erased_at": utc_now()}, "photo.erased"),
    ):
        async with open_session(services.sessions) as session:
            await session.execute(update(Evidence).where(Evidence.id == first).values(**change))
        for rendition in ("320", "1280", "original", "watermarked"):
            assert (await ask(desk, kit, rendition)).json()["code"] == code


async def test_who_had_a_link_and_why_is_logged(services, desk, kit):
    """Before the claim, with it, and when it is decided."""
    visit_id = kit.visit["id"]
    assert (await ask(desk, kit)).status_code == 200
    claim = await desk.http.post(f"/desk/v1/queue/{visit_id}/claim")
    assert claim.status_code == 200, claim.text
    assert (await ask(desk, kit, "original")).status_code == 200
    decision = await desk.http.post(
        f"/desk/v1/visits/{visit_id}/decision",
        json={"outcome": "accepted"},
        headers={"If-Match": f'"{claim.json()["version"]}"', "Idempotency-Key": "one"},
    )
    assert decision.status_code == 200, decision.text
    assert (await ask(desk, kit, "320", number=1)).status_code == 200
    async with open_session(services.sessions) as session:
        rows = await session.scalars(
            select(AuditEntry).where(AuditEntry.action == "photo.linked").order_by(AuditEntry.id)
        )
        lines = [(row.actor_id, str(row.thing_id), row.facts["rendition"], row.facts["why"]) for row in rows]
    first, second = (item["id"] for item in kit.evidence[:2])
    assert lines == [
        (desk.id, first, "1280", "oversight"),
        (desk.id, first, "original", "review"),
        (desk.id, second, "320", "decided"),
    ]


async def test_no_link_is_given_to_phones_or_to_desks_of_other_areas(system, services, county, phone, kit):
    assert (await ask(phone, kit)).status_code == 403
    home = (await phone.pull("households"))[kit.visit["householdId"]]["areaCode"]
    other = next(
        staff_member
        for staff_member in county.staff
        if staff_member.role == "town_officer" and not home.startswith(staff_member.area_code[:9])
    )
    stranger = await system.sign_in(other.login, "town_officer")
    assert (await ask(stranger, kit)).status_code == 404
    async with open_session(services.sessions) as session:
        assert not (await session.scalars(select(AuditEntry).where(AuditEntry.action == "photo.linked"))).all()
