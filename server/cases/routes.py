"""`/desk/v1`: applications and cases: lists, steps, papers, calculations, hearings and notices."""

from datetime import date
from typing import Annotated, Any, Literal
from uuid import UUID

from litestar import Request, Router, get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from msgspec import Meta

import server.cases.event_handlers  # noqa: F401  registers its jobs
from server.benefits import calculations
from server.benefits.calculations import Calculate, CalculationLine
from server.cases import (
    actions,
    applications,
    detail,
    hearings,
    listing,
    look_up_slips,
    minutes,
    notices,
    paper_photos,
    papers,
)
from server.cases.actions import TakeStep
from server.cases.applications import MakeApplication
from server.cases.detail import CaseDetail
from server.cases.exports import CASE_COLUMNS
from server.cases.hearings import CallHearing, CountVotes, DeclareConflict, HearingDetail
from server.cases.listing import CaseLine
from server.cases.loading import load_case
from server.cases.notices import NoticeKind
from server.cases.paper_photos import PaperPhotoLink, Rendition, ReturnPhoto
from server.cases.papers import HomePapers, PaperLine
from server.cases.workflow import CaseState
from server.core.clock import utc_now
from server.core.http import (
    BEARER,
    LOOKUP_ERRORS,
    SIGNED_IN_ERRORS,
    AreaFilter,
    FieldStaff,
    IdempotencyKey,
    IfMatch,
    PageLimit,
    RequestBody,
    ServicesDep,
    Session,
    error_responses,
    parse_if_match,
)
from server.core.paging import Page
from server.core.pdf import PDF
from server.households.register import MEMBER_CONFLICTS
from server.http.exports import FormerAddress, build_export_route
from server.http.reads import reads

_NOT_NOW = error_responses("case.not_now")
_STEP_PROBLEMS = (
    "case.not_now",
    "case.closed",
    "case.suspended",
    "case.changed",
    "case.own_relative",
    "case.reason_required",
    "case.papers_missing",
    "case.papers_complete",
    "case.consent_missing",
    "case.amount_missing",
    "case.hearing_required",
    "case.hearing_failed",
    "case.county_visit_missing",
    "case.cross_check_missing",
    "case.cross_check_requested",
    "case.programme_same",
    "case.programme_changed",
    "case.survey_not_accepted",
    "case.visit_differs",
    "household.member_receives",
    "case.extended_already",
    "case.second_person",
    "case.proposal_open",
    "case.proposal_missing",
    "case.proposal_outdated",
    "case.come_back_closed",
    "case.amount_unchanged",
    "request.idempotency_key_reused",
)


class ReceivePaper(RequestBody):
    code: Annotated[str, Meta(min_length=1, max_length=60)]
    received_on: date


@post(
    "/applications",
    responses=LOOKUP_ERRORS | error_responses("case.open_already", "case.granted_already", *MEMBER_CONFLICTS),
    description="Open a case for a household by the rules of today. Refused where the household has an open case or "
    "receives already.",
)
async def make_application(
    data: JSONBody[MakeApplication], field_staff: FieldStaff, session: Session, services: ServicesDep
) -> CaseDetail:
    now = utc_now()
    case = await applications.make_application(session, services.encryption, field_staff, data, now)
    return await detail.load_case_detail(session, field_staff, case.id, now)


@get(
    "/cases",
    opt=reads("case"),
    responses=SIGNED_IN_ERRORS,
    description="The caller's cases, newest first.",
)
async def list_cases(
    field_staff: FieldStaff,
    session: Session,
    case_state: Annotated[CaseState | None, QueryParameter(name="state")] = None,
    area: AreaFilter = None,
    cursor: FromQuery[str | None] = None,
    limit: PageLimit = 50,
) -> Page[CaseLine]:
    return await listing.list_cases(
        session, field_staff, state=case_state, area=area, cursor=cursor, limit=limit, now=utc_now()
    )


@get(
    "/cases/due",
    opt=reads("case"),
    responses=SIGNED_IN_ERRORS,
    description="Cases with a deadline that is past, today or within three days, the oldest first.",
)
async def list_due_cases(
    field_staff: FieldStaff,
    session: Session,
    urgency: FromQuery[Literal["overdue", "due", "soon"] | None] = None,
    area: AreaFilter = None,
    cursor: FromQuery[str | None] = None,
    limit: PageLimit = 50,
) -> Page[CaseLine]:
    return await listing.list_due(
        session, field_staff, urgency=urgency, area=area, cursor=cursor, limit=limit, now=utc_now()
    )


export_cases = build_export_route(
    list_cases, "cases", CASE_COLUMNS, form="xlsx", aliases=[FormerAddress("/case-exports/cases", "cases")]
)
export_due_cases = build_export_route(
    list_due_cases, "cases-due", CASE_COLUMNS, form="xlsx", aliases=[FormerAddress("/case-exports/due", "cases-due")]
)


@post(
    "/cases/{case_id:uuid}/look-up-slip",
    status_code=200,
    media_type=PDF,
    responses=LOOKUP_ERRORS | error_responses("case.own_relative", "print.characters_missing"),
    description="Print the slip with the application number and a new PIN for the public look-up, as a PDF. The PIN "
    "before it ends. The first slip is for whoever takes the application, another for an officer.",
)
async def print_look_up_slip(
    case_id: FromPath[UUID],
    field_staff: FieldStaff,
    request: Request[Any, Any, Any],
    session: Session,
    services: ServicesDep,
) -> bytes:
    origin = services.settings.public_origin or str(request.base_url).rstrip("/")
    return await look_up_slips.print_look_up_slip(
        session, services.encryption, field_staff, case_id, utc_now(), origin=origin
    )


@get(
    "/cases/{case_id:uuid}",
    opt=reads("case"),
    responses=LOOKUP_ERRORS,
    description="One case: papers, deadlines, timeline, and the steps that the caller may take now.",
)
async def open_case(case_id: FromPath[UUID], field_staff: FieldStaff, session: Session) -> CaseDetail:
    return await detail.load_case_detail(session, field_staff, case_id, utc_now())


@post(
    "/cases/{case_id:uuid}/steps",
    status_code=200,
    responses=LOOKUP_ERRORS | error_responses(*_STEP_PROBLEMS),
    description="Take a step of the procedure from the version that was seen (`If-Match`). The same `Idempotency-Key`"
    " gets the same answer again.",
)
async def take_case_step(
    case_id: FromPath[UUID],
    data: JSONBody[TakeStep],
    field_staff: FieldStaff,
    session: Session,
    if_match: IfMatch,
    idempotency_key: IdempotencyKey = None,
) -> CaseDetail:
    now = utc_now()
    await actions.take_step(
        session, field_staff, case_id, data, version=parse_if_match(if_match), idempotency_key=idempotency_key, now=now
    )
    return await detail.load_case_detail(session, field_staff, case_id, now)


@post(
    "/cases/{case_id:uuid}/papers",
    status_code=200,
    responses=LOOKUP_ERRORS | error_responses("case.closed", "case.paper_unknown"),
    description="Note that a paper was handed in. Repeating it changes nothing.",
)
async def receive_paper(
    case_id: FromPath[UUID], data: JSONBody[ReceivePaper], field_staff: FieldStaff, session: Session
) -> list[PaperLine]:
    return await papers.receive_paper(session, field_staff, case_id, data.code, data.received_on)


@get(
    "/cases/{case_id:uuid}/paper-photos/{photo_id:uuid}/link",
    opt=reads("photo"),
    responses=LOOKUP_ERRORS | error_responses("photo.not_ready", "photo.erased"),
    description="Return a link to a photo of a paper, valid for minutes; the access is audited.",
)
async def link_paper_photo(
    case_id: FromPath[UUID],
    photo_id: FromPath[UUID],
    field_staff: FieldStaff,
    session: Session,
    services: ServicesDep,
    rendition: FromQuery[Rendition] = "1280",
) -> PaperPhotoLink:
    return await paper_photos.link_photo(session, services, field_staff, case_id, photo_id, rendition, utc_now())


@post(
    "/cases/{case_id:uuid}/paper-photos/{photo_id:uuid}/return",
    status_code=200,
    responses=LOOKUP_ERRORS | error_responses("case.closed"),
    description="Return a photo that can't be used; the resident reads why.",
)
async def return_paper_photo(
    case_id: FromPath[UUID],
    photo_id: FromPath[UUID],
    data: JSONBody[ReturnPhoto],
    field_staff: FieldStaff,
    session: Session,
) -> list[PaperLine]:
    return await paper_photos.return_photo(session, field_staff, case_id, photo_id, data, utc_now())


@post(
    "/cases/{case_id:uuid}/calculations",
    responses=LOOKUP_ERRORS
    | error_responses("case.own_relative", "case.closed", "case.programme_missing", "case.standard_missing"),
    description="Calculate the monthly amount by the rules of a month and the case's programme. Earlier calculations "
    "stay as they are.",
)
async def calculate_amount(
    case_id: FromPath[UUID], data: JSONBody[Calculate], field_staff: FieldStaff, session: Session
) -> CalculationLine:
    return await calculations.calculate(session, field_staff, case_id, data, utc_now())


@get(
    "/cases/{case_id:uuid}/calculations",
    opt=reads("calculation"),
    responses=LOOKUP_ERRORS,
    description="All calculations of a case, the newest first.",
)
async def list_calculations(
    case_id: FromPath[UUID], field_staff: FieldStaff, session: Session
) -> list[CalculationLine]:
    case = await load_case(session, field_staff, case_id)
    return await calculations.list_calculations(session, case)


@post(
    "/cases/{case_id:uuid}/hearings",
    responses=LOOKUP_ERRORS | error_responses("case.own_relative", "case.not_now", "hearing.panel_short"),
    description="Set the day of a hearing and draw its panel. The same id again is the same hearing.",
)
async def call_hearing(
    case_id: FromPath[UUID], data: JSONBody[CallHearing], field_staff: FieldStaff, session: Session
) -> HearingDetail:
    return await hearings.call_hearing(session, field_staff, case_id, data)


@get(
    "/cases/{case_id:uuid}/hearings",
    opt=reads("hearing"),
    responses=LOOKUP_ERRORS,
    description="The hearings of a case: panel, day, and the count once it was taken.",
)
async def list_hearings(case_id: FromPath[UUID], field_staff: FieldStaff, session: Session) -> list[HearingDetail]:
    return await hearings.list_hearings(session, field_staff, case_id)


@post(
    "/cases/{case_id:uuid}/hearings/{hearing_id:uuid}/conflict",
    status_code=200,
    responses=LOOKUP_ERRORS | error_responses("case.own_relative", "hearing.counted"),
    description="A panelist who was drawn gives up the seat; the next in the rotation takes it. Repeating it changes "
    "nothing.",
)
async def declare_conflict(
    case_id: FromPath[UUID],
    hearing_id: FromPath[UUID],
    data: JSONBody[DeclareConflict],
    field_staff: FieldStaff,
    session: Session,
) -> HearingDetail:
    return await hearings.declare_conflict(session, field_staff, case_id, hearing_id, data)


@post(
    "/cases/{case_id:uuid}/hearings/{hearing_id:uuid}/count",
    status_code=200,
    responses=LOOKUP_ERRORS
    | _NOT_NOW
    | error_responses("case.own_relative", "hearing.counted", "hearing.no_quorum", "hearing.count_differs"),
    description="Write the count of a hearing, once; the case goes on. The share of votes that passes is a setting.",
)
async def count_votes(
    case_id: FromPath[UUID],
    hearing_id: FromPath[UUID],
    data: JSONBody[CountVotes],
    field_staff: FieldStaff,
    session: Session,
) -> HearingDetail:
    return await hearings.count_votes(session, field_staff, case_id, hearing_id, data, utc_now())


@get(
    "/cases/{case_id:uuid}/hearings/{hearing_id:uuid}/minutes",
    opt=reads("hearing"),
    media_type=PDF,
    responses=LOOKUP_ERRORS | _NOT_NOW | error_responses("print.characters_missing"),
    description="The minutes of a hearing as a PDF. Refused before the count.",
)
async def print_minutes(
    case_id: FromPath[UUID], hearing_id: FromPath[UUID], field_staff: FieldStaff, session: Session
) -> bytes:
    return await minutes.print_minutes(session, field_staff, case_id, hearing_id)


@get(
    "/cases/{case_id:uuid}/notices/{kind:str}",
    opt=reads("case_notice"),
    media_type=PDF,
    responses=LOOKUP_ERRORS | _NOT_NOW | error_responses("print.characters_missing"),
    description="A notice of a case as a PDF. Refused before the case has come to it.",
)
async def print_notice(
    case_id: FromPath[UUID], kind: FromPath[NoticeKind], field_staff: FieldStaff, session: Session
) -> bytes:
    return await notices.print_case_notice(session, field_staff, case_id, kind)


@get(
    "/households/{household_id:uuid}/papers",
    opt=reads("case"),
    responses=LOOKUP_ERRORS,
    description="The papers of a home's open application, for whoever is at the door: what is lacking and what came.",
)
async def list_home_papers(household_id: FromPath[UUID], field_staff: FieldStaff, session: Session) -> HomePapers:
    return await papers.list_home_papers(session, field_staff, household_id)


field_router = Router("/field/v1", route_handlers=[list_home_papers], tags=["field"], security=BEARER)
router = Router(
    "/desk/v1",
    route_handlers=[
        make_application,
        list_cases,
        export_cases,
        list_due_cases,
        export_due_cases,
        open_case,
        print_look_up_slip,
        take_case_step,
        receive_paper,
        link_paper_photo,
        return_paper_photo,
        calculate_amount,
        list_calculations,
        call_hearing,
        list_hearings,
        declare_conflict,
        count_votes,
        print_minutes,
        print_notice,
    ],
    tags=["cases"],
    security=BEARER,
)
