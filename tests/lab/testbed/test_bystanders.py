"""Containers beside the measured one, for real: Docker's rules of theirs, their traffic, and their end."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.measure.testbed import Bed
from bench.scenario.model import LabSettings
from bench.scenario.modes.footprint import Counter
from bench.slots.gates.gate import Blame
from tests.lab.testbed.conftest import measure

QUIET = LabSettings(bystanders=3, bystander_networks=2)
BUSY = LabSettings(bystanders=3, bystander_rps=100)


@pytest.fixture(autouse=True)
def alone_afterwards(bed: Bed) -> Iterator[None]:
    yield
    bed.arrange(LabSettings())
    assert standing(bed) == []
    assert not any(
        "bench-bystanders" in str(network.name) for network in bed.engines["docker1"].client.networks.list()
    )


def standing(bed: Bed) -> list[str]:
    found = bed.engines["docker1"].client.containers.list(all=True)
    return sorted(str(container.id) for container in found if "bystander" in str(container.name))


def failed_paths(record: object) -> list[str]:
    return [gate.name for gate in record.failed_gates if gate.name.blame is Blame.PATH]  # type: ignore[attr-defined]


def test_they_live_as_long_as_slots_ask_for_the_same_and_each_has_a_port_that_docker_maps(
    bed: Bed, tmp_path: Path
) -> None:
    first, _ = measure(bed, "bridge", tmp_path, QUIET)
    before = standing(bed)
    second, _ = measure(bed, "host", tmp_path, QUIET)
    assert len(before) == 3
    assert standing(bed) == before
    saved = bed.lab.docker["docker1"].run(["iptables-save", "-t", "nat"])
    assert all(f"--dport {port} -j DNAT" in saved for port in (9101, 9102, 9103))
    assert len(bed.lab.docker["docker1"].numbered_here("docker-proxy")) >= 3
    for record in (first, second):
        assert (
            record.evidence["bystanders"]
            == "3 containers with a published port, in 2 networks; asked nothing"
        )
        assert failed_paths(record) == []
        assert record.path == "proved"


def test_their_rules_stand_before_those_of_the_measured_container(bed: Bed, tmp_path: Path) -> None:
    alone, _ = measure(bed, "bridge", tmp_path)
    beside, _ = measure(bed, "bridge", tmp_path, QUIET)
    assert alone.rules
    assert beside.rules
    # Of each bystander a mapping, of each network a rule: all before the mapping of the one that came last.
    assert beside.rules.connection["nat DOCKER"] == alone.rules.connection["nat DOCKER"] + 3 + 2
    assert sum(beside.rules.request.values()) > sum(alone.rules.request.values())
    assert (alone.rules.unknown, beside.rules.unknown) == ((), ())


@pytest.mark.parametrize("arm", ["host", "bridge", "proxy"])
def test_their_traffic_goes_on_beside_a_load_whose_path_is_proved_as_far_as_it_can_be(
    arm: str, bed: Bed, tmp_path: Path
) -> None:
    record, _ = measure(bed, arm, tmp_path, BUSY)
    assert bed.bystanders.traffic
    assert bed.bystanders.traffic.is_alive
    assert "requests/s of 100 asked for" in record.evidence["bystanders"]
    assert record.requests > 0
    assert failed_paths(record) == []
    assert record.path.startswith("partly proved: ")
    assert "the traffic of bystanders moves them as well" in record.path
    assert Counter.SERVED in record.counters
    assert Counter.BRIDGE not in record.counters


def test_an_engine_that_is_restarted_has_them_again(bed: Bed, tmp_path: Path) -> None:
    measure(bed, "host", tmp_path, QUIET)
    before = standing(bed)
    bed.restart_engines()
    assert standing(bed) == []
    measure(bed, "host", tmp_path, QUIET)
    assert len(standing(bed)) == 3
    assert not set(standing(bed)) & set(before)
