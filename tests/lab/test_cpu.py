"""CPU per request: the kernel's clocks against work of a known size, and a small run that measures it."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import bench as api
from bench.lab.hosts.readings import read_files
from bench.lab.instruments.cpu import Watch
from bench.measure.settings import hold_idle_states
from bench.slots.cpu import CpuRecord, Rates, Share, rate
from tests.lab.conftest import DONE, bench, only_run

SCENARIO = """
name = "small-cpu"
question = "What does a request cost?"
baseline = "host"
arms = [{name = "host", mode = "host"}, {name = "bridge", mode = "bridge"}, {name = "proxy", mode = "proxy"}]
load = {model = "open", pacing = "sleep", rate_rps = 800, connections = 16, warm_up_s = 0.1, measure_s = 0.5}
schedule = {blocks = 2}
"""
ROUNDING_US = 30_000.0
"""The kernel counts in 10 ms, at both ends of two spans."""
QUIET_CORES = 0.1


@contextmanager
def duty_loop(core: int) -> Iterator[int]:
    """A process that is busy for 0.3 of every millisecond, on `core`; yields its number."""
    pid = os.fork()
    if pid == 0:
        os.sched_setaffinity(0, {core})
        while True:
            until = time.monotonic() + 0.0003
            while time.monotonic() < until:
                pass
            time.sleep(0.0007)
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
    for _ in range(5):
        with hold_idle_states(held):
            idle = watch_for(1, watch)
            with duty_loop(core) as pid:
                worked = watch_for(1, Watch(group="", proxies=[], generator=f"/proc/{pid}/stat"))
            again = watch_for(0.5, watch)
        if max(sum(idle.busy.values()), sum(again.busy.values())) < QUIET_CORES * 1e6:
            break
    else:
        pytest.skip("the machine is not quiet: what else it does would be counted with the work")
    own_us = worked.attributed[Share.GENERATOR]

    assert own_us > 100_000
    assert worked.busy[core] - idle.busy[core] == pytest.approx(own_us, abs=ROUNDING_US + 1e6 * QUIET_CORES)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cpu")
    (folder / "cpu.toml").write_text(SCENARIO)
    done = bench("run", folder / "cpu.toml", "--results", folder / "results", "--seed", 7)
    assert done.returncode in DONE, done.stderr
    return only_run(folder / "results")


def records(folder: Path) -> list[tuple[str, CpuRecord]]:
    found = [(record.slot.arm, record.cpu) for record in api.load(folder).record.slots]
    measured = [(arm, cpu) for arm, cpu in found if cpu]
    assert len(measured) == len(found) == 12
    return measured


def test_docker_proxy_works_in_its_own_arm_alone(finished: Path) -> None:
    for arm, cpu in records(finished):
        used_us = cpu.attributed_us_per_request[Share.DOCKER_PROXY]
        assert (used_us > 0) is (arm == "proxy")
        assert used_us >= 0


def test_containers_and_generator_have_a_part_and_every_request_takes_receive_work(finished: Path) -> None:
    for _, cpu in records(finished):
        assert cpu.attributed_us_per_request[Share.CONTAINERS] > 0
        assert cpu.attributed_us_per_request[Share.GENERATOR] > 0
        assert cpu.net_rx_per_request > 1
        assert {core.host for core in cpu.cores} >= {"client", "docker"}


def test_the_whole_machine_is_at_least_what_is_attributed(finished: Path) -> None:
    quiet = 0
    for _, cpu in records(finished):
        if cpu.idle_cores > QUIET_CORES:
            continue  # What ran before the load and not beside it is subtracted from the whole alone.
        quiet += 1
        # Nothing is known to 10 ms more closely, nor may a core have been less idle than the baseline.
        slack_us = (ROUNDING_US * len(cpu.cores) + 1e6 * QUIET_CORES * cpu.window_s) / (800 * cpu.window_s)
        assert cpu.us_per_request + slack_us >= sum(cpu.attributed_us_per_request.values())
    if not quiet:
        pytest.skip("the machine is not quiet: the idle baseline is not one")
