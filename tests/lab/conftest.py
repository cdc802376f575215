"""Lab tests make real namespaces and start real Docker, Apache and Locust; they need root.

None of them asks that the machine be quiet: a slot that a busy neighbour made INVALID is as good a slot
to see the machinery by. What must hold is asked of paths, counts, files and what is left behind.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench.lab.hosts import requirements
from bench.lab.hosts.journal import Journal, undo, undo_dead_runs
from bench.lab.hosts.lock import machine_lock
from bench.lab.hosts.namespaces import HostPlan, NamespaceHost, namespace_host
from bench.slots.gates.gate import GateKind

SCENARIO = """
name = "small"
question = "Does a small run work?"
baseline = "host"
arms = [{name = "host", mode = "host"}, {name = "bridge", mode = "bridge"}]
claims = [{id = "article", text = "host is better", better = "host", than = "bridge"}]
load = {warm_up_s = 0.1, measure_s = 0.3}
schedule = {blocks = BLOCKS, sessions = SESSIONS}
"""
PATIENCE_S = 600
"""Bound of every wait of these tests, image and engine roots included; none comes near it unless it fails."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    missing = [need.name for need in requirements.requirements() if not need.met]
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.lab)
            if missing:
                item.add_marker(pytest.mark.skip(reason=f"a lab needs {', '.join(missing)}"))


@pytest.fixture(scope="session", autouse=True)
def _machine() -> None:
    """The machine as it is without what tests that were killed have left on it."""
    with machine_lock("tests of the lab"):
        undo_dead_runs()


@pytest.fixture(scope="module")
def host() -> Iterator[NamespaceHost]:
    """A host of the lab, alone: no engine, no wire."""
    with machine_lock("tests of a host"):
        notes = Journal(f"test-{os.getpid()}-{time.monotonic_ns()}")
        try:
            with namespace_host(HostPlan("alone", (), "0"), notes) as living:
                yield living
        finally:
            undo(notes.run_id)


def write_scenario(folder: Path, blocks: int = 3, sessions: int = 1, extra: str = "") -> Path:
    path = folder / "small.toml"
    text = SCENARIO.replace("BLOCKS", str(blocks)).replace("SESSIONS", str(sessions))
    path.write_text(text + extra)
    return path


def bench_argv(*options: object) -> list[str]:
    return [sys.executable, "-m", "bench", *map(str, options)]


def bench(*options: object) -> subprocess.CompletedProcess[str]:
    """Run the `bench` command to its end."""
    return subprocess.run(
        bench_argv(*options), capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )


def only_run(results: Path) -> Path:
    [folder] = results.glob("*/*")
    return folder


DONE = {0, 4}
"""Exit codes of a run that came to its end: on a busy machine its measurement is INVALID, and says so."""
MADE_BY_OTHERS = {
    GateKind.IDLE_BASELINE,
    GateKind.QUIET_CORES,
    GateKind.NEW_PROCESSES,
    GateKind.STEAL,
    GateKind.STOOD_STILL,
    GateKind.RETRANSMITS,
    GateKind.REQUESTS,
    GateKind.GENERATOR,
}
"""Gates that a machine with other work fails: what these tests are about is the rest."""
Starter = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start_bench() -> Iterator[Starter]:
    """Start `bench` and go on; whatever is still running at the end of the test is ended."""
    started: list[subprocess.Popen[str]] = []

    def start(*options: object) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            bench_argv(*options), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE_S)


def wait_for_slot(process: "subprocess.Popen[str]", number: int) -> None:
    """Read the progress of a started run until slot `number` is done."""
    assert process.stderr
    seen = []
    for line in process.stderr:
        seen.append(line)
        if line.startswith(f"slot {number}/"):
            return
    pytest.fail(f"slot {number} was never done:\n{''.join(seen)}")


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen"
        time.sleep(0.05)


def is_alive(pid: int) -> bool:
    """Whether `pid` runs, and is not only waiting for its parent to take notice of its end."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
