"""Ages in full years."""

from datetime import date

# Nobody is known to have grown older.
_OLDEST = 125


def age_on(born_on: date, day: date) -> int:
    """Return the age in full years on a day. A person born on 29 February turns a year older on 1 March."""
    return day.year - born_on.year - ((day.month, day.day) < (born_on.month, born_on.day))


def is_birth_date(born_on: date, day: date) -> bool:
    """Tell whether somebody who lives on that day may have been born then: a calendar may count Buddhist years."""
    return born_on <= day and age_on(born_on, day) <= _OLDEST
