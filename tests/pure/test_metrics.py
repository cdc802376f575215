from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.core.metrics import measure_requests
from bench.core.scenario import Metric
from bench.load_generator.connections import Outcome

from .conftest import make_records

SECOND = 1_000_000_000
P50, P99, THROUGHPUT = Metric


def sent_at(sent_ns: int, latency_ns: int = 20_000, outcome: Outcome = Outcome.OK) -> Mapping[str, int]:
    done_ns = 0 if outcome is Outcome.UNFINISHED else sent_ns + latency_ns
    return {"sent_ns": sent_ns, "done_ns": done_ns, "outcome": int(outcome)}


def test_percentiles_are_of_done_minus_sent_in_microseconds() -> None:
    records = make_records(sent_at(index, 1_000 * (index + 1)) for index in range(101))
    found = measure_requests(records, 0, SECOND)

    assert found.values[P50] == pytest.approx(51)
    assert found.values[P99] == pytest.approx(100)
    assert found.p999_latency_us == pytest.approx(100.9)
    assert found.mean_latency_us == pytest.approx(51)


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

    assert (found.requests, found.errors, found.unfinished) == (5, 3, 1)
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
