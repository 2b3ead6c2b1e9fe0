"""Each lie, planted alone in an honest visit, raises its own doubt; and the honest visit raises none."""

import asyncio
import inspect
import re
from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from PIL import Image, ImageDraw, ImageOps
from sqlalchemy import delete, select, update

from server.core.clock import utc_now
from server.core.database import open_session
from server.core.ids import new_id
from server.core.job_types import CheckVisit, RecheckAfterSetting, RecheckVisit
from server.core.paths import ROOT
from server.demo.staff import DEMO_PASSWORDS
from server.models.areas import PolicySetting
from server.models.cases import BankAccount
from server.models.people import Device, ResidentBinding, Staff
from server.models.review import SEEN_KEYPOINT, Finding, SeenPhoto
from server.models.visits import Attestation, Visit
from server.photos.near_duplicates import backfill_keypoints, find_by_fingerprint
from server.review.checks import presence, registry
from server.review.checks.registry import CHECKS, Check, reads_photos, render_finding
from server.review.context_queries import load_check_context
from server.review.rechecks import on_setting_changed
from server.review.run_checks import check_visit, recheck_visit
from tests.households.test_proposals import make_proposal
from tests.makers.identities import find_resident, make_resident, openid_of
from tests.makers.photos import make_scene
from tests.makers.visits import MORNING
from tests.phones import step_up

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


async def test_an_honest_visit_raises_no_doubt_at_all(ground):
    visit = await ground.examined()
    assert await ground.codes(visit) == []
    item = await ground.item(visit)
    assert (item.state, item.priority, item.finding_codes, item.gravest) == ("waiting", 0, [], -1)


# From the start of the visit to what is told of it.
PLANTED: dict[str, Callable[[datetime], dict[str, Any]]] = {
    "visit.far_from_home": lambda at: {"end_fix": {"latitude": 28.0}},
    "visit.accuracy_doubtful": lambda at: {"start_fix": {"accuracyM": 0}},
    "visit.without_fix": lambda at: {"document": {"endFix": None, "noFixReason": "接收器坏了"}},
    "visit.partners_apart": lambda at: {"partner_fix": {"latitude": 28.0}},
    "visit.too_short": lambda at: {"minutes": 5},
    "visit.at_night": lambda at: {"started_at": at + 12.5 * HOUR},
    "visit.clock_off": lambda at: {"device": {"clock_offset_ms": 40 * 60_000}},
    "visit.long_offline": lambda at: {"received_after": 9 * DAY},
    "visit.kind_needs_order": lambda at: {"kind": "complaint"},
    "visit.unordered_without_reason": lambda at: {"document": {"unorderedReason": ""}},
    "visit.one_phone_for_two": lambda at: {"device": {"hardware_id": "one"}, "partner_device": {"hardware_id": "one"}},
    "income.found_differs": lambda at: {
        "answers": {
            "income": [
                {
                    "kind": "wages",
                    "declaredFen": 50_000,
                    "foundFen": 180_000,
                    "periodFrom": "2025-01",
                    "periodTo": "2025-10",
                    "note": "",
                }
            ]
        }
    },
    "photo.time_off": lambda at: {"photos": [{"facts": {"capturedAt": (at - 5 * HOUR).isoformat()}}, {}]},
    "photo.place_off": lambda at: {"photos": [{"facts": {"position": {"latitude": 30.0, "longitude": 118.9}}}, {}]},
    "photo.edited": lambda at: {"photos": [{"facts": {"software": "Adobe Photoshop 27.1"}}, {}]},
    "photo.like_a_screenshot": lambda at: {
        "photos": [{"facts": {"width": 1080, "height": 2400, "cameraModel": None, "exif": "read"}}, {}]
    },
    "photo.too_few": lambda at: {"photos": [{}]},
    "photo.not_listed": lambda at: {"answers": {"photo_outside": [str(new_id())]}},
    "photo.late": lambda at: {"photos": [{"after": 5 * DAY}, {}]},
    "photo.without_camera_facts": lambda at: {"photos": [{"facts": {"exif": "none"}}, {}]},
    "photo.refused": lambda at: {"photos": [{"state": "refused", "refused_code": "photo.truncated"}, {}]},
    "signature.twice": lambda at: {"signatures": [{"photo": 0, "name": "甲"}, {"photo": 0, "name": "乙"}]},
}


async def test_one_lie_raises_its_own_doubt_and_no_other(ground):
    raised = {}
    for number, (code, lie) in enumerate(PLANTED.items()):
        params = {"started_at": MORNING + number * 3 * DAY, **lie(MORNING + number * 3 * DAY)}
        raised[code] = await ground.codes(await ground.examined(number, **params))
    assert raised == {code: [code] for code in PLANTED}


async def test_a_camera_ahead_of_the_clock_is_after_receipt(ground):
    ahead = (MORNING + 3 * DAY).isoformat()
    visit = await ground.examined(photos=[{"facts": {"capturedAt": ahead}}, {}])
    assert await ground.codes(visit) == ["photo.after_receipt", "photo.time_off"]


async def test_answers_about_one_member_that_contradict_each_other(ground):
    home = next(n for n, home in enumerate(ground.homes) if len(home.members) >= 3)
    first, *others = ground.homes[home].members
    rest = [ground.member(other) for other in others]
    year = {"periodFrom": "2024-11", "periodTo": "2025-10", "note": ""}
    wages = [{"kind": "wages", "declaredFen": 1_200_000, "foundFen": 1_200_000, **year}]
    lies: dict[str, dict[str, Any]] = {
        "answers.school_and_job": {"school": "upper", "occupation": "employed", "monthly_earnings_fen": 100_000},
        "answers.labour_against_age": {"labour": "minor"},
        "answers.earnings_against_income": {"occupation": "employed", "monthly_earnings_fen": 300_000},
    }
    for number, (code, lie) in enumerate(lies.items()):
        started = MORNING + number * 30 * DAY
        answers = {"members": [ground.member(first, **lie), *rest], "income": wages}
        visit = await ground.examined(home, started_at=started, answers=answers)
        assert await ground.codes(visit) == [code]


async def test_compulsory_school_at_sixty_is_doubted(ground):
    home, member = next(
        (n, member)
        for n, household in enumerate(ground.homes)
        for member in household.members
        if member.born_on.year < 1970
    )
    rows = [
        ground.member(item, **({"school": "compulsory"} if item.id == member.id else {}))
        for item in ground.homes[home].members
    ]
    visit = await ground.examined(home, answers={"members": rows})
    assert await ground.codes(visit) == ["answers.school_against_age"]


async def test_fewer_people_than_registered_and_than_at_the_last_visit(ground):
    home = next(n for n, home in enumerate(ground.homes) if len(home.members) >= 2)
    members = ground.homes[home].members
    await ground.examined(home)
    gone = [ground.member(members[0], lives_here=False), *(ground.member(member) for member in members[1:])]
    visit = await ground.examined(home, started_at=MORNING + 40 * DAY, answers={"members": gone})
    assert await ground.codes(visit) == [
        "answers.members_differ_from_last_visit",
        "answers.members_differ_from_register",
    ]
    result = await ground.examined(
        home,
        started_at=MORNING + 80 * DAY,
        answers={"members": [ground.member(member) for member in members], "members_changed": True},
    )
    assert await ground.codes(result) == []


async def test_a_disability_that_is_gone_since_the_last_visit(ground):
    members = ground.homes[0].members
    disabled = [ground.member(members[0], health="disabled_severe"), *(ground.member(member) for member in members[1:])]
    healthy = [ground.member(members[0], health="healthy"), *(ground.member(member) for member in members[1:])]
    await ground.examined(answers={"members": disabled})
    visit = await ground.examined(started_at=MORNING + 40 * DAY, answers={"members": healthy})
    assert await ground.codes(visit) == ["answers.disability_gone"]


async def test_the_same_coordinates_in_two_homes_mark_both_visits(ground, system):
    here, near = ground.neighbours()
    item = await ground.examined(here)
    async with ground.services.sessions() as session:
        copied = (await session.get_one(Visit, item)).document["startFix"]
    place = {name: copied[name] for name in ("latitude", "longitude")}
    two = await ground.examined(near, started_at=MORNING + 2 * DAY, start_fix=place)
    assert await ground.codes(two) == ["visit.same_coordinates"]
    await system.run_jobs()
    assert await ground.codes(item) == ["visit.same_coordinates"]
    facts = (await ground.findings(two))[0].facts
    assert facts == {"moment": "start", "hoursApart": 48.0, "visitId": str(item), "otherHousehold": True}
    assert "2 days apart" in render_finding("visit.same_coordinates", facts)["en"]


async def test_a_fix_that_wechat_repeats_within_half_a_minute_is_no_doubt(ground):
    at = ground.fix(ground.homes[0], MORNING)
    place = {name: at[name] for name in ("latitude", "longitude")}
    item = await ground.examined(0, start_fix=place, partner_fix={"capturedAt": MORNING.isoformat()})
    later = {**place, "capturedAt": (MORNING + timedelta(seconds=30)).isoformat()}
    two = await ground.examined(0, author="wuyanqiu", partner="zhengtangye", start_fix=later)
    assert await ground.codes(item) == await ground.codes(two) == []


async def test_one_accuracy_for_ten_fixes_is_doubted_and_nine_are_not(ground):
    same = {"start_fix": {"accuracyM": 15.0}, "end_fix": {"accuracyM": 15.0}}
    visits = [await ground.examined(n, started_at=MORNING + n * DAY, **same) for n in range(5)]
    assert [await ground.codes(visit) for visit in visits] == [[], [], [], [], ["visit.same_accuracy"]]


async def test_a_fifth_visit_in_a_row_without_a_change_is_marked_and_one_change_ends_the_row(ground):
    def offered(home: int, *, left_out: int = 0) -> dict[str, Any]:
        members = ground.homes[home].members[left_out:]
        return {"unchanged": [{"questionId": "members", "memberId": str(member.id)} for member in members]}

    marked = ["answers.always_unchanged"]
    visits = [
        await ground.examined(n, started_at=MORNING + n * DAY, document=offered(n, left_out=n == 5)) for n in range(7)
    ]
    assert [await ground.codes(visit) for visit in visits] == [[], [], [], [], marked, [], []]
    facts = (await ground.findings(visits[4]))[0].facts
    assert facts == {"visits": 5}
    # Visits to which nothing was offered neither count nor end the row.
    assert await ground.codes(await ground.examined(7, started_at=MORNING + 8 * DAY)) == []


async def test_an_attestation_without_a_fix_says_why_and_is_marked(ground):
    visit = await ground.visit()
    async with open_session(ground.services.sessions) as session:
        attestation = (await session.scalars(select(Attestation).where(Attestation.visit_id == visit))).one()
        attestation.document = {"fix": None, "noFixReason": "没有信号"}
    await check_visit(ground.services, CheckVisit(visit_id=visit))
    assert await ground.codes(visit) == ["visit.without_fix"]
    assert (await ground.findings(visit))[0].facts["moment"] == "attestation"


async def test_a_phone_that_three_workers_use(ground):
    shared = {"hardware_id": "lent"}
    item = await ground.examined(0, device=shared)
    two = await ground.examined(1, author="wuyanqiu", partner="zhengtangye", device=shared)
    three = await ground.examined(2, author="hesuian", partner="xuyuning", device=shared)
    assert [await ground.codes(item) for item in (item, two, three)] == [
        [],
        ["visit.phone_shared"],
        ["visit.phone_shared"],
    ]
    assert (await ground.findings(three))[0].facts["people"] == 3


async def test_an_account_of_somebody_who_is_no_member_is_shown_to_the_reviewer(ground):
    holders = {6: ground.homes[6].members[0].name, 7: "贺麦舟"}
    async with open_session(ground.services.sessions) as session:
        for home, holder in holders.items():
            session.add(
                BankAccount(
                    household_id=ground.homes[home].id, holder_name=holder, bank_name="农商行", card_sealed=b"",
                    card_mask="*",
                )
            )  # fmt: skip
    own, others = [await ground.examined(home, started_at=MORNING + home * DAY) for home in holders]
    assert await ground.codes(own) == []
    assert await ground.codes(others) == ["household.account_of_another"]


async def test_a_worker_whose_wechat_account_speaks_for_a_family(ground):
    async with open_session(ground.services.sessions) as session:
        worker = await session.get_one(Staff, ground.staff["linhexi"])
        openid = await openid_of(session, worker)
        assert openid is not None
        resident = await find_resident(session, openid) or await make_resident(session, openid)
        home = ground.homes[5]
        binding = ResidentBinding(resident_id=resident.id, household_id=home.id, member_id=home.members[0].id)
        session.add(binding)
    visit = await ground.examined(0)
    assert await ground.codes(visit) == ["visit.wechat_also_resident"]
    async with open_session(ground.services.sessions) as session:
        (await session.get_one(ResidentBinding, binding.id)).ended_at = MORNING + DAY + HOUR
    ended_after, free = [await ground.examined(n, started_at=MORNING + n * DAY) for n in (1, 2)]
    assert await ground.codes(ended_after) == ["visit.wechat_also_resident"]
    assert await ground.codes(free) == []


async def test_a_wechat_account_that_was_passed_on_or_tried_for_another_is_doubted(ground, system):
    """Linked by one, then by the next once the first had another; a third is refused it, and has tried."""

    async def link(login, code):
        phone = await system.sign_in(login, "caseworker")
        headers = await step_up(phone.http, DEMO_PASSWORDS["caseworker"])
        return await phone.http.post("/auth/v1/staff/link-wechat", json={"code": code}, headers=headers)

    today = utc_now() - HOUR
    assert (await link("linhexi", "demo-lent-1")).status_code == 204
    honest = await ground.examined(0, started_at=today)
    assert "visit.wechat_shared" not in await ground.codes(honest)
    assert (await link("linhexi", "demo-new-1")).status_code == 204
    assert (await link("hesuian", "demo-lent-2")).status_code == 204
    assert (await link("xuyuning", "demo-lent-3")).json()["code"] == "auth.wechat_linked_elsewhere"
    for home, author in ((1, "linhexi"), (2, "hesuian"), (3, "xuyuning")):
        visit = await ground.examined(home, author=author, partner="wuyanqiu", started_at=today + home * DAY)
        found = next(finding for finding in await ground.findings(visit) if finding.code == "visit.wechat_shared")
        assert found.facts["people"] == 3
    visit = await ground.examined(4, author="wuyanqiu", partner="zhengtangye", started_at=today + 4 * DAY)
    assert "visit.wechat_shared" not in await ground.codes(visit)
    later = await ground.examined(5, author="hesuian", partner="wuyanqiu", started_at=today + 90 * DAY)
    assert "visit.wechat_shared" not in await ground.codes(later)


async def test_visits_that_overlap_mark_each_other(ground, system):
    item = await ground.examined(0)
    two = await ground.examined(1, author="zhoutonglan", partner="linhexi", started_at=MORNING + timedelta(minutes=20))
    assert await ground.codes(two) == ["visit.overlaps"]
    assert (await ground.findings(two))[0].facts["sharedMinutes"] == 15.0
    await system.run_jobs()
    assert await ground.codes(item) == ["visit.overlaps"]


async def test_five_visits_within_the_hour_are_a_burst(ground, system):
    visits = [await ground.examined(n, started_at=MORNING + timedelta(minutes=10 * n), minutes=9) for n in range(5)]
    await system.run_jobs()
    for visit in visits:
        assert "visit.burst" in await ground.codes(visit)


async def test_travel_beyond_any_road(ground):
    await ground.examined(0)
    far = {"latitude": 30.9, "longitude": 118.9}
    visit = await ground.examined(1, started_at=MORNING + timedelta(minutes=50), start_fix=far)
    assert set(await ground.codes(visit)) == {"visit.far_from_home", "visit.partners_apart", "visit.travelled_too_fast"}


async def test_the_second_investigator_cannot_fly_either(ground, system):
    """Made with one colleague here, attested for another there; whichever of the two visits comes first."""
    far = {"latitude": 30.9, "longitude": 118.9}
    own = {"start_fix": far, "end_fix": far, "partner_fix": far}
    here = await ground.examined(0, author="linhexi", partner="zhoutonglan")
    there = await ground.examined(
        1, author="hesuian", partner="zhoutonglan", started_at=MORNING + timedelta(minutes=50), **own
    )
    assert "visit.travelled_too_fast" in await ground.codes(there)
    found = next(finding for finding in await ground.findings(there) if finding.code == "visit.travelled_too_fast")
    assert found.facts["staffId"] == str(ground.staff["zhoutonglan"])
    assert found.facts["previousVisitId"] == str(here)
    next_day = {"started_at": MORNING + DAY + timedelta(minutes=50), "author": "hesuian", "partner": "zhoutonglan"}
    later = await ground.examined(1, **next_day, **own)
    assert "visit.travelled_too_fast" not in await ground.codes(later)
    await ground.examined(0, author="linhexi", partner="zhoutonglan", started_at=MORNING + DAY)
    await system.run_jobs()
    assert "visit.travelled_too_fast" in await ground.codes(later)


async def test_of_a_pair_that_flew_together_one_doubt_is_enough(ground):
    far = {"latitude": 30.9, "longitude": 118.9}
    await ground.examined(0)
    both = {"start_fix": far, "end_fix": far, "partner_fix": far}
    visit = await ground.examined(1, started_at=MORNING + timedelta(minutes=50), **both)
    assert (await ground.codes(visit)).count("visit.travelled_too_fast") == 1


@pytest.mark.parametrize(
    ("ahead_s", "doubted"), [((0, 0), True), ((100, -110), False), ((-100, 110), True), ((100, 100), True)]
)
async def test_an_overlap_that_the_two_clocks_explain_is_none(ground, ahead_s, doubted):
    """The second begins two minutes before the first ends, by two phones of which one may be ahead."""
    for login, seconds in zip(("linhexi", "zhoutonglan"), ahead_s, strict=True):
        async with open_session(ground.services.sessions) as session:
            device_id = await ground.device_of(session, ground.staff[login])
            (await session.get_one(Device, device_id)).clock_offset_ms = seconds * 1000
    await ground.examined(0)
    begun = MORNING + timedelta(minutes=33)
    two = await ground.examined(1, author="zhoutonglan", partner="linhexi", started_at=begun)
    assert ("visit.overlaps" in await ground.codes(two)) is doubted


async def test_a_wall_photographed_again_is_worth_a_glance_and_another_homes_more(ground, system):
    bits = f"{ground.dice.getrandbits(256):0256b}"
    nearly = "".join("10"[int(bit)] if n % 10 == 0 else bit for n, bit in enumerate(bits))
    item = await ground.examined(0, photos=[{"bits": bits}, {}])
    again = await ground.examined(0, started_at=MORNING + DAY, photos=[{"bits": nearly}, {}])
    assert [(found.code, found.severity) for found in await ground.findings(again)] == [("photo.like_earlier", "info")]
    await system.run_jobs()
    assert await ground.codes(item) == ["photo.like_earlier"]
    other = await ground.examined(1, started_at=MORNING + 2 * DAY, photos=[{"bits": bits}, {}])
    assert await ground.codes(other) == ["photo.near_duplicate"]
    await system.run_jobs()
    assert await ground.codes(item) == ["photo.like_earlier", "photo.near_duplicate"]


async def test_a_visit_that_comes_late_changes_what_was_found_of_the_next(ground, system):
    """The next visit seemed to follow another: with the one between, nobody had to fly."""
    far = {"latitude": 30.9, "longitude": 118.9}
    third = await ground.examined(1, started_at=MORNING + timedelta(minutes=80))
    assert await ground.codes(third) == []
    second = await ground.examined(0, end_fix=far)
    assert await ground.codes(second) == ["visit.far_from_home"]
    await system.run_jobs()
    assert await ground.codes(third) == ["visit.travelled_too_fast"]


async def test_the_same_bytes_in_two_homes_and_a_signature_that_was_used_before(ground):
    await ground.examined(0, photos=[{"sha256": "a" * 64}, {"sha256": "b" * 64}])
    photos = [{"sha256": "a" * 64, "known": True}, {"sha256": "b" * 64, "known": True}]
    visit = await ground.examined(1, started_at=MORNING + DAY, photos=photos, signatures=[{"photo": 1, "name": "甲"}])
    assert await ground.codes(visit) == ["photo.reused", "photo.time_off", "photo.time_off", "signature.twice"]


async def test_a_picture_that_looks_the_same_is_found_whatever_its_bytes(ground, system):
    bits = f"{ground.dice.getrandbits(256):0256b}"
    nearly = "".join("10"[int(bit)] if n % 10 == 0 else bit for n, bit in enumerate(bits))
    item = await ground.examined(0, photos=[{"bits": bits}, {}])
    two = await ground.examined(1, started_at=MORNING + DAY, photos=[{"bits": nearly}, {}])
    assert await ground.codes(two) == ["photo.near_duplicate"]
    assert (await ground.findings(two))[0].facts["bits"] == 26
    await system.run_jobs()
    assert await ground.codes(item) == ["photo.near_duplicate"]


SCREEN = (1080, 2340)


def screenshot(picture):
    """As a phone shows a photo: black above and below, the clock and the bar to swipe on it."""
    screen = Image.new("RGB", SCREEN, (0, 0, 0))
    shown = picture.resize((SCREEN[0], SCREEN[0] * picture.height // picture.width))
    screen.paste(shown, (0, (SCREEN[1] - shown.height) // 2))
    pen = ImageDraw.Draw(screen)
    pen.text((60, 30), "18:42      5G 87%", font_size=44, fill=(255, 255, 255))
    pen.rectangle((400, SCREEN[1] - 30, 680, SCREEN[1] - 20), fill=(255, 255, 255))
    return screen


@pytest.mark.parametrize(
    ("change", "changes", "shown_percent"),
    [
        (lambda i: i.crop((0, 0, i.width, int(i.height * 0.95))), ["cut"], 95),
        (lambda i: i.crop((36, 27, i.width - 36, i.height - 27)), ["cut"], 88),
        (lambda i: i.crop((96, 0, i.width - 24, i.height - 90)), ["cut"], 81),
        (ImageOps.mirror, ["mirrored"], None),
        (lambda i: ImageOps.mirror(i).crop((0, 90, i.width, i.height)), ["cut", "mirrored"], 90),
        (lambda i: i.rotate(2, Image.Resampling.BICUBIC).crop((48, 36, 1152, 864)), ["cut", "turned"], 85),
        (screenshot, ["none"], None),
        (lambda i: ImageOps.expand(i, 40, (255, 255, 255)), ["none"], None),
    ],
    ids=["bottom cut", "cut all round", "cut askew", "mirrored", "mirrored and cut", "turned", "screenshot", "border"],
)
@pytest.mark.parametrize("changed_first", [False, True], ids=["later", "earlier"])
async def test_a_picture_changed_or_framed_is_found_whichever_was_first(
    ground, change, changes, shown_percent, changed_first
):
    picture = make_scene(5)
    first, second = (change(picture), picture) if changed_first else (picture, change(picture))
    await ground.examined(0, photos=[{"picture": first}, {"picture": make_scene(6)}])
    two = await ground.examined(1, started_at=MORNING + DAY, photos=[{"picture": second}, {"picture": make_scene(7)}])
    assert await ground.codes(two) == ["photo.near_duplicate"]
    facts = (await ground.findings(two))[0].facts
    assert facts["bits"] <= facts["limitBits"] == (23 if changes != ["none"] else 31)
    assert facts["changes"] == changes
    assert facts.get("shownPercent") == (None if shown_percent is None else pytest.approx(shown_percent, abs=2))
    result = render_finding("photo.near_duplicate", facts)
    words = {"cut": "裁剪", "mirrored": "镜像翻转", "turned": "旋转", "none": "无"}
    assert f"改动：{'、'.join(words[change] for change in changes)}；" in result["zh"]
    assert f"changed: {', '.join('nothing' if change == 'none' else change for change in changes)};" in result["en"]


async def test_the_same_place_photographed_anew_is_no_copy(ground):
    """Honest people come again: the wall is the same, the camera is held a little further to the right, or nearer."""
    wall = make_scene(5)
    await ground.examined(0, photos=[{"picture": wall.crop((0, 0, 1110, 900))}, {"picture": make_scene(6)}])
    anew = wall.crop((90, 0, 1200, 900))
    beside = wall.transform(wall.size, Image.Transform.QUAD, (90, 0, 10, 900, 1190, 880, 1120, 60))
    for day, picture in enumerate((anew, beside), 1):
        again = await ground.examined(
            0, started_at=MORNING + day * DAY, photos=[{"picture": picture}, {"picture": make_scene(10 + day)}]
        )
        assert await ground.codes(again) == []


async def test_photos_of_one_scene_in_one_visit_hide_no_copy_in_another(ground):
    """Each of four shots of one thing is a part of the others: that is no finding, and takes no other's place."""
    scene = make_scene(5)
    await ground.examined(0, photos=[{"picture": scene}, {}])
    parts = [{"picture": scene.crop((n, n, 1120 + n, 840 + n))} for n in (0, 20, 40, 60)]
    two = await ground.examined(1, started_at=MORNING + DAY, photos=parts)
    assert await ground.codes(two) == ["photo.near_duplicate"] * 4


async def test_marks_of_photos_from_before_they_were_kept_are_filled_in(ground):
    scene = make_scene(5)
    item = await ground.examined(0, photos=[{"picture": scene}, {}])
    async with open_session(ground.services.sessions) as session:
        await session.execute(delete(SEEN_KEYPOINT))
    heard = []
    for _ in range(2):
        await backfill_keypoints(ground.services, lambda done, total: heard.append((done, total)))
    assert heard == [(0, 1), (1, 1), (0, 0)]
    two = await ground.examined(1, started_at=MORNING + DAY, photos=[{"picture": ImageOps.mirror(scene)}, {}])
    assert await ground.codes(two) == ["photo.near_duplicate"]
    async with open_session(ground.services.sessions) as session:
        await session.execute(delete(SeenPhoto).where(SeenPhoto.visit_id == item))
        kept = await session.execute(select(SEEN_KEYPOINT.c.evidence_id).distinct())
        assert len(kept.all()) == 1  # of the other visit's: marks go with their photo


async def test_two_visits_examined_at_the_same_moment_see_each_others_photos(ground, system):
    for attempt in range(4):
        bits = f"{ground.dice.getrandbits(256):0256b}"
        started_at = MORNING + attempt * 3 * DAY
        item = await ground.visit(0, started_at=started_at, photos=[{"bits": bits}, {}])
        two = await ground.visit(1, started_at=started_at + DAY, photos=[{"bits": bits}, {}])
        await asyncio.gather(*(check_visit(ground.services, CheckVisit(visit_id=visit)) for visit in (item, two)))
        await system.run_jobs()
        assert await ground.codes(item) == await ground.codes(two) == ["photo.near_duplicate"]


async def test_a_picture_of_another_county_is_not_told(ground):
    bits = f"{ground.dice.getrandbits(256):0256b}"
    item = await ground.examined(0, photos=[{"bits": bits}, {}])
    async with open_session(ground.services.sessions) as session:
        await session.execute(update(SeenPhoto).where(SeenPhoto.visit_id == item).values(county_code="110101"))
    two = await ground.examined(1, started_at=MORNING + DAY, photos=[{"bits": bits}, {}])
    assert await ground.codes(two) == []


@pytest.mark.parametrize("limit", [12, 31, 40, 50])
async def test_the_look_up_finds_all_that_a_scan_finds(ground, limit):
    """Also where an area's limit is wider than bands of one differing bit reach."""
    mine = f"{ground.dice.getrandbits(256):0256b}"
    changed = [ground.dice.sample(range(256), count) for count in (0, 5, 11, 12, 13, 29, 31, 32, 39, 41, 49, 51)]
    others = ["".join("10"[int(bit)] if n in places else bit for n, bit in enumerate(mine)) for places in changed]
    await ground.examined(0, photos=[{"bits": other} for other in others])
    async with ground.services.sessions() as session:
        found = await find_by_fingerprint(session, ground.homes[0].area_code[:6], mine, limit)
    assert [found_item.bits for found_item in found] == [len(places) for places in changed if len(places) <= limit]


async def test_pictures_alike_within_one_visit_or_of_a_blank_wall_are_no_doubt(ground):
    bits = f"{ground.dice.getrandbits(256):0256b}"
    item = await ground.examined(0, photos=[{"bits": bits}, {"bits": bits}])
    two = await ground.examined(1, started_at=MORNING + DAY, photos=[{"bits": bits, "quality": 20}, {}])
    assert await ground.codes(item) == await ground.codes(two) == []


# --- history ---


async def test_examining_again_changes_nothing_where_nothing_changed(ground):
    visit = await ground.examined(minutes=5)
    before = [finding.id for finding in await ground.findings(visit)]
    await check_visit(ground.services, CheckVisit(visit_id=visit))
    assert [finding.id for finding in await ground.findings(visit)] == before
    async with ground.services.sessions() as session:
        assert len(list(await session.scalars(select(Finding).where(Finding.visit_id == visit)))) == 1


async def test_a_rule_that_changed_looks_again_at_its_own_findings_and_keeps_the_old(ground, system, desk):
    visit = await ground.examined(minutes=5, device={"clock_offset_ms": 40 * 60_000})
    await _set_rule(ground, "visit.shortest_min", 4)
    await on_setting_changed(
        ground.services,
        RecheckAfterSetting(key="visit.shortest_min", area_code="339901", effective_from=date(2025, 1, 1)),
    )
    await system.run_jobs()
    assert await ground.codes(visit) == ["visit.clock_off"]
    assert (await ground.item(visit)).finding_codes == ["visit.clock_off"]
    async with ground.services.sessions() as session:
        old = await session.scalar(select(Finding).where(Finding.visit_id == visit, Finding.code == "visit.too_short"))
    assert old.superseded_at is not None
    body = (await desk.http.get(f"/desk/v1/visits/{visit}/findings/history")).json()
    assert {item["code"]: item["supersededAt"] is None for item in body} == {
        "visit.clock_off": True,
        "visit.too_short": False,
    }


async def test_a_home_whose_place_was_registered_wrongly_accuses_nobody_once_it_is_mended(ground, system):
    """The caseworker proposes the place, an officer accepts it: what is undecided is looked at again."""
    home = ground.homes[0]
    there = {"latitude": home.latitude + 0.02, "longitude": home.longitude}
    fixes = {"start_fix": there, "end_fix": {**there, "longitude": home.longitude + 1e-6}, "partner_fix": there}
    visit = await ground.examined(0, **fixes)
    assert await ground.codes(visit) == ["visit.far_from_home", "visit.far_from_home"]
    phone = await system.sign_in("linhexi", "caseworker")
    proposal = make_proposal(
        (await phone.pull("households"))[str(home.id)], changes={"place": there | {"datum": "wgs84"}}
    )
    await phone.push("proposals", proposal)
    officer = await system.sign_in_at_desk("panhuaixu", "town_officer")
    accepted = await officer.http.post(f"/desk/v1/proposals/{proposal['id']}/decision", json={"outcome": "accepted"})
    assert accepted.status_code == 204, accepted.text
    await system.run_jobs()
    assert await ground.codes(visit) == []
    assert (await ground.item(visit)).finding_codes == []
    past = (await officer.http.get(f"/desk/v1/visits/{visit}/findings/history")).json()
    assert [item["supersededAt"] is not None for item in past] == [True, True]


async def test_a_rule_of_a_later_day_leaves_earlier_visits_alone(ground, system):
    visit, later = await ground.examined(minutes=5), MORNING.date() + DAY
    await _set_rule(ground, "visit.shortest_min", 4, since=later)
    await on_setting_changed(
        ground.services,
        RecheckAfterSetting(key="visit.shortest_min", area_code="339901", effective_from=later),
    )
    await system.run_jobs()
    assert await ground.codes(visit) == ["visit.too_short"]


async def test_an_office_may_make_a_doubt_graver_or_silence_it(ground):
    visit = await ground.examined(minutes=5, device={"clock_offset_ms": 40 * 60_000})
    await _set_rule(ground, "finding.visit.too_short", "critical")
    await _set_rule(ground, "finding.visit.clock_off", "off")
    await recheck_visit(ground.services, RecheckVisit(visit_id=visit))
    assert [(finding.code, finding.severity) for finding in await ground.findings(visit)] == [
        ("visit.too_short", "critical")
    ]
    assert (await ground.item(visit)).priority == 25


async def _set_rule(ground, key, value, since=date(2025, 1, 1)):
    async with open_session(ground.services.sessions) as session:
        session.add(PolicySetting(key=key, area_code="339901", effective_from=since, value=value, source="test"))


# --- the table, and its words ---


@pytest.mark.parametrize("rule", CHECKS, ids=lambda rule: rule.code)
def test_each_row_declares_the_settings_that_its_function_reads(rule):
    read = set(re.findall(r'context\.setting\("([^"]+)"\)', inspect.getsource(rule.find)))
    assert read <= set(rule.settings)
    assert set(registry.codes_using_setting(f"finding.{rule.code}")) == {rule.code}


def test_the_finding_that_contributing_shows_as_an_example_is_the_finding():
    guide = (ROOT / "CONTRIBUTING.md").read_text().partition("## A finding, for example")[2]
    function, row = (block.split("```")[0] for block in guide.split("```python\n")[1:3])
    assert function == inspect.getsource(presence.too_short)
    assert eval(row, {"Check": Check, "presence": presence}) in CHECKS


async def test_photos_are_read_for_the_rules_that_look_at_them_alone(ground):
    """One that looked without its row saying so would find that they were not read."""
    visit = await ground.examined()
    async with ground.services.sessions() as session:
        view = await load_check_context(session, await session.get_one(Visit, visit), with_photos=False)
    unread = {rule.code for rule in CHECKS if _asks_for_photos(rule, view)}
    assert unread == {rule.code for rule in CHECKS if rule.looks_at == "photos"}
    assert reads_photos(None)
    assert reads_photos(["visit.too_short", "photo.reused"])
    assert not reads_photos(["visit.too_short", "visit.at_night"])


def _asks_for_photos(rule, view):
    try:
        list(rule.find(view))
    except LookupError:
        return True
    return False


@pytest.mark.parametrize(
    ("code", "facts", "zh", "en"),
    [
        ("photo.place_off", {"distanceM": 9_070_423}, "9,070 公里", "9,070 km"),
        ("photo.place_off", {"distanceM": 640}, "640 米", "640 m"),
        ("photo.place_off", {"distanceM": 1_240}, "1.2 公里", "1.2 km"),
        ("photo.time_off", {"hoursAway": 158_520.3}, "18 年", "18 years"),
        ("photo.time_off", {"hoursAway": 100}, "4.2 天", "4.2 days"),
        ("photo.time_off", {"hoursAway": 0.5}, "30 分钟", "30 minutes"),
        (
            "income.found_differs",
            {"income": "wages", "declaredFen": 50_000, "foundFen": 123_456_78},
            "123,456.78 元",
            "wages",
        ),
        ("visit.clock_off", {"direction": "ahead", "hoursOff": 0.67}, "快 40 分钟", "40 minutes ahead"),
        ("photo.edited", {}, "照片经 – 处理", "processed by –"),
    ],
)
def test_a_sentence_reads_well_at_either_extreme(code, facts, zh, en):
    result = render_finding(code, facts)
    assert zh in result["zh"]
    assert en in result["en"]


def test_a_finding_of_a_rule_that_is_no_more_still_shows_its_code():
    assert render_finding("visit.of_before", {}) == {"zh": "visit.of_before", "en": "visit.of_before"}
