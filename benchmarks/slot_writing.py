"""What it costs to store a slot, the first and the last of many: `make benchmark-slots`.

A run is stored as a measurement stores it, but for the measuring: registered, then slot after slot. Of the
slots that are asked for stand the bytes that were written, and the median time of the slots around them,
most of which is the disk's `fsync`. Beside it, what a `run.json` with all slots in it would take.
"""

import argparse
import tempfile
import time
from pathlib import Path
from statistics import median

from bench.records.run import RunRecord, Status
from bench.results import files, store
from bench.scenario.plan import plan_slots

AROUND = 5
"""Slots before and after the one that is told of, for the median."""


def main() -> None:
    """Print a row for each slot that is told of."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("run", type=Path, help="the folder of a complete run: its slots are stored again")
    arguments.add_argument(
        "--slots", type=int, nargs="+", default=(10, 1_000, 10_000), help="of which to tell"
    )
    arguments.add_argument("--results", type=Path, help="a folder on the disk to measure, instead of /tmp")
    given = arguments.parse_args()
    source = store.read_run(given.run)
    with tempfile.TemporaryDirectory(prefix="bench-slot-writing-", dir=given.results) as folder:
        tell(given.run, Path(folder), source, sorted(given.slots))


def tell(place: Path, folder: Path, source: RunRecord, wanted: list[int]) -> None:
    """Store as many slots as the last of `wanted` asks for, and print."""
    record = lengthen(source, wanted[-1] + AROUND)
    begun_s = time.monotonic()
    store.write_run(folder, record)
    registered = (folder / files.RUN_FILE).stat().st_size
    print(f"run.json, registered with {len(record.planned):,} slots: {registered:,} bytes, written once")
    print(f"{'slot':>7} {'bytes':>8} {'median ms':>10} {'in run.json before':>19}")
    sizes, seconds, whole = list[int](), list[float](), registered
    for number, slot in enumerate(record.planned, 1):
        original = source.slots[slot.index % len(source.slots)]
        stored = original.model_copy(update={"slot": slot, "sealed": {}})
        before, begun = written(), time.perf_counter()
        store.write_slot(folder, stored, source.surroundings.get(stored.surroundings, {}))
        seconds.append(time.perf_counter() - begun)
        sizes.append(written() - before)
        whole += len(stored.model_dump_json(indent=1))
        if number - AROUND in wanted:
            around = slice(-2 * AROUND - 1, None)
            print(
                f"{number - AROUND:>7,} {sizes[-AROUND - 1]:>8,}"
                f" {median(seconds[around]) * 1e3:>10.2f} {whole:>19,}"
            )
    found = store.read_run(folder)
    assert len(found.slots) == len(record.planned)
    print(f"{len(found.slots):,} slots of {place} stored and read in {time.monotonic() - begun_s:.0f} s")


def lengthen(source: RunRecord, slots: int) -> RunRecord:
    """The run as it is registered, with a plan of so many slots or a few more."""
    a_block = len(source.planned) // source.scenario.schedule.blocks
    schedule = source.scenario.schedule.model_copy(update={"blocks": slots // a_block + 1, "sessions": 1})
    scenario = source.scenario.model_copy(update={"schedule": schedule})
    changes = {"scenario": scenario, "planned": plan_slots(scenario, source.seed), "status": Status.RUNNING}
    return source.model_copy(update={**changes, "slots": (), "surroundings": {}, "finished_at": None})


def written() -> int:
    """Bytes that this process has written so far, to anything (proc_pid_io(5))."""
    counted = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(counted["wchar"])


if __name__ == "__main__":
    main()
