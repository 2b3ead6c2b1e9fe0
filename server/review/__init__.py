"""Review: doubts are found, a visit goes before a person with the doubts on top, and a person decides."""
