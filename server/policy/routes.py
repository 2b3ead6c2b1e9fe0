"""Routes of policy settings: those that hold in an area on a day, their history, and a new row."""

from datetime import date
from typing import Annotated

from litestar import Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter

from server.core.clock import utc_now
from server.core.http import BEARER, SIGNED_IN_ERRORS, CallerDep, Session, error_responses
from server.core.working_days import day_of
from server.http.exports import build_export_route, to_text
from server.http.reads import NOTHING_PERSONAL
from server.policy import settings
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
    responses=SIGNED_IN_ERRORS | error_responses("thing.not_found", "rule.unknown", "rule.written"),
    description="Write a new row of a setting, from a day on; the visits that it touches are looked at again. The "
    "same row again changes nothing.",
)
async def write_rule(
    data: JSONBody[WritePolicySetting], caller: CallerDep, session: Session, finding_codes: Findings
) -> PolicySettingLine:
    return await settings.write_setting(session, caller, data, finding_codes, utc_now())


router = Router(
    "/desk/v1",
    route_handlers=[list_rules, export_rules, list_rule_kinds, list_rule_history, write_rule],
    tags=["rules"],
    security=BEARER,
)
