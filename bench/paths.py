"""Where bench keeps what is not a run's: its journals and its cache."""

from pathlib import Path

STATE = Path("/var/lib/bench")
"""Folder of the lock and of every living run: only root can make a lab."""
CACHE = Path("/var/cache/bench")
"""Folder of what was made once and is kept for later runs: images, engines, compiled programs."""
