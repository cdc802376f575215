"""One lab with an engine for each of its hosts, made once for all tests of single slots."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bench.lab.hosts.lock import machine_lock
from bench.measure.availability import find_gaps
from bench.measure.lab_testbed import prepare_bed
from bench.measure.slot import measure_slot
from bench.measure.testbed import Bed
from bench.records.run import SlotRecord
from bench.results import files
from bench.scenario.conditions import conditions
from bench.scenario.load import Load
from bench.scenario.model import Arm, LabSettings
from bench.scenario.modes.catalogue import MODES
from bench.scenario.modes.model import Mode, Vantage
from bench.scenario.plan import Slot
from bench.scenario.scenario import Scenario
from bench.slots.surroundings import Facts

ARMS = (
    *(
        Arm(name=mode, mode=mode)
        for mode, network in MODES.items()
        if mode is not Mode.CONTAINER and network.tried_from is Vantage.CLIENT
    ),
    Arm(name="host-mapped", mode="container:host"),
    Arm(name="bridge-mapped", mode="container:bridge"),
    Arm(name="second-address", mode="host", address="198.18.0.200", port=8080),
)
LOAD = Load(warm_up_s=0.05, measure_s=0.3)
CAPTURED_LOAD = Load(
    model="open", rate_rps=2000, arrivals="uniform", connections=4, warm_up_s=0.05, measure_s=0.6
)
CAPTURED_LAB = LabSettings(taps=True, stamp_before_queue=True)


@pytest.fixture(scope="package")
def bed() -> Iterator[Bed]:
    scenario = Scenario(
        name="testbed",
        question="What does a slot show?",
        baseline="host",
        arms=ARMS,
        load=CAPTURED_LOAD,
        lab=LabSettings(stamp_before_queue=True),  # So that the journal holds what it was.
        factors={"lab.taps": (False, True)},
    )
    with machine_lock("tests of slots"):
        run_id = files.new_run_id(datetime.now(UTC))
        with prepare_bed(scenario, run_id, lambda _: None) as prepared:
            yield prepared


@pytest.fixture(scope="package")
def gaps(bed: Bed) -> dict[str, str]:
    """Arm -> why it cannot be had here."""
    return find_gaps(bed).arms


def measure(
    bed: Bed, arm: str, folder: Path, lab: LabSettings | None = None, load: Load = LOAD
) -> tuple[SlotRecord, Facts]:
    """One slot of `arm`."""
    slot = Slot(index=0, session=0, block=0, arm=arm, condition=0, repeat=0)
    condition = conditions(bed.scenario)[0]
    changes = {"lab": lab or LabSettings(), "load": load}
    return measure_slot(bed, slot, condition.model_copy(update=changes), folder)
