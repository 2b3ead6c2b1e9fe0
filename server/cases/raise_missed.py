"""Homes that a raise of the standard has no line for: granted after its preview, while the month was still to come.

Nobody has seen their amount beside the new standard. Where it does not follow from the standard that holds, the home
becomes a line for a person; nothing is paid by it. Before an undo the same is looked for, by the standard before.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import delete, exists, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.benefits.changes import month_after
from server.cases.raise_doubts import Judged, Rules, judge_again, load_raise_facts
from server.cases.raise_preview import ODD, SAME, STEP, find_own_standards, load_standing_rules, select_paid
from server.core.database import open_session
from server.core.services import Services
from server.core.working_days import day_of
from server.models.cases import CaseFile
from server.models.raises import StandardRaise, StandardRaiseLine

_NO_CASE = UUID(int=0)


async def name_missed_homes(services: Services, raise_id: UUID) -> None:
    """Write the missing lines of an applied raise, in short transactions. Idempotent."""
    rules: dict[str, Rules] = {}
    last: UUID | None = _NO_CASE
    while last is not None:
        async with open_session(services.sessions) as session:
            of_raise = await session.get_one(StandardRaise, raise_id, with_for_update=True)
            last = await _name_step(session, of_raise, rules, last) if of_raise.state == "applied" else None


async def name_missed_of_raises(services: Services, now: datetime) -> None:
    """Do it for each raise until the month after its own has begun: a grant may rest on an older calculation."""
    async with services.sessions() as session:
        applied = await session.execute(
            select(StandardRaise.id, StandardRaise.month, StandardRaise.applied_at).where(
                StandardRaise.state == "applied"
            )
        )
        today = day_of(now)
        late = [
            raise_id
            for raise_id, month, applied_at in applied
            if today <= month_after(max(month, day_of(applied_at) if applied_at else month))
        ]
    for raise_id in late:
        await name_missed_homes(services, raise_id)


async def name_for_undo(session: AsyncSession, undone: StandardRaise, rules: dict[str, Rules]) -> None:
    """Name the homes whose amount rests on the standard that is taken back, and that the raise did not change."""
    granted_since = StandardRaiseLine.raise_id == undone.id, StandardRaiseLine.doubt == "granted_since"
    await session.execute(delete(StandardRaiseLine).where(*granted_since))
    same = StandardRaiseLine.raise_id == undone.id, StandardRaiseLine.rank == SAME
    await session.execute(delete(StandardRaiseLine).where(*same))
    last: UUID | None = _NO_CASE
    while last is not None:
        last = await _name_step(session, undone, rules, last)


async def _name_step(
    session: AsyncSession, of_raise: StandardRaise, rules: dict[str, Rules], beyond: UUID
) -> UUID | None:
    """Look at the next cases without a line; return the case to go on from, None after the last."""
    has_line = exists().where(StandardRaiseLine.raise_id == of_raise.id, StandardRaiseLine.case_id == CaseFile.id)
    rows = select_paid(of_raise).where(CaseFile.id > beyond, ~has_line)
    cases = list(await session.scalars(rows.order_by(CaseFile.id).limit(STEP)))
    elsewhere = await find_own_standards(session, of_raise)
    here = [case for case in cases if case.programme is not None and not case.area_code.startswith(elsewhere)]
    if here:
        facts = await load_raise_facts(session, here, of_raise.month)
        lines = []
        for case in here:
            rule = await load_standing_rules(session, case, of_raise, rules)
            judged = judge_again(case, facts, rule, of_raise.month, case.amount_fen or 0)
            lines.append(_line(of_raise, case, judged, len(facts.homes[case.household_id].members)))
        await session.execute(insert(StandardRaiseLine), lines)
    return cases[-1].id if len(cases) == STEP else None


def _line(of_raise: StandardRaise, case: CaseFile, judged: Judged, members: int) -> dict[str, object]:
    calculated = judged.calculated
    is_same = calculated is not None and calculated.amount_fen == case.amount_fen
    is_undone = of_raise.state == "undoing"
    return {
        "raise_id": of_raise.id,
        "case_id": case.id,
        "household_id": case.household_id,
        "area_code": case.area_code,
        "programme": case.programme,
        "people": len(calculated.covered) if calculated and calculated.covered else members,
        "before_fen": case.amount_fen,
        "after_fen": calculated.amount_fen if calculated else None,
        "doubt": None if is_same else "decided_since" if is_undone else "granted_since",
        "rank": SAME if is_same else ODD,
        "outcome": None if is_same else "kept" if is_undone else "left",
    }
