"""Base Structs of request and response bodies, and the parameters, headers and error responses that routes share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_address, ip_network
from typing import Annotated, Any, ClassVar

from litestar import Request
from litestar.di import NamedDependency
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import HeaderParameter, QueryParameter
from msgspec import Meta, Struct
from sqlalchemy.ext.asyncio import AsyncSession

from server.core.access import Caller
from server.core.errors import CATALOGUE, PROBLEM_MEDIA_TYPE, Fault, Problem, ProblemBody
from server.core.free_text import holds_number
from server.core.services import Services


class RequestBody(Struct, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """A request body in camelCase. An unknown field is an error, because it would be lost silently.

    Its texts hold no identity or card number (`text.holds_number`), because they are stored in clear or go to the
    trail, except the fields that `sealed_fields` names: those are sealed, hashed or stored nowhere.
    """

    sealed_fields: ClassVar[frozenset[str]] = frozenset()

    def __post_init__(self) -> None:
        for name, field in zip(self.__struct_fields__, self.__struct_encode_fields__, strict=True):
            if name not in self.sealed_fields:
                _refuse_numbers(getattr(self, name), f"/{field}")


def _refuse_numbers(value: Any, pointer: str) -> None:
    texts = value if isinstance(value, list) else [value]
    if any(isinstance(text, str) and holds_number(text) for text in texts):
        fault = Fault(pointer, "text.holds_number", "an identity or card number")
        raise Problem("text.holds_number", faults=[fault])


class ResponseBody(Struct, rename="camel", kw_only=True):
    """A response body in camelCase."""


# The signed-in person. `FieldStaff`, `Officer` and `ResidentCaller` have a role of that kind; `PhotoUploader` is field
# staff or a resident. Litestar injects them by parameter name (`provide_…` in server/app.py).
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

# Litestar does not enforce msgspec's Meta on parameters, so their limits are given in QueryParameter.
AREA_PREFIX_PATTERN = "^[0-9]{0,12}$"
AreaFilter = Annotated[
    str | None, QueryParameter(pattern=AREA_PREFIX_PATTERN, description="Areas whose code starts with these digits.")
]
# The most rows in a page of a list. A request for more is refused with the range: a client that got fewer rows than it
# asked for would take the list for ended.
MAX_PAGE_SIZE = 200
PageLimit = Annotated[int, QueryParameter(name="limit", ge=1, le=MAX_PAGE_SIZE, description="How many rows, at most.")]
SearchText = Annotated[str | None, QueryParameter(max_length=60)]

BEARER: Sequence[dict[str, list[str]]] = [{"bearer": []}]


def client_address(request: Request[Any, Any, Any]) -> str:
    """Return the client's IP address; behind a trusted proxy, the one that the proxy reports.

    Of IPv6 the network: a subscriber has 2^64 addresses, which must not count as strangers each.
    """
    if request.client is None:
        return "unknown"
    try:
        address = ip_address(request.client.host)
    except ValueError:
        return request.client.host
    if isinstance(address, IPv4Address) or address.is_loopback:
        return str(address)
    return str(address.ipv4_mapped or ip_network((int(address), 64), strict=False).network_address)


# Keys of a handler's `opt`, for the schema: the type of a body that it reads itself, and of an answer that its
# signature does not say.
REQUEST_BODY = "request_body"
ANSWER = "answer"


class AnyOf:
    """For the schema alone: one of several Structs, a union that msgspec itself does not read."""

    kinds: ClassVar[tuple[type[Struct], ...]] = ()


def any_of(name: str, *kinds: type[Struct]) -> type[AnyOf]:
    return type(name, (AnyOf,), {"kinds": kinds})


@dataclass
class ErrorResponse(ResponseSpec):
    """An error answer of a route, and which codes it may carry."""

    codes: tuple[str, ...] = ()


class ErrorResponses(dict[int, ResponseSpec]):
    """The answers of a route besides success. `|` joins the codes of a status that stands on both sides."""

    def __or__(self, other: Mapping[int, ResponseSpec]) -> "ErrorResponses":  # type: ignore[override]  # of one kind alone
        return ErrorResponses({**self, **{status: _join(self.get(status), spec) for status, spec in other.items()}})


def error_responses(*codes: str) -> ErrorResponses:
    """The error answers of a route, for OpenAPI: one shape, and which codes it may carry."""
    by_status: dict[int, list[str]] = {}
    for code in dict.fromkeys((*codes, "request.invalid")):
        by_status.setdefault(CATALOGUE[code].status, []).append(code)
    return ErrorResponses({status: _spec(*some) for status, some in by_status.items()})


def _join(mine: ResponseSpec | None, other: ResponseSpec) -> ResponseSpec:
    if isinstance(mine, ErrorResponse) and isinstance(other, ErrorResponse):
        return _spec(*mine.codes, *other.codes)
    return other


def _spec(*codes: str) -> ErrorResponse:
    some = tuple(dict.fromkeys(codes))
    return ErrorResponse(
        ProblemBody,
        description="; ".join(f"`{code}` {CATALOGUE[code].en}" for code in some),
        generate_examples=False,
        media_type=PROBLEM_MEDIA_TYPE,
        codes=some,
    )


# The answer of a route that returns `Response[None]`, for which a body of `null` would be described.
NO_CONTENT = {204: ResponseSpec(None, description="Request fulfilled, nothing follows", generate_examples=False)}
# Error responses of every route that needs a sign-in, and of those that also look up one row.
SIGNED_IN_ERRORS = error_responses(
    "auth.required", "auth.token_invalid", "auth.token_expired", "auth.device_ended", "auth.forbidden"
)
LOOKUP_ERRORS = SIGNED_IN_ERRORS | error_responses("thing.not_found")

IdempotencyKey = Annotated[str | None, HeaderParameter(name="Idempotency-Key", max_length=200)]
IfMatch = Annotated[str, HeaderParameter(name="If-Match", max_length=50)]


def parse_if_match(if_match: str) -> int:
    """Return the version number in an `If-Match` header, or raise `request.invalid`."""
    try:
        return int(if_match.strip('"'))
    except ValueError:
        raise Problem("request.invalid", faults=[Fault("/If-Match", "header.invalid", if_match[:20])]) from None
