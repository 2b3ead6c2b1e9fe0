"""A village of homes with cases in force for each test."""

import pytest

from tests.makers.aid import AidOffice
from tests.makers.rosters import RosterOffice


@pytest.fixture
async def aid(office, system, services) -> AidOffice:
    return AidOffice(await RosterOffice(office, system, services).open())
