from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.core.gates import (
    Gate,
    PathCounters,
    Voids,
    check_identity,
    check_load,
    check_namespace,
    check_network,
    check_path,
    check_quiet,
    is_valid,
    usable_metrics,
)
from bench.core.scenario import Metric, Mode

from .conftest import make_gate, make_values

QUIET: dict[str, Any] = {"stray_cpu": {}, "new_processes_per_s": 0.0, "steal_share": 0.0}
LOADED: dict[str, Any] = {"requests": 20_000, "errors": 0, "unfinished": 0, "generator_cpu": 0.5}


def failed(gates: list[Gate]) -> list[str]:
    return [gate.name for gate in gates if not gate.passed]


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({}, []),
        ({"requests": 1_000}, []),
        ({"requests": 999}, ["requests"]),
        ({"requests": 0}, ["requests"]),
        ({"requests": 0, "errors": 3}, ["requests", "errors"]),
        ({"errors": 2}, []),
        ({"errors": 3}, ["errors"]),
        ({"unfinished": 3}, ["errors"]),
        ({"errors": 1, "unfinished": 2}, ["errors"]),
        ({"generator_cpu": 0.95}, []),
        ({"generator_cpu": 0.96}, ["generator"]),
    ],
)
def test_the_load_passes_up_to_its_limits_and_not_beyond(change: dict[str, Any], names: list[str]) -> None:
    assert failed(check_load(**(LOADED | change))) == names


def test_the_gate_on_errors_says_how_many_there_were_of_how_many() -> None:
    [gate] = [gate for gate in check_load(1_000, 4, 1, 0.5) if gate.name == "errors"]

    assert gate.seen == pytest.approx(0.005)
    assert gate.detail == "4 failed, 1 unfinished of 1000"


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({}, []),
        ({"stray_cpu": {"cron": 0.05}}, []),
        ({"stray_cpu": {"cron": 0.01, "cc1": 0.9, "sshd": 0.02}}, ["quiet cores"]),
        ({"new_processes_per_s": 25.0}, []),
        ({"new_processes_per_s": 25.1}, ["new processes"]),
        ({"steal_share": 0.02}, []),
        ({"steal_share": 0.021}, ["steal"]),
    ],
)
def test_a_quiet_machine_passes_and_a_busy_one_does_not(change: dict[str, Any], names: list[str]) -> None:
    assert failed(check_quiet(**(QUIET | change))) == names


def test_the_busiest_neighbour_is_named_with_its_share() -> None:
    [gate] = [g for g in check_quiet({"cron": 0.01, "cc1": 0.9}, 0, 0) if g.name == "quiet cores"]

    assert (gate.detail, gate.seen) == ("cc1", 0.9)


@pytest.mark.parametrize(
    ("retransmits", "drops", "names"),
    [
        (0, 0, []),
        (1, 0, ["retransmits"]),
        (0, 1, ["conntrack drops"]),
        (2, 3, ["retransmits", "conntrack drops"]),
    ],
)
def test_one_lost_packet_is_a_fault(retransmits: int, drops: int, names: list[str]) -> None:
    assert failed(check_network(retransmits, drops)) == names


@pytest.mark.parametrize(
    ("mode", "packets", "hits", "names"),
    [
        (Mode.BRIDGE, 2_000, 4, []),
        (Mode.BRIDGE, 9_000, 4, []),
        (Mode.BRIDGE, 1_999, 4, ["path: docker0"]),
        (Mode.BRIDGE, 2_000, 3, ["path: DNAT"]),
        (Mode.BRIDGE, 2_000, 5, ["path: DNAT"]),
        (Mode.BRIDGE, 0, 0, ["path: DNAT", "path: docker0"]),
        (Mode.HOST, 0, 0, []),
        (Mode.HOST, 10, 0, []),
        (Mode.HOST, 11, 0, ["path: docker0"]),
        (Mode.HOST, 0, 1, ["path: DNAT"]),
        (Mode.HOST, 2_000, 4, ["path: DNAT", "path: docker0"]),
    ],
)
def test_a_thousand_requests_on_four_connections_must_take_the_path_of_their_mode(
    mode: Mode, packets: int, hits: int, names: list[str]
) -> None:
    counters = PathCounters(bridge_packets=packets, dnat_connections=hits)

    assert failed(check_path(mode, counters, connections=4, requests=1_000)) == names


@pytest.mark.parametrize(
    ("mode", "inode", "passes"),
    [(Mode.HOST, 7, True), (Mode.HOST, 8, False), (Mode.BRIDGE, 8, True), (Mode.BRIDGE, 7, False)],
)
def test_only_host_mode_is_in_the_hosts_namespace(mode: Mode, inode: int, *, passes: bool) -> None:
    assert (failed(check_namespace(mode, inode, host_inode=7)) == []) is passes


@pytest.mark.parametrize(
    ("image", "cpuset", "names"),
    [
        ("sha256:a", "1", []),
        ("sha256:b", "1", ["image"]),
        ("sha256:a", "0-1", ["cpuset"]),
        ("sha256:b", "", ["image", "cpuset"]),
    ],
)
def test_an_arm_must_run_the_image_and_cores_of_all_arms(image: str, cpuset: str, names: list[str]) -> None:
    assert failed(check_identity(image, "sha256:a", cpuset, "1")) == names


def test_a_p99_wants_ten_thousand_requests() -> None:
    values = make_values(20.0)

    assert usable_metrics(values, 10_000, [make_gate()]) == values
    assert usable_metrics(values, 9_999, [make_gate()]) == values | {Metric.P99_LATENCY_US: None}


def test_a_saturated_generator_voids_the_throughput_and_nothing_else() -> None:
    gates = check_load(**(LOADED | {"generator_cpu": 1.0}))
    values = make_values(20.0)

    assert usable_metrics(values, 20_000, gates) == values | {Metric.THROUGHPUT_RPS: None}
    assert is_valid(gates)


def test_a_throughput_gate_that_passed_voids_nothing() -> None:
    assert usable_metrics(make_values(20.0), 20_000, check_load(**LOADED)) == make_values(20.0)


@given(st.lists(st.tuples(st.booleans(), st.sampled_from(Voids)), max_size=6))
def test_a_slot_is_valid_unless_a_gate_that_voids_slots_failed(gates: list[tuple[bool, Voids]]) -> None:
    fatal = (False, Voids.SLOT) in gates

    assert is_valid([make_gate(passed=passed, voids=voids) for passed, voids in gates]) is not fatal


def test_every_gate_is_the_same_after_a_way_through_json() -> None:
    gates = [
        *check_load(**LOADED),
        *check_quiet({"cron": 0.01}, 3.0, 0.0),
        *check_network(0, 1),
        *check_path(Mode.BRIDGE, PathCounters(bridge_packets=1, dnat_connections=2), 3, 4),
        *check_namespace(Mode.HOST, 4_026_531_840, 4_026_531_841),
        *check_identity("sha256:a", "sha256:a", "1", "1"),
    ]

    assert [Gate.model_validate_json(gate.model_dump_json()) for gate in gates] == gates
    assert len({gate.name for gate in gates}) == len(gates)
