"""Photo uploads: tus, a multipart form, or a PUT straight to the store."""
