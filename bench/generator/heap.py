"""Python's garbage collector, kept away from a load."""

import gc


def keep_collector_away() -> None:
    """No collection inside a window: what the load path allocates is freed by reference counts."""
    gc.freeze()
    gc.disable()
