"""What two people change in a household: where its money goes, and which relatives on staff it has declared.

Whoever writes the household proposes such a change; the register keeps its values until another person, neither the
proposer nor a relative, accepts it (`proposals.py`). One person alone could send the money to an account of their own,
or remove the declaration that bars them.
"""

import base64
import hashlib
from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta
from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.core.access import Caller
from server.core.canonical import canonical_json
from server.core.encryption import Encryption
from server.core.errors import Fault, Problem
from server.core.http import RequestBody, ResponseBody, ShortText
from server.core.id_numbers import mask_card
from server.core.ids import new_id
from server.core.normalise import clean_name, name_key, normalise_card
from server.models.cases import CLOSED_STATES, BankAccount, CaseFile, RelativeOnStaff
from server.models.households import Household, HouseholdMember
from server.models.proposals import Proposal

GuardedKind = Literal["bank", "relatives"]


PersonName = Annotated[str, Meta(min_length=1, max_length=200, pattern="[^\\s\u200b-\u200f\u2060\ufeff]")]


class RelativeBody(RequestBody):
    name: PersonName
    office: ShortText
    relation: ShortText


class BankBody(RequestBody):
    """Without a card number an existing account keeps the stored one."""

    sealed_fields = frozenset({"card"})

    holder_name: PersonName
    bank_name: ShortText
    card: Annotated[str, Meta(min_length=6, max_length=60)] | None = None


class AccountLine(ResponseBody):
    """`holder_is_member` is false for an account of somebody who is no member of the household."""

    holder_name: str
    bank_name: str
    card_mask: str
    holder_is_member: bool


async def propose_account(
    session: AsyncSession, encryption: Encryption, caller: Caller, household: Household, body: BankBody | None,
    now: datetime,
) -> None:  # fmt: skip
    """Propose the account if it differs from the stored one; without a card number the stored one stays."""
    if body is None:
        return
    stored = await session.get(BankAccount, household.id)
    if body.card is not None:
        card = normalise_card(body.card)
    elif stored is not None:
        card = encryption.open("bank_account.card", household.id, stored.card_sealed)
    else:
        raise Problem("request.invalid", faults=[Fault("/household/bank/card", "field.invalid", "card")])
    holder_name = clean_name(body.holder_name)
    is_stored = stored is not None and (stored.holder_name, stored.bank_name) == (holder_name, body.bank_name)
    if (
        is_stored
        and stored is not None
        and encryption.open("bank_account.card", household.id, stored.card_sealed) == card
    ):
        return
    account = {
        "holderName": holder_name,
        "bankName": body.bank_name,
        "cardMask": mask_card(card),
    }
    index = encryption.index("bank_card", card).hex()
    sealed = base64.b64encode(encryption.seal("bank_account.card", household.id, card)).decode()
    stored_as = account | {"cardSealed": sealed, "cardIndex": index}
    await _propose(session, caller, household, "bank", stored_as, account | {"card": index}, now)


async def propose_relatives(
    session: AsyncSession, caller: Caller, household: Household, bodies: Sequence[RelativeBody] | None, now: datetime
) -> None:
    """Propose the list of declared relatives if it differs from the stored one."""
    if bodies is None:
        return
    lines = sorted(map(msgspec.structs.astuple, bodies))
    if lines == sorted(map(msgspec.structs.astuple, await load_relatives(session, household.id))):
        return
    relatives = [{"name": name, "office": office, "relation": relation} for name, office, relation in lines]
    await _propose(session, caller, household, "relatives", relatives, relatives, now)


async def _propose(
    session: AsyncSession,
    caller: Caller,
    household: Household,
    kind: GuardedKind,
    proposed: Any,
    identity: Any,
    now: datetime,
) -> None:
    """Keep the proposal; it replaces an earlier one of its author that waits. The same one again stays as it is."""
    content_hash = hashlib.sha256(canonical_json([str(household.id), kind, identity])).hexdigest()
    waiting = await session.scalars(
        select(Proposal).where(
            Proposal.household_id == household.id,
            Proposal.author_id == caller.id,
            Proposal.guards == kind,
            Proposal.state == "proposed",
        )
    )
    for earlier in waiting:
        if earlier.content_hash == content_hash:
            return
        earlier.state = "withdrawn"
    proposal = Proposal(
        id=new_id(),
        household_id=household.id,
        author_id=caller.id,
        device_id=caller.device_id,
        state="proposed",
        guards=kind,
        document={"changes": {kind: proposed}},
        content_hash=content_hash,
        received_at=now,
    )
    session.add(proposal)
    audit.record(
        session, caller, Action.PROPOSAL_PROPOSED, "proposal", proposal.id, area_code=household.area_code, what=kind,
        household=str(household.id),
    )  # fmt: skip


async def apply_account(session: AsyncSession, household: Household, proposed: dict[str, Any]) -> None:
    row = await session.get(BankAccount, household.id)
    if row is None:
        row = BankAccount(household_id=household.id)
        session.add(row)
    row.holder_name, row.bank_name = proposed["holderName"], proposed["bankName"]
    row.card_sealed, row.card_mask = base64.b64decode(proposed["cardSealed"]), proposed["cardMask"]
    # Proposals of before there was an index have none; the next search for duplicates writes it.
    row.card_index = bytes.fromhex(proposed["cardIndex"]) if "cardIndex" in proposed else None


async def write_relatives(
    session: AsyncSession, household: Household, bodies: Sequence[RelativeBody], today: date
) -> None:
    """Replace the declared relatives. Once there is one, the open case needs the county's own visit for good."""
    before = await session.scalars(select(RelativeOnStaff).where(RelativeOnStaff.household_id == household.id))
    since = {(relative.name, relative.office, relative.relation): relative.declared_on for relative in before}
    await session.execute(delete(RelativeOnStaff).where(RelativeOnStaff.household_id == household.id))
    for body in bodies:
        declared = since.get((body.name, body.office, body.relation), today)
        session.add(RelativeOnStaff(household_id=household.id, declared_on=declared, **msgspec.structs.asdict(body)))
    if not bodies:
        return
    household.relative_on_staff = True
    open_case = await session.scalar(
        select(CaseFile)
        .where(CaseFile.household_id == household.id, CaseFile.state.not_in(CLOSED_STATES))
        .with_for_update()
    )
    if open_case is not None:
        open_case.needs_county_visit = True


def read_relatives(proposal: Proposal) -> list[RelativeBody]:
    """Return the relatives that a proposal would declare; an empty list for one that does not change them."""
    return msgspec.convert(proposal.document["changes"].get("relatives", []), list[RelativeBody])


def describe_account(proposed: dict[str, Any], members: Sequence[HouseholdMember]) -> AccountLine:
    return AccountLine(
        holder_name=proposed["holderName"],
        bank_name=proposed["bankName"],
        card_mask=proposed["cardMask"],
        holder_is_member=name_key(proposed["holderName"]) in {name_key(member.name) for member in members},
    )


async def load_account(
    session: AsyncSession, household: Household, members: Sequence[HouseholdMember]
) -> AccountLine | None:
    row = await session.get(BankAccount, household.id)
    if row is None:
        return None
    stored = {"holderName": row.holder_name, "bankName": row.bank_name, "cardMask": row.card_mask}
    return describe_account(stored, members)


async def load_relatives(session: AsyncSession, household_id: UUID) -> list[RelativeBody]:
    rows = await session.scalars(
        select(RelativeOnStaff).where(RelativeOnStaff.household_id == household_id).order_by(RelativeOnStaff.id)
    )
    return [RelativeBody(name=row.name, office=row.office, relation=row.relation) for row in rows]
