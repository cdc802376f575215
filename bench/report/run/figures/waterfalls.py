"""From one arm's time on the wire to another's, hop by hop."""

from collections.abc import Sequence
from textwrap import fill
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.report.panels import lay_lines, make_panels
from bench.report.run.anatomy import format_us, name_explanation
from bench.report.run.figures.drawing import Drawing, require_some
from bench.report.run.figures.shares import make_group_keys
from bench.report.svg import INK, STYLE
from bench.report.symbols import ARROWS, GROUP_COLOURS
from bench.results.run import Run
from bench.wire.anatomy.hop_names import REST
from bench.wire.anatomy.model import Bar, Explanation

CAPTION = (
    "A bar begins where the one above it ends, a thin line is its 95 % interval. The plain bar is what"
    " all hops add up to; the hatched one is what they leave of the difference that slots without taps"
    " measured: the taps' own cost and the client's side, told apart in the table."
)
LETTERS = 50
"""Of a hop's name in one line: the rest of the figure's width is for the bars."""


def draw_waterfalls(run: Run) -> Figure:
    """From the baseline to each other arm, hop by hop, and on to the difference measured without taps."""
    return _draw_explanations(
        run, require_some(run.anatomy.explanations, "arm with taps beside its baseline")
    )


def draw_contrasts(run: Run) -> Figure:
    """From each arm to itself under another condition, hop by hop."""
    return _draw_explanations(
        run, require_some(run.anatomy.contrasts, "arm with taps under several conditions")
    )


def _draw_explanations(run: Run, explanations: Sequence[Explanation]) -> Figure:
    with matplotlib.rc_context(STYLE):
        figure, grid = make_panels(1, [_height_in(found) for found in explanations])
        for found, (axes,) in zip(explanations, grid, strict=True):
            _draw_waterfall(run, axes, found)
        grid[-1][0].set_xlabel("us")
        figure.legend(handles=make_group_keys(), loc="outside upper left", ncols=3)
        return figure


def _shown(found: Explanation) -> list[Bar]:
    """All bars but that of the later packets where there are none: a small response is one packet."""
    return [bar for bar in found.bars if bar.us or bar.title != REST]


def _name(bar: Bar) -> str:
    return fill(f"{bar.title} {ARROWS[bar.group]}", LETTERS)


def _height_in(found: Explanation) -> float:
    """Of a panel whose lines are all as high as the longest name wants."""
    lines = len(_shown(found)) + 1 + 2 * (found.waterfall.measured_us is not None)
    breaks = max(_name(bar).count("\n") for bar in found.bars)
    return 0.55 + (0.2 + 0.13 * breaks) * lines


def _draw_waterfall(run: Run, axes: Axes, found: Explanation) -> None:
    labels: list[str] = []
    reached_us = 0.0
    for bar in _shown(found):
        look: dict[str, Any] = {"color": GROUP_COLOURS[bar.group]}
        interval = (reached_us + bar.ci95[0], reached_us + bar.ci95[1]) if bar.ci95 else None
        _draw_bar(axes, len(labels), (reached_us, reached_us + bar.us), interval, look)
        reached_us += bar.us
        labels.append(_name(bar))
    total = len(labels)
    _draw_bar(axes, total, (0, reached_us), None, {"color": INK, "alpha": 0.35}, weight="bold")
    labels.append("sum of the hops, with taps")
    measured_us, unexplained_us = found.waterfall.measured_us, found.waterfall.unexplained_us
    if measured_us is not None and unexplained_us is not None:
        whole: dict[str, Any] = {"color": INK, "alpha": 0.75}
        dashed: dict[str, Any] = {
            "facecolor": "none",
            "edgecolor": INK,
            "linewidth": 0.8,
            "hatch": "////",
            "alpha": 0.6,
        }
        _draw_bar(axes, total + 1, (reached_us, measured_us), None, dashed)
        _draw_bar(axes, total + 2, (0, measured_us), found.measured_ci95, whole, weight="bold")
        labels += ["unexplained", "measured without taps"]
    axes.axvline(0, color=INK, linewidth=1)
    axes.set_title(name_explanation(run, found), loc="left", fontweight="bold")
    axes.set_yticks(range(len(labels)), labels)
    lay_lines(axes, len(labels))
    low, high = axes.get_xlim()
    # Room for the numbers, and a scale on which a path that costs nothing looks like it.
    width = max(high - low, 1.0)
    axes.set_xlim(min(low, -0.02 * width), low + width * 1.12)


def _draw_bar(
    axes: Axes,
    line: int,
    ends: tuple[float, float],
    interval: tuple[float, float] | None,
    look: dict[str, Any],
    **text: Any,
) -> None:
    """A bar from one sum to the next, with its size behind it and a line down to where the next begins."""
    start, end = ends
    axes.barh(line, end - start, left=start, height=0.66, **{"linewidth": 0, **look})
    axes.vlines(end, line, line + 1, color=INK, linewidth=0.6, alpha=0.5)
    right = max(start, end)
    if interval:
        axes.hlines(line, *interval, color=INK, linewidth=1.1)
        right = max(right, interval[1])
    place = (right, line)
    look_of_text: dict[str, Any] = {"textcoords": "offset points", "va": "center", "fontsize": 7.5, **text}
    axes.annotate(format_us(end - start, signed=True).removesuffix(" us"), place, (5, 0), **look_of_text)


WATERFALLS = Drawing(
    name="waterfall",
    title="From {baseline} to each other arm, hop by hop",
    draw=draw_waterfalls,
    caption=lambda _: CAPTION,
    is_there=lambda run: bool(run.anatomy.explanations),
)
CONTRASTS = Drawing(
    name="contrasts",
    title="From one condition to another, hop by hop",
    draw=draw_contrasts,
    caption=lambda _: f"{CAPTION} A control that does what it should shows in its own hop, and in no other.",
    is_there=lambda run: bool(run.anatomy.contrasts),
)
