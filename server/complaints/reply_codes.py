"""Replace the unkeyed hashes of codes, of complaints and of objections alike, by keyed ones."""

from typing import Any

from sqlalchemy import func, select

from server.core import jobs
from server.core.database import open_session
from server.core.job_types import KeyReplyCodes
from server.core.reply_codes import UNKEYED_LENGTH, key_hash
from server.core.services import Services
from server.models.complaints import Complaint
from server.models.postings import Objection

_BATCH = 1000


@jobs.task(KeyReplyCodes, cron="*/10 * * * *")
async def key_reply_codes(services: Services, _: KeyReplyCodes) -> None:
    """Key what is unkeyed. The codes that people hold stay valid."""
    models: tuple[type[Complaint | Objection], ...] = (Complaint, Objection)
    for model in models:
        while await _key_batch(services, model):
            pass


async def _key_batch(services: Services, model: type[Complaint | Objection]) -> bool:
    async with open_session(services.sessions) as session:
        unkeyed: Any = select(model).where(func.octet_length(model.code_hash) == UNKEYED_LENGTH)
        rows: list[Complaint | Objection] = list(
            await session.scalars(unkeyed.limit(_BATCH).with_for_update(skip_locked=True))
        )
        for row in rows:
            row.code_hash = key_hash(services.encryption, row.code_hash)
        return len(rows) == _BATCH
