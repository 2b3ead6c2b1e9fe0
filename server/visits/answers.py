"""A visit's answers, read against the checklist version and the household that the visit was made with."""

from collections.abc import Sequence
from datetime import date
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server.checklists.answers import read_answers
from server.checklists.facts import Facts, HouseholdFacts, MemberFacts
from server.checklists.template import Template
from server.core.ages import age_on
from server.core.http import ResponseBody
from server.core.working_days import day_of
from server.models.cases import HouseholdVersion
from server.models.households import Household, HouseholdMember
from server.models.visits import Visit


class MemberThen(ResponseBody):
    """A member in the version of the household that the visit's phone carried."""

    id: UUID
    name: str
    relation: str
    sex: str
    born_on: date


async def load_members_then(session: AsyncSession, visit: Visit) -> list[MemberThen] | None:
    """Return the members that the answers were judged by; None when they are those of today."""
    if visit.household_version is None:
        return None
    body = await session.scalar(
        select(HouseholdVersion.body).where(
            HouseholdVersion.household_id == visit.household_id, HouseholdVersion.version == visit.household_version
        )
    )
    return msgspec.convert(body["members"], list[MemberThen]) if body else None


def read_asked_answers(
    visit: Visit, body: dict[str, Any], household: Household, members: Sequence[HouseholdMember | MemberThen]
) -> dict[str, Any]:
    """Return the answers to the questions that were shown, without those that are hidden or have the wrong type."""
    today = day_of(visit.started_at or visit.received_at)
    facts = Facts(
        today=today,
        members=tuple(
            MemberFacts(
                member_id=str(member.id),
                age=age_on(member.born_on, today),
                sex=member.sex,  # type: ignore[arg-type]  # the database allows only these two
                relation=member.relation,
            )
            for member in members
        ),
        household=HouseholdFacts(class_=household.class_),  # type: ignore[arg-type]  # A, B, C by constraint
        remote=visit.mode != "in_person",
    )
    reading = read_answers(
        msgspec.convert(body, Template),
        visit.document.get("answers", {}),
        member_ids=[str(member.id) for member in members],
        facts=facts,
        stage="draft",
    )
    return reading.shown
