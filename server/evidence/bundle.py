"""Export the evidence of a visit as one file: photos, a signed manifest, the receipt, and a printed sheet.

The manifest lists every other file with its hash and is signed, so `verify-bundle` finds any changed byte without this
server. A photo that the store has lost or altered is reported as such and left out: every file in a bundle matches its
hash.
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
from server.audit.reads import write_after_reading
from server.core.access import Caller
from server.core.canonical import canonical_json
from server.core.database import later_statements, open_reading_session
from server.core.services import Services
from server.core.threads import run_in_thread
from server.core.tokens import StatementKind
from server.evidence.dossier import Dossier, JsonObject, PhotoSource, RenderFinding, load_dossier, record_bundle
from server.evidence.sheet import render_visit_pdf

FORMAT = "zoufang-bundle/1"
MANIFEST, SIGNATURE, RECEIPT, KEYS, SHEET = (
    "manifest.json",
    "manifest.jws",
    "receipt.jws",
    "receipt-keys.json",
    "visit.pdf",
)
_EXTENSIONS = {"image/jpeg": "jpg", "image/png": "png", "image/webp": "webp", "image/heic": "heic"}
_COMPRESSED = (".json", ".jws", ".pdf")


class _File(NamedTuple):
    name: str
    sha256: str
    size_bytes: int


async def export_bundle(
    services: Services,
    caller: Caller | None,
    visit_id: UUID,
    out: IO[bytes],
    *,
    render_finding: RenderFinding,
    now: datetime,
) -> None:
    """Write the bundle into `out`. Holds no transaction while photos are fetched; raises as `load_dossier` does."""
    async with open_reading_session(services.reading_sessions) as session:
        await record_bundle(session, caller, visit_id)
    # Before the dossier is read, since it holds this entry too.
    await write_after_reading(services.autocommit, later_statements(session))
    async with open_reading_session(services.reading_sessions) as session:
        dossier = await load_dossier(session, caller, visit_id, render_finding)
    with TemporaryDirectory(prefix="zoufang-") as name:
        folder = Path(name)
        await _fetch_photos(services, dossier, folder)
        await _write_documents(services, dossier, folder, now)
        await run_in_thread(_zip, folder, out, now)


async def _fetch_photos(services: Services, dossier: Dossier, folder: Path) -> None:
    for photo, entry in zip(dossier.photos, dossier.manifest["photos"], strict=True):
        entry["held"], entry["original"] = await _fetch_original(services, photo, folder)
        entry["rendition"] = await _fetch_rendition(services, photo, folder)


async def _fetch_original(services: Services, photo: PhotoSource, folder: Path) -> tuple[str, str | None]:
    """Return its state in the store (`awaited`, `whole`, `erased`, `missing` or `altered`) and its file when whole."""
    if photo.is_erased:
        return "erased", None
    if not photo.is_stored:
        return "awaited", None
    name = f"photos/{photo.evidence_id}.{_EXTENSIONS.get(photo.media_type or '', 'bin')}"
    path = _make_path(folder, name)
    try:
        stored = await services.store.join([original_key(photo.sha256)], path)
    except ObjectMissing:
        return "missing", None
    if stored.sha256 != photo.sha256:
        path.unlink()
        return "altered", None
    return "whole", name


async def _fetch_rendition(services: Services, photo: PhotoSource, folder: Path) -> str | None:
    if not photo.is_verified or photo.is_erased:
        return None
    name = f"renditions/{photo.evidence_id}-1280.jpg"
    try:
        await services.store.download(rendition_key(photo.sha256, "1280"), _make_path(folder, name))
    except ObjectMissing:
        return None
    return name


async def _write_documents(services: Services, dossier: Dossier, folder: Path, now: datetime) -> None:
    """Write the manifest last, since it lists the other files; the signature covers the manifest."""
    _make_path(folder, RECEIPT).write_text(dossier.receipt)
    _make_path(folder, KEYS).write_bytes(msgspec.json.encode(services.receipts.public_keys()))
    _make_path(folder, SHEET).write_bytes(await run_in_thread(render_visit_pdf, dossier, folder, now))
    manifest = canonical_json(_build_manifest(dossier, await run_in_thread(_list_files, folder), now))
    _make_path(folder, MANIFEST).write_bytes(manifest)
    statement = {
        "format": FORMAT,
        "visitId": str(dossier.visit_id),
        "manifestSha256": hashlib.sha256(manifest).hexdigest(),
        "madeAt": now.isoformat(),
    }
    _make_path(folder, SIGNATURE).write_text(services.receipts.sign(StatementKind.BUNDLE, statement))


def _build_manifest(dossier: Dossier, files: list[_File], now: datetime) -> JsonObject:
    manifest: dict[str, Any] = {"format": FORMAT, "madeAt": now, **dossier.manifest}
    manifest["files"] = [{"name": file.name, "sha256": file.sha256, "sizeBytes": file.size_bytes} for file in files]
    return manifest


def _list_files(folder: Path) -> list[_File]:
    return [_measure(path, name) for name, path in _walk(folder)]


def _measure(path: Path, name: str) -> _File:
    with path.open("rb") as file:
        return _File(name, hashlib.file_digest(file, "sha256").hexdigest(), path.stat().st_size)


def _walk(folder: Path) -> Iterator[tuple[str, Path]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield path.relative_to(folder).as_posix(), path


def _make_path(folder: Path, name: str) -> Path:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    return path


def _zip(folder: Path, out: IO[bytes], now: datetime) -> None:
    """Photos are compressed already, so compress only the documents."""
    with ZipFile(out, "w") as bundle:
        for name, path in _walk(folder):
            info = ZipInfo(name, now.timetuple()[:6])
            info.compress_type = ZIP_DEFLATED if name.endswith(_COMPRESSED) else ZIP_STORED
            info.external_attr = 0o644 << 16
            info.file_size = path.stat().st_size
            with path.open("rb") as source, bundle.open(info, "w") as target:
                shutil.copyfileobj(source, target, 256 * 1024)
