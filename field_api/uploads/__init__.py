"""How photos come in: tus, one form, or a PUT straight to the store."""
