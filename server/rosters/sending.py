"""The bank's files of a roster: made once when it is sent, and made again the same whenever they are asked for."""

import hashlib
from collections.abc import Sequence
from uuid import UUID

import msgspec
from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.core.access import Caller, require_found
from server.core.encryption import Encryption
from server.core.errors import Fault, Problem
from server.core.threads import run_in_thread
from server.models.rosters import DEAD_LINE_STATES, ROSTER_ROLES, Roster, RosterLine
from server.policy.resolver import load_policy_values
from server.policy.values import BankForm
from server.rosters.bank_files import FileLine, build_files, seal_file

BANK_FORMS = "roster.bank_forms"
# Whatever the form: nothing on the way may read it as text of another encoding.
MEDIA_TYPE = "application/octet-stream"
EXTENSIONS = {"csv": "csv", "fixed": "txt", "xlsx": "xlsx"}


async def list_bank_forms(session: AsyncSession, roster: Roster) -> list[BankForm]:
    settings = await load_policy_values(session, roster.area_code, roster.month, [BANK_FORMS])
    return msgspec.convert(settings.get(BANK_FORMS, []), list[BankForm])


async def find_bank_form(session: AsyncSession, roster: Roster, code: str | None) -> BankForm:
    """Return the form with this code, or the area's first. Raise `request.invalid`."""
    forms = await list_bank_forms(session, roster)
    form = next((form for form in forms if code is None or form.code == code), None)
    if form is None:
        raise Problem("request.invalid", faults=[Fault("/bankForm", "field.invalid", code or "")])
    return form


async def make_files(
    encryption: Encryption, roster: Roster, form: BankForm, lines: Sequence[RosterLine]
) -> tuple[list[bytes], str]:
    """Return the files of the lines and the hash of them all. Raise `roster.file_unfit`, `server.value_altered`."""
    opened = [_open_line(encryption, roster, line) for line in lines]
    files = await run_in_thread(build_files, form, opened)
    return files, hashlib.sha256(b"".join(files)).hexdigest()


def _open_line(encryption: Encryption, roster: Roster, line: RosterLine) -> FileLine:
    """Open the account of a line. The number must be the one that was checked, which its index tells."""
    if line.account_sealed is None or line.payee_name is None:
        raise Problem("roster.altered")
    account = encryption.open("roster_line.account", line.id, line.account_sealed)
    if encryption.index("bank_card", account) != line.account_index:
        raise Problem("roster.altered")
    return FileLine(
        position=line.position,
        reference=line.reference,
        payee=line.payee_name,
        account=account,
        bank=line.bank_name or "",
        note=f"{roster.program_zh}{roster.month:%Y%m}",
        fen=line.total_fen,
    )


class BankFile(msgspec.Struct, frozen=True):
    name: str
    content: bytes


async def take_file(
    session: AsyncSession, encryption: Encryption, caller: Caller, roster_id: UUID, part: int
) -> BankFile:
    """Return a file of a sent roster, with whole account numbers. Each look is written to the audit trail.

    Sealed to the key that the bank had given by the day of sending, if any.

    Raise `roster.not_now` before it was sent, and `roster.altered` when it is not the file that was sent.
    """
    roster: Roster = require_found(
        await session.scalar(select(Roster).where(Roster.id == roster_id, Roster.in_scope(caller)))
    )
    if not caller.covers(roster.area_code, ROSTER_ROLES):
        raise Problem("auth.forbidden", roles=", ".join(sorted(ROSTER_ROLES)))
    if roster.file_form is None:
        raise Problem("roster.not_now", state=roster.state)
    form = msgspec.convert(roster.file_form, BankForm)
    files, file_hash = await make_files(encryption, roster, form, await load_sent_lines(session, roster))
    if file_hash != roster.file_hash and form.format != "xlsx":
        raise Problem("roster.altered")
    if not 1 <= part <= len(files):
        raise Problem("thing.not_found")
    audit.record(
        session, caller, Action.ROSTER_FILE_TAKEN, "roster", roster.id, area_code=roster.area_code, part=part,
        lines=roster.homes, form=form.code,
    )  # fmt: skip
    name = f"{roster.number}-{part}.{EXTENSIONS[form.format]}{'.age' if form.public_key else ''}"
    return BankFile(name, await run_in_thread(seal_file, form, files[part - 1]))


async def load_sent_lines(session: AsyncSession, roster: Roster) -> Sequence[RosterLine]:
    rows = await session.scalars(select(RosterLine).where(*are_in_files(roster)).order_by(RosterLine.position))
    return rows.all()


def are_in_files(roster: Roster) -> list[ColumnElement[bool]]:
    """Match the lines that the bank pays."""
    return [RosterLine.roster_id == roster.id, RosterLine.state.not_in(DEAD_LINE_STATES), RosterLine.total_fen > 0]
