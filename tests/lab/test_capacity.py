"""A short capacity measurement, from the command line to its files."""

import json
from pathlib import Path

from bench.judgement.capacity.knee import Outcome
from bench.judgement.capacity.record import NULL_SERVER
from bench.judgement.capacity.search import next_step
from bench.results import files, store
from bench.results.verification import verify_all
from tests.lab.conftest import DONE, bench

SCENARIO = """
name = "short"
question = "Does a capacity measurement work?"
baseline = "host"
arms = [{name = "host", mode = "host"}, {name = "bridge", mode = "bridge"}]
[load]
model = "open"
connections = 16
warm_up_s = 0.1
measure_s = 0.3
[capacity]
limit_ms = 50.0
keep_alive = [false]
resolution = 0.5
confirmations = 1
wrk_s = 1
[schedule]
blocks = 2
"""


def test_a_capacity_measurement_ends_is_stored_whole_and_can_be_told_again(tmp_path: Path) -> None:
    scenario = tmp_path / "short.toml"
    scenario.write_text(SCENARIO)
    done = bench("capacity", scenario, "--results", tmp_path / "results", "--seed", 3, "--json")
    assert done.returncode in DONE, done.stderr
    printed = json.loads(done.stdout)
    folder = Path(printed["capacity"])
    record = store.read_capacity(folder)
    assert printed["record"] == json.loads((folder / files.CAPACITY_FILE).read_text())
    assert next_step(record) is None
    assert {"capacity.json", "report.html", "report.md", "SHA256SUMS"} <= {p.name for p in folder.iterdir()}
    assert {probe.arm for probe in record.probes} == {"host", "bridge", NULL_SERVER}
    assert all(record.wrk_rps(workload) for workload in record.workloads)
    for probe in record.probes:
        if probe.slot and probe.outcome is Outcome.SUSTAINED:
            # Where a rate was sustained, the counters of the path agree with the load's own.
            gates = {gate.name: gate for gate in probe.slot.gates if gate.name.startswith("path: ")}
            assert [name for name, gate in gates.items() if not gate.passed] == []
            assert (folder / probe.slot.slot.directory / "requests.parquet").exists()
    [checked] = verify_all(folder, deep=True)
    assert checked.findings == {"faults": (), "tables": (), "differences": ()}
    for run in record.comparisons.values():
        assert (tmp_path / "results" / run / "report.html").exists()

    before = (folder / "report.md").read_text()
    assert bench("report", folder).returncode == 0
    assert (folder / "report.md").read_text() == before
    refused = bench("resume", folder)
    assert refused.returncode == 2
    assert "complete" in refused.stderr
    assert bench("run", scenario, "--results", tmp_path / "results").returncode == 2
