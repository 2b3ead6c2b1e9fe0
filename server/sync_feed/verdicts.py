"""A pushed row on its way: what came, and what became of it."""

from typing import Any, Generic, NamedTuple, TypeVar

from msgspec import Struct

from server.core.errors import Problem
from server.sync_feed.documents import Document

D = TypeVar("D", bound=Document)


class Incoming(NamedTuple, Generic[D]):
    """A row that could be read. Hashes are of the phone's part alone (see `client_part`)."""

    document: D
    # The phone's part as it was sent, to be kept and given back unchanged.
    told: dict[str, Any]
    content_hash: str
    # What the phone believes the server holds; None when it believes: nothing.
    assumed_hash: str | None


class Applied(Struct, frozen=True):
    """Stored now, or stored before with the same content (`again`): success either way."""

    again: bool = False


class Conflict(Struct, frozen=True):
    """Another version stands here; the phone gets it back and its own is kept aside, with the reason if any."""

    problem: Problem | None = None


class Quarantine(Struct, frozen=True):
    """It can't be applied; it is kept with its reason and goes back with it."""

    problem: Problem


Verdict = Applied | Conflict | Quarantine


def judge(incoming: Incoming[Any], stored_hash: str) -> Verdict | None:
    """Of a row that exists: the same content again, a conflict, or None when the change may be tried."""
    if incoming.content_hash == stored_hash:
        return Applied(again=True)
    return None if incoming.assumed_hash == stored_hash else Conflict()
