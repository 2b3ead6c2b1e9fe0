"""An evidence bundle, from the desk's download to the offline proof, and every way to spoil it."""

import asyncio
import hashlib
import io
import re
import zipfile
from uuid import UUID

import jwt
import msgspec
import pytest
from click.testing import CliRunner
from sqlalchemy import delete, select

from media.store import original_key
from server.__main__ import main
from server.core import keys
from server.core.canonical import canonical_json
from server.core.clock import utc_now
from server.core.database import open_session
from server.core.ids import new_id
from server.core.tokens import StatementError, StatementKind, StatementSigner, verify_receipt, verify_statement
from server.evidence.verify import BundleReport, _check_earlier, verify_bundle
from server.models.audit import AuditEntry
from server.models.households import Household
from server.models.review import Finding
from server.models.visits import Visit
from tests.conftest import environment
from tests.evidence.conftest import drawn
from tests.makers.photos import make_exif, make_jpeg
from tests.pdf import words
from tests.phones import make_kit
from tests.test_first_path import push_whole


@pytest.fixture
async def bundle(kit, desk, tmp_path):
    answer = await desk.http.get(f"/desk/v1/visits/{kit.visit['id']}/bundle")
    assert answer.status_code == 200, answer.text
    path = tmp_path / "visit.zip"
    path.write_bytes(answer.content)
    return path


def members(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def pack(path, contents):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    return path


def flip(content, at):
    changed = bytearray(content)
    changed[at] ^= 1
    return bytes(changed)


async def test_a_bundle_holds_the_visit_and_proves_it(services, kit, bundle):
    held = members(bundle)
    manifest = msgspec.json.decode(held["manifest.json"])
    assert held["manifest.json"] == canonical_json(manifest)
    assert manifest["visit"]["document"] == kit.visit
    assert {photo["id"]: photo["held"] for photo in manifest["photos"]} == dict.fromkeys(kit.photos, "whole")
    for item in manifest["photos"]:
        assert held[item["original"]] == kit.photos[item["id"]]
        assert item["rendition"] in held
    assert len(manifest["fixes"]) == 3
    assert [attestation["document"] for attestation in manifest["attestations"]] == [kit.attestation]
    assert {entry["action"] for entry in manifest["audit"]["entries"]} >= {"visit.complete", "visit.bundled"}
    assert all(finding["zh"] for finding in manifest["findings"])
    assert {file["name"] for file in manifest["files"]} == set(held) - {"manifest.json", "manifest.jws"}

    inside, outside = verify_bundle(bundle), verify_bundle(bundle, services.receipts.public_keys())
    assert inside.faults == outside.faults == []
    assert (inside.proves_origin, outside.proves_origin) == (False, True)
    assert inside.visit_id == kit.visit["id"]


async def test_an_amended_visit_brings_what_stood_before_with_its_receipt(services, phone, desk, kit, tmp_path):
    master = (await phone.pull("visits"))[kit.visit["id"]]
    result = {key: value for key, value in master.items() if key != "server"}
    reason = {"reason": "核对户口簿后更正", "amendedAt": utc_now().isoformat()}
    assert await phone.push("visits", result | {"amendment": reason, "familyPresent": []}, assumed=master) == []
    answer = await desk.http.get(f"/desk/v1/visits/{kit.visit['id']}/bundle")
    path = tmp_path / "amended.zip"
    path.write_bytes(answer.content)
    published = services.receipts.public_keys()
    assert verify_bundle(path, published).faults == []
    manifest = msgspec.json.decode(members(path)["manifest.json"])
    [before] = manifest["earlierVersions"]
    assert (before["version"], manifest["visit"]["version"]) == (1, 2)
    assert before["document"] == kit.visit
    assert before["receipt"] == master["server"]["receipt"]

    report = BundleReport()
    _check_earlier(before | {"document": {**kit.visit, "mode": "video"}}, published, kit.visit["id"], report)
    assert [fault.name for fault in report.faults] == ["manifest.json"]


async def test_every_way_to_spoil_a_bundle_names_what_was_spoilt(services, bundle, tmp_path):
    """One bundle for all of them: making it takes longer than spoiling it."""
    for holds in (
        one_byte_changed_in_any_member_names_that_member,
        one_byte_flipped_inside_the_file_itself_is_named_too,
        a_bundle_forged_with_ones_own_keys_does_not_prove_its_origin,
        bytes_outside_its_files_are_refused,
        links_and_odd_names_are_refused,
        members_missing_added_or_doubled_are_named,
    ):
        holds(services.receipts.public_keys(), bundle, tmp_path)


def one_byte_changed_in_any_member_names_that_member(published, bundle, tmp_path):
    held = members(bundle)
    for name, content in held.items():
        for at in (0, len(content) // 2, len(content) - 1):
            spoiled = pack(tmp_path / "spoiled.zip", {**held, name: flip(content, at)})
            for keys_given in (None, published):
                named = {fault.name for fault in verify_bundle(spoiled, keys_given).faults}
                assert name in named, (name, at, keys_given is not None)
                assert named <= {name, "manifest.jws", "receipt.jws"}, (name, at, named)


def one_byte_flipped_inside_the_file_itself_is_named_too(published, bundle, tmp_path):
    raw = bundle.read_bytes()
    with zipfile.ZipFile(bundle) as archive:
        places = [(item.filename, item.header_offset, item.compress_size) for item in archive.infolist()]
    for name, offset, size in places:
        start = offset + 30 + len(name.encode())
        spoiled = tmp_path / "flipped.zip"
        spoiled.write_bytes(flip(raw, start + size // 2))
        assert name in {fault.name for fault in verify_bundle(spoiled, published).faults}


def bytes_outside_its_files_are_refused(published, bundle, tmp_path):
    """Before, between and after the files, and in the places of the format that readers skip."""
    raw, spoiled = bundle.read_bytes(), tmp_path / "outside.zip"
    with zipfile.ZipFile(bundle) as archive:
        directory = archive.start_dir
    hidden = b"hidden"
    commented = raw[:-2] + len(hidden).to_bytes(2, "little") + hidden
    for changed in (hidden + raw, raw + hidden, raw[:directory] + hidden + raw[directory:], commented, raw + raw):
        spoiled.write_bytes(changed)
        assert "outside.zip" in {fault.name for fault in verify_bundle(spoiled, published).faults}
    spoiled.write_bytes(raw)
    with zipfile.ZipFile(spoiled, "a") as archive:
        archive.comment = hidden
    assert [fault.what for fault in verify_bundle(spoiled, published).faults] == ["has bytes after its last file"]
    held = members(bundle)
    for field in ("comment", "extra"):
        with zipfile.ZipFile(spoiled, "w") as archive:
            for name, content in held.items():
                entry = zipfile.ZipInfo(name)
                setattr(entry, field, b"\x99\x99\x02\x00hi" if name == "visit.pdf" else b"")
                archive.writestr(entry, content)
        assert "visit.pdf" in {fault.name for fault in verify_bundle(spoiled, published).faults}, field


def links_and_odd_names_are_refused(published, bundle, tmp_path):
    """The content is the signed one; how it would be unpacked is not."""
    held, spoiled = members(bundle), tmp_path / "odd.zip"
    for mode in (0o120777, 0o040755, 0o020644, 0o104755):
        with zipfile.ZipFile(spoiled, "w") as archive:
            for name, content in held.items():
                entry = zipfile.ZipInfo(name)
                entry.external_attr = (mode if name == "visit.pdf" else 0o644) << 16
                archive.writestr(entry, content)
        assert [fault.name for fault in verify_bundle(spoiled, published).faults] == ["visit.pdf"], oct(mode)
    for name in ("../visit.pdf", "/visit.pdf", "a/../visit.pdf", "a\\visit.pdf", "c:visit.pdf", "VISIT.pdf", "dir/"):
        named = {fault.name for fault in verify_bundle(pack(spoiled, {**held, name: b""}), published).faults}
        assert name in named


def test_a_signature_of_one_kind_never_passes_for_another(services):
    """Nor do those signed before statements named their kind."""
    signer, published = services.receipts, services.receipts.public_keys()
    receipt = signer.sign(StatementKind.RECEIPT, {"visitId": "1"})
    bundle = signer.sign(StatementKind.BUNDLE, {"visitId": "1", "manifestSha256": "0" * 64})
    disguised = signer.sign(StatementKind.BUNDLE, {"kind": StatementKind.RECEIPT.value, "visitId": "1"})
    [key], header = signer._keys.values(), {"kid": signer._kid, "typ": "zoufang-receipt+jws"}
    former_receipt, former_bundle = (
        jwt.PyJWS().encode(canonical_json(content), key, algorithm="EdDSA", headers=header)
        for content in ({"visitId": "1"}, {"visitId": "1", "format": "zoufang-bundle/1", "manifestSha256": "0" * 64})
    )
    for token in (receipt, former_receipt):
        assert verify_receipt(token, published)["visitId"] == "1"
    for token in (bundle, former_bundle):
        assert verify_statement(StatementKind.BUNDLE, token, published)["visitId"] == "1"
    for kind, tokens in (
        (StatementKind.RECEIPT, (bundle, former_bundle, disguised)),
        (StatementKind.BUNDLE, (receipt, former_receipt, disguised)),
    ):
        for token in tokens:
            with pytest.raises(StatementError):
                verify_statement(kind, token, published)


def members_missing_added_or_doubled_are_named(published, bundle, tmp_path):
    held = members(bundle)
    for name in held:
        less = pack(tmp_path / "less.zip", {item: content for item, content in held.items() if item != name})
        assert any(fault.name == name and "missing" in fault.what for fault in verify_bundle(less, published).faults), (
            name
        )
    more = pack(tmp_path / "more.zip", {**held, "photos/another.jpg": b"x"})
    assert [tuple(fault) for fault in verify_bundle(more, published).faults] == [("photos/another.jpg", "was added")]
    with zipfile.ZipFile(bundle, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("visit.pdf", b"another")
    assert "visit.pdf" in {fault.name for fault in verify_bundle(bundle, published).faults}


def a_bundle_forged_with_ones_own_keys_does_not_prove_its_origin(published, bundle, tmp_path):
    held = members(bundle)
    forger = StatementSigner(keys.read_ring("K", keys.generate_keys()["ZOUFANG_RECEIPT_KEYS"]))
    manifest = msgspec.json.decode(held["manifest.json"])
    manifest["visit"]["document"]["answers"] = {}
    signed = msgspec.json.encode(forger.public_keys())
    receipt = forger.sign(
        StatementKind.RECEIPT,
        {
            "visitId": manifest["visit"]["id"],
            "sha256": hashlib.sha256(canonical_json(manifest["visit"]["document"])).hexdigest(),
        },
    ).encode()
    held |= {"receipt-keys.json": signed, "receipt.jws": receipt}
    for file in manifest["files"]:
        content = held[file["name"]]
        file |= {"sha256": hashlib.sha256(content).hexdigest(), "sizeBytes": len(content)}
    held["manifest.json"] = canonical_json(manifest)
    statement = {"manifestSha256": hashlib.sha256(held["manifest.json"]).hexdigest()}
    held["manifest.jws"] = forger.sign(StatementKind.BUNDLE, statement).encode()
    forged = pack(tmp_path / "forged.zip", held)
    assert verify_bundle(forged).faults == []
    assert {fault.name for fault in verify_bundle(forged, published).faults} == {
        "manifest.jws",
        "receipt.jws",
    }


async def test_anything_that_is_no_bundle_is_said_to_be_none(tmp_path):
    for content in (b"", b"PK\x03\x04 nothing", b"x" * 5000):
        path = tmp_path / "other.zip"
        path.write_bytes(content)
        assert [fault.name for fault in verify_bundle(path).faults] == ["other.zip"]
    empty = pack(tmp_path / "empty.zip", {})
    assert {fault.name for fault in verify_bundle(empty).faults} >= {"manifest.json", "manifest.jws", "receipt.jws"}


async def test_a_photo_that_the_store_lost_or_altered_is_told_and_left_out(settings, bucket, desk, kit, tmp_path):
    lost, altered = kit.evidence[0], kit.evidence[1]
    bucket.remove_object(settings.s3_bucket, original_key(lost["sha256"]))
    bucket.put_object(settings.s3_bucket, original_key(altered["sha256"]), io.BytesIO(b"other"), 5)
    answer = await desk.http.get(f"/desk/v1/visits/{kit.visit['id']}/bundle")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        manifest = msgspec.json.decode(archive.read("manifest.json"))
    result = {photo["id"]: (photo["held"], photo["original"]) for photo in manifest["photos"]}
    assert result[lost["id"]] == ("missing", None)
    assert result[altered["id"]] == ("altered", None)
    bundle = tmp_path / "bundle.zip"
    bundle.write_bytes(answer.content)
    assert verify_bundle(bundle).faults == []


async def test_a_bundle_is_for_officers_of_the_area_and_is_logged(system, services, county, phone, desk, kit):
    url = f"/desk/v1/visits/{kit.visit['id']}/bundle"
    assert (await desk.http.get(url)).status_code == 200
    assert (await phone.http.get(url)).status_code == 403
    assert (await desk.http.get("/desk/v1/visits/019a0000-0000-7000-8000-000000000000/bundle")).status_code == 404
    async with open_session(services.sessions) as session:
        taken = (
            await session.scalars(
                select(AuditEntry.actor_id).where(
                    AuditEntry.action == "visit.bundled", AuditEntry.thing_id == kit.visit["id"]
                )
            )
        ).all()
    assert taken == [desk.id]


async def test_a_visit_that_waits_for_photos_can_be_taken_as_it_stands(system, county, phone, desk):
    due = next(assignment for assignment in county.assignments if assignment.kind == "intake")
    partner = await system.sign_in(due.partner_login, "caseworker")
    made = await make_kit(phone, partner.id)
    await phone.push("evidence", *made.evidence)
    await phone.push("visits", made.visit)
    answer = await desk.http.get(f"/desk/v1/visits/{made.visit['id']}/bundle")
    assert answer.status_code == 200
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        manifest = msgspec.json.decode(archive.read("manifest.json"))
    assert {photo["held"] for photo in manifest["photos"]} == {"awaited"}


@drawn
def test_the_printed_sheet_has_the_visit_in_chinese_with_its_pictures(bundle, kit):
    sheet = members(bundle)["visit.pdf"]
    text = words(sheet)
    for word in (
        "走访证据材料",
        "调查人员",
        "疑点",
        "走访表",
        "照片 4",
        "回执短码",
        kit.visit["familyPresent"][0]["name"],
    ):
        assert word.replace(" ", "") in text, word
    assert "None" not in text
    assert sheet.count(b"/DCTDecode") == 4


async def test_the_printed_sheet_names_the_gravest_doubt_first_and_none_that_no_longer_holds(services, desk, kit):
    visit_id = UUID(kit.visit["id"])
    now = utc_now()
    codes = {"photo.edited": "warning", "photo.late": "notice", "photo.abroad": "critical", "visit.burst": "critical"}
    async with open_session(services.sessions) as session:
        await session.execute(delete(Finding).where(Finding.visit_id == visit_id))
        for code, severity in codes.items():
            gone = now if code == "visit.burst" else None
            params = {"visit_id": visit_id, "area_code": "339901001001", "facts": {}, "superseded_at": gone}
            session.add(Finding(id=new_id(), code=code, severity=severity, **params))
    answer = await desk.http.get(f"/desk/v1/visits/{visit_id}/bundle")
    sheet = zipfile.ZipFile(io.BytesIO(answer.content)).read("visit.pdf")
    findings = words(sheet).partition("疑点")[2].partition("走访表")[0]
    assert re.findall("严重|警示|提示|信息", findings) == ["严重", "警示", "提示"]


async def test_a_rare_character_is_spelt_out_on_the_sheet_and_stands_in_the_manifest(services, desk, kit):
    visit_id = UUID(kit.visit["id"])
    async with open_session(services.sessions) as session:
        visit = await session.get_one(Visit, visit_id)
        home = await session.get_one(Household, visit.household_id)
        before, home.head_name = home.head_name, "王𠮷"
    answer = await desk.http.get(f"/desk/v1/visits/{visit_id}/bundle")
    async with open_session(services.sessions) as session:
        (await session.get_one(Household, visit.household_id)).head_name = before
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert "王〔U+20BB7〕" in words(archive.read("visit.pdf"))
        assert "王𠮷" in archive.read("manifest.json").decode()


async def test_the_commands_export_and_verify(system, services, settings, kit, tmp_path):
    path, key_file = tmp_path / "out.zip", tmp_path / "keys.json"
    key_file.write_bytes(msgspec.json.encode(services.receipts.public_keys()))

    def run(*arguments):
        return CliRunner().invoke(main, [str(argument) for argument in arguments], env=environment(settings))

    exported = await asyncio.to_thread(run, "export-bundle", kit.visit["id"], path)
    assert exported.exit_code == 0, exported.output
    unproven = run("verify-bundle", path)
    assert (unproven.exit_code, "--no-keys" in unproven.output) == (2, True)
    unproven = run("verify-bundle", path, "--no-keys")
    assert (unproven.exit_code, "not who made it" in unproven.output) == (0, True)
    proven = run("verify-bundle", path, "--keys", key_file)
    assert (proven.exit_code, "not who made it" in proven.output) == (0, False)
    held = members(path)
    pack(path, {**held, "visit.pdf": flip(held["visit.pdf"], 100)})
    refused = run("verify-bundle", path, "--no-keys")
    assert refused.exit_code == 1
    assert "visit.pdf  was changed" in refused.output


async def test_the_printed_sheet_names_the_camera_of_a_photo(system, county, phone, desk):
    """By the facts as they are stored, of a photo with EXIF as a phone writes it."""
    due = next(assignment for assignment in county.assignments if assignment.kind == "intake")
    partner = await system.sign_in(due.partner_login, "caseworker")
    exif = make_exif({0x010F: "Zoufang", 0x0110: "Phone 9"})
    photos = [make_jpeg(seed=number, exif=exif) for number in range(4)]
    made = await make_kit(phone, partner.id, photos=photos)
    await push_whole(phone, partner, made)
    await system.run_jobs()
    answer = await desk.http.get(f"/desk/v1/visits/{made.visit['id']}/bundle")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert "ZoufangPhone9" in words(archive.read("visit.pdf"))
