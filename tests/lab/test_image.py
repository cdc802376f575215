"""bench in its own image, on a machine that has Docker and nothing else: a container is all it leaves."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.errors import ExitCode
from bench.lab.hosts.command import Done
from bench.lab.hosts.lock import machine_lock
from tests.lab.conftest import DONE, PATIENCE_S, bench, only_run, wait_until, write_scenario
from tests.lab.machines import COMMON, Machine, MachinePlan, machines

HOME = "/root"
RUN = ("docker", "run", "--network", "none")
SHARED = ("--privileged", "--volume", f"{HOME}/results:/results")
PIDS = pytest.mark.parametrize("pids", [(), ("--pid", "host")], ids=["own processes", "the machine's"])


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("image") / "bench-image.tar"
    made = subprocess.run(
        [sys.executable, "-m", "bench.lab.servers.bench_image", str(path)],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    return path


@pytest.fixture(scope="module")
def machine(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    scenario = write_scenario(tmp_path_factory.mktemp("scenario"))
    with machine_lock("tests of bench's image"), machines(MachinePlan("docker1")) as found:
        there = found["docker1"]
        assert there.load_image(archive) == "bench:latest"
        there.host.run(["mkdir", f"{HOME}/results"])
        there.host.put(f"{HOME}/results/small.toml", [scenario.read_bytes()])
        yield there


def type_at(machine: Machine, *argv: str) -> Done:
    environment = {**COMMON, "HOME": HOME, "BENCH_TESTS": os.environ["BENCH_TESTS"]}
    return machine.host.attempt(argv, timeout_s=PATIENCE_S, environment=environment)


def look(machine: Machine) -> dict[str, list[str]]:
    """What a person has there besides the results."""
    found = machine.look()
    found["files"] = [line for line in found["files"] if f" {HOME}/results" not in line]
    groups = machine.host.run(["find", "/sys/fs/cgroup", "-name", "bench-*"]).splitlines()
    found["control groups"] = sorted(path for path in groups if not path.endswith(f"/{machine.cgroup}"))
    return found


@PIDS
def test_a_machine_with_nothing_but_docker_measures_and_keeps_the_results_alone(
    machine: Machine, pids: tuple[str, ...]
) -> None:
    before, folder = look(machine), f"/results/own{len(pids)}"
    done = type_at(
        machine, *RUN, "--rm", *SHARED, *pids, "bench", "run", "/results/small.toml", "--results", folder
    )
    assert done.status in DONE, done.output
    assert "claim article: " in done.output
    assert ("'quiet cores' cannot tell" in done.output) is (not pids)
    run = only_run(machine.host.get(f"{HOME}{folder}"))
    assert (run / "report.html").exists()
    assert bench("verify", run).returncode == ExitCode.DONE
    assert look(machine) == before


@PIDS
@pytest.mark.parametrize("end", ["kill", "stop"])
def test_a_container_that_is_ended_amid_a_run_leaves_the_results_alone(
    machine: Machine, end: str, pids: tuple[str, ...]
) -> None:
    before = look(machine)
    asked = ("--detach", "--name", "ended", *SHARED, *pids, "bench", "run", "/results/small.toml")
    started = type_at(machine, *RUN, *asked)
    assert started.status == 0, started.output
    container = machine.docker.containers.get("ended")
    try:
        wait_until(lambda: b"slot 1/" in container.logs(), "the first slot")
        getattr(container, end)()
        code = container.wait(timeout=PATIENCE_S)["StatusCode"]
        assert code == (ExitCode.INTERRUPTED if end == "stop" else 137)
    finally:
        container.remove(force=True)
    assert look(machine) == before


def test_without_the_rights_of_root_it_says_which_it_lacks_and_how_they_are_given(machine: Machine) -> None:
    before = look(machine)
    done = type_at(machine, *RUN, "--rm", "bench", "run", "quick")
    assert done.status == ExitCode.ENVIRONMENT
    assert "root without CAP_NET_ADMIN and CAP_SYS_ADMIN" in done.output
    assert "docker run --privileged" in done.output
    assert look(machine) == before
