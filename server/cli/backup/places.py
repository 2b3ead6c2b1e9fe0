"""Where backups lie: a folder of this machine, or a bucket of an S3 server.

    objects/ab/cd/<sha256>              photos and copies, by the hash of their content; all backups share them
    backups/<time>/database.dump        pg_dump's custom format
    backups/<time>/objects.gz           the photos that the dump names: a line `<sha256> <key in the store>` each
    backups/<time>/manifest.json        written last: without it the backup was interrupted and does not count

Nothing is ever overwritten, so a copy that was made is there whatever becomes of the next one.
"""

import asyncio
import contextlib
import hashlib
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import Protocol
from urllib.parse import urlsplit

from media.store import ObjectMissing, ObjectStore
from server.core.settings import Settings

OBJECTS, BACKUPS = "objects/", "backups/"
_PIECE = 1 << 20


class PlaceRefused(Exception):
    """The place can't be used; the message says why."""


class Place(Protocol):
    """Files by name, with `/` between folders."""

    def work_folder(self) -> contextlib.AbstractContextManager[Path]:
        """A folder for files on their way; removed afterwards."""
        ...

    async def prepare(self) -> None: ...

    def list_names(self, prefix: str) -> AsyncIterator[str]:
        """Yield names in byte order."""
        ...

    async def put(self, name: str, file: Path) -> None:
        """Take the file, whole or not at all; it may be gone from where it was."""
        ...

    async def get(self, name: str, file: Path) -> str:
        """Copy into the file and return its SHA-256. Raise ObjectMissing."""
        ...

    async def remove(self, name: str) -> None: ...


class FolderPlace:
    """Only its owner may enter it: photos and dump are in clear."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    async def prepare(self) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    @contextlib.contextmanager
    def work_folder(self) -> Iterator[Path]:
        """Beside the objects, so that a file is moved and not copied."""
        work = Path(mkdtemp(prefix=".work-", dir=self.folder))
        try:
            yield work
        finally:
            shutil.rmtree(work, ignore_errors=True)

    async def list_names(self, prefix: str) -> AsyncIterator[str]:
        for path in _walk(self.folder / prefix):
            yield path.relative_to(self.folder).as_posix()

    async def put(self, name: str, file: Path) -> None:
        await asyncio.to_thread(self._put, name, file)

    def _put(self, name: str, file: Path) -> None:
        target = self.folder / name
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with file.open("rb+") as written:
            os.fsync(written.fileno())
        file.chmod(0o600)
        file.rename(target)

    async def get(self, name: str, file: Path) -> str:
        return await asyncio.to_thread(_copy, self.folder / name, file)

    async def remove(self, name: str) -> None:
        path = self.folder / name
        path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # others are in it
            path.parent.rmdir()


def _walk(folder: Path) -> Iterator[Path]:
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        for path in sorted(folder.iterdir()):
            if path.is_dir():
                yield from _walk(path)
            else:
                yield path


def _copy(source: Path, target: Path) -> str:
    sha256 = hashlib.sha256()
    try:
        with source.open("rb") as reading, target.open("wb") as writing:
            while piece := reading.read(_PIECE):
                sha256.update(piece)
                writing.write(piece)
    except FileNotFoundError:
        raise ObjectMissing(str(source)) from None
    return sha256.hexdigest()


class BucketPlace:
    def __init__(self, store: ObjectStore, prefix: str) -> None:
        self.store = store
        self.prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""

    async def prepare(self) -> None:
        await self.store.ensure_bucket()

    @contextlib.contextmanager
    def work_folder(self) -> Iterator[Path]:
        with TemporaryDirectory(prefix="zoufang-backup-") as folder:
            yield Path(folder)

    async def list_names(self, prefix: str) -> AsyncIterator[str]:
        async for key in self.store.list_keys(self.prefix + prefix):
            yield key.removeprefix(self.prefix)

    async def put(self, name: str, file: Path) -> None:
        await self.store.put_file(self.prefix + name, file, "application/octet-stream")

    async def get(self, name: str, file: Path) -> str:
        return (await self.store.join([self.prefix + name], file)).sha256

    async def remove(self, name: str) -> None:
        await self.store.remove(self.prefix + name)


def object_name(content: str) -> str:
    return f"{OBJECTS}{content[:2]}/{content[2:4]}/{content}"


@contextlib.contextmanager
def open_place(settings: Settings, address: str) -> Iterator[Place]:
    """Open `s3://bucket/prefix` at the server that ZOUFANG_BACKUP_S3_… name, or a folder."""
    if not address.startswith("s3://"):
        yield FolderPlace(Path(address).resolve())
        return
    parts = urlsplit(address)
    if not settings.backup_s3_endpoint:
        raise PlaceRefused("set ZOUFANG_BACKUP_S3_ENDPOINT and its keys: the server that holds the backups")
    if (settings.backup_s3_endpoint, parts.netloc) == (settings.s3_endpoint, settings.s3_bucket):
        raise PlaceRefused("that is the bucket of the photos themselves: name another")
    store = ObjectStore(
        endpoint=settings.backup_s3_endpoint,
        access_key=settings.backup_s3_access_key,
        secret_key=settings.backup_s3_secret_key,
        bucket=parts.netloc,
    )
    with contextlib.closing(store):
        yield BucketPlace(store, parts.path)
