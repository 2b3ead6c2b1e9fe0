"""Packages of everything an area holds: written sealed to a key of the county, and read into another installation."""
