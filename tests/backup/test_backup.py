"""Backup while the system is at work, its proof, and the return elsewhere, where phones simply go on."""

import asyncio
import io
import os
from collections import Counter

import msgspec
import psycopg
import pytest
from cryptography.hazmat.primitives import serialization as s
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from media.store import ObjectStore, StoreUnavailable, original_key
from server.app import create_app
from server.audit.horizon import load_horizon
from server.cli.backup import patience, taking
from server.cli.backup.manifest import read_manifest
from server.cli.backup.places import BACKUPS, OBJECTS, FolderPlace, object_name
from server.cli.backup.postgres_programs import dump_database, restore_dump
from server.cli.migrate import migrate
from server.core.database import open_session, plain_url
from server.core.database_roles import set_up_roles
from server.core.services import open_services
from server.models.evidence import Photo
from tests.backup.conftest import run
from tests.core.test_database_roles import LOGINS, as_roles
from tests.evidence.conftest import client
from tests.phones import System, make_kit
from tests.test_first_path import push_whole
from tests.uploads.tus import TUS, metadata


@pytest.fixture
def place(tmp_path):
    return tmp_path / "backups"


def files(place, below):
    return sorted(path.name for path in (place / below).rglob("*") if path.is_file())


async def test_what_was_backed_up_is_back_elsewhere_and_phones_go_on(
    system, county, phone, settings, kit, place, elsewhere
):
    due = next(assignment for assignment in county.assignments if assignment.kind == "intake")
    partner = await system.sign_in(due.partner_login, "caseworker")
    checkpoint = (await phone.pull_page("visits"))["checkpoint"]
    await run(settings, "backup", place)

    # The day goes on: another visit, whole and with a receipt; then the server is gone.
    later = await make_kit(phone, partner.id)
    await push_whole(phone, partner, later)
    await system.run_jobs()
    held = await phone.pull("visits")
    assert held[later.visit["id"]]["server"]["receipt"]

    assert "holds" in await run(settings, "verify-backup", place)
    await run(elsewhere.settings, "restore", place)
    await run(elsewhere.settings, "check-store", "--deep")

    async with open_services(elsewhere.settings) as services:
        there = System(create_app(elsewhere.settings, services=services), services)
        phone, partner = phone.at(there), partner.at(there)  # no new sign-in
        # What it stood at means nothing here: everything comes anew, and what it holds beyond that is a mismatch.
        page = await phone.pull_page("visits", checkpoint)
        assert [visit["id"] for visit in page["documents"]] == [kit.visit["id"]]
        answer = await phone.ask_page("visits", page["checkpoint"], digest=phone.digest(held))
        assert answer.json()["code"] == "sync.digest_mismatch"
        # So it loads the collection anew and pushes what the server lacks, as it does of itself.
        await push_whole(phone, partner, later)
        await there.run_jobs()
        visits = await phone.pull("visits")
        assert {visit_id: visit["server"]["state"] for visit_id, visit in visits.items()} == {
            kit.visit["id"]: "under_review",
            later.visit["id"]: "under_review",
        }
        assert visits[later.visit["id"]]["answers"] == later.visit["answers"]
        assert {item["server"]["state"] for item in (await phone.pull("evidence")).values()} == {"verified"}


async def test_a_second_backup_copies_only_what_is_new_and_old_ones_go_with_their_photos(
    system, services, settings, bucket, county, phone, kit, place
):
    assert "12 of them copied now" in await run(settings, "backup", place)
    gone = kit.evidence[0]["sha256"]
    async with open_session(services.sessions) as session:
        await session.delete(await session.get(Photo, gone))
    assert "0 of them copied now" in await run(settings, "backup", place)
    assert gone in files(place, OBJECTS)
    assert "0 of them copied now" in await run(settings, "backup", place, "--keep", 1)
    assert gone not in files(place, OBJECTS)
    await run(settings, "verify-backup", place)
    assert not list(place.rglob(".work-*"))


async def test_what_is_sent_while_the_dump_runs_is_not_in_it_and_phones_get_their_news(
    system, services, county, phone, settings, place, kit, monkeypatch
):
    due = next(assignment for assignment in county.assignments if assignment.kind == "intake")
    partner = await system.sign_in(due.partner_login, "caseworker")
    later = await make_kit(phone, partner.id)
    dump, loop, news = dump_database, asyncio.get_running_loop(), []

    async def go_on():
        await push_whole(phone, partner, later)
        news.append(await phone.pull("visits"))
        news.append(await load_horizon(services.autocommit))

    def dump_slowly(*arguments, **options):
        asyncio.run_coroutine_threadsafe(go_on(), loop).result(60)
        dump(*arguments, **options)

    monkeypatch.setattr(taking, "dump_database", dump_slowly)
    output = await run(settings, "backup", place)
    visits, horizon = news
    assert later.visit["id"] in visits
    assert not horizon.is_late
    assert horizon.pid is None
    assert "12 objects" in output
    assert (await read_manifest(FolderPlace(place))).rows["visit"] == 1
    await run(settings, "verify-backup", place)


async def test_two_backups_at_once_are_refused(settings, place, monkeypatch):
    with psycopg.connect(plain_url(settings.database_url)) as other:
        other.execute("SELECT pg_advisory_xact_lock(hashtext('backup'))")
        assert "another backup of this system is running" in await run(settings, "backup", place, code=1)
    assert files(place, BACKUPS) == []


async def test_a_backup_of_a_store_with_losses_says_so_and_leaves_no_marker(settings, bucket, kit, place, tmp_path):
    marker = tmp_path / "marker"
    settings = msgspec.structs.replace(settings, backup_marker=str(marker))
    missing, altered = (original_key(kit.evidence[place]["sha256"]) for place in (0, 1))
    bucket.remove_object(settings.s3_bucket, missing)
    bucket.put_object(settings.s3_bucket, altered, io.BytesIO(b"other"), 5)
    output = await run(settings, "backup", place, code=1)
    assert f"missing {missing}" in output
    assert f"altered {altered}" in output
    assert not marker.exists()
    assert f"known when it was made: missing {missing}" in await run(settings, "verify-backup", place, code=1)


async def test_a_marker_is_left_when_all_is_well(settings, place, tmp_path):
    marker = tmp_path / "marker"
    await run(msgspec.structs.replace(settings, backup_marker=str(marker)), "backup", place)
    assert marker.exists()


async def test_whatever_is_altered_in_a_backup_is_found(settings, kit, place):
    await run(settings, "backup", place)
    first, second = (object_name(kit.evidence[number]["sha256"]) for number in (0, 1))
    (place / first).write_bytes(b"other")
    (place / second).unlink()
    output = await run(settings, "verify-backup", place, code=1)
    assert f"altered {first}" in output
    assert f"missing {second}" in output
    [dump] = place.rglob("database.dump")
    dump.write_bytes(dump.read_bytes()[:-1] + b"x")
    assert "database.dump of" in await run(settings, "verify-backup", place, code=1)


async def test_an_interrupted_restore_is_repeated(settings, kit, place, elsewhere):
    await run(settings, "backup", place)
    # Some photos came, one of them cut short by hand, and the dump; then the power failed.
    there = elsewhere.settings
    elsewhere.bucket.make_bucket(there.s3_bucket)
    key = original_key(kit.evidence[0]["sha256"])
    elsewhere.bucket.put_object(there.s3_bucket, key, io.BytesIO(b"half"), 4)
    [dump] = place.rglob("database.dump")
    await asyncio.to_thread(restore_dump, there.database_url, dump)
    await run(there, "restore", place)
    await run(there, "check-store", "--deep")
    # Now it is a system at work.
    assert "not empty" in await run(there, "restore", place, code=1)


@pytest.fixture
def stumble(monkeypatch):
    """Let the store fail twice for every key that is read, and be waited for as often as said."""

    def begin(pauses):
        monkeypatch.setattr(patience, "PAUSES", [0.0] * pauses)
        join, failed = ObjectStore.join, Counter[str]()

        async def stumbling(self, keys, path):
            failed[keys[0]] += 1
            if failed[keys[0]] <= 2:
                raise StoreUnavailable(503, keys[0])
            return await join(self, keys, path)

        monkeypatch.setattr(ObjectStore, "join", stumbling)

    return begin


async def test_a_store_that_is_away_for_a_moment_ends_neither_backup_nor_restore(
    settings, kit, place, elsewhere, stumble
):
    stumble(pauses=2)
    await run(settings, "backup", place)
    stumble(pauses=2)
    await run(elsewhere.settings, "restore", place)
    await run(elsewhere.settings, "check-store", "--deep")


async def test_a_store_that_stays_away_is_named_with_what_it_said(settings, kit, place, elsewhere, stumble):
    await run(settings, "backup", place)
    stumble(pauses=1)
    said = await run(elsewhere.settings, "restore", place, code=1)
    assert said.endswith("The store does not answer: StoreUnavailable (503); run it again later\n")


async def test_photos_alone_are_put_back_into_a_store_that_lost_them(settings, bucket, kit, place):
    await run(settings, "backup", place)
    for key in (original_key(kit.evidence[0]["sha256"]), original_key(kit.evidence[1]["sha256"])):
        bucket.remove_object(settings.s3_bucket, key)
    await run(settings, "check-store", code=1)
    await run(settings, "restore", place, "--photos-only")
    await run(settings, "check-store", "--deep")


async def test_a_database_in_use_and_other_keys_are_refused(settings, place, elsewhere):
    await run(settings, "backup", place)
    assert "not empty" in await run(settings, "restore", place, code=1)
    other = msgspec.structs.replace(elsewhere.settings, pii_keys=settings.receipt_keys)
    assert "ZOUFANG_PII_KEYS: not the keys of this backup" in await run(other, "restore", place, code=1)
    assert "ZOUFANG_PII_KEYS is not the key" in await run(other, "verify-backup", place, code=1)
    with psycopg.connect(plain_url(other.database_url)) as connection:
        assert connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() == (0,)


async def test_an_upload_that_was_under_way_begins_anew(system, county, phone, settings, place, elsewhere):
    due = next(assignment for assignment in county.assignments if assignment.kind == "intake")
    partner = await system.sign_in(due.partner_login, "caseworker")
    kit = await make_kit(phone, partner.id)
    await phone.push("evidence", *kit.evidence)
    evidence_id, content = next(iter(kit.photos.items()))
    params = {"Upload-Length": str(len(content)), "Upload-Metadata": metadata(evidence_id)}
    begun = await phone.http.post("/uploads", headers=TUS | params)
    assert begun.status_code == 201, begun.text
    await run(settings, "backup", place)
    await run(elsewhere.settings, "restore", place)
    async with open_services(elsewhere.settings) as services:
        there = phone.at(System(create_app(elsewhere.settings, services=services), services))
        assert (await there.http.head(begun.headers["Location"], headers=TUS)).status_code in {404, 410}
        assert (await there.upload(evidence_id, content)).status_code == 200


async def test_backups_lie_in_a_bucket_as_well(settings, kit, elsewhere, tmp_path):
    there = {"backup_s3_endpoint": settings.s3_endpoint, "backup_s3_access_key": settings.s3_access_key}
    bucket = f"backups-{os.urandom(6).hex()}"
    address = f"s3://{bucket}/zoufang"
    assert "ZOUFANG_BACKUP_S3_ENDPOINT" in await run(settings, "backup", address, code=1)
    with_bucket = msgspec.structs.replace(settings, **there, backup_s3_secret_key=settings.s3_secret_key)
    own = f"s3://{settings.s3_bucket}/x"
    assert "bucket of the photos themselves" in await run(with_bucket, "backup", own, code=1)
    await run(with_bucket, "backup", address)
    assert "0 of them copied now" in await run(with_bucket, "backup", address, "--keep", 1)
    await run(with_bucket, "verify-backup", address)
    keys = {item.object_name for item in client(settings).list_objects(bucket, recursive=True)}
    assert len([key for key in keys if key.startswith("zoufang/objects/")]) == 12
    target = msgspec.structs.replace(elsewhere.settings, **there, backup_s3_secret_key=settings.s3_secret_key)
    await run(target, "restore", address)
    await run(target, "check-store", "--deep")


async def test_the_looking_role_dumps_and_an_ordinary_owner_restores(settings, postgres, kit, place, elsewhere):
    divided = as_roles(settings, postgres, settings.database_url.rpartition("/")[2])
    set_up_roles(divided.admin_database_url, **LOGINS)
    await asyncio.to_thread(migrate, divided)
    await run(msgspec.structs.replace(divided, admin_database_url=""), "backup", place)
    there = as_roles(elsewhere.settings, postgres, elsewhere.settings.database_url.rpartition("/")[2])
    await run(there, "database-roles")
    await run(there, "restore", place)
    with psycopg.connect(plain_url(there.database_url)) as connection:
        assert connection.execute("SELECT count(*) FROM visit").fetchone() == (1,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("UPDATE audit_entry SET facts = '{}'")


async def test_keys_are_sealed_apart_and_open_with_the_private_key_alone(settings, place, tmp_path, elsewhere):
    private, public = make_pair(tmp_path / "county"), tmp_path / "county.pub"
    other = make_pair(tmp_path / "other")
    keys = tmp_path / "keys.sealed"
    assert "in the backup itself" in await run(
        settings, "backup", place, "--keys", place / "keys", "--public-key", public, code=1
    )
    output = await run(settings, "backup", place, "--keys", keys, "--public-key", public)
    secret = settings.pii_keys.partition(":")[2]
    for content in (output, keys.read_text(), *(file.read_bytes().decode("latin1") for file in place.rglob("*.json"))):
        assert secret not in content
    assert keys.stat().st_mode & 0o777 == 0o600
    assert "another key" in await run(settings, "open-keys", keys, tmp_path / "no", "--private-key", other, code=1)
    await run(settings, "open-keys", keys, tmp_path / "secrets", "--private-key", private)
    assert (tmp_path / "secrets" / "pii_keys").read_text() == settings.pii_keys
    strangers = msgspec.structs.replace(settings, pii_keys=settings.receipt_keys)
    await run(strangers, "verify-backup", place, "--keys", keys, "--private-key", private)


async def test_keys_are_sealed_by_a_passphrase_that_nobody_guesses(settings, place, tmp_path):
    keys = tmp_path / "keys.sealed"
    short = "short\nshort\n"
    assert "16 characters" in await run(settings, "backup", place, "--keys", keys, code=1, input=short)
    phrase = "竹筏 薄雾 石桥 晚钟 芦花 渡口 三更 雁声\n"
    await run(settings, "backup", place, "--keys", keys, input=phrase * 2)
    wrong = await run(settings, "open-keys", keys, tmp_path / "secrets", input="another phrase of words\n", code=1)
    assert "another key or passphrase" in wrong
    assert "薄雾" not in await run(settings, "open-keys", keys, tmp_path / "secrets", input=phrase)
    assert (tmp_path / "secrets" / "token_keys").read_text() == settings.token_keys


def make_pair(path):
    """As `openssl genpkey -algorithm X25519` writes it."""
    key = X25519PrivateKey.generate()
    path.write_bytes(key.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, s.NoEncryption()))
    path.with_suffix(".pub").write_bytes(
        key.public_key().public_bytes(s.Encoding.PEM, s.PublicFormat.SubjectPublicKeyInfo)
    )
    return path
