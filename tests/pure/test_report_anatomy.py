"""The section on where the microseconds go: tables and figures of stored runs whose hops are known."""

import re
from collections.abc import Callable
from copy import copy
from dataclasses import replace
from itertools import combinations, pairwise
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from matplotlib.figure import Figure

from bench.errors import InputError
from bench.report.run import page, publish
from bench.report.run.anatomy import describe_anatomy
from bench.report.run.anatomy_tables import (
    tabulate_explained,
    tabulate_hops,
    tabulate_losses,
    tabulate_shares,
)
from bench.report.run.answer import answer_sentence
from bench.report.run.figures.block_ratios import draw_block_ratios
from bench.report.run.figures.hops import draw_hops
from bench.report.run.figures.paths import draw_paths
from bench.report.run.figures.shares import draw_shares
from bench.report.run.figures.waterfalls import draw_contrasts, draw_waterfalls
from bench.report.run.sections import SECTIONS
from bench.report.run.summary import summarise
from bench.report.run.taps import tabulate_taps, tabulate_traces
from bench.results.run import Run
from bench.scenario.model import Arm
from bench.scenario.plan import Slot
from bench.wire.hops import SERVER_HOP

from .captures import TAPPED, make_tapped, store_captures, usual_us
from .conftest import make_gate, make_run, make_scenario, make_slot_record
from .reports import judged, row, store_run
from .test_trace import write_samples
from .wire import BRIDGE_PATH

pytestmark = pytest.mark.slow

ARMS = tuple(Arm(name=name, mode=name) for name in ("host", "macvlan", "bridge", "proxy"))
RULES_US = 9.0


def with_rules(slot: Slot, hop: str) -> float:
    """Conditions 2 and 3 have forwarding rules, which the proxy's packets do not meet."""
    met = slot.arm == "bridge" and slot.condition >= 2 and hop == "request: uplink to bridge"
    return usual_us(slot, hop) + (RULES_US if met else 0)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Four modes, with and without taps, with and without rules; one of bridge's slots has samples,
    one of macvlan's captures is INVALID."""
    folder = tmp_path_factory.mktemp("anatomy")
    scenario = make_tapped(blocks=3, arms=ARMS, factors={"lab.forward_rules": (0, 2_000), **TAPPED})
    run = store_captures(
        folder,
        scenario,
        with_rules,
        invalid=lambda slot: (slot.arm, slot.block, slot.repeat) == ("macvlan", 0, 1),
    )
    slot = next(record.slot for record in run.tapped if record.slot.arm == "bridge")
    write_samples(folder / slot.directory, BRIDGE_PATH, ("client", "uplink", "bridge", "veth", "container"))
    return judged(run)


@pytest.fixture(scope="module")
def written(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    publish.write_report(run, folder)
    return folder


def labels_of(figure: Figure, place: int) -> list[str]:
    return [label.get_text() for label in figure.axes[place].get_yticklabels()]


def test_both_reports_have_the_section_with_its_figures_and_tables(written: Path) -> None:
    html, markdown = (written / "report.html").read_text(), (written / "report.md").read_text()

    assert '<h2 id="anatomy">' in html
    assert "## Where the microseconds go" in markdown
    for name in ("shares", "waterfall", "paths", "hops", "contrasts"):
        assert html.count(f'<svg id="figure-{name}" role="img" aria-labelledby') == 1
        assert f"](figures/{name}.svg)" in markdown
        assert ET.parse(written / "figures" / f"{name}.svg").getroot().tag.endswith("svg")
    for text in (html, markdown):
        for caption in ("What the hops explain", "What the taps themselves cost", "Gates of the captures"):
            assert caption in text
        assert "waiting in the socket&#39;s queue" in text.replace("'", "&#39;")


def test_every_table_of_the_section_is_whole_in_markdown(written: Path) -> None:
    section = (written / "report.md").read_text().partition("## Where the")[2].partition("\n## ")[0]
    tables = re.findall(r"(?:^\|.*\n)+", section, re.MULTILINE)

    assert len(tables) > 10
    for table in tables:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1, table[:300]


def test_a_run_without_taps_has_no_such_section(tmp_path: Path) -> None:
    text = page.render_html(
        judged(store_captures(tmp_path, make_tapped(blocks=3, arms=ARMS[:2], factors={})))
    )

    assert 'id="anatomy"' not in text
    assert "figure-waterfall" not in text


def test_where_every_capture_is_invalid_the_section_says_so_and_draws_nothing(tmp_path: Path) -> None:
    run = judged(
        store_captures(
            tmp_path, make_tapped(blocks=3, arms=ARMS[:2]), invalid=lambda slot: slot.condition > 0
        )
    )
    text = page.render_markdown(run)

    assert "12 slots with taps (" in describe_anatomy(run)[1]
    assert "## Where the microseconds go" in text
    assert "figures/paths.svg" not in text


def test_nothing_under_taps_is_in_the_answer_the_figures_of_ratios_or_the_terminal(
    run: Run, tmp_path: Path
) -> None:
    assert "taps=true" not in answer_sentence(run)
    assert not any("taps=true" in axes.get_title(loc="left") for axes in draw_block_ratios(run).axes)
    assert [t.caption for t in summarise(run) if "taps=true" in t.caption and "against" in t.caption] == []

    two = judged(store_captures(tmp_path, make_tapped(blocks=3, arms=(ARMS[0], ARMS[2]))))
    # With one condition without taps there is no range over conditions to tell.
    assert "runs from" not in answer_sentence(two)
    assert "host is" in answer_sentence(two)


@pytest.mark.parametrize("draw", [draw_shares, draw_paths, draw_hops, draw_waterfalls, draw_contrasts])
def test_every_figure_is_drawn(draw: Callable[[Run], Figure], run: Run) -> None:
    assert draw(run).axes


DRAWINGS = {drawing.name: drawing for section in SECTIONS for drawing in section.drawings}


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_figure_is_drawn_or_its_want_is_told(name: str, tmp_path: Path) -> None:
    drawing, refusals = DRAWINGS[name], list[str]()
    for is_valid in (True, False):
        (folder := tmp_path / str(is_valid)).mkdir()
        scenario = make_scenario(blocks=3)
        slots = [
            make_slot_record(slot, gates=(make_gate(passed=is_valid),)) for slot in make_run(scenario).planned
        ]
        run = judged(store_run(folder, scenario, requests=True, slots=tuple(slots)))
        try:
            assert drawing.draw(run).axes
        except InputError as refusal:
            assert not drawing.is_there(run)
            refusals.append(str(refusal))
    assert all("this run has no " in refusal for refusal in refusals)


def test_the_waterfall_ends_in_what_was_measured_and_names_what_a_mode_does(run: Run) -> None:
    figure = draw_waterfalls(run)
    titles = [axes.get_title(loc="left") for axes in figure.axes]

    assert titles[:3] == [f"forward_rules=0: host → {arm}" for arm in ("macvlan", "bridge", "proxy")]
    assert labels_of(figure, 1) == [
        "link, switch, receive queue →",
        "conntrack, DNAT, routing, forward rules →",
        "bridge →",
        "veth pair →",
        "server: kernel TCP, Apache and back ●",
        "veth pair ←",
        "bridge ←",
        "conntrack, NAT undone, routing, forward rules ←",
        "link, switch, receive queue ←",
        "sum of the hops, with taps",
        "unexplained",
        "measured without taps",
    ]
    said = [text.get_text() for text in figure.axes[1].texts]
    assert said[:9] == ["+0.00", "+1.60", "+0.60", "+0.70", "+0.00", "+0.75", "+0.65", "+1.40", "+0.00"]
    assert float(said[9]) + float(said[10]) == pytest.approx(float(said[11]), abs=0.011)


def test_names_of_hops_take_half_of_the_waterfall_at_most_however_long_they_are(run: Run) -> None:
    found = run.anatomy.explanations[1]
    long = "peer's bridge, routing, conntrack, masquerading; link, switch, receive queue"
    bars = (replace(found.bars[0], title=f"{long} instead of link, switch, receive queue"), *found.bars[1:])
    other = copy(run)
    other.__dict__["anatomy"] = replace(run.anatomy, explanations=(replace(found, bars=bars),))
    figure = draw_waterfalls(other)
    figure.draw_without_rendering()

    [axes] = figure.axes
    assert axes.get_position().width > 0.5
    names = [label.get_window_extent() for label in axes.get_yticklabels()]
    assert all(lower.y1 <= upper.y0 for upper, lower in pairwise(names))


def test_a_control_is_drawn_in_its_hop_and_in_no_other(run: Run) -> None:
    figure = draw_contrasts(run)
    sizes = {
        axes.get_title(loc="left").split(":")[0]: [text.get_text() for text in axes.texts][:-3]
        for axes in figure.axes
    }

    assert [size for size in sizes["bridge"] if size != "+0.00"] == ["+9.00"]
    for arm in ("host", "macvlan", "proxy"):
        assert set(sizes[arm]) <= {"+0.00"}


def test_no_words_of_a_path_cover_others_or_leave_its_shades_however_long_a_hop_is_named(run: Run) -> None:
    bridge = next(arm for arm in run.anatomy.arms if arm.arm == "bridge")
    long = "peer's bridge, routing, conntrack, masquerading, and undone on the way back"
    hops = tuple(hop if hop.row.name == SERVER_HOP else replace(hop, title=long) for hop in bridge.hops)
    other = copy(run)
    other.__dict__["anatomy"] = replace(run.anatomy, arms=(replace(bridge, hops=hops),))
    figure = draw_paths(other)
    figure.draw_without_rendering()

    [axes] = figure.axes
    drawn = {text: text.get_window_extent() for text in axes.texts if text.get_text()}
    covering = [
        (one.get_text(), two.get_text())
        for one, two in combinations(drawn, 2)
        if drawn[one].overlaps(drawn[two])
    ]
    assert not covering
    room = axes.get_window_extent()
    assert all(room.y0 <= words.y0 and words.y1 <= room.y1 for words in drawn.values())


def test_the_path_of_a_mode_shows_its_places_and_its_microseconds(run: Run) -> None:
    figure = draw_paths(run)
    arms = [arm.arm for arm in run.anatomy.arms]
    said = [text.get_text() for text in figure.axes[arms.index("bridge")].texts]

    assert {"client", "uplink", "bridge", "veth", "container", "server"} <= set(said)
    assert {"1.60", "[1.60, 1.60]", "0.75", "25.00"} <= set(said)
    host = [text.get_text() for text in figure.axes[arms.index("host")].texts]
    assert "veth" not in host
    assert "container" not in host


def figures_of(run: Run) -> list[str]:
    [section] = [section for section in SECTIONS if section.name == "anatomy"]
    return [drawing.name for drawing in section.drawings if drawing.is_there(run)]


def test_a_figure_with_captions_for_all_that_is_drawn_and_no_more(run: Run, tmp_path: Path) -> None:
    one = judged(store_captures(tmp_path, make_tapped(blocks=3, arms=ARMS[:2])))

    assert figures_of(one) == ["shares", "waterfall", "paths", "hops"]
    assert figures_of(run) == ["shares", "waterfall", "paths", "hops", "contrasts"]


def test_tables_give_the_known_hops_shares_and_handshakes(run: Run) -> None:
    medians = tabulate_hops(run)[0]
    assert medians.caption == "forward_rules=0: Median of each hop, 95 %"
    assert row(medians, "→ uplink to bridge") == {
        "Hop": "→ uplink to bridge",
        "host": "–",
        "macvlan": "–",
        "bridge": "1.60 us [1.60, 1.60]\nconntrack, DNAT, routing, forward rules",
        "proxy": "16.00 us [16.00, 16.00]\ndocker-proxy: two sockets and a copy",
    }
    shares = row(tabulate_shares(run), "host (forward_rules=0)")
    assert shares["Client"] == "7.00 us [7.00, 7.00]\n19.7 %"
    assert shares["Sent to done"] == "35.50 us [35.50, 35.50]"
    losses = row(tabulate_losses(run), "macvlan (forward_rules=0)")
    assert losses["Captures"] == "5"
    assert losses["Handshake at the first tap"] == "32.00 us [30.00, 34.00]\n10 connections"


def test_what_is_left_is_told_apart_into_client_taps_and_remainder(run: Run) -> None:
    explained = row(tabulate_explained(run), "forward_rules=0: host → bridge")

    # The hops with taps are as they are known; the three more taps are not in what was measured.
    assert explained["Hops, with taps"] == "+5.70 us"
    assert explained["Client's side"] == "+0.00 us"
    parts = [float(explained[name].split()[0]) for name in ("Client's side", "Taps' own cost", "Remainder")]
    assert sum(parts) == pytest.approx(float(explained["Unexplained"].split()[0]), abs=0.02)
    assert parts[1] == pytest.approx(-1.5, abs=0.2)


def test_the_cost_of_the_taps_is_told_for_each_mode_and_condition(run: Run) -> None:
    table = tabulate_taps(run)

    assert len(table.rows) == len(ARMS) * 2
    assert {cells[1] for cells in table.rows if cells[0].startswith("bridge")} == {"5"}
    assert "forward_rules=2000" in table.rows[-1][0]


def test_a_request_is_followed_where_there_are_samples_and_other_arms_are_passed_over(run: Run) -> None:
    [table] = tabulate_traces(run)

    assert table.caption.startswith("bridge: request 0 of slot")
    assert row(table, "→ bridge")["Source → destination"] == "198.18.0.2:40000 → 172.17.0.2:80"
    assert row(table, "→ bridge")["Rewritten since the tap before"] == "destination"
    assert row(table, "← uplink")["Rewritten since the tap before"] == "source"
    assert len(table.rows) == 10


def test_captures_left_out_are_said(run: Run) -> None:
    [said] = [sentence for sentence in describe_anatomy(run) if sentence.startswith("Left out")]

    assert "2 slots with taps (macvlan 2)" in said


def test_a_run_that_was_stored_without_anatomy_is_reported_as_before(tmp_path: Path) -> None:
    run = judged(store_run(tmp_path, make_tapped(blocks=3, arms=ARMS[:1] + ARMS[2:3], factors={})))

    assert figures_of(run) == []
    assert run.tapped == []
