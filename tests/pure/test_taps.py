import io

import numpy as np
import pytest

from bench.errors import InputError
from bench.wire.exchanges import ID_DIGITS, Sight, find_exchanges, read_tap, request_target
from bench.wire.packets import PACKET_DTYPE
from bench.wire.segments import sort_segments
from tests.pure.packet_oracle import write_pcap
from tests.pure.wire import CLIENT, HOST, HOST_PATH, PATH, Seen, View, make_world, segment

VIEW = View("client", CLIENT, HOST)


def read_ids(payloads: list[bytes], path: str = PATH) -> list[int]:
    packets = [
        (i, segment(VIEW, to_server=True, seq=i * 500, ack=1, payload=payload))
        for i, payload in enumerate(payloads)
    ]
    return list(read_tap("client", io.BytesIO(write_pcap(packets)), path).request_ids)


@pytest.mark.parametrize("path", ["/1024", "/", "/page?size=1"])
@pytest.mark.parametrize("number", [0, 123, 10**ID_DIGITS - 1])
def test_a_request_is_known_by_the_number_in_its_target(path: str, number: int) -> None:
    assert read_ids([f"GET {request_target(path, number)} HTTP/1.1\r\n".encode()], path) == [number]


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"GET /1024 HTTP/1.1\r\n\r\n",
        b"GET /1024?id=00000001 HTTP/1.1\r\n\r\n",
        b"GET /1024?id=00000000012 HTTP/1.1\r\n\r\n",
        b"GET /1024?id=000000001x HTTP/1.1\r\n\r\n",
        b"GET /1025?id=0000000012 HTTP/1.1\r\n\r\n",
        b"GET /1024?id=0000000012",
        b"HTTP/1.1 200 OK\r\n\r\nGET /1024?id=0000000012 HTTP/1.1",
    ],
)
def test_what_does_not_begin_with_a_whole_numbered_request_has_no_number(payload: bytes) -> None:
    assert read_ids([payload]) == [-1]


def test_a_path_beyond_what_is_read_of_a_packet_is_refused() -> None:
    with pytest.raises(InputError, match="path"):
        read_tap("client", io.BytesIO(write_pcap([])), "/" + "x" * 120)


def see(packets: list[Seen]) -> Sight:
    content = write_pcap([(packet.ts_ns, packet.content) for packet in packets])
    return find_exchanges(read_tap("client", io.BytesIO(content), PATH))


def test_a_handshake_is_three_times() -> None:
    sight = see(make_world(HOST_PATH).packets["client"])
    (handshake,) = sight.handshakes

    assert (
        handshake["syn_ack_ns"] - handshake["syn_ns"]
        == handshake["ack_ns"] - handshake["syn_ack_ns"]
        == 1_000
    )
    assert sight.counts["connections"] == 1


def test_a_handshake_that_nobody_answered_has_zeros() -> None:
    (handshake,) = see(make_world(HOST_PATH).packets["client"][:1]).handshakes

    assert handshake["syn_ns"] > 0
    assert handshake["syn_ack_ns"] == handshake["ack_ns"] == 0


def test_a_syn_sent_again_is_one_connection() -> None:
    packets = make_world(HOST_PATH).packets["client"]
    sight = see([packets[0], packets[0]._replace(ts_ns=packets[0].ts_ns + 500), *packets[1:]])

    assert (sight.counts["connections"], sight.counts["handshakes sent again"]) == (1, 1)
    assert sight.handshakes["syn_ack_ns"] - sight.handshakes["syn_ns"] == [1_000]


def test_a_port_used_again_is_another_connection() -> None:
    later = View("client", CLIENT._replace(first_seq=9_000), HOST._replace(first_seq=2_000_000_000))
    earlier, later_packets = (
        make_world([view], 3, first=first).packets["client"] for view, first in ((VIEW, 0), (later, 3))
    )
    sight = see([*earlier, *later_packets])

    assert sight.counts["connections"] == len(sight.handshakes) == 2
    assert sight.exchanges["id"].tolist() == [0, 1, 2, 3, 4, 5]
    assert sight.exchanges["response_bytes"].tolist() == [1_400] * 6


def test_resets_are_counted() -> None:
    packets = make_world(HOST_PATH).packets["client"]
    reset = segment(VIEW, to_server=False, seq=1, ack=1, flags="R")

    assert see([*packets, Seen(packets[-1].ts_ns + 1, reset, "reset")]).counts["resets"] == 1


def test_packets_are_put_in_order_of_time_and_the_disorder_is_counted() -> None:
    packets = make_world(HOST_PATH).packets["client"]
    swapped = [*packets[:4], packets[5], packets[4], *packets[6:]]

    assert see(swapped).counts["backwards in time"] == 1
    assert (see(swapped).exchanges == see(packets).exchanges).all()


def test_an_empty_capture_has_no_exchanges() -> None:
    sight = see([])

    assert len(sight.exchanges) == len(sight.handshakes) == sight.counts["packets"] == 0


def test_a_request_without_its_response_has_a_fault_and_no_times() -> None:
    world = make_world(HOST_PATH, 2, segments=1)
    sight = see([packet for packet in world.packets["client"] if packet.label != "response 1.0"])

    assert sight.exchanges["fault"].tolist() == [0, 3]
    assert sight.exchanges["first_ns"][1] == sight.exchanges["response_bytes"][1] == 0


def test_a_connection_with_more_bytes_than_sequence_numbers_tell_apart_is_refused() -> None:
    packets = np.zeros(40_000, PACKET_DTYPE)
    packets["destination_port"], packets["payload_bytes"] = 80, 65_000

    with pytest.raises(InputError, match="2 GiB"):
        sort_segments(packets, "client")
