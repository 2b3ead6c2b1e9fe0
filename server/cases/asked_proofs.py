"""The daily job that asks households which are paid for proofs that are due again, by the setting of their area."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any, Literal
from uuid import UUID

from msgspec import Struct, convert
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server.benefits.figures import MONTHS_PER_YEAR
from server.core import jobs
from server.core.clock import today
from server.core.database import open_session
from server.core.ids import new_id
from server.core.job_types import AskForProofs, Notify
from server.core.services import Services
from server.models.cases import CaseFile, IncomeItem
from server.models.households import Household, HouseholdMember
from server.models.people import ResidentBinding
from server.models.proofs import PeriodicProof
from server.policy.resolver import load_policy_values

REQUIRED_KEY, DAYS_KEY = "proof.required", "proof.days"
_STEP = 500


class RequiredProof(Struct, rename="camel"):
    """An entry of the setting: what, of whom, every how many months. Without classes of every class."""

    code: str
    zh: str
    en: str
    months: int
    of: Literal["all", "income", "disability", "student"] = "all"
    classes: list[Literal["A", "B", "C"]] = []


class _Home(Struct):
    """What decides which proofs a home owes, and whether anybody reads notices for it."""

    class_: str | None
    has: set[str]
    has_reader: bool = False


@jobs.task(AskForProofs, cron="20 16 * * *")
async def ask_for_proofs(services: Services, _: AskForProofs) -> None:
    """Ask in short transactions, just after midnight in China. Idempotent: what is open is not asked for again."""
    last: UUID | None = UUID(int=0)
    while last is not None:
        async with open_session(services.sessions) as session:
            last = await ask_step(session, last, today())


async def ask_step(session: AsyncSession, beyond: UUID, on: date) -> UUID | None:
    """Ask the next households; return the case to go on from, None after the last."""
    rows = select(CaseFile).where(CaseFile.id > beyond, CaseFile.state == "in_force", CaseFile.stopped_from.is_(None))
    cases = list(await session.scalars(rows.order_by(CaseFile.id).limit(_STEP)))
    settings: dict[str, Mapping[str, Any]] = {}
    for case in cases:
        if case.area_code not in settings:
            settings[case.area_code] = await load_policy_values(session, case.area_code, on, [REQUIRED_KEY, DAYS_KEY])
    owing = [case for case in cases if settings[case.area_code].get(REQUIRED_KEY)]
    if owing:
        homes = await _load_homes(session, owing)
        earlier = await _load_latest(session, owing)
        for case in owing:
            await _ask_case(session, case, homes[case.household_id], earlier.get(case.id, {}), settings, on)
    return cases[-1].id if len(cases) == _STEP else None


async def _load_homes(session: AsyncSession, cases: Sequence[CaseFile]) -> dict[UUID, _Home]:
    ids = [case.household_id for case in cases]
    classes = await session.execute(select(Household.id, Household.class_).where(Household.id.in_(ids)))
    homes = {household_id: _Home(class_, {"all"}) for household_id, class_ in classes}
    for member in await session.scalars(select(HouseholdMember).where(HouseholdMember.household_id.in_(ids))):
        if member.disability_kind is not None:
            homes[member.household_id].has.add("disability")
        if member.school not in {None, "preschool"}:
            homes[member.household_id].has.add("student")
    earning = select(IncomeItem.household_id).where(
        IncomeItem.household_id.in_(ids), IncomeItem.kind.in_(["wage", "business"]), IncomeItem.ended_on.is_(None)
    )
    for household_id in await session.scalars(earning):
        homes[household_id].has.add("income")
    bound = select(ResidentBinding.household_id).where(
        ResidentBinding.household_id.in_(ids), ResidentBinding.ended_at.is_(None)
    )
    for household_id in await session.scalars(bound):
        homes[household_id].has_reader = True
    return homes


async def _load_latest(session: AsyncSession, cases: Sequence[CaseFile]) -> dict[UUID, dict[str, PeriodicProof]]:
    """Return the last proof of each kind of each case."""
    latest: dict[UUID, dict[str, PeriodicProof]] = {}
    for proof in await session.scalars(
        select(PeriodicProof)
        .where(PeriodicProof.case_id.in_([case.id for case in cases]))
        .order_by(PeriodicProof.asked_on, PeriodicProof.id)
    ):
        latest.setdefault(proof.case_id, {})[proof.kind] = proof
    return latest


async def _ask_case(
    session: AsyncSession,
    case: CaseFile,
    home: _Home,
    earlier: Mapping[str, PeriodicProof],
    settings: Mapping[str, Mapping[str, Any]],
    on: date,
) -> None:
    setting = settings[case.area_code]
    for required in convert(setting[REQUIRED_KEY], list[RequiredProof]):
        owes = required.of in home.has and (not required.classes or home.class_ in required.classes)
        if owes and on >= _next_day(case, required, earlier.get(required.code)):
            proof = _ask(session, case, required, on, on + timedelta(days=int(setting[DAYS_KEY])))
            if home.has_reader:
                await notify_of_proof(session, proof)


def _next_day(case: CaseFile, required: RequiredProof, last: PeriodicProof | None) -> date:
    """Return the day from which a proof is asked for: so many months after the last, or after the first payment."""
    if last is None:
        return months_later(case.paid_from or case.applied_on, required.months)
    if last.received_on is None and last.closed_at is None:
        return date.max
    return months_later(last.asked_on, required.months)


def months_later(start: date, months: int) -> date:
    """Return the first of the month that is so many months later: a day that every month has."""
    place = start.year * MONTHS_PER_YEAR + start.month - 1 + months
    return date(place // MONTHS_PER_YEAR, place % MONTHS_PER_YEAR + 1, 1)


def _ask(session: AsyncSession, case: CaseFile, required: RequiredProof, on: date, due_on: date) -> PeriodicProof:
    proof = PeriodicProof(
        id=new_id(),
        case_id=case.id,
        household_id=case.household_id,
        area_code=case.area_code,
        kind=required.code,
        zh=required.zh,
        en=required.en,
        code=f"proof.{required.code}.{on:%Y%m%d}",
        asked_on=on,
        due_on=due_on,
    )
    session.add(proof)
    return proof


async def notify_of_proof(session: AsyncSession, proof: PeriodicProof) -> None:
    notice = Notify(
        kind="proof_due",
        thing=f"proof:{proof.id}",
        area_code=proof.area_code,
        household_id=proof.household_id,
        facts={"caseId": str(proof.case_id), "on": proof.due_on.isoformat()},
    )
    await jobs.defer(session, notice)
