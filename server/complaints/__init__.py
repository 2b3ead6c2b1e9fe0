"""Complaints and appeals: registered, handled, decided, answered (件件有回音)."""
