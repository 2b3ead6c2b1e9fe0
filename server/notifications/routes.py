"""Routes of notices: the same under `/field/v1`, `/desk/v1` and `/resident/v1`, each for the caller's own notices.

Besides, what residents get by WeChat, and for officers what became of what was told.
"""

from datetime import date, timedelta
from typing import Annotated
from uuid import UUID

from litestar import Router, get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from server.core.clock import utc_now
from server.core.http import (
    BEARER,
    LOOKUP_ERRORS,
    SIGNED_IN_ERRORS,
    AreaFilter,
    CallerDep,
    Officer,
    PageLimit,
    ResidentCaller,
    ServicesDep,
    Session,
    error_responses,
)
from server.core.paging import Page
from server.core.working_days import day_of
from server.http.exports import build_export_route
from server.http.reads import NOTHING_PERSONAL, reads
from server.notifications import consents, deliveries, notices, previews
from server.notifications.consents import ConsentCount, OwnMessages, ReportConsents, StopMessages
from server.notifications.deliveries import AnnouncementDetail, AnnouncementLine, Outcome, OutcomeCounts
from server.notifications.notices import FailedMessage, NoticePage, ReadNotices, UnreadCount
from server.notifications.previews import MessagePreview, PreviewMessage, SendTestMessage, TestMessageResult
from server.policy.schemas import NoticeKind


def _build_router(api: str) -> Router:
    @get(
        "/notices",
        opt=NOTHING_PERSONAL,
        operation_id=f"list_{api}_notices",
        responses=SIGNED_IN_ERRORS,
        description="The caller's own notices, newest first, and how many are unread.",
    )
    async def list_notices(
        caller: CallerDep, session: Session, cursor: FromQuery[str | None] = None, limit: PageLimit = 50
    ) -> NoticePage:
        return await notices.list_notices(session, caller, cursor=cursor, limit=limit)

    @post(
        "/notices/read",
        operation_id=f"read_{api}_notices",
        status_code=200,
        responses=SIGNED_IN_ERRORS,
        description="Mark the caller's own notices read. Those read before stay as they are.",
    )
    async def read_notices(data: JSONBody[ReadNotices], caller: CallerDep, session: Session) -> UnreadCount:
        return await notices.mark_notices_read(session, caller, data, utc_now())

    @get(
        "/notices/consents",
        opt=NOTHING_PERSONAL,
        operation_id=f"list_{api}_consents",
        responses=SIGNED_IN_ERRORS,
        description="The kinds of WeChat message that the caller's area sends, and how many consents each has left.",
    )
    async def list_consents(caller: CallerDep, session: Session) -> list[ConsentCount]:
        return await consents.list_consents(session, caller)

    @post(
        "/notices/consents",
        operation_id=f"report_{api}_consents",
        status_code=200,
        responses=SIGNED_IN_ERRORS,
        description="The results of `wx.requestSubscribeMessage` by template. Each `accept` allows one message.",
    )
    async def report_consents(
        data: JSONBody[ReportConsents], caller: CallerDep, session: Session
    ) -> list[ConsentCount]:
        return await consents.report_consents(session, caller, data)

    handlers = [list_notices, read_notices, list_consents, report_consents]
    return Router(f"/{api}/v1", route_handlers=handlers, tags=["notices"], security=BEARER)


@get(
    "/messages/parked",
    opt=reads("message"),
    responses=SIGNED_IN_ERRORS,
    description="WeChat messages of the caller's areas that failed or are unsure, with WeChat's code.",
)
async def list_parked_messages(officer: Officer, session: Session) -> list[FailedMessage]:
    return await notices.list_failed_messages(session, officer)


export_parked_messages = build_export_route(
    list_parked_messages,
    "parked-messages",
    {
        "消息编号": lambda message: message.notice_id,
        "类别": lambda message: message.kind,
        "行政区划代码": lambda message: message.area_code,
        "状态": lambda message: message.message,
        "微信代码": lambda message: message.why,
        "次数": lambda message: message.tries,
        "时间": lambda message: message.made_at,
    },
)
OutcomeFilter = Annotated[Outcome | None, QueryParameter(description="What came of it.")]
KindFilter = Annotated[NoticeKind | None, QueryParameter(name="kind", description="A kind of notice.")]


@get(
    "/announcements",
    opt=reads("message"),
    responses=SIGNED_IN_ERRORS,
    description="What households of the caller's areas were told, the newest first: how many read it or got a message, "
    "and why nothing could reach the others.",
)
async def list_announcements(
    officer: Officer,
    session: Session,
    kind: KindFilter = None,
    outcome: OutcomeFilter = None,
    area: AreaFilter = None,
    cursor: FromQuery[str | None] = None,
    limit: PageLimit = 50,
) -> Page[AnnouncementLine]:
    return await deliveries.list_announcements(
        session, officer, kind=kind, outcome=outcome, area=area, cursor=cursor, limit=limit
    )


export_announcements = build_export_route(
    list_announcements,
    "announcements",
    {
        "事项": lambda line: line.zh,
        "家庭编号": lambda line: line.household_number,
        "行政区划代码": lambda line: line.area_code,
        "地区": lambda line: line.area_name,
        "时间": lambda line: line.made_at,
        "收件人": lambda line: line.readers,
        "已送达": lambda line: line.reached,
        "短信": lambda line: line.text_state,
        "结果": lambda line: line.outcome,
        "原因": lambda line: line.why,
    },
)


@get(
    "/announcements/counts",
    opt=NOTHING_PERSONAL,
    responses=SIGNED_IN_ERRORS,
    description="What was told in a time, by kind and by what came of it. Without days: the last thirty.",
)
async def count_outcomes(
    officer: Officer,
    session: Session,
    area: AreaFilter = None,
    since: FromQuery[date | None] = None,
    until: FromQuery[date | None] = None,
) -> OutcomeCounts:
    end = until or day_of(utc_now()) + timedelta(days=1)
    begin = since or end - timedelta(days=30)
    return await deliveries.count_outcomes(session, officer, area=area, since=begin, until=end)


@get(
    "/announcements/{announcement_id:uuid}",
    opt=reads("message"),
    responses=LOOKUP_ERRORS | error_responses("case.own_relative"),
    description="One of them: each reader, by which way and when it was sent, WeChat's receipts and refusals.",
)
async def get_announcement(announcement_id: FromPath[UUID], officer: Officer, session: Session) -> AnnouncementDetail:
    return await deliveries.load_announcement(session, officer, announcement_id)


@post(
    "/messages/preview",
    status_code=200,
    responses=SIGNED_IN_ERRORS,
    description="How the messages of a kind look in an area, with invented facts, and what WeChat would refuse.",
)
async def preview_message(
    data: JSONBody[PreviewMessage], caller: CallerDep, session: Session, services: ServicesDep
) -> MessagePreview:
    return await previews.preview_message(session, services, caller, data, utc_now())


@post(
    "/messages/test",
    status_code=200,
    responses=SIGNED_IN_ERRORS
    | error_responses("message.no_template", "auth.wechat_not_linked", "request.rate_limited"),
    description="Send a message with invented facts to the caller's own WeChat. Answers what WeChat said.",
)
async def send_test_message(
    data: JSONBody[SendTestMessage], caller: CallerDep, session: Session, services: ServicesDep
) -> TestMessageResult:
    return await previews.send_test(session, services, caller, data, utc_now())


@get(
    "/messages",
    opt=NOTHING_PERSONAL,
    responses=SIGNED_IN_ERRORS,
    description="What the resident is told by WeChat, by which ways, and which kinds they have ended.",
)
async def list_own_messages(resident_caller: ResidentCaller, session: Session) -> list[OwnMessages]:
    return await consents.list_own_messages(session, resident_caller)


@post(
    "/messages/stop",
    status_code=200,
    responses=SIGNED_IN_ERRORS,
    description="End a kind of WeChat message, or have it again. The notice in the app stays.",
)
async def stop_messages(
    data: JSONBody[StopMessages], resident_caller: ResidentCaller, session: Session
) -> list[OwnMessages]:
    return await consents.stop_messages(session, resident_caller, data, utc_now())


_desk_router = Router(
    "/desk/v1",
    route_handlers=[
        list_parked_messages,
        export_parked_messages,
        list_announcements,
        export_announcements,
        count_outcomes,
        get_announcement,
        preview_message,
        send_test_message,
    ],
    tags=["notices"],
    security=BEARER,
)
_resident_router = Router(
    "/resident/v1", route_handlers=[list_own_messages, stop_messages], tags=["notices"], security=BEARER
)
routers = [*(_build_router(api) for api in ("field", "desk", "resident")), _desk_router, _resident_router]
