"""Password hashing with argon2id."""

from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError

_hasher = PasswordHasher()


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
