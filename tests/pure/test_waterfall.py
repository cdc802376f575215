from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import InputError
from bench.wire.anatomy.waterfall import Waterfall, draw_waterfall, hop_table, median_interval_us
from bench.wire.exchanges import EXCHANGE_DTYPE, HANDSHAKE_DTYPE, Sight
from bench.wire.hops import Hops, list_hops, match
from tests.pure.wire import BRIDGE_PATH, HOST_PATH, MACVLAN_PATH, make_world

HOST, BRIDGE = ("client", "uplink"), ("client", "uplink", "bridge", "veth", "server")
MACVLAN = ("client", "uplink", "server")


def make_hops(taps: Sequence[str], hops_ns: Sequence[Sequence[int]]) -> Hops:
    """A capture whose requests took `hops_ns`, a row a request, a column a hop."""
    times = {hop.later: i + 1 for i, hop in enumerate(list_hops(taps))} | {f"{taps[0]}_request_ns": 0}
    moments = np.cumsum(np.column_stack([np.zeros(len(hops_ns)), np.array(hops_ns)]), axis=1).astype(np.int64)
    sights = []
    for tap in taps:
        exchanges = np.zeros(len(hops_ns), EXCHANGE_DTYPE)
        exchanges["id"] = np.arange(len(hops_ns))
        exchanges["request_ns"] = moments[:, times[f"{tap}_request_ns"]]
        exchanges["first_ns"] = moments[:, times[f"{tap}_first_ns"]]
        exchanges["last_ns"] = moments[:, -1]
        sights.append(
            Sight(name=tap, exchanges=exchanges, handshakes=np.zeros(0, HANDSHAKE_DTYPE), counts={})
        )
    return match(sights)


def captures_of(taps: Sequence[str]) -> st.SearchStrategy[list[Hops]]:
    row = st.lists(st.integers(0, 10**6), min_size=2 * len(taps), max_size=2 * len(taps))
    return st.lists(st.lists(row, min_size=1, max_size=6), min_size=1, max_size=3).map(
        lambda captures: [make_hops(taps, rows) for rows in captures]
    )


def as_dict(waterfall: Waterfall) -> dict[str, float]:
    return {step.name: round(step.difference_us, 6) for step in waterfall.steps}


pairs = st.tuples(*[st.sampled_from([HOST, MACVLAN, BRIDGE, ("client",), ("client", "veth")])] * 2).flatmap(
    lambda taps: st.tuples(captures_of(taps[0]), captures_of(taps[1]))
)


@given(pairs)
def test_the_steps_add_up_to_the_difference_of_the_two_latencies(arms: tuple[list[Hops], list[Hops]]) -> None:
    found = draw_waterfall(*arms, measured_us=7.0)

    total = sum(step.difference_us for step in found.steps)
    assert total == pytest.approx(found.candidate_us - found.baseline_us, abs=1e-6)
    assert found.unexplained_us == pytest.approx(7.0 - total, abs=1e-6)
    for step in found.steps:
        assert step.difference_us == pytest.approx(step.candidate_us - step.baseline_us, abs=1e-6)
        if step.parts:
            assert sum(us for _, us in step.parts) == pytest.approx(step.difference_us, abs=1e-6)


@given(pairs)
def test_the_way_back_is_the_mirrored_waterfall(arms: tuple[list[Hops], list[Hops]]) -> None:
    one, other = arms
    there, back = draw_waterfall(one, other), draw_waterfall(other, one)

    assert [step.difference_us for step in back.steps] == pytest.approx(
        [-step.difference_us for step in there.steps], abs=1e-6
    )


def test_hops_that_only_the_candidate_has_are_the_parts_of_a_step() -> None:
    host = [make_hops(HOST, [[1000, 25_000, 2000, 0]] * 4)]
    bridge = [make_hops(BRIDGE, [[1500, 1200, 600, 700, 26_000, 800, 900, 1100, 2500, 0]] * 4)]
    found = draw_waterfall(host, bridge, measured_us=6.5)

    assert as_dict(found) == {
        "request: client to uplink": 0.5,
        "request: uplink to server": 2.5,
        "server": 1.0,
        "response: server to uplink": 2.8,
        "response: uplink to client": 0.5,
        "response: rest": 0.0,
    }
    assert dict(found.steps[1].parts) == pytest.approx(
        {"request: uplink to bridge": 1.2, "request: bridge to veth": 0.6, "request: veth to server": 0.7}
    )
    assert (found.baseline_us, found.candidate_us) == pytest.approx((28.0, 35.3))
    assert found.unexplained_us == pytest.approx(-0.8)


def test_what_both_arms_have_is_compared_where_only_the_taps_between_differ() -> None:
    macvlan = [make_hops(MACVLAN, [[1000, 800, 25_000, 700, 2000, 0]])]
    bridge = [make_hops(BRIDGE, [[1000, 1200, 600, 700, 25_000, 800, 900, 1100, 2000, 0]])]

    assert as_dict(draw_waterfall(macvlan, bridge)) == {
        "request: client to uplink": 0.0,
        "request: uplink to server": 1.7,
        "server": 0.0,
        "response: server to uplink": 2.1,
        "response: uplink to client": 0.0,
        "response: rest": 0.0,
    }


def test_a_delay_put_into_one_hop_of_real_packets_is_found_in_its_step_and_in_no_other() -> None:
    calm, delayed = [
        [make_world(path, 9, longer=longer, segments=1).match()]
        for path, longer in ((BRIDGE_PATH, {}), (BRIDGE_PATH, {"request: bridge to veth": 40_000}))
    ]

    assert as_dict(draw_waterfall(calm, delayed)) == {
        hop.name: 40.0 if hop.name == "request: bridge to veth" else 0.0
        for hop in list_hops([view.tap for view in BRIDGE_PATH])
    }


def test_a_few_stalls_do_not_move_the_steps() -> None:
    calm = [[1000, 25_000, 2000, 0]] * 40
    stalled = [*calm[:-4], *[[1000, 9_000_000, 2000, 0]] * 4]

    found = draw_waterfall([make_hops(HOST, calm)], [make_hops(HOST, stalled)])

    assert set(as_dict(found).values()) == {0.0}


def test_steps_have_an_interval_where_both_arms_have_several_captures() -> None:
    host = [make_hops(HOST, [[1000 + i, 25_000, 2000, 0]]) for i in range(3)]
    slower = [make_hops(HOST, [[1500 + i, 25_000, 2000, 0]]) for i in range(3)]

    assert draw_waterfall(host[:1], slower).steps[0].ci95 is None
    low, high = draw_waterfall(host, slower).steps[0].ci95 or (0, 0)
    assert 0.49 < low < 0.5 < high < 0.51
    assert draw_waterfall(host, slower).steps[1].ci95 == (0, 0)


def test_the_table_of_an_arm_has_the_medians_of_its_captures() -> None:
    one = hop_table([make_hops(HOST, [[1000 + i, 25_000, 2000, 0] for i in range(101)])])
    two = hop_table([make_hops(HOST, [[1000 + i, 25_000, 2000, 0]]) for i in (0, 200)])

    assert [row.name for row in one] == [hop.name for hop in list_hops(HOST)]
    assert (one[0].median_us, one[0].unit_of_replication) == (1.05, "request")
    assert one[0].ci95 == (1.04, 1.06)  # Order statistics 41 and 61 of 101: see the binomial table.
    assert (two[0].median_us, two[0].unit_of_replication) == (1.1, "capture")
    assert two[0].ci95[0] < 1.0
    assert two[0].ci95[1] > 1.2


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=50))
def test_the_median_lies_in_its_interval(values: list[int]) -> None:
    low, high = median_interval_us(np.array(values))

    assert min(values) / 1e3 <= low <= np.median(values) / 1e3 <= high <= max(values) / 1e3


def test_paths_that_do_not_begin_at_the_same_tap_or_pass_taps_in_another_order_are_refused() -> None:
    def captures(*taps: str) -> list[Hops]:
        return [make_hops(taps, [[1] * (2 * len(taps))])]

    for other in (captures("uplink", "client"), captures("client", "veth", "uplink")):
        with pytest.raises(InputError, match="taps"):
            draw_waterfall(captures("client", "uplink", "veth"), other)


def test_captures_of_different_taps_or_without_requests_are_no_arm() -> None:
    host, macvlan = (make_world(path).match() for path in (HOST_PATH, MACVLAN_PATH))
    empty = match(
        [
            Sight(
                name="client",
                exchanges=np.zeros(0, EXCHANGE_DTYPE),
                handshakes=np.zeros(0, HANDSHAKE_DTYPE),
                counts={},
            )
        ]
    )

    for captures in ([host, macvlan], [empty], []):
        with pytest.raises(InputError):
            hop_table(captures)
