r"""What a phone holds, as one number: so that a phone that lost or kept something notices by itself.

The digest of a collection is the XOR, over every document that came from the server, of
`SHA-256(id + "\n" + server.rev)`, in UTF-8, as 64 lower-case hex digits; of nothing it is 64 zeros. The
order of documents does not matter. `server.rev` stands in every pulled document and changes whenever the
server sends it anew, so a document with local changes still counts by the state it was taken from; one
that the server has never sent back does not count. A phone that has deletions waiting sends no digest.
`tests/clients/phones.mjs` has the twin in JavaScript.
"""

from typing import Any

from sqlalchemy import Text, cast, func, literal, select
from sqlalchemy.dialects.postgresql import BIT

from server.core.access import Caller
from server.models.feed import Feed

NOTHING = "0" * 64


def select_digest(caller: Caller, collection: str) -> Any:
    """Select what a phone of the caller holds when it has pulled everything; no document is read."""
    result = Feed.doc_id + literal("\n") + cast(Feed.xid, Text)
    hashed = func.encode(func.sha256(func.convert_to(result, "UTF8")), "hex")
    return (
        select(func.bit_xor(cast(literal("x") + hashed, BIT(256))))
        .where(Feed.staff_id == caller.id, Feed.collection == collection, Feed.is_deleted.is_(False))
        .scalar_subquery()
    )


def format_digest(total: Any) -> str:
    return NOTHING if total is None else f"{int(total, 2):064x}"
