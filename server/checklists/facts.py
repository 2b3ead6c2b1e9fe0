"""Facts that a checklist's conditions may read besides the answers, and the data that conditions are evaluated on."""

from collections.abc import Collection, Mapping
from datetime import date
from typing import Any, Literal

import msgspec

from server.checklists.logic import is_true
from server.checklists.template import Column


class MemberFacts(msgspec.Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """What conditions may read of a household member."""

    member_id: str
    age: int | None = None
    sex: Literal["male", "female"] | None = None
    relation: str | None = None


class HouseholdFacts(msgspec.Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    class_: Literal["A", "B", "C"] | None = msgspec.field(default=None, name="class")
    residence: Literal["urban", "rural"] | None = None


class Facts(msgspec.Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """Everything outside the answers that conditions may read; they use no clock and no database.

    `today` is the day of the visit in China. `remote` is an emergency visit by phone or video call.
    """

    today: date
    members: tuple[MemberFacts, ...] = ()
    household: HouseholdFacts = HouseholdFacts()
    remote: bool = False


def build_condition_data(facts: Facts, member_ids: Collection[str]) -> dict[str, Any]:
    """Return the data for all conditions, the same that a phone builds from its own store."""
    by_id = {member.member_id: member for member in facts.members}
    household = facts.household
    return {
        "today": facts.today.isoformat(),
        "visit": {"remote": facts.remote},
        "household": {"class": household.class_, "residence": household.residence},
        "members": [msgspec.to_builtins(by_id.get(member_id, MemberFacts(member_id))) for member_id in member_ids],
        "answers": {},
    }


def is_shown(cell: Column, data: Mapping[str, Any]) -> bool:
    return cell.visible_if is None or is_true(cell.visible_if, data)


def build_row_data(data: dict[str, Any], row: dict[str, Any]) -> dict[str, Any]:
    """Return the data for conditions in a row of a member table."""
    member: dict[str, Any] = next((member for member in data["members"] if member["memberId"] == row["memberId"]), {})
    return {**data, "row": row, "member": member}
