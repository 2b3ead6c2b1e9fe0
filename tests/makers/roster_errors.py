"""Errors planted in an honest month of payments: where each is planted, and what has to stop it before the file."""

from collections.abc import Awaitable, Callable
from datetime import date
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import delete, select, update

from server.core.clock import utc_now
from server.core.database import open_session
from server.core.ids import new_id
from server.models.benefits import ChangeReport, PaymentProposal
from server.models.cases import BankAccount, Calculation, CaseFile
from server.models.certificates import Certificate
from server.models.checklists import ChecklistTemplate
from server.models.crosschecks import CrossCheck, CrossCheckBatch
from server.models.found_figures import FoundFigure
from server.models.households import Household, HouseholdMember
from server.models.people import Device, Resident, Staff
from server.models.rosters import RosterLine, RosterPart
from server.models.visits import Visit
from tests import days
from tests.makers.rosters import PILOT, RosterOffice

# before: the roster is drafted · draft: drafted, and nobody has prepared it · prepared · frozen: checked, not sent.
BEFORE, DRAFT, PREPARED, FROZEN = "before", "draft", "prepared", "frozen"
Plant = Callable[[RosterOffice, str], Awaitable[None]]


class PlantedError(NamedTuple):
    """`stopped_by` is the code of a finding, or of the error that refuses the step."""

    zh: str
    at: str
    stopped_by: str
    plant: Plant


ERRORS: list[PlantedError] = []


def planted(zh: str, at: str, stopped_by: str) -> Callable[[Plant], Plant]:
    def add(plant: Plant) -> Plant:
        ERRORS.append(PlantedError(zh, at, stopped_by, plant))
        return plant

    return add


# -- people


@planted("没有账户", BEFORE, "no_account")
async def no_account(pay: RosterOffice, _: str) -> None:
    async with open_session(pay.services.sessions) as session:
        await session.execute(delete(BankAccount).where(BankAccount.household_id == pay.homes[0].household_id))


@planted("新增户没有账户", BEFORE, "no_account")
async def new_home_without_account(pay: RosterOffice, _: str) -> None:
    await pay.home(has_account=False)


@planted("账户户名是外人", BEFORE, "payee_no_member")
async def stranger_is_paid(pay: RosterOffice, _: str) -> None:
    await pay.account(pay.homes[0], holder="钱外人")


@planted("账户户名错一字", BEFORE, "payee_no_member")
async def name_is_misspelled(pay: RosterOffice, _: str) -> None:
    await pay.account(pay.homes[0], holder=pay.homes[0].head[:-1] + "误")


@planted("账户户名是配偶，不是户主", BEFORE, "payee_not_head")
async def spouse_is_paid(pay: RosterOffice, _: str) -> None:
    await pay.account(pay.homes[0], holder=pay.homes[0].spouse)


@planted("户主已改名，证件与名册不符", BEFORE, "head_no_member")
async def head_has_another_name(pay: RosterOffice, _: str) -> None:
    async with open_session(pay.services.sessions) as session:
        await session.execute(
            update(Household).where(Household.id == pay.homes[0].household_id).values(head_name="孙改名")
        )


async def _calculate(pay: RosterOffice, covered: list[str]) -> None:
    async with open_session(pay.services.sessions) as session:
        session.add(
            Calculation(
                id=new_id(), case_id=pay.homes[0].case_id, household_id=pay.homes[0].household_id, month=days.month(-6),
                made_at=utc_now(), amount_fen=300_00, eligible=True,
                body={
                    "month": days.month(-6).isoformat(), "eligible": True, "amountFen": 300_00, "incomeFen": 0,
                    "standardFen": 360_00, "covered": covered, "lines": [], "programme": "rural",
                },
            )
        )  # fmt: skip


@planted("享受人已迁出", BEFORE, "beneficiary_left")
async def beneficiary_has_left(pay: RosterOffice, _: str) -> None:
    await _calculate(pay, [str(pay.homes[0].spouse_id), str(new_id())])


@planted("人数与核算不符", BEFORE, "people_differ")
async def people_differ(pay: RosterOffice, _: str) -> None:
    await _calculate(pay, [str(pay.homes[0].spouse_id)])


@planted("少了一名成员，人数未变", BEFORE, "people_differ")
async def member_was_removed(pay: RosterOffice, _: str) -> None:
    async with open_session(pay.services.sessions) as session:
        await session.execute(delete(HouseholdMember).where(HouseholdMember.id == pay.homes[0].spouse_id))


@planted("同一人在两个发放户中", BEFORE, "person_elsewhere")
async def the_same_person_in_two_homes(pay: RosterOffice, _: str) -> None:
    index = pay.services.encryption.index("id_number", "110101196003041234")
    ids = [pay.homes[0].spouse_id, pay.homes[1].spouse_id]
    async with open_session(pay.services.sessions) as session:
        same = update(HouseholdMember).where(HouseholdMember.id.in_(ids))
        await session.execute(same.values(id_number_index=index))


@planted("审核后同一人又登记在另一发放户", FROZEN, "person_elsewhere")
async def the_same_person_after_the_check(pay: RosterOffice, _: str) -> None:
    await the_same_person_in_two_homes(pay, _)


async def _certify(pay: RosterOffice, holder: str | None = None, until: date | None = None) -> None:
    """Certificates for all, where the area wants one; the first home's is of another holder, or over."""
    await pay.office.rule("roster.needs_certificate", value=True)
    async with open_session(pay.services.sessions) as session:
        for home in pay.homes:
            is_first = home is pay.homes[0]
            session.add(
                Certificate(
                    id=new_id(), number=f"N{home.number}", case_id=home.case_id, area_code=PILOT, programme="rural",
                    holder_name=holder if holder and is_first else home.head, issued_at=utc_now(),
                    valid_from=days.month(-6), valid_until=until if until and is_first else days.month(6),
                )
            )  # fmt: skip


@planted("低保证已过期", BEFORE, "certificate_missing")
async def certificate_has_expired(pay: RosterOffice, _: str) -> None:
    await _certify(pay, until=days.month())


@planted("低保证持证人不是户主", BEFORE, "certificate_differs")
async def certificate_of_somebody_else(pay: RosterOffice, _: str) -> None:
    await _certify(pay, holder="孙旧户主")


# -- accounts


@planted("两户同一账户", BEFORE, "shared_account")
async def two_homes_share_an_account(pay: RosterOffice, _: str) -> None:
    await pay.account(pay.homes[0], card=pay.homes[1].card)


@planted("三户同一账户，户名也相同", BEFORE, "shared_account")
async def three_homes_share_an_account(pay: RosterOffice, _: str) -> None:
    for home in pay.homes[:2]:
        await pay.account(home, card=pay.homes[2].card, holder=pay.homes[2].head)


@planted("新增户与老户同一账户", BEFORE, "shared_account")
async def a_new_home_shares_an_account(pay: RosterOffice, _: str) -> None:
    await pay.home(card=pay.homes[0].card)


@planted("城市低保户与农村低保户同一账户", BEFORE, "shared_account")
async def homes_of_two_programs_share_an_account(pay: RosterOffice, _: str) -> None:
    await pay.home(card=pay.homes[0].card, programme="urban")
    await pay.make(days.month(), program="urban_dibao")


@planted("账户与上月不同", BEFORE, "account_changed")
async def account_changed(pay: RosterOffice, _: str) -> None:
    await pay.account(pay.homes[0], card="6222020000077777777")


@planted("户名与上月不同", BEFORE, "account_changed")
async def holder_changed(pay: RosterOffice, _: str) -> None:
    await pay.account(pay.homes[0], holder=pay.homes[0].spouse)


@planted("造册后账户被改", DRAFT, "account_stale")
async def account_changes_after_the_draft(pay: RosterOffice, _: str) -> None:
    await pay.account(pay.homes[0], card="6222020000077777777")


@planted("审核后账户被改", FROZEN, "account_stale")
async def account_changes_after_the_check(pay: RosterOffice, _: str) -> None:
    await pay.account(pay.homes[0], card="6222020000077777777")


@planted("审核后账户被删", FROZEN, "account_stale")
async def account_goes_after_the_check(pay: RosterOffice, _: str) -> None:
    await no_account(pay, _)


# -- amounts


@planted("造册后提高金额", DRAFT, "amount_differs")
async def raised_after_the_draft(pay: RosterOffice, _: str) -> None:
    await pay.decide(pay.homes[0], "raised", days.month(), 310_00)


@planted("提交后降低金额", PREPARED, "amount_differs")
async def cut_after_it_was_prepared(pay: RosterOffice, _: str) -> None:
    await pay.decide(pay.homes[0], "cut", days.month(), 290_00)


@planted("审核后停发", FROZEN, "stopped")
async def stopped_after_the_check(pay: RosterOffice, _: str) -> None:
    await pay.decide(pay.homes[0], "stopped", days.month(), 0, ground="moved")


@planted("造册后因去世停发", DRAFT, "death_certain")
async def stopped_by_a_death(pay: RosterOffice, _: str) -> None:
    await pay.decide(pay.homes[0], "stopped", days.month(), 0, ground="death")


@planted("金额突增（一倍）", BEFORE, "outlier")
async def twice_as_much(pay: RosterOffice, _: str) -> None:
    await pay.decide(pay.homes[0], "raised", days.month(), 600_00)


@planted("金额突减", BEFORE, "outlier")
async def a_tenth_as_much(pay: RosterOffice, _: str) -> None:
    await pay.decide(pay.homes[0], "cut", days.month(), 30_00)


@planted("金额多一个零", BEFORE, "outlier")
async def ten_times_as_much(pay: RosterOffice, _: str) -> None:
    await pay.decide(pay.homes[0], "raised", days.month(), 3_000_00)


@planted("倒补上月差额", BEFORE, "arrears")
async def arrears_of_last_month(pay: RosterOffice, _: str) -> None:
    await pay.decide(pay.homes[0], "raised", days.month(-1), 310_00)


@planted("扣回上月多发", BEFORE, "recovery")
async def recovery_of_last_month(pay: RosterOffice, _: str) -> None:
    await pay.decide(pay.homes[0], "cut", days.month(-1), 290_00)


@planted("扣回后分文不剩", BEFORE, "recovery_whole")
async def nothing_is_left(pay: RosterOffice, _: str) -> None:
    await pay.decide(pay.homes[0], "cut", days.month(-1), 0)
    await pay.decide(pay.homes[0], "raised", days.month(), 200_00)


async def _add_part(pay: RosterOffice, roster: str, fen: int) -> None:
    async with open_session(pay.services.sessions) as session:
        line = (
            await session.scalars(
                select(RosterLine).where(RosterLine.roster_id == UUID(roster)).order_by(RosterLine.position)
            )
        ).first()
        assert line is not None
        session.add(
            RosterPart(
                line_id=line.id, month=days.month(-1), kind="arrears", amount_fen=fen, cause="decided_later", reason=""
            )
        )
        line.arrears_fen, line.total_fen = fen, line.due_fen + fen


@planted("同一个月补发两次", DRAFT, "arrears_twice")
async def arrears_twice(pay: RosterOffice, roster: str) -> None:
    await _add_part(pay, roster, 300_00)


@planted("审核后加一笔补发", FROZEN, "arrears_twice")
async def arrears_after_the_check(pay: RosterOffice, roster: str) -> None:
    await _add_part(pay, roster, 10_00)


@planted("名册金额被改（库内）", DRAFT, "amount_differs")
async def amount_is_altered_in_the_table(pay: RosterOffice, roster: str) -> None:
    await pay.alter(roster, 0, due_fen=390_00, total_fen=390_00)


@planted("审核后金额被改（库内）", FROZEN, "amount_differs")
async def amount_is_altered_after_the_check(pay: RosterOffice, roster: str) -> None:
    await pay.alter(roster, 1, due_fen=301_00, total_fen=301_00)


@planted("走访或核对查明的收入与核算不符", BEFORE, "visit_differs")
async def another_office_found_wages(pay: RosterOffice, _: str) -> None:
    await _calculate(pay, [str(pay.homes[0].spouse_id)])
    async with open_session(pay.services.sessions) as session:
        staff = (await session.scalars(select(Staff))).first()
        assert staff is not None
        batch = CrossCheckBatch(
            id=new_id(), source="social_security", area_code=PILOT, made_by=staff.id, made_at=utc_now(),
            answered_at=utc_now(), answered_by=staff.id, answer_sha256="0" * 64,
        )  # fmt: skip
        session.add(batch)
        await session.flush()
        session.add(
            CrossCheck(
                id=new_id(), batch_id=batch.id, case_id=pay.homes[0].case_id, member_id=pay.homes[0].spouse_id,
                position=1, answer={"wage": 2_400_00}, differences=[{"key": "wage", "declared": 0, "found": 2_400_00}],
            )
        )  # fmt: skip


@planted("走访查明的收入与核算不符", BEFORE, "visit_differs")
async def a_visit_found_another_income(pay: RosterOffice, _: str) -> None:
    home = pay.homes[0]
    await _calculate(pay, [str(home.spouse_id)])
    async with open_session(pay.services.sessions) as session:
        checklist = (await session.scalars(select(ChecklistTemplate).where(ChecklistTemplate.kind == "review"))).first()
        staff = (await session.scalars(select(Staff))).first()
        assert checklist is not None
        assert staff is not None
        device = Device(id=new_id(), staff_id=staff.id, label="phone", platform="test", app_version="1")
        session.add(device)
        await session.flush()
        visit = Visit(
            id=new_id(), household_id=home.household_id, area_code=PILOT, kind="review", checklist_code=checklist.code,
            checklist_version=checklist.version, author_id=staff.id, device_id=device.id, state="accepted",
            mode="in_person", document={}, content_hash="0" * 64, received_at=utc_now(), receipt="receipt",
        )  # fmt: skip
        session.add(visit)
        await session.flush()
        session.add(
            FoundFigure(
                id=new_id(), visit_id=visit.id, visit_version=1, case_id=home.case_id, household_id=home.household_id,
                area_code=PILOT, figure="wage", question_id="income", amount=2_400_00, months=1, drafted_at=utc_now(),
            )
        )  # fmt: skip


# -- reports and proposals


async def _report_death(pay: RosterOffice) -> None:
    async with open_session(pay.services.sessions) as session:
        resident = (await session.scalars(select(Resident))).first()
        if resident is None:
            resident = Resident(id=new_id(), wechat_openid="planted")
            session.add(resident)
            await session.flush()
        session.add(
            ChangeReport(
                id=new_id(), case_id=pay.homes[0].case_id, resident_id=resident.id, kind="death", text="去世",
                reported_at=utc_now(),
            )
        )  # fmt: skip


@planted("有人报告家人去世，尚未处理", BEFORE, "dead")
async def death_is_reported(pay: RosterOffice, _: str) -> None:
    await _report_death(pay)


@planted("审核后有人报告去世", FROZEN, "dead")
async def death_is_reported_after_the_check(pay: RosterOffice, _: str) -> None:
    await _report_death(pay)


@planted("已提出停发，尚未决定", BEFORE, "stop_proposed")
async def stop_is_proposed(pay: RosterOffice, _: str) -> None:
    async with open_session(pay.services.sessions) as session:
        staff = (await session.scalars(select(Staff))).first()
        assert staff is not None
        session.add(
            PaymentProposal(
                id=new_id(), case_id=pay.homes[0].case_id, step="stopped", reason="外出务工", amount_fen=0,
                proposed_by=staff.id, proposed_at=utc_now(),
            )
        )  # fmt: skip


# -- the roster as a whole


@planted("首次发放的新增户", BEFORE, "first_payment")
async def new_home(pay: RosterOffice, _: str) -> None:
    await pay.home(since=days.month())


@planted("一户两件在保案件", BEFORE, "two_cases")
async def two_cases(pay: RosterOffice, _: str) -> None:
    home = pay.homes[0]
    async with open_session(pay.services.sessions) as session:
        case = await session.get_one(CaseFile, home.case_id)
        second = CaseFile(
            id=new_id(), number="TSQ-SECOND", household_id=home.household_id, area_code=PILOT, state="in_force",
            applied_on=case.applied_on, rules_on=case.rules_on, programme="rural", amount_fen=300_00,
            paid_from=case.paid_from,
        )  # fmt: skip
        session.add(second)
        home.case_id = second.id
    await pay.decide(home, "granted", days.month(-6), 300_00)


async def _merge_away(pay: RosterOffice) -> None:
    """The first home goes into the second, with its case."""
    gone, kept = pay.homes[0], pay.homes[1]
    async with open_session(pay.services.sessions) as session:
        case = update(CaseFile).where(CaseFile.id == gone.case_id)
        await session.execute(case.values(household_id=kept.household_id))
        household = update(Household).where(Household.id == gone.household_id)
        await session.execute(household.values(merged_into=kept.household_id))


@planted("造册前已并户，一户两案", BEFORE, "two_cases")
async def merged_before_the_draft(pay: RosterOffice, _: str) -> None:
    await _merge_away(pay)


@planted("造册后已并户", DRAFT, "stopped")
async def merged_after_the_draft(pay: RosterOffice, _: str) -> None:
    await _merge_away(pay)


@planted("审核后已并户", FROZEN, "stopped")
async def merged_after_the_check(pay: RosterOffice, _: str) -> None:
    await _merge_away(pay)


@planted("已确认应发而未公布的户", BEFORE, "not_published")
async def a_grant_is_not_published(pay: RosterOffice, _: str) -> None:
    home = await pay.home(since=days.month())
    async with open_session(pay.services.sessions) as session:
        await session.execute(update(CaseFile).where(CaseFile.id == home.case_id).values(state="confirmed"))


@planted("造册后漏了一户", DRAFT, "home_missing")
async def a_home_is_missing(pay: RosterOffice, _: str) -> None:
    await pay.home()


@planted("名册中的一户被删（库内）", DRAFT, "home_missing")
async def a_line_is_deleted(pay: RosterOffice, roster: str) -> None:
    async with open_session(pay.services.sessions) as session:
        line = (await session.scalars(select(RosterLine).where(RosterLine.roster_id == UUID(roster)))).first()
        assert line is not None
        await session.execute(delete(RosterPart).where(RosterPart.line_id == line.id))
        await session.delete(line)


@planted("在保户未确认城乡类别", BEFORE, "not_on_roster")
async def no_programme(pay: RosterOffice, _: str) -> None:
    await pay.home(programme=None)


@planted("登记了金额而没有在保案件", BEFORE, "paid_without_case")
async def paid_without_case(pay: RosterOffice, _: str) -> None:
    async with open_session(pay.services.sessions) as session:
        session.add(
            Household(
                id=new_id(), number="TS-X", area_code=PILOT, head_name="周无案", address="试点村", class_="B",
                monthly_amount_fen=200_00,
            )
        )  # fmt: skip


@planted("审核后账号被换（密文互换）", FROZEN, "server.value_altered")
async def sealed_accounts_are_swapped(pay: RosterOffice, roster: str) -> None:
    async with open_session(pay.services.sessions) as session:
        first, second = list(
            await session.scalars(
                select(RosterLine).where(RosterLine.roster_id == UUID(roster)).order_by(RosterLine.position).limit(2)
            )
        )
        first.account_sealed = second.account_sealed


@planted("审核后账号被换成另一个（重新加密）", FROZEN, "roster.altered")
async def account_is_sealed_anew(pay: RosterOffice, roster: str) -> None:
    async with open_session(pay.services.sessions) as session:
        line = (await session.scalars(select(RosterLine).where(RosterLine.roster_id == UUID(roster)))).first()
        assert line is not None
        line.account_sealed = pay.services.encryption.seal("roster_line.account", line.id, "6222020000066666666")


@planted("审核后享受人被改（库内）", FROZEN, "roster.altered")
async def beneficiaries_are_altered(pay: RosterOffice, roster: str) -> None:
    await pay.alter(roster, 0, beneficiaries=["外人"])


@planted("审核后合计被改（库内）", FROZEN, "roster.altered")
async def total_is_altered(pay: RosterOffice, roster: str) -> None:
    await pay.alter_roster(roster, total_fen=1)


@planted("审核后一户被换成另一户的业务编号", FROZEN, "roster.altered")
async def reference_is_altered(pay: RosterOffice, roster: str) -> None:
    await pay.alter(roster, 0, reference="FF-OTHER")
