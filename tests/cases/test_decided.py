"""What a decision leaves behind: from which day, for how many people, of which kind, and on whose visit it stands."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import select, update

from server.benefits.changes import apply_due_changes
from server.cases.event_handlers import _county_officer_took_part
from server.core.clock import CHINA, utc_now
from server.core.database import open_session
from server.core.working_days import day_of
from server.models.benefits import BenefitChange
from server.models.cases import CaseFile
from server.models.households import Assignment, Household, HouseholdMember
from server.models.people import StaffRole
from server.models.visits import Visit
from tests.benefits.test_changes import earns, household_of, in_force
from tests.cases.test_procedure import to_county
from tests.cases.test_whole_case import accepted, visit
from tests.makers.cases import calculated, done, look, settled


async def test_a_stop_holds_from_the_first_minute_of_its_month_and_ends_the_class(office, services):
    case_id, _ = await in_force(office)
    async with open_session(services.sessions) as session:
        await session.execute(update(Household).values(class_="B"))
    month = (day_of(utc_now()).replace(day=1) + timedelta(days=32)).replace(day=1)
    await settled(office, case_id, "stopped", reason="超标", ground="income", fromMonth=month.isoformat())
    midnight = datetime(month.year, month.month, 1, tzinfo=CHINA).astimezone(UTC)
    for at, left in ((midnight - timedelta(minutes=1), True), (midnight, False)):
        async with open_session(services.sessions) as session:
            await apply_due_changes(session, at)
        paid = await household_of(office, case_id)
        assert (paid.monthly_amount_fen is not None, paid.class_ is not None) == (left, left), at


async def test_more_is_a_raise_and_less_a_cut(office, services):
    case_id, county = await in_force(office)
    month = day_of(utc_now()).replace(day=1).isoformat()
    await earns(office, case_id, 50_00)
    await calculated(county, case_id, month)
    await settled(office, case_id, "amount_changed", reason="新增收入")
    await office.rule("amount.standard_fen", 50_000, since=day_of(utc_now()).replace(day=1))
    await calculated(county, case_id, month)
    await settled(office, case_id, "amount_changed", reason="标准提高")
    async with services.sessions() as session:
        rows = await session.scalars(
            select(BenefitChange).where(BenefitChange.kind != "granted").order_by(BenefitChange.id)
        )
        assert [(row.kind, row.amount_fen > row.before_fen) for row in rows] == [("cut", False), ("raised", True)]


async def test_a_grant_is_for_those_whom_the_opinion_paid_for(office, services):
    """Reckoned again for fewer at the county's desk, and granted as it was opined and posted."""
    case_id = await office.case()
    await to_county(office, case_id)
    county = await office.person("county_officer")
    household = await household_of(office, case_id)
    async with open_session(services.sessions) as session:
        members = list(
            await session.scalars(select(HouseholdMember).where(HouseholdMember.household_id == household.id))
        )
        session.add(
            HouseholdMember(
                household_id=household.id, position=9, name="新生儿", relation="child", sex="male",
                born_on=day_of(utc_now()),
            )
        )  # fmt: skip
    await calculated(county, case_id)
    await done(county, case_id, "confirmed")
    async with services.sessions() as session:
        granted = await session.scalar(select(BenefitChange))
        assert (granted.people, granted.amount_fen) == (len(members), (await look(county, case_id))["amountFen"])


async def test_a_visit_nobody_ordered_counts_from_the_day_of_the_application(office, services):
    made, _, _ = await accepted(office)
    async with open_session(services.sessions) as session:
        await session.execute(update(Assignment).values(case_id=None))
        await session.execute(
            update(CaseFile).where(CaseFile.id == made["id"]).values(applied_on=day_of(utc_now()) + timedelta(days=1))
        )
    await visit(office, made["id"])
    async with services.sessions() as session:
        assert (await session.get_one(CaseFile, made["id"])).state == "accepted"
        assert await session.scalar(select(Visit.id)) is not None


async def test_an_officer_of_another_county_makes_it_no_visit_of_the_county(office, services):
    made, _, _ = await accepted(office)
    await visit(office, made["id"])
    async with open_session(services.sessions) as session:
        there = (await session.scalars(select(Visit).order_by(Visit.id.desc()).limit(1))).one()
        assert await _county_officer_took_part(session, there)
        await session.execute(update(StaffRole).where(StaffRole.role == "county_officer").values(area_code="339902"))
        assert not await _county_officer_took_part(session, there)


async def test_of_a_refusal_no_amount_is_left(office, services):
    case_id = await office.case()
    await to_county(office, case_id)
    county = await office.person("county_officer")
    assert (await look(county, case_id))["amountFen"] is not None
    assert (await done(county, case_id, "refused", reason="名下有车"))["amountFen"] is None
