"""Checklists as the desk reads them: the versions, and one version with its questions in both languages."""

from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import literal, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.checklists.blank_form import build_blank_form
from server.checklists.template import Template
from server.core.access import DIRECTORY_ROLES, Caller, require_found, require_role
from server.core.http import ResponseBody
from server.core.pdf import render_blank_form
from server.models.checklists import ChecklistTemplate


class ChecklistLine(ResponseBody):
    """`area_code` is empty for a checklist of the whole country."""

    code: str
    version: int
    kind: str
    title: dict[str, str]
    area_code: str
    questions: int
    published_at: datetime
    retired_at: datetime | None


class ChecklistDetail(ResponseBody):
    """`body` is the template as phones carry it."""

    line: ChecklistLine
    body: dict[str, Any]


async def list_checklists(session: AsyncSession, caller: Caller) -> list[ChecklistLine]:
    """List the checklists of the caller's areas and of those above and below, the newest version first."""
    require_role(caller, DIRECTORY_ROLES)
    rows = _select_readable(caller).order_by(ChecklistTemplate.code, ChecklistTemplate.version.desc())
    return [_checklist_line(template) for template in await session.scalars(rows)]


async def open_checklist(session: AsyncSession, caller: Caller, code: str, version: int) -> ChecklistDetail:
    """Raises `thing.not_found`."""
    template = await _find_checklist(session, caller, code, version)
    return ChecklistDetail(line=_checklist_line(template), body=template.body)


async def print_checklist(session: AsyncSession, caller: Caller, code: str, version: int) -> bytes:
    """Return a version as a blank form, a PDF. Raises `thing.not_found`, `print.characters_missing`."""
    template = await _find_checklist(session, caller, code, version)
    form = build_blank_form(msgspec.convert(template.body, Template))
    await session.commit()  # only read so far: hold no connection while the pages are set
    return await render_blank_form(form)


async def _find_checklist(session: AsyncSession, caller: Caller, code: str, version: int) -> ChecklistTemplate:
    require_role(caller, DIRECTORY_ROLES)
    template: ChecklistTemplate = require_found(
        await session.scalar(
            _select_readable(caller).where(ChecklistTemplate.code == code, ChecklistTemplate.version == version)
        )
    )
    return template


def _select_readable(caller: Caller) -> Any:
    area = ChecklistTemplate.area_code
    reach = [
        or_(literal(prefix).startswith(area), area.startswith(prefix, autoescape=True))
        for prefix in caller.prefixes(DIRECTORY_ROLES)
    ]
    return select(ChecklistTemplate).where(or_(*reach))


def _checklist_line(template: ChecklistTemplate) -> ChecklistLine:
    return ChecklistLine(
        code=template.code,
        version=template.version,
        kind=template.kind,
        title=template.body["title"],
        area_code=template.area_code,
        questions=sum(len(section["questions"]) for section in template.body["sections"]),
        published_at=template.published_at,
        retired_at=template.retired_at,
    )
