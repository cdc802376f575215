"""What starting takes, stage by stage."""

from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from bench.report.panels import lay_lines, make_panels
from bench.report.run.figures.drawing import Drawing, require_some
from bench.report.run.selection import arm_names, present_conditions
from bench.report.run.starts import STAGES, find_medians
from bench.report.svg import INK, STYLE
from bench.results.run import Run
from bench.scenario.metric import Metric

SHADES = (0.25, 0.45, 0.7, 1.0)
"""Of the stages, in their order."""
COLOUR = "#3b6ea5"


def draw_starts(run: Run) -> Figure:
    """A bar an arm and condition: how far the last container is when, medians of valid slots."""
    lines = [
        (condition, arm, found)
        for condition in present_conditions(run)
        for arm in arm_names(run)
        if (found := find_medians(run, condition, arm))
    ]
    require_some(lines, "start that counts")
    with matplotlib.rc_context(STYLE):
        figure, [[axes]] = make_panels(1, [0.6 + 0.3 * len(lines)])
        for line, (_, _, found) in enumerate(lines):
            ends = [found[metric] for metric, _ in STAGES]
            # Of several containers a stage of the last may end before the one before it, of another.
            begins = np.minimum([0.0, *ends[:-1]], ends)
            for begin, end, shade in zip(begins, ends, SHADES, strict=True):
                look: dict[str, Any] = {"color": COLOUR, "alpha": shade, "linewidth": 0}
                axes.barh(line, end - begin, left=begin, height=0.62, **look)
            label = f"{ends[-1]:,.0f} ms; removal {found[Metric.REMOVED_MS]:,.0f} ms"
            axes.annotate(
                label,
                (max(ends), line),
                (5, 0),
                textcoords="offset points",
                va="center",
                fontsize=8,
                color=INK,
            )
        names = [
            ", ".join(filter(None, (arm, run.conditions[condition].label))) for condition, arm, _ in lines
        ]
        axes.set_yticks(range(len(lines)), names)
        lay_lines(axes, len(lines))
        axes.set_xlim(
            0, 1.35 * max(found[metric] for _, _, found in lines for metric, _ in STAGES)
        )  # Room for the numbers.
        axes.set_xlabel("ms since the first container was asked for")
        keys = [
            Patch(color=COLOUR, alpha=shade, linewidth=0, label=name)
            for (_, name), shade in zip(STAGES, SHADES, strict=True)
        ]
        figure.legend(handles=keys, loc="outside upper left", ncols=len(keys))
        return figure


STARTS = Drawing(
    name="starts",
    title="Until the last container answers, stage by stage",
    draw=draw_starts,
    caption=lambda _: (
        "A bar ends where the last of a slot's containers has answered for the first time; each shade ends"
        " where the last one is so far. Medians of valid slots: the intervals stand in the comparison."
    ),
    is_there=lambda run: any(record.valid and record.starts for record in run.record.slots),
)
