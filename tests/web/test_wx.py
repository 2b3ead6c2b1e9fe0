"""The mini-program adapter against the real server, on a stub of `wx` that holds to WeChat's limits."""

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

from server.core.paths import ROOT
from server.demo.staff import DEMO_PASSWORDS
from tests.phones import make_kit

NODE = Path(sys.executable).parent / "node"
CLOCK_AHEAD_MS = 15 * 60_000  # as long as a token lives: to a phone that believed its clock each would be over at once


@pytest.fixture
def large_photo(pictures) -> bytes:
    """A picture with enough noise behind it that it goes up in pieces."""
    return pictures[0].read_bytes() + os.urandom(1_000_000)


async def test_a_mini_program_syncs_and_uploads_within_wechats_limits(
    system, phone, server, due, large_photo, pictures, tmp_path
):
    partner = await system.sign_in(due.partner_login, "caseworker")
    photos = [large_photo, *(picture.read_bytes() for picture in pictures[1:4])]
    kit = await make_kit(phone, partner.id, photos=photos)
    paths = [tmp_path / f"wx-{number}.jpg" for number in range(len(photos))]
    for path, content in zip(paths, photos, strict=True):
        path.write_bytes(content)

    given = {
        "url": server.url,
        "folder": str(tmp_path / "wx"),
        "login": due.caseworker_login,
        "password": DEMO_PASSWORDS["caseworker"],
        "clockAheadMs": CLOCK_AHEAD_MS,
        "visit": kit.visit,
        "evidence": kit.evidence,
        "paths": [str(path) for path in paths],
    }
    result = await drive(given)

    assert result["homes"] == len(await phone.pull("households"))
    assert result["waiting"] == result["kept"] == 5  # the visit and four manifests outlive the app
    assert result["counted"] == 1  # two syncs at once count one change as done once
    assert result["visit"]["receipt"]

    # In the background requests were cut, none was begun, and all were taken up again when the app was shown.
    assert min(result["cut"].values()) >= 1, result["cut"]
    assert result["refused"] == 0
    assert result["most"] <= 10
    assert "PATCH" not in result["methods"]
    assert len(result["progress"]) > 3  # in pieces
    assert result["progress"] == sorted(result["progress"])  # and none from the beginning again
    assert result["left"] == 0

    # For all the wrong clock no token was asked for too early; then once for two requests, and again since it was cut.
    assert result["refreshes"] == [0, 2]

    # By the body, for WeChat calls every status a success; the refused photo waits, the one after it went.
    assert result["problems"] == ["upload.size_differs", "photo.hash_mismatch"]
    assert result["stuck"] == [kit.evidence[2]["id"]]
    assert {result["evidence"][at] for at in (0, 1, 3)} <= {"received", "verified"}
    held = {path.name for path in (tmp_path / "wx").iterdir()}
    assert {"zoufang-visits.json", "zoufang-households.json", "zoufang-uploads.json"} <= held  # files, not storage keys


async def drive(given: dict) -> dict:
    program = ROOT / "web" / "shared" / "wx" / "drive.ts"
    process = await asyncio.create_subprocess_exec(
        str(NODE), str(program), json.dumps(given), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, errors = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, errors.decode()[-2000:]
    return json.loads(out)
