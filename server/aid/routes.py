"""`/desk/v1/aid-…`: the linked-aid ledger, from a batch's draft to what homes were handed, and its report."""

from datetime import date
from typing import Annotated, Literal
from uuid import UUID

from litestar import Router, get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from msgspec import Meta

from server.aid import actions, batches, catalogue, handouts, judging, listing, phone_listing, report, sign_off
from server.aid.actions import ActOnAidBatch
from server.aid.batches import AddAidLine, MakeAidBatch
from server.aid.columns import (
    BATCH_COLUMNS,
    FINDING_COLUMNS,
    LINE_COLUMNS,
    PHONE_RECORD_COLUMNS,
    REPORT_COLUMNS,
    VILLAGE_COLUMNS,
)
from server.aid.handouts import RecordHandouts, TakeBack
from server.aid.judging import JudgeAidFindings, LeaveOutAidLine
from server.aid.listing import (
    AidBatchDetail,
    AidBatchState,
    AidBatchSummary,
    AidFindingLine,
    AidLineState,
    AidLineView,
)
from server.aid.phone_listing import AidPhoneRecord, AidVillage
from server.aid.report import AidReportRow
from server.core import figures
from server.core.access import require_role
from server.core.clock import today, utc_now
from server.core.figures import CheckedFigure
from server.core.http import (
    BEARER,
    LOOKUP_ERRORS,
    SIGNED_IN_ERRORS,
    AreaFilter,
    Officer,
    PageLimit,
    RequestBody,
    ResponseBody,
    Session,
    error_responses,
)
from server.core.paging import Page
from server.core.pdf import PDF
from server.http.exports import build_export_route
from server.http.reads import NOTHING_PERSONAL, reads
from server.models.aid import AID_READERS

_STEP_ERRORS = LOOKUP_ERRORS | error_responses("aid.not_now")
InBatchState = Annotated[AidBatchState | None, QueryParameter(name="state")]
InLineState = Annotated[AidLineState | None, QueryParameter(name="state")]
Month = Annotated[date | None, QueryParameter(description="Any day of the month.")]
Since = Annotated[date | None, QueryParameter(description="Any day of the first month.")]
Until = Annotated[date | None, QueryParameter(description="Any day of the last month.")]
Level = Annotated[Literal["county", "town", "village"], QueryParameter(description="By which areas it is added up.")]
_DIGITS = {"county": 6, "town": 9, "village": 12}


class AidCauseLine(ResponseBody):
    code: str
    zh: str
    en: str


class AidKindLine(ResponseBody):
    """`homes`: `in_force` for those with a case in force, or `any`."""

    code: str
    zh: str
    en: str
    form: str
    unit_zh: str
    unit_en: str
    fund: str
    homes: str
    causes: list[AidCauseLine]


@get(
    "/aid-kinds",
    opt=NOTHING_PERSONAL,
    responses=SIGNED_IN_ERRORS,
    description="The kinds of linked aid of an area, as its settings have them.",
)
async def list_aid_kinds(
    officer: Officer, session: Session, area: AreaFilter = None, month: Month = None
) -> list[AidKindLine]:
    require_role(officer, AID_READERS)
    own = min((grant.area_code for grant in officer.grants), key=len, default="")
    return [
        AidKindLine(
            code=kind.code, zh=kind.zh, en=kind.en, form=kind.form, unit_zh=kind.unit_zh, unit_en=kind.unit_en,
            fund=kind.fund, homes=kind.homes,
            causes=[AidCauseLine(code=cause.code, zh=cause.zh, en=cause.en) for cause in kind.causes],
        )
        for kind in await catalogue.list_kinds(session, area or own, month or today())
    ]  # fmt: skip


@post(
    "/aid-batches",
    status_code=201,
    responses=SIGNED_IN_ERRORS
    | error_responses("aid.too_many", "request.idempotency_key_reused", "thing.not_found", "text.holds_number"),
    description="Make a batch of a kind for homes of an area: those with a case in force, a list of them, or none yet. "
    "The same id again is the same batch.",
)
async def make_aid_batch(data: JSONBody[MakeAidBatch], officer: Officer, session: Session) -> AidBatchDetail:
    batch = await batches.make_batch(session, officer, data, utc_now())
    return await listing.show_batch(session, officer, batch.id)


@get(
    "/aid-batches",
    opt=NOTHING_PERSONAL,
    responses=SIGNED_IN_ERRORS,
    description="Batches of the caller's areas, the latest month first.",
)
async def list_aid_batches(
    officer: Officer,
    session: Session,
    in_state: InBatchState = None,
    kind: FromQuery[str | None] = None,
    month: Month = None,
    area: AreaFilter = None,
    cursor: FromQuery[str | None] = None,
    limit: PageLimit = 50,
) -> Page[AidBatchSummary]:
    return await listing.list_batches(
        session, officer, state=in_state, kind=kind, month=month, area=area, cursor=cursor, limit=limit
    )


export_aid_batches = build_export_route(list_aid_batches, "aid-batches", BATCH_COLUMNS, form="xlsx")


@get(
    "/aid-batches/{batch_id:uuid}",
    opt=NOTHING_PERSONAL,
    responses=LOOKUP_ERRORS,
    description="A batch with its sums, and the steps that the caller may take.",
)
async def show_aid_batch(batch_id: FromPath[UUID], officer: Officer, session: Session) -> AidBatchDetail:
    return await listing.show_batch(session, officer, batch_id)


@post(
    "/aid-batches/{batch_id:uuid}/acts",
    status_code=200,
    responses=_STEP_ERRORS
    | error_responses(
        "aid.second_person", "aid.findings_open", "aid.empty", "aid.lines_open", "review.reason_required"
    ),
    description="Take one step: prepare, release (by another person), send back, close, cancel. All findings are "
    "looked for again first; with any that nobody has judged, nothing is let go.",
)
async def act_on_aid_batch(
    batch_id: FromPath[UUID], data: JSONBody[ActOnAidBatch], officer: Officer, session: Session
) -> AidBatchDetail:
    await actions.act_on_batch(session, officer, batch_id, data, utc_now())
    return await listing.show_batch(session, officer, batch_id)


@post(
    "/aid-batches/{batch_id:uuid}/lines",
    status_code=201,
    responses=_STEP_ERRORS | error_responses("request.idempotency_key_reused", "case.own_relative"),
    description="Add aid of a home, or of a member of it, to a draft by hand. The same id again is the same line.",
)
async def add_aid_line(
    batch_id: FromPath[UUID], data: JSONBody[AddAidLine], officer: Officer, session: Session
) -> AidBatchDetail:
    await batches.add_line(session, officer, batch_id, data, utc_now())
    return await listing.show_batch(session, officer, batch_id)


@post(
    "/aid-batches/{batch_id:uuid}/left-out",
    status_code=200,
    responses=_STEP_ERRORS,
    description="Leave a line out of a draft, with a reason.",
)
async def leave_out_of_aid_batch(
    batch_id: FromPath[UUID], data: JSONBody[LeaveOutAidLine], officer: Officer, session: Session
) -> AidBatchDetail:
    await judging.leave_out(session, officer, batch_id, data, utc_now())
    return await listing.show_batch(session, officer, batch_id)


@post(
    "/aid-batches/{batch_id:uuid}/handouts",
    status_code=200,
    responses=_STEP_ERRORS | error_responses("aid.handed_out", "case.own_relative"),
    description="Record lines that were handed out, each with its day and recipient, or were not, and why. All of them "
    "are recorded or none; the same again changes nothing.",
)
async def record_aid_handouts(
    batch_id: FromPath[UUID], data: JSONBody[RecordHandouts], officer: Officer, session: Session
) -> AidBatchDetail:
    await handouts.record_handouts(session, officer, batch_id, data, utc_now())
    return await listing.show_batch(session, officer, batch_id)


@post(
    "/aid-lines/{line_id:uuid}/take-back",
    status_code=200,
    responses=_STEP_ERRORS | error_responses("case.own_relative"),
    description="Take back what was handed out, with a reason. What was given, when and to whom stays readable.",
)
async def take_aid_back(
    line_id: FromPath[UUID], data: JSONBody[TakeBack], officer: Officer, session: Session
) -> AidBatchDetail:
    batch = await handouts.take_back(session, officer, line_id, data, utc_now())
    return await listing.show_batch(session, officer, batch.id)


@get(
    "/aid-lines",
    opt=reads("aid_line"),
    responses=SIGNED_IN_ERRORS,
    description="The ledger: what homes are to be given or were given, of a batch, a home, or any area and time.",
)
async def list_aid_lines(
    officer: Officer,
    session: Session,
    batch: FromQuery[UUID | None] = None,
    household: FromQuery[UUID | None] = None,
    kind: FromQuery[str | None] = None,
    in_state: InLineState = None,
    since: Since = None,
    until: Until = None,
    area: AreaFilter = None,
    cursor: FromQuery[str | None] = None,
    limit: PageLimit = 50,
) -> Page[AidLineView]:
    return await listing.list_lines(
        session, officer, batch=batch, household=household, kind=kind, state=in_state, since=since, until=until,
        area=area, cursor=cursor, limit=limit,
    )  # fmt: skip


export_aid_lines = build_export_route(list_aid_lines, "aid-lines", LINE_COLUMNS, form="xlsx")


@get(
    "/aid-batches/{batch_id:uuid}/findings",
    opt=reads("aid_line"),
    responses=LOOKUP_ERRORS,
    description="What a person has to judge of a batch and its lines, or has judged.",
)
async def list_aid_findings(
    batch_id: FromPath[UUID],
    officer: Officer,
    session: Session,
    judged: FromQuery[bool | None] = None,
    cursor: FromQuery[str | None] = None,
    limit: PageLimit = 50,
) -> Page[AidFindingLine]:
    return await listing.list_findings(session, officer, batch_id, judged=judged, cursor=cursor, limit=limit)


export_aid_findings = build_export_route(list_aid_findings, "aid-findings", FINDING_COLUMNS, form="xlsx")


@get(
    "/aid-batches/{batch_id:uuid}/villages",
    opt=NOTHING_PERSONAL,
    responses=LOOKUP_ERRORS,
    description="The villages of a batch: whose phones hold its homes, and how many still wait.",
)
async def list_aid_villages(batch_id: FromPath[UUID], officer: Officer, session: Session) -> list[AidVillage]:
    return await phone_listing.list_villages(session, officer, batch_id)


export_aid_villages = build_export_route(list_aid_villages, "aid-villages", VILLAGE_COLUMNS, form="xlsx")


@get(
    "/aid-batches/{batch_id:uuid}/phone-records",
    opt=reads("aid_line"),
    responses=LOOKUP_ERRORS,
    description="What phones recorded of a batch, with what the ledger made of it, the newest first.",
)
async def list_aid_phone_records(
    batch_id: FromPath[UUID],
    officer: Officer,
    session: Session,
    cursor: FromQuery[str | None] = None,
    limit: PageLimit = 50,
) -> Page[AidPhoneRecord]:
    return await phone_listing.list_phone_records(session, officer, batch_id, cursor=cursor, limit=limit)


export_aid_phone_records = build_export_route(
    list_aid_phone_records, "aid-phone-records", PHONE_RECORD_COLUMNS, form="xlsx"
)


@post(
    "/aid-batches/{batch_id:uuid}/judgements",
    status_code=200,
    responses=_STEP_ERRORS | error_responses("aid.second_person", "case.own_relative"),
    description="Judge findings: in order, or so. A line that is not handed out yet is left out by the latter; what "
    "a phone recorded as handed out after the batch was closed is entered by it (by another person). Each takes a "
    "reason.",
)
async def judge_aid_findings(
    batch_id: FromPath[UUID], data: JSONBody[JudgeAidFindings], officer: Officer, session: Session
) -> AidBatchDetail:
    await judging.judge_findings(session, officer, batch_id, data, utc_now())
    return await listing.show_batch(session, officer, batch_id)


@get(
    "/aid-batches/{batch_id:uuid}/sign-off",
    opt=reads("aid_line", "exported"),
    media_type=PDF,
    responses=_STEP_ERRORS | error_responses("print.characters_missing"),
    description="The sheet on which homes sign for what they receive, as a PDF.",
)
async def print_aid_sign_off(batch_id: FromPath[UUID], officer: Officer, session: Session) -> bytes:
    return await sign_off.print_sign_off(session, officer, batch_id)


@get(
    "/aid-report",
    opt=NOTHING_PERSONAL,
    responses=SIGNED_IN_ERRORS,
    description="By month, area and kind: homes, person-times, money and quantity that were handed out, and what "
    "rosters paid. Without months, this month.",
)
async def report_aid(
    officer: Officer,
    session: Session,
    since: Since = None,
    until: Until = None,
    area: AreaFilter = None,
    kind: FromQuery[str | None] = None,
    by: Level = "town",
) -> list[AidReportRow]:
    last = until or today()
    return await report.report_aid(
        session, officer, since=since or last, until=last, area=area, kind=kind, digits=_DIGITS[by]
    )


export_aid_report = build_export_route(report_aid, "aid-report", REPORT_COLUMNS, form="xlsx")


class CheckFigures(RequestBody):
    """Statements as a paper has them, one a line."""

    text: Annotated[str, Meta(min_length=1, max_length=20_000)]


@post(
    "/figure-checks",
    status_code=200,
    responses=SIGNED_IN_ERRORS,
    description="Say of each figure of a paper whether it agrees: `18 = 2 + 12 + 2 + 4`, `594 ≥ 457 × 1.3`, or a "
    "series `36,960/85; 43,512/86; 42,288/43` of which no part should be odd. Nothing is stored and nothing corrected.",
)
async def check_figures(data: JSONBody[CheckFigures], officer: Officer) -> list[CheckedFigure]:
    require_role(officer, AID_READERS)
    return figures.check_figures(data.text)


router = Router(
    "/desk/v1",
    route_handlers=[
        list_aid_kinds,
        make_aid_batch,
        list_aid_batches,
        export_aid_batches,
        show_aid_batch,
        act_on_aid_batch,
        add_aid_line,
        leave_out_of_aid_batch,
        record_aid_handouts,
        take_aid_back,
        list_aid_lines,
        export_aid_lines,
        list_aid_findings,
        export_aid_findings,
        list_aid_villages,
        export_aid_villages,
        list_aid_phone_records,
        export_aid_phone_records,
        judge_aid_findings,
        print_aid_sign_off,
        report_aid,
        export_aid_report,
        check_figures,
    ],
    tags=["aid"],
    security=BEARER,
)
