"""Something breaks in the middle of a slot: the slot is INVALID and says why, and nothing else is lost."""

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import docker
import pytest
from docker.errors import DockerException
from docker.models.containers import Container, ContainerCollection

import bench as api
from bench import paths
from bench.records.run import RunRecord, SlotRecord, Status
from tests.lab.conftest import (
    DONE,
    PATIENCE_S,
    bench,
    bench_argv,
    only_run,
    wait_for_slot,
    wait_until,
    write_scenario,
)
from tests.lab.world import World, snapshot

MEASURE_S = 2.0
"""Long enough that a fault which comes with a slot's first packets comes before its last ones."""
DISK_BYTES = 400_000
LOADED_PACKETS = 500
"""More than a container's start, its probes and what is read of it make."""


def living_run() -> Path:
    [journal] = paths.STATE.glob("*/journal.jsonl")
    return journal.parent


def init_of(host: str) -> str:
    lines = (living_run() / "journal.jsonl").read_text().splitlines()
    entries = [json.loads(line) for line in lines]
    return str(next(entry["pid"] for entry in entries if entry.get("what") == f"init of host {host}"))


def packets_to_docker1() -> int:
    """What its uplink has received."""
    lines = Path(f"/proc/{init_of('docker1')}/net/dev").read_text().splitlines()
    [uplink] = [line.split() for line in lines if line.strip().startswith("eth0:")]
    return int(uplink[2])


@contextmanager
def containers() -> Iterator[ContainerCollection]:
    """Of an engine that may just have been started again."""
    opened: list[docker.DockerClient] = []

    def answers() -> bool:
        with suppress(DockerException):
            opened.append(docker.DockerClient(base_url=f"unix://{living_run()}/docker1/docker.sock"))
        return bool(opened)

    wait_until(answers, "an answer of the engine")
    [client] = opened
    try:
        yield client.containers
    finally:
        client.close()


def under_load() -> Container:
    """The container of a slot whose load has just begun."""
    with containers() as found:
        # Sparse: who is gone between the list and a look at each is no fault.
        seen = {container.id for container in found.list(sparse=True)}
        new: list[Container] = []

        def is_there() -> bool:
            new[:] = [container for container in found.list(sparse=True) if container.id not in seen]
            return bool(new)

        wait_until(is_there, "a new slot")
    begun = packets_to_docker1()
    wait_until(lambda: packets_to_docker1() > begun + LOADED_PACKETS, "its load")
    return new[0]


def kill_engine() -> None:
    under_load()
    pid = (living_run() / "docker1" / "dockerd.pid").read_text()
    subprocess.run(
        ["nsenter", "-t", init_of("docker1"), "--pid", "--mount", "kill", "-KILL", pid], check=True
    )


def kill_apache() -> None:
    under_load().kill()


def starve_apache() -> None:
    container = under_load()
    container.update(mem_limit="48m", memswap_limit="48m")
    # Apache is the first that the kernel takes when another process of the container eats the memory.
    script = (
        "for p in /proc/[0-9]*; do echo 1000 > $p/oom_score_adj; done; echo 0 > /proc/self/oom_score_adj; "
    )
    container.exec_run(["sh", "-c", script + "exec tail /dev/zero"], detach=True)


def cut_link() -> None:
    under_load()
    link = ["nsenter", "-t", init_of("switch"), "--net", "ip", "link", "set", "p-docker1"]
    subprocess.run([*link, "down"], check=True)
    time.sleep(MEASURE_S / 4)  # TCP sends again after 0.2 s without an answer.
    subprocess.run([*link, "up"], check=True)


def broken_slots(record: RunRecord, word: str) -> list[SlotRecord]:
    return [
        slot
        for slot in record.slots
        if any(word in f"{gate.name} {gate.seen} {gate.detail}" for gate in slot.failed_gates)
    ]


FAULTS: dict[str, tuple[Callable[[], None], str]] = {
    "the engine is killed": (kill_engine, "engine of docker1 has ended"),
    "the link goes down": (cut_link, "retransmits"),
    "Apache is killed": (kill_apache, "exited, exit code 137"),
    "Apache is out of memory": (starve_apache, "out of its memory"),
}
"""Not more than two in a row that leave a slot without a request: a third would end the run."""


@dataclass(frozen=True)
class Survived:
    """A run in which everything broke once, a slot after another."""

    folder: Path
    record: RunRecord
    before: World
    after: World


@pytest.fixture(scope="module")
def survived(tmp_path_factory: pytest.TempPathFactory) -> Survived:
    folder, before = tmp_path_factory.mktemp("survived"), snapshot()
    scenario = write_scenario(folder, 3)
    scenario.write_text(scenario.read_text().replace("measure_s = 0.3", f"measure_s = {MEASURE_S}"))
    with subprocess.Popen(
        bench_argv("run", scenario, "--results", folder / "results", "--seed", 3),
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    ) as process:
        wait_for_slot(process, 1)
        for fault, _ in FAULTS.values():
            fault()
        _, said = process.communicate(timeout=PATIENCE_S)
    assert process.returncode in DONE, said
    assert "Traceback" not in said
    run = only_run(folder / "results")
    return Survived(run, api.load(run).record, before, snapshot())


@pytest.mark.parametrize("name", FAULTS)
def test_the_slot_is_invalid_and_says_why(name: str, survived: Survived) -> None:
    broken = broken_slots(survived.record, FAULTS[name][1])
    assert 1 <= len(broken) <= 2
    assert not any(slot.valid for slot in broken)


def test_a_run_in_which_everything_breaks_goes_on_to_its_end_and_leaves_the_machine_as_it_was(
    survived: Survived,
) -> None:
    assert len(survived.record.slots) == len(survived.record.planned)
    assert survived.record.status is Status.COMPLETE
    whole = [slot for slot in survived.record.slots if slot.measured]
    assert len(whole) >= len(survived.record.planned) - len(FAULTS)
    assert survived.after == survived.before


def test_what_could_not_be_measured_is_measured_by_resuming_and_nothing_else(survived: Survived) -> None:
    kept = tuple(slot for slot in survived.record.slots if slot.measured)
    assert len(kept) < len(survived.record.slots)
    assert bench("resume", survived.folder).returncode in DONE
    resumed = api.load(survived.folder).record
    assert resumed.status is Status.COMPLETE
    assert tuple(slot.slot for slot in resumed.slots) == resumed.planned
    assert all(slot.measured for slot in resumed.slots)
    assert tuple(slot for slot in resumed.slots if slot in kept) == kept


def test_a_full_disk_ends_the_run_in_one_paragraph_and_keeps_what_was_written(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(disk)], check=True)
    scenario = write_scenario(tmp_path, 40)
    # At a rate that is given, so that a slot fills as much of the disk on a fast machine as on a slow one.
    load = 'load = {model = "open", rate_rps = 3000, connections = 4, '
    scenario.write_text(scenario.read_text().replace("load = {", load))
    try:
        done = bench("run", scenario, "--results", disk)
        assert done.returncode == 3, done.stderr
        assert "No space left on device" in done.stderr
        assert "Traceback" not in done.stderr
        run = api.load(only_run(disk))
        measured = [slot for slot in run.record.slots if slot.measured]
        assert measured
        for slot in measured:
            assert len(run.requests(slot.slot.index)) == slot.requests
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_a_clock_that_is_put_back_and_forth_moves_no_figure_and_keeps_no_run_from_its_end(
    tmp_path: Path,
) -> None:
    """Of the run's processes alone: the machine's own clock is left as it is."""
    clock, library = tmp_path / "clock", tmp_path / "clock.so"
    source = Path(__file__).with_name("clock.c")
    subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", library, source], check=True)
    clock.write_text("0")
    environment = {**os.environ, "LD_PRELOAD": str(library), "CLOCK_OFF_BY": str(clock)}
    scenario, results = write_scenario(tmp_path, 3), tmp_path / "results"
    begun = time.monotonic()
    with subprocess.Popen(
        bench_argv("run", scenario, "--results", results),
        env=environment,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    ) as process:
        for number, moment in enumerate(("-3600", "172800"), start=1):
            wait_for_slot(process, number)
            clock.write_text(moment)
        _, said = process.communicate(timeout=PATIENCE_S)
    lasted_s = time.monotonic() - begun
    assert process.returncode in DONE, said
    record = api.load(only_run(results)).record
    assert record.status is Status.COMPLETE
    assert record.finished_at is not None
    starts = [datetime.fromisoformat(slot.started_at) for slot in record.slots]
    assert max(starts) - min(starts) > timedelta(days=1), "the clock was not put forth"
    assert sum(slot.seconds for slot in record.slots) < lasted_s
    assert all(slot.requests for slot in record.slots)
    for command in (("verify", only_run(results), "--deep"), ("list", "--results", results)):
        done = bench(*command)
        assert done.returncode == 0, done.stderr
