"""Routes of postings and disclosures: `/desk/v1` for officers, `/public/v1` for the village."""

from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

import msgspec
from litestar import Request, Response, Router, get, post
from litestar.datastructures import UploadFile
from litestar.params import FromPath, FromQuery, JSONBody, MultipartBody

from media.refusals import CODES
from server.core.clock import utc_now
from server.core.errors import Fault, Problem
from server.core.http import (
    BEARER,
    LOOKUP_ERRORS,
    SIGNED_IN_ERRORS,
    AreaFilter,
    FieldStaff,
    PageLimit,
    ServicesDep,
    Session,
    client_address,
    error_responses,
)
from server.core.paging import Page
from server.core.pdf import PDF
from server.http.exports import build_export_route
from server.http.reads import NOTHING_PERSONAL, reads
from server.postings import detail, disclosures, listing, objections, places, poster, postings, public
from server.postings.detail import PostingDetail
from server.postings.disclosures import DisclosureDetail, OpenDisclosure, PublicDisclosure
from server.postings.listing import PostingLine
from server.postings.objections import (
    AnswerObjection,
    Contact,
    LookUpObjection,
    ObjectionReceipt,
    ObjectionStatus,
    RevealContact,
    SubmitObjection,
)
from server.postings.places import AddPlace, PlaceLink
from server.postings.postings import CreatePosting
from server.postings.public import NOT_INDEXED, PublicPosting

_PUBLIC = error_responses("thing.not_found", "request.rate_limited")


@dataclass
class PlaceForm:
    """`place` is JSON text, because a multipart form of WeChat carries only strings."""

    place: str
    file: UploadFile


@post(
    "/postings",
    responses=LOOKUP_ERRORS | error_responses("posting.not_now", "case.own_relative"),
    description="Draft the posting of a village. The same id again is the same draft.",
)
async def make_posting(
    data: JSONBody[CreatePosting], field_staff: FieldStaff, session: Session, services: ServicesDep
) -> PostingDetail:
    return await postings.create_posting(session, services, field_staff, data)


@get(
    "/postings",
    opt=reads("posting"),
    responses=SIGNED_IN_ERRORS,
    description="Postings of the caller's areas, the newest first.",
)
async def list_postings(
    field_staff: FieldStaff,
    session: Session,
    posting_state: FromQuery[Literal["draft", "open", "ended"] | None] = None,
    area: AreaFilter = None,
    cursor: FromQuery[str | None] = None,
    limit: PageLimit = 50,
) -> Page[PostingLine]:
    return await listing.list_postings(session, field_staff, state=posting_state, area=area, cursor=cursor, limit=limit)


# The file has no page address: the address is for the people who post the list.
export_postings = build_export_route(
    list_postings,
    "postings",
    {
        "所在地": lambda posting: posting.area_name,
        "行政区划代码": lambda posting: posting.area_code,
        "轮次": lambda posting: posting.round,
        "状态": lambda posting: {"draft": "待张贴", "open": "公示中", "ended": "已结束"}[posting.state],
        "开始": lambda posting: posting.starts_on,
        "结束": lambda posting: posting.ends_on,
        "户数": lambda posting: posting.households,
        "张贴处": lambda posting: posting.places,
        "待答复异议": lambda posting: posting.objections_waiting,
    },
)


@get(
    "/postings/{posting_id:uuid}",
    opt=reads("posting"),
    responses=LOOKUP_ERRORS,
    description="One posting: its lines, its places with photos, and for officers who may answer them the objections.",
)
async def open_posting(
    posting_id: FromPath[UUID], field_staff: FieldStaff, session: Session, services: ServicesDep
) -> PostingDetail:
    return await detail.open_posting(session, services, field_staff, posting_id)


@post(
    "/postings/{posting_id:uuid}/places",
    responses=LOOKUP_ERRORS
    | error_responses("posting.ended", "case.own_relative", "store.unavailable", *sorted(CODES)),
    description="Record one place where the list hangs, with a photo and a fix. The same photo again is the same "
    "place.",
)
async def hang_up_posting(
    posting_id: FromPath[UUID],
    data: MultipartBody[PlaceForm],
    field_staff: FieldStaff,
    session: Session,
    services: ServicesDep,
) -> PostingDetail:
    try:
        place = msgspec.json.decode(data.place, type=AddPlace)
    except msgspec.MsgspecError as error:
        raise Problem("request.invalid", faults=[Fault("/place", "field.invalid", str(error))]) from None
    return await places.add_place(session, services, field_staff, posting_id, place, await data.file.read())


@get(
    "/postings/{posting_id:uuid}/places/{place_id:uuid}/link",
    opt=reads("photo"),
    responses=LOOKUP_ERRORS,
    description="A short-lived link to the photo of one place. The access is logged.",
)
async def link_posting_place(
    posting_id: FromPath[UUID],
    place_id: FromPath[UUID],
    field_staff: FieldStaff,
    session: Session,
    services: ServicesDep,
) -> PlaceLink:
    return await places.create_place_link(session, services, field_staff, posting_id, place_id, utc_now())


@get(
    "/postings/{posting_id:uuid}/poster",
    opt=reads("posting"),
    media_type=PDF,
    responses=LOOKUP_ERRORS | error_responses("print.characters_missing"),
    description="The list as a poster in PDF. It is printed from the draft, since it hangs before the posting starts.",
)
async def print_posting(
    posting_id: FromPath[UUID], field_staff: FieldStaff, request: Request[Any, Any, Any], session: Session
) -> bytes:
    return await poster.print_posting(session, field_staff, posting_id, str(request.base_url))


@post(
    "/postings/{posting_id:uuid}/start",
    status_code=200,
    responses=LOOKUP_ERRORS | error_responses("posting.places_missing", "posting.ended", "case.own_relative"),
    description="Start the posting from today. Repeating it changes nothing.",
)
async def start_posting(
    posting_id: FromPath[UUID], field_staff: FieldStaff, session: Session, services: ServicesDep
) -> PostingDetail:
    return await postings.start_posting(session, services, field_staff, posting_id, utc_now())


@post(
    "/objections/{objection_id:uuid}/answer",
    status_code=204,
    responses=LOOKUP_ERRORS | error_responses("objection.answered", "case.own_relative"),
    description="Answer an objection in writing. Once none is open, the case goes on.",
)
async def answer_objection(
    objection_id: FromPath[UUID], data: JSONBody[AnswerObjection], field_staff: FieldStaff, session: Session
) -> None:
    await objections.answer_objection(session, field_staff, objection_id, data, utc_now())


@post(
    "/objections/{objection_id:uuid}/reveal",
    status_code=200,
    responses=LOOKUP_ERRORS | error_responses("case.own_relative", "reveal.limit_reached", "server.value_altered"),
    description="The contact that the author left. The reader and the reason are logged.",
)
async def reveal_contact(
    objection_id: FromPath[UUID],
    data: JSONBody[RevealContact],
    field_staff: FieldStaff,
    session: Session,
    services: ServicesDep,
) -> Contact:
    return await objections.reveal_contact(session, services, field_staff, objection_id, data, utc_now())


@post(
    "/disclosures", responses=SIGNED_IN_ERRORS, description="The standing list of a village, created if there is none."
)
async def open_disclosure(
    data: JSONBody[OpenDisclosure], field_staff: FieldStaff, session: Session
) -> DisclosureDetail:
    return await disclosures.open_disclosure(session, field_staff, data.area_code)


@get(
    "/disclosures",
    opt=reads("disclosure"),
    responses=SIGNED_IN_ERRORS,
    description="Standing lists of the caller's areas, by area.",
)
async def list_disclosures(
    field_staff: FieldStaff, session: Session, cursor: FromQuery[str | None] = None, limit: PageLimit = 50
) -> Page[DisclosureDetail]:
    return await disclosures.list_disclosures(session, field_staff, cursor=cursor, limit=limit)


export_disclosures = build_export_route(
    list_disclosures,
    "disclosures",
    {
        "所在地": lambda disclosure: disclosure.area_name,
        "行政区划代码": lambda disclosure: disclosure.area_code,
        "户数": lambda disclosure: disclosure.households,
        "设立时间": lambda disclosure: disclosure.made_at,
    },
)


@post(
    "/disclosures/{disclosure_id:uuid}/renew",
    status_code=200,
    responses=LOOKUP_ERRORS,
    description="Replace the address; the old one stops working at once.",
)
async def renew_disclosure(
    disclosure_id: FromPath[UUID], field_staff: FieldStaff, session: Session
) -> DisclosureDetail:
    return await disclosures.renew_disclosure(session, field_staff, disclosure_id, utc_now())


@get(
    "/disclosures/{disclosure_id:uuid}/poster",
    opt=reads("disclosure"),
    media_type=PDF,
    responses=LOOKUP_ERRORS | error_responses("print.characters_missing"),
    description="A standing list as a poster in PDF, as it stands today.",
)
async def print_disclosure(
    disclosure_id: FromPath[UUID], field_staff: FieldStaff, request: Request[Any, Any, Any], session: Session
) -> bytes:
    return await disclosures.print_disclosure(session, field_staff, disclosure_id, str(request.base_url), utc_now())


@get(
    "/disclosures/{key:str}",
    opt=NOTHING_PERSONAL,
    responses=error_responses("thing.not_found"),
    description="A standing list as anyone may read it, by the key on its poster.",
)
async def read_disclosure(key: FromPath[str], session: Session) -> Response[PublicDisclosure]:
    return Response(await disclosures.read_disclosure(session, key, utc_now()), headers=NOT_INDEXED)


@get(
    "/postings/{key:str}",
    opt=NOTHING_PERSONAL,
    responses=_PUBLIC,
    description="A posting as anyone may read it, by the key on its poster.",
)
async def read_posting(key: FromPath[str], session: Session) -> Response[PublicPosting]:
    return Response(await public.read_posting(session, key, utc_now()), headers=NOT_INDEXED)


@post(
    "/postings/{key:str}/objections",
    responses=_PUBLIC,
    description="Object to a line of a posting: its decision waits for the answer. Answers a number and a code to "
    "follow it with.",
)
async def object_to_posting(
    key: FromPath[str],
    data: JSONBody[SubmitObjection],
    request: Request[Any, Any, Any],
    session: Session,
    services: ServicesDep,
) -> ObjectionReceipt:
    return await objections.submit_objection(
        session, services, key, data, address=client_address(request), now=utc_now()
    )


@post(
    "/objections/look-up",
    status_code=200,
    responses=_PUBLIC,
    description="What was answered to an objection, by its number and code. A wrong number and a wrong code get the "
    "same answer.",
)
async def follow_objection(
    data: JSONBody[LookUpObjection], request: Request[Any, Any, Any], session: Session, services: ServicesDep
) -> ObjectionStatus:
    return await objections.look_up_objection(session, services, data, address=client_address(request), now=utc_now())


desk_router = Router(
    "/desk/v1",
    route_handlers=[
        make_posting,
        list_postings,
        export_postings,
        open_posting,
        hang_up_posting,
        link_posting_place,
        print_posting,
        start_posting,
        answer_objection,
        reveal_contact,
        open_disclosure,
        list_disclosures,
        export_disclosures,
        renew_disclosure,
        print_disclosure,
    ],
    tags=["postings"],
    security=BEARER,
)
public_router = Router(
    "/public/v1", route_handlers=[read_posting, object_to_posting, follow_objection, read_disclosure], tags=["public"]
)
