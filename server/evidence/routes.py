"""`/desk/v1`: the evidence bundle of a visit as one file."""

from collections.abc import AsyncIterator
from tempfile import TemporaryFile
from typing import IO
from uuid import UUID

from litestar import Router, get
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.response import Stream

from server.core.clock import utc_now
from server.core.http import BEARER, Officer, ServicesDep, Session, error_responses
from server.core.threads import run_in_thread
from server.evidence.bundle import export_bundle
from server.evidence.dossier import RenderFinding
from server.http.reads import reads

_PIECE_BYTES = 256 * 1024


@get(
    "/visits/{visit_id:uuid}/bundle",
    opt=reads("bundle"),
    media_type="application/zip",
    responses=error_responses(
        "auth.required",
        "auth.token_invalid",
        "auth.token_expired",
        "auth.device_ended",
        "auth.forbidden",
        "thing.not_found",
        "review.blind",
        "evidence.visit_not_submitted",
        "store.unavailable",
    ),
    description="Photos, signed manifest, receipt and a printed sheet in one ZIP; "
    "`python -m server verify-bundle` verifies it offline.",
)
async def export_visit(
    visit_id: FromPath[UUID],
    officer: Officer,
    session: Session,
    services: ServicesDep,
    render_finding: NamedDependency[RenderFinding],
) -> Stream:
    await session.close()  # photos are fetched without an open transaction
    file = TemporaryFile()  # noqa: SIM115  closed by _stream
    try:
        await export_bundle(services, officer, visit_id, file, render_finding=render_finding, now=utc_now())
    except BaseException:
        file.close()
        raise
    size = file.seek(0, 2)
    file.seek(0)
    headers = {
        "Content-Disposition": f'attachment; filename="visit-{visit_id}.zip"',
        "Content-Length": str(size),
        "Cache-Control": "no-store",
    }
    return Stream(_stream(file), media_type="application/zip", headers=headers)


async def _stream(file: IO[bytes]) -> AsyncIterator[bytes]:
    with file:
        while piece := await run_in_thread(file.read, _PIECE_BYTES):
            yield piece


router = Router("/desk/v1", route_handlers=[export_visit], tags=["desk"], security=BEARER)
