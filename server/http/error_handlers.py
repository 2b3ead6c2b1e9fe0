"""Exception handlers, which turn every exception into the one error format (server/core/errors.py)."""

from collections.abc import Iterator
from typing import Any

import psycopg
from litestar import Request, Response
from litestar.exceptions import HTTPException, SerializationException, ValidationException
from litestar.exceptions.http_exceptions import ClientException
from sqlalchemy.exc import DBAPIError, PendingRollbackError

from media.store import StoreError
from server.core.errors import (
    PROBLEM_MEDIA_TYPE,
    Problem,
    preferred_language,
    problem_body,
)
from server.core.log import log, traceback_lines
from server.http.field_faults import read_field_faults

# SQLSTATEs of serialization failures and deadlocks: the transaction was rolled back and can be retried.
RETRYABLE_STATES = {"40001", "40P01"}
# Lock timeout, read-only server (a standby, or a primary on its way down), failed transaction whose cause came before.
BUSY_STATES = {"55P03", "25006", "25P02"}
_CODES_BY_STATUS = {
    401: "auth.required",
    403: "auth.forbidden",
    404: "request.not_found",
    405: "request.method_not_allowed",
    413: "request.too_large",
    415: "request.unsupported_media_type",
    429: "request.rate_limited",
    503: "server.busy",
}


def problem_response(request: Request[Any, Any, Any], problem: Problem) -> Response[Any]:
    request_id = str(request.scope.get("state", {}).get("request_id", ""))
    body = problem_body(problem, preferred_language(request.headers.get("Accept-Language")), request_id)
    headers = {
        **problem.headers,
        "Content-Language": preferred_language(request.headers.get("Accept-Language")),
    }
    return Response(body, status_code=problem.status, media_type=PROBLEM_MEDIA_TYPE, headers=headers)


def handle_http_exception(request: Request[Any, Any, Any], error: HTTPException) -> Response[Any]:
    return problem_response(request, _to_problem(request, error))


def _to_problem(request: Request[Any, Any, Any], error: HTTPException) -> Problem:
    if isinstance(error, ValidationException):
        language = preferred_language(request.headers.get("Accept-Language"))
        return Problem("request.invalid", faults=read_field_faults(request, error.extra, error.detail, language))
    if error.status_code == 413:  # noqa: PLR2004  a status code
        return Problem("request.too_large", limit_mb=request.app.state.services.settings.max_body_mb)
    if isinstance(error, ClientException) and isinstance(error.__cause__, SerializationException):
        return Problem("request.not_json")
    if error.status_code in _CODES_BY_STATUS:
        return Problem(_CODES_BY_STATUS[error.status_code], headers=error.headers)
    return Problem("request.invalid" if error.status_code < 500 else "server.error")  # noqa: PLR2004


def handle_database_error(request: Request[Any, Any, Any], error: DBAPIError | psycopg.Error) -> Response[Any]:
    """Handle errors of SQLAlchemy and psycopg, and timeouts of the connection pool."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    state = getattr(cause, "sqlstate", None)
    if isinstance(cause, psycopg.IntegrityError) or state in RETRYABLE_STATES:
        return problem_response(request, Problem("server.conflict"))
    if isinstance(cause, psycopg.OperationalError | psycopg.InterfaceError) or state in BUSY_STATES:
        log.warning("database.unavailable", sqlstate=state)
        return problem_response(request, Problem("server.busy", headers={"Retry-After": "5"}))
    if isinstance(cause, psycopg.DataError):
        return handle_unstorable_value(request, error)
    return handle_unexpected_error(request, error)


def handle_unstorable_value(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """Handle a value of the right type that PostgreSQL can't store: out of range, or text with a NUL."""
    log.warning("request.beyond", error=type(error).__name__, place=traceback_lines(error))
    return problem_response(request, Problem("request.invalid"))


def handle_recursion_error(request: Request[Any, Any, Any], error: RecursionError) -> Response[Any]:
    """Handle a body that is nested too deeply."""
    log.warning("request.too_deep", place=traceback_lines(error)[-1:])
    return problem_response(request, Problem("request.invalid"))


async def reject_nul(request: Request[Any, Any, Any]) -> None:
    """Refuse URLs with a NUL before any query: PostgreSQL can't store it in text.

    The function is async, although it awaits nothing, because Litestar runs a plain function here in a thread.
    """
    if b"\0" in request.scope["path"].encode("utf-8", "surrogateescape") or b"%00" in request.scope["query_string"]:
        raise Problem("request.invalid")


def handle_store_error(request: Request[Any, Any, Any], error: StoreError) -> Response[Any]:
    log.warning("store.unavailable", reason=type(error).__name__)
    return problem_response(request, Problem("store.unavailable", headers={"Retry-After": "5"}))


def handle_unexpected_error(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    log.error("request.failed", error=type(error).__name__, place=traceback_lines(error))
    request_id = str(request.scope.get("state", {}).get("request_id", ""))
    return problem_response(request, Problem("server.error", request_id=request_id))


def handle_lost_transaction(request: Request[Any, Any, Any], error: PendingRollbackError) -> Response[Any]:
    """Handle the use of a session whose connection was lost before."""
    log.warning("database.unavailable", place=traceback_lines(error)[-1:])
    return problem_response(request, Problem("server.busy", headers={"Retry-After": "5"}))


def handle_group(request: Request[Any, Any, Any], group: ExceptionGroup[Exception]) -> Response[Any]:
    """Handle what Litestar raises when a dependency fails while it ends the request: a lost connection, mostly.

    The answer is that of the first error that has a handler of its own.
    """
    for error in _leaves(group):
        for kind in type(error).__mro__[: type(error).__mro__.index(Exception)]:
            if kind in EXCEPTION_HANDLERS:
                response: Response[Any] = EXCEPTION_HANDLERS[kind](request, error)
                return response
    return handle_unexpected_error(request, group)


def _leaves(error: Exception) -> Iterator[Exception]:
    if isinstance(error, ExceptionGroup):
        for part in error.exceptions:
            yield from _leaves(part)
    else:
        yield error


EXCEPTION_HANDLERS: dict[Any, Any] = {
    ExceptionGroup: handle_group,
    PendingRollbackError: handle_lost_transaction,
    Problem: problem_response,
    HTTPException: handle_http_exception,
    DBAPIError: handle_database_error,
    psycopg.Error: handle_database_error,
    OverflowError: handle_unstorable_value,
    RecursionError: handle_recursion_error,
    StoreError: handle_store_error,
    Exception: handle_unexpected_error,
}
