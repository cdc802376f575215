import io
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import InputError
from bench.wire.packets import PACKET_DTYPE, Kind, read_packets, read_payloads
from bench.wire.pcap import MAX_CAPTURED_BYTES, Link, Records, read_records
from tests.pure.packet_oracle import write_capture, write_pcap
from tests.pure.wire import CLIENT, CLIENT6, HOST, HOST6, View, segment

VIEW, VIEW6 = View("client", CLIENT, HOST), View("client", CLIENT6, HOST6)


def read(content: bytes, chunk_bytes: int = 1 << 20) -> list[Records]:
    return list(read_records(io.BytesIO(content), "it", chunk_bytes))


def stamps(content: bytes, chunk_bytes: int = 1 << 20) -> list[int]:
    return [int(ts_ns) for records in read(content, chunk_bytes) for ts_ns in records.ts_ns]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("unit", "expected"), [(1, [0, 1_000_000_001]), (1000, [0, 1_000_001_000])])
def test_both_byte_orders_and_both_units_of_time_are_read(order: str, unit: int, expected: list[int]) -> None:
    assert stamps(write_capture([b"ab", b"c"], Link.ETHERNET, order=order, ns_per_unit=unit)) == expected


@given(st.lists(st.integers(0, 200)), st.integers(1, 300))
def test_the_size_of_what_is_read_at_a_time_changes_nothing(lengths: list[int], chunk_bytes: int) -> None:
    packets = [bytes([i % 256]) * length for i, length in enumerate(lengths)]
    pieces = read(write_capture(packets, Link.ETHERNET), chunk_bytes)
    found = [
        piece.data[start : start + size]
        for piece in pieces
        for start, size in zip(piece.starts, piece.captured_bytes, strict=True)
    ]

    assert found == packets
    assert max(len(piece.data) for piece in pieces) <= chunk_bytes + 216 + 128


@pytest.mark.parametrize("missing", range(1, 20))
def test_a_last_record_cut_short_is_left_out_and_counted(missing: int) -> None:
    content = write_capture([b"abcd", b"efgh"], Link.ETHERNET)[:-missing]

    assert stamps(content) == [0]
    assert [piece.truncated_bytes for piece in read(content)][-1] == 20 - missing


@pytest.mark.parametrize("content", [b"", b"\xd4\xc3\xb2\xa1", b"GET / HTTP/1.1\r\nHost: here\r\n\r\n"])
def test_what_is_no_pcap_file_is_refused(content: bytes) -> None:
    with pytest.raises(InputError, match=r"Reading it: no pcap header.*at byte 0"):
        read(content)


def test_an_unknown_link_type_is_refused_by_name_and_place() -> None:
    content = bytearray(write_capture([], Link.ETHERNET))
    content[20] = 105

    with pytest.raises(InputError, match="link type 105, at byte 20"):
        read(bytes(content))


def test_a_record_longer_than_any_capture_is_refused_at_its_place() -> None:
    content = write_capture([b"abcd"], Link.ETHERNET) + struct.pack("<IIII", 1, 1, MAX_CAPTURED_BYTES + 1, 60)

    with pytest.raises(InputError, match="a record of 262145 captured bytes, at byte 44"):
        read(content)


@pytest.mark.parametrize("view", [VIEW, VIEW6])
@pytest.mark.parametrize("captured", [0, 13, 33, 53, 54, 60, 74, 200])
def test_the_payload_is_as_long_as_on_the_wire_and_as_much_of_it_given_as_was_captured(
    view: View, captured: int
) -> None:
    headers = 54 if view is VIEW else 74
    content = segment(view, to_server=True, seq=1, ack=2, payload=b"0123456789")
    (records, _) = read(write_capture([content], Link.ETHERNET, snaplen=captured or 1))
    (packet,) = packets = read_packets(records)

    if captured < headers:
        assert packet["kind"] == Kind.CUT
    else:
        assert (packet["payload_bytes"], packet["payload_offset"]) == (10, headers)
    given = read_payloads(records, packets, 12)[0].tobytes()
    assert given == b"0123456789"[: max(captured - headers, 0)].ljust(12, b"\0")


def test_padding_of_a_short_frame_is_no_payload() -> None:
    (records, _) = read(write_pcap([(5, segment(VIEW, to_server=True, seq=1, ack=2) + bytes(6))]))

    assert read_packets(records)["payload_bytes"].tolist() == [0]


def test_columns_are_a_table_of_pandas_as_they_are() -> None:
    (records, _) = read(write_pcap([(5, segment(VIEW, to_server=True, seq=1, ack=2))]))
    import pandas as pd

    table = pd.DataFrame(read_packets(records))
    assert tuple(table) == PACKET_DTYPE.names
    assert (table["source_low"] == 0xFFFF_C612_0002).all()


def test_an_empty_capture_has_no_packets() -> None:
    (records,) = read(write_pcap([]))

    assert len(read_packets(records)) == 0
    assert read_payloads(records, np.zeros(0, PACKET_DTYPE), 4).shape == (0, 4)
