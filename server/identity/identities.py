"""Who is who: the accounts by which staff and residents are recognized, linked and ended.

Two accounts are joined by the unionid that WeChat gives for both, or by a person who is signed in; never by a guess.
"""

from datetime import datetime
from typing import overload
from uuid import UUID

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from server.core.database import advisory_lock
from server.core.ids import new_id
from server.core.wechat import WechatSession
from server.models.people import Identity, Resident, Staff, WechatApp

WECHAT = "wechat"
MEMBER = "member"


@overload
async def find_owner(session: AsyncSession, owners: type[Staff], app: WechatApp, subject: str) -> Staff | None: ...
@overload
async def find_owner(
    session: AsyncSession, owners: type[Resident], app: WechatApp, subject: str
) -> Resident | None: ...
async def find_owner(
    session: AsyncSession, owners: type[Staff] | type[Resident], app: WechatApp, subject: str
) -> Staff | Resident | None:
    """Return the member of staff or the resident to whom a WeChat account is linked; also one who is disabled."""
    owner_id = Identity.staff_id if owners is Staff else Identity.resident_id
    linked = select(owner_id).where(
        Identity.provider == WECHAT, Identity.app == app, Identity.subject == subject, Identity.ended_at.is_(None)
    )
    # A process of the version before, which may still run, links and unlinks in this column alone.
    is_theirs = owners.wechat_openid == subject if app == "miniprogram" else owners.id.in_(linked)
    found: Staff | Resident | None = await session.scalar(select(owners).where(is_theirs))
    return found


async def link_wechat_account(
    session: AsyncSession, owner: Staff | Resident, app: WechatApp, subject: str, now: datetime
) -> None:
    """Link an account of one app in place of the owner's other account of it. Idempotent.

    The caller has made sure that nobody else holds it.
    """
    if app == "miniprogram":
        owner.wechat_openid = subject
    mine = _is_owned_by(owner), Identity.provider == WECHAT, Identity.app == app, Identity.ended_at.is_(None)
    held = await session.scalar(select(Identity.subject).where(*mine))
    if held == subject:
        return
    await session.execute(update(Identity).where(*mine).values(ended_at=now))
    session.add(new_identity(owner, app, subject, now))
    await session.flush()  # the account is looked up by SQL


async def link_known_account(
    session: AsyncSession, owner: Staff | Resident, app: WechatApp, account: WechatSession, now: datetime
) -> None:
    """Link the account by which its owner was found, and its unionid unless somebody else has it."""
    await link_wechat_account(session, owner, app, account.openid, now)
    if account.unionid is not None and await find_owner(session, type(owner), "open_platform", account.unionid) is None:
        await link_wechat_account(session, owner, "open_platform", account.unionid, now)


def new_identity(owner: Staff | Resident, app: WechatApp, subject: str, now: datetime) -> Identity:
    column = "staff_id" if isinstance(owner, Staff) else "resident_id"
    return Identity(provider=WECHAT, app=app, subject=subject, linked_at=now, **{column: owner.id})


async def find_or_create_member(session: AsyncSession, member_id: UUID, now: datetime) -> Resident:
    """Return the account of a household member who has proven their numbers."""
    await advisory_lock(session, f"identity:{member_id}")
    linked = select(Identity.resident_id).where(
        Identity.provider == MEMBER, Identity.subject == str(member_id), Identity.ended_at.is_(None)
    )
    resident = await session.scalar(select(Resident).where(Resident.id.in_(linked)))
    if resident is None:
        resident = Resident(id=new_id())
        session.add(resident)
        await session.flush()  # the identity references the account
        session.add(Identity(resident_id=resident.id, provider=MEMBER, app="", subject=str(member_id), linked_at=now))
    return resident


async def end_wechat_links(session: AsyncSession, staff: Staff, now: datetime) -> bool:
    """End all WeChat links of a member of staff. Return whether there was any."""
    ended = await session.scalars(
        update(Identity)
        .where(_is_owned_by(staff), Identity.provider == WECHAT, Identity.ended_at.is_(None))
        .values(ended_at=now)
        .returning(Identity.id)
    )
    was_linked = bool(ended.all()) or staff.wechat_openid is not None
    staff.wechat_openid = None
    return was_linked


async def list_linked(session: AsyncSession, staff_ids: list[UUID]) -> set[UUID]:
    """Return those of these people who can sign in by WeChat."""
    rows = await session.scalars(
        select(Identity.staff_id).where(
            Identity.staff_id.in_(staff_ids), Identity.provider == WECHAT, Identity.ended_at.is_(None)
        )
    )
    return {staff_id for staff_id in rows if staff_id is not None}


async def holds_account(session: AsyncSession, owner: Staff | Resident, app: WechatApp, subject: str) -> bool:
    """Tell whether this account is linked to this person."""
    link = select(Identity.id).where(
        _is_owned_by(owner),
        Identity.provider == WECHAT,
        Identity.app == app,
        Identity.subject == subject,
        Identity.ended_at.is_(None),
    )
    return await session.scalar(link) is not None


async def lock_subjects(session: AsyncSession, account: WechatSession) -> None:
    """Let one sign-in of an account follow the other, so that two at the same moment make no two residents."""
    for subject in sorted({account.openid, account.unionid or account.openid}):
        await advisory_lock(session, f"identity:{subject}")


def _is_owned_by(owner: Staff | Resident) -> ColumnElement[bool]:
    return Identity.staff_id == owner.id if isinstance(owner, Staff) else Identity.resident_id == owner.id
