"""The real client against the real server process."""

from collections.abc import AsyncIterator

import pytest

from tests.clients.rxdb import Phones, install_packages


@pytest.fixture(scope="session")
def packages() -> None:
    install_packages()


@pytest.fixture
async def phones(packages) -> AsyncIterator[Phones]:
    async with Phones() as running:
        yield running
    assert running.unhandled == []
