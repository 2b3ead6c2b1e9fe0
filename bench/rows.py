"""Rows of the result table, and what a part raises that has to prove something."""

from collections.abc import Sequence
from typing import NamedTuple


class Row(NamedTuple):
    """A row of the table. `ratio` is measured over reference; `target` is the project's goal."""

    metric: str
    measured: str
    reference: str = ""
    ratio: str = ""
    target: str = ""


class NotProven(Exception):
    """What a part had to prove does not hold: the command shows its table, says what is wrong, and fails."""

    def __init__(self, wrong: Sequence[str]) -> None:
        super().__init__("; ".join(wrong))
        self.wrong = list(wrong)
