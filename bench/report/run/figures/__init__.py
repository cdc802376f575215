"""The figures of a run's page, a file each: pure functions, without pyplot and its global state."""
