"""`/.well-known`: the public keys that verify receipts and audit seals, and the head of the audit trail."""

from datetime import datetime
from typing import Any

from litestar import Router, get

from server import audit
from server.core.http import ResponseBody, ServicesDep, Session
from server.http.reads import NOTHING_PERSONAL


class AuditHead(ResponseBody):
    """`head` is a signed statement (JWS) of position, hash and count of entries; nothing is set before the first."""

    head: str | None = None
    position: int | None = None
    entries: int | None = None
    sealed_at: datetime | None = None


@get(
    "/zoufang-receipt-keys.json",
    opt=NOTHING_PERSONAL,
    description="The public keys that receipts are verified with, as a JWK Set (RFC 7517), retired keys included.",
)
async def get_receipt_keys(services: ServicesDep) -> dict[str, Any]:
    return services.receipts.public_keys()


@get(
    "/zoufang-audit-keys.json",
    opt=NOTHING_PERSONAL,
    description="The public keys that audit seals are verified with, as a JWK Set (RFC 7517), retired keys included.",
)
async def get_audit_keys(services: ServicesDep) -> dict[str, Any]:
    return services.audit_signer.public_keys()


@get(
    "/zoufang-audit-head.json",
    opt=NOTHING_PERSONAL,
    description="The newest seal of the audit trail. Keep it elsewhere: `python -m server verify-audit --since` then "
    "shows whether the trail was cut off or written anew.",
)
async def get_audit_head(session: Session) -> AuditHead:
    head = await audit.load_head(session)
    if head is None:
        return AuditHead()
    return AuditHead(head=head.signature, position=head.position, entries=head.total, sealed_at=head.sealed_at)


router = Router("/.well-known", route_handlers=[get_receipt_keys, get_audit_keys, get_audit_head], tags=["public"])
