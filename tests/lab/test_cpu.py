"""CPU per request: the kernel's clocks against work of a known size, and a small run that measures it."""

import os
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from math import inf
from pathlib import Path

import pytest

import bench as api
from bench.lab.hosts.readings import read_files
from bench.lab.instruments.cpu import Watch
from bench.measure.settings import hold_idle_states
from bench.procfs import TICK_US
from bench.slots.cpu import CpuRecord, Rates, Share, rate
from tests.lab.conftest import DONE, bench, only_run

RATE_RPS = 2000
SCENARIO = """
name = "small-cpu"
question = "What does a request cost?"
baseline = "host"
arms = [{name = "host", mode = "host"}, {name = "bridge", mode = "bridge"}, {name = "proxy", mode = "proxy"}]
[load]
model = "open"
pacing = "sleep"
rate_rps = RATE_RPS
connections = 16
warm_up_s = 0.1
measure_s = 0.5
[schedule]
blocks = 2
"""
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
    with hold_idle_states(held):
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
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cpu")
    (folder / "cpu.toml").write_text(SCENARIO.replace("RATE_RPS", str(RATE_RPS)))
    done = bench("run", folder / "cpu.toml", "--results", folder / "results", "--seed", 7)
    assert done.returncode in DONE, done.stderr
    return only_run(folder / "results")


def records(folder: Path) -> list[tuple[str, CpuRecord]]:
    found = [(record.slot.arm, record.cpu) for record in api.load(folder).record.slots]
    measured = [(arm, cpu) for arm, cpu in found if cpu]
    assert len(measured) == len(found) == 12
    return measured


def of_each_arm(folder: Path) -> dict[str, Counter[Share]]:
    """Arm -> us a request of each share, of all slots of the arm: of one, it may be less than a tick."""
    found: dict[str, Counter[Share]] = {}
    for arm, cpu in records(folder):
        found.setdefault(arm, Counter()).update(cpu.attributed_us_per_request)
    return found


def test_docker_proxy_works_in_its_own_arm_alone(finished: Path) -> None:
    for arm, shares in of_each_arm(finished).items():
        assert (shares[Share.DOCKER_PROXY] > 0) is (arm == "proxy")


def test_containers_and_generator_have_a_part_and_every_request_takes_receive_work(finished: Path) -> None:
    for shares in of_each_arm(finished).values():
        assert shares[Share.CONTAINERS] > 0
        assert shares[Share.GENERATOR] > 0
    for _, cpu in records(finished):
        assert cpu.net_rx_per_request > 1
        assert {core.host for core in cpu.cores} >= {"client", "docker"}


def test_the_whole_machine_is_at_least_what_is_attributed(finished: Path) -> None:
    for _, cpu in records(finished):
        requests = RATE_RPS * cpu.window_s
        # With the baseline, which a neighbour may have raised who was gone when the load came.
        whole_us = cpu.us_per_request + 1e6 * cpu.idle_cores * cpu.window_s / requests
        rounding_us = ROUNDING_US * len(cpu.cores) / requests
        assert whole_us + rounding_us >= sum(cpu.attributed_us_per_request.values())
