"""The quantile curve of the effect: where in the distribution a candidate pays, and where it does not."""

from math import ceil
from typing import NamedTuple

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.report.panels import WIDTH_IN
from bench.report.run.answer import comparisons_of_arms
from bench.report.run.figures.drawing import Drawing, require_some
from bench.report.run.selection import colour_of
from bench.report.svg import INK, STYLE
from bench.report.text import name_condition
from bench.results.run import Run
from bench.scenario.metric import Metric

MOST_PANELS = 24
IN_A_ROW = 3
TICKS = {0.01: "p1", 0.1: "p10", 0.5: "p50", 0.9: "p90", 0.99: "p99", 0.999: "p99.9"}
MARKED = (0.1, 0.5, 0.99)
"""What the comparisons are made on."""


def draw_quantile_curve(run: Run) -> Figure:
    """A panel a candidate (and condition): difference at each quantile, with its simultaneous band."""
    curves = require_some(list_curves(run)[:MOST_PANELS], "comparison at several quantiles")
    columns = min(len(curves), IN_A_ROW)
    rows = ceil(len(curves) / IN_A_ROW)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH_IN, 2.4 * rows + 0.2), layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False)
        for axes in grid.flat[len(curves) :]:
            axes.set_axis_off()
        for axes, curve in zip(grid.flat, curves, strict=False):
            _draw_curve(run, axes, curve.candidate, curve.levels)
            axes.set_title(curve.name, loc="left", fontsize=8)
        for row in grid:
            row[0].set_ylabel("more, us")
        return figure


class Curve(NamedTuple):
    """Of a candidate against a baseline, the scenario's or the rung below."""

    condition: str
    baseline: str
    candidate: str
    levels: pd.DataFrame
    """As `Run.shift` has them."""

    @property
    def name(self) -> str:
        """Under its condition, if there are several."""
        return name_condition(self.condition, f"{self.candidate} against {self.baseline}")


def list_curves(run: Run) -> list[Curve]:
    """The curve of each candidate that has one, then of each step of the ladder."""
    keys = ["condition", "baseline", "candidate"]
    both = pd.concat([run.shift(), run.step_shifts]).drop_duplicates([*keys, "level"])
    return [
        Curve(str(condition), str(baseline), str(candidate), levels)
        for (condition, baseline, candidate), levels in both.groupby(keys, sort=False)
    ]


def _draw_curve(run: Run, axes: Axes, candidate: str, curve: pd.DataFrame) -> None:
    places, colour = _spread(curve["level"].to_numpy()), colour_of(run, candidate)
    axes.axhline(0, color=INK, linewidth=1)
    axes.fill_between(
        places,
        curve["difference_us_low"].to_numpy(),
        curve["difference_us_high"].to_numpy(),
        color=colour,
        alpha=0.25,
        linewidth=0,
    )
    axes.plot(places, curve["difference_us"].to_numpy(), color=colour, linewidth=1.6)
    marked = curve[curve["level"].round(4).isin(MARKED)]
    axes.plot(
        _spread(marked["level"].to_numpy()),
        marked["difference_us"].to_numpy(),
        "o",
        color=colour,
        markersize=4,
    )
    shown = [level for level in TICKS if level <= curve["level"].max() + 1e-9]
    axes.set_xticks(_spread(np.array(shown)), [TICKS[level] for level in shown])
    # A tail's band may be wider than all else is high: what it hides would be the curve.
    body, drawn = curve[curve["level"] <= 0.95], curve[curve["level"] <= 0.99]
    low = min(body["difference_us_low"].min(), drawn["difference_us"].min(), 0)
    high = max(body["difference_us_high"].max(), drawn["difference_us"].max(), 0)
    if np.isfinite([low, high]).all():
        room = 0.12 * (high - low) or 1
        axes.set_ylim(low - room, high + room)


def _spread(levels: np.ndarray) -> np.ndarray:
    """Places of quantiles on the axis: their log-odds, which give either tail as much room."""
    return np.asarray(np.log(levels / (1 - levels)))


def _has_curve(run: Run) -> bool:
    """Whether there are blocks enough; no request is read for it."""
    return any(c.ratio is not None for c in comparisons_of_arms(run) if c.metric is Metric.P50_LATENCY_US)


def _caption(run: Run) -> str:
    curves = list_curves(run)
    rest = f" The first {MOST_PANELS} of {len(curves)} are drawn." if len(curves) > MOST_PANELS else ""
    return (
        "What each quantile of a candidate's latency lies above the other arm's: a flat"
        " curve is a cost that every request pays, one that climbs a cost of some. The band holds for a whole"
        f" curve together, with 95 %; dots are the {Metric.P10_LATENCY_US.label}, the"
        f" {Metric.P50_LATENCY_US.label} and the {Metric.P99_LATENCY_US.label} that tables compare.{rest}"
    )


QUANTILE_CURVE = Drawing(
    name="quantile-curve",
    title="The whole effect, quantile by quantile",
    draw=draw_quantile_curve,
    caption=_caption,
    is_there=_has_curve,
)
