"""One-time consents: the results of `wx.requestSubscribeMessage` on a person's phone, and how many are unused."""

from typing import Annotated, Any, Literal
from uuid import UUID

from msgspec import Meta
from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.core.access import Caller
from server.core.clock import today
from server.core.http import RequestBody, ResponseBody
from server.models.households import Household
from server.models.notifications import MessageConsent
from server.models.people import ResidentBinding
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


async def list_consents(session: AsyncSession, caller: Caller) -> list[ConsentCount]:
    """List the templates that the person's area uses for their audience (staff or residents)."""
    templates = await _load_template_ids(session, caller)
    rows = await session.execute(
        select(MessageConsent.template_id, func.count())
        .where(MessageConsent.in_scope(caller), MessageConsent.is_unspent())
        .group_by(MessageConsent.template_id)
    )
    left: dict[str, int] = dict(rows.all())
    return [
        ConsentCount(kind=kind, template_id=template_id, left=left.get(template_id, 0))
        for kind, template_id in templates.items()
    ]


async def _load_template_ids(session: AsyncSession, caller: Caller) -> dict[str, str]:
    """Return the template ids by kind; empty if the person's area sends none."""
    audience = "resident" if caller.is_resident else "staff"
    keys = {f"notice.template.{kind}": kind for kind, notice_kind in KINDS.items() if notice_kind.audience == audience}
    settings = await load_policy_values(session, await _resolve_area(session, caller), today(), list(keys))
    return {kind: settings[key]["templateId"] for key, kind in keys.items() if settings.get(key, {}).get("templateId")}


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
