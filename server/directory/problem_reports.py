"""Reports that something does not work: sent from the phone or the desk, answered by an administrator.

A report holds versions, sizes, counts and error codes, and no text that somebody typed: each field has a pattern that
no name, identity number, address or token fits. Whoever needs to say more does so by telephone.
"""

from datetime import datetime, timedelta
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.core.access import Caller, Role, readable, require_found, require_role, require_staff
from server.core.device_times import ReportedTime
from server.core.errors import Problem
from server.core.http import RequestBody, ResponseBody
from server.core.paging import Keyset, Page, fetch_page
from server.models.problem_reports import ProblemReport

App = Literal["phone", "desk"]
Subject = Literal["sync", "photos", "slow", "crash", "wrong", "other"]
ReportState = Literal["open", "answered", "closed"]
# Six digits in a row may be part of a number of a person; a longer word than 32 letters may be a token.
_CODE = r"^(?!.*[0-9]{6})[A-Za-z][A-Za-z0-9_.]{0,47}$"
_PLACE = r"^(?!.*[0-9]{6})(?!.*[A-Za-z0-9_]{33})[A-Za-z0-9_./{}:-]{0,120}$"
_VERSION = r"^(?!.*[0-9]{6})[A-Za-z0-9.+-]{1,32}$"
_SYSTEM = r"^(?:Android|iOS|Windows|macOS|Linux|HarmonyOS)(?: [0-9]{1,3}(?:[.][0-9]{1,3}){0,2})?$"
_BROWSER = r"^(?:Chrome|Safari|Firefox|Edge|WeChat)(?: [0-9]{1,4})?$"
Code = Annotated[str, Meta(pattern=_CODE)]
Count = Annotated[int, Meta(ge=0, le=10**15)]
# Reports of one person in a day; more of them say nothing new.
_MOST_A_DAY = 20
_DAY = timedelta(days=1)
_NEWEST_FIRST = Keyset(ProblemReport.reported_at, ProblemReport.id, descending=True)
_OWN_SHOWN = 20


class Part(msgspec.Struct, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """A part of a report, which holds known fields alone."""


class ReportedError(Part, kw_only=True):
    """`place` is a route's template or a line of the program, never an address with ids."""

    at: ReportedTime
    kind: Literal["request", "script"]
    code: Code
    place: Annotated[str, Meta(pattern=_PLACE)]
    status: Annotated[int, Meta(ge=0, le=599)] | None = None


class ReportedDevice(Part, kw_only=True):
    app_version: Annotated[str, Meta(pattern=_VERSION)]
    system: Annotated[str, Meta(pattern=_SYSTEM)] | None = None
    browser: Annotated[str, Meta(pattern=_BROWSER)] | None = None
    online: bool
    clock_off_s: Annotated[int, Meta(ge=-(10**10), le=10**10)]
    used_bytes: Count | None = None
    quota_bytes: Count | None = None
    is_persistent: bool | None = None


class ReportedSync(Part, kw_only=True):
    """What a phone holds that the server lacks."""

    last_at: ReportedTime | None = None
    waiting_documents: Count
    waiting_photos: Count
    refused: Count
    problem: Code | None = None


class ReportProblem(RequestBody):
    """`id` is drawn by the client: the same again is the same report."""

    id: UUID
    app: App
    about: Subject
    device: ReportedDevice
    sync: ReportedSync | None = None
    errors: Annotated[list[ReportedError], Meta(max_length=20)] = []


class AnswerReport(RequestBody):
    """`closed`: nothing more is to be done."""

    state: Literal["answered", "closed"]
    answer: Annotated[str, Meta(min_length=2, max_length=1000)]


class ProblemReportLine(ResponseBody):
    """A report and its answer. Who sent it is not shown."""

    id: UUID
    area_code: str
    app: App
    about: Subject
    device: ReportedDevice
    sync: ReportedSync | None
    errors: list[ReportedError]
    reported_at: datetime
    state: ReportState
    answer: str | None
    answered_at: datetime | None


async def report_problem(
    session: AsyncSession, caller: Caller, body: ReportProblem, now: datetime
) -> ProblemReportLine:
    """Keep a report. Idempotent by id. Raises `request.rate_limited`, `request.idempotency_key_reused`."""
    require_staff(caller)
    existing = await session.get(ProblemReport, body.id)
    if existing is not None:
        if existing.staff_id != caller.id:
            raise Problem("request.idempotency_key_reused")
        return _line(existing)
    await _require_few(session, caller, now)
    report = ProblemReport(
        id=body.id,
        staff_id=caller.id,
        area_code=min((grant.area_code for grant in caller.grants), key=len, default=""),
        app=body.app,
        about=body.about,
        facts=msgspec.to_builtins({"device": body.device, "sync": body.sync, "errors": body.errors}),
        reported_at=now,
        state="open",
    )
    session.add(report)
    _record(session, caller, Action.PROBLEM_REPORTED, report, about=report.about)
    return _line(report)


async def _require_few(session: AsyncSession, caller: Caller, now: datetime) -> None:
    lately = select(func.count(), func.min(ProblemReport.reported_at)).where(
        ProblemReport.staff_id == caller.id, ProblemReport.reported_at > now - _DAY
    )
    count, first_at = (await session.execute(lately)).one()
    if count >= _MOST_A_DAY:
        raise Problem("request.rate_limited", retry_after_s=int((first_at + _DAY - now).total_seconds()) + 1)


async def list_own_reports(session: AsyncSession, caller: Caller) -> list[ProblemReportLine]:
    """List the caller's latest reports with their answers."""
    require_staff(caller)
    own = select(ProblemReport).where(ProblemReport.staff_id == caller.id)
    rows = await session.scalars(own.order_by(ProblemReport.reported_at.desc()).limit(_OWN_SHOWN))
    return [_line(report) for report in rows]


async def list_reports(
    session: AsyncSession, caller: Caller, *, state: ReportState | None, cursor: str | None, limit: int
) -> Page[ProblemReportLine]:
    """List the reports of the caller's areas, the newest first. One query."""
    require_role(caller, {Role.ADMIN})
    rows = readable(ProblemReport, caller)
    if state is not None:
        rows = rows.where(ProblemReport.state == state)
    page, next_cursor = await fetch_page(session, rows, _NEWEST_FIRST, cursor, limit)
    return Page(items=[_line(report) for (report,) in page], next_cursor=next_cursor)


async def answer_report(
    session: AsyncSession, caller: Caller, report_id: UUID, body: AnswerReport, now: datetime
) -> ProblemReportLine:
    """Answer a report, or answer it anew. Raises `thing.not_found`."""
    require_role(caller, {Role.ADMIN})
    report: ProblemReport = require_found(
        await session.scalar(readable(ProblemReport, caller).where(ProblemReport.id == report_id).with_for_update())
    )
    report.state, report.answer = body.state, body.answer.strip()
    report.answered_by, report.answered_at = caller.id, now
    _record(session, caller, Action.PROBLEM_ANSWERED, report, state=report.state)
    return _line(report)


def _record(session: AsyncSession, caller: Caller, action: Action, report: ProblemReport, **facts: Any) -> None:
    audit.record(
        session,
        caller,
        action,
        "problem_report",
        report.id,
        area_code=report.area_code or None,
        app=report.app,
        **facts,
    )


def _line(report: ProblemReport) -> ProblemReportLine:
    return msgspec.convert(
        {
            "id": report.id,
            "areaCode": report.area_code,
            "app": report.app,
            "about": report.about,
            **report.facts,
            "reportedAt": report.reported_at,
            "state": report.state,
            "answer": report.answer,
            "answeredAt": report.answered_at,
        },
        ProblemReportLine,
    )
