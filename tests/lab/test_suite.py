"""A suite of three small scenarios, from the command line to its index."""

import json
import signal
import subprocess
from pathlib import Path

import bench as api
from bench.records.run import Status
from bench.results import store
from tests.lab.conftest import DONE, PATIENCE_S, Starter, bench, bench_argv, wait_for_slot, write_scenario
from tests.lab.world import snapshot


def write_scenarios(folder: Path, *names: str) -> list[Path]:
    small = write_scenario(folder, 2).read_text()
    paths = [folder / f"{name}.toml" for name in names]
    for path in paths:
        path.write_text(small.replace('name = "small"', f'name = "{path.stem}"'))
    return paths


def test_a_suite_survives_a_scenario_that_fails_and_an_interruption_and_resuming_does_what_is_left(
    tmp_path: Path, start_bench: Starter
) -> None:
    results = tmp_path / "results"
    results.mkdir()
    (results / "failing").write_text("a file where the scenario's folder should be")
    scenarios = write_scenarios(tmp_path, "failing", "finished", "interrupted")
    world = snapshot()
    process = start_bench("run", *scenarios, "--results", results, "--seed", 5)
    wait_for_slot(process, 8)  # The last of the one that is finished,
    wait_for_slot(process, 2)  # and the second of the next.
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130
    assert "Traceback" not in said
    [suite] = (results / "suite").iterdir()
    assert f"bench resume {suite}" in said
    record = store.read_suite(suite)
    assert record.status is Status.INTERRUPTED
    assert [entry.status for entry in record.entries] == [Status.FAILED, Status.COMPLETE, Status.INTERRUPTED]
    assert "Making the run&#39;s folder" in (suite / "index.html").read_text()
    finished, interrupted = (suite / str(entry.run) for entry in record.entries[1:])
    before = (finished / "run.json").read_bytes()
    kept, planned = api.load(interrupted).record.slots, api.load(interrupted).record.planned
    assert 2 <= len(kept) < 8
    assert (interrupted / "report.html").exists()
    assert snapshot() == world

    done = bench("resume", suite, "--json")

    assert done.returncode == 3, done.stderr
    printed = json.loads(done.stdout)
    assert printed["exit_code"] == 3
    assert [each["scenario"] for each in printed["scenarios"]] == ["failing", "finished", "interrupted"]
    assert printed["scenarios"][0]["exit_code"] == 3
    assert "Making the run's folder" in printed["scenarios"][0]["fault"]
    assert [each["status"] for each in printed["scenarios"][1:]] == ["complete", "complete"]
    assert (finished / "run.json").read_bytes() == before
    resumed = api.load(interrupted).record
    assert resumed.slots[: len(kept)] == kept
    assert tuple(slot.slot for slot in resumed.slots) == resumed.planned == planned

    (results / "failing").unlink()
    done = bench("resume", suite, "--json")

    assert done.returncode in DONE, done.stderr
    printed = json.loads(done.stdout)
    assert printed["exit_code"] == done.returncode
    assert [each["status"] for each in printed["scenarios"]] == ["complete"] * 3
    assert (finished / "run.json").read_bytes() == before
    assert store.read_suite(suite).status is Status.COMPLETE
    assert_index_leads_to_all_reports(suite)
    again = bench("resume", suite)
    assert again.returncode == 2
    assert "all of its runs have ended" in again.stderr


def assert_index_leads_to_all_reports(suite: Path) -> None:
    page = (suite / "index.html").read_text()
    assert "Making the run" not in page
    for entry in store.read_suite(suite).entries:
        run = (suite / str(entry.run)).resolve()
        address = f"../../{run.parent.name}/{run.name}/report.html"
        assert f'href="{address}"' in page
        assert (suite / address).exists()


def test_a_suite_names_the_scenario_whose_disk_is_full_and_goes_on_with_the_next(tmp_path: Path) -> None:
    full = tmp_path / "results" / "full"
    full.mkdir(parents=True)
    run = bench_argv("run", *write_scenarios(tmp_path, "full", "next"), "--results", tmp_path / "results")
    shell = f'mount -t tmpfs -o size=64k none {full}; exec "$@"'
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", shell, "limited", *run],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )

    assert done.returncode == 3, done.stderr
    assert "bug" not in done.stderr
    [suite] = (tmp_path / "results" / "suite").iterdir()
    first, last = store.read_suite(suite).entries
    assert first.status is Status.FAILED
    assert "No space left on device" in first.fault
    assert last.status is Status.COMPLETE
