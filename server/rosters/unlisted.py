"""Who should be on a roster and is not: findings of the roster as a whole, and of homes without a line."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, String, cast, func, literal, or_, select
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from server.core.encryption import Encryption
from server.models.cases import CaseFile
from server.models.households import Household
from server.models.rosters import SENT_LINE_STATES, Roster, RosterLine
from server.policy.values import PaymentProgram
from server.rosters.plans import UNPUBLISHED, Plan, may_be_owed, plan_unpublished

Unlisted = tuple[UUID | None, str, dict[str, Any]]


async def find_unlisted(
    session: AsyncSession,
    encryption: Encryption,
    roster: Roster,
    program: PaymentProgram,
    plans: Mapping[UUID, Plan],
    *,
    has_lines: bool,
) -> list[Unlisted]:
    """Return household, code and facts of each finding: who is owed something and not listed, and a first roster."""
    listed = set(await session.scalars(select(RosterLine.household_id).where(RosterLine.roster_id == roster.id)))
    found: list[Unlisted] = [(household_id, "home_missing", {}) for household_id in plans if household_id not in listed]
    among = {
        "not_on_roster": await _digest_cases(
            session,
            roster,
            CaseFile.state == "in_force",
            CaseFile.programme.is_(None),
            CaseFile.amount_fen > 0,
        ),
        "not_published": await _digest_cases(
            session,
            roster,
            CaseFile.state == UNPUBLISHED,
            or_(
                CaseFile.household_id.in_(await _list_waiting(session, encryption, roster, program, plans)),
                # Nobody can say what it is owed.
                may_be_owed(roster.month) & CaseFile.programme.is_(None),
            ),
        ),
        "paid_without_case": await _digest_without_case(session, roster),
    }
    found += [(None, code, {"count": count, "among": digest}) for code, (count, digest) in among.items() if count]
    if has_lines and not await has_earlier_roster(session, roster):
        found.append((None, "first_roster", {"count": len(listed)}))
    return found


async def _list_waiting(
    session: AsyncSession,
    encryption: Encryption,
    roster: Roster,
    program: PaymentProgram,
    plans: Mapping[UUID, Plan],
) -> list[UUID]:
    """Return the homes that would be paid more if their grant or return were disclosed.

    One that is taken up again from a later month, and was paid all months before its stop, waits for nothing.
    """
    unpublished = await plan_unpublished(session, encryption, roster, program)
    return [
        home for home, plan in unpublished.items() if plan.total_fen > (plans[home].total_fen if home in plans else 0)
    ]


async def _digest_cases(
    session: AsyncSession, roster: Roster, *conditions: ColumnElement[bool]
) -> tuple[int, str | None]:
    in_area = CaseFile.area_code.startswith(roster.area_code, autoescape=True)
    return await _digest(session, CaseFile.id, in_area, *conditions)


async def _digest_without_case(session: AsyncSession, roster: Roster) -> tuple[int, str | None]:
    paid = select(CaseFile.household_id).where(CaseFile.state.in_(["in_force", "published", "confirmed"]))
    return await _digest(
        session,
        Household.id,
        Household.area_code.startswith(roster.area_code, autoescape=True),
        Household.monthly_amount_fen > 0,
        Household.id.not_in(paid),
    )


async def _digest(
    session: AsyncSession, ids: InstrumentedAttribute[UUID], *conditions: ColumnElement[bool]
) -> tuple[int, str | None]:
    """Count the matching rows, with a digest of which: what a person judged of these is not judged of others."""
    of = cast(ids, String)
    row = await session.execute(
        select(func.count(), func.md5(func.string_agg(of, aggregate_order_by(literal(","), of)))).where(*conditions)
    )
    count, digest = row.one()
    return count, digest


async def has_earlier_roster(session: AsyncSession, roster: Roster) -> bool:
    """Say whether the program has paid anybody in the area before."""
    number = await session.scalar(
        select(func.count()).where(
            RosterLine.program == roster.program,
            RosterLine.area_code.startswith(roster.area_code, autoescape=True),
            RosterLine.state.in_(SENT_LINE_STATES),
            RosterLine.month < roster.month,
        )
    )
    return bool(number)
