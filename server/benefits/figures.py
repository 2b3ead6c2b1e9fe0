"""The figures in which a visit, the register and a calculation are compared: incomes over a year, in whole fen."""

MONTHS_PER_YEAR = 12


def figure_of_income(kind: str, category: str) -> str:
    """Return the figure that an income or cost of the register belongs to."""
    return "work_cost" if kind == "cost" and category == "work" else kind


def figures_within(figure: str) -> frozenset[str]:
    """Return the figures whose rows a figure covers: all costs include the costs of work."""
    return frozenset({"cost", "work_cost"}) if figure == "cost" else frozenset({figure})


def yearly_fen(amount_fen: int, period: str) -> int:
    return amount_fen if period == "year" else amount_fen * MONTHS_PER_YEAR


def monthly_fen(amount: int, months: int) -> int:
    """Return whole fen a month for a displayed line; comparisons use the exact amount over a year."""
    return amount // months
