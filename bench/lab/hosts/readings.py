"""Files read at one moment. Whoever asked for them parses them: here is no time for it."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Reading:
    """What files held at one moment."""

    at_ns: int
    """CLOCK_MONOTONIC, in the middle of the first file's reading."""
    texts: Mapping[str, str]
    """Path -> content; empty of a file that is not there."""


def read_files(paths: Sequence[str]) -> Reading:
    """The content of `paths`, read in order, one right after another."""
    texts = {}
    begun_ns = time.monotonic_ns()
    texts[paths[0]] = Path(paths[0]).read_text()
    at_ns = (begun_ns + time.monotonic_ns()) // 2
    for path in paths[1:]:
        try:
            texts[path] = Path(path).read_text()
        except OSError:
            texts[path] = ""
    return Reading(at_ns, texts)
