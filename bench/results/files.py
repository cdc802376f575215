"""Files of a run: made and replaced whole."""

import os
import secrets
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from bench.errors import EnvironmentLacks

RUN_FILE, VERDICT_FILE, SLOTS_FILE, SUMS_FILE = "run.json", "verdict.json", "slots.csv", "SHA256SUMS"
SUITE_FILE, SUITES = "suite.json", "suite"
CAPACITY_FILE = "capacity.json"
WALKTHROUGH_FILE, WALKTHROUGH_PAGE = "walkthrough.json", "walkthrough.md"


def is_suite(folder: Path) -> bool:
    """Whether `folder` is a suite's, rather than a run's."""
    return (folder / SUITE_FILE).exists()


def is_capacity(folder: Path) -> bool:
    """Whether `folder` is a capacity measurement's, rather than a run's."""
    return (folder / CAPACITY_FILE).exists()


def new_run_id(now: datetime) -> str:
    """`<YYYYMMDDThhmmssZ>-<4 hex>`: sorts by time, and no two are alike."""
    return f"{now.astimezone(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"


def create_run_folder(results: Path, scenario_name: str, run_id: str) -> Path:
    """Make `results/<scenario>/<run id>/`. Raises EnvironmentLacks where it cannot be written."""
    folder = results / scenario_name / run_id
    make_folder(folder / "slots", f"Making the run's folder {folder}")
    return folder


def make_folder(folder: Path, doing: str) -> None:
    """Make `folder`, which must not be there. Raises InputError or EnvironmentLacks with the reason."""
    try:
        folder.mkdir(parents=True)
    except OSError as fault:
        raise EnvironmentLacks(
            doing, str(fault), "Give a folder that can be written with --results."
        ) from fault


def write_atomically(target: Path, content: bytes) -> None:
    """Write `content` so that `target` is the whole of it or what it was before."""
    partial = target.with_name(f".{target.name}.partial")
    try:
        with partial.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(target)
    except OSError as fault:
        with suppress(OSError):
            partial.unlink()
        raise EnvironmentLacks(
            f"Writing {target}",
            str(fault),
            "What was written before is whole. Make room or give another folder with --results.",
        ) from fault
