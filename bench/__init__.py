"""Measures zoufang beside a floor in the same run: `make bench`. Never part of a test."""
