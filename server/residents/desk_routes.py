"""`/desk/v1`: what residents say of the records of their visits."""

from typing import Literal

from litestar import Router, get
from litestar.params import FromQuery

from server.core.http import BEARER, SIGNED, FieldStaff, Session
from server.core.paging import Page
from server.http.exports import export_of
from server.residents import feedback
from server.residents.feedback import HouseholdSaid


@get("/household-words", responses=SIGNED, description="What residents said of the records of their visits.")
async def list_household_words(
    field_staff: FieldStaff,
    session: Session,
    stance: FromQuery[Literal["confirmed", "disputed"] | None] = None,
    cursor: FromQuery[str | None] = None,
    limit: FromQuery[int] = 50,
) -> Page[HouseholdSaid]:
    return await feedback.list_said(session, field_staff, stance=stance, cursor=cursor, limit=limit)


export_household_words = export_of(
    list_household_words,
    "/household-words/export",
    "household-words",
    {
        "申请编号": lambda one: one.application_number,
        "户主": lambda one: one.head_name,
        "行政区划代码": lambda one: one.area_code,
        "走访编号": lambda one: one.visit_id,
        "意见": lambda one: {"confirmed": "属实", "disputed": "有异议"}[one.stance],
        "居民所述": lambda one: one.text,
        "时间": lambda one: one.at,
    },
)


router = Router(
    "/desk/v1", route_handlers=[list_household_words, export_household_words], tags=["cases"], security=BEARER
)
