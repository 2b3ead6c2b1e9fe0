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

    from server.core.tokens import ReceiptError
    from server.core.tokens import verify_receipt as verify

    try:
        statement = verify(file.read_text().strip(), msgspec.json.decode(keys.read_bytes()))
    except (ReceiptError, msgspec.DecodeError) as error:
        raise click.ClickException(f"The receipt does not hold: {error}") from None
    print_pairs("The receipt holds", statement)


@click.command("verify-bundle", short_help="check an evidence bundle offline")
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
    print_pairs("The bundle holds", {"visit": report.visit_id, "made at": report.made_at, "files": report.files})
    if not report.proves_origin:
        click.echo(
            "Checked with the keys inside it: nothing was changed since it was made, but not who made it. "
            "For that, give --keys with the key set the server publishes."
        )


@click.command("verify-audit", short_help="recompute the chain of the audit trail")
def verify_audit() -> None:
    """Recompute the hash chain of the audit trail."""
    from server.audit.verify import check_audit

    result = asyncio.run(check_audit(settings()))
    if result.broken_at is not None:
        raise click.ClickException(f"The audit trail was altered: seal {result.broken_at} does not hold.")
    click.echo(f"The audit trail holds: {result.seals} seals over {result.entries} entries.")


@click.command("check-store", short_help="compare photo rows with the store, both ways")
@click.option("--deep", is_flag=True, help="Read every photo and copy again and compare its hash.")
def check_store(deep: bool) -> None:
    """Compare photo rows with the store, both ways; exit 1 when something is missing, altered or unreadable."""
    from server.core.services import open_services
    from server.photos.store_check import DISCREPANCY_KINDS
    from server.photos.store_check import check_store as check

    async def compare() -> Any:
        async with open_services(settings()) as services:
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


COMMANDS = [verify_receipt, verify_bundle, verify_audit, check_store]
