"""The embedded PostgreSQL and S3 server start, survive a kill, and say in one line why they can't start."""

import io
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import psycopg
import pytest
from minio import Minio
from minio.error import InvalidResponseError

from server.devserver.embedded import EmbeddedPostgres, EmbeddedS3
from server.devserver.processes import LOOPBACK, StartError, check_port

pytestmark = pytest.mark.processes
PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def postgres(tmp_path_factory):
    with EmbeddedPostgres(tmp_path_factory.mktemp("embedded") / "postgres", fast=True) as running:
        yield running


def connect(url: str) -> psycopg.Connection:
    return psycopg.connect(url.replace("+psycopg", "", 1), autocommit=True)


def client(store: EmbeddedS3, secret_key: str | None = None) -> Minio:
    return Minio(
        endpoint=f"{LOOPBACK}:{store.port}",
        access_key=store.access_key,
        secret_key=secret_key or store.secret_key,
        secure=False,
    )


def one_line(error: pytest.ExceptionInfo[StartError]) -> str:
    text = str(error.value)
    assert "\n" not in text
    return text


def wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + 10
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, f"process {pid} is still there"
        time.sleep(0.02)


def test_it_is_postgresql_18_with_pgvector_in_utf8_and_utc(postgres):
    with connect(postgres.create_database("kinds")) as session:
        session.execute("CREATE EXTENSION vector")
        row = session.execute(
            "SELECT current_setting('server_version_num')::int / 10000, current_setting('timezone'),"
            " pg_encoding_to_char(encoding), datlocale FROM pg_database WHERE datname = 'kinds'"
        ).fetchone()
    assert row == (18, "UTC", "UTF8", "C.UTF-8")


def test_a_database_is_a_copy_of_its_template_and_made_only_once(postgres):
    with connect(postgres.create_database("pattern")) as session:
        session.execute("CREATE TABLE homes AS SELECT 7 AS number")
    url = postgres.create_database("copy", template="pattern")
    with connect(url) as session:
        assert session.execute("SELECT number FROM homes").fetchone() == (7,)
        session.execute("UPDATE homes SET number = 8")
    assert postgres.create_database("copy", template="pattern") == url
    with connect(url) as session:
        assert session.execute("SELECT number FROM homes").fetchone() == (8,)
        postgres.drop_database("copy")  # although a session is open
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        connect(url)


def test_nobody_gets_in_without_the_password(postgres):
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(host=LOOPBACK, port=postgres.port, user="zoufang", dbname="postgres", password="x")
    assert (postgres.data_dir / "password").stat().st_mode & 0o077 == 0


def test_a_second_start_on_the_same_directory_is_refused_in_one_line(postgres):
    with pytest.raises(StartError) as error:
        EmbeddedPostgres(postgres.data_dir, fast=True).start()
    assert f"already in use by process {os.getpid()}" in one_line(error)


def test_a_killed_postgresql_recovers_what_was_committed(tmp_path):
    server = EmbeddedPostgres(tmp_path / "postgres")  # not `fast`, which may lose the last commits
    with server:
        with connect(server.create_database("ledger")) as session:
            session.execute("CREATE TABLE entries AS SELECT 42 AS amount_fen")
        os.kill(server.process.pid, signal.SIGKILL)
        server.process.wait(10)
    with server, connect(server.url("ledger")) as session:
        assert session.execute("SELECT amount_fen FROM entries").fetchone() == (42,)


def test_a_postmaster_pid_that_now_belongs_to_another_process_is_forgotten(tmp_path):
    server = EmbeddedPostgres(tmp_path / "postgres", fast=True)
    with server:
        stale = (tmp_path / "postgres" / "cluster" / "postmaster.pid").read_text().splitlines()
    # PostgreSQL itself trusts a living process of its own user; that it is no PostgreSQL must be seen.
    (tmp_path / "postgres" / "cluster" / "postmaster.pid").write_text("\n".join([str(os.getpid()), *stale[1:]]))
    with server:
        assert server.process.poll() is None


def test_an_interrupted_initdb_is_done_again_and_another_version_is_refused(tmp_path):
    half = tmp_path / "postgres" / "cluster.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    server = EmbeddedPostgres(tmp_path / "postgres", fast=True)
    with server:
        pass
    assert not half.exists()
    (tmp_path / "postgres" / "cluster" / "PG_VERSION").write_text("16\n")
    with pytest.raises(StartError) as error:
        server.start()
    assert "holds data of PostgreSQL 16" in one_line(error)


def test_a_directory_of_another_user_is_refused_in_one_line(tmp_path, monkeypatch):
    server = EmbeddedPostgres(tmp_path / "postgres", fast=True)
    (tmp_path / "postgres" / "cluster").mkdir(parents=True)
    monkeypatch.setattr("server.devserver.embedded._system_user", lambda *_: (os.geteuid() + 12345, 1))
    with pytest.raises(StartError) as error:
        server.start()
    assert "belongs to user" in one_line(error)


def test_a_busy_port_is_told_in_one_line_with_its_user_and_its_setting(tmp_path):
    with socket.create_server((LOOPBACK, 0)) as taken:
        port = taken.getsockname()[1]
        for server in (
            EmbeddedPostgres(tmp_path / "postgres", port, fast=True),
            EmbeddedS3(tmp_path / "s3", port),
        ):
            with pytest.raises(StartError) as error:
                server.start()
            line = one_line(error)
            assert f"port {port} is in use by" in line
            assert f"(process {os.getpid()})" in line
            assert f"set ZOUFANG_{'S3' if 's3' in str(server.data_dir) else 'POSTGRES'}_PORT" in line


def test_a_listener_on_every_address_makes_the_loopback_port_busy():
    with socket.create_server(("0.0.0.0", 0)) as taken, pytest.raises(StartError, match="is in use"):
        check_port(LOOPBACK, taken.getsockname()[1], "ZOUFANG_PORT")


def test_the_store_keeps_objects_checks_keys_and_survives_a_kill(tmp_path):
    store = EmbeddedS3(tmp_path / "s3", access_key="visitor", secret_key="long-enough-secret")
    with store:
        store.create_bucket("photos")
        client(store).put_object("photos", "ab/cd", io.BytesIO(b"door"), 4)
        with pytest.raises(StartError) as error:
            EmbeddedS3(tmp_path / "s3").start()
        assert "already in use" in one_line(error)
        with pytest.raises(InvalidResponseError, match="SignatureDoesNotMatch"):
            client(store, "another-secret").get_object("photos", "ab/cd")
        assert "long-enough-secret" not in " ".join(psutil.Process(store.process.pid).cmdline())
        os.kill(store.process.pid, signal.SIGKILL)
        store.process.wait(10)
    with store:
        response = client(store).get_object("photos", "ab/cd")
        try:
            assert response.read() == b"door"
        finally:
            response.close()
            response.release_conn()


def test_the_users_own_rclone_configuration_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setenv("RCLONE_READ_ONLY", "true")
    monkeypatch.setenv("RCLONE_CONFIG", str(tmp_path / "missing.conf"))
    with EmbeddedS3(tmp_path / "s3") as store:
        store.create_bucket("photos")
        client(store).put_object("photos", "x", io.BytesIO(b"1"), 1)


def test_both_end_with_a_killed_parent_and_the_next_start_finds_the_data(tmp_path):
    code = f"""
        import sys, time
        from server.devserver.embedded import EmbeddedPostgres, EmbeddedS3
        with EmbeddedPostgres({str(tmp_path / "postgres")!r}, fast=True) as postgres, \\
                EmbeddedS3({str(tmp_path / "s3")!r}) as store:
            postgres.create_database("kept")
            print(postgres.process.pid, store.process.pid, flush=True)
            time.sleep(60)
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], cwd=PROJECT, stdout=subprocess.PIPE, text=True
    ) as parent:
        pids = [int(word) for word in parent.stdout.readline().split()]
        parent.kill()
    assert len(pids) == 2
    if sys.platform == "linux":
        for pid in pids:
            wait_until_gone(pid)
    server = EmbeddedPostgres(tmp_path / "postgres", fast=True)
    with server, connect(server.url("kept")) as session:
        assert session.execute("SELECT 1").fetchone() == (1,)
    with EmbeddedS3(tmp_path / "s3"):
        pass


def test_a_server_left_behind_by_a_killed_parent_is_taken_over(tmp_path, monkeypatch):
    """As on macOS, where the kernel does not end it."""
    first = EmbeddedPostgres(tmp_path / "postgres", fast=True)
    first.start()
    first._lock.close()  # the lock goes with the process that held it
    second = EmbeddedPostgres(tmp_path / "postgres", fast=True)
    with second:
        assert first.process.wait(5) == 0
        assert second.process.poll() is None
