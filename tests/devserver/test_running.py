"""`make run` and its set-up: what a person meets who starts it wrongly, twice, or stops it."""

import hashlib
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import textwrap
import time
import urllib.request
from pathlib import Path

import psutil
import pytest

from server.devserver.processes import LOOPBACK, find_free_port

pytestmark = pytest.mark.processes
PROJECT = Path(__file__).resolve().parents[2]
CLEAN = {
    name: value
    for name, value in os.environ.items()
    if not (name == "PYTHON" or name.startswith(("ZOUFANG_", "MAKE", "MFLAGS", "READY")))
}

# Stands in for the program, so that starting, watching and stopping are tested without its commands.
FAKE = """
    import http.server, os, sys, time
    name, fails = sys.argv[1], os.environ.get("FAKE_FAILS")
    print(name, os.environ["ZOUFANG_DATABASE_URL"].rpartition("/")[2], flush=True)
    if name == fails:
        sys.exit("it can not go on")
    if name == "worker" or name == "wechat-stub":
        time.sleep(0.5 if fails == name + "-later" else 600)
        sys.exit("the end")
    if name == "api":
        class Ready(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.end_headers()
            def log_message(self, *_):
                pass
        http.server.HTTPServer(("127.0.0.1", int(os.environ["ZOUFANG_PORT"])), Ready).serve_forever()
"""
START = "import os, sys; from server.devserver.run import run; sys.exit(run(os.environ, program=(sys.executable, sys.argv[1])))"


class Run:
    """One `run` in a process of its own, on free ports and a directory of its own."""

    def __init__(self, folder: Path, **environ: str) -> None:
        self.fake = folder / "fake.py"
        self.fake.write_text(textwrap.dedent(FAKE))
        ports = {f"ZOUFANG_{part}PORT": str(find_free_port()) for part in ("", "S3_", "POSTGRES_", "WECHAT_STUB_")}
        self.environ = CLEAN | ports | {"ZOUFANG_DATA_DIR": str(folder / "data"), "COLUMNS": "100"} | environ
        self.data_dir = folder / "data"

    def start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", START, str(self.fake)],
            cwd=PROJECT,
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def refused(self) -> str:
        """The one line with which it ends by itself."""
        process = self.start()
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 1, errors
        assert len(errors.splitlines()) == 1, errors
        return errors

    def wait_until_running(self, process: subprocess.Popen[str]) -> str:
        text = ""
        for line in process.stdout:
            text += line
            if "Ctrl-C" in line:
                return text
        pytest.fail(text + process.stderr.read())


def test_ctrl_c_stops_every_process_and_a_second_start_finds_its_data(tmp_path):
    run = Run(tmp_path)
    kept = []
    for number in (signal.SIGINT, signal.SIGTERM):
        process = run.start()
        text = run.wait_until_running(process)
        assert f"http://127.0.0.1:{run.environ['ZOUFANG_PORT']}" in text
        with urllib.request.urlopen(f"http://127.0.0.1:{run.environ['ZOUFANG_PORT']}/") as response:
            assert response.status == 200
        children = psutil.Process(process.pid).children(recursive=True)
        assert {"postgres", "rclone"} <= {child.name() for child in children}
        environment = (run.data_dir / "environment").read_text()
        assert stat.S_IMODE((run.data_dir / "environment").stat().st_mode) == 0o600
        kept.append(sorted(line for line in environment.splitlines() if "KEY" in line or "DATABASE" in line))
        started = time.monotonic()
        process.send_signal(number)
        process.send_signal(number)  # the impatient second one breaks nothing
        out, errors = process.communicate(timeout=30)
        assert (process.returncode, errors) == (0, ""), errors
        assert "Stopped." in out
        assert time.monotonic() - started < 10
        assert not [child for child in children if child.is_running() and child.status() != "zombie"]
        assert not (run.data_dir / "environment").exists()
    assert kept[0] == kept[1]
    for secret in (run.data_dir / "secrets").iterdir():
        assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert [name for name in ("migrate", "load-demo") if not (run.data_dir / "logs" / f"{name}.log").exists()] == []


def test_a_second_run_and_a_dead_part_get_one_line_each(tmp_path):
    run = Run(tmp_path)
    process = run.start()
    run.wait_until_running(process)
    assert f"already in use by process {process.pid}" in run.refused()
    worker = next(child for child in psutil.Process(process.pid).children() if child.cmdline()[-1:] == ["worker"])
    worker.kill()
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 1
    assert len(errors.splitlines()) == 1
    assert "worker stopped by itself (exit code -9)" in errors
    assert str(run.data_dir / "logs" / "worker.log") in errors


@pytest.mark.parametrize("part", ["", "S3_", "POSTGRES_", "WECHAT_STUB_"])
def test_a_busy_port_is_one_line_before_anything_is_started(tmp_path, part):
    with socket.create_server((LOOPBACK, 0)) as taken:
        port = taken.getsockname()[1]
        run = Run(tmp_path, **{f"ZOUFANG_{part}PORT": str(port)})
        line = run.refused()
    assert f"port {port} is in use" in line
    assert f"set ZOUFANG_{part}PORT to another port" in line
    assert not (run.data_dir / "postgres").exists()


def test_a_failing_command_is_one_line_with_its_last_words_and_its_log(tmp_path):
    run = Run(tmp_path, FAKE_FAILS="migrate")
    line = run.refused()
    assert "migrate failed: it can not go on" in line
    assert str(run.data_dir / "logs" / "migrate.log") in line


def test_lost_secrets_another_format_and_bad_settings_are_one_line_each(tmp_path):
    run = Run(tmp_path)
    (run.data_dir / "postgres" / "cluster").mkdir(parents=True)
    assert "secrets is missing" in run.refused()
    (run.data_dir / "format").write_text("99\n")
    assert "made by another version (format 99" in run.refused()
    assert "ZOUFANG_PORT" in Run(tmp_path, ZOUFANG_PORT="eight").refused()
    (tmp_path / "file").write_text("")
    assert str(tmp_path / "file") in Run(tmp_path, ZOUFANG_DATA_DIR=str(tmp_path / "file")).refused()


# ---- set-up: Makefile and deploy/set_up.py, in a copy that has no environment


@pytest.fixture
def clone(tmp_path):
    copy = tmp_path / "clone"
    (copy / "deploy").mkdir(parents=True)
    (copy / "server").mkdir()
    shutil.copy(PROJECT / "Makefile", copy)
    shutil.copy(PROJECT / "deploy" / "set_up.py", copy / "deploy")
    for name in ("requirements.txt", "requirements-dev.txt"):
        (copy / name).write_text("")
    return copy


def make(clone: Path, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    program = shutil.which("make")
    if program is None:
        pytest.skip("make is not installed")
    return subprocess.run(
        [program, *words],
        cwd=clone,
        env=CLEAN | environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def folder_with(folder: Path, *programs: str) -> str:
    """A PATH on which only these programs are found."""
    folder.mkdir()
    for program in programs:
        path = shutil.which(program)
        assert path is not None, program
        (folder / program).symlink_to(path)
    return str(folder)


def test_make_alone_lists_its_targets(clone):
    lines = make(clone).stdout.splitlines()
    assert [line.split()[1] for line in lines] == [
        "help", "run", "demo-visit", "test", "check", "lint", "web", "test-dates", "format", "openapi", "contract", "bench",
        "lock", "clean",
    ]  # fmt: skip


def test_a_missing_python_is_one_line(clone, tmp_path):
    finished = make(clone, "run", PATH=folder_with(tmp_path / "bin", "sh", "awk"))
    assert finished.returncode != 0
    first, *rest = finished.stderr.splitlines()
    assert first.startswith("zoufang: Python 3.11 or newer is needed")
    assert [line for line in rest if not line.startswith("make")] == []


def test_a_python_that_is_too_old_is_passed_over(clone, tmp_path):
    path = folder_with(tmp_path / "bin", "sh", "awk")
    old = Path(path) / "python3"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    assert "Python 3.11 or newer is needed" in make(clone, "run", PATH=path).stderr


def test_a_python_without_venv_is_one_line(clone):
    hide = (
        "import importlib.util as u, runpy, sys\n"
        "real = u.find_spec\n"
        "u.find_spec = lambda name, *rest: None if name == 'ensurepip' else real(name, *rest)\n"
        "sys.argv[:] = ['set_up.py', 'run']\n"
        "runpy.run_path('deploy/set_up.py', run_name='__main__')"
    )
    finished = subprocess.run(
        [sys.executable, "-c", hide], cwd=clone, capture_output=True, text=True, check=False, timeout=60
    )
    assert finished.returncode == 1
    assert finished.stderr.count("\n") == 1
    assert "has no module ensurepip" in finished.stderr


def test_the_environment_is_made_once_and_again_after_an_interruption_or_a_new_lock(clone):
    sample(clone)
    assert "Setting up .venv" in set_up(clone)
    assert set_up(clone) == ""
    witness = clone / ".venv" / "witness"
    witness.touch()

    (clone / "requirements.txt").write_text("# another lock\n")
    assert "Setting up .venv" in set_up(clone)
    assert witness.exists()  # the same environment, brought up to date

    (clone / ".venv" / ".set-up-not-finished").touch()  # as a killed set-up leaves it
    assert "Setting up .venv" in set_up(clone)
    assert not witness.exists()
    digest = hashlib.sha256((clone / "requirements.txt").read_bytes()).hexdigest()
    assert (clone / ".venv" / ".stamp-run").read_text().split() == [str(clone / ".venv"), digest]

    moved = clone.rename(clone.with_name("moved"))
    code = "import pathlib, set_up; print(set_up._usable(pathlib.Path('.venv').resolve()))"
    checked = subprocess.run(
        [sys.executable, "-c", code],
        cwd=moved,
        env=CLEAN | {"PYTHONPATH": "deploy"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert checked.stdout == "False\n"  # its scripts name the old place


def sample(clone: Path) -> None:
    """Ask only for pip, which needs no download."""
    script = clone / "deploy" / "set_up.py"
    text = script.read_text()
    start, end = text.index("SAMPLE = {"), text.index("OLDEST")
    script.write_text(text[:start] + 'SAMPLE = {"run": ("pip",), "dev": ()}\n' + text[end:])


def set_up(clone: Path) -> str:
    finished = make(clone, "set-up", PYTHON=sys.executable)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout
