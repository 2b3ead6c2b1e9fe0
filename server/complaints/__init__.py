"""Complaints and appeals: submitted, registered, decided, answered (件件有回音)."""
