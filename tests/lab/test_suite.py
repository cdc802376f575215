"""A suite of two small scenarios, from the command line to its index."""

import json
import signal
from pathlib import Path

import bench as api
from bench.records.run import Status
from bench.results import store
from tests.lab.conftest import DONE, PATIENCE_S, Starter, bench, wait_for_slot, write_scenario


def write_two(folder: Path) -> list[Path]:
    first = write_scenario(folder, 2)
    second = folder / "second.toml"
    second.write_text(first.read_text().replace('name = "small"', 'name = "second"'))
    return [first, second]


def test_an_interrupted_suite_goes_on_with_the_interrupted_run_and_leaves_the_finished_one_alone(
    tmp_path: Path, start_bench: Starter
) -> None:
    results = tmp_path / "results"
    process = start_bench("run", *write_two(tmp_path), "--results", results, "--seed", 5)
    wait_for_slot(process, 8)  # The last of the first run,
    wait_for_slot(process, 2)  # and the second of the second.
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130
    assert "Traceback" not in said
    [suite] = (results / "suite").iterdir()
    assert f"bench resume {suite}" in said
    record = store.read_suite(suite)
    assert record.status is Status.INTERRUPTED
    assert [entry.status for entry in record.entries] == [Status.COMPLETE, Status.INTERRUPTED]
    first, second = (suite / str(entry.run) for entry in record.entries)
    before = (first / "run.json").read_bytes()
    kept = api.load(second).record.slots
    assert 2 <= len(kept) < 8

    done = bench("resume", suite, "--json")

    assert done.returncode in DONE, done.stderr
    printed = json.loads(done.stdout)
    assert printed["exit_code"] == done.returncode
    assert [each["scenario"] for each in printed["scenarios"]] == ["small", "second"]
    assert (first / "run.json").read_bytes() == before
    assert api.load(second).record.slots[: len(kept)] == kept
    assert api.load(second).record.status is Status.COMPLETE
    assert store.read_suite(suite).status is Status.COMPLETE
    page = (suite / "index.html").read_text()
    for run in (first, second):
        address = f"../../{run.parent.name}/{run.name}/report.html"
        assert f'href="{address}"' in page
        assert (suite / address).exists()
    again = bench("resume", suite)
    assert again.returncode == 2
    assert "all of its runs have ended" in again.stderr


def test_a_scenario_that_fails_does_not_lose_the_others_and_is_tried_again_by_resuming(
    tmp_path: Path,
) -> None:
    results = tmp_path / "results"
    results.mkdir()
    (results / "small").write_text("a file where the first scenario's folder should be")
    first, second = write_two(tmp_path)
    done = bench("run", first, second, "--results", results, "--json")
    assert done.returncode == 3, done.stderr
    printed = json.loads(done.stdout)
    assert printed["exit_code"] == 3
    assert printed["scenarios"][0]["exit_code"] == 3
    assert "Making the run's folder" in printed["scenarios"][0]["fault"]
    assert printed["scenarios"][1]["status"] == "complete"
    [suite] = (results / "suite").iterdir()
    assert "Making the run&#39;s folder" in (suite / "index.html").read_text()
    measured = (Path(printed["scenarios"][1]["run"]) / "run.json").read_bytes()

    (results / "small").unlink()
    done = bench("resume", suite, "--json")

    assert done.returncode in DONE, done.stderr
    printed = json.loads(done.stdout)
    assert [each["status"] for each in printed["scenarios"]] == ["complete", "complete"]
    assert (Path(printed["scenarios"][1]["run"]) / "run.json").read_bytes() == measured
    assert "Making the run" not in (suite / "index.html").read_text()
