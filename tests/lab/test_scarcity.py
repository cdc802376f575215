"""Little of everything: descriptors, processes, memory, disk, rights. A paragraph each, and nothing left."""

import re
import secrets
import signal
import subprocess
import time
from pathlib import Path

import pytest

import bench as api
from bench import paths
from tests.lab.conftest import (
    DONE,
    PATIENCE_S,
    Starter,
    bench,
    bench_argv,
    only_run,
    wait_for_slot,
    wait_until,
    write_scenario,
)
from tests.lab.world import snapshot

PROGRESS = re.compile(r"(plan|lab|engine|image|modes|slots?|report)\b")
CONTROL_GROUPS = Path("/sys/fs/cgroup")
OF_THE_CONTRACT = {0, 3, 4}
LIMITS = {
    "24 descriptors": "ulimit -n 24",
    "64 descriptors": "ulimit -n 64",
    "0.4 GB of addresses": "ulimit -v 400000",
    "1.2 GB of addresses": "ulimit -v 1200000",
    "files of 64 KiB": "ulimit -f 64",
    "a full folder for temporary files": "mount -t tmpfs -o size=16k none {temporary}"
    " && cp /dev/zero {temporary}/full; export TMPDIR={temporary}",
    "a cache that cannot be written": f"mount -t tmpfs -o ro none {paths.CACHE}",
    "a state that cannot be written": f"mount -t tmpfs -o ro none {paths.STATE}",
    "a full state": f"mount -t tmpfs -o size=16k none {paths.STATE} && cp /dev/zero {paths.STATE}/full",
    "results that cannot be written": "mount -t tmpfs -o ro none {results}",
    "full results": "mount -t tmpfs -o size=64k none {results}",
    "no idle states to hold": "mount --bind /dev/full /dev/cpu_dma_latency",
}
"""Each set in a shell of its own, in a mount namespace of its own, before bench takes its place."""


def run_under(limit: str, tmp_path: Path, *options: object) -> subprocess.CompletedProcess[str]:
    results = tmp_path / "results"
    results.mkdir(exist_ok=True)
    argv = bench_argv("run", write_scenario(tmp_path, blocks=2), "--results", results, *options)
    temporary = tmp_path / "temporary"
    temporary.mkdir(exist_ok=True)
    shell = f'{limit.format(results=results, temporary=temporary)} 2>/dev/null; exec "$@"'
    return subprocess.run(
        ["unshare", "--mount", "bash", "-c", shell, "limited", *argv],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


@pytest.mark.parametrize("limit", LIMITS)
def test_a_run_with_too_little_of_something_says_so_in_a_paragraph_or_does_without_and_leaves_nothing(
    limit: str, tmp_path: Path
) -> None:
    before = snapshot()
    done = run_under(LIMITS[limit], tmp_path)
    said = done.stderr

    assert done.returncode in OF_THE_CONTRACT, said
    assert "Traceback" not in said, said
    if done.returncode == 3:
        # What was said beside the progress; its reason may be another program's, of several lines.
        reason = "\n".join(line for line in said.splitlines() if not PROGRESS.match(line))
        assert 60 < len(reason) < 1_000, f"one clear paragraph, not:\n{reason}"
    assert bench("clean").returncode == 0
    assert snapshot() == before


GROUPS = [
    # Controller, its file in version 1 and in version 2 of control groups, value.
    ("pids", "pids.max", "pids.max", "12"),
    ("pids", "pids.max", "pids.max", "40"),
    ("memory", "memory.limit_in_bytes", "memory.max", "120M"),
]


@pytest.mark.parametrize(("controller", "first", "second", "value"), GROUPS)
def test_a_run_that_may_have_few_processes_or_little_memory_says_so_or_is_killed_and_is_cleaned_up(
    controller: str, first: str, second: str, value: str, tmp_path: Path
) -> None:
    is_second = (CONTROL_GROUPS / "cgroup.controllers").exists()
    group = CONTROL_GROUPS / ("" if is_second else controller) / f"tests-{secrets.token_hex(4)}"
    limit = group / (second if is_second else first)
    try:
        group.mkdir()
    except OSError as fault:
        pytest.skip(f"no control group can be made here: {fault}")
    before = snapshot()
    try:
        if not limit.exists():
            pytest.skip(f"control groups here have no {limit.name}")
        limit.write_text(value)
        done = run_under(f"echo $$ > {group}/cgroup.procs", tmp_path)
        assert done.returncode in OF_THE_CONTRACT | {-signal.SIGKILL, 128 + signal.SIGKILL}, done.stderr
        assert "Traceback" not in done.stderr, done.stderr
        assert bench("clean").returncode == 0
        assert snapshot() == before
    finally:
        wait_until(lambda: not (group / "cgroup.procs").read_text(), "the end of what was limited")
        group.rmdir()


def test_a_controller_that_was_stopped_in_a_slot_voids_that_slot_and_the_run_goes_on(
    tmp_path: Path, start_bench: Starter
) -> None:
    scenario = write_scenario(tmp_path, blocks=2)
    scenario.write_text(scenario.read_text().replace("measure_s = 0.3", "measure_s = 2.0"))
    process = start_bench("run", scenario, "--results", tmp_path / "results")
    wait_for_slot(process, 2)
    time.sleep(1.5)  # The next slot is in its window.
    process.send_signal(signal.SIGSTOP)
    time.sleep(8)
    process.send_signal(signal.SIGCONT)
    _, said = process.communicate(timeout=PATIENCE_S)

    assert process.returncode in DONE, said
    slots = api.load(only_run(tmp_path / "results")).record.slots
    assert len(slots) == 8
    still = [slot for slot in slots if any(gate.name == "stood still" for gate in slot.failed_gates)]
    assert [slot.slot.index for slot in still] == [2]
