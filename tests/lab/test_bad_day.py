"""Something breaks in the middle of a slot: the slot is INVALID and says why, and nothing else is lost."""

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import docker
import pytest
from docker.models.containers import Container, ContainerCollection

import bench as api
from bench.records.run import RunRecord, SlotRecord, Status
from tests.lab.conftest import (
    DONE,
    PATIENCE_S,
    Starter,
    bench,
    only_run,
    wait_for_slot,
    wait_until,
    write_scenario,
)
from tests.lab.world import snapshot

MEASURE_S = 3.0
"""Long enough that a fault which comes with a slot's first packets comes before its last ones."""
LOADED_PACKETS = 500
"""More than a container's start, its probes and what is read of it make."""


def living_run() -> Path:
    [journal] = Path("/var/lib/bench").glob("*/journal.jsonl")
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
    client = docker.DockerClient(base_url=f"unix://{living_run()}/docker1/docker.sock")
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


@pytest.mark.parametrize(
    ("fault", "word"),
    [
        (kill_engine, "engine of docker1 has ended"),
        (kill_apache, "exited, exit code 137"),
        (starve_apache, "out of its memory"),
        (cut_link, "retransmits"),
    ],
    ids=["the engine is killed", "Apache is killed", "Apache is out of memory", "the link goes down"],
)
def test_the_slot_is_invalid_and_says_why_and_the_run_goes_on(
    fault: Callable[[], None], word: str, tmp_path: Path, start_bench: Starter
) -> None:
    before = snapshot()
    scenario = write_scenario(tmp_path, 2)
    scenario.write_text(scenario.read_text().replace("measure_s = 0.3", f"measure_s = {MEASURE_S}"))
    process = start_bench("run", scenario, "--results", tmp_path / "results", "--seed", 3)
    wait_for_slot(process, 1)
    fault()
    _, said = process.communicate(timeout=PATIENCE_S)
    assert process.returncode in DONE, said
    assert "Traceback" not in said
    folder = only_run(tmp_path / "results")
    record = api.load(folder).record
    assert len(record.slots) == len(record.planned)
    assert 1 <= len(broken_slots(record, word)) <= 2, said
    assert not any(slot.valid for slot in broken_slots(record, word))
    assert snapshot() == before

    unmeasured = [slot for slot in record.slots if not slot.measured]
    if unmeasured:
        assert bench("resume", folder).returncode in DONE
        resumed = api.load(folder).record
        assert resumed.status is Status.COMPLETE
        assert tuple(slot.slot for slot in resumed.slots) == resumed.planned
        assert all(slot.measured for slot in resumed.slots)
        assert [slot for slot in resumed.slots if slot in record.slots] == [
            slot for slot in record.slots if slot.measured
        ]


def test_a_full_disk_ends_the_run_in_one_paragraph_and_keeps_what_was_written(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(disk)], check=True)
    try:
        done = bench("run", write_scenario(tmp_path, 40), "--results", disk)
        assert done.returncode == 3, done.stderr
        assert "No space left on device" in done.stderr
        assert "Traceback" not in done.stderr
        record = api.load(only_run(disk)).record
        assert record.slots
        measured = [slot for slot in record.slots if slot.measured]
        for slot in measured:
            assert len(api.load(only_run(disk)).requests(slot.slot.index)) == slot.requests
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)
