"""Visits of the workload and requests that push them.

Each visit has 8 texts of 60–80 bytes, 8 single choices, 2 multiple choices of 2, 4 integers, 1 amount, 1 geopoint,
1 date and 4 photo names, and a new id.
"""

import random
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from bench.load import Request
from server.checklists.template import Template
from server.core.clock import utc_now
from server.core.ids import new_id

TEXTS = 12  # 8 texts and 4 photo names
Json = dict[str, Any]


def make_template(code: str = "bench", extra: Sequence[Json] = ()) -> Template:
    kinds: list[Json] = [{"id": f"text_{n}", "kind": "text"} for n in range(TEXTS)]
    choices = [{"code": code, "label": _label(code)} for code in ("a", "b", "c")]
    kinds += [{"id": f"choice_{n}", "kind": "choice", "choices": choices} for n in range(8)]
    kinds += [{"id": f"multi_{n}", "kind": "multi_choice", "choices": choices} for n in range(2)]
    kinds += [{"id": f"integer_{n}", "kind": "integer"} for n in range(4)]
    kinds += [{"id": "amount", "kind": "money"}, {"id": "place", "kind": "geopoint"}, {"id": "day", "kind": "date"}]
    kinds += extra
    questions = [{**kind, "label": _label(kind["id"]), "required": True} for kind in kinds]
    return msgspec.convert(
        {
            "code": code,
            "kind": "review",
            "version": 1,
            "title": _label("bench"),
            "sections": [{"id": "all", "title": _label("all"), "questions": questions}],
        },
        Template,
    )


def _label(text: str) -> Json:
    return {"zh": f"题 {text}", "en": text}


CHARACTERS = "家庭住房收入劳动能力患病残疾学生老人土墙瓦房电视冰箱自来水柴火存粮欠债赡养邻居反映情况属实"


def make_visit(household: Json, investigators: list[str], chance: random.Random, photos: list[Json]) -> Json:
    ended = utc_now() - timedelta(minutes=chance.randint(1, 600))
    started = ended - timedelta(minutes=chance.randint(15, 60))
    answers: Json = {f"text_{n}": "".join(chance.choices(CHARACTERS, k=chance.randint(20, 26))) for n in range(TEXTS)}
    answers |= {f"choice_{n}": chance.choice("abc") for n in range(8)}
    answers |= {f"multi_{n}": chance.sample("abc", 2) for n in range(2)}
    answers |= {f"integer_{n}": chance.randint(0, 99) for n in range(4)}
    answers |= {"amount": chance.randint(0, 500_000), "day": "2026-11-01"}
    answers["place"] = {key: value for key, value in _fix(household, started).items() if key != "capturedAt"}
    return {
        "id": str(new_id()),
        "householdId": household["id"],
        "kind": "review",
        "checklistCode": "bench",
        "checklistVersion": 1,
        "state": "submitted",
        "startedAt": started.isoformat(),
        "endedAt": ended.isoformat(),
        "startFix": _fix(household, started),
        "endFix": _fix(household, ended),
        "investigatorIds": investigators,
        "familyPresent": [],
        "answers": answers,
        "photos": photos,
        "_deleted": False,
    }


def _fix(household: Json, at: datetime) -> Json:
    return {
        "latitude": household["latitude"],
        "longitude": household["longitude"],
        "datum": "wgs84",
        "accuracyM": 12.0,
        "capturedAt": at.isoformat(),
    }


def iter_pushes(households: list[Json], investigators: list[str], *, batch: int, seed: int) -> Iterator[Request]:
    """Yield push requests without end, each with `batch` new visits."""
    chance = random.Random(seed)
    while True:
        visits = [make_visit(chance.choice(households), investigators, chance, []) for _ in range(batch)]
        yield make_push("visits", visits)


def make_push(collection: str, documents: list[Json]) -> Request:
    rows = [{"newDocumentState": document} for document in documents]
    return "POST", f"/field/v1/sync/{collection}/1/push", "application/json", msgspec.json.encode(rows)
