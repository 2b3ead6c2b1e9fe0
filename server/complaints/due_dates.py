"""Due dates of complaints, and how urgent they are."""

from datetime import date, timedelta
from typing import Any, Literal

from sqlalchemy import and_
from sqlalchemy.ext.asyncio import AsyncSession

from server.core.working_days import end_of, length_of
from server.models.complaints import Complaint
from server.policy.resolver import load_overrides, load_policy_values

# A due date runs in these states only.
OPEN_STATES = ("received", "registered")
Urgency = Literal["overdue", "due", "soon", "later"]
SOON_DAYS = 3


def filter_by_urgency(urgency: Urgency, today: date) -> Any:
    soon = today + timedelta(days=SOON_DAYS)
    return {
        "overdue": Complaint.due_on < today,
        "due": Complaint.due_on == today,
        "soon": and_(Complaint.due_on > today, Complaint.due_on <= soon),
        "later": Complaint.due_on > soon,
    }[urgency]


def compute_urgency(days_left: int) -> Urgency:
    if days_left <= 0:
        return "overdue" if days_left else "due"
    return "soon" if days_left <= SOON_DAYS else "later"


async def compute_due_date(session: AsyncSession, area_code: str, received_on: date, key: str, *, since: date) -> date:
    """Return the last day of a period that begins at `since`, by the settings of the day of receipt."""
    rules = await load_policy_values(session, area_code, received_on, [key])
    return end_of(since, length_of(rules, key), await load_overrides(session)).on
