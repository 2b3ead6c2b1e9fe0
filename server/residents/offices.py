"""Who handles a case, and how a household reaches them."""

from datetime import date

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server.cases.notices import issuing_office
from server.core.http import ResponseBody
from server.models.cases import CaseEvent, CaseFile
from server.models.people import Staff
from server.policy.resolver import load_policy_values
from server.workload.unordered_kinds import HOTLINE

_WITH_DECIDER = frozenset({"county", "confirmed", "refused"})
# What is done at the counter, by whoever handles the case.
_COUNTER_STEPS = frozenset({"applied", "materials", "accepted", "not_accepted"})


class Office(ResponseBody):
    """Who handles a case: the office, its telephone (empty where none is written), and who took it on.

    `handler` is null while the case lies with the office that decides, whose staff a household does not meet.
    """

    name: str
    phone: str
    handler: str | None


async def load_office(session: AsyncSession, case: CaseFile, today: date) -> Office:
    settings = await load_policy_values(session, case.area_code, today, [HOTLINE])
    is_decider = case.state in _WITH_DECIDER
    handler = await session.scalar(
        select(Staff.name)
        .join(CaseEvent, CaseEvent.actor_id == Staff.id)
        .where(CaseEvent.case_id == case.id, CaseEvent.step.in_(_COUNTER_STEPS), Staff.disabled_at.is_(None))
        .order_by(CaseEvent.at.desc(), CaseEvent.id.desc())
        .limit(1)
    )
    name = await issuing_office(session, case, is_decision=is_decider)
    return Office(name=name, phone=settings.get(HOTLINE, ""), handler=None if is_decider else handler)
