"""CPU per request: what the kernel's texts say, and what becomes of their differences."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.lab.hosts.readings import Reading, read_files
from bench.lab.instruments.cpu import Watch
from bench.procfs import TICK_US
from bench.report.run.card import tabulate_modes
from bench.report.run.cautions import find_cautions
from bench.report.run.cpu import tabulate_cpu
from bench.report.run.page import render_html, render_markdown
from bench.report.run.slot_tables import describe_gates
from bench.report.run.summary import summarise
from bench.results import columns, slot_table, store
from bench.results.run import Run
from bench.scenario.conditions import conditions
from bench.scenario.load import Load
from bench.scenario.metric import Metric, Voids
from bench.scenario.model import Arm, Claim
from bench.scenario.plan import IDLE_S, plan_slots, slot_seconds
from bench.scenario.scenario import Scenario
from bench.slots.cpu import CoreCounters, CoreCpu, CpuCounters, CpuRecord, Kind, Share, measure_cpu, rate
from bench.slots.gates.gate import is_valid
from bench.slots.gates.load import check_open_loop, usable_metrics
from bench.slots.gates.machine import MAX_IDLE_CORES, check_idle
from bench.slots.metrics import OpenLoop
from bench.validation.error_rates import count_relabelled

from .conftest import (
    BRIDGE,
    HOST,
    make_gate,
    make_records,
    make_run,
    make_scenario,
    make_slot_record,
    make_values,
    noise,
)
from .procfs import PROXY, SOFTIRQS, STAT
from .reports import drawing_once, few_resamples, row, store_run

CPU = Metric.CPU_US_PER_REQUEST
LOAD = Load(model="open", pacing="sleep", rate_rps=1000)


def test_a_watch_sums_the_proxies_and_counts_nothing_of_one_that_ended() -> None:
    watch = Watch(group="/group", proxies=["/proc/1/stat", "/proc/2/stat"], generator="/proc/3/stat")
    texts = {
        "/proc/stat": STAT,
        "/proc/softirqs": SOFTIRQS,
        "/group": "12210542986\n",
        "/proc/1/stat": PROXY,
        "/proc/2/stat": "",
        "/proc/3/stat": PROXY,
    }
    found = watch.parse(Reading(5, texts))

    assert (found.at_ns, found.context_switches) == (5, 266_030_335)
    assert found.attributed_us == {
        Share.DOCKER_PROXY: (17 + 42) * TICK_US,
        Share.GENERATOR: (17 + 42) * TICK_US,
        Share.CONTAINERS: pytest.approx(12_210_542.986),
    }
    assert found.cores[0].idle_us == (810_166 + 3_478) * TICK_US
    assert found.cores[0].busy_us == {
        Kind.USER: (239_825 + 44_302) * TICK_US,
        Kind.SYSTEM: 82_662 * TICK_US,
        Kind.IRQ: 0,
        Kind.SOFTIRQ: 29_205 * TICK_US,
        Kind.STEAL: 737 * TICK_US,
    }
    assert [found.cores[core].net_rx for core in (0, 1)] == [66_368_259, 65_463_320]


@pytest.fixture
def one_core() -> Iterator[int]:
    """The core on which this thread stays meanwhile."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    yield min(cores)
    os.sched_setaffinity(0, cores)


def test_a_watch_of_this_process_sees_its_own_work(one_core: int) -> None:
    watch = Watch(group="", proxies=["/proc/0/stat"], generator=f"/proc/{os.getpid()}/stat")
    before = watch.parse(read_files(watch.files))
    after = before
    # Work is counted in whole ticks: enough of them that one more or less at either end is little.
    while after.attributed_us[Share.GENERATOR] - before.attributed_us[Share.GENERATOR] < 20 * TICK_US:
        after = watch.parse(read_files(watch.files))
    found = rate(before, after)
    worked_us = found.attributed[Share.GENERATOR] * found.seconds

    assert worked_us == pytest.approx(20 * TICK_US, abs=2 * TICK_US)
    assert found.attributed[Share.DOCKER_PROXY] == 0
    assert Share.CONTAINERS not in found.attributed
    # This thread never waited, so whoever else may have had the core too: it was not idle.
    assert found.busy[one_core] * found.seconds >= worked_us - 2 * TICK_US


def counters(at_s: float, **of_core: Any) -> CpuCounters:
    """Two cores; `of_core`: idle, user, softirq (us of each core), net_rx, switches, and shares."""
    settings: dict[str, Any] = {"idle": (0.0, 0.0), "net_rx": 0, "switches": 0, "shares": {}} | of_core
    kinds = {kind: settings.get(kind.value, 0.0) for kind in Kind}
    return CpuCounters(
        at_ns=round(at_s * 1e9),
        cores={
            core: CoreCounters(idle_us=idle, busy_us=kinds, net_rx=settings["net_rx"])
            for core, idle in enumerate(settings["idle"])
        },
        context_switches=settings["switches"],
        attributed_us=settings["shares"],
    )


IDLE = rate(
    counters(10, shares={Share.GENERATOR: 100.0}),
    counters(
        11, idle=(990_000, 980_000), user=5_000, net_rx=10, switches=50, shares={Share.GENERATOR: 1_100.0}
    ),
)
LOADED = rate(
    counters(20, shares={Share.GENERATOR: 0.0, Share.CONTAINERS: 500.0}),
    counters(
        22,
        idle=(1_600_000, 1_200_000),
        user=300_000,
        softirq=100_000,
        net_rx=4_020,
        switches=10_100,
        shares={Share.GENERATOR: 122_000.0, Share.CONTAINERS: 200_500.0},
    ),
)


def test_what_is_busy_is_what_is_not_idle_less_the_baseline_for_as_long() -> None:
    found = measure_cpu(IDLE, LOADED, 1_000, {0: "client", 1: "docker"})

    assert found is not None
    # 2 s of two cores: 0.4 s and 0.8 s busy; 10 and 20 ms a second were busy before.
    assert found.us_per_request == pytest.approx((400_000 + 800_000 - 2 * 30_000) / 1_000)
    assert [(core.core, core.host) for core in found.cores] == [(0, "client"), (1, "docker")]
    assert [core.us_per_request for core in found.cores] == pytest.approx([380, 760])
    assert [core.net_rx_per_request for core in found.cores] == pytest.approx([4, 4])
    assert found.sampled_us_per_request[Kind.USER] == pytest.approx((600_000 - 2 * 10_000) / 1_000)
    assert found.sampled_us_per_request[Kind.SOFTIRQ] == pytest.approx(200.0)
    assert found.attributed_us_per_request == {
        Share.GENERATOR: pytest.approx((122_000 - 2 * 1_000) / 1_000),
        Share.CONTAINERS: pytest.approx(200.0),
    }
    assert found.context_switches_per_request == pytest.approx(10.0)
    assert found.net_rx_per_request == pytest.approx(8.0)
    assert found.idle_cores == pytest.approx(0.03)
    assert (found.idle_s, found.window_s) == (1.0, 2.0)


def test_a_window_shorter_than_a_tick_has_no_core_that_was_less_than_idle() -> None:
    # As it was seen: 3.7 ms of a machine, in which the tick of both cores' idle time fell.
    short = rate(counters(0), counters(0.0037, idle=(TICK_US, TICK_US)))
    # A core's idle time with the waiting for disks in it, which went back by two ticks.
    back = rate(counters(0, idle=(810_166 * TICK_US, 0)), counters(0.5, idle=(810_164 * TICK_US, 480_000)))

    assert short.busy == {0: 0, 1: 0}
    assert back.busy == {0: 1e6, 1: pytest.approx(40_000)}


def test_a_longer_window_keeps_the_tick_that_it_has_too_much_so_that_means_are_right() -> None:
    found = rate(counters(0), counters(0.995, idle=(1_000_000, 990_000)))

    assert sum(found.busy.values()) == pytest.approx(0, abs=1e-6)


def test_a_machine_that_does_the_same_loaded_and_idle_has_no_cost_whatever_the_lengths() -> None:
    same = replace(IDLE, seconds=3.5)
    found = measure_cpu(IDLE, same, 10, {})

    assert found is not None
    assert found.us_per_request == 0
    assert {core.us_per_request for core in found.cores} == {0}
    assert {core.host for core in found.cores} == {"neither"}


def test_without_a_request_there_is_no_cost_of_one() -> None:
    assert measure_cpu(IDLE, LOADED, 0, {}) is None


@given(st.lists(st.floats(0, 1e6), min_size=2, max_size=2), st.floats(0.1, 10), st.integers(1, 10**6))
def test_the_cores_parts_are_the_whole(idle_us_a_s: list[float], seconds: float, requests: int) -> None:
    loaded = rate(counters(0), counters(seconds, idle=tuple(us * seconds for us in idle_us_a_s)))
    found = measure_cpu(IDLE, loaded, requests, {})

    assert found is not None
    assert sum(core.us_per_request for core in found.cores) == pytest.approx(found.us_per_request, abs=1e-6)


# The metric.


def test_cpu_is_compared_only_where_the_rate_is_given_and_the_generator_sleeps() -> None:
    closed, spinning, sleeping = (
        make_scenario(load=load) for load in (Load(), LOAD.model_copy(update={"pacing": "spin"}), LOAD)
    )

    assert CPU not in closed.metrics
    assert CPU not in spinning.metrics
    assert sleeping.metrics == (Metric.P50_LATENCY_US, Metric.P10_LATENCY_US, Metric.P99_LATENCY_US, CPU)


def test_a_claim_without_metrics_says_nothing_of_cpu() -> None:
    assert CPU not in Claim(id="c", text="better", better="host", than="bridge").metrics


@pytest.mark.parametrize("load", [Load(), LOAD.model_copy(update={"pacing": "spin"})])
def test_a_claim_on_cpu_alone_is_refused_where_it_is_not_measured(load: Load) -> None:
    claim = Claim(id="c", text="cheaper", better="host", than="bridge", metrics=(CPU,))

    with pytest.raises(ValueError, match=r"load\.pacing sleep"):
        make_scenario(load=load, claims=(claim,))


def test_a_closed_loop_cannot_sleep() -> None:
    with pytest.raises(ValueError, match=r"load\.pacing: is of the open model"):
        make_scenario(load=Load(pacing="sleep"))


def test_a_slot_that_measures_cpu_takes_its_idle_baseline_longer() -> None:
    seconds = [
        slot_seconds(conditions(make_scenario(load=load))[0])
        for load in (LOAD, LOAD.model_copy(update={"pacing": "spin"}))
    ]
    assert seconds[0] - seconds[1] == pytest.approx(IDLE_S)


@pytest.mark.parametrize("voids", [Voids.LATENCY, Voids.SLOT])
def test_lateness_voids_the_latency_alone_where_the_slot_is_there_for_something_else(voids: Voids) -> None:
    values = make_values(100) | {CPU: 200.0}
    late = OpenLoop(offered_rps=1e3, lateness_us=(40.0, 900.0, 2e3), waited=0)
    failed = next(gate for gate in check_open_loop(late, values, voids) if not gate.passed)
    usable = usable_metrics(values, [failed])

    assert failed.voids is voids
    assert (usable[Metric.P50_LATENCY_US] is None) is (voids is Voids.LATENCY)
    assert (usable[Metric.P99_LATENCY_US] is None) is (voids is Voids.LATENCY)
    assert usable[CPU] == 200


def test_a_machine_that_was_busy_before_the_load_voids_cpu_and_nothing_else() -> None:
    values = make_values(100) | {CPU: 200.0}
    [busy], [idle] = check_idle(MAX_IDLE_CORES + 0.01), check_idle(MAX_IDLE_CORES)

    assert usable_metrics(values, [busy]) == values | {CPU: None}
    assert usable_metrics(values, [idle]) == values
    assert is_valid([busy])


# Stored runs and their reports.


def record_of(arm: str, factor: float) -> CpuRecord:
    whole = (150 if arm == "host" else 180) * factor
    return CpuRecord(
        us_per_request=whole,
        sampled_us_per_request=dict.fromkeys(Kind, whole / 5),
        cores=(
            CoreCpu(core=0, host="client", us_per_request=whole / 3, net_rx_per_request=1.5),
            CoreCpu(core=1, host="docker", us_per_request=2 * whole / 3, net_rx_per_request=1.5),
        ),
        attributed_us_per_request={Share.DOCKER_PROXY: 0.0, Share.GENERATOR: 30.0, Share.CONTAINERS: 40.0},
        context_switches_per_request=3.25,
        net_rx_per_request=3.0,
        idle_cores=0.01,
        window_s=1.0,
        idle_s=1.0,
    )


def store_cpu_run(folder: Path, scenario: Scenario, **changes: Any) -> Run:
    slots = []
    for slot in plan_slots(scenario, seed=1):
        cpu = record_of(slot.arm, noise(slot))
        values = make_values(20 * noise(slot)) | {CPU: cpu.us_per_request}
        slots.append(make_slot_record(slot, values=values, cpu=cpu, **changes))
    record = make_run(scenario, slots=tuple(slots), warnings=())
    store.write_run(folder, record)
    for slot in record.planned:
        rows = [{"intended_ns": 1_000 + 9 * n, "done_ns": 21_000 + n**2} for n in range(60)]
        columns.write_requests(folder, slot.directory, make_records(rows))
    slot_table.write_slots_csv(folder, record.slots)
    return Run(folder)


def test_the_report_says_the_whole_machine_and_what_is_attributed_with_intervals(tmp_path: Path) -> None:
    run = store_cpu_run(tmp_path, make_scenario(blocks=8, load=LOAD))
    with few_resamples():
        machine, shares = tabulate_cpu(run)
        text = render_markdown(run)

    assert row(machine, "host")["Beyond host, 95 %"] == "the baseline"
    bridge = row(machine, "bridge")
    assert bridge["All cores, 95 %"].startswith(("179.", "180."))
    assert "[" in bridge["All cores, 95 %"]
    assert bridge["Ratio, 95 %"].startswith(("1.19", "1.20"))
    assert bridge["Word"] == "BETTER"
    assert row(shares, "host")["docker-proxy, us"] == "0.00 [0.00, 0.00]"
    assert row(shares, "host")["core 1 (docker), us"].startswith(("99.", "100."))
    assert row(shares, "bridge")["Context switches"] == "3.25 [3.25, 3.25]"
    assert "## CPU per request" in text
    assert "at CPU per request" in text.splitlines()[2]
    assert "CPU per request against host" in text


def test_of_several_arms_the_terminal_and_the_card_say_the_cpu(tmp_path: Path) -> None:
    third = Arm(name="third", mode="macvlan")
    scenario = make_scenario(blocks=8, load=LOAD, arms=(HOST, BRIDGE, third))
    run = store_cpu_run(tmp_path, scenario)
    with few_resamples():
        [terminal] = summarise(run)
        here, _ = tabulate_modes(run)

    assert terminal.caption == "CPU per request against host"
    assert [cells[0] for cells in terminal.rows] == ["bridge", "third"]
    assert row(here, "bridge")["CPU per request against host"].startswith("+")


def test_slots_csv_and_the_table_of_slots_have_cpu_only_where_it_was_measured(tmp_path: Path) -> None:
    run = store_cpu_run(tmp_path, make_scenario(blocks=4, load=LOAD))

    assert run.slots["cpu_us_per_request"].notna().all()
    assert run.slots["cpu_generator_us"].tolist() == [30.0] * len(run.slots)
    assert "CPU, us" in render_html(run)


def test_a_run_without_cpu_has_no_word_of_it_in_its_report(tmp_path: Path) -> None:
    run = store_run(tmp_path, make_scenario(blocks=4), requests=True)
    with few_resamples(), drawing_once():
        pages = render_html(run), render_markdown(run)

    assert tabulate_cpu(run) == []
    assert run.slots["cpu_us_per_request"].isna().all()
    assert not any("CPU per request" in page or "CPU, us" in page for page in pages)


def test_a_slot_without_cpu_where_it_is_asked_for_leaves_a_gap_and_no_error(tmp_path: Path) -> None:
    run = store_cpu_run(tmp_path, make_scenario(blocks=4, load=LOAD), gates=(make_gate(passed=False),))
    with few_resamples():
        machine, _ = tabulate_cpu(run)
        assert render_html(run)

    assert row(machine, "bridge")["All cores, 95 %"] == "–"


def test_what_a_late_sleeper_spoils_is_said_of_latency_and_of_nothing_else(tmp_path: Path) -> None:
    late = make_gate(name="generator lateness", passed=False, voids=Voids.LATENCY)
    run = store_cpu_run(tmp_path, make_scenario(blocks=4, load=LOAD), gates=(late,))
    with few_resamples():
        said = find_cautions(run)

    assert (
        "Latency is void in 16 slots, what else they measured is not: gate generator lateness (16)." in said
    )
    assert describe_gates(run.record.slots[0]).startswith("valid but for latency: generator lateness")


def test_false_verdicts_are_counted_on_cpu_too(tmp_path: Path) -> None:
    scenario = make_scenario(blocks=8, load=LOAD)
    run = store_cpu_run(tmp_path, scenario)
    with few_resamples():
        found = list(count_relabelled("run", scenario, [slot.metrics() for slot in run.record.slots], 2))

    assert any(CPU.label in rate_.setting for rate_ in found)
    assert not any(Metric.THROUGHPUT_RPS.label in rate_.setting for rate_ in found)
