"""Everything an area holds goes into one sealed file, and into another installation, where it is the same."""

import base64
import io
from datetime import timedelta
from uuid import UUID

import httpx
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from sqlalchemy import delete, select

from server import audit
from server.audit.actions import Action
from server.core.access import Caller
from server.core.age_files import AgeReader, AgeRefused, AgeWriter, read_private_key
from server.core.clock import today, utc_now
from server.core.database import open_session
from server.core.encryption import Encryption
from server.core.errors import Problem
from server.core.ids import new_id
from server.core.job_types import RemoveAreaExports, WriteAreaExport
from server.core.keys import KeyRing, generate_keys
from server.core.normalise import name_key
from server.core.services import open_services
from server.models import Base
from server.models.audit import AuditEntry
from server.models.feed import Feed
from server.models.households import HouseholdMember
from server.models.packages import AreaExport
from server.models.people import Staff, StaffRole
from server.models.rosters import Roster
from server.packages.exports import _fail, package_key, remove_area_exports
from server.packages.files import PackageReader, read_rows
from server.packages.independence import require_second_person
from server.packages.reading_rows import read_objects
from server.packages.rows import Names, index_names, open_row, seal_row, withhold
from server.packages.tables import LEFT_OUT, PACKAGED
from server.packages.writing import _find_altered_rosters
from server.rosters.examine import load_live_lines, load_parts
from server.rosters.snapshots import find_altered
from tests import days
from tests.backup.conftest import bucket, elsewhere, kit, run, settings
from tests.core.test_age_files import PRIVATE, PUBLIC
from tests.makers.cases import VILLAGE
from tests.makers.rosters import PILOT, RosterOffice
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
    """As `age-keygen` writes them."""
    public, private = tmp_path / "county.pub", tmp_path / "county.key"
    public.write_bytes(PUBLIC + b"\n")
    private.write_bytes(b"# public key: " + PUBLIC + b"\n" + PRIVATE + b"\n")
    return public, private


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


def test_an_objection_from_before_texts_were_sealed_is_sealed_on_the_way():
    encryption, table = Encryption(KeyRing("p1", {"p1": b"h" * 32}), b"h" * 32), Base.metadata.tables["objection"]
    row = {"id": str(new_id()), "text": "她家有车", "text_sealed": None, "contact_sealed": None}
    opened = open_row(encryption, Names({}), table, row)
    assert opened["text"] == "她家有车"
    stored = seal_row(encryption, Names({}), table, opened)
    assert stored["text"] is None
    assert stored["text_sealed"] is not None
    assert withhold(table, opened)["text"] is None


def test_what_the_trail_says_of_complaints_stays_out_of_an_export_from_the_desk():
    table = Base.metadata.tables["audit_entry"]
    facts = {"actor_id": "a", "device_id": "d", "request_id": "r", "facts": {"reason": "毛荷塘说"}}
    assert set(withhold(table, {"thing_kind": "complaint", **facts}).values()) == {"complaint", None}
    assert withhold(table, {"thing_kind": "household", **facts}) == {"thing_kind": "household", **facts}


async def test_an_administrator_and_whom_they_made_do_not_suffice_for_an_export(services, county):
    async with open_session(services.sessions) as session:
        ids = dict((await session.execute(select(Staff.login, Staff.id))).all())
        admin, officer, nobody = ids["zhanxinglou"], ids["maohetang"], ids["jiangmianyuan"]
        await session.execute(delete(StaffRole).where(StaffRole.staff_id == nobody))

        async def judge(decider, proposer):
            caller = Caller(id=decider, name="", device_id=new_id(), grants=())
            try:
                await require_second_person(
                    session, caller, AreaExport(area_code=COUNTY, proposed_by=proposer), today()
                )
            except Problem as problem:
                return problem.code
            return None

        assert await judge(officer, admin) is None
        assert await judge(admin, nobody) == "package.county_officer"
        role = StaffRole(staff_id=nobody, role="county_officer", area_code=COUNTY)
        session.add(role)
        await session.flush()
        assert await judge(nobody, admin) is None
        granter = Caller(id=admin, name="", device_id=new_id(), grants=())
        audit.record(session, granter, Action.STAFF_ROLE_GRANTED, "staff", nobody, role="county_officer")
        await session.flush()
        assert await judge(nobody, admin) == "package.made_by_other"
        assert await judge(admin, nobody) == "package.made_by_other"
        assert await judge(nobody, officer) is None
        audit.record(session, granter, Action.STAFF_LINK_MADE, "staff", officer)
        await session.flush()
        assert await judge(admin, officer) == "package.made_by_other"
        role.deputy_for = officer
        await session.flush()
        assert await judge(officer, nobody) == "package.second_person"


async def test_of_an_export_that_was_not_finished_no_file_stays(services, county):
    async with open_session(services.sessions) as session:
        ids = dict((await session.execute(select(Staff.login, Staff.id))).all())
        export = AreaExport(
            id=new_id(), area_code=COUNTY, public_key="", fingerprint="", reason="换系统", state="accepted",
            proposed_by=ids["maohetang"], proposed_at=utc_now(), decided_by=ids["jiangmianyuan"], decided_at=utc_now(),
        )  # fmt: skip
        session.add(export)
    await services.store.put(package_key(export.id), io.BytesIO(b"sealed"), 6, "application/octet-stream")
    for _ in range(2):
        await _fail(services, WriteAreaExport(export_id=export.id), "lost")
    assert not await services.store.exists(package_key(export.id))


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
    async with open_session(services.sessions) as session:
        photo = (await anext(read_objects(session, COUNTY))).key
    file, again = tmp_path / "county.age", tmp_path / "again.age"
    area = county.areas[0].code[:6]
    words = ("--area", area, "--key", public, "--reason", "换系统")
    output = await run(settings, "export", *words, "--to", file)
    digest = output.split("Digest: ")[1].split()[0]
    number = county.households[0].members[0].id_number
    require_sealed(file, number)
    new = {name.removeprefix("ZOUFANG_").lower(): key for name, key in generate_keys().items()}
    there = msgspec.structs.replace(elsewhere.settings, **new)
    await run(there, "migrate")
    refused = await run(there, "import-package", file, "--private-key", private, "--digest", "0" * 64, code=1)
    assert "not the one that was named" in refused
    async with open_services(there) as opened:
        await opened.store.ensure_bucket()
        assert not await opened.store.exists(photo)
    await run(there, "import-package", file, "--private-key", private, "--digest", digest)
    async with open_services(there) as opened:
        assert await opened.store.exists(photo)
    contents = output.split("Contents: ")[1].split()[0]
    assert f"Contents: {contents}" in await run(there, "export", *words, "--to", again)
    await run(there, "check-store", "--deep")
    refused = await run(there, "import-package", file, "--private-key", private, "--digest", digest, code=1)
    assert "not empty" in refused

    await require_arrived(there, number, roster_id)
    async with open_session(services.sessions) as session:
        entry = await session.scalar(select(AuditEntry).where(AuditEntry.action == Action.PACKAGE_EXPORTED))
        assert (entry.thing_id, entry.area_code, entry.facts["reason"]) == (digest, area, "换系统")
    # A roster of the county is in the package of each village whose homes it pays, and so is what was altered in it.
    await pay.alter_roster(str(roster_id), area_code=COUNTY, total_fen=1)
    async with open_session(services.sessions) as session:
        assert await _find_altered_rosters(session, PILOT) == [str(roster_id)]


def require_sealed(file, number):
    assert number.encode() not in file.read_bytes()
    assert file.stat().st_mode & 0o077 == 0


async def require_arrived(there, number, roster_id):
    """The member, sealed anew, the feed and the roster are in the other installation, and its trail says so."""
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


def require_no_complaints(sealed, private_key):
    package = PackageReader(io.BytesIO(sealed), read_private_key(private_key.read_bytes()))
    assert package.head.area == COUNTY
    files = {entry.name: package.read(entry) for entry in package}
    assert "tables/household-0001.csv" in files
    rows = read_rows(files["tables/complaint-0001.jsonl"])
    assert [(row["text"], row["reporter"], row["against"]) for row in rows] == [(None, None, None)]
    assert not any(
        word.encode() in content for content in files.values() for word in ("红包", "告状人甲", "19900002222")
    )
    assert "complaint.text" in package.head.withheld
    assert b"left out: only the operator's command" in files["dictionary.csv"]


async def propose_export(asker, body):
    async def post(**changes):
        proof = await step_up(asker.http, asker.password)
        return await asker.http.post("/desk/v1/area-exports", json={**body, **changes}, headers=proof)

    assert (await asker.http.post("/desk/v1/area-exports", json=body)).json()["code"] == "auth.step_up_required"
    proposed = await post()
    assert proposed.status_code == 200, proposed.text
    assert proposed.json()["fingerprint"] == PUBLIC[-16:].decode()
    assert (await post(id=str(new_id()), publicKey="age1notakey")).json()["code"] == "request.invalid"
    assert (await post(id=str(new_id()), areaCode="11")).status_code == 404


async def release_export(asker, other, path):
    """Who releases it hears the letters from the county and does not read them here."""

    async def decide(person, decision):
        proof = await step_up(person.http, person.password)
        return (await person.http.post(f"{path}/decision", json=decision, headers=proof)).json()

    assert (await other.http.get("/desk/v1/area-exports")).json()["items"][0]["fingerprint"] is None
    wrong = {"outcome": "accepted", "fingerprint": "0" * 16}
    assert (await decide(other, wrong))["code"] == "package.key_differs"
    named = PUBLIC[-16:].decode()
    yes = {"outcome": "accepted", "fingerprint": f" {named[:8].upper()}-{named[8:]}"}
    assert (await decide(asker, yes))["code"] == "package.second_person"
    assert (await other.http.post(f"{path}/decision", json=yes)).json()["code"] == "auth.step_up_required"
    early = await asker.http.post(f"{path}/link", headers=await step_up(asker.http, asker.password))
    assert early.json()["code"] == "package.not_there"
    assert [(await decide(other, yes))["state"] for _ in range(2)] == ["accepted", "accepted"]


async def test_an_export_from_the_desk_takes_two_people_and_the_countys_own_key(
    system, services, settings, county, kit, key_files, tmp_path
):
    complaint = {
        "areaCode": VILLAGE,
        "text": "邻居毛荷塘收了红包",
        "reporter": {"name": "告状人甲", "contact": "19900002222"},
    }
    assert (await system.client().post("/public/v1/complaints", json=complaint)).status_code == 201
    asker = await system.sign_in_at_desk("maohetang", "county_officer")
    other = await system.sign_in_at_desk("jiangmianyuan", "county_officer")
    body = {
        "id": str(new_id()),
        "areaCode": COUNTY,
        "publicKey": key_files[0].read_text(),
        "reason": "换系统",
    }
    path = f"/desk/v1/area-exports/{body['id']}"
    await propose_export(asker, body)
    await release_export(asker, other, path)
    await system.run_jobs()

    line = (await asker.http.get("/desk/v1/area-exports")).json()["items"][0]
    assert (line["state"], line["faults"]) == ("ready", 0)
    assert (await asker.http.get("/desk/v1/area-exports/export")).status_code == 200
    link = (await asker.http.post(f"{path}/link", headers=await step_up(asker.http, asker.password))).json()
    async with httpx.AsyncClient() as http:
        sealed = (await http.get(link["url"])).content
    (tmp_path / "desk.age").write_bytes(sealed)
    require_no_complaints(sealed, key_files[1])
    words = ("--private-key", key_files[1], "--digest", line["digest"])
    assert "is not whole" in await run(settings, "import-package", tmp_path / "desk.age", *words, code=1)
    late = {"outcome": "rejected", "reason": "迟了"}
    refused = await other.http.post(f"{path}/decision", json=late, headers=await step_up(other.http, other.password))
    assert refused.json()["code"] == "package.decided"

    await require_removed_after_its_days(services, UUID(body["id"]))


async def require_removed_after_its_days(services, export_id):
    async with open_session(services.sessions) as session:
        export = await session.get_one(AreaExport, export_id)
        assert export.written_at is not None
        export.written_at -= timedelta(days=8)
    await remove_area_exports(services, RemoveAreaExports())
    async with open_session(services.sessions) as session:
        assert (await session.get_one(AreaExport, export_id)).state == "removed"
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
    assert not await services.store.exists(package_key(export_id))
