"""Verify that an evidence bundle is unchanged. Needs only the file, no network and no database.

With the published keys this proves that this server made the bundle. With the keys inside the bundle it proves only
that nothing changed since it was made: a forger can include their own keys.
"""

import base64
import binascii
import hashlib
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import ZipFile

import msgspec
from msgspec import Struct

from server.core.canonical import NotCanonical, content_hash
from server.core.tokens import StatementError, StatementKind, verify_receipt, verify_statement
from server.evidence.archive import find_archive_faults
from server.evidence.bundle import FORMAT, KEYS, MANIFEST, RECEIPT, SIGNATURE

_PIECE_BYTES = 256 * 1024
_MAX_DOCUMENT_BYTES = 256 * 1024 * 1024


class BundleFault(NamedTuple):
    """`name` is a file inside the bundle, or the bundle itself."""

    name: str
    what: str


class BundleReport(Struct):
    """`proves_origin` is set only with keys from another source than the bundle."""

    visit_id: str = ""
    made_at: str = ""
    files: int = 0
    proves_origin: bool = False
    faults: list[BundleFault] = []

    def fault(self, name: str, what: str) -> None:
        if (name, what) not in self.faults:
            self.faults.append(BundleFault(name, what))


def verify_bundle(path: Path, key_set: dict[str, Any] | None = None) -> BundleReport:
    """Report every file that was changed, removed or added. Never raises because of the bundle's content."""
    report = BundleReport(proves_origin=key_set is not None)
    try:
        with path.open("rb") as file, ZipFile(path) as bundle:
            for name, what in find_archive_faults(bundle, file):
                report.fault(name or path.name, what)
            _verify(bundle, key_set, report)
    except Exception as error:  # noqa: BLE001  zipfile documents no list of what a broken file raises
        report.fault(path.name, f"can't be read as a bundle ({type(error).__name__})")
    return report


def _verify(bundle: ZipFile, key_set: dict[str, Any] | None, report: BundleReport) -> None:
    report.files = len(bundle.NameToInfo)
    documents = {name: _read(bundle, name, report) for name in (MANIFEST, SIGNATURE, RECEIPT, KEYS)}
    manifest = _decode_manifest(documents[MANIFEST])
    if manifest is None:
        report.fault(MANIFEST, "was changed: it is no manifest")
        return
    listed = {file["name"]: (file["sha256"], file["sizeBytes"]) for file in manifest["files"]}
    keys = key_set if key_set is not None else _load_keys_inside(documents[KEYS], listed)
    if not _is_manifest_trusted(documents, keys, report):
        return
    report.visit_id, report.made_at = str(manifest["visit"]["id"]), str(manifest["madeAt"])
    _compare_files(bundle, listed, report)
    _check_receipt(documents[RECEIPT], keys, manifest, listed, report)
    _check_documents(manifest, report)


def _read(bundle: ZipFile, name: str, report: BundleReport) -> bytes | None:
    if name not in bundle.NameToInfo:
        report.fault(name, "is missing")
        return None
    if bundle.getinfo(name).file_size > _MAX_DOCUMENT_BYTES:
        report.fault(name, "was changed: it is far too large")
        return None
    try:
        return bundle.read(name)
    except Exception as error:  # noqa: BLE001  as above
        report.fault(name, f"was changed ({type(error).__name__})")
        return None


def _decode_manifest(content: bytes | None) -> dict[str, Any] | None:
    try:
        manifest = msgspec.json.decode(content or b"")
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return manifest if isinstance(manifest, dict) and manifest.get("format") == FORMAT else None


def _load_keys_inside(content: bytes | None, listed: dict[str, Any]) -> dict[str, Any] | None:
    """Return the bundle's own keys; None when they were replaced, since they prove nothing then."""
    if content is None or listed.get(KEYS, ("",))[0] != hashlib.sha256(content).hexdigest():
        return None
    keys: dict[str, Any] = msgspec.json.decode(content)
    return keys


# -- the manifest itself


def _is_manifest_trusted(documents: dict[str, bytes | None], keys: dict[str, Any] | None, report: BundleReport) -> bool:
    """Return False when the manifest was changed: the other files can't be checked against it then."""
    signature, manifest = documents[SIGNATURE], documents[MANIFEST] or b""
    if signature is None:
        return True
    if keys is None:
        return _matches_unverified_signature(signature, manifest, report)
    try:
        statement = verify_statement(StatementKind.BUNDLE, _decode_strictly(signature), keys)
    except (StatementError, UnicodeDecodeError, ValueError) as error:
        report.fault(SIGNATURE, f"was changed, or was not signed with these keys ({error})")
        return True
    return _matches_statement(statement, manifest, report)


def _matches_unverified_signature(signature: bytes, manifest: bytes, report: BundleReport) -> bool:
    """Compare the signed statement with the manifest when there are no usable keys to verify the signature."""
    report.fault(KEYS, "was changed: the signatures can't be checked")
    try:
        body = _decode_strictly(signature).split(".")[1]
        statement = msgspec.json.decode(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    except (ValueError, IndexError):
        report.fault(SIGNATURE, "was changed: it is no signature")
        return True
    return _matches_statement(statement, manifest, report)


def _matches_statement(statement: Any, manifest: bytes, report: BundleReport) -> bool:
    if isinstance(statement, dict) and statement.get("manifestSha256") == hashlib.sha256(manifest).hexdigest():
        return True
    report.fault(MANIFEST, "was changed: it is not the one that was signed; the other files can't be judged by it")
    return False


def _decode_strictly(token: bytes) -> str:
    """Accept only the canonical form of a compact JWS: unused base64url bits are zero, and nothing surrounds it."""
    text = token.decode("ascii")
    for part in text.split("."):
        raw = base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
        if base64.urlsafe_b64encode(raw).rstrip(b"=").decode() != part:
            raise binascii.Error("not in canonical form")
    return text


# -- the files that it lists


def _compare_files(bundle: ZipFile, listed: dict[str, tuple[str, int]], report: BundleReport) -> None:
    present = {name for name in bundle.namelist() if name not in {MANIFEST, SIGNATURE}}
    for name in sorted(present - listed.keys()):
        report.fault(name, "was added")
    for name in sorted(listed.keys() - present):
        report.fault(name, "is missing")
    for name in sorted(listed.keys() & present):
        if _hash(bundle, name) != listed[name]:
            report.fault(name, "was changed")


def _hash(bundle: ZipFile, name: str) -> tuple[str, int] | None:
    """Return SHA-256 and size; None when the bytes can't be read."""
    sha256, size = hashlib.sha256(), 0
    try:
        with bundle.open(name) as file:
            while piece := file.read(_PIECE_BYTES):
                sha256.update(piece)
                size += len(piece)
    except Exception:  # noqa: BLE001  as above
        return None
    return sha256.hexdigest(), size


# -- the receipt that the server signed when the visit was submitted


def _check_receipt(
    receipt: bytes | None,
    keys: dict[str, Any] | None,
    manifest: dict[str, Any],
    listed: dict[str, tuple[str, int]],
    report: BundleReport,
) -> None:
    if receipt is None or keys is None:
        return
    try:
        statement = verify_receipt(_decode_strictly(receipt), keys)
    except (StatementError, UnicodeDecodeError, ValueError) as error:
        report.fault(RECEIPT, f"was changed, or was not signed with these keys ({error})")
        return
    visit = manifest["visit"]
    if (statement.get("visitId"), statement.get("sha256")) != (visit["id"], _hash_of(visit["document"])):
        report.fault(RECEIPT, "is of another visit, or the visit was changed after it was received")
    for version in manifest.get("earlierVersions", []):
        _check_earlier(version, keys, visit["id"], report)
    promised = {photo["id"]: photo["sha256"] for photo in visit["document"].get("photos", [])}
    for photo in manifest["photos"]:
        name = photo["original"]
        if name is not None and listed.get(name, ("",))[0] != promised.get(photo["id"]):
            report.fault(name, "is not the photo that the visit was submitted with")


def _check_earlier(version: dict[str, Any], keys: dict[str, Any], visit_id: str, report: BundleReport) -> None:
    """Check a version before an amendment against its own receipt."""
    name = f"version {version['version']}"
    try:
        statement = verify_receipt(_decode_strictly(version["receipt"].encode()), keys)
    except (StatementError, UnicodeError, ValueError) as error:
        report.fault(MANIFEST, f"{name}: its receipt was not signed with these keys ({error})")
        return
    if (statement.get("visitId"), statement.get("sha256")) != (visit_id, _hash_of(version["document"])):
        report.fault(MANIFEST, f"{name} is not what its receipt was given for")


def _check_documents(manifest: dict[str, Any], report: BundleReport) -> None:
    for entry in (*manifest["attestations"], *manifest["photos"]):
        if _hash_of(entry["document"]) != entry["contentHash"]:
            report.fault(MANIFEST, f"document {entry['id']} is not what the phone sent")


def _hash_of(document: Any) -> str:
    try:
        return content_hash(document)
    except NotCanonical:
        return ""
