"""Whether an evidence bundle is still what it was: needs the file alone, no network and no database.

With the published keys it proves that this server made the bundle. With the keys that lie inside it proves only
that nothing changed since somebody made it: whoever forges a bundle can put their own keys in.
"""

import base64
import binascii
import hashlib
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import ZipFile

import msgspec
from msgspec import Struct

from server.core.canonical import NotCanonical, content_hash
from server.core.tokens import ReceiptError, verify_receipt
from server.evidence.bundle import FORMAT, KEYS, MANIFEST, RECEIPT, SIGNATURE

_PIECE_BYTES = 256 * 1024
_LARGEST_PAPER_BYTES = 256 * 1024 * 1024


class BundleFault(NamedTuple):
    """`name` is the file inside the bundle, or the bundle's own."""

    name: str
    what: str


class BundleReport(Struct):
    """`proves_origin` only with keys that came another way than the bundle."""

    visit_id: str = ""
    made_at: str = ""
    files: int = 0
    proves_origin: bool = False
    faults: list[BundleFault] = []

    def fault(self, name: str, what: str) -> None:
        if (name, what) not in self.faults:
            self.faults.append(BundleFault(name, what))


def verify_bundle(path: Path, key_set: dict[str, Any] | None = None) -> BundleReport:
    """Names every file that was changed, taken out or put in. Never raises for what the bundle holds."""
    report = BundleReport(proves_origin=key_set is not None)
    try:
        with ZipFile(path) as bundle:
            _verify(bundle, key_set, report)
    except Exception as error:  # noqa: BLE001  zipfile promises no list of what a broken file raises
        report.fault(path.name, f"can't be read as a bundle ({type(error).__name__})")
    return report


def _verify(bundle: ZipFile, key_set: dict[str, Any] | None, report: BundleReport) -> None:
    counts = Counter(bundle.namelist())
    report.files = len(counts)
    for name, times in counts.items():
        if times > 1:
            report.fault(name, "is there more than once")
    papers = {name: _read(bundle, name, report) for name in (MANIFEST, SIGNATURE, RECEIPT, KEYS)}
    manifest = _decode(papers[MANIFEST])
    if manifest is None:
        report.fault(MANIFEST, "was changed: it is no manifest")
        return
    listed = {one["name"]: (one["sha256"], one["sizeBytes"]) for one in manifest["files"]}
    keys = key_set if key_set is not None else _keys_inside(papers[KEYS], listed)
    if not _manifest_holds(papers, keys, report):
        return
    report.visit_id, report.made_at = str(manifest["visit"]["id"]), str(manifest["madeAt"])
    _compare_files(bundle, listed, report)
    _check_receipt(papers[RECEIPT], keys, manifest, listed, report)
    _check_documents(manifest, report)


def _read(bundle: ZipFile, name: str, report: BundleReport) -> bytes | None:
    if name not in bundle.NameToInfo:
        report.fault(name, "is missing")
        return None
    if bundle.getinfo(name).file_size > _LARGEST_PAPER_BYTES:
        report.fault(name, "was changed: it is far too large")
        return None
    try:
        return bundle.read(name)
    except Exception as error:  # noqa: BLE001  as above
        report.fault(name, f"was changed ({type(error).__name__})")
        return None


def _decode(paper: bytes | None) -> dict[str, Any] | None:
    try:
        told = msgspec.json.decode(paper or b"")
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return told if isinstance(told, dict) and told.get("format") == FORMAT else None


def _keys_inside(paper: bytes | None, listed: dict[str, Any]) -> dict[str, Any] | None:
    """None when they are not the ones that were put in: they prove nothing then."""
    if paper is None or listed.get(KEYS, ("",))[0] != hashlib.sha256(paper).hexdigest():
        return None
    told: dict[str, Any] = msgspec.json.decode(paper)
    return told


# -- the manifest itself


def _manifest_holds(papers: dict[str, bytes | None], keys: dict[str, Any] | None, report: BundleReport) -> bool:
    """False when the manifest was changed: what it says of the other files is worth nothing then."""
    signature, manifest = papers[SIGNATURE], papers[MANIFEST] or b""
    if signature is None:
        return True
    if keys is None:
        return _signature_names(signature, manifest, report)
    try:
        statement = verify_receipt(_strictly(signature), keys)
    except (ReceiptError, UnicodeDecodeError, ValueError) as error:
        report.fault(SIGNATURE, f"was changed, or was not signed with these keys ({error})")
        return True
    return _names(statement, manifest, report)


def _signature_names(signature: bytes, manifest: bytes, report: BundleReport) -> bool:
    """Without usable keys the signature can't be checked, yet what it says can still be compared."""
    report.fault(KEYS, "was changed: the signatures can't be checked")
    try:
        body = _strictly(signature).split(".")[1]
        statement = msgspec.json.decode(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    except (ValueError, IndexError):
        report.fault(SIGNATURE, "was changed: it is no signature")
        return True
    return _names(statement, manifest, report)


def _names(statement: Any, manifest: bytes, report: BundleReport) -> bool:
    if isinstance(statement, dict) and statement.get("manifestSha256") == hashlib.sha256(manifest).hexdigest():
        return True
    report.fault(MANIFEST, "was changed: it is not the one that was signed; the other files can't be judged by it")
    return False


def _strictly(token: bytes) -> str:
    """A compact JWS has one spelling: bits that base64url leaves unused are zero, and nothing surrounds it."""
    text = token.decode("ascii")
    for part in text.split("."):
        raw = base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
        if base64.urlsafe_b64encode(raw).rstrip(b"=").decode() != part:
            raise binascii.Error("not in its one spelling")
    return text


# -- the files it names


def _compare_files(bundle: ZipFile, listed: dict[str, tuple[str, int]], report: BundleReport) -> None:
    present = {one for one in bundle.namelist() if one not in {MANIFEST, SIGNATURE}}
    for name in sorted(present - listed.keys()):
        report.fault(name, "was added")
    for name in sorted(listed.keys() - present):
        report.fault(name, "is missing")
    for name in sorted(listed.keys() & present):
        if _hash(bundle, name) != listed[name]:
            report.fault(name, "was changed")


def _hash(bundle: ZipFile, name: str) -> tuple[str, int] | None:
    """SHA-256 and size; None when its bytes can't even be read."""
    sha256, size = hashlib.sha256(), 0
    try:
        with bundle.open(name) as file:
            while piece := file.read(_PIECE_BYTES):
                sha256.update(piece)
                size += len(piece)
    except Exception:  # noqa: BLE001  as above
        return None
    return sha256.hexdigest(), size


# -- what the server gave its word for, when the visit came


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
        statement = verify_receipt(_strictly(receipt), keys)
    except (ReceiptError, UnicodeDecodeError, ValueError) as error:
        report.fault(RECEIPT, f"was changed, or was not signed with these keys ({error})")
        return
    visit = manifest["visit"]
    if (statement.get("visitId"), statement.get("sha256")) != (visit["id"], _hash_of(visit["document"])):
        report.fault(RECEIPT, "is of another visit, or the visit was changed after it was received")
    for version in manifest.get("earlierVersions", []):
        _check_earlier(version, keys, visit["id"], report)
    promised = {one["id"]: one["sha256"] for one in visit["document"].get("photos", [])}
    for photo in manifest["photos"]:
        name = photo["original"]
        if name is not None and listed.get(name, ("",))[0] != promised.get(photo["id"]):
            report.fault(name, "is not the photo that the visit was submitted with")


def _check_earlier(version: dict[str, Any], keys: dict[str, Any], visit_id: str, report: BundleReport) -> None:
    """What stood before an amendment had a receipt of its own."""
    name = f"version {version['version']}"
    try:
        statement = verify_receipt(_strictly(version["receipt"].encode()), keys)
    except (ReceiptError, UnicodeError, ValueError) as error:
        report.fault(MANIFEST, f"{name}: its receipt was not signed with these keys ({error})")
        return
    if (statement.get("visitId"), statement.get("sha256")) != (visit_id, _hash_of(version["document"])):
        report.fault(MANIFEST, f"{name} is not what its receipt was given for")


def _check_documents(manifest: dict[str, Any], report: BundleReport) -> None:
    for one in (*manifest["attestations"], *manifest["photos"]):
        if _hash_of(one["document"]) != one["contentHash"]:
            report.fault(MANIFEST, f"document {one['id']} is not what the phone sent")


def _hash_of(document: Any) -> str:
    try:
        return content_hash(document)
    except NotCanonical:
        return ""
