"""`/field/v1`: sync and photos, for phones."""

from litestar import Router

from field_api.sync.routes import sync_handlers
from field_api.uploads.routes import photo_router
from server.core.http import BEARER

router = Router(
    "/field/v1",
    route_handlers=[*sync_handlers, photo_router],
    tags=["field"],
    security=BEARER,
)
