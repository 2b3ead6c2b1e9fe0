"""`notices` under `/field/v1`, `/desk/v1` and `/resident/v1`: the same for everyone, and only one's own."""

from litestar import Router, get, post
from litestar.params import FromQuery, JSONBody

from server.core.http import BEARER, SIGNED, CallerDep, Officer, Session
from server.core.tokens import utc_now
from server.http.exports import export_of
from server.notifications import consents, notices
from server.notifications.consents import Consents, ReportConsents
from server.notifications.notices import NoticePage, ParkedMessage, ReadNotices, Unread


def _router(place: str) -> Router:
    @get("/notices", operation_id=f"list_{place}_notices", responses=SIGNED)
    async def list_notices(
        caller: CallerDep, session: Session, cursor: FromQuery[str | None] = None, limit: FromQuery[int] = 50
    ) -> NoticePage:
        return await notices.list_notices(session, caller, cursor=cursor, limit=limit)

    @post("/notices/read", operation_id=f"read_{place}_notices", status_code=200, responses=SIGNED)
    async def read_notices(data: JSONBody[ReadNotices], caller: CallerDep, session: Session) -> Unread:
        return await notices.read_notices(session, caller, data, utc_now())

    @get("/notices/consents", operation_id=f"list_{place}_consents", responses=SIGNED)
    async def list_consents(caller: CallerDep, session: Session) -> list[Consents]:
        return await consents.list_consents(session, caller)

    @post(
        "/notices/consents",
        operation_id=f"report_{place}_consents",
        status_code=200,
        responses=SIGNED,
        description="What `wx.requestSubscribeMessage` answered, by template: each `accept` is good for one message.",
    )
    async def report_consents(data: JSONBody[ReportConsents], caller: CallerDep, session: Session) -> list[Consents]:
        return await consents.report_consents(session, caller, data)

    handlers = [list_notices, read_notices, list_consents, report_consents]
    return Router(f"/{place}/v1", route_handlers=handlers, tags=["notices"], security=BEARER)


@get(
    "/messages/parked",
    responses=SIGNED,
    description="WeChat messages of the caller's areas that were not taken, with WeChat's code.",
)
async def list_parked_messages(officer: Officer, session: Session) -> list[ParkedMessage]:
    return await notices.list_parked(session, officer)


export_parked_messages = export_of(
    list_parked_messages,
    "/messages/parked/export",
    "parked-messages",
    {
        "消息编号": lambda one: one.notice_id,
        "类别": lambda one: one.kind,
        "行政区划代码": lambda one: one.area_code,
        "状态": lambda one: one.message,
        "微信代码": lambda one: one.why,
        "次数": lambda one: one.tries,
        "时间": lambda one: one.made_at,
    },
)
_parked = Router(
    "/desk/v1", route_handlers=[list_parked_messages, export_parked_messages], tags=["notices"], security=BEARER
)
routers = [*(_router(place) for place in ("field", "desk", "resident")), _parked]
