import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench.results import store
from bench.statistics import estimate
from bench.validation import __main__ as command
from bench.validation.error_rates import Measure, Rate
from bench.validation.page import DRAWN, draw_rates, read_csv, render_figure, write_csv, write_page
from bench.validation.simulation import NOISES, Setting

from .conftest import make_run, make_scenario


@pytest.fixture(autouse=True)
def _few_and_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimate, "RESAMPLES", 199)
    settings = tuple(Setting(noise=noise, blocks=6, slots_per_arm=2) for noise in NOISES[:2])
    monkeypatch.setattr(command, "SETTINGS", settings)
    monkeypatch.setattr(command, "FAMILIES", settings[:1])


def rate_of(hits: int, measure: Measure = Measure.COVERAGE, setting: str = "iid", blocks: int = 6) -> Rate:
    return Rate(
        part="simulated",
        setting=setting,
        blocks=blocks,
        slots_per_arm=2,
        measure=measure,
        hits=hits,
        trials=1000,
    )


RATES = [
    rate_of(hits, measure, setting, blocks)
    for setting in ("iid", "drift, of 20 %")
    for blocks in (6, 12)
    for measure, hits in zip(DRAWN, (50, 45, 950, 40), strict=True)
]


def test_the_numbers_are_the_same_after_writing_and_reading() -> None:
    assert read_csv(write_csv(RATES)) == RATES


def test_the_page_has_a_line_a_setting_with_every_rate_and_says_how_many_are_off() -> None:
    page = write_page([*RATES, rate_of(880, setting="broken")])

    assert "| iid | 6 x 2 | 5.0 [3.7, 6.5] | 4.5 [3.3, 6.0] | 95.0 [93.5, 96.3] | 4.0 [2.9, 5.4] |" in page
    assert "| broken | 6 x 2 |  |  | **88.0 [85.8, 89.9]** |" in page
    assert "Of 17 rates with a target, 1 are off." in page
    assert page.count("Not measured yet.") == 2
    assert "Incomplete" not in page
    assert "**Incomplete**: 7 settings" in write_page(RATES, missing=7)


def test_the_figure_has_a_panel_a_measure_with_every_rate_and_is_the_same_each_time() -> None:
    panels = draw_rates(RATES).axes

    assert [axes.get_title("left") for axes in panels] == [f"{measure}, %" for measure in DRAWN]
    assert {len(axes.lines) for axes in panels} == {2 * 4}
    svg = render_figure(RATES)
    assert svg == render_figure(RATES)
    ElementTree.fromstring(svg)


@pytest.mark.slow
def test_a_count_writes_page_numbers_and_figure(tmp_path: Path) -> None:
    command.main(["--experiments", "10", "--docs", str(tmp_path)])

    found = read_csv((tmp_path / "false-verdicts.csv").read_text())
    assert {(rate.part, rate.setting) for rate in found} == {
        ("simulated", NOISES[0].name),
        ("simulated", NOISES[1].name),
        ("family", NOISES[0].name),
    }
    assert NOISES[1].name in (tmp_path / "false-verdicts.md").read_text()
    assert (tmp_path / "images" / "false-verdicts.svg").exists()


def test_recorded_runs_are_added_to_the_numbers_that_are_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "false-verdicts.csv").write_text(write_csv(RATES))
    run = make_run(make_scenario(blocks=6, slots_per_arm=4))
    store.write_run(tmp_path, run)
    command.main(
        ["--experiments", "0", "--relabellings", "10", "--docs", str(tmp_path), "--runs", str(tmp_path)]
    )

    found = read_csv((tmp_path / "false-verdicts.csv").read_text())
    assert [rate for rate in found if rate.setting == "iid"] == [r for r in RATES if r.setting == "iid"]
    assert set(RATES) < set(found)
    recorded = {rate.setting: rate for rate in found if rate.part == "recorded"}
    assert len(recorded) == 1 + 2 * 4
    assert recorded[f"unit {run.id}: as planned, all arms"].trials == 2 * 4
    assert f"unit {run.id}: bridge, condition 0, p99 latency" in recorded
    assert re.search(r"\d+ rates, \d+ off target", capsys.readouterr().out)

    command.main(["--experiments", "0", "--docs", str(tmp_path)])
    assert read_csv((tmp_path / "false-verdicts.csv").read_text()) == found


@pytest.mark.slow
def test_a_count_that_was_interrupted_goes_on_where_it_was_and_one_that_was_not_begins_anew(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--experiments", "10", "--docs", str(tmp_path)]
    command.main(arguments)
    numbers = tmp_path / "false-verdicts.csv"
    whole = numbers.read_text()
    numbers.write_text(write_csv([rate for rate in read_csv(whole) if rate.setting != NOISES[1].name]))
    capsys.readouterr()
    command.main([*arguments, "--resume"])

    assert numbers.read_text() == whole
    assert capsys.readouterr().err.splitlines() == [f"1 of 1: simulated, {NOISES[1].name}, 6 x 2"]
    command.main(arguments)
    assert numbers.read_text() == whole
    assert "3 of 3" in capsys.readouterr().err
