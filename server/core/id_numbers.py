"""Resident identity numbers, bank card numbers and phone numbers: validation and masking.

An 18-digit identity number (GB 11643) holds area, birth date, sex and an ISO 7064 MOD 11-2 check character. The
area is not validated: area codes are revoked and replaced over time, and people keep their numbers.
"""

from datetime import date
from typing import Literal

import msgspec

from server.core.normalise import normalise_card, normalise_id

IdProblem = Literal["empty", "characters", "length", "old_15_digits", "date", "future_date", "check_digit"]
Sex = Literal["male", "female"]

_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECKS = "10X98765432"
_DIGITS = frozenset("0123456789")
_LENGTH = 18
_OLD_LENGTH = 15
_MOBILE_LENGTH = 11
_LUHN_TEN = 10


class IdCheck(msgspec.Struct, rename="camel", frozen=True, kw_only=True):
    """The result of checking an entered number.

    `number` is the normalised text, also of an invalid number; area, birth date and sex are None when it is invalid.
    """

    number: str
    problem: IdProblem | None = None
    area_code: str | None = None
    born: date | None = None
    sex: Sex | None = None

    def __repr__(self) -> str:
        """Mask the number: it would otherwise appear in log lines and test output."""
        return f"IdCheck(number={mask_id(self.number)!r}, problem={self.problem!r})"


def check_id(entered: str, *, today: date | None = None) -> IdCheck:
    """Validate a resident identity number. `problem` is the first fault found.

    The number may be spelled in any way that `normalise_id` repairs. A birth date after `today` is a problem only when
    `today` is given.
    """
    number = normalise_id(entered)
    problem = _problem(number, today)
    if problem is not None:
        return IdCheck(number=number, problem=problem)
    return IdCheck(number=number, area_code=number[:6], born=_born(number), sex=_sex(number))


def check_digit(first_17: str) -> str:
    """Return the 18th character (ISO 7064 MOD 11-2) for the first seventeen digits."""
    total = sum(weight * int(digit) for weight, digit in zip(_WEIGHTS, first_17, strict=True))
    return _CHECKS[total % 11]


def make_id_number(area_code: str, born: date, sequence: int) -> str:
    """Make a number with a valid check character, for invented people only. Odd sequences are male."""
    first_17 = f"{area_code:0>6}{born:%Y%m%d}{sequence:03d}"
    return first_17 + check_digit(first_17)


def luhn_ok(entered: str) -> bool:
    """Tell whether a card number passes the Luhn check. Use it for a warning only: valid passbook numbers fail it."""
    digits = normalise_card(entered)
    if not digits or not _DIGITS.issuperset(digits):
        return False
    doubled = (int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(digits)))
    return sum(value // _LUHN_TEN + value % _LUHN_TEN for value in doubled) % _LUHN_TEN == 0


def mask_id(number: str) -> str:
    """`1****************X`; a text too short for an identity number is masked completely.

    The area, the birth date and the sex stand elsewhere, so anything more would complete the number.
    """
    return _mask(number, first=1, last=1, shortest=_OLD_LENGTH)


def mask_phone(number: str) -> str:
    """`138****1234`; of a landline or a short number only the last two digits are shown."""
    if len(number) >= _MOBILE_LENGTH:
        return _mask(number, first=len(number) - 8, last=4, shortest=_MOBILE_LENGTH)
    return _mask(number, first=0, last=2, shortest=7)


def mask_card(number: str) -> str:
    """Show only the last four digits, as banks print it."""
    return _mask(number, first=0, last=4, shortest=12)


def _problem(number: str, today: date | None) -> IdProblem | None:
    if not number:
        return "empty"
    if not _DIGITS.issuperset(number[:-1]) or number[-1] not in _CHECKS:
        return "characters"
    if len(number) != _LENGTH:
        old = len(number) == _OLD_LENGTH and number.isdigit()
        return "old_15_digits" if old else "length"
    return _date_problem(number, today) or _check_problem(number)


def _date_problem(number: str, today: date | None) -> IdProblem | None:
    try:
        born = _born(number)
    except ValueError:
        return "date"
    return "future_date" if today is not None and born > today else None


def _check_problem(number: str) -> IdProblem | None:
    return None if number[-1] == check_digit(number[:-1]) else "check_digit"


def _born(number: str) -> date:
    return date(int(number[6:10]), int(number[10:12]), int(number[12:14]))


def _sex(number: str) -> Sex:
    return "male" if int(number[16]) % 2 else "female"


def _mask(text: str, *, first: int, last: int, shortest: int) -> str:
    if len(text) < shortest:
        return "*" * len(text)
    return text[:first] + "*" * (len(text) - first - last) + text[-last:]
