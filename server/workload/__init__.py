"""Workload: which households are due for a review, on which days caseworkers visit them, and what is overdue."""
