"""What WeChat pushes about messages: consents given and taken back, followers, and what became of a message.

Each event counts once. An account that nobody here has linked is no concern of ours.
"""

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.core.wechat_push import Event
from server.models.notifications import MessageConsent, MessageDelivery, Notice, WechatEvent
from server.models.people import Identity, WechatApp
from server.notifications.messages import set_following, try_next_way

# WeChat's call takes seconds; what is sending for longer was interrupted.
_SENDING_FOR = timedelta(minutes=5)
_REMEMBERED = timedelta(days=30)
_POPUP, _CHANGE, _SENT = "subscribe_msg_popup_event", "subscribe_msg_change_event", "subscribe_msg_sent_event"
_FINISHED = "TEMPLATESENDJOBFINISH"
# The element that holds the entries of each event, in XML; JSON has `List`.
_WRAPPERS = {
    _POPUP: "SubscribeMsgPopupEvent",
    _CHANGE: "SubscribeMsgChangeEvent",
    _SENT: "SubscribeMsgSentEvent",
}


class ReceiptTooEarly(Exception):
    """The message is not written as sent yet. WeChat has to push the receipt again."""


async def apply_event(session: AsyncSession, app: WechatApp, event: Event, now: datetime) -> None:
    """Apply an event of the mini-program or the service account, once. Raises `ReceiptTooEarly`."""
    kind, openid = str(event.get("Event", "")), str(event.get("FromUserName", ""))
    entries = _list_entries(event, kind)
    if not await _is_first(session, app, event, entries, now):
        return
    match kind:
        case "subscribe" | "unsubscribe" if app == "service_account":
            await set_following(session, openid, now, is_following=kind == "subscribe")
        case _ if kind == _POPUP:
            await _take_consents(session, app, openid, event, entries)
        case _ if kind == _CHANGE:
            await _void_consents(session, app, openid, entries, now)
        case _ if kind == _SENT:
            for entry in entries:
                status = str(entry.get("ErrorStatus", ""))
                why = None if status == "success" else f"receipt {entry.get('ErrorCode', '')}".strip()
                await _take_receipt(session, app, openid, entry, is_delivered=status == "success", why=why, now=now)
        case _ if kind == _FINISHED:
            status = str(event.get("Status", ""))
            why = {"success": None, "failed:user block": "user_block"}.get(status.replace(": ", ":"), "system_failed")
            await _take_receipt(session, app, openid, event, is_delivered=why is None, why=why, now=now)


async def _is_first(
    session: AsyncSession, app: WechatApp, event: Event, entries: list[Mapping[str, Any]], now: datetime
) -> bool:
    """Remember an event. WeChat names sender and time as what tells two events apart; a message has its own id."""
    await session.execute(delete(WechatEvent).where(WechatEvent.received_at < now - _REMEMBERED))
    row = insert(WechatEvent).values(event_hash=_hash(app, event, entries), received_at=now)
    return await session.scalar(row.on_conflict_do_nothing().returning(WechatEvent.event_hash)) is not None


def _hash(app: WechatApp, event: Event, entries: list[Mapping[str, Any]]) -> bytes:
    ids = [f"{entry.get('TemplateId', '')}/{entry.get('MsgID', entry.get('MsgId', ''))}" for entry in entries]
    parts = [app, event.get("FromUserName"), event.get("CreateTime"), event.get("Event"), event.get("MsgID"), *ids]
    return hashlib.sha256("\n".join(map(str, parts)).encode()).digest()


def _list_entries(event: Event, kind: str) -> list[Mapping[str, Any]]:
    """Return the entries of a subscribe event: `List` of XML holds one or several, of JSON a list or an object."""
    wrapper = event.get(_WRAPPERS.get(kind, ""))
    entries = (wrapper if isinstance(wrapper, dict) else event).get("List", [])
    entries = entries if isinstance(entries, list) else [entries]
    return [entry for entry in entries if isinstance(entry, dict)]


async def _take_consents(
    session: AsyncSession, app: WechatApp, openid: str, event: Event, entries: list[Mapping[str, Any]]
) -> None:
    """Count the answers of a dialog. The mini-program's own client has reported its consents already."""
    if app != "service_account":
        return
    for owner, owner_id in await _list_owners(session, app, openid):
        for entry in entries:
            template_id, answer = str(entry.get("TemplateId", "")), str(entry.get("SubscribeStatusString", ""))
            if not template_id or answer not in {"accept", "reject"}:
                continue
            name = f"{openid}/{event.get('CreateTime')}/{template_id}/{owner_id}"
            row = insert(MessageConsent).values(
                report_id=uuid5(NAMESPACE_URL, name), template_id=template_id, answer=answer, **{owner: owner_id}
            )
            await session.execute(row.on_conflict_do_nothing())
            audit.record(session, None, Action.MESSAGE_CONSENTED, "template", template_id, answer=answer)


async def _void_consents(
    session: AsyncSession, app: WechatApp, openid: str, entries: list[Mapping[str, Any]], now: datetime
) -> None:
    """A person has switched messages off in WeChat's own settings: what they agreed to before is worth nothing."""
    rejected = [str(entry.get("TemplateId", "")) for entry in entries if entry.get("SubscribeStatusString") == "reject"]
    for owner, owner_id in await _list_owners(session, app, openid):
        await session.execute(
            update(MessageConsent)
            .where(
                getattr(MessageConsent, owner) == owner_id,
                MessageConsent.template_id.in_(rejected),
                MessageConsent.is_unspent(),
            )
            .values(void_at=now)
        )
        for template_id in rejected:
            audit.record(session, None, Action.MESSAGE_CONSENTED, "template", template_id, answer="reject")


async def _list_owners(session: AsyncSession, app: WechatApp, openid: str) -> list[tuple[str, UUID | None]]:
    rows = await session.execute(select(Identity.staff_id, Identity.resident_id).where(_is_account(app, openid)))
    return [
        ("staff_id" if staff_id is not None else "resident_id", staff_id or resident_id)
        for staff_id, resident_id in rows
    ]


def _is_account(app: WechatApp, openid: str) -> ColumnElement[bool]:
    return (
        (Identity.provider == "wechat")
        & (Identity.app == app)
        & (Identity.subject == openid)
        & Identity.ended_at.is_(None)
    )


async def _take_receipt(
    session: AsyncSession,
    app: WechatApp,
    openid: str,
    entry: Mapping[str, Any],
    *,
    is_delivered: bool,
    why: str | None,
    now: datetime,
) -> None:
    """Note what became of a message. One that did not arrive goes by the next way."""
    message_id = str(entry.get("MsgID") or entry.get("MsgId") or "")
    delivery = await _find_delivery(session, app, openid, message_id, str(entry.get("TemplateId", "")), now)
    if delivery is None or delivery.receipt_at is not None:
        return
    notice = await session.get_one(Notice, delivery.notice_id, with_for_update=True)
    delivery.receipt_at = now
    if is_delivered:
        delivery.state = "delivered"
        if notice.message == "unsure":
            notice.message, notice.message_why, notice.sent_at = "sent", None, now
        return
    delivery.state, delivery.why = ("refused" if why == "user_block" else "failed"), why
    await try_next_way(session, notice, now)


async def _find_delivery(
    session: AsyncSession, app: WechatApp, openid: str, message_id: str, template_id: str, now: datetime
) -> MessageDelivery | None:
    """Return the message by WeChat's id; where its answer had none, the person's latest of this template."""
    ways = ("miniprogram",) if app == "miniprogram" else ("service_subscribe", "service_template")
    readers = select(Identity.staff_id, Identity.resident_id).where(_is_account(app, openid)).subquery()
    to_reader = (
        select(MessageDelivery)
        .join(Notice, Notice.id == MessageDelivery.notice_id)
        .join(readers, (readers.c.staff_id == Notice.staff_id) | (readers.c.resident_id == Notice.resident_id))
        .where(MessageDelivery.way.in_(ways))
        .order_by(MessageDelivery.begun_at.desc())
        .limit(1)
    )
    query = to_reader.where(MessageDelivery.state.in_(["sent", "delivered", "unsure"]))
    if message_id:
        found: MessageDelivery | None = await session.scalar(query.where(MessageDelivery.message_id == message_id))
        if found is not None:
            return found
        sending = MessageDelivery.state == "sending", MessageDelivery.begun_at > now - _SENDING_FOR
        if await session.scalar(to_reader.where(*sending)) is not None:
            raise ReceiptTooEarly
    without_id = MessageDelivery.message_id.is_(None), MessageDelivery.template_id == template_id
    latest: MessageDelivery | None = await session.scalar(query.where(*without_id))
    return latest
