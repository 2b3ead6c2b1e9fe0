"""Who is who: sign-in of staff and residents, their devices, their tokens."""
