"""One-time consents: what `wx.requestSubscribeMessage` answered on a person's phone, and how many are left."""

from typing import Annotated, Any, Literal
from uuid import UUID

from msgspec import Meta
from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.core.access import Caller
from server.core.http import RequestBody, ResponseBody
from server.core.tokens import utc_now
from server.core.working_days import day_of
from server.models.households import Household
from server.models.notifications import MessageConsent
from server.models.people import ResidentBinding
from server.notifications.wording import KINDS
from server.policy.resolver import policy_values

# As WeChat's client says them; those with a sound or a push are accepted all the same.
AnswerGiven = Literal["accept", "acceptWithAudio", "acceptWithForce", "reject", "ban", "filter"]


class ReportConsents(RequestBody):
    """`id` is made by the client for each answer of WeChat's: the same report again counts once."""

    id: UUID
    results: Annotated[dict[Annotated[str, Meta(max_length=64)], AnswerGiven], Meta(min_length=1, max_length=10)]


class Consents(ResponseBody):
    """What to ask for: `wx.requestSubscribeMessage` takes the template's id. `left`: messages still consented to."""

    kind: str
    template_id: str
    left: int


async def list_consents(session: AsyncSession, caller: Caller) -> list[Consents]:
    """The kinds of message that this person's area sends to people like them."""
    templates = await _templates(session, caller)
    rows = await session.execute(
        select(MessageConsent.template_id, func.count())
        .where(MessageConsent.in_scope(caller), MessageConsent.is_left())
        .group_by(MessageConsent.template_id)
    )
    left: dict[str, int] = dict(rows.all())
    return [Consents(kind=kind, template_id=one, left=left.get(one, 0)) for kind, one in templates.items()]


async def _templates(session: AsyncSession, caller: Caller) -> dict[str, str]:
    """By kind; empty where the person's area sends none."""
    audience = "resident" if caller.is_resident else "staff"
    keys = {f"notice.template.{kind}": kind for kind, told in KINDS.items() if told.audience == audience}
    rules = await policy_values(session, await _area(session, caller), day_of(utc_now()), list(keys))
    return {kind: rules[key]["templateId"] for key, kind in keys.items() if rules.get(key, {}).get("templateId")}


async def _area(session: AsyncSession, caller: Caller) -> str:
    """Of staff the longest of their areas, of a resident the bound household's; else the country's."""
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


async def report_consents(session: AsyncSession, caller: Caller, told: ReportConsents) -> list[Consents]:
    """Write down the answers for the templates in use; for others they are of no use and left out."""
    known = set((await _templates(session, caller)).values())
    column = "resident_id" if caller.is_resident else "staff_id"
    for template_id in sorted(known & told.results.keys()):
        answer = told.results[template_id]
        row = insert(MessageConsent).values(
            report_id=told.id,
            template_id=template_id,
            **{column: caller.id},
            answer="accept" if answer.startswith("accept") else answer,
        )
        fresh = await session.scalar(row.on_conflict_do_nothing().returning(MessageConsent.template_id))
        if fresh is not None:
            audit.record(session, caller, "message.consented", "template", template_id, answer=answer)
    return await list_consents(session, caller)
