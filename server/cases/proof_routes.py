"""`/desk/v1/proofs`: proofs that households which are paid hand in again and again."""

from typing import Annotated
from uuid import UUID

from litestar import Router, get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from server.cases import periodic_proofs
from server.cases.periodic_proofs import CloseProof, DeskProof, ProofState, ReceiveProof
from server.core.clock import utc_now
from server.core.http import (
    BEARER,
    LOOKUP_ERRORS,
    SIGNED_IN_ERRORS,
    AreaFilter,
    CallerDep,
    PageLimit,
    Session,
    error_responses,
)
from server.core.paging import Page
from server.http.exports import build_export_route
from server.http.reads import reads


@get(
    "/proofs",
    opt=reads("case"),
    responses=SIGNED_IN_ERRORS,
    description="Proofs that households are asked for, the earliest due first: open ones, overdue ones, or those that "
    "are settled. Nothing follows from an overdue one by itself.",
)
async def list_proofs(
    caller: CallerDep,
    session: Session,
    proof_state: Annotated[ProofState, QueryParameter(name="state")] = "open",
    area: AreaFilter = None,
    cursor: FromQuery[str | None] = None,
    limit: PageLimit = 50,
) -> Page[DeskProof]:
    return await periodic_proofs.list_proofs(
        session, caller, state=proof_state, area=area, cursor=cursor, limit=limit, now=utc_now()
    )


export_proofs = build_export_route(
    list_proofs,
    "proofs",
    {
        "申请编号": lambda line: line.application_number,
        "户主": lambda line: line.head_name,
        "所在地": lambda line: line.area_name,
        "行政区划代码": lambda line: line.area_code,
        "证明": lambda line: line.proof.paper.zh,
        "通知日期": lambda line: line.proof.asked_on,
        "应交日期": lambda line: line.proof.due_on,
        "逾期": lambda line: "是" if line.proof.is_overdue else "",
        "收到日期": lambda line: line.proof.paper.received_on,
        "照片": lambda line: len(line.proof.paper.photos),
        "不需提交的理由": lambda line: line.closed_reason,
    },
    form="xlsx",
)


@post(
    "/proofs/{proof_id:uuid}/receipt",
    status_code=200,
    responses=LOOKUP_ERRORS | error_responses("case.proof_settled", "case.proof_day"),
    description="Record that a proof was received, at the counter, at a visit or by a photo that was read. Repeating "
    "it changes nothing.",
)
async def receive_proof(
    proof_id: FromPath[UUID], data: JSONBody[ReceiveProof], caller: CallerDep, session: Session
) -> DeskProof:
    return await periodic_proofs.receive_proof(session, caller, proof_id, data, utc_now())


@post(
    "/proofs/{proof_id:uuid}/closure",
    status_code=200,
    responses=LOOKUP_ERRORS | error_responses("case.proof_settled"),
    description="Say why a proof is not needed this time. Repeating it changes nothing.",
)
async def close_proof(
    proof_id: FromPath[UUID], data: JSONBody[CloseProof], caller: CallerDep, session: Session
) -> DeskProof:
    return await periodic_proofs.close_proof(session, caller, proof_id, data, utc_now())


router = Router(
    "/desk/v1",
    route_handlers=[list_proofs, export_proofs, receive_proof, close_proof],
    tags=["cases"],
    security=BEARER,
)
