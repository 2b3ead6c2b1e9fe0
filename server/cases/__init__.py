"""The case: an application from the day it is made to what the resident reads about it."""
