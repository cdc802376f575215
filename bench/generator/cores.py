"""The cores' time as the load generator reads it around a load, its own process included."""

from pathlib import Path

from bench.procfs import CoreTime, parse_stat


def read_cores() -> dict[int, CoreTime]:
    """Core -> its time so far."""
    return dict(parse_stat(Path("/proc/stat").read_text()).cores)
