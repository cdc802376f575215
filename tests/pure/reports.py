"""What the tests of the report share: stored runs with everything in them that a report must cope with."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from bench.records.run import SlotRecord
from bench.report.run import page
from bench.report.table import Table
from bench.results import columns
from bench.results.run import Run
from bench.scenario.conditions import conditions
from bench.scenario.model import Arm, Claim
from bench.scenario.modes.footprint import UNITS, Counter, Expected
from bench.scenario.plan import Slot, plan_slots
from bench.scenario.scenario import Scenario
from bench.slots.gates.identity import check_control
from bench.slots.gates.path import check_path
from bench.slots.rules import RulesMet
from bench.statistics import estimate

from .conftest import make_gate, make_records, make_run, make_scenario, make_slot_record, noise, store_whole

ARMS = tuple(
    Arm(name=name, mode=mode)
    for name, mode in {
        "native": "native",
        "host": "host",
        "host-mapped": "container:host",
        "macvlan": "macvlan",
        "wired": "wired",
        "bridge-routed": "bridge-routed",
        "bridge": "bridge",
        "bridge-mapped": "container:bridge",
        "user-bridge": "user-bridge",
        "proxy": "proxy",
        "ipvlan": "ipvlan",
        "none": "none",
    }.items()
)
LADDER = ("native", "host", "wired", "bridge-routed", "bridge", "user-bridge", "proxy")
ADDED_US = {
    "wired": 0.9,
    "bridge-routed": 2.0,
    "bridge": 2.3,
    "bridge-mapped": 2.3,
    "user-bridge": 3.4,
    "proxy": 28,
}
NO_IPVLAN = {"ipvlan": "failed to create the ipvlan port: operation not supported"}
CLAIM = Claim(id="article", text="Host is faster.", better="host", than="bridge")
REQUESTS, CONNECTIONS = 1_000, 4
RULES = RulesMet(
    connection={"nat DOCKER": 9, "filter FORWARD": 2},
    request={"filter FORWARD": 2},
    response={},
    unknown=("-m x -j DROP",),
)


def make_ladder(*, blocks: int = 4, **changes: Any) -> Scenario:
    """All modes but those of IPv6, as scenarios/ladder.toml has them, and a control."""
    return make_scenario(blocks=blocks, **({"arms": ARMS, "ladder": LADDER, "claims": (CLAIM,)} | changes))


def measure(scenario: Scenario, slot: Slot, latency_us: float | None = None) -> SlotRecord:
    """A slot whose counters are as its mode demands; a control has gates of its own and no load."""
    network = scenario.network(scenario.arm(slot.arm))
    if not network.reachable:
        return SlotRecord(slot=slot, gates=tuple(check_control(["lo"], "200", False)))
    path = network.path_from(conditions(scenario)[slot.condition].load.vantage)
    expected = dict(path)
    if Counter.FORWARDED in expected:
        expected[Counter.FILTER] = Expected.EACH_REQUEST
    moved = {
        Expected.EACH_REQUEST: 2 * REQUESTS,
        Expected.EACH_CONNECTION: CONNECTIONS,
        Expected.TWICE_A_CONNECTION: 2 * CONNECTIONS,
        Expected.SOME: 5_000_000,
        Expected.ANY: 7,
    }
    counters = {counter: moved[expected[counter]] if counter in expected else 0 for counter in UNITS}
    gates = check_path(path, counters, CONNECTIONS, REQUESTS // 2, forwarding_rules=True)
    return make_slot_record(
        slot,
        latency_us or (20 + ADDED_US.get(slot.arm, 0)) * noise(slot, 0.002),
        counters=counters,
        requests_recorded=REQUESTS,
        connections_opened=CONNECTIONS,
        rules=RULES if Counter.FORWARDED in path else None,
        gates=(make_gate(), *gates),
    )


def store_run(folder: Path, scenario: Scenario, *, requests: bool = False, **changes: Any) -> Run:
    """A stored run of `scenario`, without the slots of what is unavailable, opened."""
    planned = plan_slots(scenario, seed=1)
    gaps = changes.get("unavailable", {}), changes.get("unavailable_conditions", {})
    cells = changes.get("unavailable_under", {})
    slots = tuple(
        measure(scenario, slot)
        for slot in planned
        if slot.arm not in gaps[0]
        and slot.condition not in gaps[1]
        and slot.arm not in cells.get(slot.condition, {})
    )
    record = make_run(scenario, **({"slots": slots, "warnings": ()} | changes))
    for slot in record.slots if requests else ():
        if slot.requests:
            rows = [{"sent_ns": 1_000 + 9 * n, "done_ns": 21_000 + n**2} for n in range(60)]
            columns.write_requests(folder, slot.slot.directory, make_records(rows))
    store_whole(folder, record)
    return Run(folder)


@contextmanager
def few_resamples() -> Iterator[None]:
    """With few resamples, whose time would be most of these tests'."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(estimate, "RESAMPLES", 199)
        yield


drawn = cache(page._illustrate)


@contextmanager
def drawing_once() -> Iterator[None]:
    """With each figure of a run drawn once, on however many pages it stands: drawing is most of the work."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(page, "_illustrate", drawn)
        yield


def judged(run: Run) -> Run:
    """`run` with its verdict reached, by few resamples."""
    with few_resamples():
        assert run.verdict
    return run


def row(table: Table, name: str) -> dict[str, str]:
    """The row whose first cell begins with the line `name`, by column."""
    [found] = [cells for cells in table.rows if cells[0].split("\n")[0] == name]
    return dict(zip(table.columns, found, strict=True))
