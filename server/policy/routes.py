"""`/desk/v1/rules`: what holds in an area on a day, what held before, and a new row."""

from datetime import date
from typing import Annotated

from litestar import Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter

from server.core.http import BEARER, SIGNED, CallerDep, Session, problems
from server.core.tokens import utc_now
from server.core.working_days import day_of
from server.http.exports import export_of, in_words
from server.policy import settings
from server.policy.schemas import KINDS
from server.policy.settings import AREA_LEVEL, RuleKind, RuleLine, WritePolicySetting

Area = Annotated[str, QueryParameter(pattern=AREA_LEVEL)]
Day = Annotated[date | None, QueryParameter(name="on", description="China's day; today unless told.")]
KeyPrefix = Annotated[str | None, QueryParameter(name="prefix", description="Keys that begin so: `visit.`")]
# The codes of all findings, from the composition root: they are review's, and their severities are rules.
Findings = NamedDependency[frozenset[str]]


@get("/rules", responses=SIGNED)
async def list_rules(
    caller: CallerDep, session: Session, area: Area = "", on: Day = None, prefix: KeyPrefix = None
) -> list[RuleLine]:
    day = on or day_of(utc_now())
    return await settings.list_effective(session, caller, area, day, prefix)


export_rules = export_of(
    list_rules,
    "/rules/export",
    "rules",
    {
        "设置": lambda one: one.key,
        "值": lambda one: in_words(one.value),
        "适用地区": lambda one: one.area_name or "全国",
        "行政区划代码": lambda one: one.area_code,
        "生效日期": lambda one: one.effective_from,
        "来源": lambda one: one.source,
        "录入人": lambda one: one.written_by,
        "录入时间": lambda one: one.written_at,
    },
)


@get("/rules/kinds", responses=SIGNED)
async def list_rule_kinds(caller: CallerDep, finding_codes: Findings) -> list[RuleKind]:
    return settings.list_kinds(caller, KINDS, finding_codes)


@get("/rules/{key:str}/history", responses=SIGNED)
async def list_rule_history(key: FromPath[str], caller: CallerDep, session: Session, area: Area = "") -> list[RuleLine]:
    return await settings.list_history(session, caller, area, key)


@post("/rules", responses=SIGNED | problems("thing.not_found", "rule.unknown", "rule.written"))
async def write_rule(
    data: JSONBody[WritePolicySetting], caller: CallerDep, session: Session, finding_codes: Findings
) -> RuleLine:
    return await settings.write_rule(session, caller, data, finding_codes, utc_now())


router = Router(
    "/desk/v1",
    route_handlers=[list_rules, export_rules, list_rule_kinds, list_rule_history, write_rule],
    tags=["rules"],
    security=BEARER,
)
