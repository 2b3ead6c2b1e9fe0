"""Everything an area holds goes into one sealed file, and into another installation, where it is the same."""

import msgspec
import pytest
from cryptography.hazmat.primitives import serialization as s
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from sqlalchemy import select

from server.audit.actions import Action
from server.core.database import open_session
from server.core.keys import generate_keys
from server.core.services import open_services
from server.models import Base
from server.models.audit import AuditEntry
from server.models.feed import Feed
from server.models.households import HouseholdMember
from server.packages.tables import LEFT_OUT, PACKAGED
from tests.backup.conftest import bucket, elsewhere, kit, run, settings

__all__ = ["bucket", "elsewhere", "kit", "settings"]


def test_each_table_is_declared_to_go_along_or_to_stay_with_a_reason():
    tables = set(Base.metadata.tables)
    assert set(PACKAGED) | set(LEFT_OUT) == tables
    assert not set(PACKAGED) & set(LEFT_OUT)
    assert all(LEFT_OUT.values())


@pytest.fixture
def key_files(tmp_path):
    private = X25519PrivateKey.generate()
    (tmp_path / "private.pem").write_bytes(
        private.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, s.NoEncryption())
    )
    (tmp_path / "public.pem").write_bytes(
        private.public_key().public_bytes(s.Encoding.PEM, s.PublicFormat.SubjectPublicKeyInfo)
    )
    return tmp_path / "public.pem", tmp_path / "private.pem"


async def test_a_county_taken_along_is_the_same_in_an_installation_with_other_keys(
    system, services, settings, county, kit, elsewhere, key_files, tmp_path
):
    public, private = key_files
    file, again = tmp_path / "county.age", tmp_path / "again.age"
    area = county.areas[0].code[:6]
    words = ("--area", area, "--key", public, "--reason", "换系统")
    output = await run(settings, "export", *words, "--to", file)
    digest = output.split("Digest: ")[1].split()[0]
    number = county.households[0].members[0].id_number
    assert number.encode() not in file.read_bytes()
    assert file.stat().st_mode & 0o077 == 0

    new = {name.removeprefix("ZOUFANG_").lower(): key for name, key in generate_keys().items()}
    there = msgspec.structs.replace(elsewhere.settings, **new)
    await run(there, "migrate")
    refused = await run(there, "import-package", file, "--private-key", private, "--digest", "0" * 64, code=1)
    assert "not the one that was named" in refused
    await run(there, "import-package", file, "--private-key", private, "--digest", digest)
    assert f"Digest: {digest}" in await run(there, "export", *words, "--to", again)
    await run(there, "check-store", "--deep")
    refused = await run(there, "import-package", file, "--private-key", private, "--digest", digest, code=1)
    assert "not empty" in refused

    async with open_services(there) as opened, open_session(opened.sessions) as session:
        index = opened.encryption.index("id_number", number)
        member = (
            await session.scalars(select(HouseholdMember).where(HouseholdMember.id_number_index == index))
        ).first()
        assert member is not None
        assert member.id_number_sealed is not None
        assert opened.encryption.open("household_member.id_number", member.id, member.id_number_sealed) == number
        assert await session.scalar(select(Feed.doc_id).limit(1)) is not None
        logged = await session.scalars(select(AuditEntry.action).where(AuditEntry.thing_kind == "package"))
        assert set(logged) == {Action.PACKAGE_IMPORTED, Action.PACKAGE_EXPORTED}
    async with open_session(services.sessions) as session:
        entry = await session.scalar(select(AuditEntry).where(AuditEntry.action == Action.PACKAGE_EXPORTED))
        assert (entry.thing_id, entry.area_code, entry.facts["reason"]) == (digest, area, "换系统")
