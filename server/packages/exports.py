"""Exports from the desk: one person asks for one, another releases it, a job writes the file, and it goes after days.

It is what an area holds, with numbers in clear inside. So it takes two people who have confirmed that it is them
(independence.py), a reason, and a key of the county: what lies in the store, nobody here can open. Who complained or
objected, and of whom, is left out (`list_withheld`): they may be complaints of those who export.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from server import audit
from server.audit.actions import Action
from server.core import jobs
from server.core.access import Caller, readable, require_found, require_role
from server.core.age_files import AgeRefused, read_public_key
from server.core.clock import utc_now
from server.core.database import open_session
from server.core.errors import Fault, Problem
from server.core.http import LongText, RequestBody, ResponseBody
from server.core.job_types import RemoveAreaExports, WriteAreaExport
from server.core.log import log
from server.core.paging import Keyset, Page, fetch_page
from server.core.services import Services
from server.core.working_days import day_of
from server.models.areas import Area
from server.models.packages import EXPORTERS, AreaExport
from server.models.people import Staff
from server.packages.files import Manifest, PackageRefused
from server.packages.independence import require_second_person
from server.packages.tables import list_withheld
from server.packages.trail import fingerprint, record_export, spell_fingerprint
from server.packages.writing import write_package
from server.policy.resolver import load_policy_values

_NEWEST_FIRST = Keyset(AreaExport.id, descending=True)
_DAYS = "retention.package_days"
ExportState = Literal["proposed", "rejected", "accepted", "ready", "failed", "removed"]


class ProposeExport(RequestBody):
    """`public_key`: a line `age1…`; the county keeps the private one. `id` is drawn by the client."""

    id: UUID
    area_code: Annotated[str, Meta(pattern="^[0-9]{2,12}$")]
    public_key: Annotated[str, Meta(min_length=1, max_length=1000)]
    reason: Annotated[LongText, Meta(min_length=1)]


class DecideExport(RequestBody):
    """A rejection needs a reason, a release the `fingerprint` of the key as the decider heard it from the county.

    It is the last 16 letters of the line `age1…`; the whole line will do.
    """

    outcome: Literal["accepted", "rejected"]
    fingerprint: Annotated[str, Meta(max_length=120)] = ""
    reason: Annotated[str, Meta(max_length=1000)] = ""


class AreaExportLine(ResponseBody):
    """`fingerprint`: by which the owner of the key recognises it; null for others until they have typed it.

    `digest`: of all that the file holds.
    """

    id: UUID
    area_code: str
    area_name: str
    fingerprint: str | None
    reason: str
    state: ExportState
    proposed_by: str
    proposed_by_id: UUID
    proposed_at: datetime
    decided_by: str | None
    decided_at: datetime | None
    answer: str | None
    written_at: datetime | None
    digest: str | None
    rows: int | None
    objects: int | None
    faults: int | None
    size_bytes: int | None
    error: str | None


class PackageLink(ResponseBody):
    url: str
    expires_at: datetime


async def list_exports(
    session: AsyncSession, caller: Caller, *, cursor: str | None, limit: int
) -> Page[AreaExportLine]:
    """List exports of the caller's areas, the newest first."""
    require_role(caller, EXPORTERS)
    page, next_cursor = await fetch_page(session, _select_lines(caller), _NEWEST_FIRST, cursor, limit)
    return Page(items=[_line(caller, *row) for row in page], next_cursor=next_cursor)


def _select_lines(caller: Caller) -> Any:
    proposer, decider = aliased(Staff), aliased(Staff)
    return (
        select(AreaExport, Area.name, proposer.name, decider.name)
        .join(Area, Area.code == AreaExport.area_code)
        .join(proposer, proposer.id == AreaExport.proposed_by)
        .outerjoin(decider, decider.id == AreaExport.decided_by)
        .where(AreaExport.in_scope(caller))
    )


async def propose_export(session: AsyncSession, caller: Caller, body: ProposeExport, now: datetime) -> AreaExportLine:
    """Keep a proposal; nothing is written until another person releases it. Idempotent by id.

    Raise `thing.not_found` for an area that is not the caller's, `request.invalid` for something that is no key.
    """
    require_role(caller, EXPORTERS)
    area = await session.get(Area, body.area_code)
    if area is None or not caller.covers(body.area_code, EXPORTERS):
        raise Problem("thing.not_found")
    earlier = await session.get(AreaExport, body.id)
    if earlier is not None:
        stored = (earlier.area_code, earlier.public_key, earlier.reason, earlier.proposed_by)
        if stored != (body.area_code, body.public_key, body.reason, caller.id):
            raise Problem("request.idempotency_key_reused")
        return await _load_line(session, caller, body.id)
    try:
        read_public_key(body.public_key.encode())
    except AgeRefused as refused:
        raise Problem("request.invalid", faults=[Fault("/publicKey", "field.invalid", str(refused))]) from None
    export = AreaExport(
        id=body.id,
        area_code=body.area_code,
        public_key=body.public_key,
        fingerprint=fingerprint(body.public_key),
        reason=body.reason,
        state="proposed",
        proposed_by=caller.id,
        proposed_at=now,
    )
    session.add(export)
    await session.flush()  # the line is read from the table
    _record(session, caller, Action.PACKAGE_PROPOSED, export, reason=export.reason)
    return await _load_line(session, caller, export.id)


async def decide_export(
    session: AsyncSession, caller: Caller, export_id: UUID, body: DecideExport, now: datetime
) -> AreaExportLine:
    """Release an export, which a job then writes, or turn it down. Idempotent.

    Raise `package.second_person` for one's own, `package.county_officer`, `package.made_by_other`, `package.decided`,
    `package.key_differs`, `review.reason_required`, `thing.not_found`.
    """
    export = await _lock(session, caller, export_id)
    decided = export.state if export.state in {"proposed", "rejected"} else "accepted"
    if (decided, export.decided_by) != (body.outcome, caller.id):
        if caller.acts_as(export.proposed_by):
            raise Problem("package.second_person")
        if export.state != "proposed":
            raise Problem("package.decided")
        if body.outcome == "rejected" and not body.reason.strip():
            raise Problem("review.reason_required")
        if body.outcome == "accepted":
            await require_second_person(session, caller, export, day_of(now))
            if spell_fingerprint(body.fingerprint) != export.fingerprint:
                raise Problem("package.key_differs")
        export.state, export.answer = body.outcome, body.reason.strip() or None
        export.decided_by, export.decided_at = caller.id, now
        is_accepted = body.outcome == "accepted"
        action = Action.PACKAGE_ACCEPTED if is_accepted else Action.PACKAGE_REJECTED
        _record(session, caller, action, export, reason=export.answer or export.reason)
        if is_accepted:
            await jobs.defer(session, WriteAreaExport(export_id=export.id))
        await session.flush()  # the line is read from the table
    return await _load_line(session, caller, export_id)


async def link_package(
    session: AsyncSession, services: Services, caller: Caller, export_id: UUID, now: datetime
) -> PackageLink:
    """Return a link to the sealed file, valid for minutes. Raise `package.not_there`, `thing.not_found`."""
    export = await _lock(session, caller, export_id)
    if export.state != "ready":
        raise Problem("package.not_there")
    lifetime = timedelta(minutes=services.settings.link_minutes)
    url = services.store.link(
        package_key(export.id),
        lifetime=lifetime,
        media_type="application/octet-stream",
        filename=f"{export.area_code}-{day_of(now).isoformat()}.age",
    )
    _record(session, caller, Action.PACKAGE_TAKEN, export)
    return PackageLink(url=url, expires_at=now + lifetime)


def package_key(export_id: UUID) -> str:
    return f"packages/{export_id}.age"


async def _lock(session: AsyncSession, caller: Caller, export_id: UUID) -> AreaExport:
    require_role(caller, EXPORTERS)
    query = readable(AreaExport, caller).where(AreaExport.id == export_id).with_for_update()
    found: AreaExport = require_found(await session.scalar(query))
    return found


async def _fail(services: Services, job: WriteAreaExport, error: str) -> None:
    async with open_session(services.sessions) as session:
        export = await session.get(AreaExport, job.export_id, with_for_update=True)
        if export is None or export.state != "accepted":
            return
        export.state, export.error = "failed", error
    # The file may be there already: no line leads to it, and no day would remove it.
    await services.store.remove(package_key(job.export_id))


@jobs.task(WriteAreaExport, on_final_failure=_fail)
async def write_area_export(services: Services, job: WriteAreaExport) -> None:
    """Write the file beside the store and put it there as a whole; again from the start after a failure."""
    async with open_session(services.sessions) as session:
        export = await session.get(AreaExport, job.export_id)
        if export is None or export.state != "accepted":
            return
    with TemporaryDirectory(prefix="zoufang-package-") as folder:
        file = Path(folder) / "package.age"
        try:
            manifest = await _write_file(services, export, file)
        except PackageRefused as refused:
            await _fail(services, job, str(refused))
            return
        await services.store.put_file(package_key(export.id), file, "application/octet-stream")
        await _finish(services, job.export_id, manifest, file.stat().st_size)


async def _write_file(services: Services, export: AreaExport, file: Path) -> Manifest:
    recipient = read_public_key(export.public_key.encode())
    with file.open("wb") as target:
        return await write_package(
            services, services.settings.database_url, target, export.area_code, recipient, _log_step,
            withheld=list_withheld(),
        )  # fmt: skip


def _log_step(step: str) -> None:
    log.info("package.step", step=step)


async def _finish(services: Services, export_id: UUID, manifest: Manifest, size_bytes: int) -> None:
    async with open_session(services.sessions) as session:
        export = await session.get_one(AreaExport, export_id, with_for_update=True)
        export.state, export.written_at, export.size_bytes = "ready", utc_now(), size_bytes
        export.digest, export.rows = manifest.digest, manifest.contents.rows()
        export.objects = manifest.contents.objects
        export.faults = len(manifest.faults) + len(manifest.altered_rosters)
        record_export(session, None, manifest, export.area_code, export.public_key, export.reason)


@jobs.task(RemoveAreaExports, cron="40 18 * * *")
async def remove_area_exports(services: Services, _: RemoveAreaExports) -> None:
    """Remove the files that have lain for the area's days; the line of the export stays."""
    async with open_session(services.sessions) as session:
        ready = (await session.scalars(select(AreaExport).where(AreaExport.state == "ready"))).all()
        for export in ready:
            assert export.written_at is not None
            now = utc_now()
            values = await load_policy_values(session, export.area_code, day_of(now), [_DAYS])
            if export.written_at + timedelta(days=int(values[_DAYS])) <= now:
                await services.store.remove(package_key(export.id))
                export.state = "removed"
                _record(session, None, Action.PACKAGE_REMOVED, export)


def _record(session: AsyncSession, caller: Caller | None, action: Action, export: AreaExport, **facts: Any) -> None:
    audit.record(
        session, caller, action, "package", export.id, area_code=export.area_code, key=export.fingerprint, **facts
    )


async def _load_line(session: AsyncSession, caller: Caller, export_id: UUID) -> AreaExportLine:
    row: Sequence[Any] = (await session.execute(_select_lines(caller).where(AreaExport.id == export_id))).one()
    return _line(caller, *row)


def _line(caller: Caller, export: AreaExport, area_name: str, proposer: str, decider: str | None) -> AreaExportLine:
    return AreaExportLine(
        id=export.id,
        area_code=export.area_code,
        area_name=area_name,
        fingerprint=export.fingerprint if export.state != "proposed" or export.proposed_by == caller.id else None,
        reason=export.reason,
        state=msgspec.convert(export.state, ExportState),
        proposed_by=proposer,
        proposed_by_id=export.proposed_by,
        proposed_at=export.proposed_at,
        decided_by=decider,
        decided_at=export.decided_at,
        answer=export.answer,
        written_at=export.written_at,
        digest=export.digest,
        rows=export.rows,
        objects=export.objects,
        faults=export.faults,
        size_bytes=export.size_bytes,
        error=export.error,
    )
