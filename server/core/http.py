"""How things are written on the wire, and what a route may ask for."""

from collections.abc import Sequence
from typing import Annotated, Any

from litestar import Request
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import HeaderParameter, QueryParameter
from msgspec import Meta, Struct
from sqlalchemy.ext.asyncio import AsyncSession

from server.core.access import Caller
from server.core.errors import CATALOGUE, Fault, Problem, ProblemBody
from server.core.services import Services


class RequestBody(Struct, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """A body: camelCase, and a field nobody knows is an error, since it would be lost in silence."""


class ResponseBody(Struct, rename="camel", kw_only=True):
    """What the server says."""


# The signed-in person; `FieldStaff`, `Officer` and `ResidentCaller` also hold the role that the room needs, and
# `PhotoUploader` one of those who announce photos: in the field, or a resident.
CallerDep = NamedDependency[Caller]
FieldStaff = NamedDependency[Caller]
Officer = NamedDependency[Caller]
PhotoUploader = NamedDependency[Caller]
ResidentCaller = NamedDependency[Caller]
Session = NamedDependency[AsyncSession]
ServicesDep = NamedDependency[Services]

ShortText = Annotated[str, Meta(min_length=1, max_length=200)]
LongText = Annotated[str, Meta(max_length=4000)]
HexSha256 = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]

# Of a parameter, Litestar holds nobody to what msgspec's Meta says: its limits stand in the parameter itself.
AREA_PREFIX_PATTERN = "^[0-9]{0,12}$"
AreaFilter = Annotated[
    str | None, QueryParameter(pattern=AREA_PREFIX_PATTERN, description="Areas whose code begins so.")
]
SearchText = Annotated[str | None, QueryParameter(max_length=60)]

BEARER: Sequence[dict[str, list[str]]] = [{"bearer": []}]


def client_address(request: Request[Any, Any, Any]) -> str:
    """From where a request comes: behind proxies that the settings trust, what they say."""
    return request.client.host if request.client else "unknown"


def error_responses(*codes: str) -> dict[int, ResponseSpec]:
    """The error answers of a route, for OpenAPI: one shape, and which codes it may carry."""
    by_status: dict[int, list[str]] = {}
    for code in dict.fromkeys((*codes, "request.invalid")):
        by_status.setdefault(CATALOGUE[code].status, []).append(code)
    return {
        status: ResponseSpec(
            ProblemBody,
            description="; ".join(f"`{code}` {CATALOGUE[code].en}" for code in some),
            generate_examples=False,
            media_type=_problem_media_type(),
        )
        for status, some in by_status.items()
    }


def _problem_media_type() -> Any:
    return "application/problem+json"


# The error responses of every route that needs a sign-in, and of those that also look up one thing.
SIGNED_IN_ERRORS = error_responses(
    "auth.required", "auth.token_invalid", "auth.token_expired", "auth.device_ended", "auth.forbidden"
)
LOOKUP_ERRORS = SIGNED_IN_ERRORS | error_responses("thing.not_found")

IdempotencyKey = Annotated[str | None, HeaderParameter(name="Idempotency-Key", max_length=200)]
IfMatch = Annotated[str, HeaderParameter(name="If-Match", max_length=50)]


def parse_if_match(if_match: str) -> int:
    """Return the version that an `If-Match` header names. Raises `request.invalid`."""
    try:
        return int(if_match.strip('"'))
    except ValueError:
        raise Problem("request.invalid", faults=[Fault("/If-Match", "header.invalid", if_match[:20])]) from None
