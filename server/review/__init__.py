"""Review: checks report findings, the visit enters a queue with its findings on top, and a person decides."""
