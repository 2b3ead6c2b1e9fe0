"""`/desk/v1/certificates`: certificates of dibao, and the printed sheet of a case's."""

from typing import Annotated
from uuid import UUID

from litestar import Router, get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from server.cases import certificates
from server.cases.certificates import CertificateLine, CertificateState, ReplaceCertificate
from server.core.clock import utc_now
from server.core.http import (
    BEARER,
    LOOKUP_ERRORS,
    SIGNED_IN_ERRORS,
    AreaFilter,
    Officer,
    PageLimit,
    Session,
    error_responses,
)
from server.core.paging import Page
from server.core.pdf import PDF
from server.http.exports import build_export_route
from server.http.reads import reads

_STATES_ZH = {"valid": "有效", "expired": "已到期", "ended": "已失效"}
InState = Annotated[CertificateState | None, QueryParameter(name="state")]


@get(
    "/certificates",
    opt=reads("case"),
    responses=SIGNED_IN_ERRORS,
    description="Certificates of dibao, the first to expire first: valid, expired or ended ones.",
)
async def list_certificates(
    officer: Officer,
    session: Session,
    in_state: InState = None,
    case: FromQuery[UUID | None] = None,
    area: AreaFilter = None,
    cursor: FromQuery[str | None] = None,
    limit: PageLimit = 50,
) -> Page[CertificateLine]:
    return await certificates.list_certificates(
        session, officer, state=in_state, case_id=case, area=area, cursor=cursor, limit=limit, now=utc_now()
    )


export_certificates = build_export_route(
    list_certificates,
    "certificates",
    {
        "证号": lambda line: line.number,
        "持证人": lambda line: line.holder_name,
        "户主": lambda line: line.head_name,
        "所在地": lambda line: line.area_name,
        "行政区划代码": lambda line: line.area_code,
        "申请编号": lambda line: line.application_number,
        "有效期自": lambda line: line.valid_from,
        "有效期至（不含）": lambda line: line.valid_until,
        "状态": lambda line: _STATES_ZH[line.state],
        "失效日期": lambda line: line.ended_on,
    },
    form="xlsx",
)


@post(
    "/cases/{case_id:uuid}/certificate",
    status_code=201,
    responses=LOOKUP_ERRORS | error_responses("case.not_now"),
    description="Issue a new certificate of a case that is granted, with a reason; the one before ends.",
)
async def replace_certificate(
    case_id: FromPath[UUID], data: JSONBody[ReplaceCertificate], officer: Officer, session: Session
) -> CertificateLine:
    return await certificates.replace_certificate(session, officer, case_id, data, utc_now())


@get(
    "/cases/{case_id:uuid}/certificate/sheet",
    opt=reads("case_notice"),
    media_type=PDF,
    responses=LOOKUP_ERRORS | error_responses("case.not_now", "print.characters_missing"),
    description="The valid certificate of a case as a PDF.",
)
async def print_certificate(case_id: FromPath[UUID], officer: Officer, session: Session) -> bytes:
    return await certificates.print_certificate(session, officer, case_id)


router = Router(
    "/desk/v1",
    route_handlers=[list_certificates, export_certificates, replace_certificate, print_certificate],
    tags=["cases"],
    security=BEARER,
)
