"""The kinds of work beside the home visits. A kind is a checklist, and a line here: what a record of it needs.

To add one: its checklist (`server/checklists/shipped/records.py`), a line here, its name in `RECORD_KINDS`
(`server/models/records.py`), in `RecordKind` of the wire and of the checklists, and a migration of the constraints.
"""

from collections.abc import Mapping
from typing import NamedTuple

from server.core.job_types import EnterHandouts
from server.core.jobs import Job


class Declaration(NamedTuple):
    """`subject_kind`: what a record is about besides its village. `people_least`: how many people it has to name."""

    subject_kind: str | None = None
    people_least: int = 0
    # One record does a task. Else whoever the record feeds says when it is done.
    does_task: bool = True
    # The job of the room that takes its submitted records, where it does not look for them itself.
    feeds: Job | None = None


DECLARATIONS: Mapping[str, Declaration] = {
    "publicity": Declaration(),
    "meeting": Declaration(people_least=3),
    # Feeds the proof of a posting: `server/postings/field_places.py`.
    "posting": Declaration("posting", does_task=False),
    # Feeds the ledger of aid: `server/aid/phone_records.py`.
    "handout": Declaration("aid_line", does_task=False, feeds=EnterHandouts()),
    # Talk, signatures and photos. Who applies, with ID numbers, comes beside it: `server/cases/door_applications.py`.
    "application": Declaration(),
}
