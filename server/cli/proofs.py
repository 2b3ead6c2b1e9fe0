"""Commands that verify: receipts, bundles, the audit trail, the photo store."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import click

from server.cli.common import print_pairs, progress_bar, run_with_store, settings


@click.command("verify-receipt", short_help="check a visit's receipt offline")
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

    from server.core.tokens import StatementError
    from server.core.tokens import verify_receipt as verify

    try:
        statement = verify(file.read_text().strip(), msgspec.json.decode(keys.read_bytes()))
    except (StatementError, msgspec.DecodeError) as error:
        raise click.ClickException(f"The receipt does not hold: {error}") from None
    print_pairs("The receipt holds", statement)


@click.command("verify-bundle", short_help="check an evidence bundle offline")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--keys",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The key set as the server publishes it at /.well-known/zoufang-receipt-keys.json.",
)
@click.option(
    "--no-keys",
    is_flag=True,
    help="Look only for changes since the bundle was made, by the keys inside it: anyone could have made it.",
)
def verify_bundle(file: Path, keys: Path | None, no_keys: bool) -> None:
    """Check an evidence bundle offline: names each file that was changed, taken out or put in.

    Exits 0 only when the keys that the server publishes prove that it made the bundle, or with --no-keys.
    """
    import msgspec

    if (keys is None) != no_keys:
        raise click.UsageError(
            "give either --keys with the key set that the server publishes, or --no-keys: the keys inside a bundle "
            "prove nothing, since a forger puts in their own"
        )

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
    title = "The bundle holds" if report.proves_origin else "The bundle is unchanged, its origin unproven"
    print_pairs(title, {"visit": report.visit_id, "made at": report.made_at, "files": report.files})
    if not report.proves_origin:
        click.echo(
            "Checked with the keys inside it: nothing was changed since it was made, but not who made it. "
            "For that, give --keys with the key set the server publishes."
        )


@click.command("verify-audit", short_help="recompute the chain of the audit trail")
@click.option(
    "--since",
    metavar="HEAD",
    help="A head that was kept elsewhere, or a file that holds it: shows what was cut off or written anew.",
)
@click.option(
    "--keys",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The key set as it was published at /.well-known/zoufang-audit-keys.json. By default this server's own.",
)
def verify_audit(since: str | None, keys: Path | None) -> None:
    """Recompute the chain of the audit trail, check its signatures and its end; exit 1 when anything is missing."""
    import msgspec

    from server.audit.verify import check_audit, read_head
    from server.core.clock import utc_now
    from server.core.services import build_audit_signer

    try:
        head = since and read_head(Path(since).read_text())
    except OSError:  # no file: the head itself
        head = since
    key_set = msgspec.json.decode(keys.read_bytes()) if keys else build_audit_signer(settings()).public_keys()
    result = asyncio.run(check_audit(settings(), key_set, now=utc_now(), since=head))
    for fault in result.faults:
        click.echo(fault, err=True)
    if result.faults:
        raise click.ClickException("The audit trail does not hold.")
    click.echo(f"The audit trail holds: {result.seals} seals over {result.entries} entries.")


@click.command("audit-head", short_help="print the head of the audit trail, to keep elsewhere")
def audit_head() -> None:
    """Print the newest seal of the audit trail as one line: time, seal, entries and the signed head."""
    from server import audit
    from server.core.database import open_once

    async def load() -> str | None:
        loaded = settings()
        async with open_once(loaded.maintenance_database_url or loaded.database_url) as session:
            head = await audit.load_head(session)
            return (
                None if head is None else f"{head.sealed_at.isoformat()} {head.position} {head.total} {head.signature}"
            )

    line = asyncio.run(load())
    if line is None:
        raise click.ClickException("Nothing is sealed yet; the worker seals every five minutes.")
    click.echo(line)


@click.command("check-store", short_help="compare photo rows with the store, both ways")
@click.option("--deep", is_flag=True, help="Read every photo and copy again and compare its hash.")
@click.option("--adopt", is_flag=True, help="First adopt announced photos that the store holds: after a restore.")
def check_store(deep: bool, adopt: bool) -> None:
    """Compare photo rows with the store, both ways; exit 1 when something is missing, altered or unreadable.

    A database that was restored from a backup is older than the store. With --adopt, an object under the hash of a
    photo that the database still waits for is hashed again and counts as uploaded; the worker processes it.
    """
    from server.core.services import open_services
    from server.photos.adopt import adopt_announced
    from server.photos.store_check import DISCREPANCY_KINDS
    from server.photos.store_check import check_store as check

    async def compare() -> Any:
        async with open_services(settings()) as services:
            if adopt:
                adopted = await adopt_announced(services)
                click.echo(f"adopted {adopted.adopted} photos, {len(adopted.altered)} have other bytes than announced")
            with progress_bar() as bar:
                task = bar.add_task("check-store", total=None)
                return await check(
                    services, deep=deep, progress=lambda *, done, of: bar.update(task, advance=done, total=of)
                )

    report = run_with_store(compare())
    for trouble in report.found:
        click.echo(f"{trouble.kind:10} {trouble.key}")
    counts: dict[str, Any] = {trouble: len(report.keys(trouble)) for trouble in DISCREPANCY_KINDS}
    if not deep:
        counts |= dict.fromkeys(("altered", "unreadable"), "not looked for; --deep does")
    totals = {"expected": report.expected, "in the store": report.objects, "hashed again": report.hashed}
    print_pairs("The store has losses" if report.has_losses else "The store holds all it should", totals | counts)
    if report.has_losses:
        sys.exit(1)


@click.command("store-conformance", short_help="try every way in and out of the store that is used")
def store_conformance() -> None:
    """Try every way in and out of the configured store that this program uses; exit 1 when any fails.

    Writes a few small objects under conformance/ and removes them. Ranges and links are tried at the public address.
    """
    from rich.console import Console
    from rich.table import Table

    from media.conformance import check_conformance
    from server.core.services import open_services

    async def attempt() -> Any:
        async with open_services(settings()) as services:
            return await check_conformance(services.store)

    lines = run_with_store(attempt())
    table = Table(title=f"{settings().s3_endpoint}, bucket {settings().s3_bucket}")
    for heading in ("way", "", "note"):
        table.add_column(heading, overflow="fold")
    colours = {"ok": "green", "differs": "yellow", "failed": "red"}
    for line in lines:
        table.add_row(line.way, f"[{colours[line.state]}]{line.state}[/]", line.note)
    Console().print(table)
    if any(line.state == "failed" for line in lines):
        sys.exit(1)


@click.command("check-rosters", short_help="prove that every fen that was sent is explained, and paid once")
def check_rosters() -> None:
    """Check every roster that was checked or sent: lines, sums, the bank's file, and the decision behind each part.

    Exits 1 when a line was altered, or when a fen is explained by no decision that was known on the day.
    """
    from server.core.database import open_session
    from server.core.money import format_fen
    from server.core.services import open_services
    from server.rosters.reconcile import Reconciliation, reconcile

    async def run() -> Reconciliation:
        async with open_services(settings()) as services, open_session(services.sessions) as session:
            return await reconcile(session, services.encryption)

    result = asyncio.run(run())
    for fault in result.faults:
        click.echo(f"{fault.roster}  {fault.what}  {fault.code}  {format_fen(fault.fen)}", err=True)
    print_pairs(
        "Rosters",
        {
            "rosters": result.rosters,
            "lines": result.lines,
            "sent": format_fen(result.sent_fen),
            "paid": format_fen(result.paid_fen),
            "returned": format_fen(result.returned_fen),
            "waiting for the bank": format_fen(result.waiting_fen),
            "unexplained": format_fen(result.unexplained_fen),
        },
    )
    if result.faults:
        raise click.ClickException(f"{len(result.faults)} faults: see above.")


COMMANDS = [verify_receipt, verify_bundle, verify_audit, audit_head, check_store, store_conformance, check_rosters]
