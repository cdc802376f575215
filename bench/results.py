"""A stored run as pandas sees it: the one way in which reports, figures and notebooks read runs."""

from collections.abc import Sequence
from dataclasses import asdict, fields
from functools import cached_property
from pathlib import Path

import pandas as pd
from pydantic import BaseModel

from bench.core.change import Change
from bench.core.comparison import Comparison
from bench.core.findings import WalkthroughRecord
from bench.core.modes import Vantage
from bench.core.records import RunRecord, SlotRecord
from bench.core.regions import Cell, Part, map_regions
from bench.core.sameness import Difference, find_differences
from bench.core.scenario import Condition, conditions
from bench.core.verdict import Verdict, judge
from bench.edges import store

INTERVALS = ("ci95", "ci90", "difference_ci95", "bootstrap_ci95")


class Run:
    """A run's folder. Cheap to open: a slot's requests are read when they are asked for."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.record: RunRecord = store.read_run(path)

    @cached_property
    def slots(self) -> pd.DataFrame:
        """One row a measured slot, every metric; the same columns as slots.csv."""
        return pd.DataFrame([store.slot_row(slot) for slot in self.record.slots])

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
            (*record.warnings, *self._unexplained_differences()),
            record.unavailable,
            record.unavailable_conditions,
            record.unavailable_under,
        )

    @cached_property
    def differences(self) -> pd.DataFrame:
        """What arms found around them otherwise than the baseline did, under the same condition.

        Columns: `condition`, `arm`, `fact`, `baseline_value`, `value`, `reason` (None: unexplained).
        """
        record, scenario = self.record, self.record.scenario
        found = {
            (slot.slot.condition, slot.slot.arm, slot.surroundings)
            for slot in record.slots
            if slot.surroundings
        }
        baselines = {
            condition: record.surroundings[digest]
            for condition, arm, digest in sorted(found)
            if arm == scenario.baseline
        }
        base = scenario.network(scenario.arm(scenario.baseline))
        rows = [
            {"condition": condition, "arm": arm, **asdict(difference)}
            for condition, arm, digest in sorted(found)
            if condition in baselines
            for difference in find_differences(
                baselines[condition],
                record.surroundings[digest],
                (base, scenario.network(scenario.arm(arm))),
            )
        ]
        columns = ["condition", "arm", *(field.name for field in fields(Difference))]
        return pd.DataFrame(rows, columns=columns).drop_duplicates(ignore_index=True)

    def _unexplained_differences(self) -> list[str]:
        """A sentence for each fact that no mode explains, and that may be why arms differ."""
        unexplained = self.differences[self.differences["reason"].isna()]
        baseline = self.record.scenario.baseline
        return [
            f"{fact} is not the same around every Apache ({', '.join(sorted(set(rows['arm'])))}:"
            f" {', '.join(map(str, dict.fromkeys(rows['value'])))}; {baseline}:"
            f" {', '.join(map(str, dict.fromkeys(rows['baseline_value'])))}),"
            " and nothing in the modes explains it."
            for fact, rows in unexplained.groupby("fact")
        ]

    @cached_property
    def vantages(self) -> tuple[Vantage, ...]:
        """Where the load of its slots comes from, in the order of the conditions."""
        return tuple(dict.fromkeys(condition.load.vantage for condition in self.conditions))

    @property
    def scope(self) -> dict[str, str]:
        """In what circumstances the verdict holds."""
        record, load = self.record, self.record.scenario.load
        factors = record.scenario.factors
        return {
            "machine": f"{record.machine.get('cpu')}, cores {record.machine.get('usable_cores')}",
            "kernel": record.machine.get("kernel", "unknown"),
            "engine": _describe_engines(record),
            "workload": f"GET of {load.page_bytes:,} bytes, {load.describe_connections()}",
            "rate": f"{load.describe_loop(factors)}, engine {load.engine}"
            + ("; throughput is the rate that was given, and is not compared" if load.is_open else ""),
            "factors": "; ".join(f"{key}: {', '.join(map(str, levels))}" for key, levels in factors.items()),
            "vantage": _describe_vantages(record.lab.get("vantage", "unknown"), self.vantages),
        }

    @cached_property
    def comparisons(self) -> pd.DataFrame:
        """One row a comparison, A/A pairs included; intervals as `_low` and `_high` columns."""
        return _table(Comparison, self.verdict.comparisons)

    @cached_property
    def steps(self) -> pd.DataFrame:
        """One row a step of the ladder and metric, by the columns of `comparisons`."""
        return _table(Comparison, self.verdict.steps)

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        """The region map: every comparison of arms, with the word that holds for all of them together."""
        return tuple(map_regions([self._part()]))

    @cached_property
    def regions(self) -> pd.DataFrame:
        """One row a cell of the region map; intervals as `_low` and `_high` columns."""
        return _table(Cell, self.cells)

    def _part(self) -> Part:
        sessions = {slot.block: slot.session for slot in self.record.planned}
        name = f"{self.record.scenario.name} {self.record.id}"
        return Part(name, self.verdict.comparisons, sessions)

    @cached_property
    def changes(self) -> pd.DataFrame:
        """One row a change between two conditions; intervals as `_low` and `_high` columns."""
        return _table(Change, self.verdict.changes)

    def requests(self, slot: int, *, warm_up: bool = False) -> pd.DataFrame:
        """Requests of slot number `slot`: those of the window (closed loop: sent inside it; open
        loop: intended inside it), or with `warm_up` all.

        Columns: `intended_ns`, `sent_ns`, `first_byte_ns`, `done_ns` (int64, CLOCK_MONOTONIC; 0
        where the moment never came), `bytes`, `connection`, `status`, `outcome`; `response_us` (done
        minus intended), `service_us` (done minus sent) and `latency_us`, which is the one that the
        metrics are of: response in an open loop, service in a closed one.
        """
        record = self._slot(slot)
        frame = pd.read_parquet(self.path / record.slot.directory / "requests.parquet")
        load = self.conditions[record.slot.condition].load
        for name, begun in (("response_us", "intended_ns"), ("service_us", "sent_ns")):
            frame[name] = ((frame["done_ns"] - frame[begun]) / 1e3).where(frame["done_ns"] > 0)
        frame["latency_us"] = frame["response_us" if load.is_open else "service_us"]
        if warm_up:
            return frame
        inside = frame[load.begin_column].between(
            record.window_start_ns, record.window_end_ns, inclusive="left"
        )
        return frame[inside].reset_index(drop=True)

    def _slot(self, index: int) -> SlotRecord:
        for record in self.record.slots:
            if record.slot.index == index:
                return record
        raise KeyError(f"slot {index} is not measured in {self.path}")


def map_runs(runs: Sequence[Run]) -> pd.DataFrame:
    """One region map of several runs, by the columns of `Run.regions`: its words hold for all of it."""
    return _table(Cell, map_regions([run._part() for run in runs]))


def _table(kind: type[BaseModel], found: Sequence[BaseModel]) -> pd.DataFrame:
    """A row a model, with all of the columns of its kind even where there is no row."""
    columns = [name for name in kind.model_fields if name not in INTERVALS]
    intervals = [name for name in INTERVALS if name in kind.model_fields]
    rows = []
    for model in found:
        row = model.model_dump(mode="json")
        for name in intervals:
            row[f"{name}_low"], row[f"{name}_high"] = row.pop(name) or (None, None)
        rows.append(row)
    return pd.DataFrame(
        rows, columns=columns + [f"{name}_{end}" for name in intervals for end in ("low", "high")]
    )


def _describe_vantages(lab: str, vantages: Sequence[Vantage]) -> str:
    if vantages == (Vantage.CLIENT,):
        return lab
    return (
        f"{lab}; load from {', from '.join(vantage.label for vantage in vantages)} (there client and server"
        " share one network stack: no wire, no receive steering; the load keeps the client host's cores)"
    )


def _describe_engines(record: RunRecord) -> str:
    """Docker's versions, and which hosts ran them where there are several."""
    hosts: dict[str, list[str]] = {}
    for name, facts in record.engines.items():
        hosts.setdefault(f"Docker {facts['version']}", []).append(name)
    if len(hosts) < 2:
        return next(iter(hosts), "Docker, version unknown")
    return "; ".join(f"{version} on {', '.join(names)}" for version, names in hosts.items())


def load(path: str | Path) -> Run:
    """Open the run in the folder `path`. Raises InputError where there is none."""
    return Run(Path(path))
