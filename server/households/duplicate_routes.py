"""`/desk/v1/duplicates` and `/desk/v1/merges`: households that may be the same, and what two people made of them."""

from typing import Annotated
from uuid import UUID

from litestar import Router, get, post
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from server.core.clock import utc_now
from server.core.http import (
    BEARER,
    LOOKUP_ERRORS,
    SIGNED_IN_ERRORS,
    CallerDep,
    PageLimit,
    ServicesDep,
    Session,
    error_responses,
)
from server.core.paging import Page
from server.households import duplicates, merging
from server.households.duplicates import DuplicateLine, HomeLine, JudgeDuplicate, ReasonLine, VerdictFilter
from server.households.merging import DecideMerge, MergeLine, MergeState, ProposeMerge, UndoMerge
from server.http.exports import build_export_route, fen_to_yuan
from server.http.reads import reads

_MERGING = LOOKUP_ERRORS | error_responses(
    "merge.receives", "merge.proposals_wait", "household.merged", "case.own_relative"
)
_DECIDING = _MERGING | error_responses(
    "merge.second_person", "proposal.decided", "review.reason_required", "server.value_altered"
)
_REASONS = {
    "id_number": "身份证号相同",
    "name_birth": "姓名和出生日期相同",
    "pinyin_birth": "姓名同音、出生日期相同",
    "account": "共用银行账户",
    "phone": "共用电话",
    "address": "住址相同",
}
_STATES = {"proposed": "待确认", "merged": "已合并", "rejected": "未同意", "undone": "已撤销"}
VerdictQuery = Annotated[VerdictFilter, QueryParameter(description="Without a verdict yet, or with which.")]
StateQuery = Annotated[MergeState, QueryParameter(name="state", description="Merges in this state.")]


@get(
    "/duplicates",
    opt=reads("household"),
    responses=SIGNED_IN_ERRORS | error_responses("request.invalid"),
    description="Pairs of households of the caller's areas that may be the same, with score and reasons, the highest "
    "score first. Searched each night and after an import of a register.",
)
async def list_duplicates(
    caller: CallerDep,
    session: Session,
    verdict: VerdictQuery = "open",
    cursor: FromQuery[str | None] = None,
    limit: PageLimit = 50,
) -> Page[DuplicateLine]:
    return await duplicates.list_duplicates(session, caller, verdict=verdict, cursor=cursor, limit=limit)


def _reason_text(reason: ReasonLine) -> str:
    names = "、".join(dict.fromkeys(name for name in (reason.first_name, reason.second_name) if name))
    homes = f"（{reason.homes} 户）" if reason.code in {"phone", "account"} else ""
    return _REASONS[reason.code] + (f"：{names}" if names else "") + homes


def _home_text(home: HomeLine) -> str:
    return f"{home.number} {home.head_name}（{home.area_name} {home.address}）"


export_duplicates = build_export_route(
    list_duplicates,
    "duplicates",
    {
        "相似度": lambda pair: pair.score,
        "理由": lambda pair: [_reason_text(reason) for reason in pair.reasons],
        "家庭一": lambda pair: _home_text(pair.first),
        "家庭一月保障金额（元）": lambda pair: fen_to_yuan(pair.first.monthly_amount_fen),
        "家庭二": lambda pair: _home_text(pair.second),
        "家庭二月保障金额（元）": lambda pair: fen_to_yuan(pair.second.monthly_amount_fen),
        "发现时间": lambda pair: pair.found_at,
        "判断": lambda pair: {"same": "同一户", "different": "不是同一户"}.get(pair.verdict),
        "判断人": lambda pair: pair.judged_by,
        "说明": lambda pair: pair.note,
    },
)


@post(
    "/duplicates/{pair_id:uuid}/verdict",
    status_code=204,
    responses=LOOKUP_ERRORS | error_responses("request.invalid"),
    description="Say whether a pair is the same household. The verdict is kept; merging is an act of its own.",
)
async def judge_duplicate(
    pair_id: FromPath[UUID], data: JSONBody[JudgeDuplicate], caller: CallerDep, session: Session
) -> None:
    await duplicates.judge_duplicate(session, caller, pair_id, data, utc_now())


@get(
    "/merges",
    opt=reads("household"),
    responses=SIGNED_IN_ERRORS | error_responses("request.invalid"),
    description="Merges of households of the caller's areas in a state, the newest first.",
)
async def list_merges(
    caller: CallerDep,
    session: Session,
    merge_state: StateQuery = "proposed",
    cursor: FromQuery[str | None] = None,
    limit: PageLimit = 50,
) -> Page[MergeLine]:
    return await merging.list_merges(session, caller, state=merge_state, cursor=cursor, limit=limit)


export_merges = build_export_route(
    list_merges,
    "merges",
    {
        "状态": lambda merge: _STATES[merge.state],
        "保留": lambda merge: _home_text(merge.kept),
        "并入": lambda merge: _home_text(merge.merged),
        "理由": lambda merge: merge.reason,
        "提出人": lambda merge: merge.proposed_by,
        "提出时间": lambda merge: merge.proposed_at,
        "确认人": lambda merge: merge.decided_by,
        "确认时间": lambda merge: merge.decided_at,
        "撤销人": lambda merge: merge.undone_by,
        "撤销时间": lambda merge: merge.undone_at,
    },
)


@post(
    "/merges",
    status_code=200,
    responses=_MERGING | error_responses("merge.waiting", "request.idempotency_key_reused", "request.invalid"),
    description="Propose that one household goes into another. Nothing moves until another person confirms it.",
)
async def propose_merge(data: JSONBody[ProposeMerge], caller: CallerDep, session: Session) -> MergeLine:
    return await merging.propose_merge(session, caller, data, utc_now())


@post(
    "/merges/{merge_id:uuid}/decision",
    status_code=200,
    responses=_DECIDING | error_responses("request.invalid"),
    description="Confirm a merge as the second person, which moves visits, cases, people, residents, account and "
    "phones to the kept household; or reject it with a reason. Repeating the decision changes nothing.",
)
async def decide_merge(
    merge_id: FromPath[UUID], data: JSONBody[DecideMerge], caller: CallerDep, session: Session, services: ServicesDep
) -> MergeLine:
    return await merging.decide_merge(session, services.encryption, caller, merge_id, data, utc_now())


@post(
    "/merges/{merge_id:uuid}/undo",
    status_code=200,
    responses=LOOKUP_ERRORS
    | error_responses(
        "merge.not_merged",
        "merge.acted_upon",
        "merge.second_person",
        "case.own_relative",
        "server.value_altered",
        "request.invalid",
    ),
    description="Take a merge back as a whole, by another person than the one who confirmed it, as long as nobody has "
    "acted on the kept household.",
)
async def undo_merge(
    merge_id: FromPath[UUID], data: JSONBody[UndoMerge], caller: CallerDep, session: Session, services: ServicesDep
) -> MergeLine:
    return await merging.undo_merge(session, services.encryption, caller, merge_id, data, utc_now())


router = Router(
    "/desk/v1",
    route_handlers=[
        list_duplicates,
        export_duplicates,
        judge_duplicate,
        list_merges,
        export_merges,
        propose_merge,
        decide_merge,
        undo_merge,
    ],
    tags=["desk"],
    security=BEARER,
)
