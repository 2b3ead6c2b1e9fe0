"""Routes of the personal information law: `/public/v1`, `/resident/v1` and `/desk/v1`."""

from typing import Annotated
from uuid import UUID

from litestar import Response, Router, get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from server.core.access import DIRECTORY_ROLES, require_role
from server.core.clock import today, utc_now
from server.core.http import (
    AREA_PREFIX_PATTERN,
    BEARER,
    LOOKUP_ERRORS,
    SIGNED_IN_ERRORS,
    AreaFilter,
    CallerDep,
    FieldStaff,
    Officer,
    PageLimit,
    ResidentCaller,
    ServicesDep,
    Session,
    error_responses,
)
from server.core.paging import Page
from server.core.pdf import PDF
from server.core.spreadsheets import MEDIA_TYPES
from server.http.exports import build_export_route
from server.http.reads import NOTHING_PERSONAL, reads
from server.privacy import copies, notice, replies, requests, retention
from server.privacy.notice import AgreeToNotice, OwnPrivacy, PrivacyNotice, RecordConsent
from server.privacy.requests import (
    GROUND_TEXTS,
    KIND_TEXTS,
    AnswerRequest,
    CounterRequest,
    NewRequest,
    OwnRequest,
    RequestLine,
    RequestState,
)
from server.privacy.retention import RetentionTableRow

_STATES = {"open": "待答复", "granted": "同意", "partly": "部分同意", "refused": "不予同意"}
_AREA = Annotated[str, QueryParameter(name="area", pattern=AREA_PREFIX_PATTERN, description="Code of the area.")]


@get(
    "/privacy-notice",
    opt=NOTHING_PERSONAL,
    responses=error_responses("request.invalid", "thing.not_found"),
    description="The privacy notice in force in an area, with its version.",
)
async def show_privacy_notice(session: Session, area: _AREA = "") -> PrivacyNotice:
    return await notice.load_notice(session, area, today())


@get(
    "/retention-table",
    operation_id="show_public_retention",
    opt=NOTHING_PERSONAL,
    responses=error_responses("request.invalid"),
    description="What is kept how long in an area.",
)
async def show_public_retention(session: Session, area: _AREA = "") -> list[RetentionTableRow]:
    return await retention.list_retention(session, area, today())


@get(
    "/privacy",
    opt=NOTHING_PERSONAL,
    responses=SIGNED_IN_ERRORS,
    description="The privacy notice for each of the caller's households, and when they agreed to it.",
)
async def show_own_privacy(resident_caller: ResidentCaller, session: Session) -> list[OwnPrivacy]:
    return await notice.list_own_privacy(session, resident_caller, utc_now())


@post(
    "/privacy/agree",
    status_code=200,
    responses=LOOKUP_ERRORS | error_responses("privacy.notice_replaced"),
    description="Agree to the version of the notice that was shown. Repeating it changes nothing.",
)
async def agree_to_notice(
    data: JSONBody[AgreeToNotice], resident_caller: ResidentCaller, session: Session
) -> list[OwnPrivacy]:
    return await notice.agree_to_notice(session, resident_caller, data, utc_now())


@get(
    "/data-requests",
    operation_id="list_own_data_requests",
    opt=reads("data_request"),
    responses=SIGNED_IN_ERRORS,
    description="The caller's requests about their data with the answers, the newest first.",
)
async def list_own_data_requests(resident_caller: ResidentCaller, session: Session) -> list[OwnRequest]:
    return await requests.list_own_requests(session, resident_caller)


@post(
    "/data-requests",
    operation_id="make_own_data_request",
    status_code=200,
    responses=LOOKUP_ERRORS
    | error_responses(
        "request.invalid", "request.idempotency_key_reused", "privacy.member_unclear", "privacy.request_open"
    ),
    description="Ask to see, copy, correct, delete or restrict the caller's data, or to have the rules explained. "
    "Repeating it changes nothing.",
)
async def make_own_data_request(
    data: JSONBody[NewRequest], resident_caller: ResidentCaller, session: Session
) -> list[OwnRequest]:
    return await requests.make_own_request(session, resident_caller, data, utc_now())


@get(
    "/data-requests",
    opt=reads("data_request"),
    responses=SIGNED_IN_ERRORS | error_responses("request.invalid"),
    description="Requests of people about their data, the first due first.",
)
async def list_data_requests(
    officer: Officer,
    session: Session,
    request_state: Annotated[RequestState | None, QueryParameter(name="state")] = None,
    area: AreaFilter = None,
    cursor: FromQuery[str | None] = None,
    limit: PageLimit = 50,
) -> Page[RequestLine]:
    return await requests.list_requests(
        session, officer, state=request_state, area=area, cursor=cursor, limit=limit, now=utc_now()
    )


export_data_requests = build_export_route(
    list_data_requests,
    "data-requests",
    {
        "户编号": lambda line: line.household_number,
        "行政区划代码": lambda line: line.area_code,
        "请求": lambda line: KIND_TEXTS[line.request.kind][0],
        "来源": lambda line: "窗口" if line.at_counter else "微信",
        "收到时间": lambda line: line.request.received_at,
        "答复期限": lambda line: line.request.due_on,
        "状态": lambda line: _STATES[line.request.state],
        "理由": lambda line: GROUND_TEXTS[line.request.ground][0] if line.request.ground else "",
        "答复时间": lambda line: line.request.answered_at,
    },
)


@post(
    "/data-requests",
    status_code=200,
    responses=LOOKUP_ERRORS | error_responses("request.invalid", "request.idempotency_key_reused", "case.own_relative"),
    description="Write down a request made at the counter, by a member whose identity was looked at. Repeating it "
    "changes nothing.",
)
async def enter_data_request(data: JSONBody[CounterRequest], officer: Officer, session: Session) -> OwnRequest:
    return await requests.enter_request(session, officer, data, utc_now())


@post(
    "/data-requests/{request_id:uuid}/answer",
    status_code=200,
    responses=LOOKUP_ERRORS
    | error_responses(
        "request.invalid",
        "privacy.ground_missing",
        "privacy.must_be_kept",
        "privacy.answered",
        "privacy.nothing_to_erase",
        "case.own_relative",
    ),
    description="Answer a request, once. A refusal, in part or whole, has a ground. Deletion is refused while the law "
    "keeps the file; `eraseContact` deletes the telephone number and the bindings in WeChat.",
)
async def answer_data_request(
    request_id: FromPath[UUID], data: JSONBody[AnswerRequest], officer: Officer, session: Session
) -> RequestLine:
    return await requests.answer_request(session, officer, request_id, data, utc_now())


@post(
    "/data-requests/{request_id:uuid}/copy",
    status_code=200,
    media_type=MEDIA_TYPES["xlsx"],
    responses=LOOKUP_ERRORS | error_responses("privacy.no_copy_asked", "case.own_relative"),
    description="A copy of the person's data as a workbook, numbers whole. Each copy is written to the audit trail.",
)
async def copy_person_data(
    request_id: FromPath[UUID], officer: Officer, session: Session, services: ServicesDep
) -> Response[bytes]:
    content = await copies.copy_person(session, services.encryption, officer, request_id)
    return Response(content, media_type=MEDIA_TYPES["xlsx"], headers={"Cache-Control": "no-store"})


@post(
    "/data-requests/{request_id:uuid}/reply",
    status_code=200,
    media_type=PDF,
    responses=LOOKUP_ERRORS | error_responses("privacy.not_answered", "print.characters_missing", "case.own_relative"),
    description="The written answer to hand over, a PDF: what was done, or the ground of a refusal and where to go.",
)
async def print_data_reply(request_id: FromPath[UUID], officer: Officer, session: Session) -> Response[bytes]:
    content = await replies.print_reply(session, officer, request_id)
    return Response(content, media_type=PDF, headers={"Cache-Control": "no-store"})


@post(
    "/households/{household_id:uuid}/consents",
    status_code=204,
    responses=LOOKUP_ERRORS | error_responses("request.invalid", "privacy.notice_replaced"),
    description="Record that a member has agreed to the privacy notice on paper. Repeating it changes nothing.",
)
async def record_privacy_consent(
    household_id: FromPath[UUID], data: JSONBody[RecordConsent], field_staff: FieldStaff, session: Session
) -> None:
    await notice.record_consent(session, field_staff, household_id, data, utc_now())


@get(
    "/retention-table",
    opt=NOTHING_PERSONAL,
    responses=SIGNED_IN_ERRORS | error_responses("request.invalid"),
    description="What is kept how long in an area, with its source.",
)
async def show_retention_table(caller: CallerDep, session: Session, area: _AREA = "") -> list[RetentionTableRow]:
    require_role(caller, DIRECTORY_ROLES)
    return await retention.list_retention(session, area, today())


export_retention_table = build_export_route(
    show_retention_table,
    "retention-table",
    {
        "内容": lambda line: line.what_zh,
        "保存期限": lambda line: line.zh,
        "依据": lambda line: line.source,
    },
)

public_router = Router("/public/v1", route_handlers=[show_privacy_notice, show_public_retention], tags=["public"])
resident_router = Router(
    "/resident/v1",
    route_handlers=[show_own_privacy, agree_to_notice, list_own_data_requests, make_own_data_request],
    tags=["resident"],
    security=BEARER,
)
desk_router = Router(
    "/desk/v1",
    route_handlers=[
        list_data_requests,
        export_data_requests,
        enter_data_request,
        answer_data_request,
        copy_person_data,
        print_data_reply,
        record_privacy_consent,
        show_retention_table,
        export_retention_table,
    ],
    tags=["desk"],
    security=BEARER,
)
