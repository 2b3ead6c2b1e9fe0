"""`/desk/v1/benefit-changes`: the benefit ledger, its totals and exports."""

from datetime import date

from litestar import Router, get, post
from litestar.params import FromQuery, JSONBody

from server.benefits import differing_amounts, ledger, stop_grounds
from server.benefits.columns import BENEFIT_COLUMNS, DIFFERING_COLUMNS
from server.benefits.differing_amounts import DifferingAmount
from server.benefits.ledger import BenefitLine, CompareAnnounced, Kind, Mismatch, Totals
from server.benefits.stop_grounds import StopGroundLine
from server.core.clock import today, utc_now
from server.core.http import (
    BEARER,
    SIGNED_IN_ERRORS,
    AreaFilter,
    Officer,
    PageLimit,
    Session,
)
from server.core.paging import Page
from server.http.exports import FormerAddress, build_export_route
from server.http.reads import NOTHING_PERSONAL, reads


@get(
    "/benefit-changes",
    opt=reads("benefit_change"),
    responses=SIGNED_IN_ERRORS,
    description="What was granted, raised, cut and stopped. `kind=stopped` gives the register of stops, "
    "`ground` those on a ground and its kinds.",
)
async def list_benefit_changes(
    officer: Officer,
    session: Session,
    kind: FromQuery[Kind | None] = None,
    ground: FromQuery[str | None] = None,
    area: AreaFilter = None,
    since: FromQuery[date | None] = None,
    until: FromQuery[date | None] = None,
    cursor: FromQuery[str | None] = None,
    limit: PageLimit = 50,
) -> Page[BenefitLine]:
    return await ledger.list_benefit_changes(
        session, officer, kind=kind, ground=ground, area=area, since=since, until=until, cursor=cursor, limit=limit
    )


@get(
    "/stop-grounds",
    opt=NOTHING_PERSONAL,
    responses=SIGNED_IN_ERRORS,
    description="The grounds on which a payment is stopped in an area, as its settings have them today.",
)
async def list_stop_grounds(officer: Officer, session: Session, area: AreaFilter = None) -> list[StopGroundLine]:
    own = min((grant.area_code for grant in officer.grants), key=len, default="")
    return await stop_grounds.list_stop_grounds(session, area or own, today())


@get(
    "/differing-amounts",
    opt=reads("calculation"),
    responses=SIGNED_IN_ERRORS,
    description="Granted cases whose amount would be another if it was calculated by the rules and the register of "
    "this month. Nothing moves by itself. A page may be empty and still have a next one.",
)
async def list_differing_amounts(
    officer: Officer,
    session: Session,
    area: AreaFilter = None,
    cursor: FromQuery[str | None] = None,
    limit: PageLimit = 50,
) -> Page[DifferingAmount]:
    return await differing_amounts.list_differing_amounts(
        session, officer, area=area, cursor=cursor, limit=limit, now=utc_now()
    )


export_differing_amounts = build_export_route(
    list_differing_amounts, "differing-amounts", DIFFERING_COLUMNS, form="xlsx"
)


@get(
    "/benefit-changes/totals",
    opt=NOTHING_PERSONAL,
    operation_id="sum_up_benefit_changes",
    responses=SIGNED_IN_ERRORS,
    description="The totals of a period, by kind and net.",
)
async def total_benefit_changes(
    officer: Officer, session: Session, since: FromQuery[date], until: FromQuery[date], area: AreaFilter = None
) -> Totals:
    return await ledger.sum_changes(session, officer, area=area, since=since, until=until)


@post(
    "/benefit-changes/comparison",
    opt=reads("benefit_change"),
    status_code=200,
    responses=SIGNED_IN_ERRORS,
    description="List where announced numbers differ from the ledger; nothing is corrected.",
)
async def compare_announced(data: JSONBody[CompareAnnounced], officer: Officer, session: Session) -> list[Mismatch]:
    return await ledger.compare_announced(session, officer, data)


export_benefit_changes = build_export_route(
    list_benefit_changes,
    "benefit-changes",
    BENEFIT_COLUMNS,
    form="xlsx",
    aliases=[
        FormerAddress("/case-exports/benefit-changes", "benefit-changes"),
        FormerAddress("/case-exports/stops", "stops", {"kind": "stopped"}),
    ],
)


router = Router(
    "/desk/v1",
    route_handlers=[
        list_benefit_changes,
        list_stop_grounds,
        total_benefit_changes,
        compare_announced,
        export_benefit_changes,
        list_differing_amounts,
        export_differing_amounts,
    ],
    tags=["cases"],
    security=BEARER,
)
