"""A real run, from the command line to its files."""

import hashlib
import json
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

import bench as api
from bench.scenario.modes.footprint import Counter
from bench.slots.gates.gate import GateKind
from tests.lab.conftest import DONE, bench, only_run, write_scenario
from tests.lab.world import snapshot


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, "subprocess.CompletedProcess[str]"]:
    """A small run over two sessions, made once for the tests of this file."""
    folder = tmp_path_factory.mktemp("run")
    done = bench("run", write_scenario(folder, 4, 2), "--results", folder / "results", "--seed", 7, "--json")
    assert done.returncode in DONE, done.stderr
    return only_run(folder / "results"), done


def test_a_run_leaves_every_file_of_the_contract(finished: tuple[Path, object]) -> None:
    folder, _ = finished
    names = {"run.json", "slots.csv", "verdict.json", "report.html", "report.md", "SHA256SUMS"}
    assert names <= {path.name for path in folder.iterdir()}
    assert list((folder / "figures").glob("*.svg"))
    assert len(list(folder.glob("slots/*/requests.parquet"))) == 16


def test_json_on_standard_output_is_the_stored_verdict_and_nothing_else(
    finished: tuple[Path, "subprocess.CompletedProcess[str]"],
) -> None:
    folder, done = finished
    printed = json.loads(done.stdout)
    assert printed["verdict"] == json.loads((folder / "verdict.json").read_text())
    assert Path(printed["run"]) == folder


def test_one_line_a_slot_goes_to_standard_error_where_there_is_no_terminal(
    finished: tuple[Path, "subprocess.CompletedProcess[str]"],
) -> None:
    _, done = finished
    assert sum(line.startswith("slot ") for line in done.stderr.splitlines()) == 16
    assert "\x1b" not in done.stderr


def test_the_sums_are_those_of_the_files(finished: tuple[Path, object]) -> None:
    folder, _ = finished
    lines = (folder / "SHA256SUMS").read_text().splitlines()
    assert len(lines) == sum(path.is_file() for path in folder.rglob("*")) - 1
    for line in lines:
        digest, name = line.split("  ")
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest


def test_every_slot_ran_the_same_image_on_the_path_that_its_arm_declares(
    finished: tuple[Path, object],
) -> None:
    run = api.load(finished[0])
    for record in run.record.slots:
        gates = {gate.name: gate for gate in record.gates}
        assert gates[GateKind.IMAGE].passed
        assert gates[GateKind.NAMESPACE].passed
        assert [name for name, gate in gates.items() if name.startswith("path: ") and not gate.passed] == []
        assert (record.counters[Counter.DNAT] > 0) is (record.slot.arm == "bridge")


def test_locust_counts_exactly_the_requests_that_are_recorded(finished: tuple[Path, object]) -> None:
    run = api.load(finished[0])
    for record in run.record.slots:
        stored = pq.read_metadata(finished[0] / record.slot.directory / "requests.parquet").num_rows
        assert int(record.evidence["requests by Locust's count"]) == stored > 0
    assert "locust" in (finished[0] / "locust.html").read_text().lower()


def test_stamps_of_a_request_are_in_order_and_its_window_is_the_slot_s(finished: tuple[Path, object]) -> None:
    run = api.load(finished[0])
    record = run.record.slots[0]
    requests = run.requests(0)
    stamps = requests[["intended_ns", "sent_ns", "first_byte_ns", "done_ns"]]
    assert (stamps.dtypes == np.int64).all()
    assert (stamps.diff(axis=1).iloc[:, 1:] >= 0).all().all()
    assert requests["sent_ns"].between(record.window_start_ns, record.window_end_ns).all()
    assert len(requests) == record.requests < len(run.requests(0, warm_up=True))


def test_the_p50_of_a_slot_is_that_of_its_stored_requests(finished: tuple[Path, object]) -> None:
    run = api.load(finished[0])
    for row in run.slots.itertuples():
        latency_us = run.requests(int(str(row.slot)))["latency_us"]
        assert latency_us.median() == pytest.approx(row.p50_latency_us)


def test_the_engine_was_restarted_between_the_sessions(finished: tuple[Path, object]) -> None:
    run = api.load(finished[0])
    assert list(run.slots.groupby("session").size()) == [8, 8]
    processes = [
        {record.evidence["engine process"] for record in run.record.slots if record.slot.session == session}
        for session in (0, 1)
    ]
    assert [len(of_session) for of_session in processes] == [1, 1]
    assert processes[0] != processes[1]


def test_slots_csv_has_the_rows_of_the_python_api(finished: tuple[Path, object]) -> None:
    run = api.load(finished[0])
    from_csv = pd.read_csv(finished[0] / "slots.csv")
    assert list(from_csv.columns) == list(run.slots.columns)
    assert from_csv["p50_latency_us"].tolist() == pytest.approx(run.slots["p50_latency_us"].tolist())


def test_a_report_is_written_again_from_the_stored_run_alone(finished: tuple[Path, object]) -> None:
    folder, _ = finished
    before = (folder / "report.html").read_bytes()
    (folder / "report.html").unlink()
    assert bench("report", folder).returncode == 0
    assert (folder / "report.html").read_bytes() == before


def test_a_complete_run_leaves_the_machine_as_it_was(tmp_path: Path) -> None:
    before = snapshot()
    done = bench("run", write_scenario(tmp_path, 2), "--results", tmp_path / "results")
    assert done.returncode in DONE, done.stderr
    assert snapshot() == before


def test_no_packet_with_a_lab_address_is_seen_on_the_machine_s_own_links(tmp_path: Path) -> None:
    # fmt: off
    capture = subprocess.Popen(
        ["tcpdump", "-i", "any", "-n", "-w", tmp_path / "out.pcap", "net", "198.18.0.0/15"],
        stderr=subprocess.PIPE, text=True,
    )
    # fmt: on
    assert capture.stderr
    assert "listening" in capture.stderr.readline() + capture.stderr.readline()
    try:
        done = bench("run", write_scenario(tmp_path, 2), "--results", tmp_path / "results")
    finally:
        capture.terminate()
        _, said = capture.communicate(timeout=20)
    assert done.returncode in DONE, done.stderr
    assert "0 packets captured" in said


@pytest.mark.parametrize("engine", ["http", "fasthttp"])
def test_locusts_own_clients_can_drive_the_load_for_a_cross_check(tmp_path: Path, engine: str) -> None:
    extra = f'[factors]\n"load.engine" = ["raw", "{engine}"]\n'
    done = bench("run", write_scenario(tmp_path, 2, extra=extra), "--results", tmp_path / "results")
    run = api.load(only_run(tmp_path / "results"))
    assert len(run.record.slots) == 16, done.stderr
    for record in run.record.slots:
        assert record.requests > 0
        assert record.errors == 0
        assert int(record.evidence["requests by Locust's count"]) >= record.requests


def test_factors_are_set_slot_by_slot_and_wrk_bears_witness(tmp_path: Path) -> None:
    extra = '[factors]\n"lab.receive_steering" = [true, false]\n"lab.hold_idle_states" = [true, false]\n'
    path = write_scenario(tmp_path, 2, extra=extra)
    path.write_text(path.read_text().replace("measure_s = 0.3", "measure_s = 0.3, wrk_witness_s = 1"))
    bench("run", path, "--results", tmp_path / "results")
    run = api.load(only_run(tmp_path / "results"))
    assert len(run.record.slots) == 32
    for record in run.record.slots:
        lab = run.conditions[record.slot.condition].lab
        assert record.evidence["receive steering"] == ("on" if lab.receive_steering else "off")
        assert lab.hold_idle_states or record.evidence["idle states"] == "free"
        assert record.wrk_witness_rps


def test_an_open_loop_sends_every_arrival_of_its_window_and_counts_from_its_own_time(
    tmp_path: Path,
) -> None:
    scenario = write_scenario(tmp_path, 2)
    text = scenario.read_text().replace(
        "load = {", 'load = {model = "open", rate_rps = 4000, connections = 8, '
    )
    scenario.write_text(text)
    done = bench("run", scenario, "--results", tmp_path / "results")
    assert done.returncode in DONE, done.stderr
    run = api.load(only_run(tmp_path / "results"))
    for record in run.record.slots:
        requests = run.requests(record.slot.index)
        assert len(requests) == record.requests > 0
        assert (requests["response_us"] >= requests["service_us"]).all()
        gates = {gate.name for gate in record.gates}
        assert {"achieved", "generator lateness"} <= gates
    # Common arrivals within a block: every slot of it was asked for the same number of requests.
    asked = run.slots.groupby("block")["requests"].nunique()
    assert (asked == 1).all()


def test_a_connection_a_request_is_mapped_once_a_request_and_leaves_the_client_its_ports(
    tmp_path: Path,
) -> None:
    scenario = write_scenario(tmp_path, 2)
    text = scenario.read_text().replace("load = {", "load = {keep_alive = false, connections = 2, ")
    scenario.write_text(text)
    done = bench("run", scenario, "--results", tmp_path / "results")
    assert done.returncode in DONE, done.stderr
    for record in api.load(only_run(tmp_path / "results")).record.slots:
        gates = {gate.name: gate for gate in record.gates}
        assert [name for name, gate in gates.items() if name.startswith("path: ") and not gate.passed] == []
        opened = int(record.evidence["connections opened"])
        assert opened == int(record.evidence["requests recorded"]) > 0
        assert record.counters[Counter.DNAT] == (opened if record.slot.arm == "bridge" else 0)
        assert gates[GateKind.CLIENT_PORTS].passed


def test_a_client_that_is_made_to_run_out_of_ports_says_so(tmp_path: Path) -> None:
    scenario = write_scenario(tmp_path, 2, extra="[lab]\nclient_ports = 10\n")
    text = scenario.read_text().replace("load = {", "load = {keep_alive = false, connections = 16, ")
    scenario.write_text(text)
    done = bench("run", scenario, "--results", tmp_path / "results")
    assert done.returncode == 4, done.stderr
    for record in api.load(only_run(tmp_path / "results")).record.slots:
        assert not record.valid
        [gate] = [gate for gate in record.gates if gate.name == "ports found"]
        assert not gate.passed
        assert "ran out of ports" in gate.detail
