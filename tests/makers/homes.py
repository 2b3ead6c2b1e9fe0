"""Households written straight into the tables, for tests of what several of them have in common."""

from datetime import date
from uuid import UUID

from server.core.database import open_session
from server.core.id_numbers import make_id_number, mask_card, mask_id, mask_phone
from server.core.ids import new_id
from server.models.cases import BankAccount
from server.models.households import Caseload, Household, HouseholdMember

VILLAGE = "339901001001"


def id_of(sequence: int, born: date = date(1960, 5, 6)) -> str:
    return make_id_number("339901", born, sequence)


async def make_home(services, number, *members, area=VILLAGE, address="", phone=None, card=None, holder=None) -> UUID:
    """A home of members as (name, birth date, ID number or None); the first is its head."""
    encryption = services.encryption
    home_id = new_id()
    async with open_session(services.sessions) as session:
        household = Household(
            id=home_id, number=number, area_code=area, head_name=members[0][0], address=address or f"{number}号"
        )
        if phone:
            household.phone_sealed = encryption.seal("household.phone", home_id, phone)
            household.phone_mask, household.phone_index = mask_phone(phone), encryption.index("phone", phone)
        session.add(household)
        await session.flush()
        for position, (name, born_on, id_number) in enumerate(members):
            member = HouseholdMember(
                id=new_id(), household_id=home_id, position=position, name=name, born_on=born_on, sex="female",
                relation="other" if position else "head",
            )  # fmt: skip
            if id_number:
                member.id_number_sealed = encryption.seal("household_member.id_number", member.id, id_number)
                member.id_number_index = encryption.index("id_number", id_number)
                member.id_number_mask = mask_id(id_number)
            session.add(member)
        if card:
            session.add(
                BankAccount(
                    household_id=home_id, holder_name=members[0][0], bank_name="农商行", card_mask=mask_card(card),
                    card_sealed=encryption.seal("bank_account.card", home_id, card),
                )
            )  # fmt: skip
        if holder:
            session.add(Caseload(household_id=home_id, staff_id=holder))
    return home_id
