"""Where bench keeps what is not a run's: its journals and its cache."""

import os
from pathlib import Path


def _own(variable: str, usual: str, system: str) -> Path:
    """The system's folder for root, who alone can make a lab; else the person's, by the XDG directories."""
    if os.geteuid() == 0:
        return Path(system)
    return Path(os.environ.get(variable) or Path.home() / usual) / "bench"


STATE = _own("XDG_STATE_HOME", ".local/state", "/var/lib/bench")
"""Folder of the lock and of every living run."""
CACHE = _own("XDG_CACHE_HOME", ".cache", "/var/cache/bench")
"""Folder of what was made once and is kept for later runs: images, engines, compiled programs."""
