"""A suite of two small scenarios, from the command line to its index."""

import json
import signal
from pathlib import Path

import bench as api
from bench.core.records import Status
from bench.edges import store
from tests.lab.conftest import DONE, Starter, bench, wait_for_slot, write_scenario


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
    _, said = process.communicate(timeout=60)
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
