"""The highest rate that is served in time, and what bounds it."""
