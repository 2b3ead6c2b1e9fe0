"""What a backup says of itself, and how backups of a place are listed."""

import gzip
from collections.abc import AsyncIterator, Iterable, Iterator
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
from msgspec import Struct

from media.store import ObjectMissing
from server.cli.backup.places import BACKUPS, Place, PlaceRefused
from server.photos.stored_objects import StoredObject

FORMAT = "zoufang-backup/1"
_MANIFEST, DUMP, OBJECT_LIST = "manifest.json", "database.dump", "objects.gz"


class Manifest(Struct, kw_only=True, rename="camel"):
    """`rows` are counted, and `objects` listed, in the very snapshot that was dumped.

    `faults` are objects that rows name and the store did not have as they should be; the rest of the backup is good.
    """

    format: str = FORMAT
    id: str
    made_at: datetime
    program: str
    migration: str
    installation: str
    dump_sha256: str
    list_sha256: str
    objects: int
    rows: dict[str, int]
    keys: dict[str, list[str]]
    faults: list[str]

    def path(self, name: str) -> str:
        return f"{BACKUPS}{self.id}/{name}"


async def write_manifest(place: Place, manifest: Manifest, work: Path) -> None:
    file = work / _MANIFEST
    file.write_bytes(msgspec.json.format(msgspec.json.encode(manifest)) + b"\n")
    await place.put(manifest.path(_MANIFEST), file)


async def list_backups(place: Place) -> list[str]:
    """Return the ids of the complete backups, oldest first."""
    names = [name async for name in place.list_names(BACKUPS)]
    return sorted(name.split("/")[1] for name in names if name.endswith(f"/{_MANIFEST}"))


async def read_manifest(place: Place, backup_id: str | None = None) -> Manifest:
    """Read the manifest of a backup, by default of the newest."""
    if backup_id is None:
        ids = await list_backups(place)
        if not ids:
            raise PlaceRefused("there is no complete backup")
        backup_id = ids[-1]
    with TemporaryDirectory(prefix="zoufang-backup-") as folder:
        file = Path(folder) / _MANIFEST
        try:
            await place.get(f"{BACKUPS}{backup_id}/{_MANIFEST}", file)
            return msgspec.json.decode(file.read_bytes(), type=Manifest)
        except ObjectMissing:
            raise PlaceRefused(f"there is no complete backup {backup_id}") from None
        except msgspec.MsgspecError as error:
            raise PlaceRefused(f"the manifest of {backup_id} can't be read: {error}") from None


async def fetch(place: Place, manifest: Manifest, name: str, work: Path) -> Path:
    """Copy the dump or the list of objects into the folder. Raise PlaceRefused when it is not what was written."""
    file = work / name
    expected = manifest.dump_sha256 if name == DUMP else manifest.list_sha256
    try:
        if await place.get(manifest.path(name), file) != expected:
            raise PlaceRefused(f"{name} of {manifest.id} was altered")
    except ObjectMissing:
        raise PlaceRefused(f"{name} of {manifest.id} is missing") from None
    return file


async def write_objects(file: Path, objects: AsyncIterator[StoredObject]) -> int:
    count = 0
    with gzip.open(file, "wt", encoding="utf-8") as lines:
        async for item in objects:
            lines.write(f"{item.content} {item.key}\n")
            count += 1
    return count


def read_objects(file: Path) -> Iterator[StoredObject]:
    """Yield the objects of a list, by content."""
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield StoredObject(*line.rstrip("\n").split(" ", 1))


def each_content_once(objects: Iterable[StoredObject]) -> Iterator[StoredObject]:
    last = ""
    for item in objects:
        if item.content != last:
            yield item
        last = item.content
