"""The checklists as a desk reads them: which there are, and one version with its questions in both languages."""

from datetime import datetime
from typing import Any

from sqlalchemy import literal, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.core.access import Caller, found, require
from server.core.http import ResponseBody
from server.directory.staff import REGISTER_ROLES
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


class ChecklistPage(ResponseBody):
    """`body` is the template as phones carry it."""

    line: ChecklistLine
    body: dict[str, Any]


async def list_checklists(session: AsyncSession, caller: Caller) -> list[ChecklistLine]:
    """Those of the caller's areas and of what lies above and below them; the newest version of each first."""
    require(caller, REGISTER_ROLES)
    rows = _in_reach(caller).order_by(ChecklistTemplate.code, ChecklistTemplate.version.desc())
    return [_line(one) for one in await session.scalars(rows)]


async def open_checklist(session: AsyncSession, caller: Caller, code: str, version: int) -> ChecklistPage:
    """Raises `thing.not_found`."""
    require(caller, REGISTER_ROLES)
    one: ChecklistTemplate = found(
        await session.scalar(
            _in_reach(caller).where(ChecklistTemplate.code == code, ChecklistTemplate.version == version)
        )
    )
    return ChecklistPage(line=_line(one), body=one.body)


def _in_reach(caller: Caller) -> Any:
    area = ChecklistTemplate.area_code
    reach = [
        or_(literal(prefix).startswith(area), area.startswith(prefix, autoescape=True))
        for prefix in caller.prefixes(REGISTER_ROLES)
    ]
    return select(ChecklistTemplate).where(or_(*reach))


def _line(one: ChecklistTemplate) -> ChecklistLine:
    return ChecklistLine(
        code=one.code,
        version=one.version,
        kind=one.kind,
        title=one.body["title"],
        area_code=one.area_code,
        questions=sum(len(section["questions"]) for section in one.body["sections"]),
        published_at=one.published_at,
        retired_at=one.retired_at,
    )
