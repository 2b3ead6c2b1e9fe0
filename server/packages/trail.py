"""What the audit trail says of a package."""

import hashlib

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.core.access import Caller
from server.packages.files import Manifest


def fingerprint(recipient: X25519PublicKey) -> str:
    """Return by what people recognise a public key."""
    return hashlib.sha256(recipient.public_bytes_raw()).hexdigest()[:16]


def spell_fingerprint(typed: str) -> str:
    """Return a fingerprint as it is kept, however people group it."""
    return "".join(letter for letter in typed.lower() if letter.isalnum())


def record_export(
    session: AsyncSession, caller: Caller | None, manifest: Manifest, area: str, recipient: X25519PublicKey, reason: str
) -> None:
    audit.record(
        session,
        caller,
        Action.PACKAGE_EXPORTED,
        "package",
        manifest.digest,
        area_code=area,
        reason=reason,
        key=fingerprint(recipient),
        rows=manifest.contents.rows(),
        objects=manifest.contents.objects,
    )
