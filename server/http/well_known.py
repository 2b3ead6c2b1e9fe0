"""`/.well-known`: the public keys that verify receipts."""

from typing import Any

from litestar import Router, get

from server.core.http import ServicesDep
from server.http.reads import NOTHING_PERSONAL


@get(
    "/zoufang-receipt-keys.json",
    opt=NOTHING_PERSONAL,
    description="The public keys that receipts are verified with, as a JWK Set (RFC 7517), retired keys included.",
)
async def get_receipt_keys(services: ServicesDep) -> dict[str, Any]:
    return services.receipts.public_keys()


router = Router("/.well-known", route_handlers=[get_receipt_keys], tags=["public"])
