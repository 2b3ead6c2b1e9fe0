"""Whether a household may be paid again after a stop without a new application: within months that its area allows."""

from datetime import date, datetime

from sqlalchemy.ext.asyncio import AsyncSession

from server.cases.applications import require_no_other_case
from server.core.errors import Problem
from server.core.working_days import day_of
from server.models.cases import CaseFile
from server.policy.resolver import load_policy_values

_MONTHS = "case.come_back_months"


async def require_may_come_back(session: AsyncSession, case: CaseFile, now: datetime) -> None:
    """Raise `case.come_back_closed` where the area allows it no longer, or not at all.

    Raise `case.open_already` or `case.granted_already` when the household has applied anew.
    """
    if not await may_come_back(session, case, day_of(now)):
        raise Problem("case.come_back_closed")
    await require_no_other_case(session, case.household_id)


async def may_come_back(session: AsyncSession, case: CaseFile, today: date) -> bool:
    settings = await load_policy_values(session, case.area_code, today, [_MONTHS])
    months = int(settings.get(_MONTHS, 0))
    if case.state != "stopped" or case.stopped_from is None or months == 0:
        return False
    passed = (today.year - case.stopped_from.year) * 12 + today.month - case.stopped_from.month
    return passed < months
