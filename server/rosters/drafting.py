"""Write the lines of a roster: from the decisions of a month, or from what the bank returned.

A job does it, because a county has tens of thousands of homes. It can run again: it writes all lines anew, and leaves
out the homes that a person left out.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.core import jobs
from server.core.clock import utc_now
from server.core.database import advisory_lock, open_session
from server.core.encryption import Encryption
from server.core.ids import new_id
from server.core.job_types import DraftRoster
from server.core.services import Services
from server.models.rosters import Roster, RosterFinding, RosterLine, RosterPart
from server.policy.values import PaymentProgram
from server.rosters.corrections import list_returned, plan_corrections
from server.rosters.examine import examine_roster
from server.rosters.homes import Account
from server.rosters.parts import Part, sum_kind
from server.rosters.plans import Plan, plan_lines
from server.rosters.programs import find_program

_STEP = 1000


@jobs.task(DraftRoster)
async def draft_roster(services: Services, job: DraftRoster) -> None:
    async with open_session(services.sessions) as session:
        roster = await session.get(Roster, job.roster_id, with_for_update=True)
        if roster is None or roster.state != "drafting":
            return
        await write_lines(session, services.encryption, roster, utc_now())


async def write_lines(session: AsyncSession, encryption: Encryption, roster: Roster, now: datetime) -> None:
    """Write all lines of a locked roster anew, and look for its findings."""
    program = await find_program(session, roster.area_code, roster.program, roster.month)
    # Rosters of the same money see one another's lines whole, so that none pays what another does.
    await advisory_lock(session, f"roster:{'amount' if program.pays == 'amount' else program.code}")
    await _delete_lines(session, roster)
    left_out = set(
        await session.scalars(
            select(RosterFinding.household_id).where(
                RosterFinding.roster_id == roster.id,
                RosterFinding.verdict == "leave_out",
                RosterFinding.gone_at.is_(None),
            )
        )
    )
    rows, parts = await _draft(session, encryption, roster, program, left_out)
    for start in range(0, len(rows), _STEP):
        await session.execute(insert(RosterLine), rows[start : start + _STEP])
    for start in range(0, len(parts), _STEP):
        await session.execute(insert(RosterPart), parts[start : start + _STEP])
    roster.state = "drafted"
    waiting = await examine_roster(session, encryption, roster, program, now)
    audit.record(
        session, None, Action.ROSTER_DRAFTED, "roster", roster.id, area_code=roster.area_code, lines=len(rows),
        findings=waiting,
    )  # fmt: skip


async def _delete_lines(session: AsyncSession, roster: Roster) -> None:
    """Delete the lines of an earlier draft; none of them was ever frozen for good."""
    lines = select(RosterLine.id).where(RosterLine.roster_id == roster.id)
    await session.execute(delete(RosterPart).where(RosterPart.line_id.in_(lines)))
    await session.execute(delete(RosterLine).where(RosterLine.roster_id == roster.id))


Rows = list[dict[str, Any]]


async def _draft(
    session: AsyncSession, encryption: Encryption, roster: Roster, program: PaymentProgram, left_out: set[UUID | None]
) -> tuple[Rows, Rows]:
    if roster.kind == "correction":
        return await _draft_correction(session, encryption, roster, program, left_out)
    plans = await plan_lines(session, encryption, roster, program)
    ordered = sorted(plans.values(), key=lambda plan: (plan.area_code, plan.household_number))
    rows: Rows = []
    parts: Rows = []
    for position, plan in enumerate(ordered, start=1):
        row = _line_of_plan(roster, plan, position, plan.household_id in left_out)
        rows.append(row | _seal_account(encryption, row["id"], plan.account))
        parts += _part_rows(row["id"], plan.parts)
    return rows, parts


def _line_of_plan(roster: Roster, plan: Plan, position: int, is_left_out: bool) -> dict[str, Any]:
    return {
        "id": new_id(),
        "roster_id": roster.id,
        "position": position,
        "reference": f"{roster.number}-{position:05d}",
        "program": roster.program,
        "month": roster.month,
        "source_line_id": None,
        "household_id": plan.household_id,
        "case_id": plan.case_id,
        "area_code": plan.area_code,
        "state": "left_out" if is_left_out else "drafted",
        "household_number": plan.household_number,
        "head_name": plan.head_name,
        "beneficiaries": plan.beneficiaries,
        "people": plan.people,
        "class_": plan.class_,
        "due_fen": sum_kind(plan.parts, "due"),
        "arrears_fen": sum_kind(plan.parts, "arrears"),
        "recovery_fen": sum_kind(plan.parts, "recovery"),
        "total_fen": plan.total_fen,
        "ground": plan.ground,
    }


def _seal_account(encryption: Encryption, line_id: UUID, account: Account | None) -> dict[str, Any]:
    if account is None:
        return dict.fromkeys(("payee_name", "bank_name", "account_mask", "account_sealed", "account_index"))
    return {
        "payee_name": account.holder_name,
        "bank_name": account.bank_name,
        "account_mask": account.mask,
        "account_sealed": encryption.seal("roster_line.account", line_id, account.number),
        "account_index": account.index,
    }


def _part_rows(line_id: UUID, parts: Iterable[Part]) -> Rows:
    return [{"id": new_id(), "line_id": line_id, **part._asdict()} for part in parts]


async def _draft_correction(
    session: AsyncSession, encryption: Encryption, roster: Roster, program: PaymentProgram, left_out: set[UUID | None]
) -> tuple[Rows, Rows]:
    """Write what the bank returned of the source and nobody corrects yet, with the accounts as they are now."""
    sources = await list_returned(session, roster)
    plans = await plan_corrections(session, encryption, roster, program, sources)
    rows: Rows = []
    parts: Rows = []
    for position, source in enumerate(sources, start=1):
        plan = plans[source.id]
        row = _line_of_plan(roster, plan, position, plan.household_id in left_out) | {"source_line_id": source.id}
        rows.append(row | _seal_account(encryption, row["id"], plan.account))
        parts += _part_rows(row["id"], plan.parts)
    return rows, parts
