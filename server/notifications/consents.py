"""Consents to WeChat's messages, how many are unused, and the kinds that a person has ended for themselves.

The mini-program's client reports what `wx.requestSubscribeMessage` gave. Those of the service account are counted by
the events that WeChat pushes (`receipts`), because what its web page learns is sometimes empty.
"""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from msgspec import Meta
from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.core.access import Caller
from server.core.clock import today
from server.core.errors import Problem
from server.core.http import RequestBody, ResponseBody
from server.core.ids import new_id
from server.models.households import Household
from server.models.notifications import MessageConsent, MessageStop
from server.models.people import Identity, ResidentBinding
from server.notifications.ways import APPS, WAYS_KEY, WayTemplate, WechatWay, list_templates, may_follow
from server.notifications.wording import KINDS
from server.policy.resolver import load_policy_values

# The values of WeChat's client. `acceptWithAudio` and `acceptWithForce` count as accepted.
ConsentAnswer = Literal["accept", "acceptWithAudio", "acceptWithForce", "reject", "ban", "filter"]


class ReportConsents(RequestBody):
    """The client makes an `id` for each result of WeChat. Idempotent by id."""

    id: UUID
    results: Annotated[dict[Annotated[str, Meta(max_length=64)], ConsentAnswer], Meta(min_length=1, max_length=10)]


class ConsentCount(ResponseBody):
    """`template_id` goes into `wx.requestSubscribeMessage`. `left` counts the unused consents."""

    kind: str
    template_id: str
    left: int


class MessageWay(ResponseBody):
    """`left`: unused consents; null where it needs none. `is_open`: the person has the account that it writes to."""

    way: WechatWay
    template_id: str
    left: int | None
    is_open: bool


class OwnMessages(ResponseBody):
    """A kind of message: what it tells, by which ways it can come, and whether the person has ended it."""

    kind: str
    zh: str
    en: str
    is_stopped: bool
    ways: list[MessageWay]


class StopMessages(RequestBody):
    """End a kind of message, or have it again. The notice in the app stays."""

    kind: Annotated[str, Meta(max_length=40)]
    is_stopped: bool


async def list_own_messages(session: AsyncSession, caller: Caller) -> list[OwnMessages]:
    """List what the person is told by WeChat, of the kinds for which their area has a template."""
    kinds = await load_kinds(session, caller)
    left = await _count_unspent(session, caller)
    stopped = set(await session.scalars(select(MessageStop.kind).where(MessageStop.resident_id == caller.id)))
    accounts = dict(
        (
            await session.execute(
                select(Identity.app, Identity.subject).where(
                    Identity.resident_id == caller.id, Identity.provider == "wechat", Identity.ended_at.is_(None)
                )
            )
        ).all()
    )
    follows = "service_account" in accounts and await may_follow(session, accounts["service_account"])
    return [
        OwnMessages(
            kind=kind,
            zh=KINDS[kind].what,
            en=KINDS[kind].en.partition(";")[0],
            is_stopped=kind in stopped,
            ways=[
                MessageWay(
                    way=template.way,
                    template_id=template.template_id,
                    left=None if template.way == "service_template" else left.get(template.template_id, 0),
                    is_open=follows if template.way == "service_template" else APPS[template.way] in accounts,
                )
                for template in templates
            ],
        )
        for kind, templates in kinds.items()
        if templates
    ]


async def stop_messages(session: AsyncSession, caller: Caller, data: StopMessages, now: datetime) -> list[OwnMessages]:
    """Raises `request.invalid` for a kind that residents do not get."""
    if data.kind not in KINDS or KINDS[data.kind].audience != "resident":
        raise Problem("request.invalid")
    if data.is_stopped:
        row = insert(MessageStop).values(id=new_id(), resident_id=caller.id, kind=data.kind, stopped_at=now)
        await session.execute(row.on_conflict_do_nothing())
    else:
        mine = MessageStop.resident_id == caller.id, MessageStop.kind == data.kind
        await session.execute(delete(MessageStop).where(*mine))
    audit.record(session, caller, Action.MESSAGE_STOPPED, "person", caller.id, kind=data.kind, stopped=data.is_stopped)
    return await list_own_messages(session, caller)


async def _count_unspent(session: AsyncSession, caller: Caller) -> dict[str, int]:
    rows = await session.execute(
        select(MessageConsent.template_id, func.count())
        .where(MessageConsent.in_scope(caller), MessageConsent.is_unspent())
        .group_by(MessageConsent.template_id)
    )
    return dict(rows.all())


async def list_consents(session: AsyncSession, caller: Caller) -> list[ConsentCount]:
    """List the templates that the person's area uses for their audience (staff or residents)."""
    templates = await _load_template_ids(session, caller)
    left = await _count_unspent(session, caller)
    return [
        ConsentCount(kind=kind, template_id=template_id, left=left.get(template_id, 0))
        for kind, template_id in templates.items()
    ]


async def _load_template_ids(session: AsyncSession, caller: Caller) -> dict[str, str]:
    """Return the mini-program's template ids by kind; empty if the person's area sends none."""
    kinds = await load_kinds(session, caller)
    return {
        kind: template.template_id
        for kind, templates in kinds.items()
        for template in templates
        if template.way == "miniprogram"
    }


async def load_kinds(session: AsyncSession, caller: Caller) -> dict[str, list[WayTemplate]]:
    """Return the kinds of notice of the person's audience, each with the templates that their area has for it."""
    audience = "resident" if caller.is_resident else "staff"
    keys = {f"notice.template.{kind}": kind for kind, notice_kind in KINDS.items() if notice_kind.audience == audience}
    area_code = await _resolve_area(session, caller)
    settings = await load_policy_values(session, area_code, today(), [*keys, WAYS_KEY])
    return {kind: list_templates(settings.get(key), settings[WAYS_KEY]) for key, kind in keys.items()}


async def _resolve_area(session: AsyncSession, caller: Caller) -> str:
    """Return the smallest area of a staff member, or the area of a resident's household; else the country ("")."""
    if not caller.is_resident:
        return max((grant.area_code for grant in caller.grants), key=len, default="")
    bound: Any = (
        select(Household.area_code)
        .join(ResidentBinding, ResidentBinding.household_id == Household.id)
        .where(ResidentBinding.resident_id == caller.id, ResidentBinding.ended_at.is_(None))
        .order_by(ResidentBinding.bound_at.desc())
        .limit(1)
    )
    return await session.scalar(bound) or ""


async def report_consents(session: AsyncSession, caller: Caller, data: ReportConsents) -> list[ConsentCount]:
    """Record the results for the templates in use and ignore others."""
    template_ids = set((await _load_template_ids(session, caller)).values())
    column = "resident_id" if caller.is_resident else "staff_id"
    for template_id in sorted(template_ids & data.results.keys()):
        answer = data.results[template_id]
        row = insert(MessageConsent).values(
            report_id=data.id,
            template_id=template_id,
            **{column: caller.id},
            answer="accept" if answer.startswith("accept") else answer,
        )
        fresh = await session.scalar(row.on_conflict_do_nothing().returning(MessageConsent.template_id))
        if fresh is not None:
            audit.record(session, caller, Action.MESSAGE_CONSENTED, "template", template_id, answer=answer)
    return await list_consents(session, caller)
