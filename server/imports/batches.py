"""An import from upload to undo: read and compare, show, confirm, apply in steps, undo in steps."""

import hashlib
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta
from sqlalchemy import func, not_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.core import jobs
from server.core.access import Caller, Role, in_areas, require_found, require_role
from server.core.clock import utc_now
from server.core.database import open_session
from server.core.errors import Fault, Problem
from server.core.http import LongText, RequestBody
from server.core.job_types import ApplyImport, FindDuplicates
from server.core.services import Services
from server.core.spreadsheet_reader import SpreadsheetRefused
from server.core.spreadsheets import read_spreadsheet
from server.core.threads import run_in_thread
from server.imports.columns import read_lines
from server.imports.import_kind import ImportKind, PlannedLine, PlanToApply, Work
from server.imports.registry import KINDS
from server.models.areas import Area
from server.models.imports import IMPORT_ROLES, ImportBatch, ImportLine
from server.models.review import COUNTY_CODE_LENGTH

# Lines of one transaction: small enough that nobody waits for its locks.
_STEP = 200
# Who may confirm what somebody else has brought and holds everywhere: an installation may have one administrator.
_SECOND_PEOPLE = frozenset({Role.COUNTY_OFFICER})
_PLAN, _BEFORE = "import_line.plan", "import_line.before"


class ConfirmImport(RequestBody):
    """`doubtful`: positions of the doubtful lines to apply as well."""

    doubtful: list[int] = []


class UndoImport(RequestBody):
    reason: Annotated[LongText, Meta(min_length=1)]


class Upload(msgspec.Struct, frozen=True):
    """A file as it was sent. Without a `mapping`, that of the area's last file of the kind is used."""

    id: UUID
    kind: str
    area_code: str
    filename: str
    content: bytes
    mapping: dict[str, str] | None


async def preview_import(
    session: AsyncSession, services: Services, caller: Caller, upload: Upload, now: datetime
) -> ImportBatch:
    """Read a file and keep what each line would do. The same file under the same id is the same import.

    A newer file or mapping under the same id replaces the lines until the import is confirmed.
    Raise `import.unreadable`, `import.confirmed`, `auth.forbidden` outside the caller's areas, and
    `import.counts_everywhere` for what holds beyond them.
    """
    kind = await _require_kind(session, caller, upload.kind, upload.area_code)
    # Before the session takes a connection.
    try:
        sheets = await run_in_thread(read_spreadsheet, upload.content, upload.filename)
    except SpreadsheetRefused as refused:
        raise Problem("import.unreadable", why=refused.zh, why_en=refused.en) from None
    if await session.get(Area, upload.area_code) is None:
        raise Problem("request.invalid", faults=[Fault("/area", "area.unknown", upload.area_code)])
    batch = await session.get(ImportBatch, upload.id, with_for_update=True)
    if batch is not None and (batch.state != "previewed" or batch.kind != upload.kind):
        raise Problem("import.confirmed")
    mapping = upload.mapping if upload.mapping is not None else await _last_mapping(session, upload)
    content = read_lines(sheets, kind.columns, mapping)
    work = Work(session, services, caller, caller.id, upload.area_code, now)
    planned = await kind.plan(work, content.lines) if not content.missing else []
    if batch is None:
        batch = ImportBatch(id=upload.id, kind=upload.kind, area_code=upload.area_code, state="previewed")
        session.add(batch)
    batch.filename, batch.sha256 = upload.filename[:200], hashlib.sha256(upload.content).hexdigest()
    batch.mapping, batch.headings, batch.faults = mapping, content.headings, content.missing
    batch.uploaded_by, batch.uploaded_at = caller.id, now
    batch.needs_second_person = kind.counts_everywhere or any(line.brings_money for line in planned)
    await session.flush()  # lines refer to it
    await _replace_lines(session, services, batch, planned)
    _record(session, caller, Action.IMPORT_PREVIEWED, batch, lines=len(planned))
    return batch


async def _require_kind(
    session: AsyncSession, caller: Caller, name: str, area_code: str, also: Collection[Role] = ()
) -> ImportKind:
    """`also`: roles that may act as well as those that bring the kind."""
    kind = KINDS.get(name)
    if kind is None:
        raise Problem("request.invalid", faults=[Fault("/kind", "field.invalid", name[:20])])
    roles = kind.roles | set(also)
    if not caller.covers(area_code, roles):
        raise Problem("auth.forbidden", roles=", ".join(sorted(roles)))
    if kind.counts_everywhere:
        is_county, is_covered = func.length(Area.code) == COUNTY_CODE_LENGTH, in_areas(Area.code, caller, roles)
        beyond = select(Area.code).where(is_county, Area.valid_until.is_(None), not_(is_covered)).limit(1)
        if await session.scalar(beyond) is not None:
            raise Problem("import.counts_everywhere")
    return kind


async def _last_mapping(session: AsyncSession, upload: Upload) -> dict[str, str]:
    rows = select(ImportBatch.mapping).where(ImportBatch.kind == upload.kind, ImportBatch.area_code == upload.area_code)
    return await session.scalar(rows.order_by(ImportBatch.uploaded_at.desc()).limit(1)) or {}


async def _replace_lines(
    session: AsyncSession, services: Services, batch: ImportBatch, planned: Sequence[PlannedLine]
) -> None:
    await session.execute(ImportLine.__table__.delete().where(ImportLine.batch_id == batch.id))  # type: ignore[attr-defined]
    rows = [
        {
            "batch_id": batch.id,
            "position": position,
            "sheet": entry.line.sheet[:100],
            "row": entry.line.number,
            "title": entry.title[:100],
            "outcome": entry.outcome,
            "faults": msgspec.to_builtins(entry.faults),
            "plan_sealed": _seal(services, _PLAN, batch.id, position, entry.plan),
            "is_chosen": entry.outcome in {"new", "changed"},
        }
        for position, entry in enumerate(planned)
    ]
    for start in range(0, len(rows), 1000):
        await session.execute(ImportLine.__table__.insert(), rows[start : start + 1000])  # type: ignore[attr-defined]


async def confirm_import(
    session: AsyncSession, caller: Caller, batch_id: UUID, body: ConfirmImport, now: datetime
) -> ImportBatch:
    """Confirm a preview; a job applies it. Confirming again changes nothing.

    Raise `import.second_person` where the uploader confirms what brings money, `import.columns_missing` where a
    required column was not found, `import.replaced` when the import was undone.
    """
    batch = await _lock(session, caller, batch_id)
    if batch.state in {"confirmed", "applied"}:
        return batch
    if batch.state != "previewed":
        raise Problem("import.replaced")
    if batch.faults:
        raise Problem("import.columns_missing", columns="、".join(batch.faults))
    if batch.needs_second_person and caller.acts_as(batch.uploaded_by):
        raise Problem("import.second_person")
    chosen = ImportLine.position.in_(body.doubtful) & (ImportLine.outcome == "doubtful")
    await session.execute(update(ImportLine).where(ImportLine.batch_id == batch.id, chosen).values(is_chosen=True))
    batch.state, batch.confirmed_by, batch.confirmed_at = "confirmed", caller.id, now
    await jobs.defer(session, ApplyImport(batch_id=batch.id))
    _record(session, caller, Action.IMPORT_CONFIRMED, batch, doubtful=len(body.doubtful))
    return batch


@jobs.task(ApplyImport)
async def apply_import(services: Services, job: ApplyImport) -> None:
    """Apply a confirmed import step by step. A step that was interrupted is done again whole."""
    while not await _apply_step(services, job.batch_id):
        pass


async def _apply_step(services: Services, batch_id: UUID) -> bool:
    """Apply the next lines. Return whether the import is complete."""
    async with open_session(services.sessions) as session:
        batch = await session.get_one(ImportBatch, batch_id, with_for_update=True)
        if batch.state != "confirmed":
            return True
        rows = await session.scalars(
            select(ImportLine)
            .where(ImportLine.batch_id == batch_id, ImportLine.is_chosen, ImportLine.applied_at.is_(None))
            .order_by(ImportLine.position)
            .limit(_STEP)
        )
        lines = list(rows)
        assert batch.confirmed_by is not None
        work = Work(session, services, None, batch.confirmed_by, batch.area_code, utc_now())
        if not lines:
            batch.state, batch.applied_at = "applied", work.now
            if batch.kind == "register":
                await jobs.defer(session, FindDuplicates(), once="duplicates")
            _record(session, None, Action.IMPORT_APPLIED, batch)
            return True
        plans = [_open_plan(services, line) for line in lines]
        await KINDS[batch.kind].apply(work, plans)
        for line, plan in zip(lines, plans, strict=True):
            line.thing_id, line.applied_at = plan.thing_id, work.now
            line.before_sealed = _seal(services, _BEFORE, line.batch_id, line.position, plan.before)
        return False


async def undo_import(
    session: AsyncSession, services: Services, caller: Caller, batch_id: UUID, body: UndoImport, now: datetime
) -> ImportBatch:
    """Take an applied import back as a whole. Undoing again changes nothing.

    Raise `import.not_applied`, `import.acted_upon` when somebody has acted on what it brought, and
    `import.second_person` where the one who confirmed undoes what brings money.
    """
    batch = await _lock(session, caller, batch_id)
    if batch.state == "undone":
        return batch
    if batch.state != "applied":
        raise Problem("import.not_applied")
    if batch.needs_second_person and caller.acts_as(batch.confirmed_by):
        raise Problem("import.second_person")
    kind = KINDS[batch.kind]
    work = Work(session, services, caller, caller.id, batch.area_code, now)
    lines = await session.scalars(
        select(ImportLine)
        .where(ImportLine.batch_id == batch.id, ImportLine.applied_at.is_not(None))
        .order_by(ImportLine.position.desc())
    )
    plans = [_open_plan(services, line) for line in lines]
    acted_upon = await kind.find_acted_upon(work, plans)
    if acted_upon:
        raise Problem("import.acted_upon", count=acted_upon)
    await kind.undo(work, plans)
    batch.state, batch.undone_by, batch.undone_at, batch.undo_reason = "undone", caller.id, now, body.reason
    _record(session, caller, Action.IMPORT_UNDONE, batch, lines=len(plans))
    return batch


async def count_lines(session: AsyncSession, batch_ids: Sequence[UUID]) -> dict[UUID, dict[str, int]]:
    """Return the lines of each outcome, and under `applied` those that were applied."""
    rows = await session.execute(
        select(ImportLine.batch_id, ImportLine.outcome, func.count(), func.count(ImportLine.applied_at))
        .where(ImportLine.batch_id.in_(batch_ids))
        .group_by(ImportLine.batch_id, ImportLine.outcome)
    )
    counts: dict[UUID, dict[str, int]] = {}
    for batch_id, outcome, lines, applied in rows:
        of_batch = counts.setdefault(batch_id, {})
        of_batch[outcome] = lines
        of_batch["applied"] = of_batch.get("applied", 0) + applied
    return counts


async def _lock(session: AsyncSession, caller: Caller, batch_id: UUID) -> ImportBatch:
    require_role(caller, IMPORT_ROLES)
    query = select(ImportBatch).where(ImportBatch.id == batch_id, ImportBatch.in_scope(caller)).with_for_update()
    batch: ImportBatch = require_found(await session.scalar(query))
    also = _SECOND_PEOPLE if KINDS[batch.kind].counts_everywhere else ()
    await _require_kind(session, caller, batch.kind, batch.area_code, also)
    return batch


def _seal(services: Services, column: str, batch_id: UUID, position: int, value: dict[str, Any] | None) -> bytes | None:
    if value is None:
        return None
    return services.encryption.seal(column, f"{batch_id}/{position}", msgspec.json.encode(value).decode())


def _open_plan(services: Services, line: ImportLine) -> PlanToApply:
    row_id = f"{line.batch_id}/{line.position}"
    opened = [
        msgspec.json.decode(services.encryption.open(column, row_id, sealed)) if sealed else None
        for column, sealed in ((_PLAN, line.plan_sealed), (_BEFORE, line.before_sealed))
    ]
    return PlanToApply(position=line.position, plan=opened[0] or {}, thing_id=line.thing_id, before=opened[1])


def _record(session: AsyncSession, caller: Caller | None, action: Action, batch: ImportBatch, **facts: Any) -> None:
    audit.record(session, caller, action, "import", batch.id, area_code=batch.area_code, kind=batch.kind, **facts)
