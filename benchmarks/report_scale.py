"""Measures how a report's time and memory grow with its run: `make benchmark-report RUN=results/...`.

A real run is multiplied: its blocks are repeated, with the same requests (as links), until it holds
the number of requests that is asked for. Then `bench report` and `bench.load` are timed, each in a
process of its own; the most memory is the resident set that the kernel saw.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.records.run import RunRecord, SlotRecord
from bench.results import store
from bench.scenario.plan import Slot

SIZES = (1_000_000, 3_000_000, 10_000_000)
LOAD = "import sys, bench; bench.load(sys.argv[1]).record"


def main() -> None:
    """Print a row a size."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("run", type=Path, help="the folder of a complete run")
    arguments.add_argument("--requests", type=int, nargs="+", default=SIZES, help="sizes, one row each")
    arguments.add_argument(
        "--keep", type=Path, help="a folder for the multiplied runs, instead of a passing one"
    )
    given = arguments.parse_args()
    print(f"{'requests':>11} {'slots':>6} {'load, s':>8} {'report, s':>10} {'most MB':>8} {'page, MB':>9}")
    for wanted in given.requests:
        with tempfile.TemporaryDirectory(prefix="bench-report-scale-") as passing:
            folder = (given.keep or Path(passing)) / str(wanted)
            record = multiply(given.run, folder, wanted)
            requests = sum(slot.requests for slot in record.slots)
            load_s, _ = _run(["-c", LOAD, str(folder)])
            page = folder / "report.html"
            report_s, most_kb = _run(
                ["-m", "bench", "report", str(folder), "--format", "html", "--output", str(page)]
            )
            print(
                f"{requests:>11,} {len(record.slots):>6,} {load_s:>8.2f} {report_s:>10.1f}"
                f" {most_kb / 1024:>8,.0f} {page.stat().st_size / 1e6:>9.2f}"
            )


def multiply(source: Path, target: Path, wanted: int) -> RunRecord:
    """Write into `target` a run of `wanted` requests or some more: the blocks of `source`, repeated."""
    record = store.read_run(source)
    of_source = sum(slot.requests for slot in record.slots)
    if not of_source:
        sys.exit(f"{source} has no requests to multiply")
    blocks = max(slot.block for slot in record.planned) + 1
    slots: list[SlotRecord] = []
    requests = 0
    target.mkdir(parents=True)
    for slot, original in _repeat(record, blocks):
        # Whole blocks alone: a comparison needs all arms of one.
        if requests >= wanted and slot.block != slots[-1].slot.block:
            break
        slots.append(original.model_copy(update={"slot": slot}))
        requests += original.requests
        _link(source / original.slot.directory, target / slot.directory)
    longer = record.scenario.schedule.model_copy(update={"blocks": slots[-1].slot.block + 1})
    multiplied = record.model_copy(
        update={
            "scenario": record.scenario.model_copy(update={"schedule": longer}),
            "slots": tuple(slots),
            "planned": tuple(slot.slot for slot in slots),
        }
    )
    store.write_run(target, multiplied)
    return multiplied


def _repeat(record: RunRecord, blocks: int) -> Iterator[tuple[Slot, SlotRecord]]:
    """Without end: each slot of the source in its order, with its place in the multiplied run."""
    index = round_number = 0
    while True:
        for original in record.slots:
            block = original.slot.block + blocks * round_number
            yield original.slot.model_copy(update={"index": index, "block": block}), original
            index += 1
        round_number += 1


def _link(source: Path, target: Path) -> None:
    target.mkdir(parents=True)
    for file in source.glob("*.parquet"):
        (target / file.name).symlink_to(file.resolve())


def _run(arguments: list[str]) -> tuple[float, int]:
    """Seconds of a Python process, and the most kB that it held."""
    begun_s = time.monotonic()
    process = subprocess.Popen([sys.executable, *arguments])
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"failed: {' '.join(arguments)}")
    return time.monotonic() - begun_s, usage.ru_maxrss


if __name__ == "__main__":
    main()
