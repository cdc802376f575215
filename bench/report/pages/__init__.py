"""Pages of more than one run, and of what is not a run: capacity, suite, history, map, check."""
