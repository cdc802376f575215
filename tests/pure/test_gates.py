from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.scenario.metric import Metric, Voids
from bench.scenario.modes.catalogue import MODES
from bench.scenario.modes.footprint import Counter, Expected, Path
from bench.scenario.modes.model import Mode, Vantage
from bench.slots.gates.captures import check_captures
from bench.slots.gates.gate import Demand, Gate, GateKind, is_valid
from bench.slots.gates.identity import check_control, check_identity
from bench.slots.gates.load import (
    check_connections,
    check_load,
    check_open_loop,
    check_ports,
    usable_metrics,
)
from bench.slots.gates.machine import check_quiet, check_still
from bench.slots.gates.network import Losses, Room, check_network
from bench.slots.gates.path import check_namespace, check_path
from bench.slots.metrics import OpenLoop

from .conftest import make_gate, make_values

QUIET: dict[str, Any] = {"stray_cpu": {}, "new_processes_per_s": 0.0, "steal_share": 0.0, "max_steal": 0.02}
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


@pytest.mark.parametrize(
    ("achieved_rps", "p50_us", "lateness_us", "names"),
    [
        (1_000.0, 20.0, (1.0, 50.0, 9e9), []),
        (990.0, 20.0, (1.0, 5.0, 5.0), []),
        (989.9, 20.0, (1.0, 5.0, 5.0), ["achieved"]),
        (1_010.0, 20.0, (1.0, 5.0, 5.0), []),
        (1_000.0, 20.0, (1.0, 50.1, 60.0), ["generator lateness"]),
        (1_000.0, 5_000.0, (1.0, 500.0, 600.0), []),
        (1_000.0, 5_000.0, (1.0, 500.1, 600.0), ["generator lateness"]),
        (1_000.0, 20.0, (10.1, 50.0, 60.0), ["generator lateness, median"]),
        (1_000.0, 5_000.0, (500.0, 500.0, 600.0), []),
        (1_000.0, 20.0, None, ["generator lateness, median", "generator lateness"]),
    ],
)
def test_an_open_loop_keeps_its_rate_and_its_times(
    achieved_rps: float, p50_us: float, lateness_us: tuple[float, float, float] | None, names: list[str]
) -> None:
    values = {Metric.P50_LATENCY_US: p50_us, Metric.THROUGHPUT_RPS: achieved_rps}
    gates = check_open_loop(OpenLoop(offered_rps=1_000, lateness_us=lateness_us, waited=3), values)

    assert failed(gates) == names
    assert [gate.voids for gate in gates] == [Voids.SLOT, Voids.SLOT, Voids.TAIL]
    assert [Gate.model_validate_json(gate.model_dump_json()) for gate in gates] == gates


def test_an_open_loop_without_an_answer_or_an_arrival_is_void() -> None:
    nothing = OpenLoop(offered_rps=0, lateness_us=None, waited=0)

    assert failed(check_open_loop(nothing, {})) == [
        "achieved",
        "generator lateness, median",
        "generator lateness",
    ]


def test_a_generator_that_is_late_for_one_in_a_hundred_takes_the_p99_and_leaves_the_rest() -> None:
    values = {Metric.P50_LATENCY_US: 60.0, Metric.P99_LATENCY_US: 900.0, Metric.THROUGHPUT_RPS: 1_000.0}
    late = OpenLoop(offered_rps=1_000, lateness_us=(3.0, 700.0, 2_000.0), waited=0)
    for voids in (Voids.SLOT, Voids.LATENCY):
        gates = check_open_loop(late, values, voids)
        assert is_valid(gates)
        assert usable_metrics(values, gates) == values | {Metric.P99_LATENCY_US: None}


def test_a_generator_that_is_late_at_the_median_takes_the_slot_or_all_of_its_latency() -> None:
    values = {Metric.P50_LATENCY_US: 60.0, Metric.P99_LATENCY_US: 900.0, Metric.THROUGHPUT_RPS: 1_000.0}
    late = OpenLoop(offered_rps=1_000, lateness_us=(30.0, 700.0, 2_000.0), waited=0)
    assert not is_valid(check_open_loop(late, values))
    gates = check_open_loop(late, values, Voids.LATENCY)
    assert is_valid(gates)
    assert usable_metrics(values, gates)[Metric.P50_LATENCY_US] is None


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
        ({"steal_share": 0.09, "max_steal": 0.1}, []),
    ],
)
def test_a_quiet_machine_passes_and_a_busy_one_does_not(change: dict[str, Any], names: list[str]) -> None:
    assert failed(check_quiet(**(QUIET | change))) == names


@pytest.mark.parametrize(
    ("around_s", "slept_s", "requests", "names"),
    [
        (2.5, 0.0, 20_000, []),
        (4.9, 0.0, 20_000, []),
        (22.0, 0.0, 20_000, ["stood still"]),
        (2.5, 3600.0, 20_000, ["stood still"]),
        (22.0, 0.0, 10_000_000, []),  # Their records take that long.
    ],
)
def test_a_load_during_which_bench_was_stopped_or_the_machine_slept_does_not_count(
    around_s: float, slept_s: float, requests: int, names: list[str]
) -> None:
    assert failed(check_still(around_s, 2.0, slept_s, requests, 1)) == names


def test_the_busiest_neighbour_is_named_with_its_share() -> None:
    [gate] = [g for g in check_quiet({"cron": 0.01, "cc1": 0.9}, 0, 0, 0.02) if g.name == "quiet cores"]

    assert (gate.detail, gate.seen) == ("cc1", 0.9)


ROOM = Room(ports_in_use=80, ports=100, tracked=800, trackable=1_000)


@pytest.mark.parametrize(
    ("losses", "names"),
    [
        (Losses(0, 0, 0, 0), []),
        (Losses(1, 0, 0, 0), ["retransmits"]),
        (Losses(0, 1, 0, 0), ["conntrack drops"]),
        (Losses(0, 0, 1, 0), ["listen drops"]),
        (Losses(0, 0, 0, 1), ["queue drops"]),
        (Losses(0, 0, 0, 0, carrier_drops=1), ["listen drops"]),
        (Losses(2, 3, 4, 0), ["retransmits", "conntrack drops", "listen drops"]),
    ],
)
def test_one_lost_packet_is_a_fault(losses: Losses, names: list[str]) -> None:
    assert failed(check_network(losses, ROOM)) == names


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({}, []),
        ({"ports_in_use": 81}, ["client ports"]),
        ({"tracked": 801}, ["conntrack room"]),
        ({"tracked": 0, "trackable": 0}, []),
        ({"tracked": 1, "trackable": 0}, ["conntrack room"]),
    ],
)
def test_a_load_that_is_about_to_run_out_of_ports_or_entries_is_caught(
    change: dict[str, int], names: list[str]
) -> None:
    assert failed(check_network(Losses(0, 0, 0, 0), ROOM._replace(**change))) == names


REQUESTS, CONNECTIONS = 1_000, 4


def count_on_path(path: Path) -> dict[Counter, int]:
    """What the counters show when 1,000 requests on 4 connections take `path`, and nothing else does."""
    shown = {
        Expected.EACH_CONNECTION: CONNECTIONS,
        Expected.TWICE_A_CONNECTION: 2 * CONNECTIONS,
        Expected.EACH_REQUEST: 2 * REQUESTS,
        Expected.SOME: 1,
        Expected.ANY: 7,
    }
    filtered = {Counter.FILTER: 2 * REQUESTS} if Counter.FORWARDED in path else {}
    moved = {counter: shown[expected] for counter, expected in path.items()}
    return dict.fromkeys(Counter, 0) | filtered | moved


def check_counters(path: Path, counters: dict[Counter, int], *, rules: bool = True) -> list[str]:
    return failed(check_path(path, counters, CONNECTIONS, REQUESTS, forwarding_rules=rules))


PATHS: dict[str, Path] = {}
"""Every different path that a mode declares, by the first mode and vantage that takes it."""
for mode_, network_ in MODES.items():
    for vantage_ in (Vantage.CLIENT, *network_.local_paths) if network_.reachable else ():
        if network_.path_from(vantage_) not in PATHS.values():
            PATHS[f"{mode_} from {vantage_}"] = network_.path_from(vantage_)
HOST_PATH, WIRED_PATH, PROXY_PATH = (
    MODES[mode_].path_from(Vantage.CLIENT) for mode_ in (Mode.HOST, Mode.WIRED, Mode.PROXY)
)


@pytest.mark.parametrize("declared", PATHS)
@pytest.mark.parametrize("taken", PATHS)
def test_counters_pass_on_the_path_that_was_declared_and_on_no_other(declared: str, taken: str) -> None:
    names = check_counters(PATHS[declared], count_on_path(PATHS[taken]))

    assert (names == []) is (declared == taken)


@pytest.mark.parametrize("mode", PATHS)
def test_one_connection_too_many_or_too_few_is_not_the_declared_path(mode: str) -> None:
    counters = count_on_path(PATHS[mode])
    exact = {Expected.EACH_CONNECTION, Expected.TWICE_A_CONNECTION}
    for counter in [counter for counter, expected in PATHS[mode].items() if expected in exact]:
        for change in (-1, 1):
            changed = counters | {counter: counters[counter] + change}
            assert check_counters(PATHS[mode], changed) == [f"path: {counter.replace('_', ' ')}"]


@pytest.mark.parametrize(("packets", "passes"), [(0, True), (10, True), (11, False)])
def test_a_bridge_may_send_a_report_now_and_then_on_a_path_without_it(packets: int, *, passes: bool) -> None:
    counters = count_on_path(HOST_PATH) | {Counter.BRIDGE: packets}

    assert (check_counters(HOST_PATH, counters) == []) is passes


@pytest.mark.parametrize(("us", "passes"), [(0, True), (1_000, True), (1_001, False)])
def test_docker_proxys_own_clockwork_is_no_request_through_it(us: int, *, passes: bool) -> None:
    """Of 1,000 requests: those through it would take 60,000 us."""
    counters = count_on_path(HOST_PATH) | {Counter.PROXY_CPU: us * 1_000}

    assert (check_counters(HOST_PATH, counters) == []) is passes


@pytest.mark.parametrize(("us", "passes"), [(43, True), (200, True), (2_400, False)])
def test_slirp4netns_own_clockwork_is_no_request_through_it_however_few_there_are(
    us: int, *, passes: bool
) -> None:
    """Of 30 requests: those through it would take 2,400 us."""
    path = MODES[Mode.ROOTLESS_BUILTIN].path_from(Vantage.CLIENT)
    counters = {Counter.USER_STACK_CPU: us * 1_000}
    [gate] = check_path(path, counters, 1, 30, forwarding_rules=False)

    assert gate.passed is passes


def test_an_engine_without_iptables_must_filter_nothing() -> None:
    counters = count_on_path(WIRED_PATH)

    assert check_counters(WIRED_PATH, counters, rules=False) == ["path: filter accepts"]
    assert check_counters(WIRED_PATH, counters | {Counter.FILTER: 0}, rules=False) == []


def test_the_number_of_tracked_connections_is_kept_and_never_judged() -> None:
    assert check_counters(HOST_PATH, count_on_path(HOST_PATH) | {Counter.CONNTRACK: -7}) == []


@pytest.mark.parametrize(
    ("shared", "inode", "passes"), [(True, 7, True), (True, 8, False), (False, 8, True), (False, 7, False)]
)
def test_only_a_mode_that_shares_it_is_in_the_hosts_namespace(
    inode: int, *, shared: bool, passes: bool
) -> None:
    assert (failed(check_namespace(shared, inode, host_inode=7)) == []) is passes


@pytest.mark.parametrize(
    ("links", "status", "answered", "names"),
    [
        (["lo"], "200", False, []),
        (["lo", "eth0"], "200", False, ["control: links"]),
        (["lo"], "000", False, ["control: alive"]),
        (["lo"], "200", True, ["control: unreachable"]),
    ],
)
def test_a_control_is_alive_has_only_loopback_and_answers_nobody(
    links: list[str], status: str, names: list[str], *, answered: bool
) -> None:
    assert failed(check_control(links, status, answered)) == names


@pytest.mark.parametrize(
    ("image", "cpus", "names"),
    [
        ("sha256:a", [1], []),
        ("sha256:b", [1], ["image"]),
        ("sha256:a", [0, 1], ["cpuset"]),
        ("sha256:b", [], ["image", "cpuset"]),
    ],
)
def test_an_arm_must_run_the_image_and_cores_of_all_arms(
    image: str, cpus: list[int], names: list[str]
) -> None:
    assert failed(check_identity(image, "sha256:a", cpus, [1])) == names


def test_a_capture_that_misses_a_packet_anywhere_does_not_count() -> None:
    assert check_captures({"client": 0, "uplink": 0}).passed
    gate = check_captures({"client": 0, "uplink": 3})

    assert not gate.passed
    assert gate.voids is Voids.SLOT
    assert (gate.seen, gate.detail) == (3, "uplink 3")


def test_a_saturated_generator_voids_the_throughput_and_nothing_else() -> None:
    gates = check_load(**(LOADED | {"generator_cpu": 1.0}))
    values = make_values(20.0)

    assert usable_metrics(values, gates) == values | {Metric.THROUGHPUT_RPS: None}
    assert is_valid(gates)


def test_a_throughput_gate_that_passed_voids_nothing() -> None:
    assert usable_metrics(make_values(20.0), check_load(**LOADED)) == make_values(20.0)


@given(st.lists(st.tuples(st.booleans(), st.sampled_from(Voids)), max_size=6))
def test_a_slot_is_valid_unless_a_gate_that_voids_slots_failed(gates: list[tuple[bool, Voids]]) -> None:
    fatal = (False, Voids.SLOT) in gates

    assert is_valid([make_gate(passed=passed, voids=voids) for passed, voids in gates]) is not fatal


def test_every_gate_is_the_same_after_a_way_through_json() -> None:
    gates = [
        *check_load(**LOADED),
        *check_quiet({"cron": 0.01}, 3.0, 0.0, 0.02),
        *check_still(2.5, 2.0, 0.0, 20_000, 1),
        check_captures({"client": 0}),
        *check_network(Losses(0, 1, 0, 0), ROOM),
        *check_path(PROXY_PATH, dict.fromkeys(Counter, 3), 3, 4, forwarding_rules=False),
        *check_namespace(True, 4_026_531_840, 4_026_531_841),
        *check_control(["lo"], "200", False),
        *check_identity("sha256:a", "sha256:a", [1], [1]),
    ]

    assert [Gate.model_validate_json(gate.model_dump_json()) for gate in gates] == gates
    assert len({gate.name for gate in gates}) == len(gates)


def test_a_client_that_ran_out_of_ports_says_so() -> None:
    assert failed(check_ports(0)) == []
    [gate] = check_ports(3)
    assert not gate.passed
    assert "ran out of ports" in gate.detail


GATES_OF_TODAY = """answered; requests; errors; stalls; generator; achieved; generator lateness, median;
generator lateness; connections; ports found; idle baseline; quiet cores; new processes; steal;
stood still; retransmits;
conntrack drops; listen drops; queue drops; client ports; conntrack room; path: dnat connections;
path: filter accepts; path: forwarded packets; path: bridge packets; path: veth packets;
path: vxlan packets; path: uplink packets; path: loopback packets;
path: accepted connections; path: opened connections; path: served connections; path: proxy cpu ns;
path: rootlesskit cpu ns; path: user stack cpu ns; path: tap packets; path: rootless dnat connections;
path: rootless bridge packets; path: name queries; path proof;
path of the set: dnat connections; path of the set: filter accepts; path of the set: forwarded packets;
path of the set: bridge packets; path of the set: veth packets; path of the set: vxlan packets;
path of the set: uplink packets;
path of the set: loopback packets; path of the set: accepted connections;
path of the set: opened connections; path of the set: served connections; path of the set: proxy cpu ns;
path of the set: rootlesskit cpu ns; path of the set: user stack cpu ns; path of the set: tap packets;
path of the set: rootless dnat connections; path of the set: rootless bridge packets;
namespace; image; cpuset; control: links; control: alive; control: unreachable; capture: drops;
capture: matched; capture: order"""


def test_a_gate_is_stored_under_the_name_that_it_always_had() -> None:
    assert [kind.value for kind in GateKind] == [" ".join(n.split()) for n in GATES_OF_TODAY.split(";")]
    assert {GateKind.of_counter(counter) for counter in Counter if counter is not Counter.CONNTRACK} == {
        kind for kind in GateKind if kind.name.startswith("PATH_")
    }
    assert {
        GateKind.of_counter(counter, of_set=True) for counter in Counter if counter is not Counter.CONNTRACK
    } == {kind for kind in GateKind if kind.name.startswith("SET_")}


@pytest.mark.parametrize(
    ("kind", "seen", "passes", "doubtful"),
    [
        # What is stored of a share or a time is rounded: at its limit either word may be true.
        (GateKind.GENERATOR, 0.9498, True, False),
        (GateKind.GENERATOR, 0.95, True, True),
        (GateKind.GENERATOR, 0.9503, False, False),
        (GateKind.ERRORS, 500.0, False, False),
        (GateKind.REQUESTS, 999, True, False),
        (GateKind.QUIET_CORES, "not a number", True, True),
    ],
)
def test_a_gate_that_passed_against_what_it_saw_does_not_agree_with_itself(
    kind: GateKind, seen: float | str, passes: bool, doubtful: bool
) -> None:
    gate = Gate(name=kind, passed=passes, seen=seen, limit=0.95, unit="of anything")

    assert gate.agrees
    assert gate.model_copy(update={"passed": not passes}).agrees is doubtful


@pytest.mark.parametrize("demand", Demand)
def test_every_gate_on_the_path_agrees_with_what_it_saw(demand: Demand) -> None:
    gates = [
        Gate(
            name=GateKind.PATH_DNAT,
            passed=demand.is_met(seen, 4),
            seen=seen,
            limit=4,
            unit="hits",
            demand=demand,
        )
        for seen in (3, 4, 5)
    ]
    assert all(gate.agrees for gate in gates)
    assert {gate.passed for gate in gates} == {True, False}
    assert not any(gate.model_copy(update={"passed": not gate.passed}).agrees for gate in gates)


def test_a_load_that_began_with_fewer_connections_than_it_was_to_have_is_void_with_both_numbers() -> None:
    assert failed(check_connections(4_096, 4_096)) == []
    assert check_connections(16, None) == []
    [gate] = check_connections(4_096, 1_019)
    assert not is_valid([gate])
    assert (gate.seen, gate.limit) == (1_019, 4_096)
    assert "1,019 of 4,096" in gate.detail
