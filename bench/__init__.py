"""Benchmarks that measure zoufang and a reference in the same run: `make bench`. Not part of the tests."""
