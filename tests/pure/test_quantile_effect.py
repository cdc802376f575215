"""The quantile curve: at p10, p50 and p99 the tables' ratios, and a band for all levels together."""

from pathlib import Path

import numpy as np
import pytest

import bench
from bench.errors import InputError
from bench.results import columns
from bench.results.distributions import LEVELS
from bench.results.sums import NotAsWritten
from bench.scenario.metric import Metric
from bench.slots.metrics import measure_requests
from bench.statistics.histogram import count_latencies
from bench.statistics.modes import find_modes
from bench.statistics.quantile_effect import estimate_band

from .conftest import make_records, make_run, make_scenario, make_slot_record, store_whole

WINDOW_NS = (1_000, 2_000_000_000)


def test_a_band_holds_a_curve_of_nothing_in_about_ninety_five_of_a_hundred_experiments() -> None:
    generator = np.random.default_rng(1)
    held = 0
    for _ in range(200):
        values = np.cumsum(generator.standard_normal((8, 30)), axis=1)
        band = estimate_band(values, [0] * 8)
        held += bool(((band.low <= 0) & (band.high >= 0)).all())
    assert 180 <= held <= 198


def test_a_band_is_wider_than_the_interval_of_one_level_and_follows_its_spread() -> None:
    generator = np.random.default_rng(2)
    values = generator.standard_normal((12, 40)) * np.linspace(1, 3, 40)
    band, alone = estimate_band(values, [0] * 12), estimate_band(values[:, :1], [0] * 12)

    assert (band.high - band.low)[0] > 1.2 * (alone.high - alone.low)[0]
    assert (band.high - band.low)[-1] > 2 * (band.high - band.low)[0]


def test_sessions_are_the_sample_of_a_band_and_two_rows_have_none() -> None:
    values = np.repeat(np.random.default_rng(3).standard_normal((4, 5)), 3, axis=0)
    sessions = np.repeat(range(4), 3).tolist()

    assert estimate_band(values, sessions).unit_of_replication == "session"
    assert np.isnan(estimate_band(values[:2], [0, 0]).low).all()


def test_a_level_at_which_all_blocks_agree_is_a_point_in_the_band() -> None:
    values = np.column_stack([np.full(8, 0.5), np.random.default_rng(4).standard_normal(8)])
    band = estimate_band(values, [0] * 8)

    assert band.low[0] == band.high[0] == 0.5
    assert band.low[1] < band.mean[1] < band.high[1]


# Of a run.


def store(folder: Path, *, requests: int = 400, tail: float = 1.0) -> Path:
    """A run whose requests bridge adds 2 us to, and `tail` times that to the slowest tenth."""
    scenario, slots = make_scenario(blocks=6), []
    for slot in make_run(scenario).planned:
        generator = np.random.default_rng([slot.index])
        latency_ns = np.round(20_000 * generator.lognormal(0, 0.2, requests)).astype(np.int64)
        if slot.arm == "bridge":
            latency_ns += np.where(latency_ns > np.quantile(latency_ns, 0.9), round(2_000 * tail), 2_000)
        sent_ns = 2_000 + 100_000 * np.arange(requests)
        records = make_records(
            {"intended_ns": int(s), "sent_ns": int(s), "done_ns": int(s + took)}
            for s, took in zip(sent_ns, latency_ns, strict=True)
        )
        columns.write_requests(folder, slot.directory, records)
        found = measure_requests(records, *WINDOW_NS)
        slots.append(
            make_slot_record(
                slot,
                window_start_ns=WINDOW_NS[0],
                window_end_ns=WINDOW_NS[1],
                requests=found.requests,
                values=found.values,
            )
        )
    store_whole(folder, make_run(scenario, slots=tuple(slots)))
    return folder


def test_the_curve_at_a_metric_of_the_tables_is_the_tables_ratio(tmp_path: Path) -> None:
    run = bench.load(store(tmp_path))
    curve = run.shift()
    compared = run.comparisons[run.comparisons["kind"] == "arms"].set_index("metric")

    for level, metric in ((0.1, Metric.P10_LATENCY_US), (0.5, Metric.P50_LATENCY_US)):
        row = curve[curve["level"] == level].iloc[0]
        assert row["ratio"] == pytest.approx(compared["ratio"].loc[metric])
        assert row["ratio_low"] < compared["ci95_low"].loc[metric]
    body = curve[curve["level"].between(0.05, 0.85)]
    assert body["difference_us"].to_numpy() == pytest.approx(2.0, abs=0.9)


def test_a_cost_that_only_the_slowest_pay_shows_at_their_quantiles(tmp_path: Path) -> None:
    curve = bench.load(store(tmp_path, tail=8)).shift().set_index("level")["difference_us"]

    assert curve.loc[0.95] > 3 * curve.loc[0.5]


def test_the_curve_ends_where_too_few_requests_lie_beyond(tmp_path: Path) -> None:
    assert bench.load(store(tmp_path)).shift()["level"].max() == pytest.approx(0.98)  # of 800 a block


def test_service_time_is_a_latency_and_another_column_is_none(tmp_path: Path) -> None:
    run = bench.load(store(tmp_path))

    assert run.shift("service_us").equals(run.shift())  # in a closed loop
    with pytest.raises(InputError, match="latency_us or service_us"):
        run.shift("p50")


def test_a_run_of_too_few_blocks_has_no_curve_and_its_columns_all_the_same(tmp_path: Path) -> None:
    scenario = make_scenario(blocks=6)
    store_whole(tmp_path, make_run(scenario, slots=()))
    found = bench.load(tmp_path).shift()

    assert found.empty
    assert {"level", "ratio", "ratio_low", "difference_us_high"} <= set(found.columns)


@pytest.mark.parametrize(("spoilt", "blocks"), [(1, 5), (4, None)])
def test_a_block_whose_file_has_nothing_in_the_window_any_more_is_left_out_of_the_curve(
    spoilt: int, blocks: int | None, tmp_path: Path
) -> None:
    record = bench.load(store(tmp_path)).record
    begun = [slot for slot in record.planned if slot.block < spoilt and slot.arm == "host"]
    for slot in begun:
        columns.write_requests(tmp_path, slot.directory, make_records([{"sent_ns": WINDOW_NS[1]}]))
    with pytest.warns(NotAsWritten):
        found = bench.load(tmp_path).shift()

    assert set(found["blocks"]) == ({blocks} if blocks else set())


def test_the_levels_reach_from_one_to_nine_hundred_and_ninety_nine_in_a_thousand() -> None:
    assert [LEVELS[0], LEVELS[-1]] == pytest.approx([0.01, 0.999])
    assert (np.diff(LEVELS) > 0).all()


# Modes.


def test_two_humps_are_two_modes_with_their_shares() -> None:
    generator = np.random.default_rng(7)
    values = np.concatenate(
        [20 * generator.lognormal(0, 0.03, 7_000), 34 * generator.lognormal(0, 0.03, 3_000)]
    )
    fast, slow = find_modes(count_latencies(values))

    assert [fast.at_us, slow.at_us] == pytest.approx([20, 34], rel=0.03)
    assert [fast.share, slow.share] == pytest.approx([0.7, 0.3], abs=0.01)


@pytest.mark.parametrize("size", [0.02, 0.1, 0.5])
def test_one_hump_is_one_mode_however_wide(size: float) -> None:
    values = 20 * np.random.default_rng(8).lognormal(0, size, 20_000)
    [mode] = find_modes(count_latencies(values))

    assert mode.share == 1


def test_all_requests_of_one_latency_are_one_mode() -> None:
    [mode] = find_modes(count_latencies(np.full(1_000, 42.0)))

    assert mode.at_us == pytest.approx(42, rel=0.001)


# Against another arm than the baseline.


def test_another_baseline_turns_the_curve_and_what_is_no_arm_is_refused(tmp_path: Path) -> None:
    run = bench.load(store(tmp_path))
    there, back = run.shift(), run.shift(baseline="bridge")

    assert back["ratio"].to_numpy() == pytest.approx(1 / there["ratio"].to_numpy())
    assert set(back["baseline"]) == {"bridge"}
    with pytest.raises(InputError, match="moon is no arm"):
        run.shift(baseline="moon")
    assert run.step_shifts.empty
