"""A real run, from the command line to its files."""

import hashlib
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

import bench as api
from bench.scenario.modes.footprint import Counter
from bench.slots.gates.gate import GateKind
from tests.lab.conftest import DONE, PATIENCE_S, bench, only_run, write_scenario
from tests.lab.world import World, snapshot

DECOY = "not a socket: an engine that used it would fail"


@dataclass(frozen=True)
class Finished:
    """A run that came to its end, and what was seen around it."""

    folder: Path
    done: "subprocess.CompletedProcess[str]"
    before: World
    after: World
    leaked: str
    """tcpdump's last words, of the lab's addresses on the machine's own links."""
    decoy: str
    """What was left in the file that stood where the machine's containerd has its socket."""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """A small run over two sessions, made once for the tests of this file."""
    folder = tmp_path_factory.mktemp("run")
    before = snapshot()
    with decoy_containerd() as decoy, watching_links(folder) as words:
        done = bench(
            "run", write_scenario(folder, 4, 2), "--results", folder / "results", "--seed", 7, "--json"
        )
        left = decoy.read_text()
    assert done.returncode in DONE, done.stderr
    return Finished(only_run(folder / "results"), done, before, snapshot(), words[0], left)


@contextmanager
def decoy_containerd() -> Iterator[Path]:
    """A file in place of the machine's containerd's socket, where it has none."""
    socket = Path("/run/containerd/containerd.sock")
    if socket.exists():
        yield Path("/dev/null")
        return
    socket.parent.mkdir(exist_ok=True)
    socket.write_text(DECOY)
    try:
        yield socket
    finally:
        socket.unlink()
        socket.parent.rmdir()


@contextmanager
def watching_links(folder: Path) -> Iterator[list[str]]:
    """Captures what has an address of the lab on any link of the machine; at its end, what tcpdump says."""
    # fmt: off
    capture = subprocess.Popen(
        ["tcpdump", "-i", "any", "-n", "-w", folder / "out.pcap", "net", "198.18.0.0/15"],
        stderr=subprocess.PIPE, text=True,
    )
    # fmt: on
    assert capture.stderr
    assert "listening" in capture.stderr.readline() + capture.stderr.readline()
    words: list[str] = []
    try:
        yield words
    finally:
        capture.terminate()
        words.append(capture.communicate(timeout=PATIENCE_S)[1])


def test_a_run_leaves_every_file_of_the_contract(finished: Finished) -> None:
    folder = finished.folder
    names = {"run.json", "slots.csv", "verdict.json", "report.html", "report.md", "SHA256SUMS"}
    assert names <= {path.name for path in folder.iterdir()}
    assert list((folder / "figures").glob("*.svg"))
    assert len(list(folder.glob("slots/*/requests.parquet"))) == 16


def test_json_on_standard_output_is_the_stored_verdict_and_nothing_else(
    finished: Finished,
) -> None:
    folder, done = finished.folder, finished.done
    printed = json.loads(done.stdout)
    assert printed["verdict"] == json.loads((folder / "verdict.json").read_text())
    assert Path(printed["run"]) == folder


def test_one_line_a_slot_goes_to_standard_error_where_there_is_no_terminal(
    finished: Finished,
) -> None:
    assert sum(line.startswith("slot ") for line in finished.done.stderr.splitlines()) == 16
    assert "\x1b" not in finished.done.stderr


def test_the_sums_are_those_of_the_files(finished: Finished) -> None:
    folder = finished.folder
    lines = (folder / "SHA256SUMS").read_text().splitlines()
    assert len(lines) == sum(path.is_file() for path in folder.rglob("*")) - 1
    for line in lines:
        digest, name = line.split("  ")
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest


def test_every_slot_ran_the_same_image_on_the_path_that_its_arm_declares(
    finished: Finished,
) -> None:
    run = api.load(finished.folder)
    for record in run.record.slots:
        gates = {gate.name: gate for gate in record.gates}
        assert gates[GateKind.IMAGE].passed
        assert gates[GateKind.NAMESPACE].passed
        assert [name for name, gate in gates.items() if name.startswith("path: ") and not gate.passed] == []
        assert (record.counters[Counter.DNAT] > 0) is (record.slot.arm == "bridge")


def test_locust_counts_exactly_the_requests_that_are_recorded(finished: Finished) -> None:
    run = api.load(finished.folder)
    for record in run.record.slots:
        stored = pq.read_metadata(finished.folder / record.slot.directory / "requests.parquet").num_rows
        assert int(record.evidence["requests by Locust's count"]) == stored > 0
    assert "locust" in (finished.folder / "locust.html").read_text().lower()


def test_stamps_of_a_request_are_in_order_and_its_window_is_the_slot_s(finished: Finished) -> None:
    run = api.load(finished.folder)
    record = run.record.slots[0]
    requests = run.requests(0)
    stamps = requests[["intended_ns", "sent_ns", "first_byte_ns", "done_ns"]]
    assert (stamps.dtypes == np.int64).all()
    assert (stamps.diff(axis=1).iloc[:, 1:] >= 0).all().all()
    assert requests["sent_ns"].between(record.window_start_ns, record.window_end_ns).all()
    assert len(requests) == record.requests < len(run.requests(0, warm_up=True))


def test_the_p50_of_a_slot_is_that_of_its_stored_requests(finished: Finished) -> None:
    run = api.load(finished.folder)
    for row in run.slots.itertuples():
        latency_us = run.requests(int(str(row.slot)))["latency_us"]
        assert latency_us.median() == pytest.approx(row.p50_latency_us)


def test_the_engine_was_restarted_between_the_sessions(finished: Finished) -> None:
    run = api.load(finished.folder)
    assert list(run.slots.groupby("session").size()) == [8, 8]
    processes = [
        {record.evidence["engine process"] for record in run.record.slots if record.slot.session == session}
        for session in (0, 1)
    ]
    assert [len(of_session) for of_session in processes] == [1, 1]
    assert processes[0] != processes[1]


def test_slots_csv_has_the_rows_of_the_python_api(finished: Finished) -> None:
    run = api.load(finished.folder)
    from_csv = pd.read_csv(finished.folder / "slots.csv")
    assert list(from_csv.columns) == list(run.slots.columns)
    assert from_csv["p50_latency_us"].tolist() == pytest.approx(run.slots["p50_latency_us"].tolist())


def test_a_report_is_written_again_from_the_stored_run_alone(finished: Finished) -> None:
    folder = finished.folder
    before = (folder / "report.html").read_bytes()
    (folder / "report.html").unlink()
    assert bench("report", folder).returncode == 0
    assert (folder / "report.html").read_bytes() == before


def test_a_complete_run_leaves_the_machine_as_it_was(finished: Finished) -> None:
    assert finished.after == finished.before


def test_no_packet_with_a_lab_address_is_seen_on_the_machine_s_own_links(finished: Finished) -> None:
    assert "0 packets captured" in finished.leaked


def test_the_machines_own_containerd_socket_is_neither_used_nor_disturbed(finished: Finished) -> None:
    if not finished.decoy:
        pytest.skip("a real containerd runs here")
    assert finished.decoy == DECOY


def test_factors_are_set_slot_by_slot_and_slots_of_a_block_have_the_same_arrivals(tmp_path: Path) -> None:
    scenario = write_scenario(tmp_path, 2, extra='[factors]\n"lab.receive_steering" = [true, false]\n')
    text = scenario.read_text().replace(
        "load = {", 'load = {model = "open", rate_rps = 2000, connections = 8, '
    )
    scenario.write_text(text)
    done = bench("run", scenario, "--results", tmp_path / "results")
    assert done.returncode in DONE, done.stderr
    run = api.load(only_run(tmp_path / "results"))
    assert len(run.record.slots) == 16
    for record in run.record.slots:
        lab = run.conditions[record.slot.condition].lab
        assert record.evidence["receive steering"] == ("on" if lab.receive_steering else "off")
        requests = run.requests(record.slot.index)
        assert len(requests) == record.requests > 0
        assert (requests["response_us"] >= requests["service_us"]).all()
    # Common arrivals within a block: every slot of it was asked for the same number of requests.
    asked = run.slots.groupby("block")["requests"].nunique()
    assert (asked == 1).all()
