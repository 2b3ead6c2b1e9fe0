"""Tell each home of a sent roster from when its money is in the account, once for a home, a month and a program.

A locked screen shows a notice to anybody: the sum stands in it only where the area's setting says so.
"""

import calendar
from datetime import date
from uuid import UUID

from sqlalchemy import select

from server.core import jobs
from server.core.clock import utc_now
from server.core.database import open_session
from server.core.job_types import AnnouncePayday, Notify
from server.core.money import format_fen
from server.core.services import Services
from server.core.working_days import day_of
from server.models.cases import CaseFile
from server.models.people import ResidentBinding
from server.models.rosters import SENT_LINE_STATES, Roster, RosterLine
from server.policy.resolver import load_policy_values

PAYDAY = "roster.payday"
SHOWS_SUM = "roster.payday_shows_sum"
_STEP = 1000


@jobs.task(AnnouncePayday)
async def announce_payday(services: Services, job: AnnouncePayday) -> None:
    """Notify the homes that somebody reads for, in short transactions. Idempotent: a notice is made once."""
    last: UUID | None = UUID(int=0)
    while last is not None:
        async with open_session(services.sessions) as session:
            roster = await session.get(Roster, job.roster_id)
            if roster is None:
                return
            settings = await load_policy_values(session, roster.area_code, roster.month, [PAYDAY, SHOWS_SUM])
            on = payday(roster.month, int(settings[PAYDAY]), day_of(utc_now()))
            has_reader = select(ResidentBinding.household_id).where(ResidentBinding.ended_at.is_(None))
            rows = (
                await session.execute(
                    select(RosterLine, CaseFile.household_id)
                    .join(CaseFile, CaseFile.id == RosterLine.case_id)
                    .where(
                        RosterLine.roster_id == roster.id,
                        RosterLine.id > last,
                        RosterLine.state.in_(SENT_LINE_STATES),
                        RosterLine.total_fen > 0,
                        CaseFile.household_id.in_(has_reader),
                    )
                    .order_by(RosterLine.id)
                    .limit(_STEP)
                )
            ).all()
            for line, household_id in rows:
                await jobs.defer(session, _notice(line, household_id, on, shows_sum=bool(settings[SHOWS_SUM])))
            last = rows[-1][0].id if len(rows) == _STEP else None


def payday(month: date, day: int, today: date) -> date:
    """Return the day from which the money is there: of the roster's month, or today where it is sent later."""
    last_day = calendar.monthrange(month.year, month.month)[1]
    return max(month.replace(day=min(day, last_day)), today)


def _thing(line: RosterLine, household_id: UUID) -> str:
    """Return what the notice is about: money of another program, or paid again by a correction, is another."""
    again = f":{line.source_line_id}" if line.source_line_id else ""
    return f"payday:{household_id}:{line.month:%Y-%m}:{line.program}{again}"


def _notice(line: RosterLine, household_id: UUID, on: date, *, shows_sum: bool) -> Notify:
    shown = format_fen(line.total_fen)
    return Notify(
        kind="payday",
        thing=_thing(line, household_id),
        area_code=line.area_code,
        household_id=household_id,
        facts={
            "caseId": str(line.case_id),
            "month": f"{line.month:%Y-%m}",
            "on": on.isoformat(),
            "sum": f"，共{shown}" if shows_sum else "",
            "sumEn": f", {shown}" if shows_sum else "",
        },
    )
