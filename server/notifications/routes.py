"""Routes of notices: the same under `/field/v1`, `/desk/v1` and `/resident/v1`, each for the caller's own notices."""

from litestar import Router, get, post
from litestar.params import FromQuery, JSONBody

from server.core.clock import utc_now
from server.core.http import BEARER, SIGNED_IN_ERRORS, CallerDep, Officer, Session
from server.http.exports import build_export_route
from server.http.reads import NOTHING_PERSONAL, reads
from server.notifications import consents, notices
from server.notifications.consents import ConsentCount, ReportConsents
from server.notifications.notices import FailedMessage, NoticePage, ReadNotices, UnreadCount


def _build_router(api: str) -> Router:
    @get(
        "/notices",
        opt=NOTHING_PERSONAL,
        operation_id=f"list_{api}_notices",
        responses=SIGNED_IN_ERRORS,
        description="The caller's own notices, newest first, and how many are unread.",
    )
    async def list_notices(
        caller: CallerDep, session: Session, cursor: FromQuery[str | None] = None, limit: FromQuery[int] = 50
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
_failed_messages_router = Router(
    "/desk/v1", route_handlers=[list_parked_messages, export_parked_messages], tags=["notices"], security=BEARER
)
routers = [*(_build_router(api) for api in ("field", "desk", "resident")), _failed_messages_router]
