"""The office of the first application."""

import pytest

from tests.makers.cases import Office


@pytest.fixture
async def office(system, services, county) -> Office:
    return Office(system, services, county)
