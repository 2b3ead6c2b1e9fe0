"""What `make run` shows once everything serves: addresses and the demo's sign-ins."""

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from server.core.settings import PREFIX, Settings
from server.devserver.processes import LOOPBACK, loopback_host

DATABASE = "zoufang"


def base_url(settings: Settings) -> str:
    host = loopback_host(settings.host)
    return f"http://[{host}]:{settings.port}" if ":" in host else f"http://{host}:{settings.port}"


def print_addresses(screen: Console, settings: Settings, environ: Mapping[str, str], logs: Path) -> None:
    addresses = Table(title="走访 zoufang is running", title_justify="left", show_header=False, box=None)
    addresses.add_row("Phone app", f"{base_url(settings)}/m/")
    addresses.add_row("Desk", f"{base_url(settings)}/desk/")
    addresses.add_row("API", base_url(settings))
    addresses.add_row("Its description", f"{base_url(settings)}/schema")
    addresses.add_row("Photos (S3)", environ[f"{PREFIX}S3_ENDPOINT"])
    addresses.add_row("WeChat", environ[f"{PREFIX}WECHAT_BASE_URL"])
    if not settings.database_url:
        addresses.add_row("PostgreSQL", f"{LOOPBACK}:{settings.postgres_port}, database {DATABASE}")
    addresses.add_row("Logs", str(logs))
    screen.print()
    screen.print(addresses)
    if sign_ins := _demo_sign_ins():
        screen.print()
        screen.print(_sign_in_table(sign_ins))
    screen.print("\nTry it in another terminal:  [bold]make demo-visit[/]     Stop: Ctrl-C")


def _sign_in_table(sign_ins: Sequence[Sequence[str]]) -> Table:
    """Build a table that fits 80 columns: roles and notes wrap, logins and passwords are never truncated."""
    table = Table(title="Demo sign-ins", title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 2, 0, 0))
    table.show_edge = table.pad_edge = False
    table.add_column("role", overflow="fold", width=16)
    for heading, index in (("login", 2), ("password", 3)):
        width = max(len(row[index]) for row in sign_ins)
        table.add_column(heading, no_wrap=True, overflow="fold", width=width)
    table.add_column("note", overflow="fold")
    for role_zh, role_en, login, password, note in sign_ins:
        table.add_row(f"{role_zh} {role_en}", login, password, note)
    return table


def _demo_sign_ins() -> Sequence[Sequence[str]]:
    list_sign_ins = getattr(importlib.import_module("server.demo"), "list_sign_ins", None)
    return list_sign_ins() if list_sign_ins else ()
