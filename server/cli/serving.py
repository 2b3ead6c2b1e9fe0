"""Commands of a server: migrate, serve, work."""

import asyncio
import os
from typing import Any

import click

from server.cli.common import environment, progress_bar, serve, settings
from server.core.settings import load_settings


@click.command("database-roles", short_help="create the database's three roles")
def database_roles() -> None:
    """Create the roles that the addresses name, or set their passwords; the owner gets all tables. Safe to run again.

    ZOUFANG_ADMIN_DATABASE_URL connects; ZOUFANG_OWNER_DATABASE_URL, ZOUFANG_DATABASE_URL and
    ZOUFANG_MAINTENANCE_DATABASE_URL name the roles and their passwords. Then run `migrate`.
    """
    from server.core.database_roles import RoleError, read_login, set_up_roles

    loaded = load_settings(environment(), complete=False)
    if not loaded.admin_database_url:
        raise click.ClickException("ZOUFANG_ADMIN_DATABASE_URL must be set")
    try:
        set_up_roles(
            loaded.admin_database_url,
            owner=read_login(loaded.owner_database_url),
            application=read_login(loaded.database_url),
            maintenance=read_login(loaded.maintenance_database_url),
        )
    except RoleError as error:
        raise click.ClickException(str(error)) from None
    click.echo("The roles are set up; `migrate` gives them their rights.")


@click.command("migrate", short_help="bring the database to this version")
def migrate() -> None:
    """Bring the database to this version. Safe to run again; never loses data."""
    from server.cli.migrate import migrate as migrate_database

    loaded = load_settings(environment(), complete=False)  # it needs no key, and none should be where it runs
    if not loaded.database_url:
        raise click.ClickException("ZOUFANG_DATABASE_URL must be set")
    migrate_database(loaded)
    click.echo("The database is up to date.")


@click.command("reseal", short_help="bind sealed values to their rows, with the newest key")
def reseal() -> None:
    """Bind sealed values to their rows, with the newest key. Safe to run again; no one has to stop work for it.

    Run it once after an update from a version that bound values to columns alone, and after a new key was put first
    in ZOUFANG_PII_KEYS: afterwards the older keys are needed only for backups.
    """
    from server.cli.reseal import reseal as reseal_values

    with progress_bar() as bar:
        task = bar.add_task("reseal", total=None)
        report = asyncio.run(reseal_values(settings(), lambda done: bar.update(task, advance=done)))
    for column, row_id in report.refused:
        click.echo(f"can't be read: {column} of {row_id}", err=True)
    if report.refused:
        raise click.ClickException(f"{report.resealed} values bound; {len(report.refused)} were altered or moved")
    click.echo(f"{report.resealed} values bound to their rows." if report.resealed else "Every value is bound.")


@click.command("api", short_help="serve the HTTP API")
def api() -> None:
    """Serve the HTTP API."""
    # This process only starts the serving process and waits for it: it imports nothing of the app.
    loaded = settings()
    os.environ.update(environment())
    serve("server.serve:create", address=loaded.host, port=loaded.port)


@click.command("worker", short_help="run the jobs")
def worker() -> None:
    """Run the jobs: process photos, check visits, move cases, seal the audit trail."""
    import uvloop

    from server.worker import run_worker

    # Jobs are many short waits for the database, which cost half on this loop; the API uses the same.
    uvloop.run(run_worker(settings()))


@click.command("check-worker", short_help="exit 0 while a worker lives")
def check_worker() -> None:
    """Exit 0 when a worker has sent a heartbeat in the last minute."""
    from server.worker import has_live_worker

    if not asyncio.run(has_live_worker(settings())):
        raise click.ClickException("no worker has sent a heartbeat in the last minute")


@click.command("selfcheck", short_help="look at rights, keys, store, clocks, jobs, backup and audit trail")
@click.option("--json", "as_json", is_flag=True, help="Print a list of {part, level, seen, advice} instead of a table.")
def selfcheck(as_json: bool) -> None:
    """Check the running system as it is configured; exit 1 when anything is red. Changes nothing."""
    import json

    from server.cli.selfcheck import run_selfcheck

    lines = asyncio.run(run_selfcheck(settings(), os.environ))
    if as_json:
        click.echo(json.dumps([line._asdict() for line in lines], ensure_ascii=False, indent=1))
    else:
        _print_lines(lines)
    if any(line.level == "bad" for line in lines):
        raise SystemExit(1)


def _print_lines(lines: list[Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title="Self-check")
    for heading in ("part", "", "seen", "what to do"):
        table.add_column(heading, overflow="fold")
    colours = {"ok": "green", "warn": "yellow", "bad": "red"}
    for line in lines:
        table.add_row(line.part, f"[{colours[line.level]}]{line.level}[/]", line.seen, line.advice)
    Console().print(table)


COMMANDS = [database_roles, migrate, reseal, api, worker, check_worker, selfcheck]
