from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.scenario.load import Load
from bench.scenario.metric import PERFORMANCE
from bench.slots.metrics import find_free, measure_requests, measure_span_s
from bench.slots.requests import Outcome

from .conftest import make_records

SECOND = 1_000_000_000
P50, P99, THROUGHPUT = PERFORMANCE


def sent_at(sent_ns: int, latency_ns: int = 20_000, outcome: Outcome = Outcome.OK) -> Mapping[str, int]:
    done_ns = 0 if outcome in (Outcome.UNFINISHED, Outcome.STALLED) else sent_ns + latency_ns
    return {"sent_ns": sent_ns, "done_ns": done_ns, "outcome": int(outcome)}


def test_percentiles_are_of_done_minus_sent_in_microseconds() -> None:
    records = make_records(sent_at(index, 1_000 * (index + 1)) for index in range(101))
    found = measure_requests(records, 0, SECOND)

    assert found.values[P50] == pytest.approx(51)
    assert found.values[P99] == pytest.approx(100)
    assert found.p999_latency_us == pytest.approx(100.9)
    assert found.mean_latency_us == pytest.approx(51)
    assert (found.service_p50_us, found.service_p99_us) == (found.values[P50], found.values[P99])
    assert found.open_loop is None


def test_the_window_holds_its_first_nanosecond_and_not_its_last() -> None:
    records = make_records(sent_at(at) for at in (999, 1_000, 1_500, 1_999, 2_000))

    assert measure_requests(records, 1_000, 2_000).requests == 3


def test_latency_follows_a_request_beyond_the_windows_end() -> None:
    records = make_records([sent_at(1_999, 50_000_000)])

    assert measure_requests(records, 1_000, 2_000).values[P50] == pytest.approx(50_000)


def test_throughput_counts_what_was_done_in_the_window_by_its_length() -> None:
    window = (SECOND, 3 * SECOND)
    records = make_records(
        [
            sent_at(SECOND - 10, 20),  # sent before, done inside
            sent_at(SECOND, 10),
            sent_at(2 * SECOND, 10),
            sent_at(3 * SECOND - 10, 9),
            sent_at(3 * SECOND - 10, 10),  # done at the end, which is outside
            sent_at(SECOND - 20, 19),  # done before
            sent_at(2 * SECOND, 10, Outcome.HTTP_ERROR),
        ]
    )

    assert measure_requests(records, *window).values[THROUGHPUT] == pytest.approx(4 / 2)


def test_failed_and_unfinished_requests_are_counted_apart_and_have_no_latency() -> None:
    others = [outcome for outcome in Outcome if outcome is not Outcome.OK]
    records = make_records([sent_at(1_000), *(sent_at(1_000, 10**9, outcome) for outcome in others)])
    found = measure_requests(records, 1_000, SECOND)

    assert (found.requests, found.errors, found.unfinished) == (6, 3, 2)
    assert found.mean_latency_us == pytest.approx(20)


@pytest.mark.parametrize(
    "rows",
    [[], [sent_at(0)], [sent_at(1_000, 20, Outcome.HTTP_ERROR)], [sent_at(1_000, 0, Outcome.UNFINISHED)]],
    ids=["nothing", "nothing in the window", "an error", "an unfinished request"],
)
def test_a_window_without_a_good_answer_has_no_values(rows: list[Mapping[str, int]]) -> None:
    found = measure_requests(make_records(rows), 1_000, 2_000)

    assert found.values == {}
    assert (found.p999_latency_us, found.mean_latency_us) == (None, None)


@pytest.mark.parametrize(
    ("rows", "span_s"),
    [
        ([sent_at(SECOND), sent_at(2 * SECOND, 3 * SECOND)], 4.0),
        ([sent_at(SECOND, 10)], 2.0),
        ([sent_at(SECOND, 0, Outcome.STALLED)], 2.0),
        ([], 0.0),
    ],
    ids=["the last answer comes late", "it comes early", "none comes", "none was sent"],
)
def test_a_load_lasts_to_its_windows_end_at_least(rows: list[Mapping[str, int]], span_s: float) -> None:
    assert measure_span_s(make_records(rows), 3 * SECOND) == span_s


@given(
    st.lists(st.tuples(st.integers(0, 3_000), st.integers(1, 2_000), st.sampled_from(Outcome)), max_size=30),
    st.integers(0, 10**15),
)
def test_when_a_run_took_place_changes_nothing(rows: list[tuple[int, int, Outcome]], moved_ns: int) -> None:
    here = make_records(sent_at(*row) for row in rows)
    there = make_records(sent_at(sent + moved_ns, took, outcome) for sent, took, outcome in rows)
    found = measure_requests(here, 1_000, 2_000)

    assert measure_requests(there, 1_000 + moved_ns, 2_000 + moved_ns) == found
    good = sum(1_000 <= sent < 2_000 and outcome is Outcome.OK for sent, _, outcome in rows)
    assert found.requests - found.errors - found.unfinished == good


# The open model.

OPEN = Load(model="open", rate_rps=1_000, connections=2)


def arriving_at(intended_ns: int, waited_ns: int = 0, service_ns: int = 20_000) -> Mapping[str, int]:
    """A good request; one that was never sent where `waited_ns` is negative."""
    if waited_ns < 0:
        return {"intended_ns": intended_ns, "sent_ns": 0, "done_ns": 0, "outcome": int(Outcome.UNFINISHED)}
    sent_ns = intended_ns + waited_ns
    return {"intended_ns": intended_ns, "sent_ns": sent_ns, "done_ns": sent_ns + service_ns}


def serve(arrivals_ns: list[int], service_ns: list[int], connections: int) -> np.ndarray:
    """What a perfect generator records: each request on the connection that is free first."""
    free_ns = [0] * connections
    rows = []
    for at_ns, took_ns in zip(arrivals_ns, service_ns, strict=True):
        first = free_ns.index(min(free_ns))
        sent_ns = max(at_ns, free_ns[first])
        free_ns[first] = sent_ns + took_ns
        rows.append(arriving_at(at_ns, sent_ns - at_ns, took_ns))
    return make_records(rows)


def test_latency_of_an_open_loop_counts_from_the_intended_time_and_service_from_the_sending() -> None:
    records = make_records(arriving_at(1_000 * index, 100_000, 20_000) for index in range(1, 101))
    found = measure_requests(records, 0, SECOND, OPEN)

    assert found.values[P50] == found.values[P99] == pytest.approx(120)
    assert found.mean_latency_us == found.p999_latency_us == pytest.approx(120)
    assert found.service_p50_us == found.service_p99_us == pytest.approx(20)


def test_requests_of_an_open_loops_window_are_those_intended_in_it() -> None:
    records = make_records(
        [
            arriving_at(999, 10),  # sent in the window, intended before
            arriving_at(1_000),
            arriving_at(1_999, 500),  # sent after the window, intended in it
            arriving_at(1_500, -1),  # never sent
            arriving_at(2_000),
        ]
    )
    found = measure_requests(records, 1_000, 2_000, OPEN)

    assert (found.requests, found.errors, found.unfinished) == (3, 0, 1)
    assert found.open_loop is not None
    assert found.open_loop.offered_rps == pytest.approx(3 / 1e-6)


def test_throughput_of_an_open_loop_is_what_was_done_in_the_window() -> None:
    records = make_records(arriving_at(SECOND // 10 * index, 0, SECOND // 2) for index in range(10))
    found = measure_requests(records, 0, SECOND, OPEN)

    assert found.values[THROUGHPUT] == pytest.approx(5)
    assert found.open_loop is not None
    assert found.open_loop.offered_rps == pytest.approx(10)


def test_a_request_found_a_connection_free_if_fewer_than_there_are_were_in_the_system() -> None:
    records = make_records(
        [
            arriving_at(1_000, 0, 5_000),  # in flight until 6,000
            arriving_at(2_000, 0, 5_000),  # in flight until 7,000
            arriving_at(3_000, 3_000, 5_000),  # waits for the first, until 6,000
            arriving_at(6_000, 1_000, 5_000),  # the first is done, but one waits before it
            arriving_at(12_500, 0, 5_000),
            arriving_at(12_600, 0, 5_000),
            arriving_at(12_700, -1),  # never sent
        ]
    )

    assert find_free(records, 2).tolist() == [True, True, False, False, True, True, False]
    assert find_free(records, 7).all()
    assert find_free(records[::-1], 2).tolist() == find_free(records, 2).tolist()[::-1]
    assert find_free(records[:0], 2).tolist() == []


def test_the_generators_lateness_is_judged_where_a_connection_was_free() -> None:
    """A server's stall makes requests wait; one free connection and a late sending is the generator's."""
    stalled = make_records([arriving_at(1_000, 0, 900_000), arriving_at(2_000, 899_000, 10)])
    late = make_records([arriving_at(1_000, 0, 10), arriving_at(2_000, 899_000, 10)])
    load = OPEN.model_copy(update={"connections": 1})
    of_stalled, of_late = (
        measure_requests(records, 0, SECOND, load).open_loop for records in (stalled, late)
    )

    assert of_stalled is not None
    assert of_late is not None
    assert (of_stalled.lateness_us, of_stalled.waited) == ((0, 0, 0), 1)
    assert of_late.lateness_us == pytest.approx((449.5, 890.01, 899))
    assert of_late.waited == 0


@given(
    st.lists(st.tuples(st.integers(1, 5_000), st.integers(1, 3_000)), min_size=1, max_size=40),
    st.integers(1, 4),
)
def test_a_generator_that_is_never_late_is_never_said_to_be(
    requests: list[tuple[int, int]], connections: int
) -> None:
    arrivals = sorted(at for at, _ in requests)
    records = serve(arrivals, [took for _, took in requests], connections)
    load = OPEN.model_copy(update={"connections": connections})
    found = measure_requests(records, 0, SECOND, load).open_loop

    assert found is not None
    assert found.lateness_us == (0, 0, 0)


def test_where_no_request_of_the_window_found_a_connection_there_is_no_lateness() -> None:
    records = make_records([arriving_at(10, 0, SECOND), arriving_at(2_000, -1)])
    load = OPEN.model_copy(update={"connections": 1})
    found = measure_requests(records, 1_000, SECOND, load).open_loop

    assert found is not None
    assert (found.lateness_us, found.waited) == (None, 1)


def test_a_stall_is_one_slow_request_of_a_closed_loop_and_a_fifth_of_an_open_one() -> None:
    """200 ms of a second, 100 us a request, one connection: what the p99 of either loop says of it."""
    service_ns, stall_ns = 100_000, 200_000_000
    closed: list[Mapping[str, int]] = []
    at_ns = 0
    while at_ns < SECOND:
        took_ns = stall_ns if len(closed) == 1_000 else service_ns
        closed.append({"sent_ns": at_ns, "done_ns": at_ns + took_ns})
        at_ns += took_ns
    services_ns = [stall_ns if index == 100 else service_ns for index in range(1_000)]
    open_ = serve(list(range(0, SECOND, 1_000_000)), services_ns, 1)
    of_closed = measure_requests(make_records(closed), 0, SECOND)
    of_open = measure_requests(open_, 0, SECOND, OPEN.model_copy(update={"connections": 1}))

    assert of_closed.values[P99] == pytest.approx(100), "the closed loop's p99 knows of no stall"
    assert of_open.values[P99] > 150_000
    assert of_open.service_p99_us == pytest.approx(100), "nor does the open loop's service time"
