"""Commands for the day that a disk fails: backup, verify-backup, restore, and the keys."""

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

from server.cli.common import progress_bar, settings, store_failure

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_passphrase = click.option("--passphrase-file", type=_FILE, help="A file that holds the passphrase; else it is asked.")


@click.command("backup", short_help="copy database, photos and sealed keys to a folder or a bucket")
@click.argument("place")
@click.option(
    "--keys", "keys_file", type=click.Path(dir_okay=False, path_type=Path), help="Also seal the keys to here."
)
@click.option("--public-key", type=_FILE, help="X25519 key in PEM to seal them to; without it a passphrase seals them.")
@_passphrase
@click.option("--keep", type=click.IntRange(min=1), help="Afterwards keep the newest N backups and remove the others.")
def backup(
    place: str, keys_file: Path | None, public_key: Path | None, passphrase_file: Path | None, keep: int | None
) -> None:
    """Back up to PLACE, a folder or s3://bucket/prefix, while the system is at work. Safe to run again.

    The database as of one moment, and every photo that it names; what is there already is not copied again. Names,
    addresses and photos lie there in clear: encrypt the medium. The keys go into a file elsewhere, sealed. Exits 1 when
    an object was missing or altered in the store; the rest is good.
    """
    from server.cli.backup.places import open_place
    from server.cli.backup.removing import remove_old_backups
    from server.cli.backup.taking import take_backup

    loaded = settings()
    with _refusals(), open_place(loaded, place) as opened, _steps() as (show, progress):
        if keys_file is not None:
            _require_apart(place, keys_file)
            _write_private(keys_file, _seal(loaded, public_key, passphrase_file))
            show(f"keys sealed into {keys_file}")
        report = asyncio.run(take_backup(loaded, opened, show=show, progress=progress))
        if keep is not None:
            backups, objects = asyncio.run(remove_old_backups(opened, keep))
            show(f"removed {backups} old backups, and {objects} objects that none names")
    click.echo(
        f"Backup {report.manifest.id}: {sum(report.manifest.rows.values())} rows, {report.manifest.objects} objects, "
        f"{report.copied} of them copied now ({report.copied_bytes / 1e6:.1f} MB)."
    )
    if report.manifest.faults:
        _fail("The store has losses", report.manifest.faults)
    if loaded.backup_marker:
        Path(loaded.backup_marker).touch()


@click.command("verify-backup", short_help="restore a backup into a temporary place and check it")
@click.argument("place")
@click.option("--backup", "backup_id", help="Its id; by default the newest.")
@click.option("--keys", "keys_file", type=_FILE, help="Check with the keys of this sealed file, not those set here.")
@click.option("--private-key", type=_FILE, help="The key in PEM that opens the file.")
@_passphrase
@click.option("--scratch", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Where to restore it.")
def verify_backup(
    place: str,
    backup_id: str | None,
    keys_file: Path | None,
    private_key: Path | None,
    passphrase_file: Path | None,
    scratch: Path | None,
) -> None:
    """Restore the backup in PLACE into a temporary PostgreSQL of this machine and check it; exit 1 if it does not hold.

    Looks at every photo's hash, the rows, the migration, the audit trail and a sample of sealed values. Touches neither
    the running system nor its store.
    """
    import msgspec

    from server.cli.backup.manifest import read_manifest
    from server.cli.backup.places import open_place
    from server.cli.backup.verifying import verify_backup as verify

    loaded = settings()
    with _refusals(), open_place(loaded, place) as opened, _steps() as (show, progress):
        if keys_file is not None:
            loaded = msgspec.structs.replace(loaded, **_open(keys_file, private_key, passphrase_file))
        with TemporaryDirectory(prefix="zoufang-verify-", dir=scratch) as folder:
            manifest = asyncio.run(read_manifest(opened, backup_id))
            faults = asyncio.run(verify(loaded, opened, manifest, Path(folder), show=show, progress=progress))
    if faults:
        _fail(f"Backup {manifest.id} does not hold", faults)
    click.echo(f"Backup {manifest.id} holds: {sum(manifest.rows.values())} rows, {manifest.objects} objects.")


@click.command("restore", short_help="put a backup back, into an empty database")
@click.argument("place")
@click.option("--backup", "backup_id", help="Its id; by default the newest.")
@click.option("--database-only", "part", flag_value="database", help="The store is intact: leave it as it is.")
@click.option("--photos-only", "part", flag_value="photos", help="The database is intact: leave it as it is.")
def restore(place: str, backup_id: str | None, part: str | None) -> None:
    """Restore the backup in PLACE into the store and the empty database that the settings name.

    Safe to run again after an interruption. Photos that are there are compared and left. Phones stay signed in, load
    everything anew by themselves and send again what the backup lacks.
    """
    from server.cli.backup.manifest import read_manifest
    from server.cli.backup.places import open_place
    from server.cli.backup.restoring import require_place, restore_database, restore_photos

    loaded = settings()
    with _refusals(), open_place(loaded, place) as opened, _steps() as (show, progress):
        manifest = asyncio.run(read_manifest(opened, backup_id))
        is_restored = part != "photos" and asyncio.run(require_place(loaded, manifest))
        if part != "database":
            asyncio.run(restore_photos(loaded, opened, manifest, show=show, progress=progress))
        if part == "photos":
            click.echo(f"The photos of backup {manifest.id} are in the store; `check-store --deep` compares them.")
            return
        adopted = asyncio.run(restore_database(loaded, opened, manifest, is_restored=is_restored, show=show))
    click.echo(f"Backup {manifest.id} of {manifest.made_at:%Y-%m-%d %H:%M} UTC is restored.")
    if adopted.adopted:
        click.echo(f"{adopted.adopted} younger photos of the store were adopted.")
    click.echo("Now start API and worker; then `check-store`, and `sweep-photos` if photos were deleted since.")


@click.command("open-keys", short_help="write the keys of a sealed file into a folder")
@click.argument("file", type=_FILE)
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--private-key", type=_FILE, help="The key in PEM that opens the file.")
@_passphrase
def open_keys(file: Path, folder: Path, private_key: Path | None, passphrase_file: Path | None) -> None:
    """Open FILE, which `backup --keys` has sealed, and write each key into FOLDER under its name in deploy/secrets."""
    with _refusals():
        keys = _open(file, private_key, passphrase_file)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, value in keys.items():
            if (folder / name).exists() and (folder / name).read_text().strip() != value:
                raise click.ClickException(f"{folder / name} holds another key: move it away first")
            _write_private(folder / name, value.encode())
    click.echo(f"{len(keys)} files written to {folder}.")


def _seal(loaded: Any, public_key: Path | None, passphrase_file: Path | None) -> bytes:
    from server.cli.backup.sealed_keys import collect_keys, seal_by_passphrase, seal_to_public_key

    if public_key is not None:
        return seal_to_public_key(collect_keys(loaded), public_key.read_bytes())
    return seal_by_passphrase(collect_keys(loaded), _read_passphrase(passphrase_file, confirm=True))


def _open(file: Path, private_key: Path | None, passphrase_file: Path | None) -> dict[str, str]:
    from server.cli.backup.sealed_keys import open_keys as open_sealed

    if private_key is not None:
        return open_sealed(file.read_bytes(), private_key=private_key.read_bytes())
    return open_sealed(file.read_bytes(), passphrase=_read_passphrase(passphrase_file, confirm=False))


def _read_passphrase(file: Path | None, *, confirm: bool) -> str:
    if file is not None:
        return file.read_text().strip()
    return str(click.prompt("Passphrase of the keys", hide_input=True, confirmation_prompt=confirm))


def _require_apart(place: str, keys_file: Path) -> None:
    if not place.startswith("s3://") and keys_file.resolve().is_relative_to(Path(place).resolve()):
        raise click.ClickException("the keys would lie in the backup itself: name another medium, in other hands")


def _write_private(file: Path, content: bytes) -> None:
    """Replace the file as a whole, readable for its owner alone."""
    draft = file.with_name(f".{file.name}.partial")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as written:
        written.write(content)
    draft.replace(file)


@contextlib.contextmanager
def _refusals() -> Iterator[None]:
    """Say in one line why it can't be done."""
    import psycopg
    from psycopg_pool import PoolTimeout

    from media.store import StoreError
    from server.cli.backup.places import PlaceRefused
    from server.cli.backup.postgres_programs import ProgramFailed
    from server.cli.backup.sealed_keys import KeysRefused
    from server.devserver.processes import StartError

    try:
        try:
            yield
        except ExceptionGroup as errors:  # several copies fail alike
            raise errors.exceptions[0] from None
    except (PlaceRefused, ProgramFailed, KeysRefused, StartError) as refused:
        raise click.ClickException(str(refused)) from None
    except StoreError as error:
        raise store_failure(error) from None
    except (psycopg.OperationalError, PoolTimeout):
        raise click.ClickException("The database does not answer: see its address in the settings") from None


@contextlib.contextmanager
def _steps() -> Iterator[tuple[Callable[[str], None], Callable[[int, int], None]]]:
    """Print each step with its time, and show how far it is."""
    started = time.monotonic()
    with progress_bar() as bar:
        tasks: list[Any] = []

        def show(step: str) -> None:
            click.echo(f"{time.monotonic() - started:7.1f} s  {step}")

        def progress(done: int, total: int) -> None:
            if not tasks:
                tasks.append(bar.add_task("objects", total=total))
            bar.update(tasks[0], advance=done, total=total)

        yield show, progress


def _fail(what: str, faults: list[str]) -> None:
    for fault in faults:
        click.echo(fault, err=True)
    raise click.ClickException(f"{what}: {len(faults)} faults.")


COMMANDS = [backup, verify_backup, restore, open_keys]
