"""What a household can do that does not agree with a decision about it, and until when."""

from datetime import date, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from server.core.http import ResponseBody
from server.models.cases import CaseFile
from server.policy.resolver import load_policy_values
from server.residents.change_reports import months_after

RECONSIDERATION_DAYS = "remedy.reconsideration_days"
LAWSUIT_MONTHS = "remedy.lawsuit_months"


class Remedies(ResponseBody):
    """The times to ask a higher authority for reconsideration (行政复议法§20) or to go to court (行政诉讼法§46).

    They run from the day the written decision was delivered. `delivered_on` and the days are null while nothing says
    that it was. A complaint to the office itself is possible at any time.
    """

    delivered_on: date | None
    reconsideration_days: int
    reconsideration_until: date | None
    lawsuit_months: int
    lawsuit_until: date | None


async def load_remedies(session: AsyncSession, case: CaseFile, delivered_on: date | None, decided_on: date) -> Remedies:
    """Return the times that held when the decision was made."""
    keys = [RECONSIDERATION_DAYS, LAWSUIT_MONTHS]
    settings = await load_policy_values(session, case.area_code, decided_on, keys)
    return reckon_remedies(delivered_on, int(settings[RECONSIDERATION_DAYS]), int(settings[LAWSUIT_MONTHS]))


def reckon_remedies(delivered_on: date | None, days: int, months: int) -> Remedies:
    return Remedies(
        delivered_on=delivered_on,
        reconsideration_days=days,
        reconsideration_until=delivered_on + timedelta(days=days) if delivered_on else None,
        lawsuit_months=months,
        lawsuit_until=months_after(delivered_on, months) if delivered_on else None,
    )
