"""What the audit trail says of a package."""

from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.audit.actions import Action
from server.core.access import Caller
from server.core.age_files import public_key_line
from server.packages.files import Manifest

_LETTERS = 16


def fingerprint(public_key: str) -> str:
    """Return by what people recognise a key, also without a program: the last 16 letters of its line.

    They hold 50 bits of the key and the 30 of its check letters, which follow from all of it.
    """
    return public_key_line(public_key.encode())[-_LETTERS:]


def spell_fingerprint(typed: str) -> str:
    """Return the letters that were typed as they are kept, however people group them; also of the whole line."""
    return "".join(letter for letter in typed.lower() if letter.isalnum())[-_LETTERS:]


def record_export(
    session: AsyncSession, caller: Caller | None, manifest: Manifest, area: str, public_key: str, reason: str
) -> None:
    audit.record(
        session,
        caller,
        Action.PACKAGE_EXPORTED,
        "package",
        manifest.digest,
        area_code=area,
        reason=reason,
        key=fingerprint(public_key),
        rows=manifest.contents.rows(),
        objects=manifest.contents.objects,
    )
