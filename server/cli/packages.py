"""Commands to take everything of an area out, sealed to a key, and to read it into another installation."""

import asyncio
import os
import time
from pathlib import Path
from typing import Any

import click

from server.cli.common import settings, store_failure

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command("export", short_help="write everything of an area into one file, sealed to a key")
@click.option("--area", required=True, help="Code of the area: province, city, county, town or village.")
@click.option("--to", "target", required=True, type=click.Path(dir_okay=False, path_type=Path), help="The new file.")
@click.option("--key", required=True, type=_FILE, help="Public key of the county: a line age1….")
@click.option("--reason", required=True, prompt="Why (for the audit trail)", help="Stands in the audit trail.")
def export(area: str, target: Path, key: Path, reason: str) -> None:
    """Write all homes, visits, cases, money, ledgers, records and photos of an area into one file.

    CSV and JSON Lines with a data dictionary, numbers in clear: the file is sealed to the key, and whoever holds the
    private one opens it with any program for age files. The system is at work meanwhile. Prints the digest that
    `import-package` asks for: tell it to the receiver by another way. The digest of the contents is the same in every
    installation that holds the same. Exits 1 when a photo was missing or altered.
    """
    from server.core.age_files import AgeRefused, public_key_line
    from server.packages.commands import export_area
    from server.packages.files import PackageRefused

    try:
        public_key = public_key_line(key.read_bytes())
        draft = target.with_name(f".{target.name}.partial")
        draft.unlink(missing_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            manifest = _run(export_area(settings(), file, area, public_key, reason, _steps()))
        draft.replace(target)
    except (AgeRefused, PackageRefused) as refused:
        raise click.ClickException(str(refused)) from None
    click.echo(f"{target}: {manifest.contents.rows()} rows, {manifest.contents.objects} photos and copies.")
    click.echo(f"Digest: {manifest.digest}")
    click.echo(f"Contents: {manifest.contents.digest()}")
    for fault in (*manifest.faults, *(f"altered roster {roster}" for roster in manifest.altered_rosters)):
        click.echo(fault, err=True)
    if manifest.faults:
        raise click.ClickException(f"The store has losses: {len(manifest.faults)} faults.")


@click.command("import-package", short_help="read such a file into an empty installation")
@click.argument("file", type=_FILE)
@click.option("--private-key", required=True, type=_FILE, help="The key that opens it, which the county keeps.")
@click.option("--digest", required=True, help="As `export` printed it, told by another way than the file.")
def import_package(file: Path, private_key: Path, digest: str) -> None:
    """Read FILE, which `export` has written, into this installation: all of it, or nothing.

    The installation is migrated, of the same version, and holds no homes yet; areas and an administrator may be there.
    Numbers are sealed with the keys of this installation. Staff come without passwords: give them one-time links.
    Reply codes and look-up PINs go on only where ZOUFANG_BLIND_INDEX_KEY is the former one.
    """
    from server.core.age_files import AgeRefused, read_private_key
    from server.packages.commands import import_file
    from server.packages.files import PackageRefused

    try:
        identity = read_private_key(private_key.read_bytes())
        with file.open("rb") as source:
            manifest = _run(import_file(settings(), source, identity, digest, _steps()))
    except (AgeRefused, PackageRefused) as refused:
        raise click.ClickException(f"Nothing was imported: {refused}") from None
    click.echo(
        f"Imported {manifest.contents.rows()} rows, {manifest.contents.objects} photos and copies: both sides are"
    )
    click.echo(f"the same by the digest of their contents {manifest.contents.digest()}.")
    click.echo("Now `backfill-photo-features`, and links for the staff.")


def _run(work: Any) -> Any:
    from media.store import StoreError

    try:
        return asyncio.run(work)
    except StoreError as error:
        raise store_failure(error) from None


def _steps() -> Any:
    started = time.monotonic()

    def show(step: str) -> None:
        click.echo(f"{time.monotonic() - started:7.1f} s  {step}", err=True)

    return show


COMMANDS = [export, import_package]
