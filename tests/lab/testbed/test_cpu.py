"""CPU per request: the kernel's clocks against work of a known size, and slots that measure it."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from math import inf
from pathlib import Path

import pytest

from bench.lab.hosts.readings import read_files
from bench.lab.instruments.cpu import Watch
from bench.lab.instruments.idle_states import IdleStates, hold_idle_states
from bench.measure.testbed import Bed
from bench.procfs import TICK_US
from bench.scenario.load import Load
from bench.slots.cpu import CpuRecord, Rates, Share, rate
from tests.lab.testbed.conftest import measure

RATE_RPS = 1000
"""Twenty microseconds of a thousand requests are two ticks of the clock by which a process is counted."""
SLEEPING = Load(model="open", pacing="sleep", rate_rps=RATE_RPS, connections=16, warm_up_s=0.1, measure_s=1.0)
ROUNDING_US = 3 * TICK_US
"""The kernel counts in ticks, at both ends of two spans."""
SAMPLING_US = 130_000.0
"""Of a second, where the tick goes on in an idle core: 250 looks at work of 0.3 of the time, at 4.5 sigma."""
ROUNDS = 5


@contextmanager
def duty_loop(core: int) -> Iterator[int]:
    """A process that works for 0.3 of the time, a bit at a time, on `core`; yields its number."""
    pid = os.fork()
    if pid == 0:
        os.sched_setaffinity(0, {core})
        begun, worked = time.monotonic(), time.process_time()
        while True:
            if time.process_time() - worked > 0.3 * (time.monotonic() - begun):
                time.sleep(0.0005)
    try:
        yield pid
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)


def watch_for(seconds: float, watch: Watch) -> Rates:
    before = watch.parse(read_files(watch.files))
    time.sleep(seconds)
    return rate(before, watch.parse(read_files(watch.files)))


@pytest.mark.parametrize("held", [True, False])
def test_a_core_is_busy_for_as_long_as_the_work_on_it_takes(held: bool) -> None:
    watch = Watch(group="", proxies=[], generator=f"/proc/{os.getpid()}/stat")
    core = max(os.sched_getaffinity(0))
    beyond_us: list[float] = []
    with hold_idle_states(None) if held else nullcontext():
        # Others who come to the core add to what is seen there: one round without them is enough.
        while len(beyond_us) < ROUNDS and min(beyond_us, default=inf) > SAMPLING_US:
            idle = watch_for(1, watch)
            with duty_loop(core) as pid:
                worked = watch_for(1, Watch(group="", proxies=[], generator=f"/proc/{pid}/stat"))
            own_us = worked.attributed[Share.GENERATOR]
            assert own_us > 0
            assert worked.busy[core] >= own_us - SAMPLING_US
            beyond_us.append(worked.busy[core] - idle.busy[core] - own_us)
    assert min(beyond_us) <= SAMPLING_US


@pytest.fixture(scope="module")
def measured(bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> dict[str, CpuRecord]:
    found = {}
    for arm in ("host", "bridge", "proxy"):
        record, _ = measure(bed, arm, tmp_path_factory.mktemp(arm), load=SLEEPING)
        assert record.cpu, record.failed_gates
        found[arm] = record.cpu
    return found


def test_where_cpu_is_measured_no_loop_keeps_cores_busy(bed: Bed, tmp_path: Path) -> None:
    record, _ = measure(bed, "host", tmp_path, load=SLEEPING)
    assert record.evidence["idle states"] != IdleStates.LOOPED


def test_docker_proxy_works_in_its_own_arm_alone(measured: dict[str, CpuRecord]) -> None:
    for arm, cpu in measured.items():
        assert (cpu.attributed_us_per_request[Share.DOCKER_PROXY] > 0) is (arm == "proxy")


def test_containers_and_generator_have_a_part_and_every_request_takes_receive_work(
    measured: dict[str, CpuRecord],
) -> None:
    for cpu in measured.values():
        assert cpu.attributed_us_per_request[Share.CONTAINERS] > 0
        assert cpu.attributed_us_per_request[Share.GENERATOR] > 0
        assert cpu.net_rx_per_request > 1
        assert {core.host for core in cpu.cores} >= {"client", "docker"}


def test_the_whole_machine_is_at_least_what_is_attributed(measured: dict[str, CpuRecord]) -> None:
    for cpu in measured.values():
        requests = RATE_RPS * cpu.window_s
        # With the baseline, which a neighbour may have raised who was gone when the load came.
        whole_us = cpu.us_per_request + 1e6 * cpu.idle_cores * cpu.window_s / requests
        rounding_us = ROUNDING_US * len(cpu.cores) / requests
        assert whole_us + rounding_us >= sum(cpu.attributed_us_per_request.values())
