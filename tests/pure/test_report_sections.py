"""The table of sections: what is in the page, in which order, in both of its forms."""

import re
from importlib import resources
from pathlib import Path

import pytest

from bench.records.findings import Word
from bench.report.run.page import fill_page, list_chapters, render_html
from bench.report.run.sections import SECTIONS
from bench.results import files
from bench.results.run import Run
from bench.scenario.plan import plan_slots

from .captures import make_tapped, store_captures
from .conftest import make_gate, make_scenario
from .reports import judged, make_ladder, measure, store_run
from .test_findings import make_record, make_walk
from .verdicts import STEERING

pytestmark = pytest.mark.slow

TEMPLATES = resources.files("bench.report") / "templates"


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A ladder under two conditions, with a walkthrough."""
    folder = tmp_path_factory.mktemp("full")
    walk = make_walk("debian:bookworm", Word.CONFIRMED, Word.REFUTED)
    run = judged(store_run(folder, make_ladder(blocks=4, factors=STEERING), requests=True))
    (folder / files.WALKTHROUGH_FILE).write_text(make_record(walk).model_dump_json())
    return run


@pytest.fixture(scope="module")
def pages(full: Run) -> tuple[str, str]:
    """The run's page as HTML and as Markdown."""
    chapters = list_chapters(full)
    return fill_page("html", full, chapters), fill_page("md", full, chapters)


def titles_of(html: str, markdown: str) -> tuple[list[str], list[str]]:
    sections = html[html.index('<div class="sections">') :]
    below = markdown[markdown.index("## Before you use these numbers") :]
    of_html = [title.replace("&#39;", "'") for title in re.findall(r"<h2 id=.*?>(.*)</h2>", sections)]
    return of_html, re.findall(r"^## (.*)$", below, re.MULTILINE)[1:]


def test_markdown_has_the_sections_of_the_page_in_its_order(pages: tuple[str, str], tmp_path: Path) -> None:
    tapped = judged(store_captures(tmp_path, make_tapped(blocks=3)))
    chapters = list_chapters(tapped, figures=False)
    of_full = titles_of(*pages)
    of_tapped = titles_of(*(fill_page(form, tapped, chapters) for form in ("html", "md")))

    assert of_full[0] == of_full[1]
    assert of_tapped[0] == of_tapped[1]
    assert (
        len({*of_full[0], *of_tapped[0]}) == len(SECTIONS) - 7
    )  # None of CPU, of starts, of lookups, of real hosts, of stalls, of a service of one's own.


def test_markdown_says_what_the_page_says(pages: tuple[str, str]) -> None:
    """Word for word, but for what only a page or only a file beside it can do."""
    html, markdown = pages
    sections = html[html.index('<section aria-labelledby="card"') :]
    sections = re.sub(r"(?s)<svg.*?</svg>|<pre.*?</pre>|<dt>.*?</dt>|<details id=.*?</details>", "", sections)
    said = [
        re.sub(r"<[^>]+>", "", text).replace("&#39;", "'").replace("\u00a0", " ")
        for text in re.findall(r"(?s)<(?:p|li|caption|h3)>(.*?)</(?:p|li|caption|h3)>", sections)
    ]
    plain = markdown.replace("\\", "")

    assert len(said) > 50
    page_alone = ("Download unit.toml", "In the order of measuring")
    assert [text for text in said if text not in plain and not text.startswith(page_alone)] == []


def test_every_section_has_one_template_and_no_template_is_left_over() -> None:
    there = sorted(entry.name for entry in (TEMPLATES / "sections").iterdir())

    assert there == sorted(f"{section.name}.j2" for section in SECTIONS)
    assert len({drawing.name for section in SECTIONS for drawing in section.drawings}) == sum(
        len(section.drawings) for section in SECTIONS
    )


def test_no_template_knows_a_language_but_through_the_words_that_both_have() -> None:
    words = [
        set(re.findall(r"macro (\w+)", (TEMPLATES / f"macros.{form}.j2").read_text()))
        for form in ("html", "md")
    ]
    for section in (TEMPLATES / "sections").iterdir():
        used = set(re.findall(r"page\.(\w+)\(", section.read_text()))
        assert used <= words[0] & words[1], section.name


def test_the_toml_of_the_page_can_be_copied_from_it(tmp_path: Path) -> None:
    scenario = make_scenario(factors={"load.connections": (1, 16)}, question="What do 5 us cost, [1, 2]?")
    html = render_html(judged(store_run(tmp_path, scenario, requests=True)))
    shown = re.findall(r"(?s)<pre tabindex=\"0\"><code>(.*?)</code></pre>", html)[1]

    assert '"load.connections" = [1, 16]' in shown.replace("&#34;", '"')
    assert "\u00a0" not in shown


# Noise, width and gates.


def test_the_page_says_where_a_width_comes_from_and_what_the_curve_is(pages: tuple[str, str]) -> None:
    html, markdown = pages
    for text in (html.replace("&#39;", "'"), markdown):
        assert "Where the width of the p50's interval comes from" in text
        assert "Ratio, simultaneous 95" in text


def test_where_slots_are_void_the_page_has_the_verdict_without_gates_and_who_lost_them(
    tmp_path: Path,
) -> None:
    scenario = make_scenario(blocks=8)
    slots = tuple(
        measure(scenario, slot).model_copy(update={"gates": (make_gate(passed=slot.index != 3),)})
        for slot in plan_slots(scenario, seed=1)
    )
    run = judged(store_run(tmp_path, scenario, slots=slots))
    said = fill_page("md", run, list_chapters(run, figures=False))

    assert "The comparisons with gates left out" in said
    assert "no gate, 32 slots" in said
    assert "Void slots by arm" in said
    assert "Systematic splits of the p50" in said
