"""What a person is told of a slot as it ends."""

from bench.cli.progress import describe_slot
from bench.scenario.metric import Metric, Voids
from bench.scenario.plan import Slot
from bench.slots.gates.gate import GateKind
from tests.pure.conftest import make_gate, make_slot_record

SLOT = Slot(index=0, session=0, block=0, arm="host", condition=0, repeat=0)


def test_a_slot_is_told_by_its_p50_and_its_rate() -> None:
    values = {Metric.P50_LATENCY_US: 120.04, Metric.THROUGHPUT_RPS: 1_999.6}
    assert describe_slot(make_slot_record(SLOT, values=values)) == "block 1 host: p50 120.0 us, 2,000 req/s"


def test_a_slot_whose_latency_alone_is_void_names_the_gate_that_took_it_and_no_other() -> None:
    late = make_gate(name=GateKind.LATENESS_MEDIAN, passed=False, voids=Voids.LATENCY, seen=30.0, limit=10.0)
    tail = make_gate(name=GateKind.LATENESS, passed=False, voids=Voids.TAIL)
    values = {Metric.P50_LATENCY_US: None, Metric.THROUGHPUT_RPS: 2_000.0}
    told = describe_slot(make_slot_record(SLOT, values=values, gates=(late, tail)))
    assert told.startswith("block 1 host: p50 void (generator lateness, median: 30.0, limit 10.0")
    assert told.endswith("), 2,000 req/s")
    assert "generator lateness:" not in told
