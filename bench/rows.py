from typing import NamedTuple


class Row(NamedTuple):
    """A line of the table. `ratio` is measured over beside; `aim` is what the project wants of it."""

    what: str
    measured: str
    beside: str = ""
    ratio: str = ""
    aim: str = ""
