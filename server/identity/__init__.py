"""Identity: sign-in of staff and residents, their devices and their tokens."""
