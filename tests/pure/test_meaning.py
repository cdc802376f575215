"""What a mode's microseconds mean: held against numbers worked out by hand."""

import re
from pathlib import Path
from typing import Any

import pytest

from bench.judgement.comparison import Compared, Comparison, Word
from bench.judgement.meaning import Standing, weigh
from bench.report.run.meaning import format_fraction, headline_meaning, list_meanings, tell_meaning
from bench.results.run import Run
from bench.scenario.metric import Metric
from bench.scenario.model import Arm, Claim

from .captures import SERVER_US, make_tapped, store_captures
from .conftest import make_scenario
from .reports import judged, store_run
from .services import SHOP, make_own, store_own


def compared(**changes: Any) -> Comparison:
    """840 us in host, and 2.7 more in bridge, which is 0.32 % of it."""
    fields: dict[str, Any] = {
        "metric": Metric.P50_LATENCY_US,
        "unit": "us",
        "condition": "",
        "kind": Compared.ARMS,
        "baseline": "host",
        "candidate": "bridge",
        "ratio": 1.0032,
        "ci95": (1.0029, 1.0035),
        "ci90": (1.0030, 1.0034),
        "difference": 2.7,
        "difference_ci95": (2.4, 2.9),
        "baseline_value": 840.0,
        "candidate_value": 842.7,
        "margin": 0.05,
        "blocks": 10,
        "word": Word.BETTER,
    }
    return Comparison(**(fields | changes))


def test_a_difference_is_a_share_of_a_request_of_a_second_and_of_a_core() -> None:
    cpu = compared(metric=Metric.CPU_US_PER_REQUEST, difference=4.0)
    found = weigh(compared(), cpu=cpu, rate_rps=500)

    assert found
    assert (found.difference_us, found.ci95_us, found.whole_us) == (2.7, (2.4, 2.9), 840)
    assert found.share_of_whole == pytest.approx(0.00321429, abs=1e-8)  # 2.7 / 840
    assert found.waiting_ms == pytest.approx(1.35)  # 2.7 us x 500
    assert found.core_share == pytest.approx(0.002)  # 4 us x 500 = 2,000 us a second
    assert found.standing is Standing.BELOW
    assert (found.own_us, found.share_of_own) == (None, None)


def test_where_the_services_own_time_is_known_the_share_is_of_that_too() -> None:
    found = weigh(compared(), own_us=600)

    assert found
    assert found.share_of_own == pytest.approx(0.0045)  # 2.7 / 600
    assert found.share_of_whole == pytest.approx(2.7 / 840)
    assert (found.waiting_ms, found.core_share) == (None, None)


@pytest.mark.parametrize(
    ("ci95", "ci90", "standing"),
    [
        ((1.041, 1.049), (1.042, 1.048), Standing.BELOW),
        ((0.98, 1.02), (0.985, 1.015), Standing.BELOW),  # EQUIVALENT
        ((1.051, 1.059), (1.052, 1.058), Standing.ABOVE),
        ((0.93, 0.95), (0.932, 0.948), Standing.ABOVE),  # It saves more than the margin: 1 / 1.05 is 0.952.
        ((1.041, 1.059), (1.042, 1.058), Standing.UNTOLD),
        ((0.9, 1.1), (0.91, 1.09), Standing.UNTOLD),
    ],
)
def test_it_stands_to_the_margin_as_the_comparisons_word_does(
    ci95: tuple[float, float], ci90: tuple[float, float], standing: Standing
) -> None:
    found = weigh(compared(ci95=ci95, ci90=ci90))

    assert found
    assert found.standing is standing


@pytest.mark.parametrize(
    "changes",
    [
        {"word": Word.INVALID},
        {"difference": None},
        {"difference_ci95": None},
        {"baseline_value": None},
        {"ci95": None},
        {"ci90": None},
    ],
)
def test_of_what_is_invalid_or_has_no_difference_nothing_follows(changes: dict[str, Any]) -> None:
    assert weigh(compared(**changes), rate_rps=500) is None


def test_an_invalid_cpu_is_no_share_of_a_core() -> None:
    cpu = compared(metric=Metric.CPU_US_PER_REQUEST, word=Word.INVALID)
    found = weigh(compared(), cpu=cpu, rate_rps=500)

    assert found
    assert found.core_share is None


@pytest.mark.parametrize(
    ("fraction", "said"),
    [
        (0.00321, "0.3 %"),
        (0.4567, "46 %"),
        (0.0004, "0.04 %"),
        (1.5, "150 %"),
        (-0.051, "-5.1 %"),
    ],
)
def test_a_share_has_the_digits_that_mean_something(fraction: float, said: str) -> None:
    assert format_fraction(fraction) == said


# Lines of runs.


def test_every_compared_arm_has_a_line_and_the_terminal_has_that_of_the_headline(tmp_path: Path) -> None:
    arms = tuple(Arm(name=name, mode=name) for name in ("host", "bridge", "user-bridge"))
    claim = Claim(id="own", text="Host is faster.", better="host", than="user-bridge")
    run = judged(store_run(tmp_path, make_scenario(arms=arms, claims=(claim,))))
    lines = list_meanings(run)

    assert [line.split(": +")[0] for line in lines] == ["bridge", "user-bridge"]
    assert "us: 11 %, above your margin of 5 %." in lines[0]  # 2.3 us of 20, less noise
    assert "us: 17 %, above your margin of 5 %." in lines[1]  # 3.4 us of 20
    assert headline_meaning(run) == [f"What it means: {lines[1]}"]


def test_what_it_comes_to_at_the_services_own_rate_is_said(tmp_path: Path) -> None:
    scenario = make_own(service=SHOP.model_copy(update={"rate_rps": 500.0}))
    [line, _] = list_meanings(judged(store_own(tmp_path, scenario)))

    # 2.3 us, and noise of a few hundredths, of each of 500.
    assert re.search(
        r"; at 500 requests a second: 1\.[12] ms of every second are spent waiting for it\.$", line
    )


def test_where_packets_were_captured_the_time_of_the_server_is_the_services_own(tmp_path: Path) -> None:
    run: Run = judged(store_captures(tmp_path, make_tapped(blocks=3)))
    told = tell_meaning(run)

    assert told
    assert all(f"of the {SERVER_US:.1f} us that Apache itself takes: " in line for line in told["lines"])
    assert "the median of the hop at the server in host" in told["said"]
    assert all("of a request's whole" in line for line in told["lines"])


def test_of_many_conditions_an_arm_has_the_ends(tmp_path: Path) -> None:
    scenario = make_scenario(factors={"load.connections": (1, 2, 4, 8)}, blocks=4)
    lines = list_meanings(judged(store_run(tmp_path, scenario)))

    assert len(lines) == 2
    assert all(re.match(r"bridge \(connections=[1248]\): \+", line) for line in lines)
    assert all(line.endswith("(of 4 conditions this is an end).") for line in lines)


def test_without_a_difference_there_is_no_section(tmp_path: Path) -> None:
    run = judged(store_run(tmp_path, make_scenario(blocks=2)))

    assert tell_meaning(run) is None
    assert headline_meaning(run) == []
