"""Publish checklists that an office wrote in Excel. A published version never changes: phones may be using it."""

from typing import NamedTuple

import msgspec
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.checklists.faults import Fault
from server.checklists.feeds import warn_about_feeds
from server.checklists.template import Template
from server.checklists.template_checks import check_template
from server.checklists.workbook_reader import read_workbook
from server.checklists.workbook_writer import write_workbook
from server.core import jobs
from server.core.canonical import content_hash
from server.core.database import open_once
from server.core.ids import new_id
from server.core.job_types import FulfilOrders
from server.core.settings import Settings
from server.models.checklists import ChecklistTemplate
from server.sync_feed.publish import publish_change


class ChecklistRefused(Exception):
    """The checklist can't be published or exported; the message has one line per fault."""


class PublishedVersion(NamedTuple):
    """`warnings`: what an office should know and may want as it is."""

    code: str
    version: int
    is_new: bool
    warnings: tuple[Fault, ...] = ()


async def import_checklist(settings: Settings, workbook: bytes) -> PublishedVersion:
    """Publish a workbook; raise WorkbookFaults with all invalid cells, or ChecklistRefused."""
    template = read_workbook(workbook)
    async with open_once(settings.database_url) as session:
        return await publish(session, template)


async def publish(session: AsyncSession, template: Template, *, area_code: str = "") -> PublishedVersion:
    """Publish a version. Idempotent for the same version with the same content.

    Other content needs a version above all published ones.
    """
    _refuse_faults(check_template(template))
    warnings = tuple(warn_about_feeds(template))
    body = msgspec.to_builtins(template)
    # Serialize publishers: two that read the same latest version would both publish the next one.
    await session.execute(select(func.pg_advisory_xact_lock(func.hashtext(f"checklist:{template.code}"))))
    versions = {
        checklist.version: checklist
        for checklist in await session.scalars(select(ChecklistTemplate).where(ChecklistTemplate.code == template.code))
    }
    if (published := versions.get(template.version)) is not None and content_hash(published.body) == content_hash(body):
        return PublishedVersion(template.code, template.version, is_new=False, warnings=warnings)
    if template.version <= max(versions, default=0):
        raise ChecklistRefused(
            f"{template.code} version {template.version} is not above version {max(versions)}, "
            "which is published and can't change: raise the version in the workbook"
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
    await session.flush()  # publish_change reads it
    await publish_change(session, "checklists", [row.id])
    await jobs.defer(session, FulfilOrders(kind=row.kind, area_code=row.area_code))
    audit.record(session, None, Action.CHECKLIST_PUBLISHED, "checklist", row.id, code=row.code, version=row.version)
    return PublishedVersion(row.code, row.version, is_new=True, warnings=warnings)


def _refuse_faults(faults: list[Fault]) -> None:
    if faults:
        raise ChecklistRefused("\n".join(f"{fault.pointer}: {fault.zh} / {fault.en}" for fault in faults))


async def export_checklist(settings: Settings, code: str, version: int | None) -> bytes:
    """Return a published version as a workbook, by default the newest."""
    async with open_once(settings.database_url) as session:
        query = select(ChecklistTemplate).where(ChecklistTemplate.code == code)
        if version is not None:
            query = query.where(ChecklistTemplate.version == version)
        row = await session.scalar(query.order_by(ChecklistTemplate.version.desc()).limit(1))
        if row is None:
            codes = sorted(set(await session.scalars(select(ChecklistTemplate.code))))
            raise ChecklistRefused(f"no such checklist; there are: {', '.join(codes)}")
        return write_workbook(msgspec.convert(row.body, Template))
