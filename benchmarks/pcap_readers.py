"""Compares readers of pcap files: bench's, scapy's, dpkt's and tshark's, on one synthetic capture.

`make benchmark-pcap`. Each reader is a process of its own, given a share of the packets that its speed
allows; figures are packets a second of CPU time (the best of three runs), and the most memory that the
process held. dpkt is not one of bench's dependencies: `--dpkt-python` names an interpreter that has it.
"""

import argparse
import json
import resource
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

PACKETS, SNAPLEN, RUNS = 2_000_000, 256, 3
BIG_BYTES = 2 << 30
SHARES = {
    "bench": 1,
    "bench, hops": 1,
    "offsets only": 1,
    "scapy raw": 1,
    "scapy dissect": 100,
    "dpkt": 10,
    "tshark": 10,
}
"""The part of the packets that each reader reads is one in so many."""
FIELDS = (
    "frame.time_epoch ip.src ip.dst ip.ttl tcp.srcport tcp.dstport tcp.seq_raw tcp.ack_raw tcp.flags tcp.len"
)


def main() -> None:
    """Write the captures, run every reader, print the table."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--packets", type=int, default=PACKETS)
    arguments.add_argument("--big-bytes", type=int, default=BIG_BYTES, help="size of the file for the memory")
    arguments.add_argument("--dpkt-python", default=sys.executable)
    arguments.add_argument("--folder", type=Path, help="where the captures are written (and removed again)")
    arguments.add_argument("--read", nargs=2, metavar=("READER", "FILE"), help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.read:
        reader, file = given.read
        print(json.dumps(measure(READERS[reader], Path(file))))
        return
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        compare(Path(folder), given.packets, given.big_bytes, given.dpkt_python)


def compare(folder: Path, packets: int, big_bytes: int, dpkt_python: str) -> None:
    """Print a line a reader."""
    print(f"{'reader':<16}{'packets':>11}{'packets/s':>12}{'ns each':>9}{'peak MiB':>10}")
    for name, share in SHARES.items():
        file = folder / f"{packets // share}.pcap"
        if not file.exists():
            write_capture(file, packets // share)
        python = dpkt_python if name == "dpkt" else sys.executable
        missing = name == "tshark" and not shutil.which("tshark")
        runs = [] if missing else [run(python, name, file) for _ in range(RUNS)]
        if missing or not all(runs):
            print(f"{name:<16}  not installed: left out")
            continue
        best = min((found for found in runs if found), key=lambda found: found["cpu_s"])
        show(name, best)
    size = file_bytes(1000) / 1000
    big = folder / "big.pcap"
    write_capture(big, round(big_bytes / size))
    if found := run(sys.executable, "bench", big):
        show(f"bench, {big.stat().st_size / 2**30:.1f} GiB", found)


def show(name: str, found: dict[str, float]) -> None:
    """Print one line of the table."""
    rate = found["packets"] / found["cpu_s"]
    print(
        f"{name:<16}{found['packets']:>11,.0f}{rate:>12,.0f}{1e9 / rate:>9.0f}{found['peak_mib']:>10.0f}",
        flush=True,
    )


def run(python: str, reader: str, file: Path) -> dict[str, float] | None:
    """What a reader in a process of its own took; None where it is not installed."""
    done = subprocess.run(
        [python, __file__, "--read", reader, str(file)], capture_output=True, text=True, check=False
    )
    if done.returncode and "ModuleNotFoundError" in done.stderr:
        return None
    if done.returncode:
        raise SystemExit(done.stderr)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def measure(reader: Callable[[Path], int], file: Path) -> dict[str, float]:
    """Packets, CPU seconds of this process and its children, and the most memory either held."""
    before = cpu_s()
    packets = reader(file)
    kib = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return {"packets": packets, "cpu_s": cpu_s() - before, "peak_mib": kib / 1024}


def cpu_s() -> float:
    """CPU time of this process and of its children that ended."""
    times = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(used.ru_utime + used.ru_stime for used in times)


def write_capture(file: Path, packets: int) -> None:
    """Request, response, acknowledgement, over and over, as on a keep-alive connection."""
    with file.open("wb") as stream:
        stream.write(struct.pack("<IHHIIII", 0xA1B23C4D, 2, 4, 0, 0, SNAPLEN, 1))
        for begin in range(0, packets, 3 * 10_000):
            exchanges = range(begin // 3, -(-min(begin + 30_000, packets) // 3))
            stream.write(b"".join(record for number in exchanges for record in exchange(number)))


def file_bytes(packets: int) -> int:
    """Bytes of a capture of so many packets."""
    return sum(len(record) for number in range(-(-packets // 3)) for record in exchange(number))


def exchange(number: int) -> Iterator[bytes]:
    """Three records."""
    request = f"GET /1024?id={number:010d} HTTP/1.1\r\nHost: 198.18.0.3:8080\r\n\r\n".encode()
    asked, answered = number * len(request), number * 1300
    for step, (to_server, seq, ack, payload) in enumerate(
        (
            (True, asked, answered, request),
            (False, answered, asked + len(request), bytes(1300)),
            (True, asked + len(request), answered + 1300, b""),
        )
    ):
        packet = frame(to_server, seq % 2**32, ack % 2**32, payload)
        second, nanosecond = divmod(number * 50_000 + step * 10_000, 10**9)
        yield struct.pack("<IIII", second, nanosecond, len(packet[:SNAPLEN]), len(packet)) + packet[:SNAPLEN]


def frame(to_server: bool, seq: int, ack: int, payload: bytes) -> bytes:
    """Ethernet, IPv4, TCP with time stamps."""
    ports = (40_000, 8080) if to_server else (8080, 40_000)
    addresses = bytes([198, 18, 0, 2]), bytes([198, 18, 0, 3])
    source, destination = addresses if to_server else addresses[::-1]
    return (
        struct.pack("!6s6sH", b"\x02" * 6, b"\x02" * 6, 0x0800)
        + struct.pack(
            "!BBHHHBBH4s4s", 0x45, 0, 52 + len(payload), seq & 0xFFFF, 0x4000, 64, 6, 0, source, destination
        )
        + struct.pack("!HHIIBBHHH", *ports, seq, ack, 0x80, 0x18, 501, 0, 0)
        + struct.pack("!BBBBII", 1, 1, 8, 10, 1, 2)
        + payload
    )


def read_with_bench(file: Path) -> int:
    """Every column, a batch at a time."""
    from bench.wire.packets import read_packets
    from bench.wire.pcap import read_records

    with file.open("rb", buffering=0) as stream:
        return sum(len(read_packets(records)) for records in read_records(stream, file.name))


def read_hops_with_bench(file: Path) -> int:
    """Everything up to the exchanges of a tap: all packets are held."""
    from bench.wire.exchanges import find_exchanges, read_tap

    with file.open("rb", buffering=0) as stream:
        sight = find_exchanges(read_tap(file.name, stream, "/1024"))
    assert not sight.exchanges["fault"].any()
    return sight.counts["packets"]


def read_offsets(file: Path) -> int:
    """Where the records begin, and nothing else: what no reader of this format in Python can undercut."""
    from bench.wire.pcap import read_records

    with file.open("rb", buffering=0) as stream:
        return sum(len(records.starts) for records in read_records(stream, file.name))


def read_raw_with_scapy(file: Path) -> int:
    """Records as bytes."""
    from scapy.utils import RawPcapReader

    with RawPcapReader(str(file)) as reader:
        return sum(1 for _ in reader)


def dissect_with_scapy(file: Path) -> int:
    """Ethernet, IP and TCP of each packet."""
    from scapy.config import conf
    from scapy.layers.inet import IP, TCP
    from scapy.layers.l2 import Ether
    from scapy.utils import PcapReader

    conf.layers.filter([Ether, IP, TCP])
    with PcapReader(str(file)) as reader:
        return sum(1 for packet in reader if packet[TCP].seq >= 0)


def read_with_dpkt(file: Path) -> int:
    """Ethernet, IP and TCP of each packet."""
    import dpkt

    with file.open("rb") as stream:
        return sum(
            1 for _, content in dpkt.pcap.Reader(stream) if dpkt.ethernet.Ethernet(content).data.data.seq >= 0
        )


def read_with_tshark(file: Path) -> int:
    """The same columns as text."""
    fields = [word for field in FIELDS.split() for word in ("-e", field)]
    with tempfile.TemporaryFile() as output:
        subprocess.run(
            ["tshark", "-n", "-r", str(file), "-T", "fields", *fields],
            stdout=output, stderr=subprocess.DEVNULL, check=True,
        )  # fmt: skip
        output.seek(0)
        return sum(1 for _ in output)


READERS = {
    "bench": read_with_bench,
    "bench, hops": read_hops_with_bench,
    "offsets only": read_offsets,
    "scapy raw": read_raw_with_scapy,
    "scapy dissect": dissect_with_scapy,
    "dpkt": read_with_dpkt,
    "tshark": read_with_tshark,
}

if __name__ == "__main__":
    main()
