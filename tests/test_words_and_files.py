"""What stands in the files: Chinese punctuation, and no name of a registry."""

import re
import subprocess

from server.core.paths import ROOT


def test_chinese_is_set_with_chinese_punctuation():
    """Notices with a seal on them are set like print. The headings of cross-check files stay: offices match them.

    Types generated from openapi.json quote its examples, which hold CSV.
    """
    latin = re.compile(r"[\u3400-\u9fff）][,;:?!(][\u3400-\u9fff{]")
    rooms = [
        ROOT / name for name in ("server", "field_api", "media", "web/phone", "web/resident", "web/desk", "web/shared")
    ]
    files = [path for room in rooms for kind in ("*.py", "*.ts", "*.vue", "*.typ") for path in room.rglob(kind)]
    found = [
        f"{file.relative_to(ROOT)}: {line.strip()}"
        for file in files
        if file.name not in {"sources.py", "wire.d.ts"}
        for line in file.read_text("utf-8").splitlines()
        if latin.search(line)
    ]
    assert found == []


def test_nothing_tracked_names_a_registry_or_this_machine():
    files = subprocess.run(["git", "ls-files"], capture_output=True, text=True, cwd=ROOT, check=True).stdout.split()
    banned = re.compile("python" + r"hosted|registry\.npm|pypi\." + r"org|deb\." + "debian")
    found = [
        file
        for file in files
        if (ROOT / file).is_file() and banned.search((ROOT / file).read_bytes().decode("utf-8", "replace"))
    ]
    assert found == []
