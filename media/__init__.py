"""Photo files: the object store, file type and EXIF facts, fingerprints, renditions and watermarks.

Nothing here imports the database, an HTTP framework or other rooms; limits and addresses are passed in.
"""
