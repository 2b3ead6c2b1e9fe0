"""Write a household of the register, and take it back."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import delete, func, select, union_all

from server import audit
from server.audit.actions import Action
from server.core.id_numbers import mask_card, mask_id, mask_phone
from server.core.ids import new_id
from server.core.normalise import normalise_card
from server.core.sequences import next_number
from server.core.working_days import day_of
from server.households.groups import ensure_group
from server.households.versions import keep_first_version, keep_version
from server.imports.import_kind import PlanToApply, Work
from server.imports.register_reading import HouseholdPlan, MemberPlan
from server.models.benefits import BenefitChange
from server.models.cases import BankAccount, Calculation, CaseEvent, CaseFile, HouseholdVersion
from server.models.households import Assignment, Caseload, Household, HouseholdMember
from server.models.people import ResidentBinding
from server.models.proposals import Proposal
from server.models.visits import Visit
from server.sync_feed.publish import publish_change, withdraw_change

TAKEN_OVER = "taken_over"
# Without a class in the file: visited as the middle class is.
_CLASS = "B"


async def apply_household(work: Work, plan: PlanToApply) -> None:
    """Create the household, or add to the one there is what the file knows beyond it. Repeatable."""
    body = msgspec.convert(plan.plan, HouseholdPlan)
    if body.household_id is None:
        household = await _create(work, body)
    else:
        household = await work.session.get_one(Household, UUID(body.household_id), with_for_update=True)
        plan.before = await _complete(work, body, household)
    plan.thing_id = str(household.id)
    await _grant(work, body, household)
    await publish_change(work.session, "households", [household.id])


async def _create(work: Work, body: HouseholdPlan) -> Household:
    session, encryption = work.session, work.services.encryption
    taken = body.number and await session.scalar(select(Household.id).where(Household.number == body.number))
    generated = not body.number or taken
    household = Household(
        id=new_id(),
        number=await next_number(session, Household.number, body.area_code[:6] + "-", 6) if generated else body.number,
        area_code=body.area_code,
        group_name=await _ensure_group(work, body),
        head_name=body.members[0].name,
        address=body.address,
        latitude=body.latitude,
        longitude=body.longitude,
        datum=body.datum,
        class_=body.class_ or (_CLASS if body.amount_fen else None),
        monthly_amount_fen=body.amount_fen,
        relative_on_staff=False,
        members=[],
    )
    _set_phone(work, household, body.phone)
    session.add(household)
    for position, member in enumerate(body.members):
        _add_member(work, household, member, position)
    await session.flush()  # the account, the case and the holders refer to it
    if body.card:
        account = BankAccount(
            household_id=household.id,
            holder_name=body.bank_holder or "",
            bank_name=body.bank_name or "",
            card_sealed=encryption.seal("bank_account.card", household.id, body.card),
            card_mask=mask_card(body.card),
            card_index=encryption.index("bank_card", normalise_card(body.card)),
        )
        session.add(account)
    if body.amount_fen:
        await _take_over(work, body, household)
    _record(work, Action.HOUSEHOLD_CREATED, household)
    return household


async def _ensure_group(work: Work, body: HouseholdPlan) -> str | None:
    return (await ensure_group(work.session, body.area_code, body.group)).name if body.group else None


def _record(work: Work, action: Action, household: Household) -> None:
    area_code = household.area_code
    audit.record(work.session, work.caller, action, "household", household.id, area_code=area_code, by="import")


def _set_phone(work: Work, household: Household, phone: str | None) -> None:
    if phone:
        household.phone_sealed = work.services.encryption.seal("household.phone", household.id, phone)
        household.phone_mask, household.phone_index = mask_phone(phone), work.services.encryption.index("phone", phone)


def _add_member(work: Work, household: Household, member: MemberPlan, position: int) -> HouseholdMember:
    row = HouseholdMember(
        id=new_id(),
        household_id=household.id,
        position=position,
        name=member.name,
        relation=member.relation,
        sex=member.sex,
        born_on=member.born_on,
        health=member.health,
        labour_ability=member.labour_ability,
    )
    if member.id_number:
        encryption = work.services.encryption
        row.id_number_sealed = encryption.seal("household_member.id_number", row.id, member.id_number)
        row.id_number_index = encryption.index("id_number", member.id_number)
        row.id_number_mask = mask_id(member.id_number)
    work.session.add(row)
    return row


async def _take_over(work: Work, body: HouseholdPlan, household: Household) -> None:
    """Open a case in force: the household was granted before this system was there."""
    assert body.amount_fen
    session, today = work.session, day_of(work.now)
    since = body.since or today
    case = CaseFile(
        id=new_id(),
        number=await next_number(session, CaseFile.number, f"SQ{household.area_code[:6]}{today.year}-", 6),
        household_id=household.id,
        area_code=household.area_code,
        state="in_force",
        applied_on=since,
        rules_on=today,
        amount_fen=body.amount_fen,
        decided_on=since,
        paid_from=since.replace(day=1),
    )
    session.add(case)
    await session.flush()  # its event and its amount refer to it
    session.add(_build_event(work, body, case))
    session.add(_build_first_amount(work, body, case, household.class_))


def _build_event(work: Work, body: HouseholdPlan, case: CaseFile) -> CaseEvent:
    return CaseEvent(
        id=new_id(),
        case_id=case.id,
        at=work.now,
        step=TAKEN_OVER,
        state="in_force",
        actor_id=work.actor_id,
        cause=TAKEN_OVER,
        facts={"amountFen": body.amount_fen, "since": case.applied_on.isoformat(), "ground": body.ground},
    )


def _build_first_amount(work: Work, body: HouseholdPlan, case: CaseFile, class_: str | None) -> BenefitChange:
    return BenefitChange(
        id=new_id(),
        case_id=case.id,
        household_id=case.household_id,
        area_code=case.area_code,
        kind=TAKEN_OVER,
        month=case.paid_from,
        before_fen=0,
        amount_fen=body.amount_fen,
        people=len(body.members),
        reason="转入在保",
        class_=class_,
        decided_by=work.actor_id,
        decided_on=case.decided_on,
        in_effect_at=work.now,
    )


async def _complete(work: Work, body: HouseholdPlan, household: Household) -> dict[str, Any]:
    """Add what the file knows beyond the register, and return how it was. Amounts and accounts stay."""
    session = work.session
    before: dict[str, Any] = {
        "address": household.address, "class": household.class_, "latitude": household.latitude,
        "longitude": household.longitude, "datum": household.datum, "group": household.group_name, "members": [],
    }  # fmt: skip
    await keep_first_version(session, household, work.now)
    household.address = body.address if body.address != "—" else household.address
    household.class_ = body.class_ or household.class_
    if body.area_code == household.area_code:
        household.group_name = await _ensure_group(work, body) or household.group_name
    if body.latitude is not None and household.latitude is None:
        household.latitude, household.longitude, household.datum = body.latitude, body.longitude, body.datum
    rows = list(await session.scalars(select(HouseholdMember).where(HouseholdMember.household_id == household.id)))
    indexes = {row.id_number_index for row in rows}
    for member in body.members:
        if member.id_number and work.services.encryption.index("id_number", member.id_number) not in indexes:
            added = _add_member(work, household, member, len(rows) + len(before["members"]))
            before["members"].append(str(added.id))
    household.updated_at = work.now
    await session.flush()  # the version is read from the tables
    await keep_version(session, work.caller, household, "导入", work.now)
    before["version"] = await session.scalar(
        select(func.max(HouseholdVersion.version)).where(HouseholdVersion.household_id == household.id)
    )
    _record(work, Action.HOUSEHOLD_CHANGED, household)
    return before


async def _grant(work: Work, body: HouseholdPlan, household: Household) -> None:
    if body.holder_id is None:
        return
    staff_id = UUID(body.holder_id)
    held = Caseload.household_id == household.id, Caseload.staff_id == staff_id, Caseload.revoked_at.is_(None)
    if await work.session.scalar(select(Caseload.id).where(*held)) is None:
        row = Caseload(household_id=household.id, staff_id=staff_id, granted_at=work.now, granted_by=work.actor_id)
        work.session.add(row)
        await work.session.flush()  # publish_change reads it


async def count_acted_upon(work: Work, plans: Sequence[PlanToApply]) -> int:
    """Count the households that were visited, changed, bound, calculated or moved since."""
    added = [_household_id(plan) for plan in plans if plan.before is None]
    cases = select(CaseFile.id).where(CaseFile.household_id.in_(added))
    acts = union_all(
        select(Visit.household_id).where(Visit.household_id.in_(added)),
        select(HouseholdVersion.household_id).where(HouseholdVersion.household_id.in_(added)),
        select(ResidentBinding.household_id).where(ResidentBinding.household_id.in_(added)),
        select(Proposal.household_id).where(Proposal.household_id.in_(added)),
        select(Calculation.household_id).where(Calculation.household_id.in_(added)),
        select(BenefitChange.household_id).where(
            BenefitChange.household_id.in_(added), BenefitChange.kind != TAKEN_OVER
        ),
        select(CaseFile.household_id)
        .join(CaseEvent, CaseEvent.case_id == CaseFile.id)
        .where(CaseFile.id.in_(cases), CaseEvent.step != TAKEN_OVER),
    ).subquery()
    new = await work.session.scalar(select(func.count(acts.c[0].distinct()))) or 0
    changed = 0
    for plan in plans:
        if plan.before is not None:
            last = await work.session.scalar(
                select(func.max(HouseholdVersion.version)).where(HouseholdVersion.household_id == _household_id(plan))
            )
            changed += last != plan.before["version"]
    return new + changed


async def remove_household(work: Work, plan: PlanToApply) -> None:
    """Delete a household that the import made and on which nobody acted."""
    session, household_id = work.session, _household_id(plan)
    due = list(await session.scalars(select(Assignment.id).where(Assignment.household_id == household_id)))
    await withdraw_change(session, "assignments", due)
    await withdraw_change(session, "households", [household_id])
    cases = select(CaseFile.id).where(CaseFile.household_id == household_id)
    for statement in (
        delete(Assignment).where(Assignment.household_id == household_id),
        delete(Caseload).where(Caseload.household_id == household_id),
        delete(BenefitChange).where(BenefitChange.household_id == household_id),
        delete(CaseEvent).where(CaseEvent.case_id.in_(cases)),
        delete(CaseFile).where(CaseFile.household_id == household_id),
        delete(BankAccount).where(BankAccount.household_id == household_id),
        delete(HouseholdMember).where(HouseholdMember.household_id == household_id),
        delete(Household).where(Household.id == household_id),
    ):
        await session.execute(statement)


async def restore_household(work: Work, plan: PlanToApply) -> None:
    """Put back what the import changed, as a version of its own."""
    assert plan.before is not None
    session = work.session
    household = await session.get_one(Household, _household_id(plan), with_for_update=True)
    household.address, household.class_ = plan.before["address"], plan.before["class"]
    household.group_name = plan.before.get("group", household.group_name)
    household.latitude, household.longitude = plan.before["latitude"], plan.before["longitude"]
    household.datum, household.updated_at = plan.before["datum"], work.now
    added = [UUID(member_id) for member_id in plan.before["members"]]
    await session.execute(delete(HouseholdMember).where(HouseholdMember.id.in_(added)))
    await session.flush()  # the version is read from the tables
    await keep_version(session, work.caller, household, "撤销导入", work.now)
    await publish_change(session, "households", [household.id])


def _household_id(plan: PlanToApply) -> UUID:
    assert plan.thing_id is not None
    return UUID(plan.thing_id)
