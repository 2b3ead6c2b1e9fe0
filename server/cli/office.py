"""Commands for an office: areas, checklists, spot-check draws, evidence bundles, photo retention."""

import asyncio
from pathlib import Path
from typing import Any
from uuid import UUID

import click

from server.cli.common import progress_bar, run_with_store, settings


@click.command("setup", short_help="make an empty installation ready for a county")
@click.option("--county", required=True, prompt="Code of the county (6 digits)")
@click.option("--names", default="", help="省/市/县, where no list of divisions is given.")
@click.option("--divisions", type=click.Path(exists=True, file_okay=False, path_type=Path), help="As import-areas.")
@click.option("--admin-login", default="admin", show_default=True)
@click.option("--admin-name", default="系统管理员", show_default=True)
@click.option("--address", default="", help="Where people reach the server, for the link: https://…")
def setup(county: str, names: str, divisions: Path | None, admin_login: str, admin_name: str, address: str) -> None:
    """Check database, store and clock, add the county, publish the checklists, create the first administrator.

    Run `migrate` first. Safe to run again: what is there stays. Prints what to do next.
    """
    from server.cli.first_hour import Office, SetupRefused, Step, set_up
    from server.directory.areas_import import AreasUnreadable

    def show(step: Step) -> None:
        mark = {"done": "✓", "there": "·", "doubtful": "!"}[step.state]
        click.echo(f"{mark} {step.name:<14} {step.note}")

    office = Office(county, tuple(names.split("/")) if names else (), divisions, admin_login, admin_name)
    try:
        link = asyncio.run(set_up(settings(), office, show))
    except (SetupRefused, AreasUnreadable) as refused:
        raise click.ClickException(str(refused)) from None
    if link is not None:
        _show_link(link, address)
    click.echo(_NEXT)


_NEXT = """
Next, at the desk (/desk):
  1. set the administrator's password by the link, and create a second administrator
  2. 导入 villages, then staff, then households (each has an Excel template)
  3. print the slips for the new staff"""


@click.command("create-admin", short_help="create an administrator, or give one a new link")
@click.argument("login")
@click.option("--name", default="系统管理员", show_default=True)
@click.option("--area", default="", help="Code of the area; the whole installation without it.")
@click.option("--address", default="", help="Where people reach the server, for the link: https://…")
def create_admin(login: str, name: str, area: str, address: str) -> None:
    """Create an administrator with LOGIN, or make a new one-time link for one who lost the password."""
    from server.cli.first_hour import SetupRefused, make_admin_now
    from server.identity.accounts import LEAST_ADMINS

    try:
        link, admins = asyncio.run(make_admin_now(settings(), login, name, area))
    except SetupRefused as refused:
        raise click.ClickException(str(refused)) from None
    _show_link(link, address)
    if admins < LEAST_ADMINS:
        click.echo(f"There is {admins} administrator: create a second one, so that nobody is locked out.", err=True)


def _show_link(link: Any, address: str) -> None:
    """Print the link on the terminal, where it is not kept as a log would keep it."""
    click.echo(f"\nLink for {link.login}, once, until {link.expires_at:%Y-%m-%d %H:%M} UTC:")
    click.echo(f"  {address.rstrip('/')}/desk/set-password#{link.token}")


@click.command("import-areas", short_help="read statistical divisions from CSV")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
def import_areas(folder: Path) -> None:
    """Import statistical divisions from FOLDER: provinces.csv, cities.csv, areas.csv, streets.csv."""
    from server.directory.areas_import import AreasUnreadable, import_folder

    try:
        result = asyncio.run(import_folder(settings(), folder))
    except AreasUnreadable as error:
        raise click.ClickException(str(error)) from None
    click.echo(
        f"{result.read} areas read: {result.added} new, {result.renamed} renamed, {result.ended} no longer listed."
    )


@click.command("export-checklist", short_help="write a checklist to Excel")
@click.argument("code")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--version", type=int, help="By default the newest.")
def export_checklist(code: str, file: Path, version: int | None) -> None:
    """Write a published checklist to FILE, an Excel workbook to change and import again."""
    from server.checklists.publishing import ChecklistRefused
    from server.checklists.publishing import export_checklist as export

    try:
        file.write_bytes(asyncio.run(export(settings(), code, version)))
    except ChecklistRefused as refused:
        raise click.ClickException(str(refused)) from None
    click.echo(f"{file} written.")


@click.command("import-checklist", short_help="publish a checklist from Excel")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def import_checklist(file: Path) -> None:
    """Publish a checklist from FILE, an Excel workbook; each bad cell is named by sheet, row and column."""
    from server.checklists.publishing import ChecklistRefused
    from server.checklists.publishing import import_checklist as publish
    from server.checklists.workbook_layout import WorkbookFaults

    try:
        checklist = asyncio.run(publish(settings(), file.read_bytes()))
    except WorkbookFaults as faults:
        for fault in faults.faults:
            click.echo(f"{fault.sheet} {fault.column}{fault.row}  {fault.zh}  {fault.en}", err=True)
        raise click.ClickException(f"{len(faults.faults)} cells have faults; nothing was published") from None
    except ChecklistRefused as refused:
        raise click.ClickException(str(refused)) from None
    state = "published." if checklist.is_new else "published already."
    click.echo(f"{checklist.code} version {checklist.version} is {state}")
    for warning in checklist.warnings:
        click.echo(f"{warning.zh}  {warning.en}", err=True)


@click.command("draw", short_help="draw a spot-check sample that anyone can draw again")
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

    from server.spotchecks.draw import read_plan, render_draw

    try:
        lines = list(render_draw(read_plan(plan), seed))
    except msgspec.MsgspecError as error:
        raise click.ClickException(f"{plan} is no plan: {error}") from None
    click.echo("\n".join(lines))


@click.command("export-bundle", short_help="all evidence of a visit in one file")
@click.argument("visit_id", type=click.UUID)
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def export_bundle(visit_id: UUID, file: Path) -> None:
    """Write the evidence bundle of a visit to FILE: photos, signed manifest, receipt, printed sheet."""
    from server.core.clock import utc_now
    from server.core.errors import Problem
    from server.core.services import open_services
    from server.evidence.bundle import export_bundle as export
    from server.review.checks.registry import render_finding

    async def write() -> None:
        async with open_services(settings()) as services:
            with partial.open("wb") as out:
                await export(services, None, visit_id, out, render_finding=render_finding, now=utc_now())

    partial = file.with_name(f".{file.name}.partial")
    try:
        asyncio.run(write())
        partial.replace(file)
    except Problem as problem:
        raise click.ClickException(problem.entry.en) from None
    finally:
        partial.unlink(missing_ok=True)
    click.echo(f"{file} written.")


@click.command("sweep-photos", short_help="show the photos past their retention, or delete them")
@click.option("--delete", "is_meant", is_flag=True, help="Delete them. Without it nothing is changed.")
def sweep_photos(is_meant: bool) -> None:
    """Show how many photos no rule keeps any more, by rule; with --delete, delete them and leave tombstones."""
    from server.core.clock import utc_now
    from server.core.services import open_services
    from server.photos.retention import preview, sweep

    async def show_and_sweep() -> tuple[Any, int | None]:
        now = utc_now()
        async with open_services(settings()) as services:
            lines = await preview(services.sessions, now)
            _print_outdated(lines)
            if not is_meant:
                return lines, None
            with progress_bar() as bar:
                task = bar.add_task("sweep-photos", total=sum(line.photos for line in lines))
                return lines, await sweep(services, now, lambda _: bar.update(task, advance=1))

    lines, deleted = run_with_store(show_and_sweep())
    if deleted is None:
        click.echo("Nothing was changed; --delete deletes them." if lines else "Every photo is kept by its rule.")
    else:
        click.echo(f"{deleted} photos deleted; each left a tombstone with its hash.")


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


@click.command("backfill-photo-features", short_help="compute the features of photos from before they were kept")
def backfill_photo_features() -> None:
    """Compute fingerprints and keypoints of photos processed before they were stored, so that crops are found."""
    from server.core.services import open_services
    from server.photos.near_duplicates import backfill_keypoints
    from server.photos.process import backfill_photo_features as backfill

    async def fill() -> list[str]:
        async with open_services(settings()) as services:
            with progress_bar() as bar:
                features = bar.add_task("features", total=None)
                keypoints = bar.add_task("keypoints", total=None)
                failed = await backfill(
                    services,
                    lambda count: bar.update(features, total=count) if count else bar.update(features, advance=1),
                )
                await backfill_keypoints(
                    services, lambda done, total: bar.update(keypoints, completed=done, total=total)
                )
                return failed

    failed = asyncio.run(fill())
    for sha256 in failed:
        click.echo(f"unreadable {sha256}")
    if failed:
        raise click.ClickException(f"{len(failed)} photos could not be read; check-store says more")
    click.echo("Every verified photo has its features and keypoints.")


COMMANDS = [
    setup,
    create_admin,
    import_areas,
    export_checklist,
    import_checklist,
    draw,
    export_bundle,
    sweep_photos,
    backfill_photo_features,
]
