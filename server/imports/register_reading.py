"""Read an office's register of recipients: lines become households, one member a row or several in columns of one row.

A household begins with the row of its head, or where the household's number or its head's name changes. Every cell that
can't be read is a fault of its household's line; nothing is completed by guessing.
"""

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

import msgspec

from server.core.id_numbers import check_id, luhn_ok
from server.core.money import parse_amount
from server.core.normalise import clean_name, normalise_card, normalise_id, normalise_phone
from server.imports.columns import Column, Line
from server.imports.groups import read_group

HEAD = ("户主", "本人", "申请人")
# Of the columns of a row's members: the first has no number.
MEMBER_SUFFIXES = ("", *(str(number) for number in range(1, 8)))
_SEXES = {"男": "male", "女": "female", "male": "male", "female": "female", "1": "male", "2": "female"}
_CLASSES = {"A": "A", "B": "B", "C": "C", "一类": "A", "二类": "B", "三类": "C", "A类": "A", "B类": "B", "C类": "C"}
_HEALTH = {
    "健康": "healthy",
    "慢性病": "chronic",
    "慢病": "chronic",
    "重病": "serious_illness",
    "大病": "serious_illness",
}
_HEALTH |= {"残疾": "disabled", "重度残疾": "severely_disabled", "重残": "severely_disabled", "良好": "healthy"}
_LABOUR = {"有": "full", "有劳动能力": "full", "部分": "partial", "部分丧失": "partial", "部分丧失劳动能力": "partial"}
_LABOUR |= {"无": "none", "无劳动能力": "none", "完全丧失": "none", "丧失": "none"}
_DATUMS = {"": "wgs84", "wgs84": "wgs84", "wgs-84": "wgs84", "cgcs2000": "wgs84", "gcj02": "gcj02", "gcj-02": "gcj02"}
_DATUMS |= {"bd09": "bd09", "bd-09": "bd09", "百度": "bd09", "高德": "gcj02", "腾讯": "gcj02"}

_OTHERS = tuple(
    Column(f"{key}{number}", heading.format(number), (heading.format(number).replace("成员", "家庭成员"),))
    for number in MEMBER_SUFFIXES[1:]
    for key, heading in (("name", "成员{}姓名"), ("id_number", "成员{}身份证号"), ("relation", "成员{}关系"))
)
COLUMNS = (
    Column("number", "户编号", ("家庭编号", "户号", "低保编号", "档案号", "家庭代码")),
    Column("head_name", "户主姓名", ("户主", "申请人姓名", "低保户主")),
    Column("name", "姓名", ("成员姓名", "家庭成员姓名", "保障对象姓名", "享受人姓名"), is_required=True),
    Column("relation", "与户主关系", ("关系", "家庭关系", "与申请人关系")),
    Column("id_number", "身份证号", ("身份证号码", "公民身份号码", "身份证", "证件号码"), is_required=True),
    Column("sex", "性别"),
    Column("born_on", "出生日期", ("出生年月", "出生年月日")),
    Column("area", "所在村（社区）", ("村（社区）", "村居", "所在地", "行政村", "区划代码"), is_required=True),
    Column("group", "村民组", ("村民小组", "所在组", "小组", "组别", "组", "社", "屯")),
    Column("address", "住址", ("家庭住址", "地址", "现住址", "详细地址")),
    Column("phone", "联系电话", ("电话", "手机号", "手机", "联系方式")),
    Column("latitude", "纬度", ("北纬",)),
    Column("longitude", "经度", ("东经",)),
    Column("datum", "坐标系"),
    Column("class", "类别", ("保障类别", "分类", "低保类别")),
    Column("amount", "月保障金额", ("月保障金", "保障金额", "低保金", "月发放金额", "补助金额", "月补助金额")),
    Column("since", "享受开始年月", ("享受时间", "开始享受时间", "批准时间", "纳入时间", "起始年月")),
    Column("ground", "致贫原因", ("保障原因", "主要致贫原因", "困难原因")),
    Column("health", "健康状况"),
    Column("labour_ability", "劳动能力"),
    Column("bank_holder", "账户名", ("开户人", "户名", "开户名", "账户姓名")),
    Column("bank_name", "开户银行", ("银行", "开户行")),
    Column("card", "银行账号", ("银行卡号", "账号", "卡号", "一卡通账号", "一卡通卡号")),
    Column("holder", "包户人员", ("包户干部", "联系人", "负责人", "走访人员")),
    *_OTHERS,
)


class MemberPlan(msgspec.Struct, kw_only=True):
    """A member as read; `id_number` is whole, so a plan is kept sealed."""

    name: str
    relation: str
    id_number: str | None
    sex: str
    born_on: date
    health: str | None = None
    labour_ability: str | None = None


class HouseholdPlan(msgspec.Struct, kw_only=True):
    """A household as read, and what the comparison with the register added."""

    number: str | None
    area_code: str
    address: str
    members: list[MemberPlan]
    phone: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    datum: str = "wgs84"
    class_: str | None = None
    amount_fen: int | None = None
    since: date | None = None
    ground: str = ""
    bank_holder: str | None = None
    bank_name: str | None = None
    card: str | None = None
    group: str | None = None
    holder: str | None = None
    # Set by the comparison: the staff who shall hold it, and the household there is already.
    holder_id: str | None = None
    household_id: str | None = None


class HouseholdLines(msgspec.Struct):
    """The rows of one household; the first is its head's."""

    first: Line
    others: list[Line]

    @property
    def rows(self) -> list[Line]:
        return [self.first, *self.others]


def group_lines(lines: Sequence[Line]) -> list[HouseholdLines]:
    groups: list[HouseholdLines] = []
    for line in lines:
        if groups and _continues(groups[-1].first, line):
            groups[-1].others.append(line)
        else:
            groups.append(HouseholdLines(line, []))
    return groups


def _continues(first: Line, line: Line) -> bool:
    """Whether the row is another member of the household that began with `first`."""
    if line.sheet != first.sheet:
        return False
    for key in ("number", "head_name"):
        if line.text(key) and first.text(key):
            return line.text(key) == first.text(key)
    relation = line.text("relation")
    return bool(relation) and relation not in HEAD


def read_household(group: HouseholdLines, area_code: str | None, today: date) -> HouseholdPlan | None:
    """Read a household. What can't be read becomes faults of its lines; None if it can't be planned at all."""
    first = group.first
    members = [member for line in group.rows for member in _read_members(line, today)]
    if first.text("relation") and first.text("relation") not in HEAD and not first.text("head_name"):
        first.add_fault("relation", "household.no_head", "这一户没有户主行", "this household has no row of its head")
    head = first.text("head_name")
    members.sort(key=lambda member: member.relation not in HEAD and member.name != head)
    amount_fen = _read_amount(first)
    latitude, longitude = _read_number(first, "latitude", 90), _read_number(first, "longitude", 180)
    if not members or area_code is None:
        return None
    return HouseholdPlan(
        number=first.text("number") or None,
        area_code=area_code,
        address=first.text("address") or "—",
        members=members,
        phone=normalise_phone(first.text("phone")) or None,
        latitude=latitude if longitude is not None else None,
        longitude=longitude if latitude is not None else None,
        datum=_choose(first, "datum", _DATUMS) or "wgs84",
        class_=_choose(first, "class", _CLASSES),
        amount_fen=amount_fen,
        since=first.day("since"),
        ground=first.text("ground")[:200],
        bank_holder=first.text("bank_holder") or (members[0].name if first.text("card") else None),
        bank_name=first.text("bank_name") or None,
        card=_read_card(first),
        group=read_group(first, "group"),
        holder=first.text("holder") or None,
    )


def _read_members(line: Line, today: date) -> Iterator[MemberPlan]:
    for suffix in MEMBER_SUFFIXES:
        if (not suffix or line.text(f"name{suffix}")) and (member := _read_member(line, suffix, today)) is not None:
            yield member


def _read_member(line: Line, suffix: str, today: date) -> MemberPlan | None:
    name = clean_name(line.required(f"name{suffix}"))
    number = _read_id(line, f"id_number{suffix}", today)
    typed_sex, typed_birth = (_choose(line, "sex", _SEXES), line.day("born_on")) if not suffix else (None, None)
    sex, born_on = (number.sex, number.born) if number else (typed_sex, typed_birth)
    if number and typed_sex and typed_sex != number.sex:
        line.add_fault("sex", "member.sex_differs", "与身份证号不符", "differs from the ID number")
    if number and typed_birth and not _same_birth(typed_birth, number.born, line.text("born_on")):
        line.add_fault("born_on", "member.birth_differs", "与身份证号不符", "differs from the ID number")
    if not line.text(f"id_number{suffix}"):
        line.add_fault(f"id_number{suffix}", "cell.empty", "必填", "must not be empty")
    if sex is None or born_on is None or not name:
        return None
    return MemberPlan(
        name=name,
        relation=line.text(f"relation{suffix}") or (HEAD[0] if not suffix else "其他"),
        id_number=number.number if number else None,
        sex=sex,
        born_on=born_on,
        health=_choose(line, "health", _HEALTH) if not suffix else None,
        labour_ability=_choose(line, "labour_ability", _LABOUR) if not suffix else None,
    )


def _same_birth(typed: date, born: date | None, text: str) -> bool:
    """A month alone (1980年5月) agrees with any day of it."""
    by_month = typed.day == 1 and sum(char.isdigit() for char in text) <= len("198005")
    return born is not None and (typed == born or (by_month and (typed.year, typed.month) == (born.year, born.month)))


def _read_id(line: Line, key: str, today: date) -> Any:
    text = line.text(key)
    if not text:
        return None
    if line.is_rounded(key):
        return None
    read = check_id(normalise_id(text), today=today)
    if read.problem is not None:
        zh = _ID_PROBLEMS.get(read.problem, "身份证号有误")
        line.add_fault(key, f"id.{read.problem}", zh, f"ID number: {read.problem}")
        return None
    return read


_ID_PROBLEMS = {
    "characters": "身份证号含有不允许的字符",
    "length": "身份证号位数不对",
    "old_15_digits": "是 15 位旧号，请填 18 位",
    "date": "身份证号中的出生日期不存在",
    "future_date": "身份证号中的出生日期在将来",
    "check_digit": "身份证号校验位不符，请核对",
}


def _read_card(line: Line) -> str | None:
    text = line.text("card")
    if not text:
        return None
    if line.is_rounded("card"):
        return None
    card = normalise_card(text)
    if not card.isdigit() or not 8 <= len(card) <= 30:  # noqa: PLR2004  passbooks are shorter than cards
        line.add_fault("card", "card.invalid", "不是银行账号", "not an account number")
    elif len(card) in {16, 18, 19} and card.startswith("62") and not luhn_ok(card):
        line.add_fault("card", "card.check_digit", "卡号校验位不符，请核对", "the card's check digit is wrong")
    return card


def _read_amount(line: Line) -> int | None:
    text = line.text("amount")
    if not text:
        return None
    amount = parse_amount(text)
    if amount.fen is None or amount.warnings:
        line.add_fault("amount", "amount.unclear", f"金额看不清：{text[:20]}", f"unclear amount: {text[:20]}")
    return amount.fen


def _read_number(line: Line, key: str, most: int) -> float | None:
    text = line.text(key)
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not -most <= number <= most:
        line.add_fault(key, "place.invalid", "不是坐标", "not a coordinate")
        return None
    return number


def _choose(line: Line, key: str, names: dict[str, str]) -> str | None:
    """Return what a cell stands for. An empty cell and one that nobody listed are not the same."""
    text = "".join(line.text(key).split())
    if not text:
        return None
    chosen = names.get(text) or names.get(text.upper()) or names.get(text.lower())
    if chosen is None:
        listed = "、".join(dict.fromkeys(name for name in names if name))
        line.add_fault(key, "cell.not_listed", f"应为：{listed}", f"should be one of {listed}")
    return chosen
