"""Containers that are started and timed: their ports, metrics, words, section, and what is refused."""

import os
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import bench
from bench.generator.ask import Ask
from bench.generator.first_answers import await_all
from bench.generator.protocol import ORDERS, AwaitAll, AwaitedAll
from bench.judgement.claim import ClaimWord
from bench.judgement.comparison import Compared, Word
from bench.procfs import parse_memory_mb
from bench.records.faults import find_slot_faults
from bench.records.run import RunRecord, SlotRecord
from bench.report.run.page import list_chapters, render_html, render_markdown
from bench.results import store
from bench.results.derived import write_results
from bench.results.verification import verify_all
from bench.scenario.conditions import conditions
from bench.scenario.contradictions import find_contradictions
from bench.scenario.load import Load
from bench.scenario.metric import Metric, compared_metrics, measured_metrics
from bench.scenario.model import Arm, Claim, LabSettings
from bench.scenario.plan import Slot, expected_seconds, plan_slots, slot_seconds
from bench.scenario.scenario import Scenario
from bench.scenario.starting import FIRST_MORE_PORT, FIRST_PORT, more_ports, own_port
from bench.scenario.tables import Tables
from bench.slots.gates.gate import GateKind
from bench.slots.gates.path import check_namespaces
from bench.slots.starts import ContainerStart, EngineFootprint, StartsRecord, measure_starts

from .conftest import BRIDGE, HOST, make_gate, make_run, make_scenario, noise, store_whole
from .servers import ADDRESS, PATIENCE_S, answering, read_request, response, serving

START = Load(model="start")
CLAIM = Claim(
    id="start", text="Host starts sooner.", better="host", than="bridge", metrics=(Metric.FIRST_ANSWER_MS,)
)
MS = 1_000_000


def make_container(asked_ms: float = 0.0, factor: float = 1.0) -> ContainerStart:
    """Created after 10 ms, started after 60, listening after 80, answering after 90; removed in 40."""
    stages = {
        "create_asked_ns": 0,
        "created_ns": 10,
        "start_asked_ns": 11,
        "started_ns": 60,
        "listening_ns": 80,
        "first_answer_ns": 90,
        "removal_asked_ns": 1_000,
        "removed_ns": 1_040,
    }
    begun_ms = 5_000 + asked_ms
    return ContainerStart(**{name: round((begun_ms + factor * ms) * MS) for name, ms in stages.items()})


def make_starts(containers: int = 1, factor: float = 1.0, proxies: int = 1) -> StartsRecord:
    return StartsRecord(
        containers=tuple(make_container(place, factor) for place in range(containers)),
        longest_look_ms=2.5,
        footprint=EngineFootprint(
            dockerd_mb=60.0,
            proxies=proxies,
            proxies_mb=1.5 * proxies,
            proxies_rss_mb=4.0 * proxies,
            rules_before=12,
            rules=12 + 3 * proxies,
        ),
    )


def make_start_run(scenario: Scenario) -> RunRecord:
    """Bridge takes half as long again, and has a proxy for each port of each container."""

    def record(slot: Slot) -> SlotRecord:
        load = conditions(scenario)[slot.condition].load
        factor = (1.5 if slot.arm == "bridge" else 1.0) * noise(slot)
        proxies = load.containers * (1 + load.more_ports) if slot.arm == "bridge" else 0
        starts = make_starts(load.containers, factor, proxies)
        return SlotRecord(
            slot=slot,
            started_at="2025-01-02T03:04:05.678+00:00",
            window_start_ns=starts.containers[0].create_asked_ns,
            window_end_ns=starts.containers[-1].removed_ns,
            start_to_first_200_ms=79.0 * factor,
            values=dict(measure_starts(starts)),
            starts=starts,
            gates=(make_gate(name="image", seen="sha256:0", limit="sha256:0"),),
            evidence={"idle states": "held"},
        )

    return make_run(scenario, slots=tuple(record(slot) for slot in plan_slots(scenario, seed=1)))


def stored_start_run(folder: Path, **changes: Any) -> "bench.Run":
    scenario = make_scenario(load=START, claims=(CLAIM,), **changes)
    store_whole(folder, make_start_run(scenario))
    return bench.load(folder)


# Metrics.


def test_a_slots_times_are_those_of_its_last_container_since_the_first_was_asked_for() -> None:
    values = measure_starts(make_starts(containers=5, proxies=2))

    assert values == {
        Metric.FIRST_ANSWER_MS: 94.0,
        Metric.CREATED_MS: 14.0,
        Metric.STARTED_MS: 64.0,
        Metric.LISTENING_MS: 84.0,
        Metric.REMOVED_MS: 44.0,  # From the first removal's asking.
        Metric.ENGINE_MEMORY_MB: 63.0,
    }


def test_a_slot_lasts_until_the_last_removal_whichever_container_it_is_of() -> None:
    starts = make_starts(containers=2)
    late = starts.containers[0].model_copy(update={"removed_ns": 9_000 * MS})
    assert starts.model_copy(update={"containers": (late, starts.containers[1])}).span_s == pytest.approx(4.0)


def test_a_load_that_starts_has_the_metrics_of_starting_and_no_other_load_has_them() -> None:
    of_start = set(measure_starts(make_starts()))
    assert set(measured_metrics(START)) == set(compared_metrics(START)) == of_start
    for load in (Load(), Load(model="open", rate_rps=100, pacing="sleep")):
        assert not of_start & set(measured_metrics(load))


def test_memory_is_read_of_the_kernels_kilobytes_as_megabytes() -> None:
    text = (
        "00400000-7fff ---p 00000000 00:00 0    [rollup]\nRss:    2000 kB\nPss:    1000 kB\nPss_Dirty: 7 kB\n"
    )
    assert parse_memory_mb(text, "Pss") == 1.024
    assert parse_memory_mb(text, "Rss") == 2.048
    assert parse_memory_mb("", "Pss") == 0


# Ports.


@pytest.mark.parametrize("port", [80, FIRST_PORT, FIRST_PORT + 5, FIRST_PORT + 63])
def test_no_two_containers_that_are_started_together_have_a_port_in_common(port: int) -> None:
    load = Load(model="start", containers=64, more_ports=20)
    own = [own_port(port, place) for place in range(load.containers)]
    more = [outside for place in range(load.containers) for outside in more_ports(load, place)]

    assert own[0] == port
    assert len({*own, *more}) == 64 * 21
    assert min(more) == FIRST_MORE_PORT
    assert max(more) < 32_768  # From there on ports are given to clients.


# What does not go together.


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"load": Load(containers=2)}, "load.containers: is of load.model start, and load.model is closed"),
        ({"factors": {"load.more_ports": (0, 1)}}, "load.more_ports: is of load.model start"),
        ({"load": Load(model="start", connections=4)}, "load.connections: says how a load asks"),
        ({"load": START, "factors": {"load.keep_alive": (True, False)}}, "load.keep_alive: says how"),
        ({"load": START, "lab": LabSettings(taps=True)}, "lab.taps: follow requests"),
        (
            {"load": START, "factors": {"lab.veth_mtu": (0, 1400)}},
            "lab.veth_mtu: is set once a container is there",
        ),
        ({"load": START, "arms": (HOST, Arm(name="native", mode="native"))}, "arms.1.mode: native needs no"),
        (
            {"load": START, "arms": (HOST, Arm(name="x", mode="container:host"))},
            "arms.1.mode: container:host",
        ),
        (
            {"load": Load(model="start", containers=2), "arms": (HOST, Arm(name="wired", mode="wired"))},
            "load.containers: only one container in wired mode",
        ),
        (
            {"load": Load(model="start", containers=64, more_ports=63)},
            "load.more_ports: 64 containers with 63",
        ),
        (
            {"load": START, "claims": (Claim(id="a", text="t", better="host", than="bridge"),)},
            "claims.0.metrics: none of them is compared here, but first_answer_ms",
        ),
        ({"load": Load(model="start", rate_rps=5)}, "load.rate_rps: is of the open model"),
    ],
)
def test_what_does_not_go_with_starting_is_refused_by_its_field(changes: dict[str, Any], fault: str) -> None:
    fields = {"name": "unit", "question": "?", "baseline": "host", "arms": (HOST, BRIDGE)}
    found = find_contradictions(Tables(**(fields | changes)))
    assert any(line.startswith(fault) or fault in line for line in found), found


@pytest.mark.parametrize("mode", ["bridge", "bridge-routed", "user-bridge", "proxy"])
def test_modes_whose_containers_share_a_network_or_a_route_can_be_started_by_many(mode: str) -> None:
    load = Load(model="start", containers=16)
    assert make_scenario(arms=(HOST, Arm(name="other", mode=mode)), load=load).load.containers == 16


# Words and forecasts.


def test_a_start_is_described_by_what_is_started_and_not_by_a_load() -> None:
    one = Load(model="start", more_ports=99, more_ports_protocol="udp")
    assert one.describe_start() == "one container, each with 99 more published ports (udp)"
    assert Load(model="start", containers=16).describe_connections() == "16 containers started together"
    assert (
        Load(model="start", containers=16).describe_start({"load.containers"})
        == "containers started together"
    )


def test_a_plan_takes_longer_with_more_containers_and_more_ports() -> None:
    scenario = make_scenario(load=START, factors={"load.containers": (1, 16), "load.more_ports": (0, 99)})
    few, ports, many, both = (slot_seconds(condition) for condition in conditions(scenario))
    assert few < min(ports, many)
    assert both > max(ports, many)
    assert expected_seconds(scenario, plan_slots(scenario, seed=1)) > 24 * few


# Gates and faults.


def test_containers_are_each_in_a_namespace_of_their_own_or_all_in_their_hosts() -> None:
    def seen(shared: bool, *inodes: int) -> tuple[bool, float | str]:
        [gate] = check_namespaces(shared, inodes, 1)
        assert gate.name is GateKind.NAMESPACE
        return gate.passed, gate.seen

    assert seen(True, 1, 1, 1) == (True, 3)
    assert seen(True, 1, 2, 1) == (False, 2)
    assert seen(False, 2, 3, 4) == (True, 3)
    assert seen(False, 2, 2, 4) == (False, 2)
    assert seen(False, 2, 1, 4) == (False, 2)


def test_a_stored_start_whose_stages_are_not_in_order_is_a_fault() -> None:
    record = make_start_run(make_scenario(load=START)).slots[0]
    assert list(find_slot_faults(record, "slots.0")) == []

    assert record.starts
    [container] = record.starts.containers
    late = container.model_copy(update={"created_ns": container.started_ns + 1})
    broken = record.starts.model_copy(update={"containers": (late,)})
    [fault] = find_slot_faults(record.model_copy(update={"starts": broken}), "slots.0")
    assert fault == "slots.0.starts.containers.0: its stages are not one after another"


# A whole run.


def test_a_run_of_starts_has_a_verdict_on_its_own_metrics_and_a_word_on_its_claim(tmp_path: Path) -> None:
    run = stored_start_run(tmp_path)

    of_arms = {c.metric: c for c in run.verdict.comparisons if c.kind is Compared.ARMS}
    assert tuple(of_arms) == compared_metrics(START)
    first = of_arms[Metric.FIRST_ANSWER_MS]
    assert (first.word, first.unit) == (Word.BETTER, "ms")
    assert first.ratio == pytest.approx(1.5, abs=0.02)
    assert [claim.word for claim in run.verdict.claims] == [ClaimWord.SUPPORTED]
    assert {split.kind.value for split in run.verdict.splits} == {
        "half of the run"
    }  # Of the first answer: there is no p50.


def test_its_slots_are_a_table_with_what_was_left_on_the_host(tmp_path: Path) -> None:
    run = stored_start_run(tmp_path, factors={"load.containers": (1, 4)})
    rows = run.slots[(run.slots["arm"] == "bridge") & (run.slots["condition"] == 1)]
    assert set(rows["docker_proxies"]) == {4}
    assert set(rows["rules_written"]) == {12}
    assert set(rows["containers"]) == {4}
    assert (run.slots["first_answer_ms"] > 0).all()
    write_results(run, lambda *_: None)
    header = (tmp_path / "slots.csv").read_text().splitlines()[0]
    assert {"first_answer_ms", "docker_proxies_mb", "p50_latency_us"} <= set(header.split(","))


def test_a_slot_of_requests_has_no_column_of_starts(tmp_path: Path) -> None:
    store_whole(tmp_path, make_run(make_scenario()))
    assert not {"first_answer_ms", "docker_proxies"} & set(bench.load(tmp_path).slots.columns)


def test_its_values_are_computed_anew_from_its_starts(tmp_path: Path) -> None:
    run = stored_start_run(tmp_path)
    [checked] = verify_all(tmp_path, deep=True)
    assert checked.findings["differences"] == ()

    slot = run.record.slots[3]
    values = {**slot.values, Metric.FIRST_ANSWER_MS: 1.0}
    forged = store.seal_slot(tmp_path, slot.model_copy(update={"values": values}))
    slots = tuple(forged if record.slot.index == 3 else record for record in run.record.slots)
    store.finish_run(tmp_path, run.record.model_copy(update={"slots": slots}))
    [checked] = verify_all(tmp_path, deep=True)
    [difference] = checked.findings["differences"]
    assert difference.startswith("slot 3: first_answer_ms is stored as 1.0, and its starts say ")


def test_the_report_tells_the_stages_and_says_nothing_of_requests(tmp_path: Path) -> None:
    run = stored_start_run(
        tmp_path, factors={"load.more_ports": (0, 9), "lab.userland_proxy": (True, False)}, blocks=3
    )
    chapters = {chapter.name: chapter for chapter in list_chapters(run)}
    text = render_markdown(run, figures=False)

    assert not {"meaning", "quantiles", "requests", "cpu", "anatomy"} & chapters.keys()
    assert [figure.name for figure in chapters["starts"].figures] == ["starts"]
    assert {figure.name for figure in chapters["figures"].figures} == {"block-ratios", "slot-timeline"}
    stages, footprint = chapters["starts"].facts["tables"]
    assert stages.columns[:3] == ("Arm", "Condition", "Created")
    assert len(stages.rows) == len(footprint.rows) == 8
    bridge = next(row for row in footprint.rows if row[:2] == ("bridge", "more_ports=9, userland_proxy=true"))
    assert bridge[2:5] == ("1", "30", "10")
    said, _, _ = text.partition("## Run exactly this again")
    for word in ("warm-up", "req/s", "throughput", "closed loop", "p50", "keep-alive"):
        assert word not in said, word
    assert "What starting takes" in render_html(run)


# Many servers asked at once.


def await_servers(news: Path, lines: list[str], *, count: int, timeout_s: float = PATIENCE_S) -> AwaitedAll:
    """`await_all`, told `lines` by a FIFO as it waits."""
    os.mkfifo(news)
    writing = os.open(news, os.O_RDWR)
    order = AwaitAll(count=count, ask=Ask(path="/1024"), timeout_s=timeout_s, news=str(news))
    order = ORDERS.validate_json(order.line())  # type: ignore[assignment]
    teller = threading.Thread(target=lambda: [os.write(writing, line.encode()) for line in lines])
    try:
        teller.start()
        return await_all(order)
    finally:
        teller.join()
        os.close(writing)


def test_many_servers_are_asked_at_once_and_each_has_its_own_first_answer(tmp_path: Path) -> None:
    gone = threading.Event()

    def slow(connection: socket.socket, number: int) -> None:
        if number == 0:  # As docker-proxy does before the path behind it is complete.
            return
        read_request(connection)
        gone.wait(PATIENCE_S)
        connection.sendall(response())
        read_request(connection)

    def quick(connection: socket.socket, number: int) -> None:
        answering(response())(connection, number)
        if number == 2:
            gone.set()

    with serving(slow) as first, serving(quick) as second:
        before_ns = time.monotonic_ns()
        # One behind the other, the second would wait for the first for ever.
        lines = [f"0 {ADDRESS} {first}\n1 {ADDRESS}", f" {second}\n"]
        answered = await_servers(tmp_path / "news", lines, count=2)

    assert before_ns < answered.first_ns[1] < answered.first_ns[0]


def test_a_server_that_never_answers_rightly_is_given_up_and_the_others_count(tmp_path: Path) -> None:
    with serving(answering(response())) as good, serving(answering(response(status="404 No"))) as bad:
        lines = [f"0 {ADDRESS} {good}\n1 {ADDRESS} {bad}\n"]
        answered = await_servers(tmp_path / "news", lines, count=3, timeout_s=0.5)

    assert answered.first_ns[0] > 0
    assert answered.first_ns[1:] == (0, 0)  # The third was never told of.


def test_waiting_ends_when_it_is_told_to(tmp_path: Path) -> None:
    assert await_servers(tmp_path / "news", ["stop\n"], count=2, timeout_s=600).first_ns == (0, 0)
