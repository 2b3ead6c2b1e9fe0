"""The pages that a code on a poster opens: plain HTML that any phone shows, without a script, kept by no search engine.

`/p/{key}` is a posting with a form to object, `/l/{key}` the standing list with a form to report; the answer is
read with number and code. They say what `/public/v1` says and nothing else. Stands beside the rooms, for a page
speaks of more than one.
"""

from collections.abc import Awaitable
from html import escape
from typing import Any, TypeVar

import msgspec
from litestar import Request, Response, get, post
from litestar.params import FromPath
from msgspec import Struct
from sqlalchemy.ext.asyncio import AsyncSession

import server.complaints.service as complaints
from server.core.errors import Problem, problem_body
from server.core.http import ServicesDep, Session, address_of
from server.core.money import plain_yuan
from server.core.pdf import say_date
from server.core.services import Services
from server.core.tokens import utc_now
from server.postings import disclosures, public
from server.postings.disclosures import PublicDisclosure
from server.postings.public import NOT_INDEXED, PublicPosting

AnyRequest = Request[Any, Any, Any]
S = TypeVar("S", bound=Struct)
HEADERS = NOT_INDEXED | {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_STYLE = (
    "body{font:18px/1.6 system-ui,sans-serif;margin:0 auto;max-width:40rem;padding:1rem;color:#1a1a1a}"
    "h1{font-size:1.4rem}h2{font-size:1.2rem;margin-top:2rem}"
    "table{width:100%;border-collapse:collapse}th,td{padding:.4rem;border-bottom:1px solid #bbb;text-align:left}"
    "td:nth-child(n+3),th:nth-child(n+3){text-align:right}td:nth-child(-n+3),th:nth-child(-n+3){white-space:nowrap}"
    "textarea,input,button,select{font:inherit;width:100%;"
    "box-sizing:border-box;margin:.2rem 0 .8rem;padding:.5rem}button{background:#0b5cad;color:#fff;border:0;"
    "border-radius:.3rem;min-height:3rem}.big{font-size:1.4rem;font-weight:bold}"
)


@get("/p/{key:str}", include_in_schema=False)
async def show_posting(key: FromPath[str], session: Session) -> Response[bytes]:
    return await _page(session, _posting(session, key))


async def _posting(session: AsyncSession, key: str) -> str:
    return _posting_page(await public.read_posting(session, key, utc_now()), key)


@post("/p/{key:str}", include_in_schema=False, status_code=200)
async def object_on_page(
    key: FromPath[str], request: AnyRequest, session: Session, services: ServicesDep
) -> Response[bytes]:
    return await _page(session, _object(request, session, services, key))


async def _object(request: AnyRequest, session: AsyncSession, services: Services, key: str) -> str:
    asked = await _read(request, public.Object)
    told = await public.object_to(session, services, key, asked, address=address_of(request), now=utc_now())
    return _taken_page("异议已收到", told.number, told.code, "/answers/objection")


@get("/l/{key:str}", include_in_schema=False)
async def show_disclosure(key: FromPath[str], session: Session) -> Response[bytes]:
    return await _page(session, _disclosure(session, key))


async def _disclosure(session: AsyncSession, key: str) -> str:
    return _disclosure_page(await disclosures.read_disclosure(session, key, utc_now()), key)


@post("/l/{key:str}", include_in_schema=False, status_code=200)
async def report_on_page(
    key: FromPath[str], request: AnyRequest, session: Session, services: ServicesDep
) -> Response[bytes]:
    return await _page(session, _report(request, session, services, key))


async def _report(request: AnyRequest, session: AsyncSession, services: Services, key: str) -> str:
    listed = await disclosures.read_disclosure(session, key, utc_now())
    asked = await _read(request, complaints.PublicComplaint, areaCode=listed.area_code)
    told = await complaints.take_public(session, services, asked, address=address_of(request), now=utc_now())
    return _taken_page("已收到您的反映", told.number, told.code, "/answers/complaint")


@post("/answers/{what:str}", include_in_schema=False, status_code=200)
async def show_answer(
    what: FromPath[str], request: AnyRequest, session: Session, services: ServicesDep
) -> Response[bytes]:
    return await _page(session, _answer(request, session, services, what))


async def _answer(request: AnyRequest, session: AsyncSession, services: Services, what: str) -> str:
    address, now = address_of(request), utc_now()
    if what == "objection":
        asked = await _read(request, public.FollowUp)
        told = await public.follow_up(session, services, asked, address=address, now=now)
        return _answer_page(told.number, told.outcome, told.answer)
    followed = await complaints.follow_up(
        session, services, await _read(request, complaints.FollowUp), address=address, now=now
    )
    return _answer_page(followed.number, followed.finding, followed.reply)


async def _page(session: AsyncSession, body: Awaitable[str]) -> Response[bytes]:
    """A refusal is a page too, with its status; nothing of what it refuses is written."""
    try:
        return Response((await body).encode(), media_type="text/html", headers=HEADERS)
    except Problem as problem:
        await session.rollback()
        told = problem_body(problem, "zh")
        page = _whole("此页已不可用" if problem.status == 404 else told.title, f"<p>{escape(told.detail)}</p>")  # noqa: PLR2004
        return Response(page.encode(), media_type="text/html", headers=HEADERS, status_code=problem.status)


async def _read(request: AnyRequest, kind: type[S], **more: str) -> S:
    """A form's values as the API's own body: strings are read as numbers where one is wanted, empty ones left out."""
    form = await request.form()
    told: dict[str, Any] = {name: str(value).strip() for name, value in form.items() if str(value).strip()}
    if (accused := told.pop("against", None)) is not None:
        told["against"] = [accused]
    if (name := told.pop("reporterName", None)) is not None:
        told["reporter"] = {"name": name, "contact": told.pop("contact", "")}
    elif kind is complaints.PublicComplaint:
        told.pop("contact", None)  # without a name it stays anonymous
    try:
        return msgspec.convert(told | more, kind, strict=False)
    except msgspec.ValidationError:
        raise Problem("request.invalid") from None


# --- what they look like


def _posting_page(told: PublicPosting, key: str) -> str:
    rows = [[one.position, one.name, one.members, plain_yuan(one.amount_fen)] for one in told.households]
    choices = "".join(
        f'<option value="{one.position}">{one.position}. {escape(one.name)}</option>' for one in told.households
    )
    form = (
        f'<h2>提出异议</h2><form method="post" action="/p/{escape(key)}">'
        f'<label>对哪一户<select name="position">{choices}</select></label>'
        '<label>异议内容<textarea name="text" rows="4" minlength="5" maxlength="2000" required></textarea></label>'
        '<label>联系方式（可不填）<input name="contact" maxlength="100" autocomplete="off"></label>'
        "<button>提交异议</button></form>"
    )
    return _whole(
        "最低生活保障审核公示",
        f"<p>{escape(told.area_name)} 第{told.round}轮</p>"
        f"<p>公示期：{say_date(told.starts_on)}至{say_date(told.object_until)}</p>"
        + _table(["序号", "姓名", "人数", "拟保障金额（元/月）"], rows)
        + (form if rows else "<p>目前没有公示中的家庭。</p>")
        + _ask_for_answer("/answers/objection"),
    )


def _disclosure_page(told: PublicDisclosure, key: str) -> str:
    rows = [
        [place, one.name, one.members, plain_yuan(one.amount_fen)] for place, one in enumerate(told.households, start=1)
    ]
    return _whole(
        "最低生活保障对象长期公示",
        f"<p>{escape(told.area_name)}，截至{say_date(told.as_of)}</p>"
        + _table(["序号", "姓名", "人数", "保障金额（元/月）"], rows)
        + f'<h2>反映情况</h2><form method="post" action="/l/{escape(key)}">'
        '<label>要反映的情况<textarea name="text" rows="4" minlength="5" maxlength="4000" required></textarea></label>'
        "<label>您的姓名（不填即匿名，只有承办人能看到）"
        '<input name="reporterName" maxlength="60" autocomplete="off"></label>'
        "<label>如反映工作人员，请写姓名（其本人不会承办）"
        '<input name="against" maxlength="60" autocomplete="off"></label>'
        '<label>联系方式（可不填）<input name="contact" maxlength="100" autocomplete="off"></label>'
        "<button>提交</button></form>" + _ask_for_answer("/answers/complaint"),
    )


def _taken_page(title: str, number: str, code: str, answers: str) -> str:
    return _whole(
        title,
        "<p>请记下编号和查询码，凭它们查看答复。查询码只显示这一次。</p>"
        f'<p class="big">编号：{escape(number)}<br>查询码：{escape(code)}</p>' + _ask_for_answer(answers),
    )


_OUTCOMES = {
    "upheld": "情况属实",
    "partly": "部分属实",
    "unfounded": "情况不属实",
    "dismissed": "异议不成立",
}


def _answer_page(number: str, outcome: str | None, answer: str | None) -> str:
    standing = _OUTCOMES.get(outcome or "", "已答复" if answer else "正在核实")
    return _whole(
        "答复",
        f'<p>编号：{escape(number)}</p><p class="big">{standing}</p><p>{escape(answer or "有答复后可在此查看。")}</p>',
    )


def _ask_for_answer(action: str) -> str:
    return (
        f'<h2>查看答复</h2><form method="post" action="{action}">'
        '<label>编号<input name="number" maxlength="40" required autocomplete="off"></label>'
        '<label>查询码<input name="code" maxlength="40" required autocomplete="off"></label>'
        "<button>查看</button></form>"
    )


def _table(headings: list[str], rows: list[list[Any]]) -> str:
    head = "".join(f"<th>{escape(one)}</th>" for one in headings)
    body = "".join("<tr>" + "".join(f"<td>{escape(str(one))}</td>" for one in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _whole(title: str, body: str) -> str:
    return (
        '<!doctype html><html lang="zh-CN"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        '<meta name="robots" content="noindex,nofollow,noarchive">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body><main><h1>{escape(title)}</h1>{body}"
        "</main></body></html>"
    )


handlers = [show_posting, object_on_page, show_disclosure, report_on_page, show_answer]
