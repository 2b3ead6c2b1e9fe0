"""Publishing checklists: written in Excel by an office, immutable once a phone may have begun on them."""

from typing import NamedTuple

import msgspec
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.checklists.faults import Fault
from server.checklists.template import Template, check_template
from server.checklists.workbook import read_workbook, write_workbook
from server.core import jobs
from server.core.canonical import content_hash
from server.core.database import open_once
from server.core.ids import new_id
from server.core.settings import Settings
from server.models.checklists import ChecklistTemplate
from server.sync_feed.publish import publish_change


class ChecklistRefused(Exception):
    """It can't be published; the message says why, one line a fault."""


class Published(NamedTuple):
    code: str
    version: int
    is_new: bool


async def import_checklist(settings: Settings, workbook: bytes) -> Published:
    """Publish a workbook. Raises WorkbookFaults with every bad cell, or ChecklistRefused."""
    template = read_workbook(workbook)
    async with open_once(settings.database_url) as session:
        return await publish(session, template)


async def publish(session: AsyncSession, template: Template, *, area_code: str = "") -> Published:
    """Publish a version. The same version with the same content again changes nothing.

    A published version never changes: other content needs a higher version than any before it.
    """
    _refuse_faults(check_template(template))
    body = msgspec.to_builtins(template)
    # One publisher at a time: two that read the same latest version would both believe they are next.
    await session.execute(select(func.pg_advisory_xact_lock(func.hashtext(f"checklist:{template.code}"))))
    versions = {
        checklist.version: checklist
        for checklist in await session.scalars(select(ChecklistTemplate).where(ChecklistTemplate.code == template.code))
    }
    if (before := versions.get(template.version)) is not None and content_hash(before.body) == content_hash(body):
        return Published(template.code, template.version, is_new=False)
    if template.version <= max(versions, default=0):
        raise ChecklistRefused(
            f"{template.code} version {template.version} is not above version {max(versions)}, "
            "which is published and never changes: raise the version in the workbook"
        )
    row = ChecklistTemplate(
        id=new_id(),
        code=template.code,
        version=template.version,
        kind=template.kind,
        area_code=area_code,
        body=body,
    )
    session.add(row)
    await session.flush()  # announce reads it
    await publish_change(session, "checklists", [row.id])
    await jobs.defer(session, "workload.place_blocked", kind=row.kind, area_code=row.area_code)
    audit.record(session, None, "checklist.published", "checklist", row.id, code=row.code, version=row.version)
    return Published(row.code, row.version, is_new=True)


def _refuse_faults(faults: list[Fault]) -> None:
    if faults:
        raise ChecklistRefused("\n".join(f"{fault.pointer}: {fault.zh} / {fault.en}" for fault in faults))


async def export_checklist(settings: Settings, code: str, version: int | None) -> bytes:
    """A published version as a workbook; the newest one unless a version is named."""
    async with open_once(settings.database_url) as session:
        rows = select(ChecklistTemplate).where(ChecklistTemplate.code == code)
        if version is not None:
            rows = rows.where(ChecklistTemplate.version == version)
        row = await session.scalar(rows.order_by(ChecklistTemplate.version.desc()).limit(1))
        if row is None:
            existing = sorted(set(await session.scalars(select(ChecklistTemplate.code))))
            raise ChecklistRefused(f"no such checklist; there are: {', '.join(existing)}")
        return write_workbook(msgspec.convert(row.body, Template))
