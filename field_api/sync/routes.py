"""`/field/v1/sync`: RxDB's wire, fixed by its own HTTP servers and client. Each collection has routes of its own, so
that the schema of the API holds its documents.
"""

from collections.abc import AsyncIterator
from typing import Annotated, Any

from litestar import Request, Response, get, post
from litestar.datastructures import State
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, FromQuery, HeaderParameter, QueryParameter
from litestar.response import Stream

from field_api.sync import pull as pulling
from field_api.sync import push as pushing
from field_api.sync.advertised import Advertised, advertise
from field_api.sync.collections import COLLECTIONS, Collection
from field_api.sync.device import DeviceReport, note_device
from field_api.sync.live import Watch
from field_api.sync.pull import PAGE, Asked, PulledPage, served_collection
from field_api.sync.served import QuarantinedRow, Tombstone
from server.core.clock import utc_now
from server.core.device_times import parse_device_clock
from server.core.errors import Problem
from server.core.http import (
    ANSWER,
    REQUEST_BODY,
    SIGNED_IN_ERRORS,
    FieldStaff,
    ServicesDep,
    Session,
    any_of,
    error_responses,
)
from server.http.reads import NOTHING_PERSONAL, reads
from server.sync_feed.verdicts import PushedRow

# Who asks decides what comes, and a cache asks again each time.
_CACHING = {"Cache-Control": "private, no-cache", "Vary": "Authorization, Accept-Encoding"}

AppVersion = Annotated[
    str | None,
    HeaderParameter(name="X-App-Version", max_length=200, description="Kept with the device, for the desk."),
]
PendingRows = Annotated[
    int | None,
    HeaderParameter(
        name="X-Pending-Rows", ge=0, le=2_147_483_647, description="How many rows the phone has yet to push."
    ),
]
DeviceTime = Annotated[
    str | None,
    HeaderParameter(
        name="X-Device-Time",
        max_length=64,
        description="The phone's clock as it asks, RFC 3339. What is no time is passed over.",
    ),
]
Digest = Annotated[
    str | None,
    QueryParameter(
        pattern="^[0-9a-f]{64}$",
        description="What the phone holds: XOR over its documents of SHA-256(id, line feed, server.rev), in hex. "
        "Compared when the page is empty.",
    ),
]


@get(
    "/sync",
    opt=NOTHING_PERSONAL,
    responses=SIGNED_IN_ERRORS,
    description="The collections of this server, the version of their schema and every field that it takes of a "
    "phone's documents. A phone sends a field only to a server that lists it here.",
)
async def list_collections(field_staff: FieldStaff) -> list[Advertised]:
    del field_staff
    return [advertise(name, collection) for name, collection in COLLECTIONS.items()]


def _noun(collection: Collection) -> str:
    """`Visit`, of a collection that serves `ServedVisit`."""
    return collection.served.__name__.removeprefix("Served")


def _pull(name: str, collection: Collection) -> HTTPRouteHandler:
    page: Any = PulledPage[any_of(f"Pulled{_noun(collection)}", collection.served, Tombstone, QuarantinedRow)]  # type: ignore[misc]

    @get(
        f"/sync/{name}/{{schema_version:int}}/pull",
        operation_id=f"pull_{name}",
        summary=f"Pull {name}",
        opt={ANSWER: page, **(NOTHING_PERSONAL if name == "checklists" else reads(name, "pulled"))},
        responses=SIGNED_IN_ERRORS
        | error_responses("sync.schema_version_gone", "sync.page_too_long", "sync.digest_mismatch")
        | {304: ResponseSpec(None, description="Still nothing after this checkpoint.", generate_examples=False)},
        description=f"RxDB replication pull of `{name}`: what changed for this person since the checkpoint `lwt` and "
        "`id`, oldest first. A page shorter than `limit` is the last. A document that this person no longer has comes "
        "as a tombstone, a row in quarantine as the phone sent it.",
    )
    async def pull_documents(
        schema_version: FromPath[int],
        field_staff: FieldStaff,
        session: Session,
        lwt: FromQuery[int] = 0,
        after_id: Annotated[str, QueryParameter(name="id")] = "",
        limit: FromQuery[int] = PAGE,
        digest: Digest = None,
        if_none_match: Annotated[str | None, HeaderParameter(name="If-None-Match")] = None,
        app_version: AppVersion = None,
        pending_rows: PendingRows = None,
        device_time: DeviceTime = None,
    ) -> Response[Any]:
        request = Asked(lwt=lwt, after_id=after_id, limit=limit, digest=digest)
        page = await pulling.pull(session, field_staff, name, schema_version, request)
        note_device(
            session, field_staff, DeviceReport(app_version, pending_rows, parse_device_clock(device_time)), utc_now()
        )
        return _answer_page(page, if_none_match)

    return pull_documents


def _answer_page(page: pulling.PulledPage[Any], if_none_match: str | None) -> Response[Any]:
    """Only an empty page has an ETag: it is what a phone that waits for news gets again and again."""
    if page.documents:
        return Response(page, headers=_CACHING)
    headers = {**_CACHING, "ETag": page.checkpoint.etag}
    if if_none_match == page.checkpoint.etag:
        return Response(None, status_code=304, headers=headers)
    return Response(page, headers=headers)


def _push(name: str, collection: Collection) -> HTTPRouteHandler:
    returned: Any = list[any_of(f"Returned{_noun(collection)}", collection.served, QuarantinedRow)]  # type: ignore[misc]

    @post(
        f"/sync/{name}/{{schema_version:int}}/push",
        operation_id=f"push_{name}",
        summary=f"Push {name}",
        status_code=200,
        opt={REQUEST_BODY: list[PushedRow[collection.document]], ANSWER: returned},  # type: ignore[name-defined]
        responses=SIGNED_IN_ERRORS
        | error_responses(
            "request.not_json",
            "request.invalid",
            "request.too_large",
            "sync.batch_too_long",
            "sync.schema_version_gone",
        ),
        description=f"RxDB replication push of `{name}`: an array of `{{newDocumentState, assumedMasterState?}}`, at "
        f"most {pushing.LONGEST_BATCH}. Answers with the server's state of every row that did not go through; `[]` "
        "when all did. A row that breaks the schema or a rule comes back with `server.state` `quarantined` and its "
        "reason, and holds up no other. Fields that the server does not know are kept with the document.",
    )
    async def push_documents(
        schema_version: FromPath[int],
        request: Request[Any, Any, Any],
        field_staff: FieldStaff,
        session: Session,
        services: ServicesDep,
    ) -> list[dict[str, Any]]:
        body = await request.body()
        return await pushing.push(session, services, field_staff, name, schema_version, body)

    return push_documents


def _refuse_push(name: str) -> HTTPRouteHandler:
    @post(f"/sync/{name}/{{schema_version:int}}/push", include_in_schema=False)
    async def refuse_push(schema_version: FromPath[int], field_staff: FieldStaff) -> None:
        del field_staff
        served_collection(name, schema_version)
        raise Problem("sync.collection_read_only")

    return refuse_push


@get(
    "/sync/stream",
    operation_id="stream_changes",
    summary="Stream changes",
    opt=NOTHING_PERSONAL,
    media_type="text/event-stream",
    responses=SIGNED_IN_ERRORS,
    description="Server-sent events for a phone's live replication of all collections. An event `changed` has a JSON "
    "array with the names of collections: pull them now. It comes when there is something new and, with all names, "
    "when the server is unsure. A comment every 20 seconds keeps the line open. One stream a phone is enough.",
)
async def stream_changes(field_staff: FieldStaff, services: ServicesDep, state: State) -> Stream:
    return _answer_stream(_watch(services, state).stream(field_staff, COLLECTIONS))


def _stream(name: str) -> HTTPRouteHandler:
    @get(
        f"/sync/{name}/{{schema_version:int}}/pullStream",
        operation_id=f"stream_{name}",
        summary=f"Stream {name}",
        opt=NOTHING_PERSONAL,
        media_type="text/event-stream",
        responses=SIGNED_IN_ERRORS | error_responses("sync.schema_version_gone"),
        description=f"Server-sent events as RxDB's own client expects them, for `{name}` alone. An event `open` means: "
        "pull now. `/sync/stream` does it for all collections on one line.",
    )
    async def stream_collection(
        schema_version: FromPath[int], field_staff: FieldStaff, services: ServicesDep, state: State
    ) -> Stream:
        served_collection(name, schema_version)
        return _answer_stream(_watch(services, state).stream(field_staff, [name], names_them=False))

    return stream_collection


def _watch(services: ServicesDep, state: State) -> Watch:
    watch: Watch = state.setdefault("sync_watch", None) or Watch(services)
    state.sync_watch = watch
    return watch


def _answer_stream(events: AsyncIterator[bytes]) -> Stream:
    headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
    return Stream(events, media_type="text/event-stream", headers=headers)


_UNKNOWN = "/sync/{collection:str}/{schema_version:int}"


@get([f"{_UNKNOWN}/pull", f"{_UNKNOWN}/pullStream"], include_in_schema=False)
async def pull_unknown(collection: FromPath[str], schema_version: FromPath[int], field_staff: FieldStaff) -> None:
    del field_staff
    served_collection(collection, schema_version)


@post(f"{_UNKNOWN}/push", include_in_schema=False)
async def push_unknown(collection: FromPath[str], schema_version: FromPath[int], field_staff: FieldStaff) -> None:
    del field_staff
    served_collection(collection, schema_version)


sync_handlers = [
    list_collections,
    stream_changes,
    *(_pull(name, collection) for name, collection in COLLECTIONS.items()),
    *(_push(name, item) if item.apply else _refuse_push(name) for name, item in COLLECTIONS.items()),
    *(_stream(name) for name in COLLECTIONS),
    pull_unknown,
    push_unknown,
]
