"""The rulebook at the desk: what holds, who says so, and a new row that touches what it should and no more."""

from datetime import timedelta

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from server.core.database import open_session
from server.core.ids import new_id
from server.models.areas import PolicySetting
from server.models.audit import AuditEntry
from server.models.people import StaffRole
from server.models.review import Finding
from server.policy.resolver import load_policy_values
from server.policy.schemas import SETTING_TYPES, find_setting_type, validate_value
from server.review.checks.registry import CHECKS as FINDINGS
from tests.makers.visits import MORNING, Ground

SETTINGS = "/desk/v1/rules"
COUNTY = "339901"


@pytest.fixture
async def admin(system, services, county):
    """The administrator of the demo county, and of nothing else."""
    login = next(staff_member.login for staff_member in county.staff if staff_member.role == "admin")
    admin = await system.sign_in_at_desk(login, "admin")
    async with open_session(services.sessions) as session:
        for role in await session.scalars(select(StaffRole).where(StaffRole.staff_id == admin.id)):
            role.area_code = COUNTY
    return admin


async def write(
    desk, key="visit.shortest_min", value=40, *, area=COUNTY, since="2025-01-01", reason="县民政局 12 号文"
):
    body = {"key": key, "areaCode": area, "effectiveFrom": since, "value": value, "reason": reason}
    return await desk.http.post(SETTINGS, json=body)


async def effective(desk, key, **query):
    answer = await desk.http.get(SETTINGS, params={"area": COUNTY, **query})
    assert answer.status_code == 200, answer.text
    return next(item for item in answer.json() if item["key"] == key)


async def test_a_new_row_holds_from_its_day_and_the_old_one_is_history(admin):
    before = await effective(admin, "visit.shortest_min")
    assert (before["value"], before["areaCode"], before["writtenBy"]) == (8, "", None)
    assert (await write(admin, since="2025-06-01")).status_code == 201
    now = await effective(admin, "visit.shortest_min", on="2025-06-01")
    assert (now["value"], now["areaCode"], now["source"], now["writtenBy"]) == (
        40,
        COUNTY,
        "县民政局 12 号文",
        "占星楼",
    )
    assert (now["areaName"], before["areaName"]) == ("云栖县", None)
    assert (await effective(admin, "visit.shortest_min", on="2025-05-31"))["value"] == 8
    history = (await admin.http.get(f"{SETTINGS}/visit.shortest_min/history", params={"area": COUNTY})).json()
    assert [(item["effectiveFrom"], item["value"]) for item in history] == [("2025-06-01", 40), ("2020-01-01", 8)]


async def test_only_what_the_row_touches_is_looked_at_again(admin, system, services):
    ground = await Ground.open(services)
    touched, earlier = await ground.examined(0), await ground.examined(1, started_at=MORNING - timedelta(days=31))
    assert (await write(admin, since=MORNING.date().replace(day=1).isoformat())).status_code == 201
    await system.run_jobs()
    async with services.sessions() as session:
        found = list(await session.scalars(select(Finding.visit_id).where(Finding.code == "visit.too_short")))
    assert found == [touched]
    assert earlier != touched


async def test_written_twice_is_once_and_another_value_for_that_day_is_refused(admin, services):
    assert (await write(admin)).status_code == 201
    assert (await write(admin)).status_code == 201
    other = await write(admin, value=50)
    assert (other.status_code, other.json()["code"]) == (409, "rule.written")
    async with services.sessions() as session:
        rows = await session.scalars(
            select(AuditEntry.facts).where(AuditEntry.action == "rule.written", AuditEntry.area_code == COUNTY)
        )
        [result] = rows
    assert (result["value"], result["reason"]) == (40, "县民政局 12 号文")


async def test_only_an_administrator_of_that_area_writes_and_readers_keep_to_theirs(admin, desk):
    for who, area in ((admin, ""), (admin, "33"), (desk, COUNTY)):
        answer = await write(who, area=area)
        assert (answer.status_code, answer.json()["code"]) == (403, "auth.forbidden")
    assert (await desk.http.get(SETTINGS, params={"area": COUNTY})).status_code == 200
    assert (await admin.http.get(SETTINGS, params={"area": "110101"})).status_code == 403
    gone = await write(admin, area="339901999")
    assert gone.status_code == 404


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("visit.home_radius_m", "150"),
        ("visit.home_radius_m", 150_000),
        ("notice.quiet_hours", {"from": 21, "to": 24}),
        ("notice.quiet_hours", {"from": 21}),
        ("review.interval_months", {"A": 12, "B": 12}),
        ("case.decided_by", "village"),
        ("finding.visit.too_short", "grave"),
        ("photo.screen_sizes", [[720]]),
    ],
)
async def test_a_value_that_does_not_fit_is_refused_with_its_place(admin, key, value):
    answer = await write(admin, key, value)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (400, "/value")


async def test_a_rule_nobody_reads_and_a_finding_nobody_finds_are_unknown(admin):
    for key in ("visit.colour", "finding.visit.colour"):
        assert (await write(admin, key, 1)).json()["code"] == "rule.unknown"


async def test_a_findings_severity_is_a_rule_too(admin, services):
    assert (await write(admin, "finding.visit.too_short", "off")).status_code == 201
    async with services.sessions() as session:
        rules = await load_policy_values(session, COUNTY, MORNING.date(), ["finding.visit.too_short"])
    assert rules == {"finding.visit.too_short": "off"}


async def test_every_rule_there_is_can_be_written_and_what_is_written_fits(services, admin):
    """A key that fails here was added by a migration and wants its line in server/policy/schemas.py."""
    codes = {finding.code for finding in FINDINGS}
    async with services.sessions() as session:
        rows = (await session.execute(select(PolicySetting.key, PolicySetting.value))).all()
    assert [key for key, _ in rows if find_setting_type(key, codes) is None] == []
    assert [
        (key, validate_value(find_setting_type(key, codes), value))
        for key, value in rows
        if validate_value(find_setting_type(key, codes), value)
    ] == []
    kinds = {item["key"]: item["form"] for item in (await admin.http.get(f"{SETTINGS}/kinds")).json()}
    assert kinds.keys() >= SETTING_TYPES.keys()
    assert kinds["visit.shortest_min"] == {"type": "integer", "minimum": 0, "maximum": 1440}


MONEY = {"key": "amount.standard_fen", "value": 90_000, "areaCode": COUNTY, "effectiveFrom": "2025-06-01"}


def proposal(**changes):
    return {"id": str(new_id()), "reason": "县民政局 12 号文", **MONEY, **changes}


async def test_what_families_are_paid_is_set_by_two_people(admin, county_desk, services):
    alone = await write(admin, "amount.standard_fen", 90_000, since="2025-06-01")
    assert (alone.status_code, alone.json()["code"]) == (409, "rule.takes_two")
    before = (await effective(admin, "amount.standard_fen", on="2025-06-01"))["value"]
    proposed = proposal()
    for _ in range(2):
        assert (await admin.http.post(f"{SETTINGS}/proposals", json=proposed)).status_code == 201
    path = f"{SETTINGS}/proposals/{proposed['id']}/decide"
    own = await admin.http.post(path, json={"outcome": "accepted"})
    assert (own.status_code, own.json()["code"]) == (403, "rule.second_person")
    assert (await effective(admin, "amount.standard_fen", on="2025-06-01"))["value"] == before
    (waiting,) = (await county_desk.http.get(f"{SETTINGS}/proposals")).json()["items"]
    assert (waiting["proposedBy"], waiting["value"]) == ("占星楼", 90_000)
    for _ in range(2):
        assert (await county_desk.http.post(path, json={"outcome": "accepted"})).status_code == 200
    row = await effective(admin, "amount.standard_fen", on="2025-06-01")
    assert (row["value"], row["writtenBy"], row["agreedBy"]) == (90_000, "占星楼", "毛荷塘")
    async with services.sessions() as session:
        entries = await session.execute(
            select(AuditEntry.action, AuditEntry.actor_id)
            .where(AuditEntry.action.startswith("rule."))
            .order_by(AuditEntry.id)
        )
        assert [tuple(entry) for entry in entries] == [
            ("rule.proposed", admin.id),
            ("rule.written", county_desk.id),
        ]
    with pytest.raises(IntegrityError, match="agreed_by_another_person"):
        async with open_session(services.sessions) as session:
            await session.execute(update(PolicySetting).values(written_by=admin.id, agreed_by=admin.id))


async def test_a_proposed_setting_is_rejected_with_a_reason_and_then_done_with(admin, county_desk, system):
    proposed = proposal(key="case.decided_by", value="town")
    assert (await admin.http.post(f"{SETTINGS}/proposals", json=proposed)).status_code == 201
    path = f"{SETTINGS}/proposals/{proposed['id']}/decide"
    town = await system.sign_in_at_desk("panhuaixu", "town_officer")
    assert (await town.http.post(path, json={"outcome": "accepted"})).json()["code"] == "auth.forbidden"
    silent = await county_desk.http.post(path, json={"outcome": "rejected"})
    assert silent.json()["code"] == "review.reason_required"
    rejected = await county_desk.http.post(path, json={"outcome": "rejected", "reason": "未经县政府授权"})
    assert (rejected.status_code, rejected.json()["state"]) == (200, "rejected")
    late = await county_desk.http.post(path, json={"outcome": "accepted"})
    assert (late.status_code, late.json()["code"]) == (409, "proposal.decided")
    listed = (await admin.http.get(f"{SETTINGS}/proposals", params={"state": "rejected"})).json()["items"]
    assert [(line["id"], line["reason"]) for line in listed] == [(proposed["id"], "未经县政府授权")]
    saved = await admin.http.get(f"{SETTINGS}/proposals/export", params={"state": "rejected"})
    assert "未经县政府授权" in saved.text


async def test_a_proposal_is_judged_as_a_row_is_and_of_a_setting_that_takes_two(admin, county_desk):
    answers = {
        "request.invalid": proposal(value=-1),
        "rule.takes_one": proposal(key="visit.shortest_min", value=40),
        "auth.forbidden": proposal(areaCode=""),
        "rule.unknown": proposal(key="amount.nothing"),
    }
    for code, body in answers.items():
        assert (await admin.http.post(f"{SETTINGS}/proposals", json=body)).json()["code"] == code
    assert (await county_desk.http.post(f"{SETTINGS}/proposals", json=proposal())).json()["code"] == "auth.forbidden"
