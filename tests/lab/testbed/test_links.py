"""Settings of links for real: each is made so where its name says, read back, and put back."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.lab.hosts.host import Host
from bench.lab.hosts.links import list_links, read_offloads
from bench.measure.testbed import Bed
from bench.records.run import SlotRecord
from bench.scenario.model import LabSettings
from tests.lab.testbed.conftest import measure

OFF = "gro gso tso checksums"


@pytest.fixture(autouse=True)
def _links_as_they_were(bed: Bed) -> Iterator[None]:
    yield
    bed.arrange(LabSettings())


def settings(**fields: object) -> LabSettings:
    return LabSettings.model_validate(fields)


def look(host: Host, device: str) -> tuple[int, str, dict[str, str]]:
    """MTU, queue and offloads."""
    [link] = [link for link in list_links(host) if link["ifname"] == device]
    return link["mtu"], link["qdisc"], read_offloads(host, device)


@pytest.mark.parametrize(("link", "device"), [("uplink", "eth0"), ("docker0", "docker0")])
def test_a_link_of_the_host_is_set_and_is_afterwards_as_it_was(link: str, device: str, bed: Bed) -> None:
    bed.arrange(LabSettings())
    host = bed.lab.docker["docker1"]
    before = look(host, device)

    bed.arrange(settings(**{f"{link}_offloads_off": OFF, f"{link}_queue": "pfifo 100"}))
    _, queue, offloads = look(host, device)
    bed.arrange(settings(**{f"{link}_offloads_off": "gro"}))
    _, queue_then, offloads_then = look(host, device)
    bed.arrange(LabSettings())

    assert queue == "pfifo"
    assert set(offloads.values()) == {"off"}
    assert queue_then == before[1]
    assert {name: level for name, level in offloads_then.items() if name != "gro"} == {
        name: level for name, level in before[2].items() if name != "gro"
    }
    assert look(host, device) == before


def test_a_container_s_link_is_set_at_both_ends_and_the_slot_keeps_what_it_was(
    bed: Bed, tmp_path: Path
) -> None:
    wanted = settings(
        veth_mtu=1200, veth_offloads_off="tso", veth_queue="pfifo 50", uplink_offloads_off="gro"
    )
    record, facts = measure(bed, "bridge", tmp_path, wanted)

    assert no_answer(record) == []
    assert (facts["link mtu"], facts["link qdisc"]) == ("1200", "pfifo")
    assert facts["offload tcp-segmentation-offload"] == "off"
    assert "gro off" in record.evidence["uplink"]


def test_a_mode_without_such_a_link_is_as_it_is(bed: Bed, tmp_path: Path) -> None:
    record, facts = measure(bed, "host", tmp_path, settings(veth_mtu=1200))

    assert no_answer(record) == []
    assert facts["link mtu"] == "1500"


def test_a_queue_that_this_kernel_has_not_makes_the_slot_void_with_its_words(
    bed: Bed, tmp_path: Path
) -> None:
    record, _ = measure(bed, "bridge", tmp_path, settings(veth_queue="nosuchqueue"))

    assert not record.valid
    assert "nosuchqueue" in record.gates[0].detail
    assert "modprobe" in record.gates[0].detail


def no_answer(record: SlotRecord) -> list[str]:
    """Why it never came to its load."""
    return [gate.detail for gate in record.failed_gates if gate.name == "answered"]
