"""The evidence of one visit as one file: photos, a signed manifest, the receipt, and a printed sheet.

The manifest names every other file by its hash and is signed, so `verify-bundle` finds any byte that was
changed since without asking us. A photo the store lost or altered is told as such and left out: the bundle
holds nothing that isn't what it says.
"""

import hashlib
import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any, NamedTuple
from uuid import UUID
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

import msgspec

from media.store import ObjectMissing, original_key, rendition_key
from server.core.access import Caller
from server.core.canonical import canonical_json
from server.core.database import open_session
from server.core.services import Services
from server.core.threads import run_in_thread
from server.evidence.dossier import Dossier, JsonObject, PhotoSource, RenderFinding, load_dossier
from server.evidence.sheet import render_visit_pdf

FORMAT = "zoufang-bundle/1"
MANIFEST, SIGNATURE, RECEIPT, KEYS, SHEET = (
    "manifest.json",
    "manifest.jws",
    "receipt.jws",
    "receipt-keys.json",
    "visit.pdf",
)
_ENDINGS = {"image/jpeg": "jpg", "image/png": "png", "image/webp": "webp", "image/heic": "heic"}
_PACKED = (".json", ".jws", ".pdf")


class _File(NamedTuple):
    name: str
    sha256: str
    size_bytes: int


async def export_bundle(
    services: Services, caller: Caller | None, visit_id: UUID, out: IO[bytes], *, say: RenderFinding, now: datetime
) -> None:
    """Write the bundle into `out`. Holds no transaction while photos are fetched; raises as `load_dossier` does."""
    async with open_session(services.sessions) as session:
        dossier = await load_dossier(session, caller, visit_id, say)
    with TemporaryDirectory(prefix="zoufang-") as name:
        folder = Path(name)
        await _fetch_photos(services, dossier, folder)
        await _write_papers(services, dossier, folder, now)
        await run_in_thread(_zip, folder, out, now)


async def _fetch_photos(services: Services, dossier: Dossier, folder: Path) -> None:
    for held, told in zip(dossier.photos, dossier.told["photos"], strict=True):
        told["held"], told["original"] = await _fetch_original(services, held, folder)
        told["rendition"] = await _fetch_rendition(services, held, folder)


async def _fetch_original(services: Services, held: PhotoSource, folder: Path) -> tuple[str, str | None]:
    """Whether the store holds it: `awaited`, `whole`, `erased`, `missing` or `altered`; and its file when whole."""
    if held.is_erased:
        return "erased", None
    if not held.is_stored:
        return "awaited", None
    name = f"photos/{held.evidence_id}.{_ENDINGS.get(held.media_type or '', 'bin')}"
    path = _place(folder, name)
    try:
        stored = await services.store.join([original_key(held.sha256)], path)
    except ObjectMissing:
        return "missing", None
    if stored.sha256 != held.sha256:
        path.unlink()
        return "altered", None
    return "whole", name


async def _fetch_rendition(services: Services, held: PhotoSource, folder: Path) -> str | None:
    if not held.is_verified or held.is_erased:
        return None
    name = f"renditions/{held.evidence_id}-1280.jpg"
    try:
        await services.store.download(rendition_key(held.sha256, "1280"), _place(folder, name))
    except ObjectMissing:
        return None
    return name


async def _write_papers(services: Services, dossier: Dossier, folder: Path, now: datetime) -> None:
    """The manifest comes last of all, since it names the others; its signature names it."""
    _place(folder, RECEIPT).write_text(dossier.receipt)
    _place(folder, KEYS).write_bytes(msgspec.json.encode(services.receipts.public_keys()))
    _place(folder, SHEET).write_bytes(await run_in_thread(render_visit_pdf, dossier, folder, now))
    manifest = canonical_json(_manifest(dossier, await run_in_thread(_files, folder), now))
    _place(folder, MANIFEST).write_bytes(manifest)
    statement = {
        "format": FORMAT,
        "visitId": str(dossier.visit_id),
        "manifestSha256": hashlib.sha256(manifest).hexdigest(),
        "madeAt": now.isoformat(),
    }
    _place(folder, SIGNATURE).write_text(services.receipts.sign(statement))


def _manifest(dossier: Dossier, files: list[_File], now: datetime) -> JsonObject:
    told: dict[str, Any] = {"format": FORMAT, "madeAt": now, **dossier.told}
    told["files"] = [{"name": one.name, "sha256": one.sha256, "sizeBytes": one.size_bytes} for one in files]
    return told


def _files(folder: Path) -> list[_File]:
    return [_measure(path, name) for name, path in _walk(folder)]


def _measure(path: Path, name: str) -> _File:
    with path.open("rb") as file:
        return _File(name, hashlib.file_digest(file, "sha256").hexdigest(), path.stat().st_size)


def _walk(folder: Path) -> Iterator[tuple[str, Path]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield path.relative_to(folder).as_posix(), path


def _place(folder: Path, name: str) -> Path:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    return path


def _zip(folder: Path, out: IO[bytes], now: datetime) -> None:
    """Photos are packed already; only the papers gain by it."""
    with ZipFile(out, "w") as bundle:
        for name, path in _walk(folder):
            info = ZipInfo(name, now.timetuple()[:6])
            info.compress_type = ZIP_DEFLATED if name.endswith(_PACKED) else ZIP_STORED
            info.external_attr = 0o644 << 16
            info.file_size = path.stat().st_size
            with path.open("rb") as source, bundle.open(info, "w") as target:
                shutil.copyfileobj(source, target, 256 * 1024)
