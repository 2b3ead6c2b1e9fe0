"""The foundations that all other packages import: configuration, database, errors, clock. It imports none of them."""
