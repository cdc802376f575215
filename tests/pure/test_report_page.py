import re
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from bench.cli import terminal
from bench.records.run import Status
from bench.report.run import page, publish, selection, slot_tables
from bench.report.run.answer import answer_sentence
from bench.report.run.cautions import find_cautions
from bench.report.run.figures import latency
from bench.report.run.figures.block_ratios import draw_block_ratios
from bench.report.run.figures.costs import draw_costs, find_costs
from bench.report.run.figures.ladder import draw_ladder
from bench.report.run.figures.latency import draw_latency
from bench.report.run.figures.throughput import draw_throughput
from bench.report.run.figures.timeline import draw_slot_timeline
from bench.report.run.sections import SECTIONS
from bench.report.run.selection import colour_of, marker_of
from bench.report.run.summary import list_gaps, summarise
from bench.report.svg import render_svg
from bench.report.symbols import PALETTE
from bench.results.run import Run

from .conftest import make_gate, make_run, make_scenario, make_slot_record
from .reports import ARMS, LADDER, NO_IPVLAN, drawing_once, judged, make_ladder, measure, store_run
from .verdicts import ENGINES

pytestmark = pytest.mark.slow

FIGURES = (draw_latency, draw_block_ratios, draw_throughput, draw_slot_timeline, draw_ladder, draw_costs)


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """All at once: 10 arms, a control, ipvlan unavailable, every slot of macvlan INVALID, 3 engines of
    which one is unavailable."""
    engines = {"lab.engine": (*ENGINES["lab.engine"], "debian:forky")}
    scenario = make_ladder(blocks=3, factors=engines)
    slots = [measure(scenario, slot) for slot in make_run(scenario).planned]
    failed = (make_gate(passed=False, name="quiet cores"),)
    return judged(
        store_run(
            tmp_path_factory.mktemp("crowded"),
            scenario,
            requests=True,
            unavailable=NO_IPVLAN,
            unavailable_conditions={2: "no such suite"},
            slots=tuple(
                record.model_copy(update={"gates": failed}) if record.slot.arm == "macvlan" else record
                for record in slots
                if record.slot.arm != "ipvlan" and record.slot.condition != 2
            ),
        )
    )


@pytest.fixture(scope="module")
def html(crowded: Run) -> str:
    with drawing_once():
        return page.render_html(crowded)


@pytest.fixture(scope="module")
def markdown(crowded: Run) -> str:
    with drawing_once():
        return page.render_markdown(crowded)


def texts_of(figure: Figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def test_the_page_has_every_section_and_needs_nothing_else(html: str) -> None:
    for section in ("card", "steps", "changes", "comparison", "noise", "figures", "method", "gates", "slots"):
        assert f'<h2 id="{section}">' in html
    for figure in ("latency", "block-ratios", "throughput", "slot-timeline", "ladder", "changes"):
        assert html.count(f'<svg id="figure-{figure}"') == 1
    assert html.count("<script>") == html.count("<script") == 1
    assert not re.search(r'(src|href)="(?!#|data:)', html)


def test_gaps_stand_above_the_first_table(html: str, markdown: str) -> None:
    for text, table in ((html, "<table"), (markdown, "| --- |")):
        above = text[: text.index(table)]
        assert "ipvlan (ipvlan mode) is NOT AVAILABLE here: failed to create the ipvlan port" in above
        assert "engine=debian:forky is NOT AVAILABLE here: no such suite" in above


def test_no_row_of_a_markdown_table_is_broken(markdown: str) -> None:
    tables = re.findall(r"(?:^\|.*\n)+", markdown, re.MULTILINE)

    assert len(tables) > 20
    for table in tables:
        cells = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}
        assert len(cells) == 1, table[:300]


def test_words_have_their_signs_and_folded_tables_their_captions(html: str) -> None:
    assert '<span class="word NOT_AVAILABLE"><span aria-hidden="true">∅ </span>NOT AVAILABLE</span>' in html
    assert "<summary>Modes that are not in this run</summary>" in html
    assert html.count("<details") == html.count("</details>")


def test_a_run_of_two_arms_has_a_card_but_no_sections_on_steps_and_changes(tmp_path: Path) -> None:
    text = page.render_html(judged(store_run(tmp_path, make_scenario(blocks=3), requests=True)))

    assert '<h2 id="card">' in text
    assert '<h2 id="steps">' not in text
    assert '<h2 id="changes">' not in text


@pytest.mark.parametrize("slots", [(), None])
def test_a_run_without_a_valid_slot_still_has_a_report(slots: tuple[()] | None, tmp_path: Path) -> None:
    scenario = make_ladder(blocks=2)
    failed = tuple(
        measure(scenario, slot).model_copy(update={"gates": (make_gate(passed=False),)})
        for slot in make_run(scenario).planned
    )
    run = judged(store_run(tmp_path, scenario, slots=failed if slots is None else slots))

    assert "There is no answer" in page.render_html(run)
    assert "There is no answer" in page.render_markdown(run)


def test_a_run_that_became_precise_has_ended_well_and_is_run_again_as_it_was(tmp_path: Path) -> None:
    scenario = make_scenario(blocks=4)
    slots = tuple(measure(scenario, slot) for slot in make_run(scenario).planned[:12])
    run = judged(
        store_run(tmp_path, scenario, requests=True, slots=slots, status=Status.PRECISE, precision=0.01)
    )

    assert not any("planned slot" in caution for caution in find_cautions(run))
    assert "--precision 1%" in page.render_markdown(run)


def test_of_more_slots_than_a_page_holds_those_that_failed_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slot_tables, "MOST_ROWS", 4)
    scenario = make_scenario(blocks=3)
    records = [
        make_slot_record(slot, 20.0, gates=(make_gate(passed=slot.index not in (1, 8, 9)),))
        for slot in make_run(scenario).planned[:10]
    ]

    assert [record.slot.index for record in slot_tables.choose_slots(records)] == [0, 1, 8, 9]


def test_a_column_in_which_no_slot_has_anything_is_left_out(tmp_path: Path) -> None:
    html = page.render_html(judged(store_run(tmp_path, make_scenario(blocks=3), requests=True)))
    slots = html[html.index('<h2 id="slots">') :]

    assert "req/s" in slots
    assert "wrk, req/s" not in slots


# Figures.


@pytest.mark.parametrize("draw", FIGURES)
def test_every_figure_can_be_drawn_of_many_arms_and_conditions_and_gaps(
    draw: Callable[[Run], Figure], crowded: Run
) -> None:
    figure = draw(crowded)

    assert figure.axes
    assert not any("forky" in axes.get_title(loc="left") for axes in figure.axes)


def test_the_figures_of_many_slots_hold_pixels_and_little_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = judged(store_run(tmp_path, make_scenario(blocks=30)))

    def draw_marks() -> str:
        drawn = (draw_block_ratios, draw_throughput, draw_slot_timeline)
        return "".join(render_svg(draw(run), "figure", "", "") for draw in drawn)

    marks = draw_marks().count("<use")
    monkeypatch.setattr(selection, "MOST_VECTOR_SLOTS", len(run.record.slots) - 1)
    pixels = draw_marks()

    assert pixels.count("data:image/png;base64,") >= 3
    assert pixels.count("<use") < marks / 2


def test_of_many_slots_the_curves_that_are_drawn_are_spread_over_the_run(
    crowded: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    every = len(draw_latency(crowded).axes[0].lines)
    monkeypatch.setattr(latency, "MOST_CURVES", 0)

    assert 0 < len(draw_latency(crowded).axes[0].lines) < every


def test_no_two_arms_look_the_same(crowded: Run) -> None:
    names = [arm.name for arm in ARMS if arm.name not in ("ipvlan", "none")]

    assert len({colour_of(crowded, name) for name in names}) == len(names) == len(PALETTE)
    assert len({marker_of(crowded, name) for name in names}) == len(names)


def test_every_colour_stands_out_on_white_and_on_the_dark_page() -> None:
    def luminance(colour: str) -> float:
        linear = [((c + 0.055) / 1.055) ** 2.4 if c > 0.04045 else c / 12.92 for c in to_rgb(colour)]
        return sum(share * c for share, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    for colour in PALETTE:
        assert 1.05 / (luminance(colour) + 0.05) > 2
        assert (luminance(colour) + 0.05) / (luminance("#14181d") + 0.05) > 2


def test_the_ladder_names_every_step_and_says_what_is_missing(crowded: Run) -> None:
    figure = draw_ladder(crowded)
    labels = [label.get_text() for label in figure.axes[0].get_yticklabels()]

    assert labels == [*LADDER, "host-mapped", "macvlan", "bridge-mapped", "ipvlan"]
    said = texts_of(figure)
    assert said.count("NOT AVAILABLE") == 2
    assert said.count("INVALID: no difference") == 2
    assert [text for text in said if text.startswith("+0.9")]


def test_the_ladder_draws_no_step_over_a_rung_that_has_no_answer(tmp_path: Path) -> None:
    scenario = make_ladder(blocks=3)
    failed = (make_gate(passed=False),)
    slots = tuple(
        record.model_copy(update={"gates": failed}) if record.slot.arm == "user-bridge" else record
        for record in (measure(scenario, slot) for slot in make_run(scenario).planned)
    )
    [axes] = draw_ladder(judged(store_run(tmp_path, scenario, slots=slots))).axes

    assert len(axes.patches) == len(LADDER) - 1 - 2


def test_an_arm_far_beyond_the_others_does_not_squeeze_them(crowded: Run) -> None:
    costs = find_costs(crowded, 0)
    axes = draw_ladder(crowded).axes[0]

    assert costs["proxy"].size > axes.get_xlim()[1] > costs["user-bridge"].size
    assert any(f"(at {costs['proxy'].size:+.1f})" in text.get_text() for text in axes.texts)


def figure_names(run: Run) -> set[str]:
    return {drawing.name for section in SECTIONS for drawing in section.drawings if drawing.is_there(run)}


def test_captions_are_given_for_the_figures_that_there_are(crowded: Run, tmp_path: Path) -> None:
    plain = judged(store_run(tmp_path, make_scenario(blocks=3)))

    assert figure_names(crowded) - figure_names(plain) == {
        "ladder",
        "changes",
        "regions",
    }


def test_a_figure_is_a_well_formed_document(crowded: Run, tmp_path: Path) -> None:
    publish.write_report(crowded, tmp_path)

    for file in sorted((tmp_path / "figures").glob("*.svg")):
        assert ET.parse(file).getroot().tag.endswith("svg")
    assert (tmp_path / "figures" / "ladder.svg").exists()


# The terminal.


def test_of_many_arms_the_terminal_shows_the_p50_a_row_an_arm(crowded: Run) -> None:
    tables = summarise(crowded)
    first = tables[0]

    assert first.caption == "engine=machine: p50 latency against host"
    assert [cells[0] for cells in first.rows] == [
        *(arm.name for arm in ARMS if arm.name not in ("host", "ipvlan", "none")),
        "ipvlan",
    ]
    assert [table.columns[0] for table in tables] == ["arm", "arm", "step", "step", "from → to"]
    # A change's word is its ratio's: beside the difference alone it may look like a contradiction.
    assert "ratio [95 %]" in tables[-1].columns


def test_of_two_arms_the_terminal_shows_every_metric(tmp_path: Path) -> None:
    [table] = summarise(judged(store_run(tmp_path, make_scenario(blocks=3))))

    assert [cells[0] for cells in table.rows] == ["p50 latency", "p10 latency", "p99 latency", "throughput"]


def test_a_run_without_any_figure_has_no_table_in_the_terminal(tmp_path: Path) -> None:
    run = judged(store_run(tmp_path, make_scenario(blocks=2)))

    assert "only 2 of 2 blocks" in answer_sentence(run)
    assert summarise(run) == []


def test_gaps_are_said_in_the_terminal_with_their_reasons(crowded: Run) -> None:
    assert list_gaps(crowded) == [
        "ipvlan: NOT AVAILABLE here: failed to create the ipvlan port: operation not supported",
        "engine=debian:forky: NOT AVAILABLE here: no such suite",
    ]


def test_no_cell_is_cut_in_a_narrow_terminal(
    crowded: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(terminal.out, "width", 40)
    for table in summarise(crowded):
        terminal.print_whole(table.columns, table.rows, table.caption)
    printed = capsys.readouterr().out

    for table in summarise(crowded):
        for cells in table.rows:
            assert "  ".join(cells).replace(" ", "") in printed.replace(" ", "")
    assert "…" not in printed
