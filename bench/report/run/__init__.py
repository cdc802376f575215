"""The page of one run: its sections in order, with their tables and figures."""
