"""Hops of captures whose truth is known: recovered exactly, or refused with the reason."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import InputError
from bench.slots.gates.gate import is_valid
from bench.wire.exchanges import EXCHANGE_DTYPE, HANDSHAKE_DTYPE, Sight
from bench.wire.hops import Hops, hop_ns, list_hops, match, wire_latency_ns
from tests.pure.wire import (
    BRIDGE_PATH,
    CLIENT,
    HOST,
    HOST6_PATH,
    HOST_PATH,
    PATHS,
    PROXY_PATH,
    Seen,
    View,
    make_world,
    segment,
)


def make_sight(name: str, times: list[tuple[int, int, int]]) -> Sight:
    exchanges = np.zeros(len(times), EXCHANGE_DTYPE)
    exchanges["id"] = np.arange(len(times))
    for column, values in zip(("request_ns", "first_ns", "last_ns"), zip(*times, strict=True), strict=True):
        exchanges[column] = values
    exchanges["response_bytes"] = 1024
    return Sight(name=name, exchanges=exchanges, handshakes=np.zeros(0, HANDSHAKE_DTYPE), counts={})


def gate_words(hops: Hops) -> dict[str, bool]:
    return {gate.name: gate.passed for gate in hops.gates}


@pytest.mark.parametrize("mode", PATHS)
@pytest.mark.parametrize("segments", [1, 2, 3])
@pytest.mark.parametrize("handshake", [True, False])
def test_every_hop_of_every_request_is_recovered_to_the_nanosecond(
    mode: str, segments: int, handshake: bool
) -> None:
    world = make_world(PATHS[mode], segments=segments, handshake=handshake)
    hops = world.match()

    assert hops.rows["id"].tolist() == [0, 1, 2, 3, 4]
    assert {h.name: hop_ns(hops.rows, h).tolist() for h in list_hops(hops.taps)} == world.truth_ns
    assert is_valid(hops.gates)
    assert hops.unmatched == hops.backwards == {}


times = st.integers(0, 10**9).map(lambda ns: ns + 1_700_000_000_000_000_000)


@given(st.integers(1, 5), st.data())
def test_the_hops_of_a_request_add_up_to_its_latency_on_the_wire(taps: int, data: st.DataObject) -> None:
    rows = data.draw(
        st.lists(st.lists(times, min_size=2 * taps + 1, max_size=2 * taps + 1).map(sorted), min_size=1)
    )
    names = [f"tap{i}" for i in range(taps)]
    sights = [
        make_sight(name, [(row[i], row[-2 - i], row[-1]) for row in rows]) for i, name in enumerate(names)
    ]
    hops = match(sights)

    assert len(hops.rows) == len(rows)
    steps = list_hops(names)
    assert all(one.later == next_.earlier for one, next_ in pairwise(steps))
    total = np.sum([hop_ns(hops.rows, hop) for hop in steps], axis=0)
    assert total.tolist() == wire_latency_ns(hops).tolist()
    assert wire_latency_ns(hops).tolist() == [row[-1] - row[0] for row in rows]


@given(
    st.lists(st.tuples(times, times, times), min_size=1), st.lists(st.tuples(times, times, times), min_size=1)
)
def test_no_kept_request_has_a_negative_hop_and_every_request_is_accounted_for(
    near: list[tuple[int, int, int]], far: list[tuple[int, int, int]]
) -> None:
    hops = match([make_sight("near", near), make_sight("far", far)])

    assert all((hop_ns(hops.rows, hop) >= 0).all() for hop in list_hops(hops.taps))
    assert hops.expected == max(len(near), len(far))
    assert len(hops.rows) + sum(hops.unmatched.values()) + sum(hops.backwards.values()) == hops.expected


def test_a_negative_hop_is_named_and_makes_the_capture_invalid() -> None:
    hops = match(
        [
            make_sight("client", [(10, 50, 50)] * 3),
            make_sight("uplink", [(20, 40, 40), (9, 40, 40), (20, 51, 51)]),
        ]
    )

    assert hops.backwards == {"request: client to uplink": 1, "response: uplink to client": 1}
    assert gate_words(hops) == {"capture: matched": False, "capture: order": False}


def test_a_response_that_ends_at_a_later_tap_before_an_earlier_one_runs_backwards() -> None:
    hops = match([make_sight("client", [(10, 50, 60)]), make_sight("uplink", [(20, 40, 61)])])

    assert hops.backwards == {"response's end: uplink to client": 1}


@pytest.mark.parametrize(("lost", "passed"), [(0, True), (1, True), (2, False)])
def test_one_request_in_a_thousand_may_be_unmatched(lost: int, passed: bool) -> None:
    times = [(10, 50, 50)] * 1000
    hops = match([make_sight("client", times), make_sight("uplink", times[lost:])])

    assert gate_words(hops)["capture: matched"] is passed


def test_a_request_that_no_tap_saw_is_missed_when_it_is_expected() -> None:
    hops = match([make_sight("client", [(10, 50, 50)] * 3)], np.array([1, 2, 7]))

    assert hops.rows["id"].tolist() == [1, 2]
    assert hops.unmatched == {"client: not seen": 1}
    assert not is_valid(hops.gates)


def test_nothing_expected_is_no_valid_capture() -> None:
    assert not is_valid(match([make_sight("client", [(1, 2, 3)])], np.zeros(0, np.int64)).gates)


@pytest.mark.parametrize("names", [[], ["client", "client"]])
def test_taps_need_names_of_their_own(names: list[str]) -> None:
    with pytest.raises(InputError):
        match([make_sight(name, [(1, 2, 3)]) for name in names])


@pytest.mark.parametrize("path", [BRIDGE_PATH, PROXY_PATH])
@pytest.mark.parametrize(
    ("label", "reasons"),
    [
        ("request 2", {"veth: not seen": 1, "veth: another response length": 1}),
        ("response 2.0", {"veth: response not seen whole": 1}),
        ("response 2.2", {"veth: response not seen whole": 1}),
        ("response 4.2", {"veth: another response length": 1}),
        ("response 2.1", {}),
    ],
)
def test_a_packet_that_a_tap_lost_costs_its_request_and_no_other(
    path: list[View], label: str, reasons: dict[str, int]
) -> None:
    world = make_world(path, segments=3)
    del world.packets["veth"][world.at("veth", label)]

    assert world.match().unmatched == reasons


@pytest.mark.parametrize("label", ["request 1", "response 1.0", "response 1.1"])
def test_a_packet_that_a_tap_saw_twice_counts_when_it_first_passed(label: str) -> None:
    world = make_world(BRIDGE_PATH)
    place = world.at("bridge", label)
    seen = world.packets["bridge"][place]
    world.packets["bridge"].insert(place + 1, seen._replace(ts_ns=seen.ts_ns + 1))
    hops = world.match()

    assert {h.name: hop_ns(hops.rows, h).tolist() for h in list_hops(hops.taps)} == world.truth_ns
    assert world.sights()[2].counts["seen twice"] == 1


@pytest.mark.parametrize("label", ["request 1", "response 1.0", "response 1.1"])
def test_a_request_of_which_anything_was_sent_again_is_left_out(label: str) -> None:
    world = make_world(HOST_PATH)
    for packets in world.packets.values():
        place = [packet.label for packet in packets].index(label)
        again = bytearray(packets[place].content)
        again[18:20] = b"\xff\xff"  # Its IPv4 identification: another packet.
        packets.insert(place + 1, Seen(packets[place].ts_ns + 50, bytes(again), "again"))
    hops = world.match()

    assert hops.rows["id"].tolist() == [0, 2, 3, 4]
    assert hops.unmatched == {"client: retransmitted": 1}
    assert [sight.counts["retransmitted"] for sight in world.sights()] == [1, 1]


def test_ipv6_cannot_tell_a_copy_from_a_packet_sent_again_so_its_request_is_left_out() -> None:
    world = make_world(HOST6_PATH)
    place = world.at("uplink", "request 1")
    seen = world.packets["uplink"][place]
    world.packets["uplink"].insert(place + 1, seen._replace(ts_ns=seen.ts_ns + 1))

    assert world.match().unmatched == {"uplink: retransmitted": 1}


def test_a_request_whose_response_came_out_of_order_is_left_out() -> None:
    world = make_world(HOST_PATH, segments=3)
    place = world.at("uplink", "response 3.1")
    one, two = world.packets["uplink"][place : place + 2]
    world.packets["uplink"][place : place + 2] = [
        two._replace(ts_ns=one.ts_ns), one._replace(ts_ns=two.ts_ns)
    ]  # fmt: skip

    assert world.match().unmatched == {"uplink: out of order": 1}
    assert world.sights()[1].counts["out of order"] == 1


def test_a_tap_that_sees_both_connections_of_a_proxy_is_ambiguous() -> None:
    world = make_world(PROXY_PATH)
    world.packets["uplink"] += world.packets["bridge"]

    assert world.match().unmatched == {"uplink: ambiguous": 5}


def test_two_requests_in_flight_on_one_connection_are_ambiguous() -> None:
    world = make_world(HOST_PATH, 3)
    for packets in world.packets.values():
        place = [packet.label for packet in packets].index("request 1")
        request = b"GET /1024?id=0000000077 HTTP/1.1\r\n\r\n"
        at_once = segment(
            View("", CLIENT, HOST),
            to_server=True,
            seq=CLIENT.first_seq + 5_000,
            ack=HOST.first_seq + 1_400,
            payload=request,
        )
        packets.insert(place + 1, Seen(packets[place].ts_ns + 1, at_once, "at once"))

    assert world.match().unmatched["client: ambiguous"] == 2
