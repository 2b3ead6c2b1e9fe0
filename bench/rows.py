"""Rows of the result table."""

from typing import NamedTuple


class Row(NamedTuple):
    """A row of the table. `ratio` is measured over reference; `target` is the project's goal."""

    metric: str
    measured: str
    reference: str = ""
    ratio: str = ""
    target: str = ""
