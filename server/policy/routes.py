"""Routes of policy settings: those that hold in an area on a day, their history, and a new row."""

from datetime import date
from typing import Annotated
from uuid import UUID

from litestar import Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from server.core.clock import utc_now
from server.core.http import (
    BEARER,
    LOOKUP_ERRORS,
    SIGNED_IN_ERRORS,
    CallerDep,
    PageLimit,
    Session,
    error_responses,
)
from server.core.paging import Page
from server.core.working_days import day_of
from server.http.exports import build_export_route, to_text
from server.http.reads import NOTHING_PERSONAL
from server.policy import proposals, settings
from server.policy.proposals import DecideSetting, ProposalState, ProposeSetting, SettingProposalLine
from server.policy.settings import AREA_CODE_PATTERN, PolicySettingLine, PolicySettingSchema, WritePolicySetting

Area = Annotated[str, QueryParameter(pattern=AREA_CODE_PATTERN)]
Day = Annotated[date | None, QueryParameter(name="on", description="A day in China time; today by default.")]
KeyPrefix = Annotated[str | None, QueryParameter(name="prefix", description="The start of the keys, such as `visit.`")]
# The codes of all findings. The room review owns them, so the composition root injects them.
Findings = NamedDependency[frozenset[str]]


@get(
    "/rules",
    opt=NOTHING_PERSONAL,
    responses=SIGNED_IN_ERRORS,
    description="Every setting as it holds in an area on a day: the nearest area wins, then the latest date.",
)
async def list_rules(
    caller: CallerDep, session: Session, area: Area = "", on: Day = None, prefix: KeyPrefix = None
) -> list[PolicySettingLine]:
    day = on or day_of(utc_now())
    return await settings.list_effective_settings(session, caller, area, day, prefix)


export_rules = build_export_route(
    list_rules,
    "rules",
    {
        "设置": lambda setting: setting.key,
        "值": lambda setting: to_text(setting.value),
        "适用地区": lambda setting: setting.area_name or "全国",
        "行政区划代码": lambda setting: setting.area_code,
        "生效日期": lambda setting: setting.effective_from,
        "来源": lambda setting: setting.source,
        "录入人": lambda setting: setting.written_by,
        "录入时间": lambda setting: setting.written_at,
    },
)


@get(
    "/rules/kinds",
    opt=NOTHING_PERSONAL,
    responses=SIGNED_IN_ERRORS,
    description="The settings that there are: their kind, range and what they mean.",
)
async def list_rule_kinds(caller: CallerDep, finding_codes: Findings) -> list[PolicySettingSchema]:
    return settings.list_setting_schemas(caller, finding_codes)


@get(
    "/rules/{key:str}/history",
    opt=NOTHING_PERSONAL,
    responses=SIGNED_IN_ERRORS,
    description="All rows of a setting in an area: past, present and to come; the latest first.",
)
async def list_rule_history(
    key: FromPath[str], caller: CallerDep, session: Session, area: Area = ""
) -> list[PolicySettingLine]:
    return await settings.list_setting_history(session, caller, area, key)


@post(
    "/rules",
    responses=SIGNED_IN_ERRORS | error_responses("thing.not_found", "rule.unknown", "rule.written", "rule.takes_two"),
    description="Write a new row of a setting, from a day on; the visits that it touches are looked at again. The "
    "same row again changes nothing. What moves money is proposed (`/rules/proposals`) and taken over by another.",
)
async def write_rule(
    data: JSONBody[WritePolicySetting], caller: CallerDep, session: Session, finding_codes: Findings
) -> PolicySettingLine:
    return await settings.write_setting(session, caller, data, finding_codes, utc_now())


@get(
    "/rules/proposals",
    opt=NOTHING_PERSONAL,
    responses=SIGNED_IN_ERRORS,
    description="Rows of settings that take two people, proposed for the caller's areas, the latest first.",
)
async def list_rule_proposals(
    caller: CallerDep,
    session: Session,
    proposal_state: Annotated[ProposalState, QueryParameter(name="state")] = "proposed",
    cursor: FromQuery[str | None] = None,
    limit: PageLimit = 50,
) -> Page[SettingProposalLine]:
    return await proposals.list_proposals(session, caller, state=proposal_state, cursor=cursor, limit=limit)


export_rule_proposals = build_export_route(
    list_rule_proposals,
    "rule-proposals",
    {
        "设置": lambda line: line.key,
        "值": lambda line: to_text(line.value),
        "适用地区": lambda line: line.area_name or "全国",
        "行政区划代码": lambda line: line.area_code,
        "生效日期": lambda line: line.effective_from,
        "来源": lambda line: line.source,
        "状态": lambda line: {"proposed": "待另一人确认", "accepted": "已采纳", "rejected": "未采纳"}[line.state],
        "提出人": lambda line: line.proposed_by,
        "提出时间": lambda line: line.proposed_at,
        "决定人": lambda line: line.decided_by,
        "决定时间": lambda line: line.decided_at,
        "理由": lambda line: line.reason,
    },
)


@post(
    "/rules/proposals",
    responses=SIGNED_IN_ERRORS
    | error_responses("thing.not_found", "rule.unknown", "rule.takes_one", "request.idempotency_key_reused"),
    description="Propose a row of a setting that takes two people. The same proposal again changes nothing.",
)
async def propose_rule(
    data: JSONBody[ProposeSetting], caller: CallerDep, session: Session, finding_codes: Findings
) -> SettingProposalLine:
    return await proposals.propose_setting(session, caller, data, finding_codes, utc_now())


@post(
    "/rules/proposals/{proposal_id:uuid}/decide",
    status_code=200,
    responses=LOOKUP_ERRORS
    | error_responses("rule.second_person", "rule.written", "proposal.decided", "review.reason_required"),
    description="Take a proposal over, which writes its row, or reject it with a reason. Not for who proposed it.",
)
async def decide_rule(
    proposal_id: FromPath[UUID], data: JSONBody[DecideSetting], caller: CallerDep, session: Session
) -> SettingProposalLine:
    return await proposals.decide_setting(session, caller, proposal_id, data, utc_now())


router = Router(
    "/desk/v1",
    route_handlers=[
        list_rules,
        export_rules,
        list_rule_kinds,
        list_rule_history,
        list_rule_proposals,
        export_rule_proposals,
        propose_rule,
        decide_rule,
        write_rule,
    ],
    tags=["rules"],
    security=BEARER,
)
