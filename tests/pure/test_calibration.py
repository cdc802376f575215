import random
from pathlib import Path
from statistics import fmean

import pytest

from bench.cli import lab
from bench.records.calibration import (
    TIMES_S,
    BeyondWire,
    Calibration,
    Ceiling,
    Floor,
    Lateness,
    find_floor,
    find_pauses,
)
from bench.records.environment import MachineFacts
from bench.report.run.instrument import describe_instrument, list_ceilings, list_floors, list_lateness
from bench.results import store
from bench.scenario.metric import Metric
from bench.statistics.estimate import estimate

P50 = Metric.P50_LATENCY_US
MACHINE = MachineFacts(kernel="6.1", cpu="a cpu", usable_cores="0,1", architecture="x86_64", host="one")


def make_calibration(spread: float = 0.02) -> Calibration:
    floor = Floor(metric=P50, ratio=1.001, ci95=(0.99, 1.012), spread=spread, blocks=12)
    return Calibration(
        measured_at="2026-01-02T03:04:05+00:00",
        bench_version="1",
        machine=MACHINE,
        scope="3 rounds",
        ceilings=(Ceiling(connections=16, engine="raw", rates_rps=(100_000.0, 90_000.0, 95_000.0)),),
        floors=(floor,),
        block_s=6.0,
        beyond_wire=BeyondWire(p50_us=12.3, p99_us=45.6, requests=6000),
    )


def test_the_floor_of_two_like_arms_is_their_blocks_spread() -> None:
    floor = find_floor(P50, [0.01, -0.01, 0.02, -0.02])

    assert floor.ratio == pytest.approx(1.0)
    assert floor.spread == pytest.approx(0.018257, rel=1e-4)
    assert floor.ci95[0] < 1 < floor.ci95[1]


def test_more_time_resolves_smaller_effects() -> None:
    effects = [effect for effect in make_calibration().smallest_effects(P50).values() if effect]

    assert len(effects) == len(TIMES_S)
    assert effects == sorted(effects, reverse=True)


def test_time_for_less_than_two_blocks_resolves_nothing() -> None:
    [floor] = make_calibration().floors

    assert floor.smallest_effect(block_s=31.0, seconds=60) is None


def test_an_effect_of_the_smallest_resolvable_size_is_found_in_four_of_five_runs() -> None:
    spread, blocks = 0.02, 10
    effect = Floor(metric=P50, ratio=1, ci95=(1, 1), spread=spread, blocks=12).smallest_effect(6.0, 60.0)
    assert effect is not None
    dice = random.Random(7)
    found = [
        estimate([dice.gauss(effect, spread) for _ in range(blocks)], [0] * blocks).ci95[0] > 0
        for _ in range(400)
    ]
    assert 0.72 < fmean(found) < 0.88


def test_a_calibration_is_of_machines_alike_in_what_figures_depend_on() -> None:
    found = make_calibration()

    assert found.is_of(MACHINE.model_copy(update={"host": "another name"}))
    assert not found.is_of(MACHINE.model_copy(update={"kernel": "6.2"}))


def test_a_calibration_is_the_same_after_a_way_through_json() -> None:
    found = make_calibration()

    assert Calibration.model_validate_json(found.model_dump_json()) == found


def test_a_calibration_of_a_version_without_a_compiled_loop_is_read() -> None:
    found = make_calibration()
    new = {"loop", "beyond_wire_python", "latenesses"}
    old = found.model_dump(mode="json", exclude={*new, "pauses"})
    for field in ("spread_us", "share"):
        del old["beyond_wire"][field]

    assert Calibration.model_validate(old) == found
    assert list_lateness(found) == []


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b"[" * 100_000], ids=["", "{}", "no text", "deep"])
def test_a_calibration_that_cannot_be_read_is_none(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "CALIBRATION_FILE", tmp_path / "calibration.json")
    (tmp_path / "calibration.json").write_bytes(content)

    assert store.read_calibration() is None


def test_both_loops_own_shares_are_told_and_how_late_they_are() -> None:
    own = BeyondWire(p50_us=3.9, p99_us=11.0, requests=6000, spread_us=0.8, share=0.12)
    found = make_calibration().model_copy(
        update={
            "loop": "compiled",
            "beyond_wire": own,
            "beyond_wire_python": BeyondWire(p50_us=8.9, p99_us=32.0, requests=6000),
            "latenesses": (
                Lateness(engine="raw", rate_rps=50_000, p50_us=0.21, p99_us=12.3, achieved_rps=49_987),
            ),
        }
    )

    assert "12 % of it; quartiles are 0.8 us apart" in describe_instrument(found)[1]
    assert "With the loop in Python they are 8.9 us (p99 32.0)" in describe_instrument(found)[1]
    assert list_lateness(found) == [("50,000", "raw", "0.21", "12.3", "49,987")]


def test_the_command_shows_all_that_was_calibrated(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    late = Lateness(engine="raw", rate_rps=50_000, p50_us=0.21, p99_us=12.3, achieved_rps=49_987)
    found = make_calibration().model_copy(update={"loop": "compiled", "latenesses": (late,)})
    monkeypatch.setattr("bench.measure.calibrate.calibrate", lambda *_: found)

    lab.calibrate()

    said = capsys.readouterr().out
    assert "the raw engine's loop is: compiled" in said
    for row in (*list_ceilings(found), *list_lateness(found), *list_floors(found)):
        assert all(cell in said for cell in row)


def test_the_instrument_is_described_by_what_it_resolves_and_adds() -> None:
    found = make_calibration()
    [first, second] = describe_instrument(found)

    assert all(f"in {seconds // 60} min" in first for seconds in TIMES_S)
    assert "95,000 requests/s" in first
    assert "12.3 us" in second
    assert list_ceilings(found)[0][:3] == ("16", "raw", "95,000")
    assert list_floors(found)[0][:2] == ("p50 latency", "1.0010 [0.9900, 1.0120]")


def test_pauses_are_of_the_core_that_suffers_most() -> None:
    found = find_pauses([[0.2, 3.0, 1.5], [0.1, 24.0], []], seconds=10.0)

    assert found.longest_ms == 24.0
    assert found.long_per_s == pytest.approx(0.2)
    assert found.lost_share == pytest.approx(0.00241)
    said = describe_instrument(make_calibration().model_copy(update={"pauses": found}))
    assert "stood still for up to 24 ms" in said[-1]


def test_a_machine_that_never_pauses_has_pauses_of_nothing() -> None:
    assert find_pauses([[], []], seconds=1.0).longest_ms == 0.0
