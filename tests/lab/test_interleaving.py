"""Arms that take turns, for real: paths proved one by one, records, and a run that was killed goes on."""

import signal
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

import bench as api
from bench.records.run import SlotRecord, Status
from bench.results.verification import verify_all
from bench.scenario.modes.footprint import Counter
from bench.scenario.plan import turns
from bench.slots.gates.gate import GateKind
from tests.lab.conftest import DONE, MADE_BY_OTHERS, Starter, bench, only_run, wait_for_slot
from tests.lab.world import snapshot

SCENARIO = """
name = "turns"
question = "Do arms take turns?"
baseline = "host"
load = {warm_up_s = 0.6, connections = 2}
schedule = {blocks = BLOCKS, interleave = {cell_ms = 20, settle_ms = 2, life_s = 0.2}}

[[arms]]
name = "host"
mode = "host"

[[arms]]
name = "bridge"
mode = "bridge"
#
[[arms]]
name = "native"
mode = "native"

[[arms]]
name = "wired"
mode = "wired"

[[arms]]
name = "proxy"         # on a Docker host of its own
mode = "proxy"

[[arms]]
name = "none"
mode = "none"
"""


def write_turns(folder: Path, blocks: int, text: str = SCENARIO) -> Path:
    path = folder / "turns.toml"
    path.write_text(text.replace("BLOCKS", str(blocks)))
    return path


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> api.Run:
    folder = tmp_path_factory.mktemp("turns")
    done = bench("run", write_turns(folder, 2), "--results", folder / "results", "--seed", 5)
    assert done.returncode in DONE, done.stderr
    return api.load(only_run(folder / "results"))


def loaded(run: api.Run) -> list[SlotRecord]:
    return [record for record in run.record.slots if record.slot.life is not None]


def test_every_slot_of_a_set_proved_its_own_path_and_the_set_the_sum(finished: api.Run) -> None:
    assert finished.record.status is Status.COMPLETE
    assert len(loaded(finished)) == 2 * 9
    for record in loaded(finished):
        gates = {gate.name: gate for gate in record.gates}
        assert {name for name, gate in gates.items() if not gate.passed} <= MADE_BY_OTHERS, record.slot
        assert gates[GateKind.PROOF_REQUESTS].passed
        assert len([name for name in gates if name.startswith("path: ")]) == 12
        assert len([name for name in gates if name.startswith("path of the set: ")]) >= 10
        assert (record.counters[Counter.DNAT] == 2) is (record.slot.arm == "bridge")
        assert (record.counters[Counter.PROXY_CPU] > 0) is (record.slot.arm == "proxy")


def test_a_control_is_tried_beside_the_sets(finished: api.Run) -> None:
    controls = [record for record in finished.record.slots if record.slot.arm == "none"]

    assert len(controls) == 4
    assert all(record.valid for record in controls)


def test_each_had_its_turns_as_they_were_planned_and_none_in_anothers(finished: api.Run) -> None:
    for life in (0, 1):
        slots = [record.slot for record in loaded(finished) if record.slot.life == life]
        order = turns(finished.record.scenario, 5, finished.record.planned, slots)
        spans = []
        for place, slot in enumerate(slots):
            own = pq.read_table(finished.path / slot.directory / "turns.parquet").to_pandas()
            assert own["cell"].tolist() == [cell for cell, whose in enumerate(order) if whose == place]
            requests = finished.requests(slot.index, warm_up=True)
            for turn in own.itertuples():
                spans.append((turn.start_ns, turn.end_ns))
                counted = requests[requests["cell"] == turn.cell]["sent_ns"]
                assert len(counted) > 0
                assert counted.between(turn.settled_ns, turn.end_ns, inclusive="left").all()
            others = [turn for turn in spans if turn[0] not in set(own["start_ns"])]
            for start_ns, end_ns in others:
                assert not requests["sent_ns"].between(start_ns, end_ns, inclusive="left").any()
                assert not requests["done_ns"].between(start_ns, end_ns, inclusive="left").any()
        assert all(next_[0] >= last[1] for last, next_ in zip(sorted(spans), sorted(spans)[1:], strict=False))


def test_each_was_at_the_port_that_the_plan_gave_it(finished: api.Run) -> None:
    for record in loaded(finished):
        port = 80 if record.slot.arm == "wired" else record.slot.port
        assert record.evidence["endpoint"].endswith(f"port {port}")


def test_what_is_stored_of_a_slot_is_of_its_settled_turns(finished: api.Run) -> None:
    for record in loaded(finished):
        assert record.turns
        assert record.turns.turns == 10
        assert record.turns.settled_s == pytest.approx(10 * 0.018)
        latencies_us = finished.latencies_us(record.slot.index)
        assert len(latencies_us) + record.errors + record.unfinished == record.requests
        assert np.median(latencies_us) == pytest.approx(record.values["p50_latency_us"])  # type: ignore[index]
        assert {after.arm for after in record.turns.after} <= {"host", "bridge", "native", "wired", "proxy"}


def test_every_value_follows_from_the_requests_and_the_turns(finished: api.Run) -> None:
    assert all(found.is_whole for found in verify_all(finished.path, deep=True))


def test_the_report_is_there(finished: api.Run) -> None:
    text = (finished.path / "report.md").read_text()

    assert "Arms took turns" in text


def test_a_killed_run_of_sets_goes_on_with_whole_sets(tmp_path: Path, start_bench: Starter) -> None:
    before = snapshot()
    two_arms, _ = SCENARIO.split("#\n")
    scenario = write_turns(tmp_path, 4, two_arms)
    process = start_bench("run", scenario, "--results", tmp_path / "results", "--seed", 3)
    wait_for_slot(process, 5)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    folder = only_run(tmp_path / "results")
    kept = api.load(folder).record.kept()
    assert kept
    assert not {record.slot.life for record in kept} & {
        slot.life for slot in api.load(folder).record.remaining() if slot.life is not None
    }

    assert bench("resume", folder).returncode in DONE
    resumed = api.load(folder).record
    assert resumed.status is Status.COMPLETE
    assert tuple(record.slot for record in resumed.slots) == resumed.planned
    indexes = {record.slot.index for record in kept}
    assert tuple(record for record in resumed.slots if record.slot.index in indexes) == kept
    assert snapshot() == before
