"""A stored run: its files, and the same as pandas."""
