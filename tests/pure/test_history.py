"""Runs over time: which are of one line, and where a line changes its level."""

import csv
import io
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest

from bench.judgement.across_runs.history import Line, trace_lines
from bench.judgement.comparison import Comparison, Word
from bench.records.run import RunRecord
from bench.report.pages.history import describe_turns, draw_lines, render_page, tabulate_lines, write_csv
from bench.scenario.load import Load
from bench.scenario.metric import PERFORMANCE
from bench.scenario.model import Arm, LabSettings, Margins, Schedule
from bench.scenario.scenario import Scenario
from bench.statistics.change_points import ChangePoint, fewest_runs, find_change_points

from .conftest import HOST, make_run, make_scenario

P50, P99, THROUGHPUT = PERFORMANCE
NOTHING = {"word": Word.INVALID, "ratio": None, "ci95": None, "difference": None}
KERNELS = {"cpu": "A CPU", "usable_cores": "2", "kernel": "6.1"}


def day(
    number: int, ratio: float, scenario: Scenario | None = None, **changes: Any
) -> tuple[RunRecord, list[Comparison]]:
    """The run of a day, with one comparison."""
    plan = scenario or make_scenario(blocks=2)
    record = make_run(
        plan, id=f"run-{number:02}", started_at=f"2025-01-{number + 1:02}T03:04:05+00:00", slots=(), **changes
    )
    return record, [compare_arm(ratio)]


def compare_arm(ratio: float, **changes: Any) -> Comparison:
    fields: dict[str, Any] = {
        "metric": P50,
        "unit": "us",
        "condition": "",
        "kind": "arms",
        "baseline": "host",
        "candidate": "bridge",
        "ratio": ratio,
        "ci95": (ratio - 0.01, ratio + 0.01),
        "difference": 20 * (ratio - 1),
        "margin": 0.05,
        "blocks": 12,
        "word": Word.BETTER,
    }
    return Comparison(**(fields | changes))


def ratios(levels: Iterable[float], seed: int = 1) -> list[float]:
    drawn = np.random.default_rng(seed)
    return [level * float(np.exp(0.005 * drawn.standard_normal())) for level in levels]


def one(lines: list[Line]) -> Line:
    [line] = lines
    return line


def test_a_level_that_changes_is_found_at_its_first_run_with_what_differs_around_it() -> None:
    days = [
        day(number, ratio, machine=KERNELS | ({"kernel": "6.12"} if number >= 6 else {}))
        for number, ratio in enumerate(ratios([1.10] * 6 + [1.15] * 6))
    ]
    line = one(trace_lines(reversed(days)))
    assert [point.run for point in line.points] == [f"run-{number:02}" for number in range(12)]
    [turn] = line.turns
    assert turn.run == "run-06"
    assert turn.before == pytest.approx(1.10, abs=0.005)
    assert turn.after == pytest.approx(1.15, abs=0.005)
    assert [str(item) for item in turn.differences] == ["machine.kernel: 6.1 → 6.12"]
    assert "from 1.1" in describe_turns([line])[0]
    assert "machine.kernel: 6.1 → 6.12" in describe_turns([line])[0]


def test_several_changes_are_found_and_their_levels_are_between_them() -> None:
    line = one(trace_lines(day(n, r) for n, r in enumerate(ratios([1.1] * 9 + [1.2] * 9 + [1.05] * 9))))
    assert [turn.run for turn in line.turns] == ["run-09", "run-18"]
    assert line.turns[0].after == line.turns[1].before == pytest.approx(1.2, abs=0.005)


def test_series_without_a_change_have_change_points_in_one_of_twenty() -> None:
    """Of 200 series at 5 %: more than 18 come by chance once in 100 seeds; noise is skewed and unknown."""
    drawn = np.random.default_rng(1)
    series = [drawn.exponential(size=12) * drawn.choice([0.001, 10]) for _ in range(200)]
    assert sum(bool(find_change_points(values, 0.05)) for values in series) <= 18


def test_a_single_run_that_is_off_is_no_level() -> None:
    assert find_change_points([0.1, 0.11, 0.1, 0.12, 0.1, 0.9, 0.11, 0.1, 0.12, 0.11], 0.05) == []


@pytest.mark.parametrize(("alpha", "count"), [(0.5, 4), (0.05, 8), (0.05 / 3, 9), (0.05 / 27, 13)])
def test_so_few_runs_cannot_show_a_change_and_so_many_can(alpha: float, count: int) -> None:
    assert fewest_runs(alpha) == count
    half = count // 2
    clearest = [0.0] * half + [1.0] * (count - half)
    clearest = [value + 0.001 * index for index, value in enumerate(clearest)]
    assert [point.index for point in find_change_points(clearest, alpha)] == [half]
    assert find_change_points(clearest[1:], alpha) == []


def test_equal_values_have_no_change_point() -> None:
    assert find_change_points([0.1] * 20, 0.05) == []
    assert find_change_points([], 0.05) == []


def test_a_shifted_or_scaled_series_has_its_change_points_at_the_same_places() -> None:
    values = np.array(ratios([1.1] * 8 + [1.2] * 8))
    assert find_change_points(list(values * 7 - 3), 0.05) == find_change_points(list(values), 0.05)
    assert isinstance(find_change_points(list(values), 0.05)[0], ChangePoint)


@pytest.mark.parametrize(
    "changes",
    [
        {"load": Load(connections=16)},
        {"lab": LabSettings(receive_steering=False)},
        {"margins": Margins(p50_latency_us=0.02)},
        {"arms": (HOST, Arm(name="bridge", mode="user-bridge"))},
        {"name": "other"},
    ],
)
def test_runs_of_another_plan_are_of_another_line(changes: dict[str, Any]) -> None:
    lines = trace_lines([day(0, 1.1), day(1, 1.1, make_scenario(**changes)), day(2, 1.1)])
    assert sorted(len(line.points) for line in lines) == [1, 2]
    named = [line for line in lines if line.plan]
    assert len(named) == ("name" not in changes), "a line of the same name says in what its plan differs"


def test_another_schedule_seed_or_margin_of_another_metric_is_of_the_same_line() -> None:
    other = make_scenario(blocks=30, margins=Margins(p99_latency_us=0.3), schedule=Schedule(blocks=30))
    assert len(one(trace_lines([day(0, 1.1), day(1, 1.1, other, seed=9)])).points) == 2


def test_a_copy_of_a_run_counts_once() -> None:
    assert len(one(trace_lines([day(0, 1.1), day(0, 1.1)])).points) == 1


def test_an_invalid_answer_is_listed_and_takes_no_part() -> None:
    days = [day(n, r) for n, r in enumerate(ratios([1.1] * 10))]
    days[4] = days[4][0], [compare_arm(9.0, word=Word.INVALID)]
    line = one(trace_lines(days))
    assert (len(line.points), len(line.usable), line.turns) == (10, 9, ())
    [table] = tabulate_lines([line])
    assert table.rows[0][2] == "9 and 1 INVALID"


def test_a_line_of_nothing_but_invalid_answers_is_told_and_has_no_change_point() -> None:
    lines = trace_lines([(day(0, 1.1)[0], [compare_arm(1.1).model_copy(update=NOTHING)])])
    line = one(lines)
    assert (len(line.points), len(line.usable), line.turns) == (1, 0, ())
    [table] = tabulate_lines(lines)
    assert "1 INVALID" in table.rows[0][2]
    assert describe_turns(lines) == []
    assert "run-00" in render_page(lines)
    assert "run-00" in write_csv(lines)


def test_the_lines_of_a_scenario_share_the_chance_of_a_false_change_point() -> None:
    def arms(number: int) -> tuple[RunRecord, list[Comparison]]:
        record, _ = day(number, 1.1)
        return record, [compare_arm(1.1, metric=metric) for metric in PERFORMANCE]

    lines = trace_lines(arms(number) for number in range(8))
    assert {line.needed for line in lines} == {14}
    assert "too few runs to tell: 14 are needed" in tabulate_lines(lines)[0].rows[0][-1]


def test_the_page_holds_each_line_its_figure_and_its_runs() -> None:
    lines = trace_lines(day(n, r) for n, r in enumerate(ratios([1.1] * 6 + [1.2] * 6)))
    page = render_page(lines)
    assert page.count("<svg") == 1
    assert "since run-06" in page
    assert "run-11" in page
    assert "<script" not in page
    axes = draw_lines(lines).axes[0]
    assert len(axes.get_xticks()) == 6


def test_the_csv_has_a_row_a_run_and_marks_the_first_of_a_new_level() -> None:
    lines = trace_lines(day(n, r) for n, r in enumerate(ratios([1.1] * 6 + [1.2] * 6)))
    rows = list(csv.DictReader(io.StringIO(write_csv(lines))))
    assert [row["run"] for row in rows if row["change_point"] == "True"] == ["run-06"]
    assert rows[0]["unit"] == "us"
    assert float(rows[0]["ci95_low"]) < float(rows[0]["ratio"]) < float(rows[0]["ci95_high"])
