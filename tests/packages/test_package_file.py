"""What is written into a package and read back, and whom a bad file fails."""

import io
import tarfile

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from server.core.age_files import AgeWriter
from server.core.clock import utc_now
from server.packages.files import Head, Manifest, PackageReader, PackageRefused, PackageWriter
from server.packages.importing import _require_whole
from server.packages.reading_rows import Digester

COUNTY = "339901"


def write_small(*, readme=None):
    """Return a private key, a package of nothing sealed to it, and the digest of its files."""
    private, file = X25519PrivateKey.generate(), io.BytesIO()
    head = Head(area=COUNTY, made_at=utc_now(), program="0", migration="0", withheld=[])
    package = PackageWriter(file, private.public_key(), head)
    if readme is not None:
        package.add("README.txt", readme)
    files = package.files.hexdigest()
    package.finish(Manifest(contents=Digester().contents(), files_sha256=files, faults=[], altered_rosters=[]))
    return private, file.getvalue(), files


def test_nothing_in_a_package_is_changed_under_its_digest():
    private, sealed, files = write_small()
    package = PackageReader(io.BytesIO(sealed), private)
    for entry in package:
        package.read(entry)
    assert package.files.hexdigest() == files
    assert write_small(readme=b"other")[2] != files

    contents, whole = Digester().contents(), {"files_sha256": files, "faults": ["missing x"], "altered_rosters": ["r"]}
    digest = Manifest(contents=contents, **whole).compute_digest()
    for other in ({"altered_rosters": []}, {"faults": []}, {"files_sha256": "0" * 64}):
        changed = Manifest(contents=contents, **whole | other)
        changed.digest = changed.compute_digest()
        with pytest.raises(PackageRefused):
            _require_whole(changed, Digester(), files, digest)


def test_a_head_of_any_length_is_not_read():
    private, file = X25519PrivateKey.generate(), io.BytesIO()
    writer = AgeWriter(file, private.public_key())
    archive = tarfile.open(fileobj=writer, mode="w", format=tarfile.PAX_FORMAT)  # noqa: SIM115
    entry = tarfile.TarInfo("package.json")
    entry.pax_headers = {"zoufang.key": "x" * 100_000}
    archive.addfile(entry)
    archive.close()
    writer.finish()
    with pytest.raises(PackageRefused):
        PackageReader(io.BytesIO(file.getvalue()), private)
