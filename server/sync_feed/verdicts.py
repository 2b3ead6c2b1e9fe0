"""A pushed row and its verdict: applied, conflict or quarantine."""

from typing import Any, Generic, NamedTuple, TypeVar

from msgspec import Struct

from server.core.errors import Problem
from server.sync_feed.documents import Document

D = TypeVar("D", bound=Document)


class Incoming(NamedTuple, Generic[D]):
    """A pushed row that could be decoded. Hashes cover the phone's part alone (see `client_part`)."""

    document: D
    # The phone's part as sent, stored and returned unchanged.
    raw: dict[str, Any]
    content_hash: str
    # The hash the phone assumes the server holds; None when it assumes nothing is there.
    assumed_hash: str | None


class Applied(Struct, frozen=True):
    """Stored now, or stored before with the same content (`again`): both are a success."""

    again: bool = False


class Conflict(Struct, frozen=True):
    """The server holds another version: the phone gets it, its own is kept as a lost conflict, with a reason if any."""

    problem: Problem | None = None


class Quarantine(Struct, frozen=True):
    """The row can't be applied: it is kept and returned with the reason."""

    problem: Problem


Verdict = Applied | Conflict | Quarantine


def judge(incoming: Incoming[Any], stored_hash: str) -> Verdict | None:
    """Compare with the stored row: the same content, a conflict, or None when the change may be applied."""
    if incoming.content_hash == stored_hash:
        return Applied(again=True)
    return None if incoming.assumed_hash == stored_hash else Conflict()
