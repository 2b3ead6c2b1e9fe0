"""Quantities of goods as integers: thousandths of a unit, so that 2.5 t and 0.005 t are exact and add up."""

import re
from decimal import Decimal

_THOUSAND = 1000
_QUANTITY = re.compile(r"([0-9]{1,9})(?:\.([0-9]{1,3})0*)?")


def format_milli(milli: int) -> str:
    """`2.5` for 2500: without zeros at the end."""
    whole, part = divmod(abs(milli), _THOUSAND)
    text = f"{whole}.{part:03d}".rstrip("0").rstrip(".")
    return f"-{text}" if milli < 0 else text


def milli_to_units(milli: int | None) -> Decimal | None:
    """Convert to exact units, which a spreadsheet can add up."""
    return None if milli is None else Decimal(milli).scaleb(-3)


def parse_milli(text: str) -> int | None:
    """Read a quantity in units with at most three decimals; None for anything else."""
    match = _QUANTITY.fullmatch(text.strip())
    if match is None:
        return None
    return int(match[1]) * _THOUSAND + int((match[2] or "").ljust(3, "0"))
