"""Which kinds of visit a caseworker may begin without an order, and by which checklist: for their phone to keep."""

from uuid import UUID

from sqlalchemy import func, literal, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession

from server.core.access import Caller
from server.core.clock import today
from server.core.http import ResponseBody
from server.models.checklists import ChecklistTemplate
from server.models.households import Caseload, Household
from server.policy.resolver import load_policy_values

UNORDERED_KINDS = "visit.unordered_kinds"
HOTLINE = "office.hotline"
PAPERS = "case.papers"


class UnorderedKind(ResponseBody):
    """`id` is that of the checklist: phones hold it among their checklists."""

    id: UUID
    kind: str
    checklist_code: str
    checklist_version: int


class NeededPaper(ResponseBody):
    """Without a situation every applicant needs it."""

    code: str
    zh: str
    en: str
    situation: str | None = None


class UnorderedKinds(ResponseBody):
    """`hotline`: the office's number for this village, to pass on at the door; empty where none is written.

    `papers` are those that an application needs, to say them at once where there is no network.
    """

    area_code: str
    kinds: list[UnorderedKind]
    hotline: str
    papers: list[NeededPaper]


async def list_unordered_kinds(session: AsyncSession, caller: Caller) -> list[UnorderedKinds]:
    """List the kinds for each village in which the caller holds homes. Two queries a village."""
    villages = await session.scalars(
        select(Household.area_code)
        .distinct()
        .join(Caseload, Caseload.household_id == Household.id)
        .where(Caseload.staff_id == caller.id, Caseload.revoked_at.is_(None))
        .order_by(Household.area_code)
    )
    return [await _load_village(session, village) for village in villages.all()]


async def _load_village(session: AsyncSession, area_code: str) -> UnorderedKinds:
    settings = await load_policy_values(session, area_code, today(), [UNORDERED_KINDS, HOTLINE, PAPERS])
    kinds = await _load_kinds(session, area_code, settings.get(UNORDERED_KINDS, []))
    return UnorderedKinds(
        area_code=area_code,
        kinds=kinds,
        hotline=settings.get(HOTLINE, ""),
        papers=[NeededPaper(**paper) for paper in settings.get(PAPERS, [])],
    )


async def _load_kinds(session: AsyncSession, area_code: str, allowed: list[str]) -> list[UnorderedKind]:
    """Return the allowed kinds in the order of the setting, without those that have no checklist here."""
    # The same choice as `find_newest_checklist`, of several kinds at once.
    newest = await session.scalars(
        select(ChecklistTemplate)
        .ext(distinct_on(ChecklistTemplate.kind))
        .where(
            ChecklistTemplate.kind.in_(allowed),
            ChecklistTemplate.retired_at.is_(None),
            literal(area_code).startswith(ChecklistTemplate.area_code),
        )
        .order_by(
            ChecklistTemplate.kind,
            func.length(ChecklistTemplate.area_code).desc(),
            ChecklistTemplate.published_at.desc(),
            ChecklistTemplate.version.desc(),
        )
    )
    by_kind = {
        checklist.kind: UnorderedKind(
            id=checklist.id, kind=checklist.kind, checklist_code=checklist.code, checklist_version=checklist.version
        )
        for checklist in newest
    }
    return [by_kind[kind] for kind in allowed if kind in by_kind]
