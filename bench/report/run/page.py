"""The report of a run: an HTML file that needs nothing else, the same in Markdown, and its figures."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

from markupsafe import Markup
from matplotlib.figure import Figure

from bench.report.run import (
    anatomy_tables,
    attestation,
    card,
    changes,
    comparisons,
    cpu,
    method,
    regions,
    slot_tables,
    steps,
)
from bench.report.run.anatomy_figures import (
    draw_contrasts,
    draw_hops,
    draw_paths,
    draw_shares,
    draw_waterfalls,
)
from bench.report.run.answer import answer_sentence
from bench.report.run.captions import describe_figures
from bench.report.run.cautions import find_cautions
from bench.report.run.effect_figures import draw_block_ratios, draw_costs, draw_ladder
from bench.report.run.figures import draw_latency, draw_slot_timeline, draw_throughput
from bench.report.run.statements import tabulate_statements
from bench.report.svg import render_svg
from bench.report.template import Illustration, fill
from bench.report.text import ABSENT, count, format_p_value, format_time
from bench.results import files
from bench.results.run import Run
from bench.scenario.toml import scenario_toml

HTML_FILE, MARKDOWN_FILE, FIGURES_FOLDER = "report.html", "report.md", "figures"
OF_ANATOMY = ("shares", "waterfall", "paths", "hops", "contrasts")


class Section(NamedTuple):
    """A part of the HTML report, with a line in its table of contents."""

    name: str
    """Its id, and its template: sections/<name>.html.j2."""
    title: str
    """`{baseline}` stands for the baseline's name."""
    needs: str = "record"
    """The entry of `_facts` without which there is nothing to say: the section is left out."""


SECTIONS = (
    Section("card", "Which mode to take: cost beside what is given up"),
    Section("steps", "What each step adds", "steps"),
    Section("changes", "What changed between conditions", "changes"),
    Section("regions", "Where {baseline} is better", "regions"),
    Section("anatomy", "Where the microseconds go", "anatomy"),
    Section("cpu", "CPU per request", "cpu"),
    Section("comparison", "Comparison", "comparisons"),
    Section("figures", "Distributions: every request, block and slot", "illustrations"),
    Section("noise", "Noise floor: each arm against itself", "pairs"),
    Section("sensitivity", "Sensitivity: the same by other methods", "methods"),
    Section("also", "Also seen, and not compared"),
    Section("statements", "The article's statements, tried one by one", "walkthrough"),
    Section("method", "How it was measured"),
    Section("environment", "What it was measured on"),
    Section("gates", "Gates: what every slot had to show", "slots"),
    Section("slots", "All slots", "slots"),
    Section("rerun", "Run exactly this again"),
)
"""In the order of the page."""
MOST_ROWS = 5_000
"""Of more slots than these the table leaves some to slots.csv, so that a page's size has a bound."""
PLACED = ("ladder", "changes", "regions", *OF_ANATOMY)
"""Figures that stand in a section of their own: `placed['ladder']`. The rest are in `figures`."""


def write_report(run: Run, folder: Path) -> None:
    """Write report.html, report.md and figures/*.svg into `folder`.

    Raises EnvironmentLacks where that cannot be written.
    """
    illustrations = _illustrate(run)
    figures = files.make_subfolder(folder, FIGURES_FOLDER)
    for illustration in illustrations:
        files.write_atomically(figures / f"{illustration.name}.svg", illustration.svg.encode())
    files.write_atomically(folder / MARKDOWN_FILE, _fill("report.md.j2", run, illustrations).encode())
    files.write_atomically(folder / HTML_FILE, _fill("report.html.j2", run, illustrations).encode())


def render_html(run: Run) -> str:
    """The whole report as one HTML document, figures inside it."""
    return _fill("report.html.j2", run, _illustrate(run))


def render_markdown(run: Run, *, figures: bool = True) -> str:
    """The report in Markdown; its figures, if wanted, are files that it refers to: figures/*.svg."""
    return _fill("report.md.j2", run, _illustrate(run) if figures else [])


def _illustrate(run: Run) -> list[Illustration]:
    """Every figure, where the run has slots to draw."""
    if not run.record.slots:
        return []
    drawn = {
        "latency": draw_latency,
        "block-ratios": draw_block_ratios,
        "throughput": draw_throughput,
        "slot-timeline": draw_slot_timeline,
        "ladder": draw_ladder,
        "changes": draw_costs,
        "shares": draw_shares,
        "waterfall": draw_waterfalls,
        "paths": draw_paths,
        "hops": draw_hops,
        "contrasts": draw_contrasts,
        "regions": _draw_map,
    }
    # Without a valid slot there is nothing to show but when each failed, and at which gate.
    has_valid = any(record.valid for record in run.record.slots)
    return [
        Illustration(name, title, caption, render_svg(drawn[name](run), f"figure-{name}", title, caption))
        for name, title, caption in describe_figures(run)
        if has_valid or name == "slot-timeline"
    ]


def _draw_map(run: Run) -> Figure:
    return regions.draw_regions(regions.map_one(run))


def _fill(template: str, run: Run, illustrations: list[Illustration]) -> str:
    placed = {figure.name: figure for figure in illustrations if figure.name in PLACED}
    rest = [figure for figure in illustrations if figure.name not in placed]
    facts = {**_facts(run), "illustrations": rest, "placed": placed}
    sections = [
        section._replace(title=section.title.format(baseline=run.record.scenario.baseline))
        for section in SECTIONS
        if facts[section.needs]
    ]
    return fill(template, facts | {"sections": sections})


def _choose_slots(rows: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Rows of slots, as many as a page holds: those that failed a gate before those that did not."""
    chosen = sorted(range(len(rows)), key=lambda place: rows[place][-1] == "valid")[:MOST_ROWS]
    return [rows[place] for place in sorted(chosen)]


def _drop_empty(
    columns: Sequence[str], rows: Sequence[tuple[str, ...]]
) -> tuple[list[str], list[tuple[str, ...]]]:
    """The table without the columns in which no row has anything."""
    kept = [place for place in range(len(columns)) if any(row[place] != ABSENT for row in rows)]
    return [columns[place] for place in kept], [tuple(row[place] for place in kept) for row in rows]


def _facts(run: Run) -> Mapping[str, Any]:
    """All that the templates say of a run."""
    record = run.record
    slot_columns, slots = _drop_empty(slot_tables.name_slot_columns(run), slot_tables.list_slots(run))
    script = (resources.files("bench.report") / "templates" / "tables.js").read_text()
    return {
        "record": record,
        "scenario": record.scenario,
        "answer": answer_sentence(run),
        "scope": run.scope,
        "claims": [
            (claim, [verdict for verdict in run.verdict.claims if verdict.id == claim.id])
            for claim in record.scenario.claims
        ],
        "cautions": find_cautions(run),
        "cards": card.tabulate_modes(run),
        "steps": steps.tabulate_steps(run),
        "steps_said": steps.describe_steps(run),
        "changes": changes.tabulate_changes(run),
        "changes_said": changes.describe_changes(run),
        "anatomy": anatomy_tables.summarise_anatomy(run),
        "anatomy_figures": OF_ANATOMY,
        "cpu": cpu.tabulate_cpu(run),
        "cpu_said": cpu.explain_cpu(),
        "regions": regions.tabulate_regions(regions.map_one(run)),
        "regions_said": regions.describe_regions(regions.map_one(run)),
        "region_words": regions.explain_regions(record.scenario.baseline),
        "comparisons": comparisons.tabulate_comparisons(run),
        "pairs": comparisons.tabulate_pairs(run),
        "methods": comparisons.tabulate_methods(run),
        "walkthrough": tabulate_statements(run.walkthrough),
        "modes": method.list_modes(run),
        "controls": attestation.describe_controls(run),
        "sameness_said": attestation.describe_sameness(run),
        "sameness": attestation.tabulate_sameness(run),
        "paths": attestation.tabulate_paths(run),
        "arm_columns": slot_tables.ARM_COLUMNS,
        "arms": slot_tables.list_arms(run),
        "gate_columns": slot_tables.GATE_COLUMNS,
        "gates": slot_tables.list_gates(run),
        "slot_columns": slot_columns,
        "slots": _choose_slots(slots),
        "has_conditions": len(run.conditions) > 1,
        "method": method.describe_method(run),
        "limits": method.describe_limits(run),
        "words": method.explain_words(run),
        "claim_words": method.explain_claim_words(),
        "change_words": method.explain_change_words(),
        "environment": [
            ("Machine", record.machine),
            *((f"Engine of {name}", facts) for name, facts in record.engines.items()),
            ("Image", record.image),
            ("Lab", record.lab),
            ("Tools", record.tools),
        ],
        "scenario_toml": scenario_toml(record.scenario),
        "command": f"bench run {record.scenario.name}.toml --seed {record.seed}"
        + (f" --budget {record.budget_s:g}s" if record.budget_s else "")
        + (f" --precision {record.precision * 100:g}%" if record.precision else ""),
        "script": Markup(script),  # noqa: S704
        "script_digest": base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        "format_time": format_time,
        "format_p_value": format_p_value,
        "count": count,
    }
