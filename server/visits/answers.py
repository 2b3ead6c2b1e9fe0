"""A visit's answers as they count: read against the very checklist version that the visit was made on."""

from collections.abc import Sequence
from typing import Any

import msgspec

from server.checklists.answers import Facts, HouseholdFacts, MemberFacts, read_answers
from server.checklists.template import Template
from server.core.working_days import day_of
from server.models.households import Household, HouseholdMember
from server.models.visits import Visit


def read_asked_answers(
    visit: Visit, body: dict[str, Any], household: Household, members: Sequence[HouseholdMember]
) -> dict[str, Any]:
    """The answers to what was asked, without those that other answers hide or that are not of their kind."""
    today = day_of(visit.started_at or visit.received_at)
    facts = Facts(
        today=today,
        members=tuple(
            MemberFacts(
                member_id=str(one.id),
                age=today.year - one.born_on.year - ((today.month, today.day) < (one.born_on.month, one.born_on.day)),
                sex=one.sex,  # type: ignore[arg-type]  # the database holds these two alone
                relation=one.relation,
            )
            for one in members
        ),
        household=HouseholdFacts(class_=household.class_),  # type: ignore[arg-type]  # A, B, C by constraint
        remote=visit.mode != "in_person",
    )
    reading = read_answers(
        msgspec.convert(body, Template),
        visit.document.get("answers", {}),
        member_ids=[str(one.id) for one in members],
        facts=facts,
        stage="draft",
    )
    return reading.asked
