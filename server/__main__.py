"""The command line: `python -m server COMMAND`."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any
from uuid import UUID

import click

from server.core.settings import Settings, SettingsError, load_settings


def _settings() -> Settings:
    try:
        return load_settings(_environment())
    except SettingsError as error:
        raise click.ClickException(str(error)) from None


def _environment() -> dict[str, str]:
    """The environment; where it names no database, that of a `make run` on this machine."""
    from server.devserver.run import saved_environment

    return (
        dict(os.environ) if os.environ.get("ZOUFANG_DATABASE_URL") else {**saved_environment(os.environ), **os.environ}
    )


# What each command is for, in few words, under the question that leads to it.
SECTIONS: dict[str, dict[str, str]] = {
    "On this machine": {
        "run": "everything: database, store, API, worker; Ctrl-C stops it",
        "demo-visit": "walk one visit, from the phone to the resident",
        "load-demo": "load the invented demo county, once",
        "wechat-stub": "a stand-in for WeChat's server API",
    },
    "On a server": {
        "migrate": "bring the database to this version",
        "api": "serve the HTTP API",
        "worker": "run the jobs",
        "check-worker": "exit 0 while a worker lives",
    },
    "For an office": {
        "import-areas": "read statistical divisions from CSV",
        "export-checklist": "write a checklist to Excel",
        "import-checklist": "publish a checklist from Excel",
        "draw": "draw a spot-check sample that anyone can draw again",
        "export-bundle": "all evidence of a visit in one file",
        "sweep-photos": "show the photos whose time is over, or delete them",
        "fill-in-looks": "look again at photos from before parts of them were found",
    },
    "To prove things": {
        "verify-receipt": "check a visit's receipt offline",
        "verify-bundle": "check an evidence bundle offline",
        "verify-audit": "recompute the chain of the audit trail",
        "check-store": "compare photo rows with the store, both ways",
    },
    "For developers": {
        "openapi": "write openapi/openapi.json from the routes",
        "settings-table": "print the settings as README.md shows them",
    },
}


class Sectioned(click.Group):
    """Lists its commands by section, each on one whole line."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        del ctx
        for title, commands in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name, words) for name, words in commands.items() if name in self.commands])


@click.group(cls=Sectioned, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """走访 zoufang: field evidence for dibao home visits.

    On a fresh machine `make run` does all of it: it sets up, migrates, loads the demo county and starts
    the API and the worker. The commands below are its parts, for servers and for looking after one.
    Settings come from ZOUFANG_… variables; README.md has the table.
    """


@main.command()
def run() -> None:
    """Everything on this machine: embedded PostgreSQL and S3, API, worker. Ctrl-C stops all of it."""
    from server.devserver.run import run as run_everything

    sys.exit(run_everything(os.environ))


@main.command()
def api() -> None:
    """Serve the HTTP API."""
    from granian import Granian
    from granian.constants import Interfaces

    from server.core.log import set_up_logging

    settings = _settings()
    set_up_logging(settings.log_format)
    os.environ.update(_environment())
    Granian(
        "server.serve:create",
        factory=True,
        address=settings.host,
        port=settings.port,
        interface=Interfaces.ASGI,
        websockets=False,
        log_access=False,
        workers_kill_timeout=10,
    ).serve()


@main.command()
def worker() -> None:
    """Run the jobs: examine photos, examine visits, move cases, seal the audit trail."""
    import uvloop

    from server.worker import work

    # Its work is many short waits for the database, which cost half on this loop; the API has the same.
    uvloop.run(work(_settings()))


@main.command("check-worker")
def check_worker() -> None:
    """Exit 0 when a worker has been heard from in the last minute."""
    from server.worker import is_alive

    if not asyncio.run(is_alive(_settings())):
        raise click.ClickException("no worker has been heard from in the last minute")


@main.command()
def migrate() -> None:
    """Bring the database to this version. Safe to run again; never loses data."""
    from server.cli.migrate import upgrade

    upgrade(_settings().database_url)
    click.echo("The database is up to date.")


@main.command("load-demo")
def load_demo() -> None:
    """Load the invented demo county, once."""
    from server.cli.maintenance import load_demo_county

    loaded = asyncio.run(load_demo_county(_settings()))
    click.echo("Demo county loaded." if loaded else "The demo county is there already.")


@main.command("import-areas")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
def import_areas(folder: Path) -> None:
    """Import statistical divisions from FOLDER: provinces.csv, cities.csv, areas.csv, streets.csv."""
    from server.directory.areas_import import AreasUnreadable, import_folder

    try:
        told = asyncio.run(import_folder(_settings(), folder))
    except AreasUnreadable as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"{told.read} areas read: {told.added} new, {told.renamed} renamed, {told.ended} no longer listed.")


@main.command("export-checklist")
@click.argument("code")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--version", type=int, help="By default the newest.")
def export_checklist(code: str, file: Path, version: int | None) -> None:
    """Write a published checklist to FILE, an Excel workbook to change and import again."""
    from server.checklists.publishing import ChecklistRefused
    from server.checklists.publishing import export_checklist as export

    try:
        file.write_bytes(asyncio.run(export(_settings(), code, version)))
    except ChecklistRefused as refused:
        raise click.ClickException(str(refused)) from None
    click.echo(f"{file} written.")


@main.command("import-checklist")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def import_checklist(file: Path) -> None:
    """Publish a checklist from FILE, an Excel workbook; each bad cell is named by sheet, row and column."""
    from server.checklists.publishing import ChecklistRefused
    from server.checklists.publishing import import_checklist as publish
    from server.checklists.workbook import WorkbookFaults

    try:
        told = asyncio.run(publish(_settings(), file.read_bytes()))
    except WorkbookFaults as faults:
        for one in faults.faults:
            click.echo(f"{one.sheet} {one.column}{one.row}  {one.zh}  {one.en}", err=True)
        raise click.ClickException(f"{len(faults.faults)} cells need mending; nothing was published") from None
    except ChecklistRefused as refused:
        raise click.ClickException(str(refused)) from None
    click.echo(f"{told.code} version {told.version} is " + ("published." if told.is_new else "published already."))


@main.command()
@click.option(
    "--plan",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    required=True,
    help="The published plan file.",
)
@click.option("--seed", required=True, help="The published seed.")
def draw(plan: Path, seed: str) -> None:
    """Draw a spot-check sample from a plan file and a seed; the same list on any machine."""
    import msgspec

    from server.spotchecks.draw import print_draw, read_plan

    try:
        lines = list(print_draw(read_plan(plan), seed))
    except msgspec.MsgspecError as error:
        raise click.ClickException(f"{plan} is no plan: {error}") from None
    click.echo("\n".join(lines))


@main.command("demo-visit")
@click.option(
    "--photos",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A folder of real photos; four are used. Without it, pictures are drawn.",
)
@click.option("--url", default=None, help="The API; by default that of `make run` on this machine.")
def demo_visit(photos: Path | None, url: str | None) -> None:
    """One visit, from the phone to the resident, over HTTP against a running system."""
    from server.demo.visit import run_demo_visit

    sys.exit(asyncio.run(run_demo_visit(url or _demo_url(), photos)))


def _demo_url() -> str:
    from server.devserver.run import address

    return address(load_settings(_environment(), complete=False))


@main.command("wechat-stub")
@click.option("--port", default=8091, show_default=True)
def wechat_stub(port: int) -> None:
    """A stand-in for WeChat's server API, for development and tests."""
    from granian import Granian
    from granian.constants import Interfaces

    Granian(
        "server.demo.wechat_stub:create_stub",
        factory=True,
        address="127.0.0.1",
        port=port,
        interface=Interfaces.ASGI,
        websockets=False,
        log_access=False,
    ).serve()


@main.command()
@click.option("--check", is_flag=True, help="Write nothing; fail when the committed file differs.")
def openapi(check: bool) -> None:
    """Write openapi/openapi.json from the routes."""
    from server.cli.openapi import write_openapi

    if not write_openapi(check=check):
        raise click.ClickException("openapi/openapi.json differs from the routes; run `make openapi`")


@main.command("settings-table")
def settings_table() -> None:
    """Print the table of settings as README.md shows it."""
    from server.core.settings import settings_table as table

    click.echo(table())


@main.command("verify-receipt")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--keys",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    required=True,
    help="The key set as the server publishes it at /.well-known/zoufang-receipt-keys.json.",
)
def verify_receipt(file: Path, keys: Path) -> None:
    """Check a visit's receipt offline: FILE holds the receipt, --keys the published keys."""
    import msgspec

    from server.core.tokens import ReceiptError
    from server.core.tokens import verify_receipt as verify

    try:
        statement = verify(file.read_text().strip(), msgspec.json.decode(keys.read_bytes()))
    except (ReceiptError, msgspec.DecodeError) as error:
        raise click.ClickException(f"The receipt does not hold: {error}") from None
    _print_table("The receipt holds", statement)


@main.command("verify-audit")
def verify_audit() -> None:
    """Recompute the hash chain of the audit trail."""
    from server.cli.maintenance import check_audit

    told = asyncio.run(check_audit(_settings()))
    if told.broken_at is not None:
        raise click.ClickException(f"The audit trail was altered: seal {told.broken_at} does not hold.")
    click.echo(f"The audit trail holds: {told.seals} seals over {told.entries} entries.")


@main.command("check-store")
@click.option("--deep", is_flag=True, help="Read every photo and copy again and compare its hash.")
def check_store(deep: bool) -> None:
    """Compare photo rows with the store, both ways; exit 1 when something is missing, altered or unreadable."""
    from media.store import StoreError
    from server.core.services import open_services
    from server.photos.store_check import TROUBLES
    from server.photos.store_check import check_store as check

    async def run() -> Any:
        async with open_services(_settings()) as services:
            with _progress() as bar:
                task = bar.add_task("check-store", total=None)
                return await check(
                    services, deep=deep, progress=lambda *, done, of: bar.update(task, advance=done, total=of)
                )

    try:
        report = asyncio.run(run())
    except StoreError as error:
        raise click.ClickException(f"The store can't be asked: {type(error).__name__}") from None
    for one in report.found:
        click.echo(f"{one.trouble:10} {one.key}")
    counts: dict[str, Any] = {trouble: len(report.keys(trouble)) for trouble in TROUBLES}
    if not deep:
        counts |= dict.fromkeys(("altered", "unreadable"), "not looked for; --deep does")
    told = {"expected": report.expected, "in the store": report.objects, "hashed again": report.hashed} | counts
    _print_table("The store has losses" if report.has_losses else "The store holds all it should", told)
    if report.has_losses:
        sys.exit(1)


@main.command("sweep-photos")
@click.option("--delete", "is_meant", is_flag=True, help="Delete them. Without it nothing is changed.")
def sweep_photos(is_meant: bool) -> None:
    """Show how many photos no rule keeps any more, by rule; with --delete, delete them and leave tombstones."""
    from media.store import StoreError
    from server.core.services import open_services
    from server.core.tokens import utc_now
    from server.photos.retention import preview, sweep

    async def run() -> tuple[Any, int | None]:
        now = utc_now()
        async with open_services(_settings()) as services:
            lines = await preview(services.sessions, now)
            _print_outdated(lines)
            if not is_meant:
                return lines, None
            with _progress() as bar:
                task = bar.add_task("sweep-photos", total=sum(line.photos for line in lines))
                return lines, await sweep(services, now, lambda _: bar.update(task, advance=1))

    try:
        lines, deleted = asyncio.run(run())
    except StoreError as error:
        raise click.ClickException(f"The store can't be asked: {type(error).__name__}; run it again later") from None
    if deleted is None:
        click.echo("Nothing was changed; --delete deletes them." if lines else "Every photo is kept by its rule.")
    else:
        click.echo(f"{deleted} photos deleted; each left a tombstone with its hash.")


@main.command("fill-in-looks")
def backfill_photo_features() -> None:
    """Look again at photos from before it was kept how each looks and what marks it has, so that parts are found."""
    from server.core.services import open_services
    from server.photos.near_duplicates import fill_in_marks
    from server.photos.process import backfill_photo_features as fill_in

    async def run() -> list[str]:
        async with open_services(_settings()) as services:
            with _progress() as bar:
                task, marks = bar.add_task("fill-in-looks", total=None), bar.add_task("marks", total=None)
                failed = await fill_in(
                    services,
                    lambda count: bar.update(task, total=count) if count else bar.update(task, advance=1),
                )
                await fill_in_marks(services, lambda done, total: bar.update(marks, completed=done, total=total))
                return failed

    failed = asyncio.run(run())
    for sha256 in failed:
        click.echo(f"unreadable {sha256}")
    if failed:
        raise click.ClickException(f"{len(failed)} photos could not be read; check-store says more")
    click.echo("Every verified photo has its look and its marks.")


def _print_outdated(lines: Any) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title="Photos that no rule keeps any more")
    for heading in ("rule", "kept for", "photos", "MB", "oldest since", "source"):
        table.add_column(heading, overflow="fold")
    for line in lines:
        oldest = f"{line.oldest:%Y-%m-%d}"
        size = f"{line.size_bytes / 1e6:.1f}"
        table.add_row(line.rule, f"{line.kept_days} days", str(line.photos), size, oldest, line.source)
    if lines:
        Console().print(table)


def _progress() -> Any:
    from rich.console import Console
    from rich.progress import Progress

    return Progress(console=Console(stderr=True), transient=True)


@main.command("export-bundle")
@click.argument("visit_id", type=click.UUID)
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def export_bundle(visit_id: UUID, file: Path) -> None:
    """Write the evidence bundle of a visit to FILE: photos, signed manifest, receipt, printed sheet."""
    from server.core.errors import Problem
    from server.core.services import open_services
    from server.core.tokens import utc_now
    from server.evidence.bundle import export_bundle as export
    from server.review.checks.registry import sentence

    async def run() -> None:
        async with open_services(_settings()) as services:
            with partial.open("wb") as out:
                await export(services, None, visit_id, out, say=sentence, now=utc_now())

    partial = file.with_name(f".{file.name}.partial")
    try:
        asyncio.run(run())
        partial.replace(file)
    except Problem as problem:
        raise click.ClickException(problem.entry.en) from None
    finally:
        partial.unlink(missing_ok=True)
    click.echo(f"{file} written.")


@main.command("verify-bundle")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--keys",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The key set as the server publishes it. Without it, the keys inside the bundle are used.",
)
def verify_bundle(file: Path, keys: Path | None) -> None:
    """Check an evidence bundle offline: names each file that was changed, taken out or put in."""
    import msgspec

    from server.evidence.verify import verify_bundle as verify

    try:
        key_set = msgspec.json.decode(keys.read_bytes()) if keys else None
    except msgspec.DecodeError as error:
        raise click.ClickException(f"{keys} is no key set: {error}") from None
    report = verify(file, key_set)
    for fault in report.faults:
        click.echo(f"{fault.name}  {fault.what}", err=True)
    if report.faults:
        raise click.ClickException("The bundle does not hold.")
    told = {"visit": report.visit_id, "made at": report.made_at, "files": report.files}
    _print_table("The bundle holds", told)
    if not report.proves_origin:
        click.echo(
            "Checked with the keys inside it: nothing was changed since it was made, but not who made it. "
            "For that, give --keys with the key set the server publishes."
        )


def _print_table(title: str, rows: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, show_header=False)
    for key, value in rows.items():
        table.add_row(key, str(value))
    Console().print(table)


if __name__ == "__main__":
    main(prog_name="python -m server")
