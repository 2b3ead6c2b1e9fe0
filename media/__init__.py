"""Bytes in, believable evidence out: the object store, what a photo is and says, its fingerprint and
copies.

Nothing here knows a database, an HTTP framework or the rest of the product; limits and addresses are passed
in.
"""
