"""Spot checks: a second look at homes drawn by a method that anyone can repeat, by people who were not there."""
