"""`/desk/v1/household-words`: residents' feedback on the records of their visits."""

from typing import Literal

from litestar import Router, get
from litestar.params import FromQuery

from server.core.http import BEARER, SIGNED_IN_ERRORS, FieldStaff, PageLimit, Session
from server.core.paging import Page
from server.http.exports import build_export_route
from server.http.reads import reads
from server.residents import feedback
from server.residents.feedback import FeedbackLine


@get(
    "/household-words",
    opt=reads("feedback"),
    operation_id="list_household_words",
    responses=SIGNED_IN_ERRORS,
    description="List residents' feedback on the records of their visits.",
)
async def list_visit_feedback(
    field_staff: FieldStaff,
    session: Session,
    stance: FromQuery[Literal["confirmed", "disputed"] | None] = None,
    cursor: FromQuery[str | None] = None,
    limit: PageLimit = 50,
) -> Page[FeedbackLine]:
    return await feedback.list_feedback(session, field_staff, stance=stance, cursor=cursor, limit=limit)


export_visit_feedback = build_export_route(
    list_visit_feedback,
    "household-words",
    {
        "申请编号": lambda line: line.application_number,
        "户主": lambda line: line.head_name,
        "行政区划代码": lambda line: line.area_code,
        "走访编号": lambda line: line.visit_id,
        "意见": lambda line: {"confirmed": "属实", "disputed": "有异议"}[line.stance],
        "居民所述": lambda line: line.text,
        "时间": lambda line: line.at,
    },
)


router = Router(
    "/desk/v1", route_handlers=[list_visit_feedback, export_visit_feedback], tags=["cases"], security=BEARER
)
