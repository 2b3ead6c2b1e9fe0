"""deploy/browser.py: which Chromium the tests use, and how the one of the npm package is unpacked and repaired."""

import io
import os
import platform
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import brotli
import pytest

from deploy import browser

PROJECT = Path(__file__).resolve().parent.parent


def fake(file: Path, version: str = "Chromium 1.0", code: int = 0) -> Path:
    """A program that says its version and nothing else."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"#!/bin/sh\necho {version}\nexit {code}\n")
    file.chmod(0o755)
    return file


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A checkout on x86-64 Linux. Its npm installs a package of the same shape, which `installs` counts."""
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    shutil.copytree(PROJECT / "tests" / "web" / "chromium", tmp_path / "tests" / "web" / "chromium")
    return tmp_path


@pytest.fixture
def installs(monkeypatch):
    folders = []

    def install(folder):
        folders.append(folder)
        packed = folder / "node_modules" / "@sparticuz" / "chromium" / "bin"
        packed.mkdir(parents=True)
        # starts only with its libraries, as the real one
        script = b'#!/bin/sh\n[ -f "${LD_LIBRARY_PATH%%:*}/libnss3.so" ] && echo Chromium 153\n'
        (packed / "chromium.br").write_bytes(brotli.compress(script))
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            entry = tarfile.TarInfo("lib/libnss3.so")
            entry.size = 3
            tar.addfile(entry, io.BytesIO(b"nss"))
        (packed / "al2023.tar.br").write_bytes(brotli.compress(archive.getvalue()))

    monkeypatch.setattr(browser, "_install", install)
    return folders


def system(folder: Path, **programs: str) -> dict[str, str]:
    for name, version in programs.items():
        fake(folder / name.replace("_", "-"), version)
    folder.mkdir(exist_ok=True)
    return {"PATH": str(folder)}


def test_a_named_browser_goes_before_the_systems_and_the_systems_before_the_package(project, installs, tmp_path):
    named = fake(tmp_path / "mine", "Chromium 3")
    environ = system(tmp_path / "bin", chromium="Chromium 2", google_chrome="Google Chrome 4")
    assert browser.provide(project, environ | {"ZOUFANG_BROWSER": str(named)}).version == "Chromium 3"
    assert browser.provide(project, environ).program == tmp_path / "bin" / "chromium"
    (tmp_path / "bin" / "chromium").unlink()
    assert browser.provide(project, environ).version == "Google Chrome 4"
    assert installs == []
    (tmp_path / "bin" / "google-chrome").unlink()
    with pytest.raises(browser.NoBrowserError, match="run `make set-up-test`"):
        browser.find(project, environ)
    taken = browser.provide(project, environ)
    assert (taken.program, taken.version) == (project / ".cache" / "browser" / "chromium", "Chromium 153")
    assert browser.find(project, environ) == taken
    assert len(installs) == 1


def test_a_program_of_the_system_that_does_not_start_is_passed_over(project, installs, tmp_path):
    environ = system(tmp_path / "bin", google_chrome="Google Chrome 4")
    fake(tmp_path / "bin" / "chromium-browser", "install it with snap", code=1)
    assert browser.provide(project, environ).version == "Google Chrome 4"


def test_a_named_browser_that_does_not_start_is_refused_and_not_replaced(project, installs, tmp_path):
    environ = system(tmp_path / "bin", chromium="Chromium 2")
    with pytest.raises(browser.NoBrowserError, match="ZOUFANG_BROWSER names /nowhere/chrome"):
        browser.provide(project, environ | {"ZOUFANG_BROWSER": "/nowhere/chrome"})


@pytest.mark.parametrize("system_is", [("darwin", "arm64"), ("linux", "aarch64")])
def test_where_the_package_does_not_run_the_systems_is_asked_for(project, installs, tmp_path, monkeypatch, system_is):
    monkeypatch.setattr(sys, "platform", system_is[0])
    monkeypatch.setattr(platform, "machine", lambda: system_is[1])
    monkeypatch.setattr(browser, "MAC_APPS", ())
    with pytest.raises(browser.NoBrowserError, match="install Chromium or Google Chrome"):
        browser.provide(project, system(tmp_path / "bin"))
    assert installs == []


def damage_nothing(cache: Path) -> None:
    """A complete cache stays."""


def cut_the_program(cache: Path) -> None:
    os.truncate(cache / "chromium", 10)


def lose_a_library(cache: Path) -> None:
    (cache / "lib" / "libnss3.so").unlink()


def spoil_the_program(cache: Path) -> None:
    size = (cache / "chromium").stat().st_size
    (cache / "chromium").write_bytes(b"#!/bin/false".ljust(size))


def lose_the_contents(cache: Path) -> None:
    (cache / "contents.json").unlink()


def stop_half_way(cache: Path) -> None:
    cache.rename(cache.with_name("browser.new"))


def pin_another(cache: Path) -> None:
    pin = cache.parent.parent / "tests" / "web" / "chromium" / "package-lock.json"
    pin.write_text(pin.read_text() + "\n")


@pytest.mark.parametrize(
    ("damage", "unpacked"),
    [
        (damage_nothing, 1),
        (cut_the_program, 2),
        (lose_a_library, 2),
        (spoil_the_program, 2),
        (lose_the_contents, 2),
        (stop_half_way, 2),
        (pin_another, 2),
    ],
)
def test_a_cache_is_unpacked_once_and_again_when_it_is_damaged(project, installs, tmp_path, damage, unpacked):
    environ = system(tmp_path / "bin")
    first = browser.provide(project, environ)
    damage(project / ".cache" / "browser")
    assert browser.provide(project, environ) == first
    assert len(installs) == unpacked
    assert sorted(path.name for path in (project / ".cache").iterdir()) == ["browser"]
    assert not (project / ".cache" / "browser" / "node_modules").exists()


def test_the_script_says_in_one_line_which_browser_it_took(tmp_path):
    named = fake(tmp_path / "chrome", "Google Chrome 4")
    run = [sys.executable, "-I", PROJECT / "deploy" / "browser.py", tmp_path]
    environ = {"PATH": os.environ["PATH"], "ZOUFANG_BROWSER": str(named)}
    done = subprocess.run(run, env=environ, capture_output=True, text=True, check=True)
    assert done.stdout == f"Browser for the tests: Google Chrome 4 ({named}, as ZOUFANG_BROWSER says).\n"
    done = subprocess.run(run, env=environ | {"ZOUFANG_BROWSER": "/no"}, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)


def test_the_fonts_of_the_tests_are_the_packages_own(project):
    written = browser.write_fonts(project)
    assert written == project / ".cache" / "fonts.conf"
    text = written.read_text()
    folder = Path(text.partition("<dir>")[2].partition("</dir>")[0])
    assert (folder / "NotoSansSC-Regular.otf").exists()
    assert "/etc/fonts" not in text
    assert [path.name for path in (project / ".cache").iterdir()] == ["fonts.conf"]
