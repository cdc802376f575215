"""Stored slots of earlier versions, whose words hold what later ones have as fields."""

import json
from pathlib import Path

import pytest

from bench.errors import InputError
from bench.records.earlier import complete_slot
from bench.results import store
from bench.slots.gates.gate import Demand, GateKind
from bench.slots.gates.identity import check_control, check_identity

from .conftest import make_gate, make_run, make_scenario, make_slot_record

EXAMPLE = Path(__file__).parent / "data/example-anatomy-v3"
"""Of schema version 3: its run.json alone."""


def test_an_example_of_an_earlier_version_has_the_fields_of_today() -> None:
    slot = store.read_run(EXAMPLE).slots[0]
    [lateness] = [gate.seen for gate in slot.gates if gate.name is GateKind.LATENESS]

    assert (slot.achieved_share, slot.lateness_p99_us) == (1.0, lateness)
    assert slot.connections_opened == int(slot.evidence["connections opened"]) > 0
    assert slot.requests_recorded == int(slot.evidence["requests recorded"]) > slot.requests
    demands = {gate.name: gate.demand for gate in slot.gates}
    assert demands[GateKind.PATH_UPLINK] is Demand.TWO_A_REQUEST
    assert demands[GateKind.PATH_DNAT] is Demand.NOT_ON_PATH
    assert demands[GateKind.PATH_SERVED] is Demand.ONE_A_CONNECTION
    assert demands[GateKind.REQUESTS] is None


def test_a_slot_of_today_stays_as_it_is() -> None:
    scenario = make_scenario()
    slot = make_run(scenario).slots[0]
    ours = make_slot_record(slot.slot, achieved_share=0.5, evidence={"connections opened": "3"})

    assert complete_slot(slot) is slot
    assert complete_slot(complete_slot(ours)) == complete_slot(ours)
    late = make_gate(name=GateKind.ACHIEVED, seen=0.75)
    assert complete_slot(ours.model_copy(update={"gates": (late,)})).achieved_share == 0.5


@pytest.mark.parametrize("text", ["some", "-3", "", "1e9", "\N{SUPERSCRIPT ONE}"])
def test_evidence_that_is_no_count_is_refused(tmp_path: Path, text: str) -> None:
    stored = json.loads((EXAMPLE / "run.json").read_text())
    stored["slots"][3]["evidence"]["connections opened"] = text
    (tmp_path / "run.json").write_text(json.dumps(stored))

    with pytest.raises(InputError, match=r"slots\.3\.evidence\.connections opened"):
        store.read_run(tmp_path)


def test_a_slot_of_today_says_all_that_is_made_of_an_earlier_one() -> None:
    slot = store.read_run(EXAMPLE).slots[0]
    written = [
        *check_identity("sha256:1", "sha256:1", [0], [0]),
        *check_control(["lo"], "200", answered=False),
    ]

    assert [complete_slot(slot.model_copy(update={"gates": (gate,)})).gates for gate in written] == [
        (gate,) for gate in written
    ]
