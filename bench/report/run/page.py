"""The report of a run: an HTML file that needs nothing else, and the same in Markdown beside its figures."""

import base64
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from typing import Any, NamedTuple

from markupsafe import Markup

from bench.report.run.answer import answer_sentence
from bench.report.run.cautions import find_cautions
from bench.report.run.figures.drawing import Drawing
from bench.report.run.sections import SECTIONS, Section
from bench.report.svg import render_svg
from bench.report.template import Illustration, fill
from bench.report.text import count, format_p_value, format_time
from bench.results.run import Run

CLEAR = (
    "No warnings: the run is complete, all {slots} passed every gate, and no arm differs from"
    " itself by what was before, its place in the block, the run's halves or its sessions."
)


class Chapter(NamedTuple):
    """A section as a run has it."""

    name: str
    title: str
    facts: Mapping[str, Any]
    figures: tuple[Illustration, ...]


def render_html(run: Run) -> str:
    """The whole report as one HTML document, figures inside it."""
    return fill_page("html", run, list_chapters(run))


def render_markdown(run: Run, *, figures: bool = True) -> str:
    """The report in Markdown; its figures, if wanted, are files that it refers to: figures/*.svg."""
    return fill_page("md", run, list_chapters(run, figures=figures))


def list_chapters(run: Run, *, figures: bool = True) -> list[Chapter]:
    """The sections that the run has something to say in, with their figures, if wanted, drawn."""
    return [chapter for section in SECTIONS for chapter in _make_chapter(run, section, figures=figures)]


def _make_chapter(run: Run, section: Section, *, figures: bool) -> Iterator[Chapter]:
    if section.of_requests and not figures:
        return
    facts = section.tell(run) if section.tell else {}
    drawings = [drawing for drawing in section.drawings if drawing.is_there(run)] if figures else []
    if facts or (section.tell is None and drawings):
        title = section.title.format(baseline=run.record.scenario.baseline)
        drawn = tuple(_illustrate(run, drawing) for drawing in drawings)
        yield Chapter(section.name, title, facts or {}, drawn)


def _illustrate(run: Run, drawing: Drawing) -> Illustration:
    title = drawing.title.format(baseline=run.record.scenario.baseline)
    caption = drawing.caption(run)
    svg = render_svg(drawing.draw(run), f"figure-{drawing.name}", title, caption)
    return Illustration(drawing.name, title, caption, svg)


def fill_page(form: str, run: Run, chapters: Sequence[Chapter]) -> str:
    """The page in `form`, html or md."""
    record = run.record
    script = (resources.files("bench.report") / "templates" / "tables.js").read_text()
    return fill(
        f"report.{form}.j2",
        {
            "form": form,
            "record": record,
            "scenario": record.scenario,
            "answer": answer_sentence(run),
            "scope": run.scope,
            "claims": [
                (claim, [verdict for verdict in run.verdict.claims if verdict.id == claim.id])
                for claim in record.scenario.claims
            ],
            "cautions": find_cautions(run),
            "clear": CLEAR.format(slots=count(len(record.slots), "slot")),
            "chapters": chapters,
            "script": Markup(script),  # noqa: S704
            "script_digest": base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
            "format_time": format_time,
            "format_p_value": format_p_value,
            "count": count,
        },
    )
