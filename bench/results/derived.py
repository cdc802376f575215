"""What follows from a stored run: verdict, table, report, and their sums. Written again freely."""

from collections.abc import Callable

from bench.results import slot_table, store, sums
from bench.results.run import Run
from bench.results.verification import attest


def write_results(run: Run, publish: Callable[[Run], None]) -> None:
    """Write verdict.json and slots.csv of `run`, what `publish` writes for people, and the sums of these."""
    slot_table.write_slots_csv(run.path, run.record.slots)
    store.write_verdict(run.path, attest(run))
    publish(run)
    sums.write_sums(run.path)
