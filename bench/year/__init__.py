"""`python -m bench --only year`: a county's year from visits to the bank's answers, and errors that must not pass."""
