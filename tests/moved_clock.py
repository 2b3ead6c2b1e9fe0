"""The test process at another time: `TEST_CLOCK=2028-02-29T04:00:00+00:00 python -m pytest …`.

Everything in the process that reads the machine's clock reads the moved one, which goes on ticking; a stray
`datetime.now()` or `time.time()` does so too. PostgreSQL and the S3 server are processes of their own and keep real
time, so whatever compares their time with ours fails here. Two things must know real time, as their other end does:
signatures for the S3 server, and when a job falls due, which procrastinate asks PostgreSQL.

Left out are tests of the web apps and of clients, and whatever starts a server or command as a process of its own: it
would not see the moved clock.
"""

import os
from datetime import UTC, datetime

import minio.time
import pytest
from procrastinate import utils as procrastinate_utils

VARIABLE = "TEST_CLOCK"
# Of fixtures, and of folders, whose tests drive other processes.
_PROCESSES, _FOLDERS = {"live"}, ("tests/web/", "tests/clients/")


def move_clock() -> bool:
    """Move it for as long as the process lives, if the environment says so."""
    if VARIABLE not in os.environ:
        return False
    import time_machine  # not to be paid for where the clock stays

    def real_now() -> datetime:
        return time_machine.escape_hatch.datetime.datetime.now(UTC)

    time_machine.travel(datetime.fromisoformat(os.environ[VARIABLE]), tick=True).start()
    minio.time.utcnow = real_now
    procrastinate_utils.utcnow = real_now
    return True


def drives_other_processes(item: pytest.Item) -> bool:
    return (
        not _PROCESSES.isdisjoint(getattr(item, "fixturenames", ()))
        or item.nodeid.startswith(_FOLDERS)
        or item.get_closest_marker("processes") is not None
    )
