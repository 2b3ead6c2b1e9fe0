"""Which passwords are taken, after NIST SP 800-63B: long enough, not among the common ones, nothing about oneself.

No mixture of characters is demanded and no password expires.
"""

import unicodedata
from importlib import resources

from server.core.errors import Problem
from server.models.people import Staff

LEAST_CHARACTERS = 8
MOST_CHARACTERS = 200
# Rows of keyboards and alphabets: a password that is a piece of one, forwards or backwards, is guessed first.
_ROWS = ("01234567890123456789", "abcdefghijklmnopqrstuvwxyz", "qwertyuiop", "asdfghjkl", "zxcvbnm", "1qaz2wsx3edc4rfv")
# Stems of the passwords that appear most often in published leaks, and of what an office like this would choose.
_STEMS = frozenset(resources.files("server.identity").joinpath("common_passwords.txt").read_text().split())
# So few different characters are a repetition.
_MOST_REPEATED = 3


def require_good_password(password: str, staff: Staff) -> None:
    """Raise `auth.password_weak` with the reason."""
    folded = unicodedata.normalize("NFKC", password).casefold()
    if not LEAST_CHARACTERS <= len(password) <= MOST_CHARACTERS:
        _refuse(f"密码至少 {LEAST_CHARACTERS} 个字符。", f"Use at least {LEAST_CHARACTERS} characters.")
    if is_common(folded):
        _refuse("这个密码太常见，请换一个。", "This password is among the first that are guessed; choose another.")
    if staff.login.casefold() in folded or (len(staff.name) > 1 and staff.name.casefold() in folded):
        _refuse("密码不能包含登录名或姓名。", "The password must not contain your login or name.")


def is_common(folded: str) -> bool:
    """Whether it is a stem with digits or marks around it, a birthday or phone number, a row of keys or repetition."""
    core = folded.strip("0123456789!@#$%^&*()_+-=.,?~ ")
    if core in _STEMS or not core:
        return True
    if len(set(folded)) <= _MOST_REPEATED or any(folded in row or folded[::-1] in row for row in _ROWS):
        return True
    half = folded[: len(folded) // 2]
    return len(folded) % 2 == 0 and folded == half * 2 and len(half) < LEAST_CHARACTERS


def _refuse(zh: str, en: str) -> None:
    raise Problem("auth.password_weak", why=zh, why_en=en)
