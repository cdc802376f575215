"""A lab that serves a small program of a person's own, whose environment says how it misbehaves."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bench.lab.hosts.lock import machine_lock
from bench.lab.servers.own_image import Own
from bench.measure.lab_testbed import prepare_bed
from bench.measure.slot import measure_slot
from bench.measure.testbed import Bed
from bench.records.run import SlotRecord
from bench.results import files
from bench.scenario.conditions import conditions
from bench.scenario.load import Load
from bench.scenario.model import Arm
from bench.scenario.plan import Slot
from bench.scenario.requests import Request
from bench.scenario.scenario import Scenario
from bench.scenario.service import Ready, Service

from .services import lay_service

PORT = 8080
LOAD = Load(warm_up_s=0.05, measure_s=0.3)


@pytest.fixture(scope="package")
def own(tmp_path_factory: pytest.TempPathFactory) -> Own:
    folder = tmp_path_factory.mktemp("own")
    lay_service("small", folder)
    return Own(folder, folder)


@pytest.fixture(scope="package")
def bed(own: Own) -> Iterator[Bed]:
    scenario = Scenario(
        name="own",
        question="What does a slot of a small service show?",
        baseline="host",
        arms=(Arm(name="host", mode="host"), Arm(name="bridge", mode="bridge")),
        service=Service(build="small", port=PORT, ready=Ready(timeout_s=3.0)),
        requests=(Request(),),
        load=LOAD,
    )
    with machine_lock("tests of a service of one's own"):
        run_id = files.new_run_id(datetime.now(UTC))
        with prepare_bed(scenario, run_id, lambda _: None, own=own) as prepared:
            yield prepared


@contextmanager
def told(bed: Bed, **environment: str) -> Iterator[Bed]:
    """The bed, with a service whose environment says how it behaves."""
    with serving(bed, {"environment": environment}) as changed:
        yield changed


@contextmanager
def serving(bed: Bed, changes: Mapping[str, object]) -> Iterator[Bed]:
    """The bed, with its service changed."""
    scenario, provided = bed.scenario, bed.provided
    assert scenario.service
    service = scenario.service.model_copy(update=changes)
    bed.scenario = scenario.model_copy(update={"service": service})
    bed.provided = {name: replace(each, service=service) for name, each in provided.items()}
    try:
        yield bed
    finally:
        bed.scenario, bed.provided = scenario, provided


def measure(bed: Bed, arm: str, folder: Path, load: Load = LOAD) -> SlotRecord:
    """One slot of `arm`."""
    slot = Slot(index=0, session=0, block=0, arm=arm, condition=0, repeat=0)
    condition = conditions(bed.scenario)[0].model_copy(update={"load": load})
    return measure_slot(bed, slot, condition, folder)[0]


def why(record: SlotRecord) -> str:
    """Why a slot could not be measured, in one line."""
    [gate] = record.failed_gates
    return " ".join(gate.detail.split())
