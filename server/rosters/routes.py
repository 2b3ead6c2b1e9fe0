"""`/desk/v1/rosters`: monthly rosters from their draft to the bank's answer, and what was paid in any month."""

from dataclasses import dataclass
from datetime import date
from typing import Annotated
from uuid import UUID

from litestar import Response, Router, get, post
from litestar.datastructures import UploadFile
from litestar.params import FromPath, FromQuery, JSONBody, MultipartBody, QueryParameter

from server.core.access import require_role
from server.core.clock import today, utc_now
from server.core.http import (
    BEARER,
    LOOKUP_ERRORS,
    SIGNED_IN_ERRORS,
    AreaFilter,
    Officer,
    PageLimit,
    ResponseBody,
    ServicesDep,
    Session,
    error_responses,
)
from server.core.paging import Page
from server.http.exports import build_export_route
from server.http.reads import NOTHING_PERSONAL, reads
from server.models.rosters import ROSTER_READERS
from server.rosters import actions, bank_answers, judging, late_returns, line_listing, listing, programs, sending
from server.rosters.actions import ActOnRoster, MakeCorrection, MakeRoster
from server.rosters.bank_answers import AnswerFile
from server.rosters.columns import FINDING_COLUMNS, LINE_COLUMNS, ROSTER_COLUMNS
from server.rosters.judging import JudgeFindings, LeaveOut, ReadmitHome
from server.rosters.late_returns import DecideLateReturn, ReportLateReturn
from server.rosters.line_listing import LineState, RosterFindingLine, RosterLineView
from server.rosters.listing import RosterDetail, RosterState, RosterSummary

_STEP_ERRORS = LOOKUP_ERRORS | error_responses("roster.not_now")
Part = Annotated[int, QueryParameter(ge=1, le=1000, description="Which of the roster's files, from 1.")]
InRosterState = Annotated[RosterState | None, QueryParameter(name="state")]
InLineState = Annotated[LineState | None, QueryParameter(name="state")]
Month = Annotated[date | None, QueryParameter(description="Any day of the month.")]


@dataclass
class BankAnswerForm:
    """`id` is drawn by the client; the same file again is the same answer."""

    id: UUID
    file: UploadFile


class ProgramLine(ResponseBody):
    """`pays`: the decided amount of each case, or `fen` a head or a home. `months` is empty for every month."""

    code: str
    zh: str
    en: str
    fund: str
    pays: str
    fen: int | None
    months: list[int]


@get(
    "/roster-programs",
    opt=NOTHING_PERSONAL,
    responses=SIGNED_IN_ERRORS,
    description="The programs that rosters of an area pay, as its settings have them.",
)
async def list_roster_programs(
    officer: Officer, session: Session, area: AreaFilter = None, month: Month = None
) -> list[ProgramLine]:
    own = min((grant.area_code for grant in officer.grants), key=len, default="")
    return [
        ProgramLine(
            code=program.code, zh=program.zh, en=program.en, fund=program.fund, pays=program.pays, fen=program.fen,
            months=program.months,
        )
        for program in await programs.list_programs(session, area or own, month or today())
    ]  # fmt: skip


@post(
    "/rosters",
    status_code=201,
    responses=SIGNED_IN_ERRORS | error_responses("roster.exists", "request.idempotency_key_reused"),
    description="Make the roster of a program, an area and a month. A job drafts its lines from what is in force in "
    "that month, with arrears and recoveries. The same id again is the same roster.",
)
async def make_roster(data: JSONBody[MakeRoster], officer: Officer, session: Session) -> RosterDetail:
    roster = await actions.make_roster(session, officer, data, utc_now())
    return await listing.show_roster(session, officer, roster.id)


@get(
    "/rosters",
    opt=NOTHING_PERSONAL,
    responses=SIGNED_IN_ERRORS,
    description="Rosters of the caller's areas, the latest month first.",
)
async def list_rosters(
    officer: Officer,
    session: Session,
    in_state: InRosterState = None,
    program: FromQuery[str | None] = None,
    month: Month = None,
    area: AreaFilter = None,
    cursor: FromQuery[str | None] = None,
    limit: PageLimit = 50,
) -> Page[RosterSummary]:
    return await listing.list_rosters(
        session, officer, state=in_state, program=program, month=month, area=area, cursor=cursor, limit=limit
    )


export_rosters = build_export_route(list_rosters, "rosters", ROSTER_COLUMNS, form="xlsx")


@get(
    "/rosters/{roster_id:uuid}",
    opt=NOTHING_PERSONAL,
    responses=LOOKUP_ERRORS,
    description="A roster with its sums by town, class and state, and the steps that the caller may take.",
)
async def show_roster(roster_id: FromPath[UUID], officer: Officer, session: Session) -> RosterDetail:
    return await listing.show_roster(session, officer, roster_id)


@post(
    "/rosters/{roster_id:uuid}/acts",
    status_code=200,
    responses=_STEP_ERRORS
    | error_responses(
        "roster.second_person",
        "roster.findings_open",
        "roster.altered",
        "roster.empty",
        "roster.file_unfit",
        "review.reason_required",
        "server.value_altered",
    ),
    description="Take one step: prepare, check (which freezes the lines), send, send back, draft again, cancel. "
    "Preparing and checking take two people, sending a third where the area's setting says so. All findings are "
    "looked for again first; with any that nobody has judged, the roster goes back to its draft.",
)
async def act_on_roster(
    roster_id: FromPath[UUID], data: JSONBody[ActOnRoster], officer: Officer, session: Session, services: ServicesDep
) -> RosterDetail:
    await actions.act_on_roster(session, services.encryption, officer, roster_id, data, utc_now())
    return await listing.show_roster(session, officer, roster_id)


@get(
    "/rosters/{roster_id:uuid}/lines",
    opt=reads("roster_line"),
    responses=LOOKUP_ERRORS,
    description="The lines of a roster: head, holder of the account, beneficiaries, and each part of the amount.",
)
async def list_roster_lines(
    roster_id: FromPath[UUID],
    officer: Officer,
    session: Session,
    in_state: InLineState = None,
    cursor: FromQuery[str | None] = None,
    limit: PageLimit = 50,
) -> Page[RosterLineView]:
    return await line_listing.list_roster_lines(session, officer, roster_id, state=in_state, cursor=cursor, limit=limit)


export_roster_lines = build_export_route(list_roster_lines, "roster-lines", LINE_COLUMNS, form="xlsx")


@post(
    "/rosters/{roster_id:uuid}/left-out",
    status_code=200,
    responses=_STEP_ERRORS,
    description="Leave a home out of a draft, with a reason. The month stays owed to it.",
)
async def leave_out_of_roster(
    roster_id: FromPath[UUID], data: JSONBody[LeaveOut], officer: Officer, session: Session
) -> RosterDetail:
    await judging.leave_out(session, officer, roster_id, data, utc_now())
    return await listing.show_roster(session, officer, roster_id)


@post(
    "/rosters/{roster_id:uuid}/readmissions",
    status_code=200,
    responses=_STEP_ERRORS | error_responses("roster.second_person"),
    description="Take a home that was left out back in, by another person than who left it out, until the roster is "
    "checked. A job drafts the lines anew and looks for all findings again.",
)
async def readmit_to_roster(
    roster_id: FromPath[UUID], data: JSONBody[ReadmitHome], officer: Officer, session: Session
) -> RosterDetail:
    await judging.readmit_home(session, officer, roster_id, data, utc_now())
    return await listing.show_roster(session, officer, roster_id)


@get(
    "/rosters/{roster_id:uuid}/findings",
    opt=reads("roster_line"),
    responses=LOOKUP_ERRORS,
    description="What a person has to judge before the roster is sent, or has judged.",
)
async def list_roster_findings(
    roster_id: FromPath[UUID],
    officer: Officer,
    session: Session,
    judged: FromQuery[bool | None] = None,
    code: FromQuery[str | None] = None,
    cursor: FromQuery[str | None] = None,
    limit: PageLimit = 50,
) -> Page[RosterFindingLine]:
    return await line_listing.list_findings(
        session, officer, roster_id, judged=judged, code=code, cursor=cursor, limit=limit
    )


export_roster_findings = build_export_route(list_roster_findings, "roster-findings", FINDING_COLUMNS, form="xlsx")


@post(
    "/rosters/{roster_id:uuid}/judgements",
    status_code=200,
    responses=_STEP_ERRORS | error_responses("roster.finding_certain", "roster.second_person"),
    description="Judge findings of a draft: pay in spite of them, or leave their homes out. Each takes a reason.",
)
async def judge_roster_findings(
    roster_id: FromPath[UUID], data: JSONBody[JudgeFindings], officer: Officer, session: Session
) -> RosterDetail:
    await judging.judge_findings(session, officer, roster_id, data, utc_now())
    return await listing.show_roster(session, officer, roster_id)


@get(
    "/rosters/{roster_id:uuid}/file",
    opt=reads("roster_line", "exported"),
    media_type=sending.MEDIA_TYPE,
    responses=_STEP_ERRORS | error_responses("roster.altered", "server.value_altered"),
    description="A file of a sent roster for the bank, with whole account numbers. Each download is written to the "
    "audit trail.",
)
async def take_roster_file(
    roster_id: FromPath[UUID], officer: Officer, session: Session, services: ServicesDep, part: Part = 1
) -> Response[bytes]:
    file = await sending.take_file(session, services.encryption, officer, roster_id, part)
    headers = {"Content-Disposition": f'attachment; filename="{file.name}"', "Cache-Control": "no-store"}
    return Response(file.content, media_type=sending.MEDIA_TYPE, headers=headers)


@post(
    "/rosters/{roster_id:uuid}/answers",
    status_code=200,
    responses=_STEP_ERRORS | error_responses("import.unreadable", "bank_answer.columns_missing"),
    description="Read a file of the bank: each line is paid or returned once, and a paid one may come back later. What "
    "leaves a doubt is listed and moves nothing. The same file again changes nothing.",
)
async def read_bank_answer(
    roster_id: FromPath[UUID], data: MultipartBody[BankAnswerForm], officer: Officer, session: Session
) -> RosterDetail:
    file = AnswerFile(data.id, data.file.filename, await data.file.read())
    await bank_answers.read_answer(session, officer, roster_id, file, utc_now())
    return await listing.show_roster(session, officer, roster_id)


@post(
    "/rosters/{roster_id:uuid}/late-returns",
    status_code=201,
    responses=LOOKUP_ERRORS
    | error_responses(
        "request.invalid", "roster.line_not_paid", "roster.return_waiting", "request.idempotency_key_reused"
    ),
    description="Write down that the bank sent a paid line back without a file. Nothing moves until another person "
    "confirms it.",
)
async def report_late_return(
    roster_id: FromPath[UUID], data: JSONBody[ReportLateReturn], officer: Officer, session: Session
) -> RosterDetail:
    await late_returns.report_late_return(session, officer, roster_id, data, utc_now())
    return await listing.show_roster(session, officer, roster_id)


@post(
    "/rosters/{roster_id:uuid}/late-returns/{return_id:uuid}/decision",
    status_code=200,
    responses=LOOKUP_ERRORS
    | error_responses("roster.second_person", "roster.line_not_paid", "review.reason_required", "proposal.decided"),
    description="Confirm that a line came back, which lets it be corrected, or decline it with a reason; by another "
    "person than who wrote it down.",
)
async def decide_late_return(
    roster_id: FromPath[UUID],
    return_id: FromPath[UUID],
    data: JSONBody[DecideLateReturn],
    officer: Officer,
    session: Session,
) -> RosterDetail:
    await late_returns.decide_late_return(session, officer, roster_id, return_id, data, utc_now())
    return await listing.show_roster(session, officer, roster_id)


@post(
    "/rosters/{roster_id:uuid}/corrections",
    status_code=201,
    responses=LOOKUP_ERRORS | error_responses("roster.nothing_returned", "request.idempotency_key_reused"),
    description="Make a roster of what the bank returned, of nothing else, and of each line once.",
)
async def make_correction(
    roster_id: FromPath[UUID], data: JSONBody[MakeCorrection], officer: Officer, session: Session
) -> RosterDetail:
    roster = await actions.make_correction(session, officer, roster_id, data, utc_now())
    return await listing.show_roster(session, officer, roster.id)


@get(
    "/payments",
    opt=reads("roster_line"),
    responses=SIGNED_IN_ERRORS,
    description="Who received how much on which ground in any month, as it was when it was paid.",
)
async def list_payments(
    officer: Officer,
    session: Session,
    month: Month = None,
    household: FromQuery[UUID | None] = None,
    program: FromQuery[str | None] = None,
    area: AreaFilter = None,
    cursor: FromQuery[str | None] = None,
    limit: PageLimit = 50,
) -> Page[RosterLineView]:
    require_role(officer, ROSTER_READERS)
    return await line_listing.list_payments(
        session, officer, month=month, household=household, program=program, area=area, cursor=cursor, limit=limit
    )


export_payments = build_export_route(list_payments, "payments", LINE_COLUMNS, form="xlsx")


router = Router(
    "/desk/v1",
    route_handlers=[
        list_roster_programs,
        make_roster,
        list_rosters,
        export_rosters,
        show_roster,
        act_on_roster,
        list_roster_lines,
        export_roster_lines,
        leave_out_of_roster,
        readmit_to_roster,
        list_roster_findings,
        export_roster_findings,
        judge_roster_findings,
        take_roster_file,
        read_bank_answer,
        report_late_return,
        decide_late_return,
        make_correction,
        list_payments,
        export_payments,
    ],
    tags=["rosters"],
    security=BEARER,
)
