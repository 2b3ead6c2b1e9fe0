"""Application numbers: nobody guesses one, and any device draws one without asking the server.

    SQ 339901 2026 - 7K2M9D4Q C
    │  │      │      │        └ check character
    │  │      │      └ eight random characters, 39 bits
    │  │      └ year of the application
    │  └ county
    └ application (申请)

The alphabet and the check character are those of the unified social credit code (GB 32100-2015): 31 characters without
I, O, S, V and Z; the sum of each character's value times 3^place, modulo 31. It finds every single wrong character and
every swap of neighbours. Numbers of earlier versions, with a serial number after the dash, stay valid.
"""

import re
import secrets

from server.core.normalise import bare_number

ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_RANDOM_CHARACTERS = 8
_FORM = re.compile(rf"SQ([0-9]{{6}})([0-9]{{4}})([{ALPHABET}]{{{_RANDOM_CHARACTERS}}})([{ALPHABET}])")


def draw_application_number(county: str, year: int) -> str:
    """Draw a number. The database holds that no two are equal."""
    serial = "".join(secrets.choice(ALPHABET) for _ in range(_RANDOM_CHARACTERS))
    return f"SQ{county}{year:04d}-{serial}{compute_check_character(f'{county}{year:04d}{serial}')}"


def compute_check_character(characters: str) -> str:
    """Return the check character for county, year and random characters."""
    total = sum(ALPHABET.index(character) * pow(3, place, 31) for place, character in enumerate(characters))
    return ALPHABET[-total % 31]


def read_application_number(entered: str, county: str) -> str | None:
    """Return the spelling with a dash of a number that a device drew for this county, or None if it is no such one."""
    found = _FORM.fullmatch(bare_number(entered))
    if found is None or found[1] != county or compute_check_character(found[1] + found[2] + found[3]) != found[4]:
        return None
    return f"SQ{found[1]}{found[2]}-{found[3]}{found[4]}"
