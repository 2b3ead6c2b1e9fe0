"""Every object of the store whose content rows name, with its hash: what a backup copies and a restore puts back."""

from collections.abc import AsyncIterator
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Text, cast, func, literal, select, true, union_all
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncSession

from media.store import original_key, rendition_key, watermarked_key
from server.core.database import fetch_pieces
from server.models.evidence import Evidence, Photo
from server.photos.store_check import has_watermark, select_mismatched, select_originals

_ROWS_A_PIECE = 1_000


class StoredObject(NamedTuple):
    """The SHA-256 of the content, and its key. A copy's key holds the hash of its original, so they differ."""

    content: str
    key: str


def select_stored_objects() -> Any:
    """Select (content, kind, sha256, name), by content. Hex sorts the same in any collation."""
    originals, mismatched = select_originals().subquery(), select_mismatched().subquery()
    copies = func.jsonb_each_text(Photo.copies).table_valued("key", "value").lateral()
    rows = union_all(
        select(originals.c.sha256.label("content"), literal("photo"), originals.c.sha256.label("sha256"), literal("")),
        select(mismatched.c.sha256, literal("mismatched"), mismatched.c.sha256, literal("")),
        select(copies.c.value, literal("rendition"), Photo.sha256, copies.c.key)
        .select_from(Photo)
        .join(copies, true()),
        select(Evidence.watermark_sha256, literal("watermark"), Evidence.sha256, cast(Evidence.id, Text)).where(
            has_watermark
        ),
    ).subquery()
    return select(rows).order_by(rows.c.content)


async def read_stored_objects(session: AsyncSession) -> AsyncIterator[StoredObject]:
    """Read all of them in the order of their content; memory stays flat."""
    dialect = postgresql.dialect(paramstyle="named")  # type: ignore[no-untyped-call]
    query = select_stored_objects().compile(dialect=dialect, compile_kwargs={"literal_binds": True})
    async for piece in fetch_pieces(session, str(query), _ROWS_A_PIECE):
        for row in piece:
            yield name_object(row)


def name_object(row: Any) -> StoredObject:
    """Return the object that a row of `select_stored_objects` names."""
    content, kind, sha256, name = row
    match kind:
        case "photo":
            key = original_key(sha256)
        case "mismatched":
            key = f"mismatched/{sha256}"
        case "rendition":
            key = rendition_key(sha256, name)
        case _:
            key = watermarked_key(sha256, UUID(name))
    return StoredObject(content, key)
