"""What is concluded of stored runs: the numbers that no change of the code's shape may move.

Two runs that ship and one of an earlier schema, each with its verdict, comparisons, slots and anatomy.
Where the conclusions are meant to change, write them anew, and read the difference before it lands:

    BENCH_WRITE_GOLDEN=1 pytest tests/pure/test_stored_runs.py && git diff tests/pure/data
"""

import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import asdict, is_dataclass
from math import isclose
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import BaseModel

import bench

ROOT = Path(__file__).parents[2]
DATA = Path(__file__).parent / "data"
SUMMED = re.compile(r"ci9[05]|p_value")
"""Numbers to which resamples contribute: their means are a matrix product, which the processor's own routine
of the linear algebra sums in an order of its own, so the last digit is the processor's. All others are exact.
"""
SHOWN = 20
"""Differences that a message names, of however many."""


def folder_of(name: str, scratch: Path) -> Path:
    """Where the stored run `name` is: one that ships, or a run.json of these tests."""
    if name == "run-v2":
        shutil.copy(DATA / "run-v2.json", scratch / "run.json")
        return scratch
    [shipped] = (ROOT / "results" / name).iterdir()
    return shipped


def conclude(folder: Path) -> dict[str, Any]:
    """All that the Python API concludes of a run, as JSON can hold it."""
    run = bench.load(folder)
    found = {
        "verdict": run.verdict,
        "comparisons": list_columns(run.comparisons),
        "slots": list_columns(run.slots),
        "anatomy": run.anatomy,
    }
    plain: dict[str, Any] = json.loads(json.dumps(found, default=simplify))
    return plain


def list_columns(frame: pd.DataFrame) -> dict[str, list[Any]]:
    """A list a column, with None for what a row does not have."""
    return {
        str(name): [value if present else None for value, present in zip(column, has, strict=True)]
        for (name, column), has in zip(frame.items(), frame.notna().to_numpy().T.tolist(), strict=True)
    }


def simplify(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return json.loads(value.model_dump_json())
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    assert isinstance(value, np.generic), f"{value!r} has no form in JSON yet"
    return value.item()


def write_golden(path: Path, found: dict[str, Any]) -> None:
    """A line a column or field, so that a difference is one of lines."""
    parts = (
        f"{json.dumps(section)}: {{\n" + ",\n".join(map(write_field, values.items())) + "\n}"
        for section, values in found.items()
    )
    path.write_text("{\n" + ",\n".join(parts) + "\n}\n")


def write_field(field: tuple[str, Any]) -> str:
    return ": ".join(json.dumps(part, separators=(",", ":")) for part in field)


def differences(path: str, was: Any, now: Any) -> Iterator[str]:
    """A line a place where the two differ."""
    if isinstance(was, dict) and isinstance(now, dict):
        for key in sorted(was.keys() | now.keys()):
            if key in was and key in now:
                yield from differences(f"{path}.{key}", was[key], now[key])
            else:
                yield f"{path}.{key}: {'is gone' if key in was else 'is new'}"
    elif isinstance(was, list) and isinstance(now, list) and len(was) == len(now):
        for place, pair in enumerate(zip(was, now, strict=True)):
            yield from differences(f"{path}[{place}]", *pair)
    elif was != now and not is_rounding(path, was, now):
        yield f"{path}: was {was!r}, is {now!r}"


def is_rounding(path: str, was: Any, now: Any) -> bool:
    is_summed = SUMMED.search(path) and isinstance(was, float) and isinstance(now, float)
    return bool(is_summed) and isclose(was, now, rel_tol=1e-12)


@pytest.mark.parametrize("name", ["example-claim", "example-anatomy", "run-v2"])
def test_a_stored_run_leads_to_the_same_conclusions_to_the_last_digit(name: str, tmp_path: Path) -> None:
    found, golden = conclude(folder_of(name, tmp_path)), DATA / f"conclusions-{name}.json"
    if os.environ.get("BENCH_WRITE_GOLDEN"):
        write_golden(golden, found)
    wrong = list(differences(name, json.loads(golden.read_text()), found))
    assert not wrong, f"{len(wrong)} differences:\n" + "\n".join(wrong[:SHOWN])


def test_a_difference_in_the_last_digit_is_seen_but_where_it_is_the_processor_s() -> None:
    one, next_to_it = 1.1, float(np.nextafter(1.1, 2))
    assert list(differences("r", {"slots": {"p50": [one]}}, {"slots": {"p50": [next_to_it]}})) == [
        "r.slots.p50[0]: was 1.1, is 1.1000000000000003"
    ]
    assert list(differences("r", {"ci95": [one]}, {"ci95": [next_to_it]})) == []
    assert list(differences("r", {"ci95": [one], "a": 1}, {"ci95": [1.2], "b": 1})) == [
        "r.a: is gone",
        "r.b: is new",
        "r.ci95[0]: was 1.1, is 1.2",
    ]
