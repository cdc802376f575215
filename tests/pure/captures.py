"""Stored runs with capture slots whose hops are known."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from bench.records.run import CaptureRecord, SlotRecord, TapRecord
from bench.results import columns
from bench.results.run import Run
from bench.scenario.conditions import conditions
from bench.scenario.load import Load
from bench.scenario.model import Arm
from bench.scenario.modes.catalogue import MODES
from bench.scenario.modes.footprint import Counter
from bench.scenario.modes.model import Mode
from bench.scenario.plan import Slot, plan_slots
from bench.scenario.scenario import Scenario
from bench.wire.hops import list_hops

from .conftest import make_gate, make_records, make_run, make_scenario, make_slot_record, noise, store_whole

MODES_MEASURED = (
    Mode.HOST,
    Mode.NATIVE,
    Mode.MACVLAN,
    Mode.WIRED,
    Mode.BRIDGE_ROUTED,
    Mode.BRIDGE,
    Mode.USER_BRIDGE,
    Mode.PROXY,
)
ARMS = tuple(Arm(name=str(mode), mode=mode) for mode in MODES_MEASURED)
TAPPED = {"lab.taps": (False, True)}
OPEN = Load(model="open", rate_rps=500, arrivals="uniform", connections=4)

CLIENT_US = 7.0
"""What a request spends before the first tap and after the last."""
LINK_US, SERVER_US, REST_US = 1.5, 25.0, 0.0
TAP_US = 0.5
"""What each tap costs. The hops of slots with taps have it in them; slots without taps are shorter by it."""
Took = Callable[[Slot, str], float]
"""us of a hop, by its name, in a slot."""


def taps_of(mode: Mode) -> tuple[str, ...]:
    """The taps on a mode's path, in the order in which requests pass them."""
    about = MODES[mode]
    if about.in_host_network:
        return "client", "uplink"
    places = {"bridge": Counter.BRIDGE, "veth": Counter.VETH}
    return "client", "uplink", *(tap for tap, moved in places.items() if moved in about.path), "container"


def usual_us(slot: Slot, hop: str) -> float:
    """A hop as machines have it, the same in every slot of its arm."""
    network = MODES[Mode(slot.arm)]
    copied, translated = Counter.OPENED in network.path, Counter.DNAT in network.path
    return {
        "request: client to uplink": LINK_US,
        "request: uplink to bridge": 16.0 if copied else 1.6 if translated else 1.1,
        "request: uplink to veth": 1.0,
        "request: uplink to container": 0.3,
        "request: bridge to veth": 0.6,
        "request: veth to container": 0.7,
        "server": SERVER_US,
        "response: container to veth": 0.75,
        "response: veth to bridge": 0.65,
        "response: bridge to uplink": 14.0 if copied else 1.4 if translated else 1.0,
        "response: veth to uplink": 0.9,
        "response: container to uplink": 0.25,
        "response: uplink to client": 2.0,
        "response: rest": REST_US,
    }[hop]


def make_tapped(*, blocks: int = 4, arms: tuple[Arm, ...] = ARMS, **changes: Any) -> Scenario:
    """An open loop with and without taps."""
    fields: dict[str, Any] = {"arms": arms, "factors": TAPPED, "load": OPEN}
    return make_scenario(blocks=blocks, slots_per_arm=2, **(fields | changes))


def wire_us(slot: Slot, took: Took) -> float:
    return sum(took(slot, hop.name) for hop in list_hops(taps_of(Mode(slot.arm))))


def store_captures(
    folder: Path,
    scenario: Scenario,
    took: Took = usual_us,
    *,
    requests: int = 60,
    spread: float = 0.0,
    invalid: Callable[[Slot], bool] = lambda _: False,
    taps: Mapping[str, Any] | None = None,
    **changes: Any,
) -> Run:
    """A run whose capture slots have hops of exactly what `took` says, or `spread` about it."""
    found = conditions(scenario)
    slots = []
    for slot in plan_slots(scenario, seed=1):
        if slot.arm in changes.get("unavailable", {}):
            continue
        wire = wire_us(slot, took)
        if not found[slot.condition].lab.taps:
            p50_us = (wire + CLIENT_US - TAP_US * len(taps_of(Mode(slot.arm)))) * noise(slot, 0.002)
            slots.append(make_slot_record(slot, p50_us, window_end_ns=2_000_000 * requests))
            _write_requests(folder, slot, np.full(requests, round(p50_us * 1e3)))
            continue
        slots.append(_record(slot, wire + CLIENT_US, requests, invalid(slot), taps or {}))
        _write(folder, slot, took, requests, spread)
    record = make_run(scenario, **({"slots": tuple(slots), "warnings": ()} | changes))
    store_whole(folder, record)
    return Run(folder)


def _record(slot: Slot, p50_us: float, requests: int, failed: bool, changes: Mapping[str, Any]) -> SlotRecord:
    names = taps_of(Mode(slot.arm))
    hosts = {"client": "client", "container": "container"}
    links = {"bridge": "docker0", "veth": "veth1a2b"}
    taps = []
    for place, name in enumerate(names):
        seen: dict[str, Any] = {
            "received": 4 * requests,
            "dropped": 0,
            "counts": {"packets": 4 * requests, "connections": 2, "resets": 0, "retransmitted": 0},
            "handshakes_us": (30.0 - place, 34.0 - place),
        } | dict(changes)
        taps.append(
            TapRecord(name=name, host=hosts.get(name, "docker1"), link=links.get(name, "eth0"), **seen)
        )
    return make_slot_record(
        slot,
        p50_us * noise(slot, 0.002),
        window_end_ns=2_000_000 * requests,
        gates=(make_gate(), make_gate(passed=not failed, name="capture: matched")),
        capture=CaptureRecord(taps=tuple(taps), expected=requests, matched=requests),
    )


def _write(folder: Path, slot: Slot, took: Took, requests: int, spread: float) -> None:
    """The slot's hops and requests; ids run by the intended time, the requests are stored by their end."""
    names = taps_of(Mode(slot.arm))
    dice = np.random.default_rng([slot.index])
    start_ns = 1_700_000_000_000_000_000
    columns = {f"{names[0]}_request_ns": start_ns + np.arange(requests) * 2_000_000}
    for hop in list_hops(names):
        us = took(slot, hop.name) * np.exp(spread * dice.standard_normal(requests))
        if hop.name != "response: rest":
            columns[hop.later] = columns[hop.earlier] + np.round(us * 1e3).astype(np.int64)
            continue
        for tap in names:
            columns[f"{tap}_last_ns"] = columns[f"{tap}_first_ns"] + np.round(us * 1e3).astype(np.int64)
    order = ["request_ns", "first_ns", "last_ns"]
    frame = pd.DataFrame({f"{tap}_{column}": columns[f"{tap}_{column}"] for tap in names for column in order})
    frame.insert(0, "id", np.arange(requests))
    target = folder / slot.directory
    target.mkdir(parents=True, exist_ok=True)
    # One request is missing, as in real captures, so that an id is no row number.
    frame.drop(index=1).to_parquet(target / "hops.parquet")
    client_ns = np.round(CLIENT_US * 1e3 * np.exp(spread * dice.standard_normal(requests))).astype(np.int64)
    wire_ns = columns[f"{names[0]}_last_ns"] - columns[f"{names[0]}_request_ns"]
    _write_requests(folder, slot, wire_ns + client_ns)


def _write_requests(folder: Path, slot: Slot, service_ns: np.ndarray) -> None:
    """In the order of a file of the load generator's: here the last to begin ends first."""
    rows = [
        {
            "intended_ns": 1_000 + 2_000_000 * number,
            "sent_ns": 1_500 + 2_000_000 * number,
            "done_ns": 1_500 + 2_000_000 * number + int(took),
        }
        for number, took in enumerate(service_ns)
    ]
    columns.write_requests(folder, slot.directory, make_records(rows[::-1]))
