"""The file of a package: a tar archive, sealed as a whole (core/age_files.py), written and read as a stream.

package.json                        what it is: first
README.txt, dictionary.csv          how to read it, for people
tables/<table>-0001.jsonl           rows, one JSON object a line: what an import reads
tables/<table>-0001.csv             the same rows for a spreadsheet
photos/ab/<sha256>                  photos and copies by the hash of their content
manifest.json                       rows and digests of all: last, without it the package was interrupted

The digest that the sender names covers all of it: rows, photos, every other file, and what the manifest says is wrong.
"""

import hashlib
import io
import tarfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import IO, Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from msgspec import Struct
from sqlalchemy import Table

from server.core.age_files import AgeReader, AgeWriter
from server.core.spreadsheets import to_cell, write_csv
from server.models.sealed_columns import SEALED_SUFFIX
from server.packages.dictionary import HEADINGS, list_dictionary
from server.packages.reading_rows import Contents
from server.packages.rows import Row
from server.packages.selection import is_readable, list_columns
from server.photos.stored_objects import StoredObject

FORMAT = "zoufang-package/1"
PACKAGE, MANIFEST, TABLES, PHOTOS = "package.json", "manifest.json", "tables/", "photos/"
# Where a photo lies in the store, in the head of its file: one content may be several objects.
KEY_HEADER = "zoufang.key"
# No piece of rows and no photo is larger; a package that says so was not made here.
_LARGEST = 256 * 1024 * 1024
# tarfile holds the head of an entry in memory: ours names a file and a key.
_LARGEST_HEAD = 64 * 1024
_HEADS = frozenset(
    {
        tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE,
        tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.GNUTYPE_SPARSE,
    }
)  # fmt: skip
_README = """走访数据包 / a package of everything an area holds

tables/*.jsonl  每行一条记录（UTF-8 JSON）/ one record a line
tables/*.csv    同样的记录，可用电子表格打开 / the same records for a spreadsheet
photos/         照片和副本，文件名是内容的 SHA-256 / photos and copies, named by the SHA-256 of their content
dictionary.csv  每张表、每一列的说明 / what each table and column says
manifest.json   每张表的行数和摘要 / rows and digests of each table

evidence.sha256, paper_photo.sha256, posting_place.sha256 → photos/
金额单位是分，时间是 UTC。/ Amounts are fen, times are UTC.
"""


class PackageRefused(Exception):
    """The package can't be written or read; the message says why."""


class Head(Struct, kw_only=True, rename="camel"):
    """`withheld`: columns that are empty in this package whatever the rows hold. Such a package is not whole."""

    format: str = FORMAT
    withheld: list[str]
    area: str
    made_at: datetime
    program: str
    migration: str


class Manifest(Struct, kw_only=True, rename="camel"):
    """`faults` are photos that rows name and the store did not have as they should be.

    `altered_rosters` are ids of rosters that are no longer what was checked (rosters/snapshots.py).
    """

    contents: Contents
    files_sha256: str
    digest: str = ""
    faults: list[str]
    altered_rosters: list[str]

    def compute_digest(self) -> str:
        said = (self.contents, self.files_sha256, self.faults, self.altered_rosters)
        return hashlib.sha256(msgspec.json.encode(said, order="sorted")).hexdigest()


class FileDigest:
    """Adds up every file but photos, which `Contents` has, and the manifest, which names the sum."""

    def __init__(self) -> None:
        self._sha256 = hashlib.sha256()

    def add(self, name: str, content: bytes) -> None:
        if name != MANIFEST and not name.startswith(PHOTOS):
            self._sha256.update(f"{hashlib.sha256(content).hexdigest()} {name}\n".encode())

    def hexdigest(self) -> str:
        return self._sha256.hexdigest()


class PackageWriter:
    def __init__(self, target: IO[bytes], recipient: X25519PublicKey, head: Head) -> None:
        self._sealed = AgeWriter(target, recipient)
        self._archive = tarfile.open(fileobj=self._sealed, mode="w", format=tarfile.PAX_FORMAT)  # noqa: SIM115
        self._made_at = int(head.made_at.timestamp())
        self._pieces: dict[str, int] = {}
        self.files = FileDigest()
        self.add(PACKAGE, msgspec.json.encode(head))
        self.add("README.txt", _README.encode())
        self.add("dictionary.csv", write_csv(HEADINGS, list_dictionary(head.withheld)))

    def add(self, name: str, content: bytes) -> None:
        self.files.add(name, content)
        self._archive.addfile(self._describe(name, len(content)), io.BytesIO(content))

    def add_rows(self, table: Table, rows: list[Row]) -> None:
        number = self._pieces[table.name] = self._pieces.get(table.name, 0) + 1
        lines = b"".join(msgspec.json.encode(row) + b"\n" for row in rows)
        self.add(f"{TABLES}{table.name}-{number:04d}.jsonl", lines)
        self.add(f"{TABLES}{table.name}-{number:04d}.csv", _to_csv(table, rows))

    def add_object(self, item: StoredObject, file: Path) -> None:
        entry = self._describe(f"{PHOTOS}{item.content[:2]}/{item.content}", file.stat().st_size)
        entry.pax_headers = {KEY_HEADER: item.key}
        with file.open("rb") as content:
            self._archive.addfile(entry, content)

    def finish(self, manifest: Manifest) -> None:
        self.add(MANIFEST, msgspec.json.format(msgspec.json.encode(manifest)))
        self._archive.close()
        self._sealed.finish()

    def _describe(self, name: str, size: int) -> tarfile.TarInfo:
        entry = tarfile.TarInfo(name)
        entry.size, entry.mtime, entry.mode = size, self._made_at, 0o600
        return entry


def _to_csv(table: Table, rows: list[Row]) -> bytes:
    names = [column.name.removesuffix(SEALED_SUFFIX) for column in list_columns(table) if is_readable(column)]
    return write_csv(names, [[_to_text(row[name]) for name in names] for row in rows])


def _to_text(value: Any) -> Any:
    if isinstance(value, dict | list):
        return msgspec.json.encode(value).decode()
    return "true" if value is True else "false" if value is False else to_cell(value)


class _Entry(tarfile.TarInfo):
    def _proc_member(self, archive: tarfile.TarFile) -> Any:
        if self.type in _HEADS and self.size > _LARGEST_HEAD:
            raise PackageRefused("the file holds no package")
        return super()._proc_member(archive)  # type: ignore[misc]


class PackageReader:
    """Reads a package from its start to its end, once."""

    def __init__(self, source: IO[bytes], identity: X25519PrivateKey) -> None:
        self.files = FileDigest()
        opened = io.BufferedReader(AgeReader(source, identity))
        try:
            self._archive = tarfile.open(fileobj=opened, mode="r|", tarinfo=_Entry)  # noqa: SIM115
            first = self._archive.next()
        except tarfile.TarError:
            raise PackageRefused("the file holds no package") from None
        if first is None or first.name != PACKAGE:
            raise PackageRefused("the file holds no package")
        self.head = msgspec.json.decode(self.read(first), type=Head)
        if self.head.format != FORMAT:
            raise PackageRefused(f"the package is {self.head.format}, not {FORMAT}")

    def __iter__(self) -> Iterator[tarfile.TarInfo]:
        """Yield the files in their order; each is read before the next."""
        try:
            while (entry := self._archive.next()) is not None:
                yield entry
        except tarfile.TarError:
            raise PackageRefused("the package is cut off") from None

    def read(self, entry: tarfile.TarInfo) -> bytes:
        if entry.size > _LARGEST or not entry.isreg():
            raise PackageRefused(f"{entry.name} is no file of a package")
        content = self._archive.extractfile(entry)
        assert content is not None
        found = content.read()
        self.files.add(entry.name, found)
        return found


def read_rows(content: bytes) -> list[Row]:
    return [msgspec.json.decode(line, type=dict[str, Any]) for line in content.splitlines()]
