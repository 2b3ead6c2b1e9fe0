"""A village of paid homes for each test."""

import pytest

from tests.makers.rosters import RosterOffice


@pytest.fixture
async def pay(office, system, services) -> RosterOffice:
    return await RosterOffice(office, system, services).open()
