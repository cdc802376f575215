"""A stored run as pandas sees it: the one way in which reports, figures and notebooks read runs."""

import warnings
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from bench.errors import InputError
from bench.judgement.across_runs.locustfiles import require_mappable
from bench.judgement.across_runs.services import require_same_service
from bench.judgement.change import Change
from bench.judgement.comparison import Comparison
from bench.judgement.ladder import list_steps
from bench.judgement.regions import Cell, Part, map_regions
from bench.judgement.splits import Split
from bench.judgement.verdict import Unavailable, Verdict, judge
from bench.records.findings import WalkthroughRecord
from bench.records.run import RunRecord, SlotRecord, Status
from bench.results import sameness, slot_table, store, tapped, window_requests
from bench.results.distributions import Distributions, find_shift, read_distributions
from bench.results.files import RUN_FILE
from bench.results.model_rows import tabulate
from bench.results.scope import describe_scope
from bench.results.spreads import find_run_components, tabulate_components
from bench.results.sums import NotAsWritten, digest_file, read_sums
from bench.results.verification import find_faults
from bench.scenario.conditions import Condition, conditions
from bench.scenario.modes.model import Vantage
from bench.statistics.components import Components
from bench.wire.anatomy.model import Anatomy

SHIFTED = ("latency_us", "service_us")


class Run:
    """A run's folder. Cheap to open, whatever its size: run.json is read, and no request.

    A slot's requests are read when they are asked for, and not kept; so a run of any size is gone
    through with one slot in memory:

        p99 = {slot: run.requests(slot)["latency_us"].quantile(0.99) for slot in run.slots["slot"]}
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        """The run's folder."""
        self.record: RunRecord = store.read_run(path)
        """The whole of run.json, as typed models."""
        self._distributions: dict[str, Distributions] = {}

    @cached_property
    def slots(self) -> pd.DataFrame:
        """One row a measured slot, every metric; the same columns as slots.csv."""
        return pd.DataFrame([slot_table.slot_row(slot) for slot in self.record.slots])

    @cached_property
    def walkthrough(self) -> WalkthroughRecord | None:
        """The article's statements as they were tried beside this run; None where they were not."""
        return store.read_walkthrough(self.path)

    @cached_property
    def conditions(self) -> tuple[Condition, ...]:
        """The combinations of factor levels that the column `condition` of `slots` counts."""
        return conditions(self.record.scenario)

    @cached_property
    def verdict(self) -> Verdict:
        """Comparisons and claims, judged anew from the stored slots: the same as verdict.json."""
        record = self.record
        return judge(
            record.scenario,
            [slot.metrics() for slot in record.slots],
            self.scope,
            record.seed,
            (*record.warnings, *sameness.list_warnings(record, self.differences)),
            Unavailable(record.unavailable, record.unavailable_conditions, record.unavailable_under),
            anytime=record.decide,
        )

    @cached_property
    def faults(self) -> tuple[str, ...]:
        """What of it is not as it was written, a clause a file; all that was measured is read for this."""
        return tuple(find_faults(self.path, self.record))

    @cached_property
    def differences(self) -> pd.DataFrame:
        """What arms found around them otherwise than the baseline did, under the same condition.

        Columns: `condition`, `arm`, `fact`, `baseline_value`, `value`, `reason` (None: unexplained).
        """
        return sameness.tabulate_differences(self.record)

    @cached_property
    def vantages(self) -> tuple[Vantage, ...]:
        """Where the load of its slots comes from, in the order of the conditions."""
        return tuple(dict.fromkeys(condition.load.vantage for condition in self.conditions))

    @property
    def scope(self) -> dict[str, str]:
        """In what circumstances the verdict holds."""
        return describe_scope(self.record, self.vantages)

    @cached_property
    def comparisons(self) -> pd.DataFrame:
        """One row a comparison, A/A pairs included; intervals as `_low` and `_high` columns."""
        return tabulate(Comparison, self.verdict.comparisons)

    @cached_property
    def steps(self) -> pd.DataFrame:
        """One row a step of the ladder and metric, by the columns of `comparisons`."""
        return tabulate(Comparison, self.verdict.steps)

    @cached_property
    def splits(self) -> pd.DataFrame:
        """How an arm differs from itself along what was not shuffled: what was before, place, half, session.

        Columns: `kind`, `condition`, `arm`, `after` (of kind `predecessor`: the arm before), `ratio` of p50s
        with its interval, `p_value`, `p_holm` (over all of the kind), `blocks`.
        """
        return tabulate(Split, self.verdict.splits)

    @cached_property
    def variance(self) -> dict[tuple[int, str], Components]:
        """(condition, candidate) -> where the width of its interval comes from, at the p50.

        Reads all requests of a run whose arms took turns.
        """
        return find_run_components(self)

    @cached_property
    def components(self) -> pd.DataFrame:
        """The same as a table, a row a condition and candidate: variances of one block's log-contrast.

        Columns: `session` (absent of a single one), `block`, `container`, `wander` (absent without turns),
        `blocks`, `blocks_of_session`.
        """
        return tabulate_components(self)

    @property
    def label(self) -> str:
        """Scenario and id: the run's name beside others'."""
        return f"{self.record.scenario.name} {self.record.id}"

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        """The region map: every comparison of arms, with the word that holds for all of them together."""
        return tuple(map_regions([self._part()]))

    @cached_property
    def regions(self) -> pd.DataFrame:
        """One row a cell of the region map; intervals as `_low` and `_high` columns."""
        return tabulate(Cell, self.cells)

    def _part(self) -> Part:
        sessions = {slot.block: slot.session for slot in self.record.planned}
        return Part(self.label, self.verdict.comparisons, sessions)

    @cached_property
    def changes(self) -> pd.DataFrame:
        """One row a change between two conditions; intervals as `_low` and `_high` columns."""
        return tabulate(Change, self.verdict.changes)

    def requests(self, slot: int, *, warm_up: bool = False) -> pd.DataFrame:
        """Requests of slot number `slot`: those of the window (closed loop: sent inside it; open
        loop: intended inside it; of a slot that took turns: in their settled parts), or with `warm_up` all.

        Columns: `intended_ns`, `sent_ns`, `first_byte_ns`, `done_ns` (int64, CLOCK_MONOTONIC; 0
        where the moment never came), `bytes`, `connection`, `status`, `outcome`; `response_us` (done
        minus intended), `service_us` (done minus sent) and `latency_us`, which is the one that the
        metrics are of: response in an open loop, service in a closed one. Of a load of several requests
        also `request`, which of them it was, from 0. Of a slot that took turns also `cell`, the number of
        the cell among all of its set; -1 where it counts in none.

        Warns `NotAsWritten` where its file was changed since. Raises KeyError where the slot was not
        measured, InputError where its file cannot be read.
        """
        return window_requests.read_requests(self, slot, warm_up=warm_up)

    def latencies_us(self, slot: int, *, service: bool = False) -> np.ndarray:
        """Latencies of slot number `slot`, of the window's requests that were answered with 200.

        The column `latency_us` of `requests` (`service`: `service_us`), several times faster: for those who
        read all slots.
        """
        return window_requests.read_latencies_us(self, slot, service=service)

    def distributions(self, column: str = "latency_us") -> Distributions:
        """Valid slots' latencies as quantiles and counts; their requests are read once, a slot at a time."""
        if column not in self._distributions:
            self._distributions[column] = read_distributions(self, column)
        return self._distributions[column]

    def shift(self, metric: str = "latency_us", baseline: str | None = None) -> pd.DataFrame:
        """The quantile curve of the effect: how far each candidate lies above the baseline, level by level.

        `metric`: a column of `requests`, `latency_us` or `service_us`; `baseline`: an arm, by default the
        scenario's. One row a condition, candidate and `level` (0.01 to 0.99, 0.995, 0.999, as far as ten
        requests of a typical block lie beyond it), with `ratio` and `difference_us` (candidate against
        baseline) and their ends, `_low` and `_high`. The ends are a band: with 95 % the true curve lies
        inside it at all levels together. At 0.1, 0.5 and 0.99 the ratio is that of `comparisons`.
        Raises InputError for another metric, for no arm of the run, and where requests cannot be read.
        """
        doing, arms = "Finding the quantile curve", [arm.name for arm in self.record.scenario.compared]
        if metric not in SHIFTED:
            raise InputError(doing, f"{metric} is no latency", f"Give {' or '.join(SHIFTED)}.")
        base = baseline or self.record.scenario.baseline
        if base not in arms:
            raise InputError(doing, f"{base} is no arm that is compared", f"Give one of {', '.join(arms)}.")
        return find_shift(self, metric, [(base, arm) for arm in arms if arm != base])

    @cached_property
    def step_shifts(self) -> pd.DataFrame:
        """The same of each step of the ladder: the heavier rung against the lighter one."""
        record = self.record
        steps = list_steps(record.scenario.ladder, record.unavailable)
        return find_shift(self, "latency_us", [(lighter, heavier) for lighter, heavier, _ in steps])

    def hops(self, slot: int) -> pd.DataFrame:
        """Times of capture slot number `slot` at its taps, a row a request that was found at all of them.

        Columns, int64: `id` (the place of the request among all of the slot's by `intended_ns`), then
        `<tap>_request_ns`, `<tap>_first_ns`, `<tap>_last_ns` (the response's first and last packet) for
        each tap, in the order in which requests pass them; in the clock of the captures, CLOCK_REALTIME.
        Raises KeyError where the slot was not measured, InputError where it was measured without taps or
        its file cannot be read.
        """
        return tapped.read_hops(self, slot)

    @cached_property
    def anatomy(self) -> Anatomy:
        """Where the microseconds went in the valid capture slots; nothing in a run without any.

        Reads the hops and requests of every such slot, one after another.
        """
        return tapped.find_anatomy(self)

    @property
    def tapped(self) -> list[SlotRecord]:
        """The measured slots with taps, INVALID ones included."""
        return [record for record in self.record.slots if self.conditions[record.slot.condition].lab.taps]

    def trace(self, slot: int) -> pd.DataFrame:
        """One request of capture slot number `slot` followed through its taps, there and back.

        One row a tap and `direction` (`request`, `response`); `rewritten` names what is not as it was at
        the tap before. Empty where the samples `<tap>.pcap` are not there or hold no request in common;
        a tap without a sample is left out. Raises as `hops` does, and InputError for what is no pcap file.
        """
        return tapped.trace(self, slot)

    def sum_of(self, record: SlotRecord, name: str) -> str | None:
        """The sum that a file of the slot was written with: by the slot, or in earlier schemas by the run."""
        return record.sealed.get(name) or self._sums.get(f"{record.slot.directory}/{name}")

    @cached_property
    def _sums(self) -> dict[str, str]:
        return read_sums(self.path) if self.record.status is not Status.RUNNING else {}

    @cached_property
    def _by_index(self) -> dict[int, SlotRecord]:
        return {record.slot.index: record for record in self.record.slots}

    def slot_record(self, index: int) -> SlotRecord:
        """The record of slot number `index`. Raises KeyError where it was not measured."""
        if index not in self._by_index:
            raise KeyError(f"slot {index} is not measured in {self.path}")
        return self._by_index[index]


def map_runs(runs: Sequence[Run]) -> pd.DataFrame:
    """One region map of several runs, by the columns of `Run.regions`: its words hold for all of it."""
    return tabulate(Cell, find_cells(runs))


def find_cells(runs: Sequence[Run]) -> list[Cell]:
    """Cells of the region map of several runs, corrected for all of them together.

    Raises InputError where they measured other services, or by other requests, or only some had the load of a
    locustfile.
    """
    require_same_service([run.record for run in runs])
    require_mappable([run.record for run in runs])
    return map_regions([run._part() for run in runs])


def load(path: str | Path) -> Run:
    """Open the run in the folder `path`: `results/<scenario>/<time>-<id>`.

    Warns `NotAsWritten` where its record was changed since. Raises InputError where there is none, or one
    whose schema version this bench cannot read.
    """
    run = Run(Path(path))
    if run._sums.get(RUN_FILE, digest_file(run.path / RUN_FILE)) != digest_file(run.path / RUN_FILE):
        warnings.warn(NotAsWritten(f"{run.path / RUN_FILE} is not as it was written."), stacklevel=2)
    return run
