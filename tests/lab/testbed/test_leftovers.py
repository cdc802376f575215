"""What a slot leaves in the lab's networks, for real: nothing that the next one would count."""

from pathlib import Path

import pytest

from bench.lab.servers.name_server import name_servers
from bench.measure.testbed import Bed
from bench.scenario.load import Load
from bench.scenario.model import LabSettings
from bench.slots.gates.gate import GateKind
from bench.slots.surroundings import SOMAXCONN
from tests.lab.testbed.conftest import measure

BURST = Load(connections=200, keep_alive=False, warm_up_s=0.3, measure_s=0.3)
"""More new connections than a queue of one has room for: some are never answered."""
LOOKUP = Load(model="lookup", warm_up_s=0.05, measure_s=0.1)


@pytest.mark.parametrize("engine", ["raw", "raw-python"])
@pytest.mark.parametrize("arm", ["host", "bridge"])
def test_what_was_not_answered_is_not_sent_again_in_the_next_slot(
    bed: Bed, arm: str, engine: str, tmp_path: Path
) -> None:
    burst = BURST.model_copy(update={"engine": engine})
    with name_servers(bed.lab.client, ipv6=True):
        record, _ = measure(bed, arm, tmp_path, LabSettings(sysctls=f"{SOMAXCONN}=1"), burst)
        assert GateKind.LISTEN_DROPS in {gate.name for gate in record.failed_gates}
        # Of some seconds: what is sent again is sent again ever later.
        after, _ = measure(bed, "host", tmp_path, LabSettings(upstreams="dead-first"), LOOKUP)

    [gate] = [gate for gate in after.gates if gate.name is GateKind.RETRANSMITS]
    assert gate.passed, gate
