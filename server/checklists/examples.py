"""Invented answers to a checklist for demos and tests: complete, valid, and the same for the same seed."""

import random
import uuid
from collections.abc import Collection, Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

from server.checklists.answers import read_answers
from server.checklists.facts import Facts
from server.checklists.logic import is_true
from server.checklists.template import INCOME_KINDS, Column, Question, Template, iter_questions

_MAX_ATTEMPTS: Final = 60


def make_example_answers(
    template: Template,
    member_ids: Collection[str],
    seed: int,
    *,
    facts: Facts | None = None,
    evidence_ids: Iterator[str] | None = None,
) -> dict[str, Any]:
    """Answer every visible question so that a submission has no fault and no notice.

    Without `facts` the day is 2026-06-15; without `evidence_ids` photos and signatures get ids from the seed.
    Raises ValueError if no attempt satisfies a constraint.
    """
    facts = facts or Facts(today=date(2026, 6, 15))
    dice = random.Random(seed)  # noqa: S311 - invented data, reproducible
    maker = _Maker(dice, facts, sorted(member_ids), evidence_ids or _random_ids(dice))
    answers: dict[str, Any] = {}
    for question in iter_questions(template):
        _answer(template, question, answers, maker)
    return answers


def _random_ids(dice: random.Random) -> Iterator[str]:
    while True:
        yield str(uuid.UUID(int=dice.getrandbits(128), version=4))


def _answer(template: Template, question: Question, answers: dict[str, Any], maker: "_Maker") -> None:
    """Try answers until this question has no fault; leave a hidden question unanswered."""
    at = f"/answers/{question.id}"
    for _ in range(_MAX_ATTEMPTS):
        answers[question.id] = maker.make(question)
        reading = read_answers(template, answers, member_ids=maker.member_ids, facts=maker.facts, stage="submitted")
        faults = [fault for fault in reading.faults if fault.pointer == at or fault.pointer.startswith(at + "/")]
        if any(fault.code == "answer.hidden" and fault.pointer == at for fault in faults):
            del answers[question.id]
            return
        if not faults:
            return
    raise ValueError(f"no answer found for {question.id}: {faults[0].code}")


class _Maker:
    def __init__(self, dice: random.Random, facts: Facts, member_ids: list[str], evidence_ids: Iterator[str]) -> None:
        self.dice = dice
        self.facts = facts
        self.member_ids = member_ids
        self.evidence_ids = evidence_ids

    def make(self, cell: Column) -> Any:
        if isinstance(cell, Question) and cell.kind == "member_table":
            return [self._row(cell, member_id) for member_id in self.member_ids]
        return getattr(self, f"_{cell.kind}")(cell)

    def _row(self, table: Question, member_id: str) -> dict[str, Any]:
        row: dict[str, Any] = {"memberId": member_id}
        ages = {member.member_id: member.age for member in self.facts.members}
        age = ages.get(member_id)
        for column in table.columns:
            data = {
                "row": row,
                "member": {"memberId": member_id, "age": age},
                "visit": {"remote": self.facts.remote},
            }
            if column.visible_if is None or is_true(column.visible_if, data):
                row[column.id] = getattr(self, f"_{column.kind}")(column)
        return row

    def _text(self, cell: Column) -> str:
        choices = _SENTENCES.get(cell.id, _PLAIN_SENTENCES)
        return self.dice.choice(choices)[: cell.max_length]

    def _integer(self, cell: Column) -> int:
        minimum = cell.minimum if cell.minimum is not None else 0
        maximum = cell.maximum if cell.maximum is not None else minimum + 200
        return self.dice.randint(minimum, min(maximum, minimum + 199))

    def _money(self, cell: Column) -> int:
        minimum = cell.minimum if cell.minimum is not None else 0
        maximum = cell.maximum if cell.maximum is not None else 200_000
        return max(minimum, min(maximum, self.dice.choice([0, 0, 5_000, 12_000, 20_000, 36_500, 80_000])))

    def _date(self, _cell: Column) -> str:
        return (self.facts.today - timedelta(days=self.dice.randint(0, 150))).isoformat()

    def _choice(self, cell: Column) -> str:
        return self.dice.choice(cell.choices).code

    def _multi_choice(self, cell: Column) -> list[str]:
        codes = [choice.code for choice in cell.choices]
        minimum = max(1, cell.minimum or 0)
        maximum = max(minimum, min(2, cell.maximum or len(codes)))
        return sorted(self.dice.sample(codes, min(len(codes), self.dice.randint(minimum, maximum))))

    def _yes_no(self, _cell: Column) -> bool:
        return self.dice.random() < 0.5  # noqa: PLR2004 - a coin

    def _geopoint(self, _cell: Column) -> dict[str, Any]:
        return {
            "latitude": round(34.2 + self.dice.random() / 10, 6),
            "longitude": round(108.9 + self.dice.random() / 10, 6),
            "datum": "gcj02",
            "accuracyM": self.dice.choice([8, 15, 22, 30]),
            "capturedAt": self._moment(),
        }

    def _moment(self) -> str:
        # 02:00 UTC is 10:00 in China.
        start = datetime.combine(self.facts.today, time(2), tzinfo=UTC)
        return (start + timedelta(minutes=self.dice.randint(0, 90))).isoformat()

    def _photo(self, cell: Column) -> list[str]:
        return [next(self.evidence_ids) for _ in range(max(1, cell.minimum or 0))]

    def _signature(self, cell: Column) -> list[dict[str, Any]]:
        names = self.dice.sample(_SIGNERS, max(1, cell.minimum or 0))
        return [
            {"evidenceId": next(self.evidence_ids), "signerName": name, "signedAt": self._moment()} for name in names
        ]

    def _income_table(self, cell: Column) -> list[dict[str, Any]]:
        end = self.facts.today.replace(day=1) - timedelta(days=1)
        start = end.replace(year=end.year - 1, day=1) + timedelta(days=31)
        months = {"periodFrom": start.isoformat()[:7], "periodTo": end.isoformat()[:7]}
        return [self._income_row(kind, cell) | months for kind in INCOME_KINDS]

    def _income_row(self, kind: str, cell: Column) -> dict[str, Any]:
        declared = self._money(cell) * 12
        return {
            "kind": kind,
            "declaredFen": declared,
            "foundFen": declared + self.dice.choice([0, 0, 0, 30_000]),
        }


_SIGNERS: Final = (
    "林小满",
    "周立秋",
    "许谷雨",
    "沈白露",
    "何清明",
    "唐惊蛰",
    "陆冬至",
    "程夏至",
    "柳春分",
    "方大寒",
)
_PLAIN_SENTENCES: Final = (
    "情况与申报一致，未发现异常。",
    "经现场查看属实。",
    "已向本人和邻居了解，情况属实。",
)
_SENTENCES: Final[dict[str, tuple[str, ...]]] = {
    "person_met_name": _SIGNERS,
    "neighbour_name": _SIGNERS,
    "illness": ("高血压", "糖尿病", "腰椎间盘突出", "肢体残疾", "脑梗死后遗症"),
    "complaint_number": ("举报〔2026〕0017号", "举报〔2026〕0042号"),
    "talk_record": (
        "问：家里现在几口人？答：和户口簿上一样。问：收入靠什么？答：打零工，再加养老金。问：有什么困难？答：看病花钱多。",
        "问：孩子在哪里上学？答：镇上中学，住校。问：地还种吗？答：种两亩，够吃。问：钱都按月到账吗？答：按月到账。",
    ),
    "opinion": (
        "家庭收入低于标准，建议按规定办理。",
        "情况与上次一致，建议维持。",
        "部分收入待核对，建议补充材料。",
    ),
    "obligors": ("长子在邻县打工，已成家，有两个孩子上学。", "女儿出嫁外地，务农，生活一般。"),
    "vehicle_note": ("旧面包车一辆，2012 年购买，登记在户主名下。",),
    "given_goods": ("大米 2 袋、食用油 1 桶", "棉被 1 床、面粉 1 袋"),
}
