"""Password hashing with argon2id, which takes all processors for a tenth of a second and 64 MB.

So requests hash in a few threads of their own, and only so many wait for them.
"""

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError

from server.core.errors import Problem

_hasher = PasswordHasher()
_threads = ThreadPoolExecutor(max(1, (os.cpu_count() or 1) // 2), "passwords")
MAX_WAITING = 60
_waiting = 0


async def check_password(stored: str | None, password: str) -> bool:
    """Verify a password off the event loop. Raises `server.busy` when too many wait for it already."""
    global _waiting  # noqa: PLW0603  one count for the threads of the process
    if _waiting >= MAX_WAITING:
        raise Problem("server.busy", headers={"Retry-After": "5"})
    _waiting += 1
    try:
        return await asyncio.get_running_loop().run_in_executor(_threads, verify_password, stored, password)
    finally:
        _waiting -= 1


@cache
def _dummy_hash() -> str:
    """Return the hash that is verified when there is no such person, so that both cases take the same time."""
    return _hasher.hash("nobody has this password")


def hash_password(password: str) -> str:
    return _hasher.hash(password)


def verify_password(stored: str | None, password: str) -> bool:
    """Tell whether the password is right, in the same time when there is no stored hash."""
    dummy = _dummy_hash()  # computed at the first sign-in of each process, also when it is not used
    try:
        return _hasher.verify(stored or dummy, password) and stored is not None
    except (VerifyMismatchError, InvalidHashError):
        return False
