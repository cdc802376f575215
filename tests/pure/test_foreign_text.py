"""Texts of others (a scenario's, a gate's) on the terminal, in HTML, SVG and Markdown: harmless."""

import json
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from bench.controls import replace_controls
from bench.report.run.page import render_html, render_markdown
from bench.report.run.publish import write_report
from bench.report.svg import render_svg
from bench.report.template import escape_markdown
from bench.results import columns
from bench.results.run import Run

from .conftest import make_gate, make_records, make_run, make_scenario, make_slot_record, store_whole
from .reports import CLAIM, judged, store_run
from .test_cli import run_bench

pytestmark = pytest.mark.slow

TEMPLATES = Path(__file__).parents[2] / "bench/report/templates"
HOSTILE = (
    "a\x00b\x1b[31mred\x7f\x9b $x_1$ and $y^2$ <script>alert(1)</script>"
    " [link](http://198.18.0.1) ![image](x.png) \u202egnp"
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Such texts in question and claim, in what a gate says, and among the machine's facts."""
    folder = tmp_path_factory.mktemp("hostile")
    claim = CLAIM.model_copy(update={"text": f"# {HOSTILE}"})
    scenario = make_scenario(blocks=3, question=HOSTILE, claims=(claim,))
    gate = make_gate(passed=False, unit=HOSTILE, detail=HOSTILE)
    slots = tuple(
        make_slot_record(slot, gates=(gate if slot.index == 0 else make_gate(),))
        for slot in make_run(scenario).planned
    )
    machine = {"cpu": HOSTILE, "kernel": HOSTILE, "usable_cores": "2"}
    return judged(store_run(folder, scenario, requests=True, slots=slots, machine=machine))


def test_every_figure_is_xml_and_a_dollar_in_it_is_a_dollar(run: Run, tmp_path: Path) -> None:
    write_report(run, tmp_path)
    figures = sorted((tmp_path / "figures").glob("*.svg"))

    assert figures
    for file in figures:
        assert ET.parse(file).getroot().tag.endswith("svg")
    drawn = Figure()
    drawn.text(0.1, 0.5, HOSTILE)
    svg = render_svg(drawn, "drawn", HOSTILE, HOSTILE)
    assert ET.fromstring(svg).tag.endswith("svg")
    assert "$x_1$ and $y^2$ &lt;script&gt;" in svg


def test_no_page_holds_a_control_character_or_a_script_of_others(run: Run) -> None:
    for text in (render_html(run), render_markdown(run)):
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)
    assert "<script>alert" not in render_html(run)
    assert "a\ufffdb\ufffd[31mred" in render_html(run)


def test_every_page_forbids_itself_to_ask_for_anything_before_it_holds_a_text_of_others() -> None:
    texts = [path.read_text() for path in TEMPLATES.glob("*.html.j2")]
    pages = [text for text in texts if "<!DOCTYPE html>" in text]

    assert len(pages) == 6
    for text in pages:
        assert '<meta charset="utf-8">\n{% include "policy.html.j2" %}\n' in text


def test_nothing_of_others_is_a_link_an_image_mathematics_or_a_heading_in_markdown(run: Run) -> None:
    # The scenario's own file stands in a block of code, letter by letter.
    markdown = render_markdown(run).partition("## Run exactly this again")[0]

    assert not re.search(r"(?<!\\)\]\(http", markdown)
    assert not re.search(r"(?<!\\)!(?<!\\)\[image", markdown)
    assert not re.search(r"(?<!\\)\$", markdown)
    assert not re.search(r"(?<!\\)<script", markdown)
    assert "> \\# a" in markdown


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("1.176 [1.156, 1.195]", "1.176 [1.156, 1.195]"),
        ("-2,369 req/s [-3,692, -971.8]", "-2,369 req/s [-3,692, -971.8]"),
        ("[1, 2](x)", "\\[1, 2\\](x)"),
        ("[1, 2]: x", "\\[1, 2\\]: x"),
        ("[a]", "\\[a\\]"),
        ("wow! [a]", "wow! \\[a\\]"),
        ("![1, 2](x)", "\\!\\[1, 2\\](x)"),
        ("p50_latency_us", "p50_latency_us"),
        ("an _emphasis_", "an \\_emphasis\\_"),
        ("a ~~b~~ $c$", "a \\~\\~b\\~\\~ \\$c\\$"),
        ("# a", "\\# a"),
        ("a # b", "a # b"),
        ("- a", "\\- a"),
        ("-2 us", "-2 us"),
        ("1. a", "1\\. a"),
        ("12) a", "12\\) a"),
        ("1.5 us", "1.5 us"),
        ("&lt; R&D", "\\&lt; R&D"),
        ("a | b\n\nc", "a \\| b · c"),
    ],
)
def test_markdown_is_escaped_where_it_would_be_read_and_nowhere_else(text: str, escaped: str) -> None:
    assert escape_markdown(text) == escaped


@given(st.text())
def test_what_is_left_of_a_text_can_be_written_as_xml_and_as_utf_8(text: str) -> None:
    shown = replace_controls(text)

    assert len(shown) == len(text)
    assert shown.encode().decode() == shown
    element = ET.Element("a")
    element.text = shown
    assert ET.fromstring(ET.tostring(element, encoding="unicode")).text == (shown or None)


RUN, FILE, SHELF = "{run}", "{scenario}", "{shelf}"
COMMANDS = {
    "report": ("report", RUN, "--format", "md"),
    "check": ("check", RUN),
    "compare": ("compare", RUN, "{other}"),
    "map": ("map", RUN),
    "history": ("history", RUN),
    "verify": ("verify", RUN),
    "plan": ("plan", FILE),
    "scenario check": ("scenario", "check", FILE),
    "list": ("list", "--all", "--results", SHELF),
}
QUOTE = {"report", "compare", "plan", "list"}
"""Those that say more of a scenario or of a run than its names, which are of letters, and its numbers."""


@pytest.mark.parametrize("damaged", [False, True], ids=["a whole file", "a damaged one"])
@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_hands_a_terminal_what_it_would_obey(
    command: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *,
    damaged: bool,
) -> None:
    scenario = make_scenario(question=HOSTILE, claims=(CLAIM.model_copy(update={"text": HOSTILE}),))
    run, other = (tmp_path / "unit" / f"20250102T03040{second}Z-00ff" for second in (5, 6))
    for folder in (run, other):
        folder.mkdir(parents=True)
        machine = {"cpu": f"{folder.name} {HOSTILE}", "kernel": "6.1"}
        record = make_run(scenario, id=folder.name, machine=machine, warnings=(HOSTILE,))
        for slot in record.planned:
            columns.write_requests(folder, slot.directory, make_records([{"sent_ns": 1_000}]))
        store_whole(folder, record)
        (folder / "verdict.json").write_text(json.dumps({"claims": [{"word": HOSTILE}]}))
    file = tmp_path / "hostile.toml"
    text = (Path(__file__).parents[2] / "scenarios/quick.toml").read_text()
    file.write_text(text.replace('question = "', 'question = "\\u001b[2J\\u009b31m\\u0007', 1))
    if damaged:
        stored = json.loads((run / "run.json").read_text())
        (run / "run.json").write_text(json.dumps(stored | {HOSTILE: 1}))
        file.write_text(f'"\\u001b[2J" = 1\n{text}')
    places = {"run": run, "other": other, "scenario": file, "shelf": tmp_path}
    run_bench(monkeypatch, *(word.format(**places) for word in COMMANDS[command]))
    said = capsys.readouterr()

    assert replace_controls(said.out) == said.out
    assert replace_controls(said.err) == said.err
    assert ("\ufffd" in said.out + said.err) is (damaged or command in QUOTE)
