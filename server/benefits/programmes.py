"""The two programmes of dibao, and what a village's code suggests about them."""

from typing import Literal

Programme = Literal["urban", "rural"]
_FIRST_RURAL_VILLAGE = 200  # 000–199 居委会, 200+ 村委会 (docs/domain.md#areas)
_VILLAGE_DIGITS = 12


def programme_of_area(area_code: str) -> Programme:
    """Return what the village's code suggests: a proposal only."""
    if len(area_code) != _VILLAGE_DIGITS:
        return "urban"
    return "rural" if int(area_code[-3:]) >= _FIRST_RURAL_VILLAGE else "urban"


def as_programme(stored: str | None) -> Programme | None:
    if stored is None:
        return None
    return "rural" if stored == "rural" else "urban"
