"""The queue as reviewers work it: filters, claims, decisions, second thoughts, and two people at once."""

import asyncio
from datetime import date, timedelta
from uuid import UUID

import pytest
from sqlalchemy import func, select, text, update

from server.core.database import open_session
from server.core.ids import new_id
from server.core.job_types import CheckVisit, FoldTallies, RecheckAfterSetting
from server.models.areas import PolicySetting
from server.models.audit import AuditEntry
from server.models.cases import RelativeOnStaff
from server.models.evidence import Evidence
from server.models.people import Staff, StaffRole
from server.models.review import Decision, QueueCount, ReviewItem, SpotCheck
from server.models.visits import Visit, VisitInvestigator
from server.review.rechecks import on_setting_changed
from server.review.run_checks import check_visit
from server.review.tallies import fold_tallies
from tests.makers.visits import MORNING

QUEUE = "/desk/v1/queue"
DAY = timedelta(days=1)


async def decide(desk, visit, outcome="accepted", **body):
    headers = body.pop("headers", {})
    params = {"outcome": outcome, "reason": "理由", **body}
    return await desk.http.post(f"/desk/v1/visits/{visit}/decision", json=params, headers=headers)


async def claim(desk, visit):
    return await desk.http.post(f"{QUEUE}/{visit}/claim")


def shown(answer):
    return [UUID(item["visitId"]) for item in answer.json()["items"]]


async def minute_to_undo(ground):
    """The demo county's decisions are final at once; these tests want the usual minute."""
    async with open_session(ground.services.sessions) as session:
        await session.execute(update(PolicySetting).where(PolicySetting.key == "review.undo_s").values(value=60))


async def test_filters_choose_and_counts_agree_with_them(ground, desk):
    plain = await ground.examined(0)
    short = await ground.examined(1, started_at=MORNING + DAY, minutes=5)
    other = await ground.examined(60, author="wuyanqiu", partner="zhengtangye", kind="neighbour", mode="phone")
    async with open_session(ground.services.sessions) as session:
        (await session.get_one(ReviewItem, plain)).entered_at = MORNING

    async def ask(**query):
        return set(shown(await desk.http.get(QUEUE, params=query)))

    assert await ask() == {plain, short, other}
    assert await ask(kind="neighbour") == {other}
    assert await ask(finding="visit.too_short") == await ask(severity="notice") == {short}
    assert await ask(authorId=str(ground.staff["wuyanqiu"])) == {other}
    assert await ask(area=ground.homes[60].area_code) == {other}
    assert await ask(waitedH=24) == {plain}
    assert await ask(state="decided") == set()
    next_of = await desk.http.post(f"{QUEUE}/claim", params={"authorId": str(ground.staff["wuyanqiu"])})
    assert next_of.json()["visitId"] == str(other)
    assert (await desk.http.post(f"{QUEUE}/claim", params={"waitedH": 24})).json()["visitId"] == str(plain)
    for visit in (plain, other):
        await desk.http.post(f"{QUEUE}/{visit}/release")
    counts = (await desk.http.get(f"{QUEUE}/counts")).json()
    assert (counts["waiting"], counts["claimed"]) == (3, 0)
    assert counts["byKind"] == {"neighbour": 1, "review": 2}
    assert counts["byFinding"] == {"visit.too_short": 1}


async def test_counts_that_are_kept_are_what_counting_gives_whatever_happened(ground, desk, county_desk):
    """Two counties' sums for a supervisor, of which one visit is their own; the town's officer counts by hand."""
    visits = [await ground.examined(n, started_at=MORNING + n * DAY, minutes=35 - 30 * (n % 2)) for n in range(8)]
    async with open_session(ground.services.sessions) as session:
        session.add(VisitInvestigator(visit_id=visits[0], staff_id=desk.id))
    for visit in visits[1:6]:
        await claim(desk, visit)
    await decide(desk, visits[1])
    await decide(desk, visits[2], "returned", questioned=[{"questionId": "savings_fen", "reason": "存折?"}])
    await decide(desk, visits[3])
    await county_desk.http.post(f"/desk/v1/visits/{visits[3]}/reopen", json={"reason": "再看"})
    async with open_session(ground.services.sessions) as session:
        (await session.get_one(ReviewItem, visits[4])).lease_until = MORNING
        (await session.get_one(Visit, visits[2])).state = "submitted"
        (await session.get_one(Visit, visits[7])).ended_at = MORNING + 7 * DAY + timedelta(minutes=20)
    for visit in (visits[2], visits[7]):
        await check_visit(ground.services, CheckVisit(visit_id=visit))

    async def ask(**query):
        body = (await desk.http.get(f"{QUEUE}/counts", params=query)).json()
        by_hand = (await desk.http.get(f"{QUEUE}/counts", params={**query, "waitedH": 0})).json()
        assert body == by_hand
        return body

    for _ in range(2):
        result = await ask()
        assert (result["waiting"], result["claimed"], result["byFinding"]) == (5, 1, {"visit.too_short": 2})
        assert (await ask(finding="visit.too_short"))["waiting"] == 1
        assert (await ask(severity="notice", kind="review", area="339901"))["claimed"] == 1
        assert (await ask(kind="intake"))["oldestEnteredAt"] is None
        await fold_tallies(ground.services, FoldTallies())
    async with ground.services.sessions() as session:
        assert await session.scalar(select(func.sum(QueueCount.items))) == 7


async def test_a_finding_counts_as_days_of_waiting_and_so_nothing_waits_for_ever(ground, desk, system):
    plain = await ground.examined(0)
    short = await ground.examined(1, started_at=MORNING + DAY, minutes=5)
    assert shown(await desk.http.get(QUEUE)) == [short, plain]
    async with open_session(ground.services.sessions) as session:
        (await session.get_one(ReviewItem, plain)).entered_at -= 1.5 * DAY
    assert shown(await desk.http.get(QUEUE)) == [plain, short]
    days = {"info": 0, "notice": 2, "warning": 5, "critical": 25}
    async with open_session(ground.services.sessions) as session:
        session.add(
            PolicySetting(
                key="review.finding_days",
                area_code="339901",
                effective_from=date(2025, 1, 1),
                value=days,
                source="test",
            )
        )
    await on_setting_changed(
        ground.services,
        RecheckAfterSetting(key="review.finding_days", area_code="339901", effective_from=date(2025, 1, 1)),
    )
    await system.run_jobs()
    assert shown(await desk.http.get(QUEUE)) == [short, plain]
    assert await ground.codes(short) == ["visit.too_short"]
    assert (await desk.http.post(f"{QUEUE}/claim")).json()["visitId"] == str(short)


async def test_whoever_claims_the_next_leaves_one_trace_and_renews_what_had_lapsed(ground, desk):
    visit = await ground.examined()
    first = (await desk.http.post(f"{QUEUE}/claim")).json()
    async with open_session(ground.services.sessions) as session:
        await session.execute(update(ReviewItem).values(lease_until=MORNING))
    again = (await desk.http.post(f"{QUEUE}/claim")).json()
    assert (again["visitId"], again["version"]) == (str(visit), first["version"])
    async with ground.services.sessions() as session:
        noted = (await session.scalars(select(AuditEntry).where(AuditEntry.action == "review.claimed"))).one()
    assert (noted.actor_id, noted.thing_id, noted.area_code) == (desk.id, str(visit), ground.homes[0].area_code)
    assert noted.request_id is not None


async def test_the_next_is_the_first_in_order_whether_it_was_never_claimed_or_its_claim_has_lapsed(
    ground, desk, county_desk
):
    visits = [await ground.examined(n, started_at=MORNING + n * DAY) for n in range(5)]
    for visit in visits[1], visits[3], visits[4]:
        await claim(desk, visit)
    async with open_session(ground.services.sessions) as session:
        lapsed = ReviewItem.visit_id.in_([visits[1], visits[3]])
        await session.execute(update(ReviewItem).where(lapsed).values(lease_until=MORNING))
    taken = [(await county_desk.http.post(f"{QUEUE}/claim")).json().get("visitId") for _ in range(5)]
    assert taken == [*map(str, visits[:4]), None]


async def queued(ground, number, priority, hours):
    """A visit in the queue that came `hours` after the first morning; its findings count as `priority` days."""
    visit = await ground.visit(number, started_at=MORNING)
    async with open_session(ground.services.sessions) as session:
        copied = await session.get_one(Visit, visit)
        session.add(
            ReviewItem(
                visit_id=visit,
                area_code=copied.area_code,
                kind=copied.kind,
                household_id=copied.household_id,
                author_id=copied.author_id,
                priority=priority,
                entered_at=MORNING + timedelta(hours=hours),
            )
        )
    return visit


async def test_pages_keep_the_order_and_neither_repeat_nor_skip_while_visits_come_and_go(ground, desk, county_desk):
    """Findings first, a day each, then waiting, then the number of the visit; five have the very same place."""
    places = [(0, 30), (2, 78), (0, 0), (1, 24), (9, 200), (0, 0), (3, 72), (0, 5), (2, 48), (0, 100), (5, 140)]
    at = {await queued(ground, n, priority, hours): hours - 24 * priority for n, (priority, hours) in enumerate(places)}
    in_order = sorted(at, key=lambda visit: (at[visit], visit))
    assert sorted(at.values()).count(0) == 5
    assert in_order not in (sorted(at), sorted(at, reverse=True))

    async def read(limit, between=None):
        page = {"nextCursor": None}
        seen = []
        while True:
            request = {"limit": limit, "cursor": page["nextCursor"]} if page["nextCursor"] else {"limit": limit}
            page = (await desk.http.get(QUEUE, params=request)).json()
            seen += [UUID(item["visitId"]) for item in page["items"]]
            assert len(seen) < 50, "the pages go round"
            if not page["nextCursor"]:
                return seen
            if between:
                await between(seen)

    for limit in (1, 2, 3, 4, 11, 50):
        assert await read(limit) == in_order, limit
    gone, doubted, come = [], [], []

    async def others_work(seen):
        """Of what was read the last is decided; of what was not the last is doubted more; two come, before and after."""
        left = [item for item in in_order if item not in {*seen, *gone, *doubted}]
        await claim(county_desk, seen[-1])
        await decide(county_desk, seen[-1])
        if len(left) > 2:
            await claim(county_desk, left[1])
            await decide(county_desk, left[1])
            gone.append(left[1])
            doubted.append(left[-1])
            async with open_session(ground.services.sessions) as session:
                (await session.get_one(ReviewItem, left[-1])).priority += 100
        come.append(await queued(ground, 11 + len(come), 50, 0))
        come.append(await queued(ground, 11 + len(come), 0, 500 + len(come)))

    seen = await read(3, others_work)
    assert len(seen) == len(set(seen))
    assert [item for item in seen if item in at] == [item for item in in_order if item not in {*gone, *doubted}]
    assert [item for item in seen if item in come] == come[1::2]


async def test_whoever_claims_again_and_again_gets_them_in_the_order_of_the_pages(ground, desk):
    for number, (priority, hours) in enumerate([(0, 30), (2, 78), (0, 0), (1, 24), (9, 200)]):
        await queued(ground, number, priority, hours)
    listed = shown(await desk.http.get(QUEUE))
    taken = [UUID((await desk.http.post(f"{QUEUE}/claim")).json()["visitId"]) for _ in range(5)]
    assert taken == listed


async def test_a_view_is_saved_under_a_name_changed_and_forgotten(desk):
    path = f"{QUEUE}/views/急件"
    await desk.http.put(path, json={"severity": "critical"})
    await desk.http.put(path, json={"severity": "warning", "kind": "intake"})
    views = (await desk.http.get(f"{QUEUE}/views")).json()
    assert [(view["name"], view["filters"]["severity"], view["filters"]["kind"]) for view in views] == [
        ("急件", "warning", "intake")
    ]
    await desk.http.delete(path)
    assert (await desk.http.get(f"{QUEUE}/views")).json() == []


async def test_a_claim_is_kept_by_heartbeat_handed_over_and_given_back(ground, desk, county_desk):
    visit = await ground.examined()
    first = (await claim(desk, visit)).json()
    kept = (await desk.http.post(f"{QUEUE}/{visit}/heartbeat")).json()
    assert kept["version"] == first["version"]
    assert kept["leaseUntil"] >= first["leaseUntil"]
    held = await claim(county_desk, visit)
    assert (held.status_code, held.json()["code"]) == (409, "review.claimed_by_other")
    assert "祝雁回" in held.json()["detail"]
    handed = await desk.http.post(f"{QUEUE}/{visit}/hand-over", json={"toStaffId": str(county_desk.id)})
    assert handed.status_code == 200
    assert (await desk.http.post(f"{QUEUE}/{visit}/heartbeat")).json()["code"] == "review.claimed_by_other"
    assert (await county_desk.http.post(f"{QUEUE}/{visit}/heartbeat")).status_code == 200
    await county_desk.http.post(f"{QUEUE}/{visit}/release")
    assert (await ground.item(visit)).state == "waiting"


async def test_a_claim_is_not_handed_to_whom_could_not_make_it(ground, desk, system):
    visit = await ground.examined()
    elsewhere = ground.staff["yusonggu"]  # officer of another town
    caseworker = ground.staff["hesuian"]
    for person in (elsewhere, caseworker):
        await claim(desk, visit)
        answer = await desk.http.post(f"{QUEUE}/{visit}/hand-over", json={"toStaffId": str(person)})
        assert answer.json()["code"] == "review.holder_unfit"


async def _takes_part(session, visit, person):
    session.add(VisitInvestigator(visit_id=visit, staff_id=person.id))


async def _is_named_as_a_relative(session, visit, person):
    household_id = (await session.get_one(Visit, visit)).household_id
    params = {"name": person.name, "office": "县民政局", "relation": "侄", "declared_on": MORNING.date()}
    session.add(RelativeOnStaff(household_id=household_id, **params))


async def _has_no_role_any_more(session, visit, person):
    await session.execute(update(StaffRole).where(StaffRole.staff_id == person.id).values(revoked_at=MORNING))


async def _has_left(session, visit, person):
    person.disabled_at = MORNING


@pytest.mark.parametrize("spoil", [None, _takes_part, _is_named_as_a_relative, _has_no_role_any_more, _has_left])
async def test_a_colleague_who_may_not_decide_is_handed_nothing(ground, desk, spoil):
    visit, colleague = await ground.examined(), ground.staff["maohetang"]
    await claim(desk, visit)
    async with open_session(ground.services.sessions) as session:
        if spoil:
            await spoil(session, visit, await session.get_one(Staff, colleague))
    answer = await desk.http.post(f"{QUEUE}/{visit}/hand-over", json={"toStaffId": str(colleague)})
    assert (answer.status_code == 200) is (spoil is None)
    if spoil:
        assert answer.json()["code"] == "review.holder_unfit"


async def test_a_return_names_questions_and_photos_of_the_visit_alone_and_the_same_key_the_same_ones(ground, desk):
    """The phone opens at exactly these: one that is not its own would be asked for, and shown nowhere."""
    visit, other = await ground.examined(), await ground.examined(1, started_at=MORNING + DAY)
    async with ground.services.sessions() as session:
        photos = [await session.scalar(select(Evidence.id).where(Evidence.visit_id == item)) for item in (visit, other)]
    own, foreign = ({"questionId": "photo_outside", "evidenceId": str(photo), "reason": "看不清"} for photo in photos)
    savings = {"questionId": "savings_fen", "reason": "存折？"}
    await claim(desk, visit)
    refused = await decide(desk, visit, "returned", questioned=[savings, {**savings, "questionId": "no_such"}, foreign])
    assert refused.json()["code"] == "request.invalid"
    assert [error["pointer"] for error in refused.json()["errors"]] == [
        "/questioned/1/questionId",
        "/questioned/2/evidenceId",
    ]
    key = {"headers": {"Idempotency-Key": "one-act"}}
    done = await decide(desk, visit, "returned", questioned=[savings, own], **key)
    again = await decide(desk, visit, "returned", questioned=[savings, own], **key)
    assert (done.status_code, again.json()) == (200, done.json())
    less = await decide(desk, visit, "returned", questioned=[savings], **key)
    assert less.json()["code"] == "request.idempotency_key_reused"


async def test_a_lapsed_claim_goes_to_the_next_and_may_be_used_while_nobody_took_it(ground, desk, county_desk):
    item, two = await ground.examined(0), await ground.examined(1, started_at=MORNING + DAY)
    for visit in (item, two):
        await claim(desk, visit)
    async with open_session(ground.services.sessions) as session:
        await session.execute(update(ReviewItem).values(lease_until=MORNING))
    assert UUID((await county_desk.http.post(f"{QUEUE}/claim")).json()["visitId"]) == item
    taken = await decide(desk, item)
    assert (taken.status_code, taken.json()["code"]) == (409, "review.claimed_by_other")
    assert "毛荷塘" in taken.json()["detail"]
    assert (await decide(desk, two)).status_code == 200


async def test_nobody_decides_on_their_own_visit_a_relatives_or_elsewhere(ground, system):
    officer = await system.sign_in_at_desk("panhuaixu", "town_officer")
    own, relatives, elsewhere = (
        await ground.examined(0),
        await ground.examined(1, started_at=MORNING + DAY),
        await ground.examined(260, author="shaoquanshi", partner="jiangluting"),
    )
    async with open_session(ground.services.sessions) as session:
        session.add(VisitInvestigator(visit_id=own, staff_id=officer.id))
        session.add(
            RelativeOnStaff(
                id=new_id(),
                household_id=ground.homes[1].id,
                name="潘槐序",
                office="民政办",
                relation="兄弟",
                declared_on=date(2025, 1, 1),
            )
        )
    for visit, code in ((own, "review.own_visit"), (relatives, "review.relative"), (elsewhere, "thing.not_found")):
        assert (await claim(officer, visit)).json()["code"] == code
        assert (await decide(officer, visit)).json()["code"] == code
    assert (await officer.http.get(QUEUE)).json()["items"] == []
    assert (await officer.http.post(f"{QUEUE}/claim")).json()["code"] == "review.queue_empty"
    bulk = await officer.http.post(f"{QUEUE}/accept", json={"visitIds": [str(own), str(relatives)]})
    assert [item["code"] for item in bulk.json()] == ["thing.not_found", "thing.not_found"]


async def test_a_decision_can_be_taken_back_within_the_minute_and_the_case_has_not_moved(ground, desk, system):
    await minute_to_undo(ground)
    visit = await ground.examined(minutes=5)
    await claim(desk, visit)
    finding = (await ground.findings(visit))[0]
    decided = await decide(desk, visit, "returned", upheld=[str(finding.id)])
    assert decided.json()["undoUntil"] > decided.json()["decidedAt"]
    back = await desk.http.post(f"/desk/v1/visits/{visit}/decision/undo")
    assert back.status_code == 200, back.text
    item = await ground.item(visit)
    assert (item.state, item.holder_id) == ("claimed", desk.id)
    assert (await ground.findings(visit))[0].settled_as is None
    async with ground.services.sessions() as session:
        decision = await session.scalar(select(Decision))
        assert decision.undone_why == "undone"
        assert (await session.get_one(Visit, visit)).state == "under_review"
        assert await session.scalar(select(func.count()).where(AuditEntry.action == "review.undone")) == 1
        waits = await session.scalar(
            text("SELECT scheduled_at - now() FROM procrastinate_jobs WHERE task_name = 'cases.visit_decided'")
        )
    assert timedelta(seconds=50) < waits < timedelta(seconds=70)
    assert (await decide(desk, visit)).status_code == 200


async def test_a_decision_taken_back_leaves_what_an_earlier_one_said_of_the_same_doubts(ground, desk, county_desk):
    await minute_to_undo(ground)
    visit = await ground.examined(minutes=5, photos=[{"facts": {"exif": "none"}}, {}])
    short, bare = sorted(await ground.findings(visit), key=lambda finding: finding.code, reverse=True)
    await claim(desk, visit)
    assert (await decide(desk, visit, upheld=[str(short.id)], dismissed=[str(bare.id)])).status_code == 200
    await county_desk.http.post(f"/desk/v1/visits/{visit}/reopen", json={"reason": "举报"})
    await claim(desk, visit)
    assert (await decide(desk, visit, "escalated", dismissed=[str(short.id)])).status_code == 200
    assert {finding.id: finding.settled_as for finding in await ground.findings(visit)} == {
        short.id: "dismissed",
        bare.id: "dismissed",
    }
    assert (await desk.http.post(f"/desk/v1/visits/{visit}/decision/undo")).status_code == 200
    assert {finding.id: finding.settled_as for finding in await ground.findings(visit)} == {
        short.id: "upheld",
        bare.id: "dismissed",
    }
    assert {finding.settled_by for finding in await ground.findings(visit)} == {desk.id}


async def test_a_doubt_is_not_upheld_and_dismissed_at_once(ground, desk):
    visit = await ground.examined(minutes=5)
    await claim(desk, visit)
    finding = str((await ground.findings(visit))[0].id)
    both = await decide(desk, visit, "escalated", upheld=[finding], dismissed=[finding])
    assert (both.status_code, both.json()["code"]) == (400, "request.invalid")
    strange = await decide(desk, visit, "escalated", upheld=[finding], dismissed=[str(new_id())])
    assert strange.json()["code"] == "review.finding_unknown"
    assert (await ground.findings(visit))[0].settled_as is None


async def test_the_same_key_with_other_judgements_is_another_act(ground, desk):
    visit = await ground.examined(minutes=5)
    await claim(desk, visit)
    finding = str((await ground.findings(visit))[0].id)
    key = {"headers": {"Idempotency-Key": "one-act"}}
    done = await decide(desk, visit, "escalated", upheld=[finding], **key)
    again = await decide(desk, visit, "escalated", upheld=[finding], **key)
    assert (done.status_code, again.json()) == (200, done.json())
    other = await decide(desk, visit, "escalated", dismissed=[finding], **key)
    assert other.json()["code"] == "request.idempotency_key_reused"
    assert (await ground.findings(visit))[0].settled_as == "upheld"


async def test_after_the_minute_a_decision_stays_and_another_persons_always(ground, desk, county_desk):
    visit = await ground.examined()
    await claim(desk, visit)
    await decide(desk, visit)
    late = await desk.http.post(f"/desk/v1/visits/{visit}/decision/undo")
    assert late.json()["code"] == "review.undo_too_late"
    assert (await county_desk.http.post(f"/desk/v1/visits/{visit}/decision/undo")).json()[
        "code"
    ] == "review.not_decided"


async def test_a_supervisor_puts_a_decided_visit_before_a_reviewer_again(ground, desk, county_desk, system):
    visit = await ground.examined()
    await claim(desk, visit)
    await decide(desk, visit)
    officer = await system.sign_in_at_desk("panhuaixu", "town_officer")
    path = f"/desk/v1/visits/{visit}/reopen"
    assert (await officer.http.post(path, json={"reason": "举报"})).json()["code"] == "auth.forbidden"
    assert (await county_desk.http.post(path, json={"reason": "举报"})).status_code == 204
    await claim(county_desk, visit)
    assert (await decide(county_desk, visit, "escalated")).status_code == 200
    async with ground.services.sessions() as session:
        rows = await session.execute(select(Decision.outcome, Decision.undone_why).order_by(Decision.decided_at))
        assert rows.all() == [("accepted", "reopened"), ("escalated", None)]


async def test_many_are_accepted_at_once_only_where_nothing_is_doubted(ground, desk):
    clean = await ground.examined(0)
    remark = await ground.examined(1, started_at=MORNING + DAY, photos=[{"facts": {"exif": "none"}}, {}])
    doubted = await ground.examined(2, started_at=MORNING + 2 * DAY, minutes=5)
    request = [str(item) for item in (clean, remark, doubted, new_id())]
    answer = (await desk.http.post(f"{QUEUE}/accept", json={"visitIds": request})).json()
    assert [item["code"] for item in answer] == [None, "review.has_findings", "review.has_findings", "thing.not_found"]
    async with open_session(ground.services.sessions) as session:
        tolerated = ["photo.without_camera_facts", "visit.too_short"]
        await session.execute(
            update(PolicySetting).where(PolicySetting.key == "review.bulk_tolerates").values(value=tolerated)
        )
    answer = (await desk.http.post(f"{QUEUE}/accept", json={"visitIds": request})).json()
    assert [item["code"] for item in answer] == ["review.decided", None, "review.has_findings", "thing.not_found"]
    async with ground.services.sessions() as session:
        rows = await session.scalars(
            select(AuditEntry.thing_id).where(
                AuditEntry.action == "review.decided", AuditEntry.facts["in_bulk"].as_boolean()
            )
        )
        assert sorted(rows) == sorted([str(clean), str(remark)])


async def test_an_amended_visit_is_to_be_decided_again(ground, desk):
    visit = await ground.examined()
    await claim(desk, visit)
    await decide(desk, visit, "returned", questioned=[{"questionId": "savings_fen", "reason": "存折？"}])
    async with open_session(ground.services.sessions) as session:
        (await session.get_one(Visit, visit)).state = "submitted"
    await check_visit(ground.services, CheckVisit(visit_id=visit))
    assert (await ground.item(visit)).state == "waiting"
    async with ground.services.sessions() as session:
        assert (await session.get_one(Visit, visit)).state == "under_review"
        assert (await session.scalar(select(Decision.undone_why))) == "amended"


async def test_ordering_a_spot_check_makes_one_and_undoing_cancels_it(ground, desk):
    await minute_to_undo(ground)
    visit = await ground.examined()
    await claim(desk, visit)
    await decide(desk, visit, "spot_check")
    await desk.http.post(f"/desk/v1/visits/{visit}/decision/undo")
    async with ground.services.sessions() as session:
        assert (await session.scalars(select(SpotCheck.state))).all() == ["cancelled"]


# --- at once ---


async def test_of_two_who_decide_at_once_one_wins_and_the_other_is_told_who(ground, desk, county_desk):
    """One let the claim lapse and decides as the other, who holds it now, does."""
    for turn in range(4):
        visit = await ground.examined(turn, started_at=MORNING + turn * DAY)
        await claim(desk, visit)
        async with open_session(ground.services.sessions) as session:
            await session.execute(update(ReviewItem).where(ReviewItem.visit_id == visit).values(lease_until=MORNING))
        await claim(county_desk, visit)
        lost, won = await asyncio.gather(decide(desk, visit, "returned"), decide(county_desk, visit))
        assert (lost.status_code, won.status_code) == (409, 200)
        assert lost.json()["code"] in {"review.decided", "review.claimed_by_other"}
        assert "毛荷塘" in lost.json()["detail"]


async def test_of_two_windows_of_one_reviewer_one_decides_and_the_other_reads_what(ground, desk):
    visit = await ground.examined()
    await claim(desk, visit)
    answers = await asyncio.gather(
        decide(desk, visit), decide(desk, visit, "escalated"), decide(desk, visit, "returned")
    )
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409]
    won = next(answer.json() for answer in answers if answer.status_code == 200)
    for lost in (answer.json() for answer in answers if answer.status_code == 409):
        assert lost["code"] == "review.decided"
        assert won["outcome"] in lost["detail"]


async def test_thirty_two_who_claim_at_once_never_get_the_same_visit(ground, desk, county_desk, system):
    homes = [await ground.examined(n, started_at=MORNING + n * DAY) for n in range(1)]
    others = [await system.sign_in_at_desk(login, "supervisor") for login in ["zhuyanhui"]]
    async with open_session(ground.services.sessions) as session:
        first = await session.get_one(ReviewItem, homes[0])
        visit = await session.get_one(Visit, homes[0])
        for _ in range(39):
            copy = {column.name: getattr(visit, column.key) for column in Visit.__table__.columns} | {"id": new_id()}
            session.add(Visit(**copy))
            await session.flush()
            item = {
                column.name: getattr(first, column.key)
                for column in ReviewItem.__table__.columns
                if column.computed is None
            }
            session.add(ReviewItem(**item | {"visit_id": copy["id"]}))
    people = [desk, county_desk, *others]

    async def take(number):
        return await people[number % len(people)].http.post(f"{QUEUE}/claim")

    answers = await asyncio.gather(*(take(number) for number in range(48)))
    taken = [answer.json()["visitId"] for answer in answers if answer.status_code == 200]
    assert len(taken) == len(set(taken)) == 40
    assert {answer.json()["code"] for answer in answers if answer.status_code != 200} == {"review.queue_empty"}


async def test_a_decision_and_an_examination_that_cross_wait_for_each_other(ground, desk):
    visits = [await ground.examined(n, started_at=MORNING + n * DAY) for n in range(4)]
    for visit in visits:
        await claim(desk, visit)
    looks = [check_visit(ground.services, CheckVisit(visit_id=visit)) for visit in visits]
    answers = await asyncio.gather(*looks, *(decide(desk, visit) for visit in visits))
    assert [answer.status_code for answer in answers[4:]] == [200] * 4
    assert {(await ground.item(visit)).state for visit in visits} == {"decided"}
