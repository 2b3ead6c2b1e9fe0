"""For who writes the settings: how a message will look, what WeChat would refuse in it, and one sent to themselves."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from msgspec import Meta
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.core.access import Caller, Role, require_role
from server.core.errors import Problem
from server.core.http import RequestBody, ResponseBody
from server.core.ids import new_id
from server.core.services import Services
from server.core.wechat_messages import MessageInvalid, check_message
from server.core.working_days import day_of
from server.http.rate_limit import count_attempt
from server.models.areas import Area
from server.models.people import Identity
from server.notifications.messages import PreparedMessage, deliver, fill_fields, page_of, template_values
from server.notifications.ways import APPS, WECHAT_WAYS, WayTemplate, WechatWay, list_templates
from server.notifications.wording import KINDS
from server.policy.resolver import load_policy_values

WRITERS = frozenset({Role.COUNTY_OFFICER, Role.ADMIN})
# Test messages of a person in a quarter of an hour: each costs a call of the account.
MAX_TESTS = 10
AreaPrefix = Annotated[str, Meta(pattern="^[0-9]{0,12}$")]
KindName = Annotated[str, Meta(max_length=40)]


class PreviewMessage(RequestBody):
    area_code: AreaPrefix
    kind: KindName


class SendTestMessage(PreviewMessage, kw_only=True):
    way: WechatWay


class PreviewedWay(ResponseBody):
    """`fault`: the field that WeChat would refuse, and why."""

    way: WechatWay | Literal["sms"]
    template_id: str
    page: str | None
    values: dict[str, str]
    fault: str | None


class MessagePreview(ResponseBody):
    """`zh` and `en` are the notice in the app."""

    zh: str
    en: str
    ways: list[PreviewedWay]


class TestMessageResult(ResponseBody):
    """`state` and `why` as of any message: WeChat's own answer."""

    state: str
    why: str | None
    message_id: str | None


async def preview_message(
    session: AsyncSession, services: Services, caller: Caller, data: PreviewMessage, now: datetime
) -> MessagePreview:
    """Show a message with invented facts, as the settings of an area have it today."""
    setting, templates = await _load_templates(session, caller, data, now)
    values = await _sample_values(session, data, now)
    ways = [_preview(services, template, values) for template in templates]
    if sms := str(setting.get("sms") or ""):
        texts = {"what": values["what"], "when": values["when"]}
        ways.append(PreviewedWay(way="sms", template_id=sms, page=None, values=texts, fault=None))
    kind = KINDS[data.kind]
    return MessagePreview(zh=kind.what, en=kind.en, ways=ways)


async def _load_templates(
    session: AsyncSession, caller: Caller, data: PreviewMessage, now: datetime
) -> tuple[dict[str, object], list[WayTemplate]]:
    require_role(caller, WRITERS)
    if not caller.covers(data.area_code, WRITERS):
        raise Problem("auth.forbidden", roles=", ".join(sorted(WRITERS)))
    if data.kind not in KINDS:
        raise Problem("request.invalid")
    key = f"notice.template.{data.kind}"
    setting = (await load_policy_values(session, data.area_code, day_of(now), [key])).get(key) or {}
    return setting, list_templates(setting, list(WECHAT_WAYS))


async def _sample_values(session: AsyncSession, data: PreviewMessage, now: datetime) -> dict[str, str]:
    area_name = await session.scalar(select(Area.name).where(Area.code == data.area_code))
    facts = {"count": 3} | ({"on": day_of(now).isoformat()} if "{on}" in KINDS[data.kind].zh else {})
    return template_values(data.kind, facts, now, area_name or "")


def _preview(services: Services, template: WayTemplate, values: dict[str, str]) -> PreviewedWay:
    filled = fill_fields(template, values)
    fault = None
    try:
        check_message(filled)
    except MessageInvalid as invalid:
        fault = str(invalid)
    return PreviewedWay(
        way=template.way,
        template_id=template.template_id,
        page=page_of(services, template),
        values=filled,
        fault=fault,
    )


async def send_test(
    session: AsyncSession, services: Services, caller: Caller, data: SendTestMessage, now: datetime
) -> TestMessageResult:
    """Send a message with invented facts to the caller's own WeChat, whose consent is spent like any other.

    Raises `message.no_template`, `auth.wechat_not_linked` and `request.rate_limited`.
    """
    _, templates = await _load_templates(session, caller, data, now)
    template = next((template for template in templates if template.way == data.way), None)
    if template is None:
        raise Problem("message.no_template")
    openid = await _load_own_openid(session, caller.id, APPS[data.way])
    values = await _sample_values(session, data, now)
    filled = fill_fields(template, values)
    audit.record(session, caller, Action.MESSAGE_TESTED, "template", template.template_id, kind=data.kind, way=data.way)
    # Commits what was recorded: WeChat is called without a connection held.
    await count_attempt(session, services.encryption, [f"test-message:{caller.id}"], MAX_TESTS, now)
    page = page_of(services, template)
    message = PreparedMessage(new_id(), template.way, openid, template.template_id, page, filled)
    result = await deliver(services, message)
    return TestMessageResult(state=result.state, why=result.why, message_id=result.message_id)


async def _load_own_openid(session: AsyncSession, staff_id: UUID, app: str) -> str:
    openid = await session.scalar(
        select(Identity.subject).where(
            Identity.staff_id == staff_id,
            Identity.provider == "wechat",
            Identity.app == app,
            Identity.ended_at.is_(None),
        )
    )
    if openid is None:
        raise Problem("auth.wechat_not_linked")
    return openid
