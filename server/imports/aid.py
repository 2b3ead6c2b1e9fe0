"""What other offices gave homes of the area: medical and education aid, and any other kind of the ledger.

People are found by their ID number, or by the household's number; a name that differs leaves the line doubtful. Lines
of one kind and month become one batch, prepared by whoever brought the file and released by whoever confirmed it. What
is odd about it is a finding of that batch.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from sqlalchemy import delete, func, select

from server.aid.batches import NUMBER_DIGITS, new_batch
from server.aid.catalogue import list_kinds
from server.aid.examine import examine_batch
from server.aid.quantities import format_milli, parse_milli
from server.core.access import Role
from server.core.ids import new_id
from server.core.money import format_fen, parse_amount
from server.core.normalise import clean_name, name_key, normalise_id
from server.core.sequences import next_number
from server.core.working_days import day_of
from server.imports.columns import Column, Line
from server.imports.import_kind import Outcome, PlannedLine, PlanToApply, Work
from server.models.aid import AidBatch, AidFinding, AidLine
from server.models.households import Household, HouseholdMember
from server.policy.values import AidKind

_MOST_PEOPLE = 100


class _Person(NamedTuple):
    """A home of the area, and the member whom a line is for."""

    household: Household
    member: HouseholdMember | None


class _Register(NamedTuple):
    by_id_number: Mapping[bytes, _Person]
    by_number: Mapping[str, Household]


class AidImport:
    name = "aid"
    columns = (
        Column("id_number", "身份证号", ("公民身份号码", "身份证号码", "证件号码", "受助人身份证号")),
        Column("number", "户编号", ("家庭编号", "household")),
        Column("name", "姓名", ("受助人", "受助人姓名", "户主", "户主姓名"), is_required=True),
        Column("kind", "救助种类", ("种类", "项目", "救助类型", "救助类别"), is_required=True),
        Column("cause", "事由", ("救助原因", "困难原因")),
        Column("given_on", "发放日期", ("发放时间", "救助日期", "救助时间", "日期", "月份"), is_required=True),
        Column("amount", "金额", ("救助金额", "发放金额", "补助金额")),
        Column("quantity", "数量", ("发放数量",)),
        Column("people", "人数", ("人次", "受助人数")),
        Column("recipient", "领取人", ("代领人",)),
        Column("relation", "与户主关系", ("关系", "代领人关系")),
    )
    roles = frozenset({Role.TOWN_OFFICER, Role.COUNTY_OFFICER})
    makes_accounts = False
    counts_everywhere = False

    async def plan(self, work: Work, lines: Sequence[Line]) -> list[PlannedLine]:
        kinds = {
            name: kind
            for kind in await list_kinds(work.session, work.area_code, day_of(work.now))
            for name in (kind.zh, kind.code, kind.en)
        }
        register = await _load_register(work, lines)
        batches: dict[tuple[str, date], str] = {}
        planned = [_plan_line(work, kinds, register, batches, line) for line in lines]
        await _doubt_repeats(work, planned)
        return planned

    async def apply(self, work: Work, plans: Sequence[PlanToApply]) -> None:
        touched: dict[UUID, AidBatch] = {}
        for plan in plans:
            batch = touched.get(UUID(plan.plan["batch"])) or await _open_batch(work, plan.plan)
            touched[batch.id] = batch
            line_id = UUID(plan.plan["line"])
            plan.thing_id = str(line_id)
            if await work.session.get(AidLine, line_id) is None:
                work.session.add(await _build_line(work, batch, plan, line_id))
        await work.session.flush()  # the findings are looked for in the table
        for batch in touched.values():
            await examine_batch(work.session, batch, work.now)

    async def find_acted_upon(self, work: Work, plans: Sequence[PlanToApply]) -> int:
        """Count lines that were taken back or of which a home said something, and findings that were judged.

        The batches are locked first, as a household that says something of a line locks them.
        """
        ids_of_batches = sorted({UUID(plan.plan["batch"]) for plan in plans})
        await work.session.execute(
            select(AidBatch.id).where(AidBatch.id.in_(ids_of_batches)).order_by(AidBatch.id).with_for_update()
        )
        ids = [UUID(plan.plan["line"]) for plan in plans]
        lines = select(func.count()).where(
            AidLine.id == func.any(ids), (AidLine.state != "handed_out") | AidLine.stance.is_not(None)
        )
        judged = select(func.count()).where(
            AidFinding.batch_id.in_({UUID(plan.plan["batch"]) for plan in plans}), AidFinding.verdict.is_not(None)
        )
        return (await work.session.scalar(lines) or 0) + (await work.session.scalar(judged) or 0)

    async def undo(self, work: Work, plans: Sequence[PlanToApply]) -> None:
        """Remove the lines and their batches, which hold nothing else."""
        batches = {UUID(plan.plan["batch"]) for plan in plans}
        await work.session.execute(delete(AidFinding).where(AidFinding.batch_id.in_(batches)))
        ids = [UUID(plan.plan["line"]) for plan in plans]
        await work.session.execute(delete(AidLine).where(AidLine.id == func.any(ids)))
        await work.session.execute(delete(AidBatch).where(AidBatch.id.in_(batches)))


async def _load_register(work: Work, lines: Sequence[Line]) -> _Register:
    """Find the people and homes of the file in the register, in two queries for any number of lines."""
    index_of = work.services.encryption.index
    indexes = {index_of("id_number", number) for line in lines if (number := normalise_id(line.text("id_number")))}
    of_area = Household.area_code.startswith(work.area_code, autoescape=True) & Household.merged_into.is_(None)
    people = await work.session.execute(
        select(HouseholdMember.id_number_index, Household, HouseholdMember)
        .join(Household, Household.id == HouseholdMember.household_id)
        .where(of_area, HouseholdMember.id_number_index == func.any(list(indexes)))
        .order_by(HouseholdMember.id)
    )
    numbers = {line.text("number") for line in lines} - {""}
    homes = await work.session.scalars(select(Household).where(of_area, Household.number == func.any(list(numbers))))
    return _Register(
        by_id_number={index: _Person(home, member) for index, home, member in people if index is not None},
        by_number={home.number: home for home in homes},
    )


def _plan_line(
    work: Work, kinds: Mapping[str, AidKind], register: _Register, batches: dict[tuple[str, date], str], line: Line
) -> PlannedLine:
    """Read a line. Its batch and its own id are drawn here, so that applying it again is the same line."""
    name, kind_name = clean_name(line.required("name")), line.required("kind")
    kind = kinds.get(kind_name)
    if kind_name and kind is None:
        line.add_fault("kind", "cell.not_listed", f"没有这种救助：{kind_name[:20]}", f"no such kind: {kind_name[:20]}")
    given_on = _read_day(work, line)
    person = _find_person(work, register, line)
    values = _read_given(line, kind) | _read_cause(line, kind) | _read_recipient(line, person)
    if line.faults or person is None or kind is None or given_on is None:
        return PlannedLine(line=line, title=name, outcome="refused", faults=line.faults)
    _note_unclear_amount(line)
    _note_other_name(line, person, name)
    month = given_on.replace(day=1)
    plan = {
        "batch": batches.setdefault((kind.code, month), str(new_id())),
        "line": str(new_id()),
        "kind": msgspec.to_builtins(kind),
        "month": month.isoformat(),
        "given_on": given_on.isoformat(),
        "household": str(person.household.id),
        "member": str(person.member.id) if person.member else None,
        "prepared_by": str(work.actor_id),
        **values,
    }
    title = f"{name} {kind.zh} {_describe(kind, values)}"
    outcome: Outcome = "doubtful" if line.faults else "new"
    return PlannedLine(line=line, title=title, outcome=outcome, faults=line.faults, plan=plan, brings_money=True)


def _read_day(work: Work, line: Line) -> date | None:
    if not line.text("given_on"):
        line.required("given_on")
        return None
    given_on = line.day("given_on")
    if given_on is not None and given_on > day_of(work.now):
        line.add_fault("given_on", "cell.not_a_date", "日期还没有到", "a day to come")
    return given_on


def _find_person(work: Work, register: _Register, line: Line) -> _Person | None:
    """Find the home by the ID number, else by its own number. Whoever is not in the register is refused."""
    id_number, number = normalise_id(line.text("id_number")), line.text("number")
    if id_number:
        found = register.by_id_number.get(work.services.encryption.index("id_number", id_number))
        key = "id_number"
    elif number:
        home = register.by_number.get(number)
        found, key = (_Person(home, None) if home else None), "number"
    else:
        line.add_fault(
            "id_number", "cell.empty", "身份证号和户编号至少填一个", "write the ID number or the household's"
        )
        return None
    if found is None:
        line.add_fault(key, "person.unknown", "本地区台账中没有此人或此户", "nobody of the register here")
    return found


def _read_given(line: Line, kind: AidKind | None) -> dict[str, int | None]:
    """Read quantity, amount and people. Money has an amount, goods a quantity and perhaps a value."""
    text, quantity = line.text("amount"), line.text("quantity")
    fen = parse_amount(text).fen if text else None
    milli = parse_milli(quantity) if quantity else None
    if text and (fen is None or fen <= 0):
        line.add_fault("amount", "amount.unclear", f"金额看不清：{text[:20]}", f"unclear amount: {text[:20]}")
    if quantity and not milli:
        line.add_fault("quantity", "cell.not_a_number", f"数量看不清：{quantity[:20]}", f"unclear: {quantity[:20]}")
    if kind is not None and kind.form == "money":
        milli = None
        if not text:
            line.required("amount")
    elif kind is not None and not quantity:
        line.required("quantity")
    people = line.text("people") or "1"
    if not re.fullmatch("[0-9]{1,3}", people) or not 1 <= int(people) <= _MOST_PEOPLE:
        line.add_fault("people", "cell.not_a_number", f"人数看不清：{people[:20]}", f"unclear: {people[:20]}")
        people = "1"
    return {"fen": fen, "milli": milli, "people": int(people)}


def _read_cause(line: Line, kind: AidKind | None) -> dict[str, str | None]:
    text = line.text("cause")
    if kind is None or not kind.causes:
        return {"cause": None, "cause_zh": None, "cause_en": None}
    cause = next((cause for cause in kind.causes if text in {cause.zh, cause.code, cause.en}), None)
    if cause is None:
        names = "、".join(cause.zh for cause in kind.causes)
        line.add_fault("cause", "cell.not_listed", f"应为 {names} 之一", f"one of {names}")
        return {}
    return {"cause": cause.code, "cause_zh": cause.zh, "cause_en": cause.en}


def _read_recipient(line: Line, person: _Person | None) -> dict[str, str]:
    """Without a name, the person or the head has received. Another name is a proxy's, who has a relation."""
    if person is None:
        return {}
    name, relation = clean_name(line.text("recipient")), line.text("relation")
    own = person.member.name if person.member else person.household.head_name
    if not name or name_key(name) == name_key(own):
        is_head = name_key(own) == name_key(person.household.head_name)
        return {"recipient": "head" if is_head else "member", "recipient_name": own, "relation": ""}
    if name_key(name) == name_key(person.household.head_name):
        return {"recipient": "head", "recipient_name": name, "relation": ""}
    if not relation:
        line.add_fault("relation", "cell.empty", "代领的须写明与户主关系", "a proxy's relation is missing")
    return {"recipient": "proxy", "recipient_name": name[:40], "relation": relation[:40]}


def _note_unclear_amount(line: Line) -> None:
    text = line.text("amount")
    if text and parse_amount(text).warnings:
        line.add_fault("amount", "amount.unclear", f"金额是否为此数：{text[:20]}", f"is this the amount: {text[:20]}")


def _note_other_name(line: Line, person: _Person, name: str) -> None:
    own = person.member.name if person.member else person.household.head_name
    if name_key(own) != name_key(name):
        line.add_fault("name", "name.differs", f"台账中的姓名是“{own}”", f"the register says {own}")


def _describe(kind: AidKind, values: Mapping[str, Any]) -> str:
    if kind.form == "goods":
        return f"{format_milli(values['milli'])} {kind.unit_zh}"
    return format_fen(values["fen"])


async def _doubt_repeats(work: Work, planned: Sequence[PlannedLine]) -> None:
    """Make lines doubtful that say the same as an earlier one, of the file or of the ledger."""
    plans = [(entry, entry.plan) for entry in planned if entry.plan is not None]
    homes = {UUID(plan["household"]) for _, plan in plans}
    rows = await work.session.execute(
        select(
            AidLine.household_id,
            AidLine.member_id,
            AidLine.kind,
            AidLine.given_on,
            AidLine.given_fen,
            AidLine.given_milli,
        ).where(AidLine.household_id == func.any(list(homes)), AidLine.state == "handed_out")
    )
    seen = {
        (str(home), str(member) if member else None, kind, given_on.isoformat(), fen, milli)
        for home, member, kind, given_on, fen, milli in rows
        if given_on is not None
    }
    for entry, plan in plans:
        key = (
            plan["household"], plan["member"], plan["kind"]["code"], plan["given_on"], plan["fen"], plan["milli"],
        )  # fmt: skip
        if key in seen:
            entry.line.add_fault("name", "line.twice", "已有相同的一笔", "the same stands already")
            entry.outcome, entry.faults = "doubtful", entry.line.faults
        seen.add(key)


async def _open_batch(work: Work, plan: Mapping[str, Any]) -> AidBatch:
    """Return the batch of a line, made when its first line is applied."""
    batch_id, month = UUID(plan["batch"]), date.fromisoformat(plan["month"])
    batch = await work.session.get(AidBatch, batch_id, with_for_update=True)
    if batch is None:
        kind = msgspec.convert(plan["kind"], AidKind)
        prepared_by = UUID(plan["prepared_by"])
        batch = new_batch(kind, batch_id, work.area_code, month, prepared_by, work.now, source="import")
        batch.number = await next_number(work.session, AidBatch.number, f"JZ{month:%Y%m}", NUMBER_DIGITS)
        batch.state, batch.stated = "closed", {}
        batch.prepared_by, batch.prepared_at = prepared_by, work.now
        batch.released_by = batch.closed_by = work.actor_id
        batch.released_at = batch.closed_at = work.now
        work.session.add(batch)
        await work.session.flush()  # its lines refer to it
    return batch


async def _find_member_again(work: Work, home: Household, member_id: UUID) -> HouseholdMember | None:
    """Return the member; of one who was in both homes of a merge, the twin in the home that is left."""
    member = await work.session.get(HouseholdMember, member_id)
    if member is None or member.household_id == home.id:
        return member
    sealed, encryption = member.id_number_sealed, work.services.encryption
    number = encryption.open("household_member.id_number", member.id, sealed) if sealed is not None else None
    index = encryption.index("id_number", number) if number else None
    of_home = select(HouseholdMember).where(HouseholdMember.household_id == home.id).order_by(HouseholdMember.position)
    others = list(await work.session.scalars(of_home))
    by_number = (other for other in others if index is not None and other.id_number_index == index)
    names = (name_key(member.name), member.born_on)
    by_name = (other for other in others if (name_key(other.name), other.born_on) == names)
    return next(by_number, None) or next(by_name, None)


async def _build_line(work: Work, batch: AidBatch, plan: PlanToApply, line_id: UUID) -> AidLine:
    values = plan.plan
    home = await work.session.get_one(Household, UUID(values["household"]))
    # It may have gone into another since the preview.
    while home.merged_into is not None:
        home = await work.session.get_one(Household, home.merged_into)
    member = await _find_member_again(work, home, UUID(values["member"])) if values["member"] else None
    given = {"milli": values["milli"], "fen": values["fen"]}
    return AidLine(
        id=line_id, batch_id=batch.id, position=plan.position + 1, kind=batch.kind, month=batch.month,
        household_id=home.id, member_id=member.id if member else None, area_code=home.area_code,
        household_number=home.number, head_name=home.head_name, member_name=member.name if member else None,
        people=values["people"], source="import", cause=values["cause"], cause_zh=values["cause_zh"],
        cause_en=values["cause_en"], planned_milli=given["milli"], planned_fen=given["fen"], state="handed_out",
        given_milli=given["milli"], given_fen=given["fen"], given_on=date.fromisoformat(values["given_on"]),
        recipient=values["recipient"], recipient_name=values["recipient_name"], relation=values["relation"],
        recorded_by=work.actor_id, recorded_at=work.now,
    )  # fmt: skip
