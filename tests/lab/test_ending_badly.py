"""Runs that are interrupted, killed, or begun beside another."""

import json
import os
import random
import signal
import socket
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

import bench as api
from bench import paths
from bench.records.run import Status
from tests.lab.conftest import (
    PATIENCE_S,
    Starter,
    bench,
    is_alive,
    only_run,
    wait_for_slot,
    wait_until,
    write_scenario,
)
from tests.lab.world import snapshot

KILLS = int(os.environ.get("BENCH_KILLS", "3"))
"""Moments at which the kill test kills; more of them for a thorough look."""


def test_a_terminated_run_keeps_its_slots_has_a_report_and_leaves_nothing_behind(
    tmp_path: Path, start_bench: Starter
) -> None:
    before = snapshot()
    process = start_bench("run", write_scenario(tmp_path, 2), "--results", tmp_path / "results", "--seed", 3)
    wait_for_slot(process, 2)
    process.send_signal(signal.SIGTERM)  # For Ctrl-C, see the suite that is interrupted and resumed.
    _, said = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130
    assert "Traceback" not in said
    folder = only_run(tmp_path / "results")
    kept = api.load(folder).record
    assert kept.status is Status.INTERRUPTED
    assert 2 <= len(kept.slots) < 8
    assert (folder / "report.html").exists()
    assert snapshot() == before


def test_a_run_killed_at_any_moment_leaves_only_what_bench_clean_removes(
    tmp_path: Path, start_bench: Starter
) -> None:
    assert bench("clean").returncode == 0
    before = snapshot()
    moments = random.Random(11)
    for number in range(KILLS):
        results = tmp_path / str(number)
        results.mkdir()
        process = start_bench("run", write_scenario(results), "--results", results / "results")
        time.sleep(moments.uniform(0.3, 9.0))
        process.kill()
        process.communicate(timeout=PATIENCE_S)
        for file in (results / "results").glob("*/*/run.json"):  # Registered before the kill, or not.
            run = api.load(file.parent)
            for slot in run.record.slots:
                assert len(run.requests(slot.slot.index)) == slot.requests
        wait_until(
            lambda: not [line for line in snapshot()["processes"] if "dockerd" in line], "the engine's end"
        )
        assert bench("clean").returncode == 0
        assert snapshot() == before


def test_a_run_removes_what_a_killed_one_left_keeps_others_out_shows_itself_and_ends_with_its_generator(
    tmp_path: Path, start_bench: Starter
) -> None:
    killed = start_bench("run", write_scenario(tmp_path), "--results", tmp_path / "killed")
    wait_for_slot(killed, 1)
    killed.kill()
    killed.communicate(timeout=PATIENCE_S)
    [left] = folders_of_runs()

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = start_bench(
        "run", write_scenario(tmp_path, 40), "--results", tmp_path / "results", "--web-ui", port
    )
    wait_for_slot(process, 4)
    folder = only_run(tmp_path / "results")
    [living] = folders_of_runs()
    assert living.name == folder.name != left.name

    second = bench("run", write_scenario(tmp_path), "--results", tmp_path / "second")
    assert second.returncode == 3
    assert folder.name in second.stderr
    assert str(process.pid) in second.stderr
    assert bench("clean").returncode == 3

    with urllib.request.urlopen(f"http://127.0.0.1:{port}/stats/requests", timeout=PATIENCE_S) as answer:
        shown = json.load(answer)
    rows = {row["name"]: row for row in shown["stats"]}
    done = api.load(folder).record.slots[:4]
    assert shown["state"] == "running"
    assert rows["Aggregated"]["num_requests"] >= sum(slot.requests for slot in done) > 0
    assert all(rows[arm]["median_response_time"] > 0 for arm in ("host", "bridge"))

    entries = [json.loads(line) for line in (living / "journal.jsonl").read_text().splitlines()]
    [generator] = [entry["pid"] for entry in entries if entry.get("what") == "load generator"]
    os.kill(generator, signal.SIGKILL)
    _, said = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 4
    assert "the Locust process ended" in said
    assert "Traceback" not in said
    record = api.load(folder).record
    assert record.status is Status.FAILED
    assert len(record.slots) >= 4
    wait_until(lambda: not is_alive(generator), "the generator's end")
    assert folders_of_runs() == []


@pytest.fixture
def _hangs_up() -> Iterator[None]:
    """Tests that run under nohup ignore SIGHUP, and so does what they start: as a run under nohup shall."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("_hangs_up")
def test_a_run_interrupted_at_any_moment_ends_by_itself_and_leaves_nothing(
    tmp_path: Path, start_bench: Starter
) -> None:
    assert bench("clean").returncode == 0
    before = snapshot()
    moments = random.Random(13)
    for number in range(KILLS):
        results = tmp_path / str(number)
        results.mkdir()
        process = start_bench("run", write_scenario(results, 40), "--results", results / "results")
        assert process.stderr
        process.stderr.readline()  # It has begun: until then there is nothing to interrupt.
        time.sleep(moments.uniform(0, 9.0))
        process.send_signal(moments.choice([signal.SIGTERM, signal.SIGINT, signal.SIGHUP]))
        _, said = process.communicate(timeout=60)
        assert process.returncode == 130, said
        assert "Traceback" not in said
        assert api.load(only_run(results / "results")).record.status is Status.INTERRUPTED
        assert snapshot() == before


def folders_of_runs() -> list[Path]:
    return [path for path in paths.STATE.iterdir() if path.is_dir()]
