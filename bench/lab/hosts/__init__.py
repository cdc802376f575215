"""A host: a way to run, start and read there; and what is undone after it."""
