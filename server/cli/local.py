"""Commands for one machine: run everything, and the invented demo county."""

import asyncio
import os
import sys
from pathlib import Path

import click

from server.cli.common import environment, serve, settings
from server.core.settings import load_settings


@click.command("run", short_help="everything: database, store, API, worker; Ctrl-C stops it")
@click.option("--work/--no-work", default=True, help="At the first start, also visits of the last weeks.")
def run(work: bool) -> None:
    """Everything on this machine: embedded PostgreSQL and S3, API, worker. Ctrl-C stops all of it."""
    from server.devserver.run import run as run_everything

    sys.exit(run_everything(os.environ, with_work=work))


@click.command("demo-visit", short_help="walk one visit, from the phone to the resident")
@click.option(
    "--photos",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A folder of real photos; four are used. Without it, pictures are drawn.",
)
@click.option("--url", default=None, help="The API; by default that of `make run` on this machine.")
def demo_visit(photos: Path | None, url: str | None) -> None:
    """One visit, from the phone to the resident, over HTTP against a running system."""
    from server.demo.visit import run_demo_visit
    from server.devserver.addresses import base_url

    url = url or base_url(load_settings(environment(), complete=False))
    sys.exit(asyncio.run(run_demo_visit(url, photos)))


@click.command("demo-work", short_help="walk visits of the last weeks, in every state")
@click.option("--url", default=None, help="The API; by default that of `make run` on this machine.")
def demo_work(url: str | None) -> None:
    """Visits of the last weeks in every state, over HTTP against a running system with the demo county."""
    from rich.console import Console

    from server.demo.work import PLANS, load_demo_work
    from server.devserver.addresses import base_url

    url = url or base_url(load_settings(environment(), complete=False))
    made = asyncio.run(load_demo_work(url, Console(highlight=False)))
    if made < len(PLANS):
        raise click.ClickException(f"{made} of {len(PLANS)} visits were made")


@click.command("load-demo", short_help="load the invented demo county, once")
def load_demo() -> None:
    """Load the invented demo county, once."""
    from server.demo.loading import DemoRefused, load_demo_county

    try:
        loaded = asyncio.run(load_demo_county(settings()))
    except DemoRefused as refused:
        raise click.ClickException(str(refused)) from None
    click.echo("Demo county loaded." if loaded else "The demo county is there already.")


@click.command("wechat-stub", short_help="a stand-in for WeChat's server API")
@click.option("--port", default=8091, show_default=True)
def wechat_stub(port: int) -> None:
    """A stand-in for WeChat's server API, for development and tests."""
    serve("server.demo.wechat_stub:create_stub", address="127.0.0.1", port=port)


COMMANDS = [run, demo_visit, demo_work, load_demo, wechat_stub]
