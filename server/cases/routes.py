"""`/desk/v1`: applications, cases, households. `/resident/v1`: a resident's own case."""

from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from litestar import Request, Response, Router, get, post, put
from litestar.datastructures import UploadFile
from litestar.params import FromPath, FromQuery, HeaderParameter, JSONBody, MultipartBody, QueryParameter
from msgspec import Meta

import server.cases.arrivals  # noqa: F401  registers its jobs
from server.cases import (
    acts,
    applications,
    calculations,
    crosschecks,
    hearings,
    household_word,
    households,
    look_up,
    notices,
    page,
    paper_photos,
    papers,
    resident,
)
from server.cases.acts import TakeStep
from server.cases.applications import Apply
from server.cases.calculations import Calculate, CalculationLine
from server.cases.crosschecks import BatchCheck, BatchPage, CheckLine, MakeBatch, ObjectToCheck
from server.cases.exports import CASE_COLUMNS
from server.cases.hearings import CallHearing, CountVotes, DeclareConflict, HearingPage
from server.cases.household_word import Change, RecordedVisit, Word
from server.cases.households import ChangeHousehold, HouseholdPage, Reveal, Revealed, VersionLine
from server.cases.look_up import LookUp, PublicCase
from server.cases.notices import NoticeKind
from server.cases.page import CaseLine, CasePage
from server.cases.paper_photos import AnnouncePhoto, PaperPhotoLink, Rendition, ReturnPhoto
from server.cases.papers import PaperLine
from server.cases.resident import CaseStatus, OwnCase, Withdraw
from server.core.access import found, readable
from server.core.errors import Fault, Problem
from server.core.paging import Page
from server.core.printing import PDF
from server.core.sheets import MEDIA_TYPES, Form
from server.core.tokens import utc_now
from server.core.wire import BEARER, AreaFilter, Held, ResidentCaller, Session, Wire, Worker, address_of, problems
from server.models.cases import CaseFile
from server.models.exports import export_of

_SIGNED = problems("auth.required", "auth.token_invalid", "auth.token_expired", "auth.device_ended", "auth.forbidden")
_FOUND = _SIGNED | problems("thing.not_found", "auth.forbidden")
_NOT_NOW = problems("case.not_now")
_HOUSEHOLD = ("household.member_bound", "household.member_known")
_STEPS = (
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
    "case.extended_already",
    "request.idempotency_key_reused",
)
Key = Annotated[str | None, HeaderParameter(name="Idempotency-Key", max_length=200)]
Match = Annotated[str, HeaderParameter(name="If-Match", max_length=50)]


class ReceivePaper(Wire):
    code: Annotated[str, Meta(min_length=1, max_length=60)]
    received_on: date


@post("/applications", responses=_FOUND | problems("case.open_already", "case.granted_already", *_HOUSEHOLD))
async def make_application(data: JSONBody[Apply], worker: Worker, session: Session, services: Held) -> CasePage:
    now = utc_now()
    case = await applications.apply(session, services.vault, worker, data, now)
    return await page.open_case(session, worker, case.id, now)


@get("/cases", responses=_SIGNED)
async def list_cases(
    worker: Worker,
    session: Session,
    case_state: Annotated[str | None, QueryParameter(name="state")] = None,
    area: AreaFilter = None,
    cursor: FromQuery[str | None] = None,
    limit: FromQuery[int] = 50,
) -> Page[CaseLine]:
    return await page.list_cases(
        session, worker, state=case_state, area=area, cursor=cursor, limit=limit, now=utc_now()
    )


@get("/cases/due", responses=_SIGNED)
async def list_due_cases(
    worker: Worker,
    session: Session,
    urgency: FromQuery[Literal["overdue", "due", "soon"] | None] = None,
    area: AreaFilter = None,
    cursor: FromQuery[str | None] = None,
    limit: FromQuery[int] = 50,
) -> Page[CaseLine]:
    return await page.list_due(session, worker, urgency=urgency, area=area, cursor=cursor, limit=limit, now=utc_now())


export_cases = export_of(list_cases, "/case-exports/cases", "cases", CASE_COLUMNS, form="xlsx")
export_due_cases = export_of(list_due_cases, "/case-exports/due", "cases-due", CASE_COLUMNS, form="xlsx")


@get("/cases/{case_id:uuid}", responses=_FOUND)
async def open_case(case_id: FromPath[UUID], worker: Worker, session: Session) -> CasePage:
    return await page.open_case(session, worker, case_id, utc_now())


@post("/cases/{case_id:uuid}/steps", status_code=200, responses=_FOUND | problems(*_STEPS))
async def take_case_step(
    case_id: FromPath[UUID],
    data: JSONBody[TakeStep],
    worker: Worker,
    session: Session,
    if_match: Match,
    idempotency_key: Key = None,
) -> CasePage:
    now = utc_now()
    await acts.take_step(
        session, worker, case_id, data, version=_version(if_match), idempotency_key=idempotency_key, now=now
    )
    return await page.open_case(session, worker, case_id, now)


def _version(if_match: str) -> int:
    try:
        return int(if_match.strip('"'))
    except ValueError:
        raise Problem("request.invalid", faults=[Fault("/If-Match", "header.invalid", if_match[:20])]) from None


@post(
    "/cases/{case_id:uuid}/papers",
    status_code=200,
    responses=_FOUND | problems("case.closed", "case.paper_unknown"),
)
async def receive_paper(
    case_id: FromPath[UUID], data: JSONBody[ReceivePaper], worker: Worker, session: Session
) -> list[PaperLine]:
    return await papers.receive_paper(session, worker, case_id, data.code, data.received_on)


@get(
    "/cases/{case_id:uuid}/paper-photos/{photo_id:uuid}/link",
    responses=_FOUND | problems("photo.not_ready", "photo.erased"),
    description="A link of minutes to a photo of a paper; the look is logged.",
)
async def link_paper_photo(
    case_id: FromPath[UUID],
    photo_id: FromPath[UUID],
    worker: Worker,
    session: Session,
    services: Held,
    rendition: FromQuery[Rendition] = "1280",
) -> PaperPhotoLink:
    return await paper_photos.link_photo(session, services, worker, case_id, photo_id, rendition, utc_now())


@post(
    "/cases/{case_id:uuid}/paper-photos/{photo_id:uuid}/return",
    status_code=200,
    responses=_FOUND | problems("case.closed"),
    description="The photo can't be used: the resident reads why.",
)
async def return_paper_photo(
    case_id: FromPath[UUID], photo_id: FromPath[UUID], data: JSONBody[ReturnPhoto], worker: Worker, session: Session
) -> list[PaperLine]:
    return await paper_photos.return_photo(session, worker, case_id, photo_id, data, utc_now())


@post(
    "/cases/{case_id:uuid}/calculations",
    responses=_FOUND | problems("case.own_relative", "case.closed", "case.standard_missing"),
)
async def calculate_amount(
    case_id: FromPath[UUID], data: JSONBody[Calculate], worker: Worker, session: Session
) -> CalculationLine:
    return await calculations.calculate(session, worker, case_id, data, utc_now())


@get("/cases/{case_id:uuid}/calculations", responses=_FOUND)
async def list_calculations(case_id: FromPath[UUID], worker: Worker, session: Session) -> list[CalculationLine]:
    case = found(await session.scalar(readable(CaseFile, worker).where(CaseFile.id == case_id)))
    return await calculations.list_calculations(session, case)


@post(
    "/cases/{case_id:uuid}/hearings",
    responses=_FOUND | problems("case.own_relative", "case.not_now", "hearing.panel_short"),
)
async def call_hearing(
    case_id: FromPath[UUID], data: JSONBody[CallHearing], worker: Worker, session: Session
) -> HearingPage:
    return await hearings.call_hearing(session, worker, case_id, data)


@get("/cases/{case_id:uuid}/hearings", responses=_FOUND)
async def list_hearings(case_id: FromPath[UUID], worker: Worker, session: Session) -> list[HearingPage]:
    return await hearings.list_hearings(session, worker, case_id)


@post(
    "/cases/{case_id:uuid}/hearings/{hearing_id:uuid}/conflict",
    status_code=200,
    responses=_FOUND | problems("case.own_relative", "hearing.counted"),
)
async def declare_conflict(
    case_id: FromPath[UUID],
    hearing_id: FromPath[UUID],
    data: JSONBody[DeclareConflict],
    worker: Worker,
    session: Session,
) -> HearingPage:
    return await hearings.declare_conflict(session, worker, case_id, hearing_id, data)


@post(
    "/cases/{case_id:uuid}/hearings/{hearing_id:uuid}/count",
    status_code=200,
    responses=_FOUND
    | _NOT_NOW
    | problems("case.own_relative", "hearing.counted", "hearing.no_quorum", "hearing.count_differs"),
)
async def count_votes(
    case_id: FromPath[UUID], hearing_id: FromPath[UUID], data: JSONBody[CountVotes], worker: Worker, session: Session
) -> HearingPage:
    return await hearings.count_votes(session, worker, case_id, hearing_id, data, utc_now())


@get("/cases/{case_id:uuid}/hearings/{hearing_id:uuid}/minutes", media_type=PDF, responses=_FOUND | _NOT_NOW)
async def print_minutes(case_id: FromPath[UUID], hearing_id: FromPath[UUID], worker: Worker, session: Session) -> bytes:
    return await notices.print_minutes(session, worker, case_id, hearing_id)


@get("/cases/{case_id:uuid}/notices/{kind:str}", media_type=PDF, responses=_FOUND | _NOT_NOW)
async def print_notice(case_id: FromPath[UUID], kind: FromPath[NoticeKind], worker: Worker, session: Session) -> bytes:
    return await notices.print_case_notice(session, worker, case_id, kind)


@dataclass
class AnswerForm:
    """`mapping` is JSON: our heading to theirs, where they differ."""

    file: UploadFile
    mapping: str = "{}"


@post("/cross-checks", responses=_FOUND | problems("case.nothing_to_check"))
async def make_cross_check(data: JSONBody[MakeBatch], worker: Worker, session: Session) -> BatchPage:
    return await crosschecks.make_batch(session, worker, data, utc_now())


@get("/cross-checks", responses=_SIGNED)
async def list_cross_check_batches(
    worker: Worker,
    session: Session,
    area: FromQuery[str | None] = None,
    cursor: FromQuery[str | None] = None,
    limit: FromQuery[int] = 50,
) -> Page[BatchPage]:
    return await crosschecks.list_batches(session, worker, area=area, cursor=cursor, limit=limit)


export_cross_check_batches = export_of(
    list_cross_check_batches,
    "/cross-checks/export",
    "cross-checks",
    {
        "单位": lambda one: one.source_zh,
        "所在地": lambda one: one.area_name,
        "行政区划代码": lambda one: one.area_code,
        "送出时间": lambda one: one.made_at,
        "人数": lambda one: one.people,
        "答复时间": lambda one: one.answered_at,
        "未答复人数": lambda one: one.unanswered,
        "名单外人数": lambda one: one.strangers,
        "有出入人数": lambda one: one.differing,
    },
)


@get("/cross-checks/{batch_id:uuid}/lines", responses=_FOUND)
async def list_cross_check_batch(batch_id: FromPath[UUID], worker: Worker, session: Session) -> list[BatchCheck]:
    """Everybody asked about, who differs first."""
    return await crosschecks.list_batch(session, worker, batch_id)


@get("/cross-checks/{batch_id:uuid}/file", media_type=MEDIA_TYPES["xlsx"], responses=_FOUND)
async def export_cross_check(
    batch_id: FromPath[UUID],
    worker: Worker,
    session: Session,
    services: Held,
    form: FromQuery[Form] = "xlsx",
) -> Response[bytes]:
    content = await crosschecks.export_batch(session, services.vault, worker, batch_id, form)
    headers = {"Content-Disposition": f'attachment; filename="{batch_id}.{form}"', "Cache-Control": "no-store"}
    return Response(content, media_type=MEDIA_TYPES[form], headers=headers)


@post(
    "/cross-checks/{batch_id:uuid}/answers",
    status_code=200,
    responses=_FOUND | problems("case.check_answered", "case.check_unreadable"),
)
async def import_cross_check(
    batch_id: FromPath[UUID], data: MultipartBody[AnswerForm], worker: Worker, session: Session, services: Held
) -> BatchPage:
    try:
        mapping = msgspec.json.decode(data.mapping, type=dict[str, str])
    except msgspec.MsgspecError as error:
        raise Problem("request.invalid", faults=[Fault("/mapping", "field.invalid", str(error))]) from None
    content = await data.file.read()
    return await crosschecks.import_answers(session, services.vault, worker, batch_id, content, mapping, utc_now())


@get("/cases/{case_id:uuid}/cross-checks", responses=_FOUND)
async def list_cross_checks(case_id: FromPath[UUID], worker: Worker, session: Session) -> list[CheckLine]:
    return await crosschecks.list_checks(session, worker, case_id)


@post("/cross-checks/lines/{check_id:uuid}/objection", status_code=200, responses=_FOUND)
async def object_to_cross_check(
    check_id: FromPath[UUID], data: JSONBody[ObjectToCheck], worker: Worker, session: Session
) -> CheckLine:
    return await crosschecks.object_to_check(session, worker, check_id, data, utc_now())


@get("/households/{household_id:uuid}", responses=_FOUND)
async def open_household(household_id: FromPath[UUID], worker: Worker, session: Session) -> HouseholdPage:
    return await households.open_household(session, worker, household_id)


@put("/households/{household_id:uuid}", responses=_FOUND | problems("household.changed", *_HOUSEHOLD))
async def change_household(
    household_id: FromPath[UUID],
    data: JSONBody[ChangeHousehold],
    worker: Worker,
    session: Session,
    services: Held,
    if_match: Match,
) -> HouseholdPage:
    return await households.change_household(
        session, services.vault, worker, household_id, data, version=_version(if_match), now=utc_now()
    )


@get("/households/{household_id:uuid}/versions", responses=_FOUND)
async def list_household_versions(household_id: FromPath[UUID], worker: Worker, session: Session) -> list[VersionLine]:
    return await households.list_versions(session, worker, household_id)


@post("/households/{household_id:uuid}/reveal", status_code=200, responses=_FOUND)
async def reveal_number(
    household_id: FromPath[UUID], data: JSONBody[Reveal], worker: Worker, session: Session, services: Held
) -> Revealed:
    return await households.reveal(session, services.vault, worker, household_id, data)


@get("/cases", responses=_SIGNED)
async def list_own_cases(resident_caller: ResidentCaller, session: Session) -> list[CaseStatus]:
    return await resident.list_own_cases(session, resident_caller, utc_now())


@get("/cases/{case_id:uuid}", responses=_FOUND)
async def open_own_case(case_id: FromPath[UUID], resident_caller: ResidentCaller, session: Session) -> OwnCase:
    return await resident.open_own_case(session, resident_caller, case_id, utc_now())


@post(
    "/cases/{case_id:uuid}/withdraw",
    status_code=200,
    responses=_FOUND | problems("case.not_now", "case.closed", "case.changed", "request.idempotency_key_reused"),
)
async def withdraw_own_case(
    case_id: FromPath[UUID],
    data: JSONBody[Withdraw],
    resident_caller: ResidentCaller,
    session: Session,
    idempotency_key: Key = None,
) -> OwnCase:
    return await resident.withdraw(session, resident_caller, case_id, data, key=idempotency_key, now=utc_now())


@post(
    "/cases/{case_id:uuid}/papers/{code:str}/photos",
    responses=_FOUND
    | problems(
        "case.closed",
        "case.paper_unknown",
        "case.paper_photos_full",
        "photo.too_many_bytes",
        "request.idempotency_key_reused",
    ),
    description="Announce a photo of a paper. Its bytes follow by `/uploads` (tus), `/field/v1/photos` (a form) "
    "or a link from `/field/v1/photos/{id}/put-link`, with `id` as `evidenceId`.",
)
async def announce_paper_photo(
    case_id: FromPath[UUID],
    code: FromPath[str],
    data: JSONBody[AnnouncePhoto],
    resident_caller: ResidentCaller,
    session: Session,
    services: Held,
) -> list[PaperLine]:
    return await paper_photos.announce_photo(session, services, resident_caller, case_id, code, data, utc_now())


@get(
    "/cases/{case_id:uuid}/paper-photos/{photo_id:uuid}/link",
    responses=_FOUND | problems("photo.not_ready", "photo.erased"),
)
async def link_own_paper_photo(
    case_id: FromPath[UUID],
    photo_id: FromPath[UUID],
    resident_caller: ResidentCaller,
    session: Session,
    services: Held,
    rendition: FromQuery[Rendition] = "1280",
) -> PaperPhotoLink:
    return await paper_photos.link_photo(session, services, resident_caller, case_id, photo_id, rendition, utc_now())


@get("/cases/{case_id:uuid}/visits", responses=_FOUND)
async def list_recorded_visits(
    case_id: FromPath[UUID], resident_caller: ResidentCaller, session: Session
) -> list[RecordedVisit]:
    return await household_word.list_recorded(session, resident_caller, case_id)


@post(
    "/cases/{case_id:uuid}/visits/{visit_id:uuid}/word",
    status_code=200,
    responses=_FOUND | problems("case.reason_required", "case.closed"),
)
async def give_word(
    case_id: FromPath[UUID],
    visit_id: FromPath[UUID],
    data: JSONBody[Word],
    resident_caller: ResidentCaller,
    session: Session,
) -> list[RecordedVisit]:
    return await household_word.give_word(session, resident_caller, case_id, visit_id, data, utc_now())


@post("/cases/{case_id:uuid}/changes", status_code=204, responses=_FOUND | problems("case.closed"))
async def report_change(
    case_id: FromPath[UUID], data: JSONBody[Change], resident_caller: ResidentCaller, session: Session
) -> None:
    await household_word.report_change(session, resident_caller, case_id, data, utc_now())


@get("/cases/{case_id:uuid}/notices/{kind:str}", media_type=PDF, responses=_FOUND | _NOT_NOW)
async def print_own_notice(
    case_id: FromPath[UUID], kind: FromPath[NoticeKind], resident_caller: ResidentCaller, session: Session
) -> bytes:
    return await notices.print_case_notice(session, resident_caller, case_id, kind)


@post("/cases/look-up", status_code=200, responses=problems("case.lookup_failed", "request.rate_limited"))
async def look_up_case(data: JSONBody[LookUp], request: Request[Any, Any, Any], services: Held) -> PublicCase:
    return await look_up.look_up(services, data, address=address_of(request), now=utc_now())


desk_router = Router(
    "/desk/v1",
    route_handlers=[
        make_application,
        list_cases,
        export_cases,
        list_due_cases,
        export_due_cases,
        open_case,
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
        make_cross_check,
        list_cross_check_batches,
        export_cross_check_batches,
        list_cross_check_batch,
        export_cross_check,
        import_cross_check,
        list_cross_checks,
        object_to_cross_check,
        open_household,
        change_household,
        list_household_versions,
        reveal_number,
    ],
    tags=["cases"],
    security=BEARER,
)
router = Router(
    "/resident/v1",
    route_handlers=[
        list_own_cases,
        open_own_case,
        withdraw_own_case,
        announce_paper_photo,
        link_own_paper_photo,
        print_own_notice,
        list_recorded_visits,
        give_word,
        report_change,
    ],
    tags=["resident"],
    security=BEARER,
)
public_router = Router("/public/v1", route_handlers=[look_up_case], tags=["public"])
