"""Arms that take turns: the plan of sets, the order of cells, what a slot's turns show."""

from collections import Counter
from pathlib import Path as Pathname
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

import bench
from bench.errors import InputError
from bench.judgement.comparison import Compared, Word
from bench.judgement.precision import extend
from bench.judgement.verdict import judge
from bench.records.run import RunRecord
from bench.report.run.method import describe_method
from bench.results import columns, store
from bench.results.verification import compare_slot
from bench.scenario.conditions import conditions
from bench.scenario.interleaving import FIRST_PORT, keep_present, order_cells
from bench.scenario.load import Load
from bench.scenario.metric import Metric
from bench.scenario.model import Arm, Capacity, Interleave, LabSettings, Schedule
from bench.scenario.modes.catalogue import MODES
from bench.scenario.modes.footprint import Counter as Counts
from bench.scenario.modes.footprint import Expected, Path
from bench.scenario.modes.model import Mode, Vantage
from bench.scenario.parsing import parse_scenario
from bench.scenario.plan import (
    Slot,
    lives,
    loaded_seconds,
    measuring_seconds,
    plan_slots,
    slot_seconds,
    turns,
)
from bench.scenario.scenario import Scenario
from bench.slots.gates.gate import GateKind
from bench.slots.gates.load import check_proof
from bench.slots.gates.path import Part, check_path, check_shared_path
from bench.slots.metrics import find_turns, measure_requests, measure_turns
from bench.slots.requests import TURN_DTYPE, Outcome
from bench.slots.turns import list_turns, split_by_predecessor
from bench.slots.turns_record import TurnsRecord

from .conftest import BRIDGE, HOST, make_gate, make_records, make_run, make_scenario

INTERLEAVE = Interleave(cell_ms=25, settle_ms=2, life_s=0.5)
US = 1_000


def make_interleaved(*, blocks: int = 4, slots_per_arm: int = 2, **changes: Any) -> Scenario:
    schedule = Schedule(blocks=blocks, slots_per_arm=slots_per_arm, interleave=INTERLEAVE)
    return make_scenario(**({"schedule": schedule} | changes))


def list_arms(*modes: str) -> tuple[Arm, ...]:
    return (HOST, *(Arm(name=mode.replace(":", "-"), mode=mode) for mode in modes))


# The order of cells


@given(st.integers(), st.integers(0, 99), st.integers(0, 9), st.integers(1, 12), st.integers(1, 20))
def test_a_round_is_some_order_and_the_same_backwards(
    seed: int, block: int, condition: int, slots: int, rounds: int
) -> None:
    cells = order_cells(seed, block, condition, slots, rounds)

    assert len(cells) == 2 * slots * rounds
    for begin in range(0, len(cells), 2 * slots):
        there, back = cells[begin : begin + slots], cells[begin + slots : begin + 2 * slots]
        assert sorted(there) == list(range(slots))
        assert list(back) == list(reversed(there))


@given(st.integers(), st.integers(1, 12), st.integers(1, 20))
def test_a_drift_that_is_straight_within_a_round_falls_on_all_slots_alike(
    seed: int, slots: int, rounds: int
) -> None:
    cells = np.array(order_cells(seed, 0, 0, slots, rounds))
    means = [np.flatnonzero(cells == slot).mean() for slot in range(slots)]

    assert means == pytest.approx([means[0]] * slots)


def test_cells_differ_by_seed_and_block_and_condition_and_are_the_same_when_asked_again() -> None:
    given_ = [(seed, block, condition) for seed in range(3) for block in range(3) for condition in range(3)]
    orders = {order_cells(*each, slots=4, rounds=16) for each in given_}

    assert len(orders) == 27
    assert orders == {order_cells(*each, slots=4, rounds=16) for each in given_}


@given(st.integers(), st.integers(2, 8), st.data())
def test_without_an_arm_the_others_keep_their_order(seed: int, slots: int, data: st.DataObject) -> None:
    present = sorted(data.draw(st.sets(st.integers(0, slots - 1), min_size=1)))
    cells = order_cells(seed, 0, 0, slots, 3)

    kept = keep_present(cells, present)

    assert [present[number] for number in kept] == [place for place in cells if place in present]
    assert set(kept) == set(range(len(present)))


# The plan


@given(st.integers(), st.integers(2, 4), st.sampled_from([{}, {"load.connections": (1, 16, 64)}]))
def test_each_set_holds_every_arm_as_often_and_is_one_life_at_ports_of_its_own(
    seed: int, slots_per_arm: int, factors: dict[str, Any]
) -> None:
    scenario = make_interleaved(slots_per_arm=slots_per_arm, factors=factors)
    planned = plan_slots(scenario, seed)
    sets = list(lives(planned))

    assert [slot.index for slot in planned] == list(range(len(planned)))
    assert len(sets) == 4 * len(conditions(scenario))
    assert len({slots[0].life for slots in sets}) == len(sets)
    for slots in sets:
        assert len({(slot.block, slot.condition, slot.life, slot.session) for slot in slots}) == 1
        assert Counter((slot.arm, slot.repeat) for slot in slots) == Counter(
            (arm, repeat) for arm in ("host", "bridge") for repeat in range(slots_per_arm)
        )
        assert sorted(slot.port or 0 for slot in slots) == list(range(FIRST_PORT, FIRST_PORT + len(slots)))


def test_no_arm_has_a_port_or_a_place_of_its_own_over_the_sets() -> None:
    planned = plan_slots(make_interleaved(blocks=60), seed=1)
    ports = {(slot.arm, slot.port) for slot in planned}
    first = {slots[0].arm for slots in lives(planned)}

    assert len(ports) == 2 * 4
    assert first == {"host", "bridge"}


def test_without_the_table_the_plan_is_that_of_slots() -> None:
    assert all(slot.life is None and slot.port is None for slot in plan_slots(make_scenario(), 1))


def test_a_mode_of_which_one_container_can_be_alive_is_there_once_and_others_as_often_as_asked() -> None:
    arms = list_arms("bridge", "macvlan", "wired", "user-bridge", "bridge-routed", "native", "proxy")
    planned = plan_slots(make_interleaved(arms=arms, slots_per_arm=3), seed=1)
    often = Counter(slot.arm for slot in planned if slot.block == 0)

    assert often == {
        **dict.fromkeys(("host", "bridge", "native", "proxy"), 3),
        **dict.fromkeys(("macvlan", "wired", "user-bridge", "bridge-routed"), 1),
    }


def test_what_a_mode_holds_for_itself_follows_from_how_it_is_started() -> None:
    alone = {mode for mode, network in MODES.items() if network.holds}

    assert alone == {
        Mode.WIRED,
        Mode.BRIDGE_ROUTED,
        Mode.USER_BRIDGE,
        Mode.MACVLAN,
        Mode.IPVLAN,
        Mode.OVERLAY,
    }


def test_a_control_takes_no_turns() -> None:
    scenario = make_interleaved(arms=(*list_arms("bridge"), Arm(name="none", mode="none")))
    controls = [slot for slot in plan_slots(scenario, 1) if slot.arm == "none"]

    assert len(controls) == 8
    assert all(slot.life is None and slot.port is None for slot in controls)
    assert {len(slots) for slots in lives(plan_slots(scenario, 1))} == {4, 1}


def test_turns_are_recomputed_from_seed_and_plan_without_what_could_not_be_had() -> None:
    scenario = make_interleaved(arms=list_arms("bridge", "macvlan"))
    planned = plan_slots(scenario, 5)
    whole = [slot for slot in planned if slot.life == 2]
    rest = [slot for slot in whole if slot.arm != "macvlan"]

    cells = turns(scenario, 5, planned, whole)
    without = turns(scenario, 5, planned, rest)

    assert Counter(cells) == dict.fromkeys(range(5), 2 * INTERLEAVE.rounds)
    assert [rest[cell] for cell in without] == [whole[cell] for cell in cells if whole[cell].arm != "macvlan"]


def test_a_set_is_expected_to_take_its_warm_ups_its_cells_and_an_overhead_a_container() -> None:
    scenario = make_interleaved(load=Load(warm_up_s=0.06))
    [condition] = conditions(scenario)

    assert loaded_seconds(condition, INTERLEAVE) == pytest.approx(0.06 + 0.5 + 0.025)
    assert slot_seconds(condition, INTERLEAVE) > slot_seconds(condition) - 1.0 + 0.5
    planned = plan_slots(scenario, 1)
    assert measuring_seconds(scenario, planned) == pytest.approx(
        len(planned) * slot_seconds(condition, INTERLEAVE)
    )


# Faults


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"load": Load(model="open", rate_rps=1_000)}, "an open loop's requests"),
        ({"load": Load(engine="http")}, "only the raw engine"),
        ({"factors": {"load.engine": ("raw", "fasthttp")}}, "only the raw engine"),
        ({"load": Load(wrk_witness_s=1)}, "wrk takes no turns"),
        ({"factors": {"lab.taps": (False, True)}}, "captures"),
        ({"load": Load(model="open"), "capacity": Capacity()}, "a knee"),
        ({"arms": list_arms("user-bridge", "container:user-bridge")}, "cannot be alive together"),
        ({"arms": list_arms("macvlan", "ipvlan")}, "cannot be alive together"),
        ({"arms": list_arms("macvlan"), "baseline": "macvlan"}, "no A/A pair"),
        (
            {
                "schedule": Schedule(slots_per_arm=20, interleave=INTERLEAVE),
                "arms": list_arms("bridge", "proxy"),
            },
            "60",
        ),
    ],
)
def test_what_cannot_take_turns_is_refused_and_slots_are_offered(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as refused:
        make_interleaved(**changes)
    lines = [line for line in str(refused.value).splitlines() if "schedule.interleave: " in line]

    assert [line for line in lines if said in line]
    assert all("slots" in line for line in lines)


@pytest.mark.parametrize(
    "changes", [{"load": Load(keep_alive=False)}, {"lab": LabSettings(forward_rules=100)}]
)
def test_what_a_set_can_have_in_common_is_no_fault(changes: dict[str, Any]) -> None:
    make_interleaved(**changes)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (
            "{cel_ms = 25}",
            "schedule.interleave.cel_ms: is not an option here; did you mean schedule.interleave.cell_ms?",
        ),
        ("{cell_ms = 25, settle_ms = 20}", "schedule.interleave: settle_ms: give at most half"),
        ("{cell_ms = 500, life_s = 0.8}", "schedule.interleave: life_s: give two cells or more"),
        ("{cell_ms = 1}", "schedule.interleave.cell_ms"),
    ],
)
def test_a_fault_of_the_table_names_its_field(table: str, said: str) -> None:
    text = f"""
name = "turns"
question = "?"
baseline = "host"
arms = [{{name = "host", mode = "host"}}, {{name = "bridge", mode = "bridge"}}]
schedule = {{interleave = {table}}}
"""
    with pytest.raises(InputError, match=said.replace("?", r"\?")):
        parse_scenario(text, "turns.toml")


# A slot's turns


def make_turns(*rows: tuple[int, int, int, int, int]) -> np.ndarray:
    return np.array(list(rows), dtype=TURN_DTYPE)


TWO = make_turns((3, 7, 0, 100 * US, 1_000 * US), (6, 9, 5_000 * US, 5_100 * US, 6_000 * US))
"""Cell 3, after slot 7's; cell 6, after slot 9's."""


def test_a_stamp_is_of_the_cell_in_whose_settled_part_it_lies() -> None:
    stamps = np.array([99, 100, 999, 1_000, 3_000, 5_099, 5_100, 5_999, 6_000]) * US

    assert find_turns(stamps, TWO).tolist() == [-1, 3, 3, -1, -1, -1, 6, 6, -1]


def test_the_window_is_all_settled_parts_together() -> None:
    sent_us = [50, 100, 500, 980, 1_000, 5_050, 5_100, 5_990]
    rows = [{"sent_ns": at * US, "done_ns": (at + 20) * US} for at in sent_us]

    found = measure_turns(make_records(rows), TWO)

    assert found.requests == 5
    assert found.values[Metric.P50_LATENCY_US] == pytest.approx(20)
    # Done in the settled parts, of 1.8 ms: those sent at 100, 500 and 5,100 us.
    assert found.values[Metric.THROUGHPUT_RPS] == pytest.approx(3 / 1_800e-6)


@given(st.lists(st.integers(0, 7_000), min_size=1, max_size=60))
def test_a_single_turn_is_measured_as_a_window_is(sent_us: list[int]) -> None:
    records = make_records(
        {
            "sent_ns": at * US,
            "done_ns": (at + 20 + at % 7) * US,
            "outcome": int(Outcome.HTTP_ERROR) * (at % 5 == 0),
        }
        for at in sent_us
    )
    turn = make_turns((0, -1, 0, 1_000 * US, 4_000 * US))

    assert measure_turns(records, turn) == measure_requests(records, 1_000 * US, 4_000 * US)


def test_turns_know_which_slot_was_before_them() -> None:
    kinds = [("target", "<i4"), ("start_ns", "<i8"), ("settled_ns", "<i8"), ("end_ns", "<i8")]
    targets = [1, 0, 0, 1, 0]
    cells = np.array(
        [(target, 10 * at, 10 * at + 1, 10 * at + 9) for at, target in enumerate(targets)], dtype=kinds
    )
    indexes = np.array([40, 41], dtype=np.int32)

    assert list_turns(cells, 0, indexes).tolist() == [
        (1, 41, 10, 11, 19),
        (2, 40, 20, 21, 29),
        (4, 41, 40, 41, 49),
    ]
    assert list_turns(cells, 1, indexes)["after"].tolist() == [-1, 40]


def test_a_slots_p50_is_split_by_the_arm_whose_turn_was_before() -> None:
    rows = [{"sent_ns": at * US, "done_ns": (at + 20) * US} for at in (200, 300, 400)]
    rows += [{"sent_ns": at * US, "done_ns": (at + 25) * US} for at in (5_200, 5_300)]

    of_host, of_bridge = sorted(
        split_by_predecessor(make_records(rows), TWO, {7: "host", 9: "bridge"}),
        key=lambda after: after.p50_latency_us,
    )

    assert (of_host.arm, of_host.turns, of_host.requests) == ("host", 1, 3)
    assert (of_host.p50_latency_us, of_host.otherwise_p50_us) == pytest.approx((20, 25))
    assert (of_bridge.arm, of_bridge.requests) == ("bridge", 2)
    assert (of_bridge.p50_latency_us, of_bridge.otherwise_p50_us) == pytest.approx((25, 20))


def test_where_every_turn_came_after_one_arm_there_is_nothing_to_compare() -> None:
    rows = [{"sent_ns": at * US, "done_ns": (at + 20) * US} for at in (200, 5_300)]

    assert split_by_predecessor(make_records(rows), TWO, {7: "host", 9: "host"}) == ()


def test_a_stored_slot_of_a_set_is_read_again() -> None:
    slot = plan_slots(make_interleaved(), 1)[5]

    assert Slot.parse(slot.model_dump_json()) == slot
    assert make_interleaved(arms=(HOST, BRIDGE)) == Scenario.model_validate_json(
        make_interleaved().model_dump_json()
    )


# What proves the path of a set


def count_together(*shares: tuple[Path, int, int]) -> dict[Counts, int]:
    """What the counters show when each (path, connections, requests) took its path, and nothing else did."""
    shown = dict.fromkeys(Counts, 0)
    for path, connections, requests in shares:
        filtered = {Counts.FILTER: Expected.EACH_REQUEST} if Counts.FORWARDED in path else {}
        for counter, how in {**path, **filtered}.items():
            shown[counter] += {
                Expected.EACH_CONNECTION: connections,
                Expected.TWICE_A_CONNECTION: 2 * connections,
                Expected.EACH_REQUEST: 2 * requests,
                Expected.SOME: 1,
                Expected.ANY: 7,
            }[how]
    return shown


HOST_PART, BRIDGE_PART = (
    Part(MODES[mode].path_from(Vantage.CLIENT), connections, requests)
    for mode, connections, requests in ((Mode.HOST, 2, 9_000), (Mode.BRIDGE, 3, 8_000))
)


def check_set(
    own: Part, others: list[Part], counters: dict[Counts, int], *, in_host_network: bool
) -> list[str]:
    gates = check_shared_path(own, others, counters, forwarding_rules=True, in_host_network=in_host_network)
    return [gate.name for gate in gates if not gate.passed]


def test_over_a_set_the_counters_are_the_sum_of_what_its_paths_demand() -> None:
    counters = count_together(HOST_PART, HOST_PART, BRIDGE_PART, BRIDGE_PART)
    # Where each bridge's Apache lives it alone accepts; in the host's namespace all that are there do.
    served = counters | {Counts.SERVED: BRIDGE_PART.connections}

    assert check_set(HOST_PART, [HOST_PART, BRIDGE_PART, BRIDGE_PART], counters, in_host_network=True) == []
    assert check_set(BRIDGE_PART, [HOST_PART, HOST_PART, BRIDGE_PART], served, in_host_network=False) == []


@pytest.mark.parametrize(
    ("counter", "change"),
    [
        (Counts.DNAT, 1),
        (Counts.DNAT, -1),
        (Counts.ACCEPTED, 1),
        (Counts.OPENED, 1),
        (Counts.SERVED, 1),
        (Counts.BRIDGE, -1),
        (Counts.VETH, -1),
        (Counts.FORWARDED, -1),
        (Counts.FILTER, -1),
        (Counts.UPLINK, -1),
        (Counts.LOOPBACK, 1_000),
        (Counts.PROXY_CPU, 1_000_000_000),
    ],
)
def test_what_is_not_the_sum_is_caught(counter: Counts, change: int) -> None:
    counters = count_together(HOST_PART, BRIDGE_PART) | {Counts.SERVED: BRIDGE_PART.connections}
    counters[counter] += change

    [name] = check_set(BRIDGE_PART, [HOST_PART], counters, in_host_network=False)

    assert name == f"path of the set: {counter.replace('_', ' ')}"


def test_every_path_that_a_mode_can_have_is_proved_in_a_set_with_itself() -> None:
    for network in MODES.values():
        for vantage in (Vantage.CLIENT, *network.local_paths) if network.reachable else ():
            part = Part(network.path_from(vantage), 4, 1_000)
            counters = count_together(part, part) | {Counts.SERVED: part.connections}

            assert check_set(part, [part], counters, in_host_network=network.in_host_network) == []


def test_a_path_is_proved_over_a_hundred_requests_or_not_at_all() -> None:
    assert check_proof(100).passed
    assert not check_proof(99).passed


def test_containers_that_announce_themselves_do_not_void_the_proof_of_one_beside_them() -> None:
    def failed(stray: int) -> list[str]:
        counters = count_together(Part(HOST_PART.path, 1, 200)) | {Counts.VETH: 30, Counts.BRIDGE: 30}
        gates = check_path(HOST_PART.path, counters, 1, 200, forwarding_rules=True, stray_packets=stray)
        return [gate.name for gate in gates if not gate.passed]

    assert failed(0) == ["path: bridge packets", "path: veth packets"]
    assert failed(40) == []


# A run


def make_run_of_sets(**changes: Any) -> RunRecord:
    return make_run(make_interleaved(arms=list_arms("bridge", "macvlan")), **changes)


def test_a_run_goes_on_with_whole_sets() -> None:
    run = make_run_of_sets()
    half = run.model_copy(update={"slots": run.slots[:7]})

    assert [record.slot.index for record in half.kept()] == [0, 1, 2, 3, 4]
    again = half.model_copy(update={"slots": half.kept()})
    assert [slot.index for slot in again.remaining()] == list(range(5, 20))


def test_a_slot_that_could_not_be_measured_takes_its_set_along() -> None:
    run = make_run_of_sets()
    slots = list(run.slots)
    slots[6] = slots[6].model_copy(update={"gates": (make_gate(passed=False, name=GateKind.ANSWERED),)})

    kept = run.model_copy(update={"slots": tuple(slots)}).kept()

    assert {record.slot.life for record in kept} == {0, 2, 3}


def test_an_arm_that_cannot_be_had_is_no_gap_in_a_set() -> None:
    run = make_run_of_sets()
    there = tuple(record for record in run.slots if record.slot.arm != "macvlan")

    assert run.model_copy(update={"slots": there, "unavailable": {"macvlan": "no"}}).kept() == there
    assert run.model_copy(update={"slots": there}).kept() == ()


def test_slots_by_themselves_are_kept_one_by_one() -> None:
    run = make_run(make_scenario())

    assert run.model_copy(update={"slots": run.slots[:7]}).kept() == run.slots[:7]


def test_an_arm_that_is_there_once_is_compared_and_has_no_a_a_pair() -> None:
    run = make_run_of_sets()
    verdict = judge(run.scenario, [record.metrics() for record in run.slots], {}, seed=1)

    arms = [found for found in verdict.comparisons if found.kind is Compared.ARMS]
    own = [found for found in verdict.comparisons if found.kind is Compared.ITSELF]
    assert {found.candidate for found in arms} == {"bridge", "macvlan"}
    assert all(found.word is not Word.INVALID and found.blocks == 4 for found in arms)
    assert {found.baseline for found in own} == {"host", "bridge"}


def test_a_longer_run_takes_turns_too() -> None:
    scenario = make_interleaved()

    assert extend(scenario).schedule.interleave == scenario.schedule.interleave


@pytest.fixture
def folder(tmp_path: Pathname) -> Pathname:
    """A stored run whose slot 3 has turns: TWO, with requests in both, between and before them."""
    run = make_run_of_sets()
    turns_ = TurnsRecord(turns=2, settled_s=0.0018, proof_requests=1, proof_connections=1, after=())
    slots = tuple(
        record.model_copy(update={"turns": turns_, "window_start_ns": 100 * US, "window_end_ns": 6_000 * US})
        for record in run.slots
    )
    store.write_run(tmp_path, run.model_copy(update={"slots": slots}))
    rows = [{"sent_ns": at * US, "done_ns": (at + 20) * US} for at in (50, 100, 999, 3_000, 5_050, 5_100)]
    records = make_records(rows)
    columns.write_requests(tmp_path, run.planned[3].directory, records, find_turns(records["sent_ns"], TWO))
    return tmp_path


def test_the_requests_of_a_slot_are_those_of_its_settled_turns(folder: Pathname) -> None:
    run = bench.load(folder)

    assert run.requests(3)["cell"].tolist() == [3, 3, 6]
    assert run.requests(3, warm_up=True)["cell"].tolist() == [-1, 3, 3, -1, -1, 6]
    assert len(run.latencies_us(3)) == 3


def test_what_is_stored_of_a_slot_is_held_against_its_turns(folder: Pathname) -> None:
    slot = bench.load(folder).record.slots[3].model_copy(update={"requests": 3})

    def differing() -> set[str]:
        lines = list(compare_slot(folder, slot, Load()))
        return {
            name for name in ("requests", "turns", "settled_s") if any(f": {name} is" in s for s in lines)
        }

    columns.write_turns(folder, slot.slot.directory, TWO)
    assert differing() == set()
    longer = TWO.copy()
    longer["settled_ns"][0] = 40 * US
    columns.write_turns(folder, slot.slot.directory, longer)
    assert differing() == {"requests", "settled_s"}
    columns.write_turns(folder, slot.slot.directory, TWO[:1])
    assert differing() == {"requests", "turns", "settled_s"}


@pytest.mark.parametrize("spoilt", [TWO[:0], TWO[::-1]], ids=["none", "backwards"])
def test_turns_that_are_none_or_out_of_order_are_refused(folder: Pathname, spoilt: np.ndarray) -> None:
    columns.write_turns(folder, "slots/003-x", spoilt)

    with pytest.raises(InputError, match="not one after another"):
        columns.read_turns(folder, "slots/003-x")


def test_splits_are_a_table_even_where_there_is_none(folder: Pathname) -> None:
    found = bench.load(folder).splits

    assert found.empty
    assert {"kind", "arm", "after", "ratio", "ci95_low", "ci95_high", "p_holm"} <= set(found.columns)


def test_the_report_says_how_arms_took_turns(folder: Pathname) -> None:
    said = " ".join(describe_method(bench.load(folder)))

    assert "cells of 25 ms, of which the first 2 ms were left out" in said
    assert "2 of each arm (one of macvlan)" in said
    assert "A block is 5 slots" in said
