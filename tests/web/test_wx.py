"""The mini-program adapter against the real server, on a stub of `wx` that holds to WeChat's limits."""

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

from server.demo.county import DEMO_PASSWORDS
from server.paths import ROOT
from tests.phones import make_kit

NODE = Path(sys.executable).parent / "node"


@pytest.fixture
def large_photo(pictures) -> bytes:
    """A picture with enough noise behind it that it goes up in pieces."""
    return pictures[0].read_bytes() + os.urandom(1_000_000)


async def test_a_mini_program_syncs_and_uploads_within_wechats_limits(
    system, phone, server, due, large_photo, pictures, tmp_path
):
    partner = await system.sign_in(due.partner_login, "caseworker")
    photos = [large_photo, pictures[1].read_bytes()]
    kit = await make_kit(phone, partner.id, photos=photos)
    paths = [tmp_path / f"wx-{number}.jpg" for number in range(2)]
    for path, content in zip(paths, photos, strict=True):
        path.write_bytes(content)

    given = {
        "url": server.url,
        "folder": str(tmp_path / "wx"),
        "login": due.caseworker_login,
        "password": DEMO_PASSWORDS["caseworker"],
        "visit": kit.visit,
        "evidence": kit.evidence,
        "paths": [str(one) for one in paths],
    }
    told = await drive(given)

    assert told["homes"] == len(await phone.pull("households"))
    assert told["waiting"] == told["kept"] == 3  # the visit and two manifests outlive the app
    assert told["visit"]["receipt"]
    assert set(told["evidence"]) <= {"received", "verified"}
    assert told["left"] == 0
    assert len(told["progress"]) > 3  # in pieces
    assert told["cut"] >= 1  # the app was hidden in the middle of one
    assert told["refusal"] == "photo.hash_mismatch"  # by the body, for WeChat calls every status a success
    assert told["most"] <= 10
    assert "PATCH" not in told["methods"]
    held = {one.name for one in (tmp_path / "wx").iterdir()}
    assert {"zoufang-visits.json", "zoufang-households.json", "zoufang-uploads.json"} <= held  # files, not storage keys


async def drive(given: dict) -> dict:
    program = ROOT / "web" / "shared" / "wx" / "drive.ts"
    process = await asyncio.create_subprocess_exec(
        str(NODE), str(program), json.dumps(given), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, errors = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, errors.decode()[-2000:]
    return json.loads(out)
