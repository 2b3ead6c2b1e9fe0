"""The question and the photos behind each found figure, for whoever compares it with the register."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from server.checklists.template import Section, Template
from server.core.http import ResponseBody
from server.models.checklists import ChecklistTemplate
from server.models.evidence import Evidence
from server.models.found_figures import FoundFigure
from server.models.visits import Visit

_SHOWN_STATES = ("received", "verified")


class FigurePhoto(ResponseBody):
    """A photo of the visit. It opens by the visit's own link, which leaves a line in the trail."""

    evidence_id: UUID
    zh: str
    en: str


class FigureSource(NamedTuple):
    """The labels of the questions that a figure comes from, and the photos taken with them."""

    zh: str
    en: str
    photos: list[FigurePhoto]


async def load_figure_sources(
    session: AsyncSession, rows: Sequence[tuple[FoundFigure, Visit]]
) -> dict[UUID, FigureSource]:
    """Return the source of each figure, by its id. Two queries."""
    visits = {visit.id: visit for _, visit in rows}
    templates = await _load_templates(session, list(visits.values()))
    photos: dict[UUID, list[Evidence]] = {}
    of_visits = Evidence.visit_id.in_(visits), Evidence.state.in_(_SHOWN_STATES), Evidence.erased_at.is_(None)
    for photo in await session.scalars(select(Evidence).where(*of_visits).order_by(Evidence.id)):
        if photo.visit_id is not None:
            photos.setdefault(photo.visit_id, []).append(photo)
    return {
        figure.id: _find_source(figure, templates[visit.checklist_code, visit.checklist_version], photos)
        for figure, visit in rows
        if (visit.checklist_code, visit.checklist_version) in templates
    }


async def _load_templates(session: AsyncSession, visits: Sequence[Visit]) -> dict[tuple[Any, Any], Template]:
    versions = {(visit.checklist_code, visit.checklist_version) for visit in visits}
    rows = await session.execute(
        select(ChecklistTemplate.code, ChecklistTemplate.version, ChecklistTemplate.body).where(
            tuple_(ChecklistTemplate.code, ChecklistTemplate.version).in_(versions)
        )
    )
    return {(code, version): msgspec.convert(body, Template) for code, version, body in rows}


def _find_source(figure: FoundFigure, template: Template, photos: dict[UUID, list[Evidence]]) -> FigureSource:
    """Take the photos of the figure's own section, or where it has none, all of the visit."""
    ids = [question_id.split(".")[0] for question_id in figure.question_id.split(",")]
    sections = [section for section in template.sections if any(question.id in ids for question in section.questions)]
    questions = [question for section in sections for question in section.questions if question.id in ids]
    taken = photos.get(figure.visit_id, [])
    shown = list(_describe_photos(sections, taken)) or list(_describe_photos(template.sections, taken))
    return FigureSource(
        "；".join(question.label.zh for question in questions),
        "; ".join(question.label.en or question.label.zh for question in questions),
        shown,
    )


def _describe_photos(sections: Sequence[Section], taken: Sequence[Evidence]) -> Iterator[FigurePhoto]:
    labels = {
        question.id: question.label
        for section in sections
        for question in section.questions
        if question.kind == "photo"
    }
    for photo in taken:
        if photo.question_id in labels:
            label = labels[photo.question_id]
            yield FigurePhoto(evidence_id=photo.id, zh=label.zh, en=label.en or label.zh)
