"""`/resident/v1`: a resident's own cases, papers and feedback. `/public/v1`: the look-up by number."""

from typing import Any
from uuid import UUID

from litestar import Request, Router, get, post
from litestar.params import FromPath, FromQuery, JSONBody

from server.cases import notices, paper_photos, periodic_proofs
from server.cases.notices import NoticeKind
from server.cases.paper_photos import AnnouncePhoto, PaperPhotoLink, Rendition
from server.cases.papers import PaperLine
from server.cases.periodic_proofs import ProofLine
from server.core.clock import utc_now
from server.core.http import (
    BEARER,
    LOOKUP_ERRORS,
    SIGNED_IN_ERRORS,
    IdempotencyKey,
    ResidentCaller,
    ServicesDep,
    Session,
    client_address,
    error_responses,
)
from server.core.pdf import PDF
from server.http.reads import reads
from server.residents import change_reports, feedback, own_aid, own_cases, payments, public_status, visit_records
from server.residents.change_reports import ReportChange
from server.residents.feedback import GiveFeedback
from server.residents.own_aid import OwnAid, SaidOfAid, SayOfAid
from server.residents.own_cases import CaseStatus, OwnCase, Withdraw
from server.residents.payments import OwnPayment, SaidOfPayment, SayOfPayment
from server.residents.public_status import LookUp, PublicCase
from server.residents.visit_records import RecordedVisit


@get(
    "/cases",
    opt=reads("case"),
    responses=SIGNED_IN_ERRORS,
    description="The caller's cases, newest first, each with its timeline.",
)
async def list_own_cases(resident_caller: ResidentCaller, session: Session) -> list[CaseStatus]:
    return await own_cases.list_own_cases(session, resident_caller, utc_now())


@get(
    "/cases/{case_id:uuid}",
    opt=reads("case"),
    responses=LOOKUP_ERRORS,
    description="One case of the caller: papers, who will visit, and the calculation that was decided on.",
)
async def open_own_case(case_id: FromPath[UUID], resident_caller: ResidentCaller, session: Session) -> OwnCase:
    return await own_cases.load_own_case(session, resident_caller, case_id, utc_now())


@post(
    "/cases/{case_id:uuid}/withdraw",
    status_code=200,
    responses=LOOKUP_ERRORS
    | error_responses("case.not_now", "case.closed", "case.changed", "request.idempotency_key_reused"),
    description="Take back the caller's own application before it is decided. Repeating it changes nothing.",
)
async def withdraw_own_case(
    case_id: FromPath[UUID],
    data: JSONBody[Withdraw],
    resident_caller: ResidentCaller,
    session: Session,
    idempotency_key: IdempotencyKey = None,
) -> OwnCase:
    return await own_cases.withdraw(session, resident_caller, case_id, data, key=idempotency_key, now=utc_now())


@post(
    "/cases/{case_id:uuid}/papers/{code:str}/photos",
    responses=LOOKUP_ERRORS
    | error_responses(
        "case.closed",
        "case.paper_unknown",
        "case.paper_photos_full",
        "photo.empty",
        "photo.too_many_bytes",
        "request.idempotency_key_reused",
    ),
    description="Announce a photo of a paper. Its bytes follow by `/uploads` (tus), `/field/v1/photos` (a form) "
    "or a link from `/field/v1/photos/{id}/put-link`, with `id` as `evidenceId`.",
)
async def announce_paper_photo(
    case_id: FromPath[UUID],
    code: FromPath[str],
    data: JSONBody[AnnouncePhoto],
    resident_caller: ResidentCaller,
    session: Session,
    services: ServicesDep,
) -> list[PaperLine]:
    return await paper_photos.announce_photo(session, services, resident_caller, case_id, code, data, utc_now())


@post(
    "/cases/{case_id:uuid}/proofs/{code:str}/photos",
    responses=LOOKUP_ERRORS
    | error_responses(
        "case.paper_unknown",
        "case.paper_photos_full",
        "photo.empty",
        "photo.too_many_bytes",
        "request.idempotency_key_reused",
    ),
    description="Announce a photo of a proof that the household is asked for. Its bytes follow as those of a paper.",
)
async def announce_proof_photo(
    case_id: FromPath[UUID],
    code: FromPath[str],
    data: JSONBody[AnnouncePhoto],
    resident_caller: ResidentCaller,
    session: Session,
    services: ServicesDep,
) -> list[ProofLine]:
    return await periodic_proofs.announce_proof_photo(
        session, services, resident_caller, case_id, code, data, utc_now()
    )


@get(
    "/cases/{case_id:uuid}/paper-photos/{photo_id:uuid}/link",
    opt=reads("photo"),
    responses=LOOKUP_ERRORS | error_responses("photo.not_ready", "photo.erased"),
    description="A link of minutes to one photo of a paper that the caller sent. Who opened it is written to the "
    "audit trail.",
)
async def link_own_paper_photo(
    case_id: FromPath[UUID],
    photo_id: FromPath[UUID],
    resident_caller: ResidentCaller,
    session: Session,
    services: ServicesDep,
    rendition: FromQuery[Rendition] = "1280",
) -> PaperPhotoLink:
    return await paper_photos.link_photo(session, services, resident_caller, case_id, photo_id, rendition, utc_now())


@get(
    "/cases/{case_id:uuid}/visits",
    opt=reads("visit"),
    responses=LOOKUP_ERRORS,
    description="Visits to the caller's home since they applied, the newest first, with the answers that may be shown.",
)
async def list_recorded_visits(
    case_id: FromPath[UUID], resident_caller: ResidentCaller, session: Session
) -> list[RecordedVisit]:
    return await visit_records.list_recorded_visits(session, resident_caller, case_id)


@post(
    "/cases/{case_id:uuid}/visits/{visit_id:uuid}/word",
    operation_id="give_word",
    status_code=200,
    responses=LOOKUP_ERRORS | error_responses("case.reason_required", "case.closed"),
    description="Confirm or dispute a recorded visit; staff read it on the case. The same again changes nothing.",
)
async def give_feedback(
    case_id: FromPath[UUID],
    visit_id: FromPath[UUID],
    data: JSONBody[GiveFeedback],
    resident_caller: ResidentCaller,
    session: Session,
) -> list[RecordedVisit]:
    return await feedback.give_feedback(session, resident_caller, case_id, visit_id, data, utc_now())


@post(
    "/cases/{case_id:uuid}/changes",
    status_code=204,
    responses=LOOKUP_ERRORS | error_responses("case.closed"),
    description="Report a change at home: work, birth, death, a move. It stands on the case and in the desk's inbox "
    "until it is answered.",
)
async def report_change(
    case_id: FromPath[UUID], data: JSONBody[ReportChange], resident_caller: ResidentCaller, session: Session
) -> None:
    await change_reports.report_change(session, resident_caller, case_id, data, utc_now())


@get(
    "/cases/{case_id:uuid}/payments",
    opt=reads("roster_line"),
    responses=LOOKUP_ERRORS,
    description="What the caller's household was paid, the newest first: each part of the amount, and what the bank "
    "answered.",
)
async def list_own_payments(
    case_id: FromPath[UUID], resident_caller: ResidentCaller, session: Session
) -> list[OwnPayment]:
    return await payments.list_own_payments(session, resident_caller, case_id)


@post(
    "/cases/{case_id:uuid}/payments/{line_id:uuid}/word",
    status_code=200,
    responses=LOOKUP_ERRORS | error_responses("request.rate_limited"),
    description="Confirm a payment, or say that it did not arrive, which is a complaint with the payment attached. "
    "The same again changes nothing.",
)
async def say_of_payment(
    case_id: FromPath[UUID],
    line_id: FromPath[UUID],
    data: JSONBody[SayOfPayment],
    resident_caller: ResidentCaller,
    session: Session,
    services: ServicesDep,
) -> SaidOfPayment:
    return await payments.say_of_payment(session, services, resident_caller, case_id, line_id, data, utc_now())


@get(
    "/cases/{case_id:uuid}/aid",
    opt=reads("aid_line"),
    responses=LOOKUP_ERRORS,
    description="What the caller's household was given besides its payments, the newest first: money or goods, when "
    "and to whom.",
)
async def list_own_aid(case_id: FromPath[UUID], resident_caller: ResidentCaller, session: Session) -> list[OwnAid]:
    return await own_aid.list_own_aid(session, resident_caller, case_id)


@post(
    "/cases/{case_id:uuid}/aid/{line_id:uuid}/word",
    status_code=200,
    responses=LOOKUP_ERRORS | error_responses("request.rate_limited"),
    description="Confirm aid, or say that it did not arrive, which is a complaint with the line attached. The same "
    "again changes nothing.",
)
async def say_of_aid(
    case_id: FromPath[UUID],
    line_id: FromPath[UUID],
    data: JSONBody[SayOfAid],
    resident_caller: ResidentCaller,
    session: Session,
    services: ServicesDep,
) -> SaidOfAid:
    return await own_aid.say_of_aid(session, services, resident_caller, case_id, line_id, data, utc_now())


@get(
    "/cases/{case_id:uuid}/notices/{kind:str}",
    opt=reads("case_notice"),
    media_type=PDF,
    responses=LOOKUP_ERRORS | error_responses("case.not_now", "print.characters_missing"),
    description="One of the caller's notices as a PDF. Refused before the case has come to it.",
)
async def print_own_notice(
    case_id: FromPath[UUID], kind: FromPath[NoticeKind], resident_caller: ResidentCaller, session: Session
) -> bytes:
    return await notices.print_case_notice(session, resident_caller, case_id, kind)


@post(
    "/cases/look-up",
    status_code=200,
    responses=error_responses("case.lookup_failed", "request.rate_limited"),
    description="Where an application stands, for whoever has its number and the PIN of its slip. "
    "Anything that does not fit gets the same answer.",
)
async def look_up_case(data: JSONBody[LookUp], request: Request[Any, Any, Any], services: ServicesDep) -> PublicCase:
    return await public_status.find_public_case(services, data, address=client_address(request), now=utc_now())


router = Router(
    "/resident/v1",
    route_handlers=[
        list_own_cases,
        open_own_case,
        withdraw_own_case,
        announce_paper_photo,
        announce_proof_photo,
        link_own_paper_photo,
        print_own_notice,
        list_recorded_visits,
        give_feedback,
        report_change,
        list_own_payments,
        say_of_payment,
        list_own_aid,
        say_of_aid,
    ],
    tags=["resident"],
    security=BEARER,
)
public_router = Router("/public/v1", route_handlers=[look_up_case], tags=["public"])
