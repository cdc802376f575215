"""A stall for real: made by a smaller uplink whose ICMP is dropped, told at its hop, mended both ways."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from bench.measure.testbed import Bed
from bench.records.run import SlotRecord
from bench.scenario.load import Load
from bench.scenario.model import LabSettings
from bench.slots.gates.gate import GateKind
from tests.lab.testbed.conftest import measure

PAGE: Final = 65_536
FAULT = {"uplink_mtu": 1400, "too_big_icmp": False}
SAMPLED = Load(
    model="open",
    rate_rps=400,
    arrivals="uniform",
    connections=4,
    warm_up_s=0.05,
    measure_s=0.3,
    page_bytes=PAGE,
)
DRIVEN = Load(connections=4, warm_up_s=0.05, measure_s=0.3, page_bytes=PAGE)


@pytest.fixture(autouse=True)
def _links_as_they_were(bed: Bed) -> Iterator[None]:
    yield
    bed.arrange(LabSettings())


def stall_gate(record: SlotRecord) -> tuple[bool, float | str]:
    [gate] = [gate for gate in record.gates if gate.name is GateKind.STALLS]
    return gate.passed, gate.seen


def settings(**more: object) -> LabSettings:
    return LabSettings.model_validate({**FAULT, **more})


def test_a_bridge_behind_a_smaller_uplink_stalls_where_no_icmp_tells_and_its_hop_is_told(
    bed: Bed, tmp_path: Path
) -> None:
    record, _ = measure(bed, "bridge", tmp_path, settings(taps=True), SAMPLED)

    assert stall_gate(record) == (False, 4), record.gates
    assert not record.valid
    assert record.stalls
    assert (record.stalls.stalled, record.stalls.connections, record.stalls.asked_bytes) == (4, 4, PAGE)
    assert record.stalls.received_bytes[1] < PAGE
    lost = record.stalls.lost
    assert lost
    assert lost.last_seen_at == "bridge"
    assert lost.payload_bytes > 1400 - 52
    assert lost.too_big == {}


@pytest.mark.parametrize(
    ("arm", "settings_", "load"),
    [
        ("bridge", settings(too_big_icmp=True), DRIVEN),
        ("bridge", settings(veth_mtu=1400), DRIVEN),
        ("bridge", settings(), DRIVEN.model_copy(update={"page_bytes": 1024})),
        ("host", settings(), DRIVEN),
        ("proxy", settings(), DRIVEN),
    ],
    ids=["the ICMP", "the MTU", "a page that fits", "host mode", "docker-proxy"],
)
def test_nothing_stalls_with(arm: str, settings_: LabSettings, load: Load, bed: Bed, tmp_path: Path) -> None:
    record, _ = measure(bed, arm, tmp_path, settings_, load)

    assert stall_gate(record) == (True, 0), record.gates
    assert record.stalls is None
    assert record.requests > 0
    assert record.unfinished == 0


def test_a_closed_loop_tells_the_same_stall_as_an_open_one(bed: Bed, tmp_path: Path) -> None:
    record, _ = measure(bed, "bridge", tmp_path, settings(), DRIVEN)

    assert stall_gate(record) == (False, 4)
    assert record.stalls
    assert record.stalls.lost is None
