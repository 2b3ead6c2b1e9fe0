"""What hangs on a household goes to another, and back.

A row is moved by its foreign key and stays what it is: signed documents, amounts and dates are not touched. What the
kept household has already (an account, figures of a person who is in both) stays with the merged one and is readable
there, so that no income counts twice and no payment changes its way by itself.
"""

import hashlib
from collections.abc import Collection
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from server.core.access import Caller
from server.core.encryption import Encryption
from server.core.normalise import name_key
from server.core.search_terms import list_name_terms, to_vector
from server.models.aid import AidLine
from server.models.benefits import BenefitChange
from server.models.cases import (
    CLOSED_STATES,
    BankAccount,
    Calculation,
    CaseFile,
    HouseholdVersion,
    IncomeItem,
    PropertyItem,
    RelativeOnStaff,
)
from server.models.complaints import Complaint
from server.models.found_figures import FoundFigure
from server.models.grace import GraceEnd
from server.models.households import Assignment, Caseload, Household, HouseholdMember
from server.models.people import ResidentBinding
from server.models.privacy import DataRequest, PrivacyConsent
from server.models.proofs import PeriodicProof
from server.models.review import ReviewItem, SeenFix, SeenPhoto
from server.models.visits import Visit
from server.models.workload import BlockedVisit

# Whose relation says that he or she is the head; in the kept household there is one already.
_HEADS = {"head", "户主", "本人"}
_OTHER = "其他"
# They move whole. Versions of the merged household and its decided proposals stay its own history.
_WHOLE = (
    Visit,
    Assignment,
    CaseFile,
    BenefitChange,
    Calculation,
    FoundFigure,
    Complaint,
    RelativeOnStaff,
    DataRequest,
    PrivacyConsent,
)
# They follow too, but nobody acts by them: nightly jobs write them, or they stand in a batch of many homes.
_FOLLOWING = (PeriodicProof, GraceEnd, AidLine)
# Copies of a visit, which follow it.
_OF_VISITS = (ReviewItem, SeenFix, SeenPhoto)
# What tells that somebody acted on the kept household; copies of visits are rewritten by checks and say nothing.
_ACTED_UPON = (*_WHOLE, ResidentBinding, Caseload, IncomeItem, PropertyItem, HouseholdMember)


class MemberPair(NamedTuple):
    """The same person in the kept and in the merged household."""

    kept: HouseholdMember
    merged: HouseholdMember


class MergePlan(NamedTuple):
    """`absorbed`: people who are in both households. `joining`: members of the merged household alone."""

    absorbed: list[MemberPair]
    joining: list[HouseholdMember]


class Moved(msgspec.Struct, rename="camel", omit_defaults=True):
    """What a merge moved and how both households were, enough to take it back."""

    rows: dict[str, list[UUID]] = {}
    joined: list[dict[str, Any]] = []
    absorbed: list[tuple[UUID, UUID]] = []
    gained_number: list[UUID] = []
    bindings: list[tuple[UUID, UUID]] = []
    ended_bindings: list[UUID] = []
    granted: list[UUID] = []
    revoked: list[UUID] = []
    blocked: list[UUID] = []
    moved_account: bool = False
    kept_declared: bool = False
    merged_class: str | None = None


async def plan_merge(session: AsyncSession, kept_id: UUID, merged_id: UUID) -> MergePlan:
    """Pair the people who are in both: by ID number, else by birth date and name, at last by how the name sounds."""
    kept, merged = [list(await session.scalars(_select_members(home))) for home in (kept_id, merged_id)]
    absorbed: list[MemberPair] = []
    for is_same in (_is_same_person, _sounds_the_same):
        for member in list(merged):
            twin = next((other for other in kept if is_same(member, other)), None)
            if twin is not None:
                absorbed.append(MemberPair(twin, member))
                kept.remove(twin)
                merged.remove(member)
    return MergePlan(absorbed, merged)


def _select_members(household_id: UUID) -> Any:
    return (
        select(HouseholdMember).where(HouseholdMember.household_id == household_id).order_by(HouseholdMember.position)
    )


def _is_same_person(member: HouseholdMember, other: HouseholdMember) -> bool:
    if member.id_number_index is not None and other.id_number_index is not None:
        return member.id_number_index == other.id_number_index
    return (name_key(member.name), member.born_on) == (name_key(other.name), other.born_on)


def _sounds_the_same(member: HouseholdMember, other: HouseholdMember) -> bool:
    if member.id_number_index is not None and other.id_number_index is not None:
        return False
    sounds = [person.pinyin.split(" ", maxsplit=1)[0] for person in (member, other)]
    return sounds[0] == sounds[1] != "" and member.born_on == other.born_on


async def move_everything(
    session: AsyncSession, encryption: Encryption, caller: Caller, kept: Household, merged: Household, reason: str,
    now: datetime,
) -> Moved:  # fmt: skip
    """Move what hangs on `merged` to `kept`, both locked by the caller. Return what `move_back` needs."""
    plan = await plan_merge(session, kept.id, merged.id)
    moved = Moved(merged_class=merged.class_, kept_declared=kept.relative_on_staff)
    moved.rows = {
        model.__tablename__: await _move(session, model, kept.id, merged.id) for model in (*_WHOLE, *_FOLLOWING)
    }
    await _move_copies(session, moved.rows["visit"], kept.id)
    await _move_blocked(session, moved, kept.id, merged.id)
    await _join_members(session, encryption, moved, plan, kept)
    await _move_bindings(session, moved, caller, plan, kept.id, merged.id, now)
    await _move_holders(session, moved, caller, kept.id, merged.id, reason, now)
    await _move_account(session, encryption, moved, kept.id, merged.id)
    if moved.rows["relative_on_staff"]:
        await _declare_relatives(session, kept)
    # A merged household is neither scheduled nor ordered, nor found by a number.
    merged.class_, merged.phone_index, merged.merged_into = None, None, kept.id
    merged.updated_at = kept.updated_at = now
    await session.flush()  # versions and the feed are read from the tables
    return moved


async def _move(session: AsyncSession, model: Any, to_id: UUID, from_id: UUID) -> list[UUID]:
    """Move the rows of a table and return their ids."""
    moving = update(model).where(model.household_id == from_id).values(household_id=to_id).returning(model.id)
    return list(await session.scalars(moving.execution_options(synchronize_session=False)))


async def _move_rows(session: AsyncSession, model: Any, ids: Collection[UUID], to_id: UUID) -> None:
    moving = update(model).where(model.id == func.any(list(ids))).values(household_id=to_id)
    await session.execute(moving.execution_options(synchronize_session=False))


async def _move_copies(session: AsyncSession, visit_ids: Collection[UUID], to_id: UUID) -> None:
    for model in _OF_VISITS:
        moving = update(model).where(model.visit_id == func.any(list(visit_ids))).values(household_id=to_id)
        await session.execute(moving.execution_options(synchronize_session=False))


async def _move_blocked(session: AsyncSession, moved: Moved, kept_id: UUID, merged_id: UUID) -> None:
    """Move orders that wait for a checklist, but for a kind that the kept household waits for already."""
    waiting = select(BlockedVisit.kind).where(BlockedVisit.household_id == kept_id, BlockedVisit.ended_at.is_(None))
    rows = await session.scalars(
        select(BlockedVisit.id).where(
            BlockedVisit.household_id == merged_id,
            BlockedVisit.ended_at.is_(None),
            BlockedVisit.kind.not_in(waiting.scalar_subquery()),
        )
    )
    moved.blocked = list(rows)
    await _move_rows(session, BlockedVisit, moved.blocked, kept_id)


async def _join_members(
    session: AsyncSession, encryption: Encryption, moved: Moved, plan: MergePlan, kept: Household
) -> None:
    """Let the merged household's own members join with their figures; complete an ID number that the kept lacks."""
    last = await session.scalar(
        select(func.max(HouseholdMember.position)).where(HouseholdMember.household_id == kept.id)
    )
    for position, member in enumerate(plan.joining, start=(last or 0) + 1):
        moved.joined.append({"id": str(member.id), "position": member.position, "relation": member.relation})
        member.household_id, member.position = kept.id, position
        member.relation = _OTHER if member.relation in _HEADS else member.relation
    joining = [member.id for member in plan.joining]
    for model in (IncomeItem, PropertyItem):
        owned = update(model).where(model.member_id == func.any(joining), model.household_id != kept.id)
        ids = await session.scalars(
            owned.values(household_id=kept.id).returning(model.id).execution_options(synchronize_session=False)
        )
        moved.rows[model.__tablename__] = list(ids)
    for twin, member in plan.absorbed:
        moved.absorbed.append((twin.id, member.id))
        await _hand_on(session, moved, member.id, twin.id)
        if twin.id_number_sealed is None and member.id_number_sealed is not None:
            number = encryption.open("household_member.id_number", member.id, member.id_number_sealed)
            twin.id_number_sealed = encryption.seal("household_member.id_number", twin.id, number)
            twin.id_number_mask, twin.id_number_index = member.id_number_mask, member.id_number_index
            moved.gained_number.append(twin.id)
        # The row stays with the merged household; searches and number checks must not find the person there.
        member.id_number_index, member.search_terms = None, None


async def _hand_on(session: AsyncSession, moved: Moved, from_id: UUID, to_id: UUID) -> None:
    """Let what was moved with the household and names a member name this one. Of a notice, one consent counts."""
    own = aliased(PrivacyConsent)
    agreed = select(own.version).where(own.member_id == to_id, own.withdrawn_at.is_(None)).scalar_subquery()
    models: list[tuple[Any, list[Any]]] = [
        (DataRequest, []),
        (AidLine, []),
        (PrivacyConsent, [PrivacyConsent.version.not_in(agreed)]),
    ]
    for model, more in models:
        # A merge of before the ledger has no lines of it.
        ids = moved.rows.get(model.__tablename__, [])
        naming = update(model).where(model.id == func.any(ids), model.member_id == from_id, *more)
        await session.execute(naming.values(member_id=to_id).execution_options(synchronize_session=False))


async def _move_bindings(
    session: AsyncSession, moved: Moved, caller: Caller, plan: MergePlan, kept_id: UUID, merged_id: UUID, now: datetime
) -> None:
    """Residents follow the household; one who is bound to the same person there already loses the second binding."""
    twins = {member.id: twin.id for twin, member in plan.absorbed}
    current = ResidentBinding.ended_at.is_(None)
    bound = set(
        await session.execute(
            select(ResidentBinding.resident_id, ResidentBinding.member_id)
            .where(ResidentBinding.household_id == kept_id, current)
        )
    )  # fmt: skip
    rows = await session.scalars(
        select(ResidentBinding).where(ResidentBinding.household_id == merged_id, current).with_for_update()
    )
    for binding in list(rows):
        member_id = twins.get(binding.member_id, binding.member_id)
        if (binding.resident_id, member_id) in bound:
            binding.ended_at, binding.ended_by, binding.end_reason = now, caller.id, "合并"
            moved.ended_bindings.append(binding.id)
            continue
        moved.bindings.append((binding.id, binding.member_id))
        binding.household_id, binding.member_id = kept_id, member_id


async def _move_holders(
    session: AsyncSession, moved: Moved, caller: Caller, kept_id: UUID, merged_id: UUID, reason: str, now: datetime
) -> None:
    """Whoever held the merged household holds the kept one. The old row ends and stays, so that a phone that was
    offline may still send what it recorded.
    """
    current = Caseload.revoked_at.is_(None)
    holders = set(await session.scalars(select(Caseload.staff_id).where(Caseload.household_id == kept_id, current)))
    rows = await session.scalars(select(Caseload).where(Caseload.household_id == merged_id, current).with_for_update())
    for row in list(rows):
        row.revoked_at, row.revoked_by, row.revoke_reason = now, caller.id, reason
        moved.revoked.append(row.id)
        if row.staff_id not in holders:
            holders.add(row.staff_id)
            granted = Caseload(
                household_id=kept_id, staff_id=row.staff_id, granted_at=now, granted_by=caller.id,
                deputyship_id=row.deputyship_id,
            )  # fmt: skip
            session.add(granted)
            await session.flush()  # its id is kept
            moved.granted.append(granted.id)


async def _move_account(
    session: AsyncSession, encryption: Encryption, moved: Moved, to_id: UUID, from_id: UUID
) -> None:
    """Take the account along if the other household has none; a value is sealed for its row."""
    stored = await session.get(BankAccount, from_id)
    if stored is None or await session.get(BankAccount, to_id) is not None:
        return
    card = encryption.open("bank_account.card", from_id, stored.card_sealed)
    session.add(
        BankAccount(
            household_id=to_id,
            holder_name=stored.holder_name,
            bank_name=stored.bank_name,
            card_sealed=encryption.seal("bank_account.card", to_id, card),
            card_mask=stored.card_mask,
            card_index=stored.card_index,
        )
    )
    await session.delete(stored)
    moved.moved_account = True


async def _declare_relatives(session: AsyncSession, kept: Household) -> None:
    """A relative on staff, once declared, makes the open case need the county's own visit, as in the register."""
    kept.relative_on_staff = True
    await session.execute(
        update(CaseFile)
        .where(CaseFile.household_id == kept.id, CaseFile.state.not_in(CLOSED_STATES))
        .values(needs_county_visit=True)
        .execution_options(synchronize_session=False)
    )


async def move_back(
    session: AsyncSession, encryption: Encryption, caller: Caller, moved: Moved, kept: Household, merged: Household,
    now: datetime,
) -> None:  # fmt: skip
    """Take back what `move_everything` did."""
    models: dict[str, Any] = {model.__tablename__: model for model in (*_WHOLE, *_FOLLOWING, IncomeItem, PropertyItem)}
    for table, ids in moved.rows.items():
        await _move_rows(session, models[table], ids, merged.id)
    await _move_copies(session, moved.rows["visit"], merged.id)
    await _move_rows(session, BlockedVisit, moved.blocked, merged.id)
    await _part_members(session, encryption, moved, merged)
    for binding_id, member_id in moved.bindings:
        binding = await session.get_one(ResidentBinding, binding_id)
        binding.household_id, binding.member_id = merged.id, member_id
    for binding_id in moved.ended_bindings:
        binding = await session.get_one(ResidentBinding, binding_id)
        binding.ended_at = binding.ended_by = binding.end_reason = None
    for caseload_id in moved.granted:
        granted = await session.get_one(Caseload, caseload_id)
        granted.revoked_at, granted.revoked_by, granted.revoke_reason = now, caller.id, "撤销合并"
    for caseload_id in moved.revoked:
        row = await session.get_one(Caseload, caseload_id)
        if row.deputyship_id is not None:
            continue  # a deputy has it again with the next night's look at what the absent person holds
        session.add(Caseload(household_id=merged.id, staff_id=row.staff_id, granted_at=now, granted_by=row.granted_by))
    if moved.moved_account:
        await _move_account(session, encryption, Moved(), merged.id, kept.id)
    kept.relative_on_staff = moved.kept_declared
    merged.class_, merged.merged_into = moved.merged_class, None
    if merged.phone_sealed is not None:
        phone = encryption.open("household.phone", merged.id, merged.phone_sealed)
        merged.phone_index = encryption.index("phone", phone)
    merged.updated_at = kept.updated_at = now
    await session.flush()  # versions and the feed are read from the tables


async def _part_members(session: AsyncSession, encryption: Encryption, moved: Moved, merged: Household) -> None:
    for entry in moved.joined:
        member = await session.get_one(HouseholdMember, UUID(entry["id"]))
        member.household_id, member.position, member.relation = merged.id, entry["position"], entry["relation"]
    for twin_id, member_id in moved.absorbed:
        await _hand_on(session, moved, twin_id, member_id)
        member = await session.get_one(HouseholdMember, member_id)
        if member.id_number_sealed is not None:
            number = encryption.open("household_member.id_number", member.id, member.id_number_sealed)
            member.id_number_index = encryption.index("id_number", number)
        member.search_terms = to_vector(list_name_terms(member.name))
        if twin_id in moved.gained_number:
            twin = await session.get_one(HouseholdMember, twin_id)
            twin.id_number_sealed = twin.id_number_mask = twin.id_number_index = None


async def digest_household(session: AsyncSession, household_id: UUID) -> bytes:
    """Return a hash of all that hangs on a household: whoever acts on it changes some row."""
    parts: list[str] = []
    for model in _ACTED_UPON:
        table = model.__tablename__
        order = f"SELECT md5(coalesce(string_agg(r::text, '' ORDER BY r.id), '')) FROM {table} r"  # noqa: S608
        parts.append(await session.scalar(text(f"{order} WHERE r.household_id = :id"), {"id": household_id}) or "")
    version = select(func.max(HouseholdVersion.version)).where(HouseholdVersion.household_id == household_id)
    parts.append(str(await session.scalar(version)))
    return hashlib.sha256("".join(parts).encode()).digest()
