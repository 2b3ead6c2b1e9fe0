"""What a bundle's ZIP file may consist of: plain files back to back, and nothing before, between or after them.

Signatures cover what is inside the files. Bytes outside them, links, comments and odd names would pass unseen and reach
whoever unpacks the bundle, so an archive that has any is refused.
"""

import stat
import struct
import unicodedata
from collections import Counter
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import IO
from zipfile import ZipFile, ZipInfo

# A fault: the file inside the bundle (empty: the bundle itself), and what is wrong.
ArchiveFault = tuple[str, str]

_LOCAL_HEADER = struct.Struct("<4s5H3I2H")
_LOCAL_MAGIC = b"PK\x03\x04"
_DESCRIPTOR_MAGIC = b"PK\x07\x08"
_HAS_DESCRIPTOR = 0x08
_ENCRYPTED = 0x01
# The end of the central directory without a comment; the ZIP64 record and its locator stand before it in large files.
_END_BYTES = 22
_ZIP64_BYTES = 56 + 20
_BUNDLE = ""
_PERMISSIONS = 0o777


def find_archive_faults(bundle: ZipFile, file: IO[bytes]) -> Iterator[ArchiveFault]:
    """Yield what stands in the archive beside plain files; `file` is the same archive as bytes."""
    entries = sorted(bundle.infolist(), key=lambda entry: entry.header_offset)
    folded = Counter(_fold(entry.filename) for entry in entries)
    for entry in entries:
        for what in _find_entry_faults(entry):
            yield entry.filename, what
        if folded[_fold(entry.filename)] > 1:
            yield entry.filename, "is there more than once"
    yield from _find_foreign_bytes(bundle, entries, file)


def _fold(name: str) -> str:
    """Two names that are the same file on some computers fold to the same text."""
    return unicodedata.normalize("NFC", name).casefold()


def _find_entry_faults(entry: ZipInfo) -> Iterator[str]:
    mode = entry.external_attr >> 16
    if entry.is_dir() or stat.S_IFMT(mode) not in {0, stat.S_IFREG}:
        yield "is no plain file"
    elif stat.S_IMODE(mode) & ~_PERMISSIONS:
        yield "has special permissions"
    if not _is_plain_path(entry.orig_filename):
        yield "has a name that leads out of the bundle"
    if entry.flag_bits & _ENCRYPTED:
        yield "is encrypted"
    if entry.comment or entry.extra:
        yield "carries bytes that no signature covers"


def _is_plain_path(name: str) -> bool:
    if not name or any(character in name for character in "\\:") or not name.isprintable():
        return False
    parts = PurePosixPath(name).parts
    return name == "/".join(parts) and not name.startswith("/") and not {".", ".."} & set(parts)


def _find_foreign_bytes(bundle: ZipFile, entries: list[ZipInfo], file: IO[bytes]) -> Iterator[ArchiveFault]:
    """The files must follow one another from byte 0, then the directory, then its end; every other byte is foreign."""
    at = 0
    for entry in entries:
        if entry.header_offset != at:
            yield _BUNDLE, "has bytes before its first file" if at == 0 else "has bytes between its files"
            return
        end = _end_of(entry, file)
        if end is None:
            yield entry.filename, "has two headers that differ"
            return
        at = end
    if bundle.start_dir != at:
        yield _BUNDLE, "has bytes between its files and its directory"
        return
    size = file.seek(0, 2)
    directory = sum(_directory_bytes(entry) for entry in entries)
    if bundle.comment or size - (at + directory) not in {_END_BYTES, _ZIP64_BYTES + _END_BYTES}:
        yield _BUNDLE, "has bytes after its last file"


def _end_of(entry: ZipInfo, file: IO[bytes]) -> int | None:
    """Return where the entry's data ends; None when its own header says something else than the directory."""
    file.seek(entry.header_offset)
    fields = _LOCAL_HEADER.unpack(file.read(_LOCAL_HEADER.size))
    magic, flags, method, crc, packed, size, name_bytes, extra_bytes = fields[0], fields[2], fields[3], *fields[6:]
    expected = (_LOCAL_MAGIC, entry.flag_bits, entry.compress_type, 0)
    if (magic, flags, method, extra_bytes) != expected:
        return None
    end = entry.header_offset + _LOCAL_HEADER.size + int(name_bytes) + entry.compress_size
    if not flags & _HAS_DESCRIPTOR:
        return end if (crc, packed, size) == (entry.CRC, entry.compress_size, entry.file_size) else None
    file.seek(end)
    descriptor = file.read(16)
    parts = (_DESCRIPTOR_MAGIC, entry.CRC, entry.compress_size, entry.file_size)
    return end + 16 if descriptor == struct.pack("<4s3I", *parts) else None


def _directory_bytes(entry: ZipInfo) -> int:
    return 46 + len(entry.orig_filename.encode("utf-8")) + len(entry.extra) + len(entry.comment)
