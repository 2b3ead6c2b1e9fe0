"""Everything an area holds goes into one sealed file, and into another installation, where it is the same."""

import base64
import io
from datetime import timedelta
from uuid import UUID

import httpx
import msgspec
import pytest
from cryptography.hazmat.primitives import serialization as s
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from sqlalchemy import select

from server.audit.actions import Action
from server.core.age_files import AgeReader, AgeRefused, AgeWriter, read_private_key
from server.core.database import open_session
from server.core.encryption import Encryption
from server.core.ids import new_id
from server.core.job_types import RemoveAreaExports
from server.core.keys import KeyRing, generate_keys
from server.core.normalise import name_key
from server.core.services import open_services
from server.models import Base
from server.models.audit import AuditEntry
from server.models.feed import Feed
from server.models.households import HouseholdMember
from server.models.packages import AreaExport
from server.models.rosters import Roster
from server.packages.exports import package_key, remove_area_exports
from server.packages.files import PackageReader
from server.packages.rows import Names, index_names, open_row, seal_row
from server.packages.tables import LEFT_OUT, PACKAGED
from server.rosters.examine import load_live_lines, load_parts
from server.rosters.snapshots import find_altered
from tests import days
from tests.backup.conftest import bucket, elsewhere, kit, run, settings
from tests.makers.rosters import RosterOffice
from tests.phones import step_up

__all__ = ["bucket", "elsewhere", "kit", "settings"]
COUNTY = "339901"
CARD = "6222020000000000003"


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


def test_a_proposed_account_and_whom_a_complaint_is_about_are_sealed_anew():
    here, there = (
        Encryption(KeyRing("p1", {"p1": b"h" * 32}), b"h" * 32),
        Encryption(KeyRing("p9", {"p9": b"t" * 32}), b"t" * 32),
    )
    home, tables = str(new_id()), Base.metadata.tables
    account = {
        "holderName": "甲",
        "cardSealed": base64.b64encode(here.seal("bank_account.card", home, CARD)).decode(),
        "cardIndex": here.index("bank_card", CARD).hex(),
    }
    proposal = {"id": str(new_id()), "household_id": home, "guards": "bank", "document": {"changes": {"bank": account}}}
    opened = open_row(here, Names({}), tables["proposal"], proposal)
    assert opened["document"]["changes"]["bank"] == {"holderName": "甲", "card": CARD}
    stored = seal_row(there, Names({}), tables["proposal"], opened)["document"]["changes"]["bank"]
    assert there.open("bank_account.card", home, base64.b64decode(stored["cardSealed"])) == CARD
    assert stored["cardIndex"] == there.index("bank_card", CARD).hex()

    complaint = {
        "id": str(new_id()),
        "against": [here.index("staff_name", name_key("毛河塘")).hex(), "of nobody here"],
        "text_sealed": None,
        "reporter_sealed": None,
    }
    opened = open_row(here, index_names(here, ["毛河塘"]), tables["complaint"], complaint)
    assert opened["against"] == ["毛河塘", "of nobody here"]
    stored = seal_row(there, index_names(there, ["毛河塘"]), tables["complaint"], opened)
    assert stored["against"] == [there.index("staff_name", name_key("毛河塘")).hex(), "of nobody here"]


def test_a_file_that_was_cut_or_altered_or_is_for_another_key_is_refused():
    private, content = X25519PrivateKey.generate(), b"x" * 200_000
    file = io.BytesIO()
    writer = AgeWriter(file, private.public_key())
    writer.write(content)
    writer.finish()
    sealed = file.getvalue()
    assert io.BufferedReader(AgeReader(io.BytesIO(sealed), private)).read() == content
    altered = bytearray(sealed)
    altered[-100_000] ^= 1
    for bad, key in (
        (sealed[:-20], private),
        (sealed[: -200_000 % 65_552], private),
        (bytes(altered), private),
        (sealed, X25519PrivateKey.generate()),
    ):
        with pytest.raises(AgeRefused):
            io.BufferedReader(AgeReader(io.BytesIO(bad), key)).read()


async def test_a_county_taken_along_is_the_same_in_an_installation_with_other_keys(
    system, services, settings, county, office, kit, elsewhere, key_files, tmp_path
):
    public, private = key_files
    pay = await RosterOffice(office, system, services).open()
    roster_id = UUID(await pay.sent(days.month()))
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
        # What was checked is still what was checked, over the blind indexes of other keys.
        roster = await session.get_one(Roster, roster_id)
        lines, parts = await load_live_lines(session, roster), await load_parts(session, roster)
        assert len(lines) == 4
        assert find_altered(roster, lines, parts) == []
        logged = await session.scalars(select(AuditEntry.action).where(AuditEntry.thing_kind == "package"))
        assert set(logged) == {Action.PACKAGE_IMPORTED, Action.PACKAGE_EXPORTED}
    async with open_session(services.sessions) as session:
        entry = await session.scalar(select(AuditEntry).where(AuditEntry.action == Action.PACKAGE_EXPORTED))
        assert (entry.thing_id, entry.area_code, entry.facts["reason"]) == (digest, area, "换系统")


async def test_an_export_from_the_desk_takes_two_people_and_the_countys_own_key(
    system, services, county, kit, key_files
):
    asker = await system.sign_in_at_desk("maohetang", "county_officer")
    other = await system.sign_in_at_desk("jiangmianyuan", "county_officer")
    body = {
        "id": str(new_id()),
        "areaCode": COUNTY,
        "publicKey": key_files[0].read_text(),
        "reason": "换系统",
    }
    path = f"/desk/v1/area-exports/{body['id']}"
    assert (await asker.http.post("/desk/v1/area-exports", json=body)).json()["code"] == "auth.step_up_required"
    proposed = await asker.http.post(
        "/desk/v1/area-exports", json=body, headers=await step_up(asker.http, asker.password)
    )
    assert proposed.status_code == 200, proposed.text
    bad = {**body, "id": str(new_id()), "publicKey": "age1notakey"}
    refused = await asker.http.post(
        "/desk/v1/area-exports", json=bad, headers=await step_up(asker.http, asker.password)
    )
    assert refused.json()["code"] == "request.invalid"
    elsewhere = {**body, "id": str(new_id()), "areaCode": "11"}
    refused = await asker.http.post(
        "/desk/v1/area-exports", json=elsewhere, headers=await step_up(asker.http, asker.password)
    )
    assert refused.status_code == 404

    yes = {"outcome": "accepted"}
    own = await asker.http.post(f"{path}/decision", json=yes, headers=await step_up(asker.http, asker.password))
    assert own.json()["code"] == "package.second_person"
    assert (await other.http.post(f"{path}/decision", json=yes)).json()["code"] == "auth.step_up_required"
    early = await asker.http.post(f"{path}/link", headers=await step_up(asker.http, asker.password))
    assert early.json()["code"] == "package.not_there"
    released = await other.http.post(f"{path}/decision", json=yes, headers=await step_up(other.http, other.password))
    assert released.json()["state"] == "accepted"
    again = await other.http.post(f"{path}/decision", json=yes, headers=await step_up(other.http, other.password))
    assert again.json()["state"] == "accepted"
    await system.run_jobs()

    line = (await asker.http.get("/desk/v1/area-exports")).json()["items"][0]
    assert (line["state"], line["faults"]) == ("ready", 0)
    assert (await asker.http.get("/desk/v1/area-exports/export")).status_code == 200
    link = (await asker.http.post(f"{path}/link", headers=await step_up(asker.http, asker.password))).json()
    async with httpx.AsyncClient() as http:
        sealed = (await http.get(link["url"])).content
    package = PackageReader(io.BytesIO(sealed), read_private_key(key_files[1].read_bytes()))
    assert package.head.area == COUNTY
    assert "tables/household-0001.csv" in {entry.name for entry in package}
    late = {"outcome": "rejected", "reason": "迟了"}
    refused = await other.http.post(f"{path}/decision", json=late, headers=await step_up(other.http, other.password))
    assert refused.json()["code"] == "package.decided"

    async with open_session(services.sessions) as session:
        export = await session.get_one(AreaExport, UUID(body["id"]))
        assert export.written_at is not None
        export.written_at -= timedelta(days=8)
    await remove_area_exports(services, RemoveAreaExports())
    async with open_session(services.sessions) as session:
        assert (await session.get_one(AreaExport, UUID(body["id"]))).state == "removed"
        logged = await session.scalars(
            select(AuditEntry.action).where(AuditEntry.thing_kind == "package").order_by(AuditEntry.id)
        )
        assert list(logged) == [
            Action.PACKAGE_PROPOSED,
            Action.PACKAGE_ACCEPTED,
            Action.PACKAGE_EXPORTED,
            Action.PACKAGE_TAKEN,
            Action.PACKAGE_REMOVED,
        ]
    assert not await services.store.exists(package_key(UUID(body["id"])))
