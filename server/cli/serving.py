"""Commands of a server: migrate, serve, work."""

import asyncio
import os

import click

from server.cli.common import environment, serve, settings


@click.command("migrate", short_help="bring the database to this version")
def migrate() -> None:
    """Bring the database to this version. Safe to run again; never loses data."""
    from server.cli.migrate import upgrade

    upgrade(settings().database_url)
    click.echo("The database is up to date.")


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


COMMANDS = [migrate, api, worker, check_worker]
