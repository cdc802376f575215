"""Names looked up inside containers for real: who is asked, on which way, and what a dead server does."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.lab.servers.name_server import name_servers
from bench.measure.testbed import Bed
from bench.records.run import SlotRecord
from bench.scenario.load import Load
from bench.scenario.model import LabSettings
from bench.scenario.modes.footprint import Counter
from bench.slots.gates.gate import Blame
from tests.lab.testbed.conftest import measure

LOAD = Load(model="lookup", warm_up_s=0.05, measure_s=0.1)
RECEIVED, VANISHED = "queries that reached the lab's name servers", "packets to the dead name server"
LOOKUPS, STALLS = "lookups, those of the warm-up included", "lookups of a second or more"
RESOLV_CONF = "/etc/resolv.conf inside"


@pytest.fixture(scope="module", autouse=True)
def servers(bed: Bed) -> Iterator[None]:
    rules = bed.lab.client.run(["iptables", "-S"]), bed.lab.client.run(["ip", "-br", "address"])
    with name_servers(bed.lab.client, ipv6=True):
        yield
    assert (bed.lab.client.run(["iptables", "-S"]), bed.lab.client.run(["ip", "-br", "address"])) == rules


def look_up(bed: Bed, arm: str, folder: Path, upstreams: str = "healthy", load: Load = LOAD) -> SlotRecord:
    return measure(bed, arm, folder, LabSettings.model_validate({"upstreams": upstreams}), load)[0]


def failures(record: SlotRecord) -> list[str]:
    """Gates that failed, but those that a busy machine fails."""
    return [gate.name for gate in record.failed_gates if gate.name.blame is not Blame.DISTURBED]


@pytest.mark.parametrize(
    ("arm", "resolver"),
    [
        ("host", "198.18.0.10"),
        ("bridge", "198.18.0.10"),
        ("bridge-mapped", "198.18.0.10"),
        ("user-bridge", "127.0.0.11"),
        ("macvlan", "127.0.0.11"),
    ],
)
def test_a_name_is_found_by_the_server_that_resolv_conf_names(
    bed: Bed, arm: str, resolver: str, tmp_path: Path
) -> None:
    record = look_up(bed, arm, tmp_path)

    assert failures(record) == [], record.gates
    assert f"nameserver {resolver}" in record.evidence[RESOLV_CONF]
    # A and AAAA of each.
    assert int(record.evidence[RECEIVED]) == 2 * int(record.evidence[LOOKUPS])
    assert record.requests > 1
    assert record.evidence["getaddrinfo's errors"] == "none"


def test_of_one_family_one_question_is_asked(bed: Bed, tmp_path: Path) -> None:
    record = look_up(bed, "bridge", tmp_path, load=LOAD.model_copy(update={"family": "ipv4"}))

    assert failures(record) == [], record.gates
    assert int(record.evidence[RECEIVED]) == int(record.evidence[LOOKUPS])


@pytest.mark.parametrize("arm", ["host", "user-bridge"])
def test_a_dead_first_server_is_seen_and_told(bed: Bed, arm: str, tmp_path: Path) -> None:
    record = look_up(bed, arm, tmp_path, "dead-first")

    assert failures(record) == [], record.gates
    assert int(record.evidence[VANISHED]) >= int(record.evidence[LOOKUPS])
    assert record.evidence[STALLS] == record.evidence[LOOKUPS] == "2"
    assert record.requests == 1


def test_a_server_that_refuses_is_asked_first_and_the_next_one_found(bed: Bed, tmp_path: Path) -> None:
    record = look_up(bed, "bridge", tmp_path, "refused-first")

    assert failures(record) == [], record.gates
    assert int(record.evidence[RECEIVED]) == 4 * int(record.evidence[LOOKUPS])
    assert record.evidence[STALLS] == "0"


def test_a_container_without_ipv6_cannot_ask_a_server_at_such_an_address(bed: Bed, tmp_path: Path) -> None:
    within, without = (look_up(bed, arm, tmp_path, "ipv6") for arm in ("host", "bridge"))

    assert failures(within) == [], within.gates
    assert "errors" in failures(without)
    assert not without.valid
    [gate] = [gate for gate in without.failed_gates if gate.name == "errors"]
    assert "getaddrinfo said EAI_AGAIN" in gate.detail


def test_its_own_name_a_container_hears_from_docker_alone(bed: Bed, tmp_path: Path) -> None:
    record = look_up(bed, "user-bridge", tmp_path, load=LOAD.model_copy(update={"lookup": "container"}))

    assert failures(record) == [], record.gates
    assert record.evidence["name looked up"].endswith("bench-000-user-bridge")
    assert record.evidence[RECEIVED] == "0"
    assert record.counters[Counter.UPLINK] < record.requests
