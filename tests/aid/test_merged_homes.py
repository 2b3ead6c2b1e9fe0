"""The ledger follows a household that goes into another, and goes back with it; a person's copy holds it too."""

from sqlalchemy import select

from server.core.ids import new_id
from server.models.aid import AidLine
from server.models.households import HouseholdMember
from tests.households.test_duplicates import homes, merged_by_two, undo
from tests.makers.aid import AidOffice, to_head
from tests.makers.homes import VILLAGE

__all__ = ["homes"]


async def test_aid_follows_a_merge_with_its_member_and_goes_back(office, system, services, homes):
    kept, merged = homes
    aid = AidOffice.of(await office.person("town_officer"), await office.person("county_officer"))
    async with services.sessions() as session:
        members = await session.scalars(
            select(HouseholdMember).where(
                HouseholdMember.household_id.in_([kept, merged]), HouseholdMember.position == 0
            )
        )
        heads = {member.household_id: member.id for member in members}
    batch = await aid.make("medical", householdIds=[], areaCode=VILLAGE)
    line = {"id": str(new_id()), "householdId": str(merged), "memberId": str(heads[merged]), "fen": 500_00}
    added = await aid.town.http.post(f"/desk/v1/aid-batches/{batch['id']}/lines", json=line)
    assert added.status_code == 201, added.text
    for desk, act in ((aid.town, "prepare"), (aid.county, "release")):
        assert (await aid.act(desk, batch, act)).status_code == 200
    assert (await aid.hand_out(batch, to_head({"id": line["id"]}))).status_code == 200

    async def belongs_to():
        async with services.sessions() as session:
            row = await session.get_one(AidLine, line["id"])
            return row.household_id, row.member_id

    merge = await merged_by_two(office, kept, merged)
    assert await belongs_to() == (kept, heads[kept])
    (shown,) = await aid.lines(household=str(kept))
    assert shown["givenFen"] == 500_00
    assert (await undo(aid.town, merge)).status_code == 200
    assert await belongs_to() == (merged, heads[merged])
