"""A request followed through samples that scapy wrote and scapy decodes."""

import subprocess
import sys
from pathlib import Path

import pytest

from bench.errors import InputError
from bench.results.decoding import decode
from bench.wire.trace import follow

from .captures import make_tapped, store_captures
from .packet_oracle import write_pcap
from .reports import judged
from .wire import BRIDGE_PATH, HOST6_PATH, HOST_PATH, PROXY_PATH, View, make_world


def write_samples(folder: Path, path: list[View], names: tuple[str, ...] = ()) -> list[Path]:
    """A pcap file a tap of a world's load; the taps are renamed to `names`."""
    world = make_world(path)
    names = names or tuple(world.packets)
    files = []
    for name, packets in zip(names, world.packets.values(), strict=True):
        files.append(folder / f"{name}.pcap")
        files[-1].write_bytes(write_pcap([(p.ts_ns, p.content) for p in packets]))
    return files


def trace(files: list[Path]) -> list[tuple[str, str, str, str, tuple[str, ...]]]:
    found = follow({file.stem: decode(file) for file in files})
    return [(str(s.group), s.tap, s.packet.source, s.packet.destination, s.rewritten) for s in found]


def test_dnat_is_seen_between_the_uplink_and_the_bridge_and_undone_on_the_way_back(tmp_path: Path) -> None:
    client, host, container = "198.18.0.2:40000", "198.18.0.3:8080", "172.17.0.2:80"

    assert trace(write_samples(tmp_path, BRIDGE_PATH)) == [
        ("request", "client", client, host, ()),
        ("request", "uplink", client, host, ()),
        ("request", "bridge", client, container, ("destination",)),
        ("request", "veth", client, container, ()),
        ("request", "server", client, container, ()),
        ("response", "server", container, client, ()),
        ("response", "veth", container, client, ()),
        ("response", "bridge", container, client, ()),
        ("response", "uplink", host, client, ("source",)),
        ("response", "client", host, client, ()),
    ]


def test_docker_proxy_is_seen_as_another_connection(tmp_path: Path) -> None:
    rewritten = [row[4] for row in trace(write_samples(tmp_path, PROXY_PATH)) if row[4]]

    assert rewritten == [("source and destination: another connection",)] * 2


def test_ipv6_is_followed_too(tmp_path: Path) -> None:
    assert trace(write_samples(tmp_path, HOST6_PATH))[0][2:4] == ("[fd00::2]:40000", "[fd00::3]:8080")


def test_the_request_is_one_that_every_tap_saw_and_a_response_that_none_saw_is_left_out(
    tmp_path: Path,
) -> None:
    samples = {file.stem: decode(file) for file in write_samples(tmp_path, HOST_PATH)}
    # The client's sample begins late, and both end before any response but the first two.
    numbers = [i for i, packet in enumerate(samples["client"]) if packet.payload.startswith(b"GET")]
    client = samples["client"][numbers[2] : numbers[2] + 1]
    found = follow({**samples, "client": client})

    assert {seen.number for seen in found} == {2}
    assert [(str(seen.group), seen.tap) for seen in found] == [
        ("request", "client"),
        ("request", "uplink"),
        ("response", "uplink"),
    ]


def test_samples_with_nothing_in_common_trace_nothing(tmp_path: Path) -> None:
    samples = {file.stem: decode(file) for file in write_samples(tmp_path, HOST_PATH)}

    assert follow({**samples, "client": []}) == []
    assert follow({}) == []


def test_what_is_no_capture_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "client.pcap").write_text("not a capture, but long enough to be one")
    with pytest.raises(InputError, match=r"client\.pcap"):
        decode(tmp_path / "client.pcap")


def test_a_run_traces_a_request_of_a_slot_and_says_on_which_link(tmp_path: Path) -> None:
    run = judged(store_captures(tmp_path, make_tapped()))
    [slot, *_] = [record.slot for record in run.tapped if record.slot.arm == "bridge"]
    names = ("client", "uplink", "bridge", "veth", "container")
    write_samples(tmp_path / slot.directory, BRIDGE_PATH, names)
    found = run.trace(slot.index)

    assert found["tap"].tolist() == [*names, *reversed(names)]
    assert found["link"].tolist()[:3] == ["eth0", "eth0", "docker0"]
    assert found["rewritten"].tolist() == ["", "", "destination", *[""] * 5, "source", ""]
    assert set(found["source_mac"]) == {"02:00:00:00:00:01"}

    # A tap whose sample is missing is left out; without any there is nothing to trace.
    (tmp_path / slot.directory / "veth.pcap").unlink()
    assert "veth" not in set(run.trace(slot.index)["tap"])
    [other, *_] = [record.slot.index for record in run.tapped if record.slot.arm == "host"]
    assert run.trace(other).empty


def test_a_sample_is_decoded_by_an_interpreter_that_has_nothing_else_of_scapy(tmp_path: Path) -> None:
    # Its reader knows a link type only once that layer is imported, which these tests do elsewhere.
    [sample, _] = write_samples(tmp_path, HOST_PATH)
    code = (
        "import sys, pathlib; from bench.results.decoding import decode;"
        "print(decode(pathlib.Path(sys.argv[1]))[0].source_mac)"
    )
    found = subprocess.run([sys.executable, "-c", code, sample], capture_output=True, text=True, check=True)

    assert (found.stdout.strip(), found.stderr) == ("02:00:00:00:00:01", "")
