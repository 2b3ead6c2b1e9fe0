import pytest

from tests.review.makers import Ground


@pytest.fixture
async def ground(services):
    return await Ground.open(services)
