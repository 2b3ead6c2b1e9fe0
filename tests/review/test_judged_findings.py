"""No visit is accepted over a critical finding that nobody judged, nor over an upheld one without a reason."""

from uuid import UUID

import pytest
from sqlalchemy import update

from server.core.clock import utc_now
from server.models.areas import PolicySetting
from server.models.review import Finding
from tests.phones import make_kit, tiny_photo
from tests.test_first_path import push_whole


@pytest.fixture
async def visit_id(system, county, phone, services):
    """A visit under review with one finding, made critical."""
    due = next(assignment for assignment in county.assignments if assignment.kind == "intake")
    partner = await system.sign_in(due.partner_login, "caseworker")
    kit = await make_kit(phone, partner.id, kind="review", photos=[tiny_photo(1), tiny_photo(2)])
    await push_whole(phone, partner, kit)
    await system.run_jobs()
    async with services.sessions.begin() as session:
        ids = (
            await session.scalars(
                update(Finding)
                .where(Finding.visit_id == UUID(kit.visit["id"]), Finding.superseded_at.is_(None))
                .values(severity="critical")
                .returning(Finding.id)
            )
        ).all()
    assert ids
    return kit.visit["id"]


async def decide(desk, visit_id, **request):
    claim = (await desk.http.post(f"/desk/v1/queue/{visit_id}/claim")).json()
    return await desk.http.post(
        f"/desk/v1/visits/{visit_id}/decision",
        json={"outcome": "accepted", **request},
        headers={"If-Match": f'"{claim["version"]}"'},
    )


async def list_critical(desk, visit_id):
    page = (await desk.http.get(f"/desk/v1/visits/{visit_id}")).json()
    assert {finding["mustBeJudged"] for finding in page["findings"]} == {True}
    return [finding["id"] for finding in page["findings"]]


async def test_a_critical_finding_is_judged_before_the_visit_is_accepted(desk, visit_id):
    critical = await list_critical(desk, visit_id)
    refused = await decide(desk, visit_id)
    assert (refused.status_code, refused.json()["code"]) == (409, "review.findings_not_judged")
    assert str(len(critical)) in refused.json()["detail"]
    some = await decide(desk, visit_id, dismissed=critical[1:])
    assert some.json()["code"] == "review.findings_not_judged"
    assert (await decide(desk, visit_id, dismissed=critical)).status_code == 200


async def test_to_accept_over_an_upheld_finding_takes_a_reason(desk, visit_id):
    critical = await list_critical(desk, visit_id)
    assert (await decide(desk, visit_id, upheld=critical, reason=" ")).json()["code"] == "review.reason_required"
    assert (await decide(desk, visit_id, upheld=critical, reason="已电话核实，金额不受影响")).status_code == 200


async def test_what_was_not_judged_may_still_be_returned(desk, visit_id):
    answer = await decide(desk, visit_id, outcome="returned", reason="请补拍照片")
    assert answer.status_code == 200


async def test_an_area_that_lists_no_severity_leaves_it_to_its_reviewers(desk, visit_id, services):
    async with services.sessions.begin() as session:
        await session.execute(
            update(PolicySetting).where(PolicySetting.key == "review.judged_before_acceptance").values(value=[])
        )
    assert (await decide(desk, visit_id)).status_code == 200


async def test_a_finding_that_no_longer_holds_needs_no_reason(desk, visit_id, services):
    """Upheld, returned, mended: what the visit was returned for is not held against it."""
    critical = await list_critical(desk, visit_id)
    async with services.sessions.begin() as session:
        await session.execute(
            update(Finding)
            .where(Finding.visit_id == UUID(visit_id))
            .values(settled_as="upheld", superseded_at=utc_now())
        )
    assert critical
    assert (await decide(desk, visit_id)).status_code == 200
