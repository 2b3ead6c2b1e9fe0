import os

import msgspec
import pytest
from minio import Minio

from tests.phones import make_kit
from tests.test_first_path import push_whole


@pytest.fixture
async def kit(system, county, phone, request):
    """A visit that came whole, examined and in the queue. A test is `@drawn` where its pictures matter."""
    due = next(assignment for assignment in county.assignments if assignment.kind == "intake")
    partner = await system.sign_in(due.partner_login, "caseworker")
    made = await make_kit(phone, partner.id, drawn=getattr(request, "param", "tiny") == "drawn")
    await push_whole(phone, partner, made)
    await system.run_jobs()
    return made


drawn = pytest.mark.parametrize("kit", ["drawn"], indirect=True, ids=[""])


@pytest.fixture
def settings(settings):
    """A bucket of this test's own: what the store holds is then what this test put there."""
    own = msgspec.structs.replace(settings, s3_bucket=f"evidence-{os.urandom(6).hex()}")
    client(own).make_bucket(own.s3_bucket)
    return own


@pytest.fixture
def bucket(settings):
    """The store as an administrator reaches it, past us."""
    return client(settings)


def client(settings):
    return Minio(
        settings.s3_endpoint.removeprefix("http://"),
        access_key=settings.s3_access_key,
        secret_key=settings.s3_secret_key,
        secure=False,
    )
