"""A copy of one person's data, as a workbook: what the household, its cases and its visits hold of them, nobody else's.

The number of the identity card is whole, because the person asks; so it takes a request, an officer of the area who
has seen a proof of identity, and leaves an entry in the audit trail. Of an answer that names several members
only the person's own row is copied.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.aid.quantities import format_milli
from server.audit.actions import Action
from server.cases.workflow import STATE_INFO
from server.checklists.template import Template
from server.checklists.wording import answer_text, render_rows, visit_kind_text
from server.core.access import Caller, require_found
from server.core.clock import CHINA
from server.core.encryption import Encryption
from server.core.errors import Problem
from server.core.money import format_fen
from server.core.spreadsheets import write_xlsx
from server.core.threads import run_in_thread
from server.models.aid import GIVEN_AID_STATES, AidBatch, AidLine
from server.models.cases import Calculation, CaseFile, IncomeItem, PropertyItem
from server.models.checklists import ChecklistTemplate
from server.models.households import Household, HouseholdMember
from server.models.people import ResidentBinding
from server.models.privacy import DataRequest, PrivacyConsent
from server.models.visits import Visit
from server.privacy.requests import KIND_TEXTS, lock_request

Line = tuple[str, str, str]
_COPIED = frozenset({"see", "copy"})
_RECEIVED_BY = {"head": "户主领取", "member": "家庭成员领取", "proxy": "他人代领", None: ""}
_SEX = {"male": "男", "female": "女"}


async def copy_person(session: AsyncSession, encryption: Encryption, caller: Caller, request_id: UUID) -> bytes:
    """Return the workbook. Raises `privacy.no_copy_asked` for a request of another kind, `thing.not_found`."""
    request, household = await lock_request(session, caller, request_id)
    if request.kind not in _COPIED or request.state == "refused":
        raise Problem("privacy.no_copy_asked")
    member: HouseholdMember = require_found(await session.get(HouseholdMember, request.member_id))
    lines = [
        *_person_lines(encryption, household, member),
        *await _income_lines(session, household, member),
        *await _case_lines(session, household),
        *await _aid_lines(session, household, member),
        *await _visit_lines(session, household, member),
        *await _privacy_lines(session, member),
    ]
    audit.record(
        session,
        caller,
        Action.DATA_COPIED,
        "data_request",
        request.id,
        area_code=request.area_code,
        member_id=str(member.id),
        lines=len(lines),
    )
    return await run_in_thread(write_xlsx, "个人信息副本", ["部分", "项目", "内容"], lines)


def _person_lines(encryption: Encryption, household: Household, member: HouseholdMember) -> Iterator[Line]:
    sealed, phone = member.id_number_sealed, household.phone_sealed
    facts = {
        "姓名": member.name,
        "与户主关系": member.relation,
        "性别": _SEX.get(member.sex, member.sex),
        "出生日期": member.born_on.isoformat(),
        "身份证号": encryption.open("household_member.id_number", member.id, sealed) if sealed else "",
        "健康状况": member.health,
        "劳动能力": member.labour_ability,
        "就学": member.school,
        "就业": member.work,
        "残疾类别": member.disability_kind,
        "残疾等级": member.disability_grade,
        "重病病种": member.illness,
    }
    yield from (("本人", name, str(value)) for name, value in facts.items() if value not in (None, ""))
    home = {
        "户编号": household.number,
        "住址": household.address,
        "电话": encryption.open("household.phone", household.id, phone) if phone else "",
        "保障类别": household.class_,
        "月保障金（元）": format_fen(household.monthly_amount_fen) if household.monthly_amount_fen is not None else "",
    }
    yield from (("家庭", name, str(value)) for name, value in home.items() if value not in (None, ""))


async def _income_lines(session: AsyncSession, household: Household, member: HouseholdMember) -> list[Line]:
    """Incomes and property of the person, and those the household has jointly."""
    lines: list[Line] = []
    models: tuple[tuple[Any, str], ...] = ((IncomeItem, "收入与支出"), (PropertyItem, "财产"))
    for model, title in models:
        rows = await session.scalars(
            select(model)
            .where(model.household_id == household.id, or_(model.member_id == member.id, model.member_id.is_(None)))
            .order_by(model.id)
        )
        lines += [(title, _item_name(item), _item_text(item)) for item in rows]
    return lines


def _item_name(item: IncomeItem | PropertyItem) -> str:
    return item.kind if isinstance(item, PropertyItem) else f"{item.kind} {item.category}".strip()


def _item_text(item: IncomeItem | PropertyItem) -> str:
    if isinstance(item, IncomeItem):
        verified = "" if item.verified_fen is None else f"，核定 {format_fen(item.verified_fen)}"
        return f"申报 {format_fen(item.declared_fen)}{verified}（{'每月' if item.period == 'month' else '每年'}）"
    return f"申报 {item.declared}" + ("" if item.verified is None else f"，核定 {item.verified}")


async def _case_lines(session: AsyncSession, household: Household) -> list[Line]:
    lines: list[Line] = []
    cases = await session.scalars(
        select(CaseFile).where(CaseFile.household_id == household.id).order_by(CaseFile.applied_on, CaseFile.id)
    )
    for case in cases.all():
        part = f"申请 {case.number}"
        facts = {
            "申请日期": case.applied_on,
            "状态": STATE_INFO[case.state].zh,
            "授权核对日期": case.consented_on,
            "决定日期": case.decided_on,
            "金额": format_fen(case.amount_fen) if case.amount_fen is not None else None,
            "起发月": case.paid_from,
            "停发月": case.stopped_from,
        }
        lines += [(part, name, str(value)) for name, value in facts.items() if value is not None]
        calculations = await session.scalars(
            select(Calculation).where(Calculation.case_id == case.id).order_by(Calculation.month, Calculation.made_at)
        )
        lines += [(part, f"{row.month:%Y-%m} 的测算", format_fen(row.amount_fen)) for row in calculations]
    return lines


async def _aid_lines(session: AsyncSession, household: Household, member: HouseholdMember) -> list[Line]:
    """What the household was given as a whole, and the person for himself or herself."""
    rows = await session.execute(
        select(AidLine, AidBatch)
        .join(AidBatch, AidBatch.id == AidLine.batch_id)
        .where(
            AidLine.household_id == household.id,
            AidLine.state.in_(GIVEN_AID_STATES),
            or_(AidLine.member_id == member.id, AidLine.member_id.is_(None)),
        )
        .order_by(AidLine.given_on, AidLine.id)
    )
    return [("救助台账", f"{line.given_on} {batch.kind_zh}", _aid_text(line, batch)) for line, batch in rows]


def _aid_text(line: AidLine, batch: AidBatch) -> str:
    given = [] if line.given_milli is None else [f"{format_milli(line.given_milli)} {batch.unit_zh}"]
    given += [] if line.given_fen is None else [format_fen(line.given_fen)]
    ended = "，已收回" if line.state == "taken_back" else ""
    # Who a proxy is belongs to the proxy.
    return f"{'，'.join(given)}，{_RECEIVED_BY[line.recipient]}{ended}"


async def _visit_lines(session: AsyncSession, household: Household, member: HouseholdMember) -> list[Line]:
    lines: list[Line] = []
    rows = await session.execute(
        select(Visit, ChecklistTemplate.body)
        .join(
            ChecklistTemplate,
            (ChecklistTemplate.code == Visit.checklist_code) & (ChecklistTemplate.version == Visit.checklist_version),
        )
        .where(
            Visit.household_id == household.id,
            Visit.submitted_at.is_not(None),
            Visit.state != "voided",
            Visit.kind.not_in(["complaint", "neighbour"]),  # they say what other people said
        )
        .order_by(Visit.started_at)
    )
    for visit, body in rows.all():
        part = f"{visit_kind_text(visit.kind).zh} {_day(visit.started_at)}"
        lines += [(part, name, text) for name, text in _answers(body, visit.document.get("answers", {}), member)]
    return lines


def _answers(body: dict[str, Any], answers: dict[str, Any], member: HouseholdMember) -> Iterator[tuple[str, str]]:
    template = msgspec.convert(body, Template)
    for section in template.sections:
        for question in section.questions:
            value = answers.get(question.id)
            if value in (None, "", []) or question.kind in {"photo", "signature", "geopoint"}:
                continue
            if question.kind == "member_table":
                value = [row for row in value if row.get("memberId") == str(member.id)]
            if question.kind in {"member_table", "income_table"}:
                for title, cells in render_rows(question, value, {str(member.id): member.name}):
                    text = "，".join(f"{label.zh} {cell.zh}" for label, cell in cells)
                    yield f"{question.label.zh}：{title.zh}", text
            else:
                yield question.label.zh, answer_text(question, value).zh


async def _privacy_lines(session: AsyncSession, member: HouseholdMember) -> list[Line]:
    async def load(model: Any, order: Any) -> Sequence[Any]:
        return (await session.scalars(select(model).where(model.member_id == member.id).order_by(order))).all()

    return [
        *(
            ("微信绑定", _day(row.bound_at), f"结束于 {_day(row.ended_at)}" if row.ended_at else "有效")
            for row in await load(ResidentBinding, ResidentBinding.bound_at)
        ),
        *(
            ("隐私告知", f"第 {row.version} 版", f"{_day(row.given_at)} 同意")
            for row in await load(PrivacyConsent, PrivacyConsent.given_at)
        ),
        *(
            ("个人信息请求", f"{_day(row.received_at)} {KIND_TEXTS[row.kind][0]}", row.answer or "办理中")
            for row in await load(DataRequest, DataRequest.received_at)
        ),
    ]


def _day(at: datetime | None) -> str:
    return at.astimezone(CHINA).date().isoformat() if at else ""
