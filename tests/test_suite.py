"""tests/suite.py: what is taken for a unit test, and that skipped tests are counted with their reasons."""

import subprocess
import sys
from pathlib import Path

import pytest

from server.core.clock import utc_now
from tests import suite
from tests.conftest import postgres
from tests.live import LiveServer

PROJECT = Path(__file__).resolve().parent.parent
SAMPLE = """
    import subprocess, sys
    import pytest

    @pytest.mark.skip(reason="no photos here")
    def test_marked(): pass

    @pytest.mark.parametrize("number", [1, 2])
    def test_skips_itself(number): pytest.skip("no tool here")

    @pytest.mark.parametrize("nothing", [])
    def test_of_no_cases(nothing): pass

    def test_passes(): pass

    def test_starts_unseen(): subprocess.run([sys.executable, "-c", ""], check=True)
"""


def computes():
    return utc_now()


def starts_itself():
    return subprocess.run(["true"], check=True)


def starts_through_another():
    def inner():
        return starts_itself()

    return inner


def holds_a_server(settings, log):
    return LiveServer(settings, log)


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (computes, False),
        (starts_itself, True),
        (starts_through_another, True),
        (holds_a_server, True),
        (LiveServer, True),
        (postgres._get_wrapped_function(), True),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_what_can_start_a_process_is_found_through_its_helpers(part, expected):
    assert suite.starts_processes(part) is expected


@pytest.fixture
def run(tmp_path):
    """Run pytest over the sample, with this plugin and without this project's conftest."""
    (tmp_path / "test_sample.py").write_text("\n".join(line[4:] for line in SAMPLE.splitlines()))
    (tmp_path / "test_module.py").write_text("import pytest\npytest.skip('no Excel here', allow_module_level=True)\n")
    (tmp_path / "pytest.ini").write_text("[pytest]\n")

    def run_pytest(*words: str) -> str:
        command = [sys.executable, "-m", "pytest", "-q", "-p", "suite", "-p", "no:cacheprovider", *words]
        environ = {"PYTHONPATH": str(PROJECT / "tests"), "PATH": "/usr/bin:/bin"}
        return subprocess.run(
            command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False, timeout=120
        ).stdout

    return run_pytest


@pytest.mark.parametrize("workers", ["0", "2"])
def test_skipped_tests_are_counted_last_with_their_reasons(run, workers):
    lines = run("-n", workers).splitlines()
    assert [line.partition(", using")[0] for line in lines if line.startswith("skipped:")] == [
        "skipped: 5",
        "skipped: 1 — got empty parameter set for (nothing)",
        "skipped: 1 — no Excel here",
        "skipped: 1 — no photos here",
        "skipped: 2 — no tool here",
    ]


def test_a_unit_test_that_starts_a_process_fails_and_names_itself(run):
    output = run("-m", "unit")
    assert "test_sample.py::test_starts_unseen is taken for a unit test and starts a process" in output
    assert "1 failed, 1 passed, 5 skipped" in output
