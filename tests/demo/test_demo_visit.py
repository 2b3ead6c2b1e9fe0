"""`make run` and `demo-visit` as a new user meets them: real processes, real HTTP, stopped by one Ctrl-C."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psutil
import pytest

from server.demo import list_sign_ins, visit, walk
from server.demo.visit import STEPS, run_demo_visit
from server.demo.work import PLANS
from server.devserver.processes import find_free_port
from server.models.evidence import Evidence
from server.review.check_context import PhotoContext

PROJECT = Path(__file__).resolve().parents[2]
PHOTOS = PROJECT.parent / "shared" / "data" / "photos"
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith(("ZOUFANG_", "MAKE"))}


class Live:
    """`python -m server run` in a directory of its own, on free ports."""

    def __init__(self, folder: Path) -> None:
        self.environ = CLEAN | {"ZOUFANG_DATA_DIR": str(folder / "data"), "COLUMNS": "80"}
        self.ports = {f"ZOUFANG_{part}PORT": str(find_free_port()) for part in ("", "S3_", "POSTGRES_", "WECHAT_STUB_")}

    def start(self) -> str:
        self.process = self._spawn("run", "--no-work", **self.ports)
        text = ""
        for line in self.process.stdout:
            text += line
            if "Ctrl-C" in line:
                return text
        pytest.fail(text + self.process.stderr.read())

    def demo_visit(self, *words: str) -> tuple[int, str]:
        """Told only the directory: the rest is in the environment that `run` leaves there."""
        process = self._spawn("demo-visit", *words)
        out, errors = process.communicate(timeout=120)
        return process.returncode, out + errors

    def _spawn(self, *words: str, **environ: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "server", *words],
            cwd=PROJECT,
            env=self.environ | environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def stop(self) -> None:
        """Asserts that one Ctrl-C ends every process within ten seconds."""
        family = psutil.Process(self.process.pid).children(recursive=True)
        assert len(family) >= len(("postgres", "rclone", "wechat-stub", "worker", "api"))
        started = time.monotonic()
        self.process.send_signal(signal.SIGINT)
        _, errors = self.process.communicate(timeout=30)
        assert (self.process.returncode, errors) == (0, "")
        assert time.monotonic() - started < 10
        assert [item for item in family if item.is_running() and item.status() != psutil.STATUS_ZOMBIE] == []

    def desk(self, role: str) -> httpx.Client:
        """A desk that has signed in as the printed person of a role."""
        login = next(item for item in list_sign_ins() if item.role_en.lower() == role)
        client = httpx.Client(base_url=f"http://127.0.0.1:{self.ports['ZOUFANG_PORT']}", trust_env=False)
        body = {"login": login.login, "password": login.password, "device": {"label": "test"}}
        token = client.post("/auth/v1/staff/sign-in", json=body).json()["accessToken"]
        client.headers["Authorization"] = f"Bearer {token}"
        return client

    def visits(self) -> list[dict[str, object]]:
        """What the first caseworker's phone pulls."""
        login = list_sign_ins()[0]
        with httpx.Client(base_url=f"http://127.0.0.1:{self.ports['ZOUFANG_PORT']}", trust_env=False) as client:
            body = {"login": login.login, "password": login.password, "device": {"label": "test"}}
            token = client.post("/auth/v1/staff/sign-in", json=body).json()["accessToken"]
            answer = client.get("/field/v1/sync/visits/1/pull", headers={"Authorization": f"Bearer {token}"})
            return answer.json()["documents"]


@pytest.fixture
def live(folder):
    system = Live(folder / "live")
    yield system
    if system.process.poll() is None:
        system.process.terminate()
        system.process.communicate(timeout=30)


def test_a_visit_goes_from_the_phone_to_the_resident_and_is_still_there_after_a_restart(live):
    result = live.start()
    for sign_in in list_sign_ins():
        suffix = re.search(r"demo-\w+-<nonce>", sign_in.note).group()
        assert [word for word in (sign_in.login, sign_in.password, suffix) if word not in result] == []

    code, out = live.demo_visit()
    assert code == 0, out
    assert marks(out) == "✓" * len(STEPS), out
    assert max(map(len, out.splitlines())) <= 80
    assert {"photo.time_off", "visit.far_from_home"} <= doubts(out)
    assert not doubts(out) & {"photo.abroad", "photo.place_off", "photo.not_listed", "visit.one_phone_for_two"}
    assert not [doubt for doubt in doubts(out) if doubt.startswith("answers.")]
    assert "survey_done" in out

    if PHOTOS.is_dir():
        code, out = live.demo_visit("--photos", str(PHOTOS))
        assert code == 0, out
        assert marks(out) == "✓" * len(STEPS), out
        result = " ".join(out.split())
        assert "photo.abroad on 4 of 4, photo.place_off on 4 of 4, photo.time_off on 4 of 4" in result

    live.stop()
    live.start()
    assert "accepted" in [item["server"]["state"] for item in live.visits()]
    live.stop()

    if not PHOTOS.is_dir():
        pytest.skip("the rest went well; ../shared/data/photos is not there, so no photo from Italy was tried")


def test_visits_of_the_last_weeks_come_in_every_state(live):
    live.start()
    process = live._spawn("demo-work")
    out, errors = process.communicate(timeout=300)
    assert process.returncode == 0, out + errors
    assert [line.partition(":")[0] for line in out.splitlines()] == [plan.ending for plan in PLANS]
    desk = live.desk("supervisor")
    waiting = desk.get("/desk/v1/queue", params={"state": "waiting"}).json()["items"]
    desk.close()
    assert len(waiting) == len([plan for plan in PLANS if plan.ending == "waiting"])
    live.stop()


def marks(out: str) -> str:
    return "".join(re.findall(r"^([✓✗–]) +\d+  ", out, re.MULTILINE))


def doubts(out: str) -> set[str]:
    return set(re.findall(r"│ ((?:photo|visit|answers)\.\w+)", out))


# ---- what may go wrong


async def test_a_server_that_is_not_running_is_one_clear_line(capsys):
    url = f"http://127.0.0.1:{find_free_port()}"
    assert await run_demo_visit(url, None) == 1
    out, errors = capsys.readouterr()
    assert out == ""
    assert errors == f"zoufang: nothing answers at {url}: start it with `make run`, or name another with --url\n"


async def test_a_folder_with_too_few_photos_is_one_clear_line(tmp_path, capsys):
    for name in ("a.jpg", "b.HEIC", "c.png", "notes.txt"):
        (tmp_path / name).touch()
    assert await run_demo_visit("http://127.0.0.1:9", tmp_path) == 1
    _, errors = capsys.readouterr()
    assert errors.startswith(f"zoufang: {tmp_path} holds 3 images; 4 are needed")
    assert errors.count("\n") == 1


def play(monkeypatch, answers):
    """In the server's place: these answers by path, and 404 for the others."""

    def answer(request: httpx.Request) -> httpx.Response:
        status, body = answers.get(request.url.path, (404, {}))
        return httpx.Response(status, json=body)

    def open_client(url: str) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=url, transport=httpx.MockTransport(answer))

    for room in (visit, walk):
        monkeypatch.setattr(room, "open_client", open_client)


READY = {"database": "ok", "migrations": "ok", "store": "ok"}


async def test_a_refused_step_shows_the_servers_code_and_sentence_and_ends_the_walk(monkeypatch, capsys):
    refusal = {"code": "auth.sign_in_failed", "title": "Wrong user name or password", "detail": "", "errors": []}
    play(monkeypatch, {"/health/ready": (200, READY), "/auth/v1/staff/sign-in": (401, refusal)})
    assert await run_demo_visit("http://zoufang.test", None) == 1
    out, _ = capsys.readouterr()
    assert marks(out) == "✗"
    assert "auth.sign_in_failed: Wrong user name or password" in " ".join(out.split())
    assert "Step 1 failed and the rest was not run" in " ".join(out.split())


async def test_an_answer_of_another_shape_fails_its_step_and_is_no_traceback(monkeypatch, capsys):
    play(monkeypatch, {"/health/ready": (200, READY), "/auth/v1/staff/sign-in": (200, {"token": "…"})})
    assert await run_demo_visit("http://zoufang.test", None) == 1
    assert "KeyError 'personId'" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("status", "body", "result"),
    [
        (503, READY | {"store": "can't be reached"}, "is not ready (database ok, migrations ok, store can't be"),
        (404, {"detail": "none"}, "is not zoufang"),
    ],
)
async def test_a_server_that_is_not_ready_or_not_ours_is_one_clear_line(monkeypatch, capsys, status, body, result):
    play(monkeypatch, {"/health/ready": (status, body)})
    assert await run_demo_visit("http://zoufang.test", None) == 1
    out, errors = capsys.readouterr()
    assert out == ""
    assert result in errors
    assert errors.count("\n") == 1


# ---- the time that real photos give


@pytest.mark.parametrize(
    ("facts", "taken_at", "source"),
    [
        (
            {"capturedAt": "2025-11-23T09:00:00+09:00", "capturedAtSource": "offset"},
            "2025-11-23T09:00:00+09:00",
            "offset",
        ),
        (
            {"capturedAt": "2008-10-23T14:27:07Z", "capturedAtSource": "gps", "capturedLocal": "2008-10-22T16:28:39"},
            "2008-10-22T16:28:39+08:00",
            "local_clock",
        ),
        (
            {"capturedAt": "2025-11-23T07:00:00+06:00", "capturedAtSource": "gps_zone"},
            "2025-11-23T07:00:00+06:00",
            "gps_zone",
        ),
        ({"capturedLocal": "2025-11-23T09:00:00"}, "2025-11-23T09:00:00+08:00", "local_clock"),
        ({}, None, None),
    ],
)
def test_a_cameras_clock_without_a_zone_is_read_as_chinas(facts, taken_at, source):
    photo = PhotoContext(Evidence(), facts, [], 0)
    assert (photo.taken_at and photo.taken_at.isoformat(), photo.taken_at_source) == (taken_at, source)
