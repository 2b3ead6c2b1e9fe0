"""The ways by which WeChat carries a notice to one person, and which of them is the next to try.

The setting `notice.ways` says in which order. A way that ended for good is not tried again, and each needs its
template, the person's account of that app and, but for template messages, an unused consent.
"""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, get_args

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.models.notifications import MessageConsent, MessageDelivery, MessageStop, Notice, WechatFollower
from server.models.people import Identity, Staff

WechatWay = Literal["miniprogram", "service_subscribe", "service_template"]
WECHAT_WAYS: tuple[WechatWay, ...] = get_args(WechatWay)
WAYS_KEY = "notice.ways"
# The account that each way writes to.
APPS: Mapping[WechatWay, str] = {
    "miniprogram": "miniprogram",
    "service_subscribe": "service_account",
    "service_template": "service_account",
}
# The part of a template setting that holds each way's template.
_PARTS: Mapping[WechatWay, str] = {
    "service_subscribe": "serviceSubscribe",
    "service_template": "serviceTemplate",
}
_FINAL = ("delivered", "refused", "failed", "unsure", "sent")


class WayTemplate(NamedTuple):
    way: WechatWay
    template_id: str
    page: str | None
    fields: Mapping[str, str]
    is_long_term: bool = False


class NextWay(NamedTuple):
    template: WayTemplate
    openid: str
    consent: MessageConsent | None


class NoWay(NamedTuple):
    """No way is left: the state of the notice's message, and why."""

    state: str
    why: str | None = None


def list_templates(setting: Mapping[str, Any] | None, ways: list[WechatWay]) -> list[WayTemplate]:
    """Return the templates of a kind in the order in which they are tried."""
    found = [_read_template(setting or {}, way) for way in ways]
    return [template for template in found if template is not None]


def _read_template(setting: Mapping[str, Any], way: WechatWay) -> WayTemplate | None:
    part = setting if way == "miniprogram" else setting.get(_PARTS[way]) or {}
    if not part.get("templateId"):
        return None
    default_page = None if way == "miniprogram" else "/r/"
    return WayTemplate(
        way, part["templateId"], part.get("page") or default_page, part.get("fields", {}), bool(part.get("longTerm"))
    )


async def choose_way(session: AsyncSession, notice: Notice, templates: list[WayTemplate]) -> NextWay | NoWay:
    """Return the next way to try, with the consent that it would spend, locked; or why there is none."""
    if await _is_stopped(session, notice):
        return NoWay("none", "stopped")
    ended = await _load_ended(session, notice)
    accounts = await load_accounts(session, notice)
    lacks_consent = False
    for template in templates:
        openid = accounts.get(APPS[template.way])
        if template.way in ended or openid is None:
            continue
        if template.way == "service_template":
            if await may_follow(session, openid):
                return NextWay(template, openid, None)
            continue
        consent = await _find_consent(session, notice, template.template_id)
        if consent is not None:
            return NextWay(template, openid, consent)
        lacks_consent = True
    if ended:
        return _describe_last(ended)
    return NoWay("no_consent") if lacks_consent else NoWay("none")


def _describe_last(ended: Mapping[str, MessageDelivery]) -> NoWay:
    last = max(ended.values(), key=lambda delivery: delivery.begun_at)
    state = {"failed": "parked", "delivered": "sent"}.get(last.state, last.state)
    return NoWay(state, last.why)


async def _load_ended(session: AsyncSession, notice: Notice) -> dict[str, MessageDelivery]:
    rows = await session.scalars(
        select(MessageDelivery).where(MessageDelivery.notice_id == notice.id, MessageDelivery.state.in_(_FINAL))
    )
    return {delivery.way: delivery for delivery in rows}


async def load_accounts(session: AsyncSession, notice: Notice) -> dict[str, str]:
    """Return the openids of the reader by app; none of whoever left or is no longer bound to the household."""
    query: Any = select(Identity.app, Identity.subject).where(
        Identity.provider == "wechat", Identity.app.in_(set(APPS.values())), Identity.ended_at.is_(None)
    )
    if notice.staff_id is not None:
        query = query.join(Staff, Staff.id == Identity.staff_id).where(
            Staff.id == notice.staff_id, Staff.disabled_at.is_(None)
        )
    else:
        query = query.join(Notice, Notice.resident_id == Identity.resident_id).where(
            Notice.id == notice.id, Notice.in_bound_household(notice.resident_id)
        )
    return dict((await session.execute(query)).all())


async def may_follow(session: AsyncSession, openid: str) -> bool:
    """Tell whether an account follows the service account; of one that is not known, WeChat's answer tells."""
    follower = await session.get(WechatFollower, openid)
    return follower is None or follower.is_following


async def _find_consent(session: AsyncSession, notice: Notice, template_id: str) -> MessageConsent | None:
    consent: MessageConsent | None = await session.scalar(
        select(MessageConsent)
        .where(belongs_to_reader(notice), MessageConsent.template_id == template_id, MessageConsent.is_unspent())
        .order_by(MessageConsent.given_at)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    return consent


async def _is_stopped(session: AsyncSession, notice: Notice) -> bool:
    is_reader = (
        MessageStop.staff_id == notice.staff_id
        if notice.staff_id is not None
        else MessageStop.resident_id == notice.resident_id
    )
    return await session.scalar(select(MessageStop.id).where(is_reader, MessageStop.kind == notice.kind)) is not None


def belongs_to_reader(notice: Notice) -> ColumnElement[bool]:
    if notice.staff_id is not None:
        return MessageConsent.staff_id == notice.staff_id
    return MessageConsent.resident_id == notice.resident_id
