"""Every way of loading an arm for real: what is sent is counted, kept, and what it says it is."""

from pathlib import Path

import pytest

from bench.lab.instruments.idle_states import IdleStates
from bench.measure.testbed import Bed
from bench.results import columns
from bench.scenario.load import Load
from bench.scenario.model import LabSettings
from bench.scenario.modes.footprint import Counter
from bench.slots.gates.gate import GateKind
from tests.lab.testbed.conftest import LOAD, measure

LOADED = ("host", "bridge")


@pytest.mark.parametrize("arm", LOADED)
@pytest.mark.parametrize("engine", ["http", "fasthttp"])
def test_locusts_own_clients_can_drive_the_load_for_a_cross_check(
    engine: str, arm: str, bed: Bed, tmp_path: Path
) -> None:
    record, _ = measure(bed, arm, tmp_path, load=LOAD.model_copy(update={"engine": engine}))
    assert record.requests > 0
    assert record.errors == 0
    assert int(record.evidence["requests by Locust's count"]) >= record.requests


def test_wrk_bears_witness_on_the_same_container(bed: Bed, tmp_path: Path) -> None:
    record, _ = measure(bed, "bridge", tmp_path, load=LOAD.model_copy(update={"wrk_witness_s": 1}))
    assert record.wrk_witness_rps


@pytest.mark.parametrize("steering", [True, False])
@pytest.mark.parametrize("held", [True, False])
def test_a_slot_has_the_settings_that_it_asks_for(
    *, steering: bool, held: bool, bed: Bed, tmp_path: Path
) -> None:
    settings = LabSettings(receive_steering=steering, hold_idle_states=held)
    record, _ = measure(bed, "bridge", tmp_path, settings)
    assert record.evidence["receive steering"] == ("on" if steering else "off")
    assert (record.evidence["idle states"] == IdleStates.FREE) is not held


@pytest.mark.parametrize("arm", LOADED)
def test_an_open_loop_sends_every_arrival_of_its_window_and_counts_from_its_own_time(
    arm: str, bed: Bed, tmp_path: Path
) -> None:
    load = Load(model="open", rate_rps=4000, connections=8, warm_up_s=0.05, measure_s=0.3)
    record, _ = measure(bed, arm, tmp_path, load=load)
    requests = columns.read_requests(tmp_path, record.slot.directory).to_pandas()
    done = requests[requests["done_ns"] > 0]
    assert 0 < record.requests <= len(requests)
    assert (done["sent_ns"] >= done["intended_ns"]).all()
    assert {"achieved", "generator lateness"} <= {gate.name for gate in record.gates}


@pytest.mark.parametrize("arm", LOADED)
def test_a_connection_a_request_is_mapped_once_a_request_and_leaves_the_client_its_ports(
    arm: str, bed: Bed, tmp_path: Path
) -> None:
    load = LOAD.model_copy(update={"keep_alive": False, "connections": 2})
    record, _ = measure(bed, arm, tmp_path, load=load)
    gates = {gate.name: gate for gate in record.gates}
    assert [name for name, gate in gates.items() if name.startswith("path: ") and not gate.passed] == []
    opened = record.connections_opened
    assert opened
    assert opened == record.requests_recorded
    assert record.counters[Counter.DNAT] == (opened if arm == "bridge" else 0)
    assert gates[GateKind.CLIENT_PORTS].passed


@pytest.mark.parametrize("arm", LOADED)
def test_a_client_that_is_made_to_run_out_of_ports_says_so(arm: str, bed: Bed, tmp_path: Path) -> None:
    load = LOAD.model_copy(update={"keep_alive": False, "connections": 16})
    record, _ = measure(bed, arm, tmp_path, LabSettings(client_ports=10), load)
    assert not record.valid
    [gate] = [gate for gate in record.gates if gate.name is GateKind.PORTS_FOUND]
    assert not gate.passed
    assert "ran out of ports" in gate.detail
