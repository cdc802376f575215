"""Captures for real: every tap of every mode sees every request, and what they show is the mode's path."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from bench.lab.instruments.tcpdump import STAMP_BEFORE_QUEUE
from bench.measure.testbed import Bed
from bench.records.run import SlotRecord
from bench.results import columns
from bench.scenario.model import LabSettings
from bench.wire.hops import hop_ns, list_hops
from bench.wire.packets import read_packets
from bench.wire.pcap import read_records
from tests.lab.testbed.conftest import CAPTURED_LAB, CAPTURED_LOAD, measure

TO_HOST = ["client", "uplink"]
TO_CONTAINER = [*TO_HOST, "bridge", "veth", "container"]
TO_ROOTLESS = [*TO_HOST, "rootless", "bridge", "veth", "container"]
TAPS = {
    "host": TO_HOST,
    "native": TO_HOST,
    "macvlan": [*TO_HOST, "container"],
    "wired": [*TO_HOST, "veth", "container"],
    "bridge-routed": TO_CONTAINER,
    "bridge": TO_CONTAINER,
    "user-bridge": TO_CONTAINER,
    "proxy": TO_CONTAINER,
    "bridge-ipv6": TO_CONTAINER,
    "bridge-ipv6-proxied": TO_CONTAINER,
    "rootless-builtin": TO_ROOTLESS,
    "rootless-slirp4netns": TO_ROOTLESS,
    "bridge-mapped": TO_CONTAINER,
}


@dataclass
class Captured:
    """A capture slot and its folder."""

    record: SlotRecord
    folder: Path

    def addresses(self, tap: str) -> set[int]:
        """Both addresses of every packet that the tap kept, as numbers."""
        with (self.folder / self.record.slot.directory / f"{tap}.pcap").open("rb") as stream:
            packets = np.concatenate([read_packets(records) for records in read_records(stream, tap)])
        return {int(packet[end]) for packet in packets for end in ("source_low", "destination_low")}


@pytest.fixture(scope="module")
def measured(bed: Bed, gaps: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Captured]:
    found = {}
    for arm in TAPS:
        if arm not in gaps:
            folder = tmp_path_factory.mktemp(arm)
            record, _ = measure(bed, arm, folder, CAPTURED_LAB, CAPTURED_LOAD)
            found[arm] = Captured(record, folder)
    return found


@pytest.mark.parametrize("arm", TAPS)
def test_every_request_is_found_at_every_tap_of_its_mode_s_path(
    arm: str, measured: dict[str, Captured]
) -> None:
    if arm not in measured:
        pytest.skip("not available here")
    capture = measured[arm].record.capture
    assert capture is not None, measured[arm].record.failed_gates
    assert [tap.name for tap in capture.taps] == TAPS[arm]
    assert capture.expected >= 1000
    assert capture.matched == capture.expected
    assert [gate for gate in measured[arm].record.failed_gates if gate.name.startswith("capture")] == []


def test_hops_of_a_request_add_up_to_its_time_on_the_wire(measured: dict[str, Captured]) -> None:
    slot = measured["bridge"]
    path = slot.folder / slot.record.slot.directory / "hops.parquet"
    rows = pq.read_table(path).to_pandas().to_records(index=False)
    hops = [hop_ns(rows, hop) for hop in list_hops(TAPS["bridge"])]
    assert (sum(hops) == rows["client_last_ns"] - rows["client_request_ns"]).all()
    assert all((hop >= 0).all() for hop in hops)


def test_every_connection_s_handshake_is_seen_at_both_ends(measured: dict[str, Captured]) -> None:
    capture = measured["bridge"].record.capture
    assert capture
    assert {len(tap.handshakes_us) for tap in capture.taps} == {4}


def test_a_published_port_s_address_is_rewritten_between_the_uplink_and_the_bridge(
    measured: dict[str, Captured],
) -> None:
    published, routed = measured["bridge"], measured["bridge-routed"]
    assert published.addresses("client") == published.addresses("uplink")
    assert len(published.addresses("uplink") - published.addresses("bridge")) == 1
    assert published.addresses("bridge") == published.addresses("container")
    assert routed.addresses("client") == routed.addresses("container")


@pytest.mark.parametrize("arm", ["proxy", "bridge-ipv6-proxied"])
def test_docker_proxy_hides_the_client_from_the_container(arm: str, measured: dict[str, Captured]) -> None:
    proxied = measured[arm]
    assert proxied.addresses("uplink").isdisjoint(proxied.addresses("bridge"))


def test_rules_of_ip6tables_leave_a_client_s_own_ipv6_address(measured: dict[str, Captured]) -> None:
    mapped = measured["bridge-ipv6"]
    assert len(mapped.addresses("uplink") & mapped.addresses("container")) == 1


def test_the_packets_that_are_kept_are_a_beginning_of_the_capture(measured: dict[str, Captured]) -> None:
    slot = measured["host"]
    assert slot.record.capture
    for tap in slot.record.capture.taps:
        with (slot.folder / slot.record.slot.directory / f"{tap.name}.pcap").open("rb") as stream:
            kept = list(read_records(stream, tap.name))
        assert sum(len(records.starts) for records in kept) == columns.KEPT_PACKETS < tap.received
        assert kept[-1].truncated_bytes == 0


def test_stamps_after_the_queue_are_set_for_a_slot_that_asks_for_them(bed: Bed) -> None:
    bed.arrange(LabSettings(taps=True, stamp_before_queue=False))
    assert STAMP_BEFORE_QUEUE.read_text().strip() == "0"
    bed.arrange(LabSettings(taps=True, stamp_before_queue=True))
    assert STAMP_BEFORE_QUEUE.read_text().strip() == "1"


def test_the_journal_holds_what_the_stamps_setting_was(bed: Bed) -> None:
    lines = Path(bed.lab.client.scratch).with_name("journal.jsonl").read_text().splitlines()
    entries = [json.loads(line) for line in lines]
    assert [entry["value"] for entry in entries if entry.get("path") == str(STAMP_BEFORE_QUEUE)]
