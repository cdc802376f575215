"""A locustfile of a person's own as the load on their service."""

from pathlib import Path

import pytest

from bench.measure.testbed import Bed
from bench.scenario.load import Load
from bench.slots.gates.gate import GateKind

from .conftest import measure

USERS = """
from locust import HttpUser, constant, task


class Shopper(HttpUser):
    wait_time = constant(0.002)

    def on_start(self):
        self.client.get("/", name="login")

    @task
    def buy(self):
        self.client.post("/", data="one of it")
"""


@pytest.mark.parametrize("arm", ["host", "bridge"])
def test_its_users_requests_are_recorded_and_their_path_is_proved(
    bed: Bed, arm: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "users.py").write_text(USERS)
    monkeypatch.setattr(bed.generator, "inputs", tmp_path)
    load = Load(engine="locustfile", locustfile="users.py", connections=4, warm_up_s=1.0, measure_s=1.0)
    scenario = bed.scenario.model_copy(update={"requests": (), "load": load})
    monkeypatch.setattr(bed, "scenario", scenario)
    monkeypatch.setattr(bed, "asked", ())
    record = measure(bed, arm, tmp_path, load)

    failed = [gate.name for gate in record.failed_gates if gate.name.startswith("path")]
    assert record.requests > 0
    assert record.errors == 0
    assert failed == []
    assert next(gate for gate in record.gates if gate.name is GateKind.NAMESPACE).passed
