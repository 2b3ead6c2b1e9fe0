"""Passwords, kept as argon2id."""

from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError

_hasher = PasswordHasher()


@cache
def _nobodys_hash() -> str:
    """Compared against when there is no such person, so that both cases take as long."""
    return _hasher.hash("nobody has this password")


def hash_password(password: str) -> str:
    return _hasher.hash(password)


def verify_password(stored: str | None, password: str) -> bool:
    """Whether the password is right; as slow for a person who does not exist."""
    nobodys = _nobodys_hash()  # made at the first sign-in of a process, whoever it is
    try:
        return _hasher.verify(stored or nobodys, password) and stored is not None
    except (VerifyMismatchError, InvalidHashError):
        return False
