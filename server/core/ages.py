"""Ages in full years."""

from datetime import date


def age_on(born_on: date, day: date) -> int:
    """Return the age in full years on a day. A person born on 29 February turns a year older on 1 March."""
    return day.year - born_on.year - ((day.month, day.day) < (born_on.month, born_on.day))
