"""Records of the work beside the visits, as a phone sends them."""

import hashlib
import itertools
from datetime import timedelta
from typing import Any

import msgspec

from server.checklists.examples import make_example_answers
from server.checklists.facts import Facts
from server.checklists.template import Template
from server.core.clock import CHINA, utc_now
from server.core.ids import new_id
from tests.phones import Json, Phone, fix_at, tiny_photo


class RecordKit:
    """A record ready to be pushed, with its photos."""

    def __init__(self, record: Json, evidence: list[Json], photos: dict[str, bytes]) -> None:
        self.record = record
        self.evidence = evidence
        self.photos = photos


async def make_record(phone: Phone, kind: str = "publicity", *, photos: int = 1, **changes: Any) -> RecordKit:
    """A submitted record in the village of the phone's first home, with a photo."""
    home = min((await phone.pull("households")).values(), key=lambda item: item["number"])
    checklist = next(item for item in (await phone.pull("checklists")).values() if item["kind"] == kind)
    started = utc_now().replace(microsecond=0) - timedelta(minutes=50)
    record_id = str(new_id())
    pictures = [tiny_photo(number) for number in range(photos)]
    evidence = [_announce(record_id, picture, started.isoformat()) for picture in pictures]
    ids = itertools.cycle(item["id"] for item in evidence) if evidence else None
    record = {
        "id": record_id,
        "kind": kind,
        "checklistCode": checklist["code"],
        "checklistVersion": checklist["version"],
        "state": "submitted",
        "areaCode": home["areaCode"],
        "taskId": None,
        "startedAt": started.isoformat(),
        "endedAt": (started + timedelta(minutes=40)).isoformat(),
        "fix": fix_at(home, started),
        "people": [{"name": name} for name in ("吴麦青", "郑稻声", "冯谷雨")],
        "answers": make_example_answers(
            msgspec.convert(checklist["body"], Template),
            [],
            7,
            facts=Facts(started.astimezone(CHINA).date()),
            evidence_ids=ids,
        ),
        "photos": [{"id": item["id"], "sha256": item["sha256"]} for item in evidence],
        "_deleted": False,
    } | changes
    return RecordKit(record, evidence, {item["id"]: picture for item, picture in zip(evidence, pictures, strict=True)})


def _announce(record_id: str, picture: bytes, captured_at: str) -> Json:
    return {
        "id": str(new_id()),
        "subjectKind": "record",
        "subjectId": record_id,
        "questionId": "photo_publicity",
        "sha256": hashlib.sha256(picture).hexdigest(),
        "sizeBytes": len(picture),
        "mediaType": "image/jpeg",
        "capturedAt": captured_at,
        "_deleted": False,
    }


async def push_record(phone: Phone, kit: RecordKit) -> None:
    """All of a record: its photos announced, itself, and the bytes."""
    assert await phone.push("evidence", *kit.evidence) == []
    assert await phone.push("records", kit.record) == []
    for photo_id, picture in kit.photos.items():
        answer = await phone.upload(photo_id, picture)
        assert answer.status_code in {200, 201}, answer.text


async def find_handout_task(phone: Phone) -> Json:
    """The one task of handouts that the phone carries."""
    (task,) = [item for item in (await phone.pull("tasks")).values() if item["kind"] == "handout"]
    return task


async def make_handout(
    phone: Phone, task: Json, home: Json, *, picture: bytes | None = None, **answers: Any
) -> RecordKit:
    """A submitted handout of one home of a task: to its head, as agreed, with a signature."""
    picture = picture or tiny_photo(1)
    kit = await make_record(
        phone, "handout", photos=0, taskId=task["id"], subjectKind=home["subjectKind"], subjectId=home["id"],
        areaCode=task["areaCode"], people=[],
    )  # fmt: skip
    signature = _announce(kit.record["id"], picture, kit.record["startedAt"]) | {"questionId": "sign_recipient"}
    kit.evidence, kit.photos = [signature], {signature["id"]: picture}
    signed = {"evidenceId": signature["id"], "signerName": home["headName"], "signedAt": kit.record["startedAt"]}
    kit.record["photos"] = [{"id": signature["id"], "sha256": signature["sha256"]}]
    kit.record["answers"] = {
        "given_outcome": "handed_out", "given_to": "head", "given_as_agreed": True, "signed_how": "signature",
        "sign_recipient": [signed],
    } | answers  # fmt: skip
    return kit
