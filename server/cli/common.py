"""What several commands share: the settings, a progress bar, a table."""

import asyncio
import os
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

import click

from server.core.paths import saved_environment
from server.core.settings import Settings, SettingsError, load_settings

if TYPE_CHECKING:
    from media.store import StoreError

T = TypeVar("T")


def environment() -> dict[str, str]:
    """Return the environment; where it names no database, that of a `make run` on this machine."""
    if os.environ.get("ZOUFANG_DATABASE_URL"):
        return dict(os.environ)
    return {**saved_environment(os.environ), **os.environ}


def settings() -> Settings:
    try:
        return load_settings(environment())
    except SettingsError as error:
        raise click.ClickException(str(error)) from None


def run_with_store(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that needs the photo store; say in one line when the store does not answer."""
    from media.store import StoreError

    try:
        return asyncio.run(work)
    except StoreError as error:
        raise store_failure(error) from None


def store_failure(error: "StoreError") -> click.ClickException:
    """Name the kind of fault and what the store said, never a key."""
    from media.store import StoreUnavailable

    reason = f" ({error.args[0]})" if isinstance(error, StoreUnavailable) else ""
    return click.ClickException(f"The store does not answer: {type(error).__name__}{reason}; run it again later")


def progress_bar() -> Any:
    from rich.console import Console
    from rich.progress import Progress

    return Progress(console=Console(stderr=True), transient=True)


def print_pairs(title: str, rows: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, show_header=False)
    for key, value in rows.items():
        table.add_row(key, str(value))
    Console().print(table)


def serve(application: str, *, address: str, port: int) -> None:
    """Serve an ASGI application factory until the process is told to stop."""
    from granian import Granian
    from granian.constants import Interfaces

    Granian(
        application,
        factory=True,
        address=address,
        port=port,
        interface=Interfaces.ASGI,
        websockets=False,
        log_access=False,
        workers_kill_timeout=10,
        backlog=_BACKLOG,
        backpressure=_most_connections(),
    ).serve()


# The kernel's usual limit of connections that wait to be accepted: a county's phones come back all at once.
_BACKLOG = 4096
# Every idle phone holds a connection. Beyond what the system's open files allow, nothing would be accepted at all.
_FEWEST_CONNECTIONS, _MOST_CONNECTIONS, _OTHER_FILES = 512, 16_384, 512


def _most_connections() -> int:
    """Return how many connections one process holds at once; the server's own default is its backlog, 1,024."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return _MOST_CONNECTIONS
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = _MOST_CONNECTIONS if most == resource.RLIM_INFINITY else most - _OTHER_FILES
    return max(_FEWEST_CONNECTIONS, min(_MOST_CONNECTIONS, allowed))
