"""The rulebook: the numbers of the domain by area and date, read and written at the desk."""
