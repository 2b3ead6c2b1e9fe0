"""A pushed row and its verdict: applied, conflict or quarantine."""

from typing import Annotated, Any, Generic, NamedTuple, TypeVar

from msgspec import Meta, Struct

from server.core.errors import Problem
from server.sync_feed.documents import Document

D = TypeVar("D", bound=Document)


class PushedRow(Struct, Generic[D], rename="camel"):
    """RxDB's row, for the schema: the new state, and the state the phone took it from (null: none).

    `push.py` reads each row by itself, so that one that breaks this shape is quarantined and holds up no other.
    """

    new_document_state: D
    assumed_master_state: Annotated[dict[str, Any] | None, Meta(description="As it was pulled.")] = None


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
    """The server holds another version: the phone gets it, its own is kept as a lost conflict, with a reason if any.

    `is_known`: the server holds the phone's version too, so nothing is lost and nothing is kept.
    """

    problem: Problem | None = None
    is_known: bool = False


class Quarantine(Struct, frozen=True):
    """The row can't be applied: it is kept and returned with the reason."""

    problem: Problem


Verdict = Applied | Conflict | Quarantine


def judge(incoming: Incoming[Any], stored_hash: str) -> Verdict | None:
    """Compare with the stored row: the same content, a conflict, or None when the change may be applied."""
    if incoming.content_hash == stored_hash:
        return Applied(again=True)
    return None if incoming.assumed_hash == stored_hash else Conflict()
