"""Workload: which homes are due for their review, on which days it is best done, and what is overdue."""
