"""Find households by what is known of them: a member's name or its pinyin, a number, a phone, an address, a village."""

import re
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, Select, cast, false, or_, select, union
from sqlalchemy.dialects.postgresql import TSQUERY
from sqlalchemy.ext.asyncio import AsyncSession

from server.core.access import Caller, in_areas
from server.core.database import inline_literal
from server.core.encryption import Encryption
from server.core.id_numbers import check_id
from server.core.normalise import name_key, normalise_id, normalise_phone
from server.core.search_terms import to_query
from server.households.id_checks import count_number_search
from server.models.areas import Area
from server.models.households import Household, HouseholdMember

# A word that is in more names of areas than this says nothing of where a household is.
MAX_AREAS = 50
# A shorter word is part of too many names of areas.
MIN_AREA_LETTERS = 2
_COUNTY_DIGITS = 6
_PHONE = re.compile(r"1\d{10}|0\d{9,11}")


async def match_households(
    session: AsyncSession, encryption: Encryption, caller: Caller, text: str, now: datetime
) -> list[ColumnElement[bool]]:
    """Return a condition on `Household` for each word of the text: all of them must hold.

    A word is the beginning of any part of a member's name, of its pinyin or initials, of the archive number however it
    is written, of the address or group, or part of the name of a town or village. An identity and a phone number are
    found whole, by their blind index; each such search counts. Raises `household.id_checks_spent`.
    """
    words = text.split() or [text]
    return [await _match_word(session, encryption, caller, word, now) for word in words]


async def _match_word(
    session: AsyncSession, encryption: Encryption, caller: Caller, word: str, now: datetime
) -> ColumnElement[bool]:
    found: list[Select[UUID]] = []
    if check_id(word).problem is None:
        index = encryption.index("id_number", normalise_id(word))
        found.append(select(HouseholdMember.household_id).where(HouseholdMember.id_number_index == index))
    if _PHONE.fullmatch(phone := normalise_phone(word)):
        found.append(select(Household.id).where(Household.phone_index == encryption.index("phone", phone)))
    if found:
        await count_number_search(session, caller, now)
    if (query := to_query(word)) is not None:
        terms = cast(inline_literal(query), TSQUERY)  # how many it matches decides the plan
        found += [
            select(Household.id).where(Household.search_terms.op("@@")(terms)),
            select(HouseholdMember.household_id).where(HouseholdMember.search_terms.op("@@")(terms)),
        ]
    areas = await _find_areas(session, caller, word)
    if areas:
        within = or_(*(Household.area_code.startswith(code, autoescape=True) for code in areas))
        found.append(select(Household.id).where(within))
    return Household.id.in_(union(*found)) if found else false()


async def _find_areas(session: AsyncSession, caller: Caller, word: str) -> Sequence[str]:
    """Return the codes of towns and villages within the caller's areas whose name contains the word."""
    key = name_key(word)
    if len(key) < MIN_AREA_LETTERS:
        return []
    codes = (
        await session.scalars(
            select(Area.code)
            .where(Area.name.contains(key, autoescape=True), in_areas(Area.code, caller, caller.roles))
            .limit(MAX_AREAS + 1)
        )
    ).all()
    towns_and_villages = [code for code in codes if len(code) > _COUNTY_DIGITS]
    return towns_and_villages if len(codes) <= MAX_AREAS else []
