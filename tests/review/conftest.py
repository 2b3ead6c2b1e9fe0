import pytest

from tests.makers.visits import Ground


@pytest.fixture
async def ground(services):
    return await Ground.open(services)


@pytest.fixture
async def county_desk(system):
    return await system.sign_in_at_desk("maohetang", "county_officer")
