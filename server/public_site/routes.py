"""Routes of the public site: HTML for any phone, without a script, and not indexed by search engines.

`/p/{key}` shows a posting with a form to object, `/l/{key}` a standing list with a form to report, `/answers/…` the
answer for a number and a code. The pages show what `/public/v1` answers and nothing else. The room stands above
postings and complaints because its pages combine both.
"""

from typing import Any, TypeVar

import msgspec
from litestar import Request, Response, Router, get, post
from litestar.params import FromPath
from msgspec import Struct

from server.complaints import public_status, submission
from server.core.clock import utc_now
from server.core.errors import Problem, problem_body
from server.core.http import ServicesDep, Session, client_address
from server.http.reads import NOTHING_PERSONAL
from server.postings import disclosures, objections, public
from server.postings.public import NOT_INDEXED
from server.public_site.rendering import render_page

AnyRequest = Request[Any, Any, Any]
S = TypeVar("S", bound=Struct)
HEADERS = NOT_INDEXED | {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_OBJECTION_ANSWERS = "/answers/objection"
_COMPLAINT_ANSWERS = "/answers/complaint"
_OUTCOMES = {
    "upheld": "情况属实",
    "partly": "部分属实",
    "unfounded": "情况不属实",
    "dismissed": "异议不成立",
}


@get("/p/{key:str}", opt=NOTHING_PERSONAL)
async def show_posting(key: FromPath[str], session: Session) -> Response[bytes]:
    posting = await public.read_posting(session, key, utc_now())
    rows = [(entry.position, entry) for entry in posting.households]
    return _html("posting.html", posting=posting, rows=rows, key=key)


@post("/p/{key:str}", status_code=200)
async def object_on_page(
    key: FromPath[str], request: AnyRequest, session: Session, services: ServicesDep
) -> Response[bytes]:
    data = await _read_form(request, objections.SubmitObjection)
    receipt = await objections.submit_objection(
        session, services, key, data, address=client_address(request), now=utc_now()
    )
    return _html("receipt.html", title="异议已收到", receipt=receipt, look_up_path=_OBJECTION_ANSWERS)


@get("/l/{key:str}", opt=NOTHING_PERSONAL)
async def show_disclosure(key: FromPath[str], session: Session) -> Response[bytes]:
    disclosure = await disclosures.read_disclosure(session, key, utc_now())
    rows = list(enumerate(disclosure.households, start=1))
    return _html("disclosure.html", disclosure=disclosure, rows=rows, key=key)


@post("/l/{key:str}", status_code=200)
async def report_on_page(
    key: FromPath[str], request: AnyRequest, session: Session, services: ServicesDep
) -> Response[bytes]:
    disclosure = await disclosures.read_disclosure(session, key, utc_now())
    data = await _read_form(request, submission.PublicComplaint, areaCode=disclosure.area_code)
    receipt = await submission.submit_public_complaint(
        session, services, data, address=client_address(request), now=utc_now()
    )
    return _html("receipt.html", title="已收到您的反映", receipt=receipt, look_up_path=_COMPLAINT_ANSWERS)


@post("/answers/{what:str}", status_code=200)
async def show_answer(
    what: FromPath[str], request: AnyRequest, session: Session, services: ServicesDep
) -> Response[bytes]:
    address, now = client_address(request), utc_now()
    if what == "objection":
        objection = await objections.look_up_objection(
            session, services, await _read_form(request, objections.LookUpObjection), address=address, now=now
        )
        return _answer(objection.number, objection.outcome, objection.answer)
    complaint = await public_status.look_up_complaint(
        session, services, await _read_form(request, public_status.LookUpComplaint), address=address, now=now
    )
    return _answer(complaint.number, complaint.finding, complaint.reply)


def _answer(number: str, outcome: str | None, answer: str | None) -> Response[bytes]:
    text = _OUTCOMES.get(outcome or "", "已答复" if answer else "正在核实")
    return _html("answer.html", number=number, outcome=text, answer=answer)


async def _read_form(request: AnyRequest, kind: type[S], **more: str) -> S:
    """Read a form into the body that the API takes. Empty fields are left out, and numbers may be strings."""
    form = await request.form()
    fields: dict[str, Any] = {name: str(value).strip() for name, value in form.items() if str(value).strip()}
    if (accused := fields.pop("against", None)) is not None:
        fields["against"] = [accused]
    if (name := fields.pop("reporterName", None)) is not None:
        fields["reporter"] = {"name": name, "contact": fields.pop("contact", "")}
    elif kind is submission.PublicComplaint:
        fields.pop("contact", None)  # a report without a name stays anonymous
    try:
        return msgspec.convert(fields | more, kind, strict=False)
    except msgspec.ValidationError:
        raise Problem("request.invalid") from None


def _answer_problem(_request: AnyRequest, problem: Problem) -> Response[bytes]:
    body = problem_body(problem, "zh")
    title = "此页已不可用" if problem.status == 404 else body.title  # noqa: PLR2004  the status is its own name
    return _html("problem.html", status_code=problem.status, title=title, detail=body.detail)


def _html(template: str, *, status_code: int = 200, **values: Any) -> Response[bytes]:
    content = render_page(template, **values)
    return Response(content, media_type="text/html", headers=HEADERS, status_code=status_code)


router = Router(
    "/",
    route_handlers=[show_posting, object_on_page, show_disclosure, report_on_page, show_answer],
    exception_handlers={Problem: _answer_problem},
    include_in_schema=False,
)
