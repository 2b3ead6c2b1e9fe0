"""Spot checks: blind second visits to homes, drawn by a method anyone can repeat, by people who were not there."""
