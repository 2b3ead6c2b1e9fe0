"""Which routes show personal data, and the one place that writes their line of the read trail.

Every GET route declares in its `opt` what it shows: `reads("household")`, or `NOTHING_PERSONAL`. `log_looks` runs after
each handler: it writes the line, and the audit entries of the request's reading session, when the session has ended and
before the first byte of the answer leaves.
"""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from litestar import Request, Response
from litestar.types import ASGIApp, Receive, Scope, Send
from msgspec import Struct

from server.audit.reads import Look, ReadAction, log_look, write_after_reading
from server.core.database import AutocommitPool, LaterStatement
from server.core.free_text import mask_numbers
from server.core.paging import Page

# The key of a handler's `opt`.
READS = "reads"
# The key of a request's state: what its reading session leaves to be written.
LATER_STATEMENTS = "later_statements"
READING_METHODS = frozenset({"GET", "HEAD"})
# Search text may name a person; where a phone stands is of no interest.
_LEFT_OUT = {"q", "digest"}
_SUCCESS = range(200, 300)
# An address may carry fields that no route has.
_FILTERS_MOST, _FILTER_LONGEST = 30, 200


class Reads(Struct, frozen=True):
    """What a route shows. Without `action` it is "listed" for a list and "opened" for a single thing."""

    thing_kind: str
    action: ReadAction | None = None


NOTHING_PERSONAL: Mapping[str, Reads | None] = {READS: None}


def reads(thing_kind: str, action: ReadAction | None = None) -> dict[str, Reads | None]:
    """Return the `opt` of a route that shows personal data."""
    return {READS: Reads(thing_kind, action)}


class LookedAt(Response[Any]):
    """Wraps the answer of a handler, so that its line is written before it is sent."""

    def __init__(self, answer: Response[Any]) -> None:
        self._answer = answer

    def to_asgi_response(self, *, request: Request[Any, Any, Any], **options: Any) -> ASGIApp:  # type: ignore[override]
        send_answer = self._answer.to_asgi_response(request=request, **options)
        declared: Reads | None = request.route_handler.opt.get(READS)
        # A handler that returns a Response may leave the status to its route.
        status = self._answer.status_code or options.get("status_code")
        is_look = declared is not None and status in _SUCCESS
        look = _describe_look(request, declared, self._answer) if declared and is_look else None
        waiting: list[LaterStatement] = request.scope["state"].get(LATER_STATEMENTS) or []
        if look is None and not waiting:
            return send_answer

        async def send_after_line(scope: Scope, receive: Receive, send: Send) -> None:
            autocommit: AutocommitPool = request.app.state.services.autocommit
            await write_after_reading(autocommit, waiting)
            if look is not None:
                await log_look(autocommit, scope["state"]["caller"], look)
            await send_answer(scope, receive, send)

        return send_after_line


async def log_looks(answer: Response[Any]) -> Response[Any]:
    """Run after each handler (`after_request`). A coroutine, because Litestar gives anything else to a thread."""
    return LookedAt(answer)


def _describe_look(request: Request[Any, Any, Any], declared: Reads, answer: Response[Any]) -> Look | None:
    """Return the look, or None when a pull had nothing to give."""
    content = answer.content
    rows = _rows(content)
    shown = getattr(answer, "rows_shown", 1 if rows is None else sum(_homes(row) for row in rows))
    if declared.action == "pulled" and not rows:
        return None
    ids = [value for value in request.path_params.values() if isinstance(value, UUID)]
    area = getattr(content, "area_code", None) or request.query_params.get("area") or request.query_params.get("under")
    return Look(
        action=declared.action or ("opened" if rows is None else "listed"),
        thing_kind=declared.thing_kind,
        thing_id=str(ids[-1]) if ids else None,
        area_code=area or None,
        shown=shown,
        filters=select_filters(request.query_params.dict()),
    )


def _rows(content: Any) -> Sequence[Any] | None:
    """Return the rows of a list or a pull, None for a single thing."""
    if isinstance(content, Page):
        return content.items
    if isinstance(content, list):
        return content
    documents = getattr(content, "documents", None)
    return documents if isinstance(documents, list) else None


def _homes(row: Any) -> int:
    """A task that is done home by home shows each of them."""
    homes = row.get("homes") if isinstance(row, dict) else None
    return max(len(homes), 1) if isinstance(homes, list) else 1


def select_filters(query: Mapping[str, Any]) -> dict[str, Any]:
    """Return the filters of a request as the read trail keeps them: of a search only that there was one."""
    return {
        _shorten(key): "…" if key in _LEFT_OUT else _shorten_all(values)
        for key, values in itertools.islice(query.items(), _FILTERS_MOST)
    }


def _shorten_all(values: Any) -> Any:
    texts = [_shorten(str(value)) for value in (values if isinstance(values, list) else [values])][:_FILTERS_MOST]
    return texts[0] if len(texts) == 1 else texts


def _shorten(text: str) -> str:
    """Keep no identity or card number in the trail, whatever a caller writes into an address, and nothing long."""
    return mask_numbers(text)[:_FILTER_LONGEST]
