"""Access tokens (JWT, HS256, with `kid`, valid for minutes), refresh tokens and signed statements (JWS, EdDSA).

An access token names only a person and a device. Roles are read from the database at each request, so a revoked role
ends at once. Anyone can verify a receipt or a bundle with the published keys.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
import struct
from datetime import UTC, datetime, timedelta
from enum import StrEnum, unique
from functools import lru_cache
from typing import Any
from uuid import UUID

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import OKPAlgorithm
from msgspec import DecodeError, Struct, json

from server.core.canonical import canonical_json
from server.core.clock import utc_now
from server.core.errors import Problem
from server.core.keys import KeyRing

AUDIENCE = "zoufang"
# How far the clocks of two servers may differ before a token of one is refused by the other.
LEEWAY = timedelta(seconds=30)


class AccessClaims(Struct, frozen=True):
    person_id: UUID
    device_id: UUID
    is_resident: bool


def issue_access_token(ring: KeyRing, claims: AccessClaims, *, now: datetime, minutes: int) -> str:
    payload = {
        "sub": str(claims.person_id),
        "sid": str(claims.device_id),
        "typ": "resident" if claims.is_resident else "staff",
        "aud": AUDIENCE,
        "iat": now,
        "exp": now + timedelta(minutes=minutes),
    }
    return jwt.encode(payload, ring.keys[ring.current], algorithm="HS256", headers={"kid": ring.current})


def read_access_token(ring: KeyRing, token: str) -> AccessClaims:
    """Verify a token. Raise `auth.token_expired` or `auth.token_invalid`, without a more specific reason."""
    try:
        claims, expires_at = _decode(token, ring.keys[_key_id(token)])
    except jwt.ExpiredSignatureError:
        raise Problem("auth.token_expired", headers=_CHALLENGE) from None
    except (jwt.InvalidTokenError, KeyError, ValueError):
        raise Problem("auth.token_invalid", headers=_CHALLENGE) from None
    if utc_now().timestamp() >= expires_at + LEEWAY.total_seconds():
        raise Problem("auth.token_expired", headers=_CHALLENGE)
    return claims


# A phone sends the same token with every request for minutes; a token that was verified stays valid until it expires.
@lru_cache(maxsize=4096)
def _key_id(token: str) -> str:
    return str(jwt.get_unverified_header(token).get("kid", ""))


@lru_cache(maxsize=4096)
def _decode(token: str, key: bytes) -> tuple[AccessClaims, float]:
    payload = jwt.decode(
        token,
        key,
        algorithms=["HS256"],
        audience=AUDIENCE,
        leeway=LEEWAY,
        options={"require": ["exp", "sub", "sid", "typ"]},
    )
    claims = AccessClaims(UUID(payload["sub"]), UUID(payload["sid"]), payload["typ"] == "resident")
    return claims, float(payload["exp"])


_CHALLENGE = {"WWW-Authenticate": 'Bearer error="invalid_token"'}


_STEP_UP_AUDIENCE = "zoufang-step-up"


def issue_step_up_token(ring: KeyRing, claims: AccessClaims, *, expires_at: datetime) -> str:
    """Make the proof that a person confirmed on a device, a moment ago, that it is them."""
    payload = {
        "sub": str(claims.person_id),
        "sid": str(claims.device_id),
        "aud": _STEP_UP_AUDIENCE,
        "exp": expires_at,
    }
    return jwt.encode(payload, ring.keys[ring.current], algorithm="HS256", headers={"kid": ring.current})


def is_step_up_valid(ring: KeyRing, token: str, person_id: UUID, device_id: UUID) -> bool:
    """Tell whether the proof is of this person on this device and has not expired."""
    try:
        payload = jwt.decode(
            token,
            ring.keys[_key_id(token)],
            algorithms=["HS256"],
            audience=_STEP_UP_AUDIENCE,
            options={"require": ["exp", "sub", "sid"], "verify_exp": False},
        )
    except (jwt.InvalidTokenError, KeyError, ValueError):
        return False
    is_theirs: bool = (payload["sub"], payload["sid"]) == (str(person_id), str(device_id))
    return is_theirs and utc_now().timestamp() < float(payload["exp"])


class RefreshClaims(Struct, frozen=True):
    """What a refresh token says of itself. `position` counts the tokens of a device from 1."""

    device_id: UUID
    position: int
    expires_at: datetime


_REFRESH_LAYOUT = struct.Struct(">16sIQ16s")
_REFRESH_PURPOSE = b"zoufang refresh token\0"


def issue_refresh_token(ring: KeyRing, claims: RefreshClaims) -> str:
    """Make a refresh token: random, and signed, so that a database older than the token can still recognize it."""
    body = _REFRESH_LAYOUT.pack(
        claims.device_id.bytes, claims.position, int(claims.expires_at.timestamp()), secrets.token_bytes(16)
    )
    return base64.urlsafe_b64encode(body + _sign_refresh(ring.keys[ring.current], body)).decode()


def read_refresh_token(ring: KeyRing, token: str) -> RefreshClaims | None:
    """Return the claims of a token that any key of the ring signed; None for anything else."""
    try:
        raw = base64.b64decode(token, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    body, signature = raw[: _REFRESH_LAYOUT.size], raw[_REFRESH_LAYOUT.size :]
    if not any(hmac.compare_digest(_sign_refresh(key, body), signature) for key in ring.keys.values()):
        return None
    device, position, expires_at, _ = _REFRESH_LAYOUT.unpack(body)
    return RefreshClaims(UUID(bytes=device), position, datetime.fromtimestamp(expires_at, UTC))


def _sign_refresh(key: bytes, body: bytes) -> bytes:
    return hmac.digest(key, _REFRESH_PURPOSE + body, "sha256")


def hash_refresh_token(token: str) -> bytes:
    """Return the form in which the database holds a token; it never stores the token itself."""
    return hashlib.sha256(token.encode()).digest()


@unique
class StatementKind(StrEnum):
    """What a signature is for. The value is part of what is signed, so it never changes."""

    RECEIPT = "zoufang-receipt"
    BUNDLE = "zoufang-bundle"
    AUDIT_SEAL = "zoufang-audit-seal"


class StatementSigner:
    """Sign statements: compact JWS (RFC 7515) over canonical JSON, with EdDSA (RFC 8037).

    The kind of statement stands in the signed header and in the signed content: a signature of one kind never passes
    for another (RFC 8725, section 3.11).
    """

    def __init__(self, ring: KeyRing) -> None:
        self._kid = ring.current
        self._keys = {kid: Ed25519PrivateKey.from_private_bytes(seed) for kid, seed in ring.keys.items()}

    def sign(self, kind: StatementKind, statement: dict[str, Any]) -> str:
        return jwt.PyJWS().encode(
            canonical_json({"kind": kind.value, **statement}),
            self._keys[self._kid],
            algorithm="EdDSA",
            headers={"kid": self._kid, "typ": _header_type(kind)},
        )

    def public_keys(self) -> dict[str, Any]:
        """Return the JWK Set (RFC 7517) that the server publishes, including retired keys."""
        return {"keys": [_public_jwk(kid, key) for kid, key in self._keys.items()]}


def _header_type(kind: StatementKind) -> str:
    return f"{kind.value}+jws"


def _public_jwk(kid: str, key: Ed25519PrivateKey) -> dict[str, Any]:
    return {**OKPAlgorithm.to_jwk(key.public_key(), as_dict=True), "kid": kid, "use": "sig", "alg": "EdDSA"}


class StatementError(Exception):
    """The statement was not signed with any of the given keys, or is of another kind."""


def verify_receipt(receipt: str, key_set: dict[str, Any]) -> dict[str, Any]:
    """Verify a receipt with the published keys and return the signed statement."""
    return verify_statement(StatementKind.RECEIPT, receipt, key_set)


def verify_statement(kind: StatementKind, token: str, key_set: dict[str, Any]) -> dict[str, Any]:
    """Verify a statement of this kind with the published keys and return it."""
    try:
        header = jwt.get_unverified_header(token)
        jwk = next((key for key in key_set["keys"] if key.get("kid") == header.get("kid")), None)
        if jwk is None:
            raise StatementError(f"no published key {header.get('kid')!r}")
        statement = json.decode(jwt.PyJWS().decode(token, jwt.PyJWK(jwk), algorithms=["EdDSA"]))
    except (jwt.InvalidTokenError, KeyError, TypeError, DecodeError) as error:
        raise StatementError(str(error) or "not a signed statement") from None
    if not isinstance(statement, dict) or _kind_of(header, statement) != kind:
        raise StatementError(f"it is no {kind.value}")
    return statement


def _kind_of(header: dict[str, Any], statement: dict[str, Any]) -> StatementKind | None:
    """Return the kind that header and content agree on.

    Statements signed before they named their kind all have the header of a receipt: a bundle's names its manifest.
    """
    if "kind" not in statement:
        legacy = StatementKind.BUNDLE if "manifestSha256" in statement else StatementKind.RECEIPT
        return legacy if header.get("typ") == _header_type(StatementKind.RECEIPT) else None
    named = next((kind for kind in StatementKind if kind.value == statement["kind"]), None)
    return named if named is not None and header.get("typ") == _header_type(named) else None


def receipt_short_code(receipt: str) -> str:
    """Return ten characters to read aloud or print under a photo: the first 50 bits of its SHA-256, in base32."""
    alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
    value = int.from_bytes(hashlib.sha256(receipt.encode()).digest()[:8], "big") >> 14
    return "".join(alphabet[(value >> shift) & 31] for shift in range(45, -1, -5))
