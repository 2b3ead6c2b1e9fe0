"""Certificates of dibao (低保证): issued on a grant, ended on a stop, renewed by the year where the area says so.

The law leaves an area the choice between a certificate and the notice of the grant (57 §21), so nothing rests on a
certificate unless the area's setting says that a roster does.
"""

from datetime import date, datetime, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

from msgspec import Meta, convert
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.cases.loading import load_case, lock_case, roles_over_case
from server.cases.notices import issuing_office
from server.core.access import DESK_ROLES, Caller, Role, readable, require_role
from server.core.errors import Problem
from server.core.http import RequestBody, ResponseBody
from server.core.ids import new_id
from server.core.money import format_fen
from server.core.paging import Keyset, Page, fetch_page
from server.core.pdf import Notice, format_date_zh, render_notice
from server.core.sequences import next_number
from server.core.working_days import day_of
from server.households.conflicts import require_no_conflict_of_interest
from server.models.areas import Area
from server.models.cases import GRANTED_STATES, CaseFile
from server.models.certificates import Certificate
from server.models.households import Household, HouseholdMember
from server.policy.resolver import load_policy_values
from server.policy.values import CertificateNumber

ISSUED, NUMBER, MONTHS, RENEWED = (
    "certificate.issued",
    "certificate.number",
    "certificate.months",
    "certificate.renewed",
)
_MONTHS_PER_YEAR = 12
_TOWN_DIGITS = 9
_STEP = 500
_PROGRAMMES_ZH = {"urban": "城市", "rural": "农村"}
_ISSUERS = frozenset({Role.TOWN_OFFICER, Role.COUNTY_OFFICER})
_FIRST_TO_EXPIRE = Keyset(Certificate.valid_until, Certificate.id)
CertificateState = Literal["valid", "expired", "ended"]


class CertificateLine(ResponseBody):
    """`valid_until` is the first day on which it is not valid. `state` is of today."""

    id: UUID
    number: str
    case_id: UUID
    application_number: str
    household_id: UUID
    holder_name: str
    head_name: str
    area_code: str
    area_name: str
    programme: str
    valid_from: date
    valid_until: date
    renewed_on: date | None
    ended_on: date | None
    ended_by: str | None
    state: CertificateState


class ReplaceCertificate(RequestBody):
    """Why there is a new one: the head changed, it was lost, or the case was granted before this system."""

    reason: Annotated[str, Meta(min_length=2, max_length=1000)]


async def follow_step(session: AsyncSession, case: CaseFile, step: str, actor_id: UUID | None, now: datetime) -> None:
    """Issue a certificate for a grant, and end it with a stop."""
    if step == "stopped":
        await _end(session, case, case.stopped_from or day_of(now), "stopped")
    elif step in {"confirmed", "came_back"} and case.programme is not None:
        settings = await load_policy_values(session, case.area_code, day_of(now), [ISSUED, NUMBER, MONTHS])
        if settings.get(ISSUED):
            await _end(session, case, day_of(now), "replaced")
            await _issue(session, case, settings, actor_id, now)


async def replace_certificate(
    session: AsyncSession, caller: Caller, case_id: UUID, body: ReplaceCertificate, now: datetime
) -> CertificateLine:
    """Issue a new certificate of a case that is granted, in place of the one that was valid.

    Raises `case.not_now`, also while no programme is confirmed, `auth.forbidden` and `case.own_relative`.
    """
    case = await lock_case(session, caller, case_id)
    if not roles_over_case(caller, case) & _ISSUERS:
        raise Problem("auth.forbidden", roles=", ".join(sorted(_ISSUERS)))
    await require_no_conflict_of_interest(session, caller, case.household_id)
    if case.state not in GRANTED_STATES or case.stopped_from is not None or case.programme is None:
        raise Problem("case.not_now", state=case.state)
    settings = await load_policy_values(session, case.area_code, day_of(now), [NUMBER, MONTHS])
    await _end(session, case, day_of(now), "replaced")
    certificate = await _issue(session, case, settings, caller.id, now)
    audit.record(
        session, caller, Action.CERTIFICATE_ISSUED, "case", case.id, area_code=case.area_code,
        number=certificate.number, reason=body.reason.strip(),
    )  # fmt: skip
    row = (await session.execute(_select_lines(caller).where(Certificate.id == certificate.id))).one()
    return _line(day_of(now), *row)


async def _issue(
    session: AsyncSession, case: CaseFile, settings: dict[str, object], actor_id: UUID | None, now: datetime
) -> Certificate:
    assert case.programme is not None
    on = max(day_of(now).replace(day=1), case.paid_from or date.min)
    certificate = Certificate(
        id=new_id(),
        number=await _next_number(session, case, settings, day_of(now)),
        case_id=case.id,
        area_code=case.area_code,
        programme=case.programme,
        holder_name=await session.scalar(select(Household.head_name).where(Household.id == case.household_id)),
        issued_at=now,
        issued_by=actor_id,
        valid_from=on,
        valid_until=months_later(on, int(str(settings[MONTHS]))),
    )
    session.add(certificate)
    await session.flush()  # its number is the highest for whoever issues next
    return certificate


async def _next_number(session: AsyncSession, case: CaseFile, settings: dict[str, object], today: date) -> str:
    form = convert(settings[NUMBER], CertificateNumber)
    values = {
        "letter": form.letters["urban" if case.programme == "urban" else "rural"],
        "county": case.area_code[:6],
        "town": case.area_code[:_TOWN_DIGITS],
        "year": f"{today.year}",
    }
    return await next_number(session, Certificate.number, "".join(values[part] for part in form.parts), form.digits)


async def _end(session: AsyncSession, case: CaseFile, on: date, why: Literal["stopped", "replaced"]) -> None:
    rows = select(Certificate).where(Certificate.case_id == case.id, Certificate.ended_on.is_(None))
    for certificate in await session.scalars(rows.with_for_update()):
        certificate.ended_on, certificate.ended_by = on, why
    await session.flush()  # what ends makes room for another


def months_later(on: date, months: int) -> date:
    """Return the first of the month so many months later."""
    years, place = divmod(on.month - 1 + months, _MONTHS_PER_YEAR)
    return date(on.year + years, place + 1, 1)


async def renew_certificates(session: AsyncSession, now: datetime) -> int:
    """Renew what has expired of cases in force, where the area says so. Returns how many it has looked at."""
    today = day_of(now)
    rows = (
        await session.execute(
            select(Certificate, CaseFile)
            .join(CaseFile, CaseFile.id == Certificate.case_id)
            .where(
                Certificate.ended_on.is_(None),
                Certificate.valid_until <= today,
                CaseFile.state == "in_force",
                CaseFile.stopped_from.is_(None),
                Certificate.area_code.in_(await _list_renewing_areas(session, today)),
            )
            .order_by(Certificate.valid_until, Certificate.id)
            .limit(_STEP)
            .with_for_update(of=Certificate, skip_locked=True)
        )
    ).all()
    for certificate, case in rows:
        settings = await load_policy_values(session, case.area_code, today, [MONTHS])
        while certificate.valid_until <= today:
            certificate.valid_until = months_later(certificate.valid_until, int(settings[MONTHS]))
        certificate.renewed_on = today
    return len(rows)


async def _list_renewing_areas(session: AsyncSession, today: date) -> list[str]:
    """Return the villages with expired certificates whose setting renews them."""
    expired = select(Certificate.area_code).where(Certificate.ended_on.is_(None), Certificate.valid_until <= today)
    renewing = []
    for area_code in await session.scalars(expired.distinct()):
        settings = await load_policy_values(session, area_code, today, [RENEWED])
        if settings.get(RENEWED):
            renewing.append(area_code)
    return renewing


async def list_certificates(
    session: AsyncSession,
    caller: Caller,
    *,
    state: CertificateState | None,
    case_id: UUID | None,
    area: str | None,
    cursor: str | None,
    limit: int,
    now: datetime,
) -> Page[CertificateLine]:
    """List certificates, the first to expire first. One query."""
    require_role(caller, DESK_ROLES)
    today = day_of(now)
    rows = _select_lines(caller)
    if state == "ended":
        rows = rows.where(Certificate.ended_on.is_not(None))
    elif state is not None:
        is_valid = Certificate.valid_until > today
        rows = rows.where(Certificate.ended_on.is_(None), is_valid if state == "valid" else ~is_valid)
    if case_id is not None:
        rows = rows.where(Certificate.case_id == case_id)
    if area:
        rows = rows.where(Certificate.area_code.startswith(area, autoescape=True))
    page, next_cursor = await fetch_page(session, rows, _FIRST_TO_EXPIRE, cursor, limit)
    return Page(items=[_line(today, *row) for row in page], next_cursor=next_cursor)


def _select_lines(caller: Caller) -> Any:
    return (
        readable(Certificate, caller)
        .add_columns(CaseFile.number, CaseFile.household_id, Household.head_name, Area.name)
        .join(CaseFile, CaseFile.id == Certificate.case_id)
        .join(Household, Household.id == CaseFile.household_id)
        .join(Area, Area.code == Certificate.area_code)
    )


def _line(
    today: date, certificate: Certificate, application_number: str, household_id: UUID, head_name: str, area_name: str
) -> CertificateLine:
    copied = (
        "id",
        "number",
        "case_id",
        "holder_name",
        "area_code",
        "programme",
        "valid_from",
        "valid_until",
        "renewed_on",
        "ended_on",
        "ended_by",
    )
    state: CertificateState = "valid" if certificate.valid_until > today else "expired"
    return CertificateLine(
        **{name: getattr(certificate, name) for name in copied},
        application_number=application_number,
        household_id=household_id,
        head_name=head_name,
        area_name=area_name,
        state="ended" if certificate.ended_on is not None else state,
    )


async def print_certificate(session: AsyncSession, caller: Caller, case_id: UUID) -> bytes:
    """Return the valid certificate of a case as a PDF. Raises `case.not_now` without one."""
    case = await load_case(session, caller, case_id)
    certificate = await session.scalar(
        select(Certificate).where(Certificate.case_id == case.id, Certificate.ended_on.is_(None))
    )
    if certificate is None:
        raise Problem("case.not_now", state=case.state)
    household = await session.get_one(Household, case.household_id)
    members = await session.scalars(
        select(HouseholdMember.name)
        .where(HouseholdMember.household_id == household.id)
        .order_by(HouseholdMember.position)
    )
    audit.record(
        session, caller, Action.CERTIFICATE_PRINTED, "case", case.id, area_code=case.area_code,
        number=certificate.number,
    )  # fmt: skip
    until = certificate.valid_until - timedelta(days=1)
    rows = [
        ["户主", certificate.holder_name],
        ["住址", household.address],
        ["家庭成员", "、".join(members.all())],
        ["类别", f"{_PROGRAMMES_ZH[certificate.programme]}最低生活保障"],
        ["月保障金", format_fen(case.amount_fen) if case.amount_fen is not None else "–"],
        ["有效期", f"{format_date_zh(certificate.valid_from)}至{format_date_zh(until)}"],
    ]
    return await render_notice(
        Notice(
            title="最低生活保障证",
            number=f"证号：{certificate.number}",
            to="",
            paragraphs=["经审核确认，下列家庭享受最低生活保障。家庭情况变化请及时报告。"],
            columns=["项目", "内容"],
            rows=rows,
            office=await issuing_office(session, case, is_decision=True),
            date=format_date_zh(day_of(certificate.issued_at)),
            footer="停发后本证失效；请妥善保管，不得转借",
        )
    )
