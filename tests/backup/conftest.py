import asyncio
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from server import audit
from server.__main__ import main
from server.core.database import open_session
from server.core.settings import Settings
from tests.conftest import environment
from tests.evidence.conftest import bucket, client, kit, settings

__all__ = ["bucket", "kit", "settings"]


async def run(settings: Settings, *arguments: object, code: int = 0, **more: Any) -> str:
    """Run a command as an operator would, and return what it printed."""
    words = [str(argument) for argument in arguments]
    done = await asyncio.to_thread(CliRunner().invoke, main, words, env=environment(settings), **more)
    assert done.exit_code == code, (done.output, done.exception)
    return done.output


@dataclass
class Elsewhere:
    """Another server: an empty database and an empty bucket, with the keys of the first."""

    settings: Settings
    bucket: Any


@pytest.fixture
def elsewhere(settings, postgres):
    yield from make_elsewhere(settings, postgres)


def make_elsewhere(settings: Settings, postgres: Any) -> Iterator[Elsewhere]:
    name = f"elsewhere_{os.urandom(6).hex()}"
    there = msgspec.structs.replace(
        settings, database_url=postgres.create_database(name), s3_bucket=f"elsewhere-{os.urandom(6).hex()}"
    )
    yield Elsewhere(there, client(there))
    postgres.drop_database(name)


@pytest.fixture(autouse=True)
async def trail(services):
    """A system that a worker has sealed once: one that nobody seals does not hold."""
    async with open_session(services.sessions) as session:
        assert await audit.seal(session, services.audit_signer)
