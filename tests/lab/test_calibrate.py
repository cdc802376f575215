import os
import subprocess
import sys
from math import inf
from pathlib import Path

import pytest

from bench.lab.hosts import machine
from bench.measure import calibrate, generators
from bench.results import store
from bench.scenario.metric import Metric
from tests.lab.conftest import PATIENCE_S, bench, wait_until
from tests.lab.world import snapshot

SHORT = """
from bench import interrupts
from bench.measure import calibrate, generators
calibrate.WATCHED_S, generators.CONNECTIONS, generators.RATES_RPS = 0.1, (1,), (1_000,)
interrupts.heed()
calibrate.calibrate(seconds=1, rounds=1, blocks=100, tell=lambda said: print(said, flush=True))
"""


def test_a_calibration_holds_all_ceilings_and_is_kept_for_runs_of_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "CALIBRATION_FILE", tmp_path / "calibration.json")
    # Whether the machine has other work is not asked here: floors are of slots that nothing else voids.
    monkeypatch.setattr("bench.measure.slot.check_quiet", lambda *_: [])
    monkeypatch.setattr(calibrate, "WATCHED_S", 1.0)
    monkeypatch.setattr(calibrate, "CAPTURES", 1)
    monkeypatch.setattr(generators, "CONNECTIONS", (1, 1000))
    monkeypatch.setattr(generators, "RATES_RPS", (1_000, 50_000))
    assert store.read_calibration() is None
    found = calibrate.calibrate(seconds=1, rounds=2, blocks=3, tell=lambda _: None)

    assert store.read_calibration() == found
    assert found.is_of(machine.describe_machine())
    assert [(c.connections, c.engine, len(c.rates_rps)) for c in found.ceilings] == [
        (connections, engine, 2) for connections in generators.CONNECTIONS for engine in generators.ENGINES
    ]
    assert all(c.requests == c.locust_requests for c in found.ceilings if c.engine != "wrk")
    # A loop that cannot keep to a rate has no connection free, and so no lateness there.
    late = {(each.engine, each.rate_rps) for each in found.latenesses}
    asked = {(engine, rate) for engine in ("raw", "raw-python") for rate in generators.RATES_RPS}
    slowest = min(generators.RATES_RPS)
    assert {("raw", slowest), ("raw-python", slowest)} <= late <= asked
    assert found.loop == "compiled"
    assert Metric.P50_LATENCY_US in {floor.metric for floor in found.floors}
    assert all(0 < floor.spread < inf for floor in found.floors)
    assert found.pauses is not None


def test_a_calibration_that_is_killed_in_its_slots_leaves_what_bench_clean_removes(tmp_path: Path) -> None:
    before = snapshot()
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, "-c", SHORT], env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert any(line.startswith("noise floor: block 2") for line in process.stdout)
        process.kill()
        process.communicate(timeout=PATIENCE_S)
    wait_until(
        lambda: not [line for line in snapshot()["processes"] if "dockerd" in line], "the engine's end"
    )
    assert "removed folder" in bench("clean").stdout
    assert list(tmp_path.iterdir()) == []
    assert snapshot() == before
