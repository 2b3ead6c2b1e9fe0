"""Imports of an office's own files: read, preview, confirm, apply; undone as long as nobody acted on them.

One course for every kind of file. A kind (`import_kind.py`) says which columns it has, what a line would do, and how
it is applied and undone; the rest is shared.
"""
