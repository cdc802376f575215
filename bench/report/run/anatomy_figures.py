"""The anatomy of a run becomes figures: shares, paths, waterfalls and distributions of hops."""

from collections.abc import Sequence
from itertools import pairwise
from textwrap import fill
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Patch, Rectangle

from bench.report.panels import WIDTH_IN, lay_lines, make_panels
from bench.report.run.anatomy import ARROWS, format_us, label_of, name_explanation, name_side
from bench.report.run.anatomy_tables import order_hops
from bench.report.run.figures import scale_latency
from bench.report.run.selection import PALETTE, colour_of, make_arm_keys, marker_of
from bench.report.svg import INK, STYLE
from bench.results.run import Run
from bench.wire.anatomy.dissection import REST
from bench.wire.anatomy.model import ArmAnatomy, Bar, Explanation, NamedHop
from bench.wire.hops import Group, list_hops

COLOURS = {Group.REQUEST: PALETTE[0], Group.SERVER: PALETTE[4], Group.RESPONSE: PALETTE[2]}
WORDS = {
    Group.REQUEST: "request's way",
    Group.SERVER: "server",
    Group.RESPONSE: "response's way",
}
CLIENT_LOOK: dict[str, Any] = {"color": INK, "alpha": 0.25}
SERVER = "server"
PLACES = ("client", "uplink", "bridge", "veth", "container", SERVER)
"""Boxes of a path, from left to right; those that a mode does not have stay empty."""
BOX_WIDTH, BOX_HEIGHT, ZONE_EDGE = 0.46, 0.34, 0.27
EDGE_LETTERS = 18
"""Letters of the words on an edge that is a column long."""
ON_COLOUR = {Group.REQUEST: "#ffffff", Group.SERVER: "#111111", Group.RESPONSE: "#111111"}
"""What is read on each colour."""
QUANTILES = np.linspace(0.005, 0.95, 200)
"""Beyond them are stalls, which are in no hop by its nature, and would squeeze what is."""


def draw_shares(run: Run) -> Figure:
    """A request's time from sent to done, a bar an arm: there, at the server, back, at the client."""
    arms = run.anatomy.arms
    with matplotlib.rc_context(STYLE):
        figure, [[axes]] = make_panels(1, [0.5 + 0.34 * len(arms)])
        longest_us = max(arm.shares.service.us for arm in arms)
        for line, arm in enumerate(arms):
            shares, left_us = arm.shares, 0.0
            for part, group in (
                (shares.request, Group.REQUEST),
                (shares.server, Group.SERVER),
                (shares.response, Group.RESPONSE),
                (shares.client, None),
            ):
                look: dict[str, Any] = {"color": COLOURS[group]} if group else CLIENT_LOOK
                axes.barh(line, part.us, left=left_us, height=0.62, linewidth=0, **look)
                if part.us > 0.05 * longest_us:
                    place = left_us + part.us / 2, line
                    ink = ON_COLOUR[group] if group else INK
                    axes.text(*place, f"{part.us:.1f}", ha="center", va="center", fontsize=8, color=ink)
                left_us += part.us
            axes.annotate(
                f"{shares.service.us:.1f} us",
                (left_us, line),
                (5, 0),
                textcoords="offset points",
                va="center",
                fontweight="bold",
                fontsize=8,
            )
        axes.set_xlim(0, longest_us * 1.14)
        axes.set_yticks(range(len(arms)), [name_side(run, arm.arm, arm.condition) for arm in arms])
        lay_lines(axes, len(arms))
        axes.set_xlabel("us from sent to done, with taps")
        keys = [
            *_make_group_keys(),
            Patch(**CLIENT_LOOK, linewidth=0, label="client, outside of the taps"),
        ]
        figure.legend(handles=keys, loc="outside upper left", ncols=4)
        return figure


def _make_group_keys() -> list[Patch]:
    return [
        Patch(color=COLOURS[group], linewidth=0, label=f"{ARROWS[group]} {WORDS[group]}") for group in Group
    ]


def draw_waterfalls(run: Run) -> Figure:
    """From the baseline to each other arm, hop by hop, and on to the difference measured without taps."""
    return _draw_explanations(run, run.anatomy.explanations)


def draw_contrasts(run: Run) -> Figure:
    """From each arm to itself under another condition, hop by hop."""
    return _draw_explanations(run, run.anatomy.contrasts)


def _draw_explanations(run: Run, explanations: Sequence[Explanation]) -> Figure:
    with matplotlib.rc_context(STYLE):
        lines = [
            len(_shown(found)) + 1 + 2 * (found.waterfall.measured_us is not None) for found in explanations
        ]
        figure, grid = make_panels(1, [0.55 + 0.2 * number for number in lines])
        for found, (axes,) in zip(explanations, grid, strict=True):
            _draw_waterfall(run, axes, found)
        grid[-1][0].set_xlabel("us")
        figure.legend(handles=_make_group_keys(), loc="outside upper left", ncols=3)
        return figure


def _shown(found: Explanation) -> list[Bar]:
    """All bars but that of the later packets where there are none: a small response is one packet."""
    return [bar for bar in found.bars if bar.us or bar.title != REST]


def _draw_waterfall(run: Run, axes: Axes, found: Explanation) -> None:
    labels: list[str] = []
    reached_us = 0.0
    for bar in _shown(found):
        look: dict[str, Any] = {"color": COLOURS[bar.group]}
        interval = (reached_us + bar.ci95[0], reached_us + bar.ci95[1]) if bar.ci95 else None
        _draw_bar(axes, len(labels), (reached_us, reached_us + bar.us), interval, look)
        reached_us += bar.us
        labels.append(f"{bar.title} {ARROWS[bar.group]}")
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


def draw_paths(run: Run) -> Figure:
    """The way of a request, an arm a row: places as boxes, and between them the median us of each hop."""
    arms = run.anatomy.arms
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH_IN, 1.62 * len(arms) + 0.1), layout="constrained")
        grid = figure.subplots(len(arms), 1, squeeze=False)
        for arm, (axes,) in zip(arms, grid, strict=True):
            _draw_path(run, axes, arm)
        return figure


def _draw_path(run: Run, axes: Axes, arm: ArmAnatomy) -> None:
    last = len(PLACES) - 1
    axes.set_xlim(-0.36, last + 0.36)
    axes.set_ylim(-1.22, 1.34)
    axes.axis("off")
    _draw_zone(axes, 0, 0, "client's host")
    own = PLACES.index("container") if arm.taps[-1] == "container" else last + 1
    _draw_zone(axes, 1, own - 1, "Docker host")
    if own <= last:
        _draw_zone(axes, own, last, "container")
    boxes = [*arm.taps, SERVER]
    for place in boxes:
        _draw_box(axes, place)
    hops = {hop.row.name: hop for hop in arm.hops}
    for near, far in pairwise(arm.taps):
        _draw_edge(axes, near, far, hops[f"request: {near} to {far}"])
        _draw_edge(axes, far, near, hops[f"response: {far} to {near}"])
    _draw_server(axes, arm.taps[-1], hops[SERVER])
    rest = hops["response: rest"]
    later = f", of it {rest.title} {rest.mean.us:.2f}" if rest.mean.us >= 0.01 else ""
    axes.set_title(
        f"{name_side(run, arm.arm, arm.condition)}: {arm.wire.us:.1f} us on the wire{later}",
        loc="left",
        fontweight="bold",
        fontsize=8.5,
        pad=2,
    )


def _draw_zone(axes: Axes, first: int, last: int, name: str) -> None:
    left, right = first - ZONE_EDGE, last + ZONE_EDGE
    axes.add_patch(Rectangle((left, -1.18), right - left, 2.48, color=INK, alpha=0.05, linewidth=0))
    axes.text(left + 0.03, 1.27, name, fontsize=6.5, va="top", alpha=0.75)


def _draw_box(axes: Axes, place: str) -> None:
    x = PLACES.index(place)
    axes.add_patch(
        FancyBboxPatch(
            (x - BOX_WIDTH / 2, -BOX_HEIGHT / 2),
            BOX_WIDTH,
            BOX_HEIGHT,
            boxstyle="round,pad=0,rounding_size=0.05",
            facecolor="none",
            edgecolor=COLOURS[Group.SERVER] if place == SERVER else INK,
            linewidth=1.2,
        )
    )
    axes.text(x, 0, place, ha="center", va="center", fontsize=7)


def _draw_edge(axes: Axes, start: str, end: str, hop: NamedHop) -> None:
    """An arrow with its microseconds: the request's above the middle, the response's below it."""
    x1, x2 = PLACES.index(start), PLACES.index(end)
    side = 1 if x2 > x1 else -1
    _draw_arrow(axes, (x1 + side * BOX_WIDTH / 2, x2 - side * BOX_WIDTH / 2), 0.08 * side, hop.row.group)
    heights = (0.24, 0.44, 0.7) if side > 0 else (-0.48, -0.24, -0.68)
    _write_hop(axes, (x1, x2), hop, heights, above=side > 0)


def _draw_server(axes: Axes, last_tap: str, hop: NamedHop) -> None:
    x1, x2 = PLACES.index(last_tap), PLACES.index(SERVER)
    _draw_arrow(axes, (x1 + BOX_WIDTH / 2, x2 - BOX_WIDTH / 2), 0, Group.SERVER, "<|-|>")
    _write_hop(axes, (x1, x2), hop, (0.14, 0.34, 0.6), above=True)


def _draw_arrow(axes: Axes, ends: tuple[float, float], y: float, group: Group, style: str = "-|>") -> None:
    look = {"arrowstyle": style, "color": COLOURS[group], "linewidth": 1.4, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", (ends[1], y), (ends[0], y), arrowprops=look)


def _write_hop(
    axes: Axes, ends: tuple[int, int], hop: NamedHop, heights: tuple[float, float, float], *, above: bool
) -> None:
    """Interval, median and words of a hop at these heights, in the middle of its edge."""
    columns, row = abs(ends[1] - ends[0]), hop.row
    words = fill(hop.title.removeprefix("server: "), EDGE_LETTERS * columns)
    look: dict[str, Any] = {"ha": "center", "va": "bottom" if above else "top"}
    x = sum(ends) / 2
    axes.text(x, heights[0], f"[{row.ci95[0]:.2f}, {row.ci95[1]:.2f}]", fontsize=6, **look)
    axes.text(x, heights[1], f"{row.median_us:.2f}", fontsize=8, fontweight="bold", **look)
    axes.text(x, heights[2], words, fontsize=5.8, linespacing=1.05, alpha=0.85, **look)


def draw_hops(run: Run) -> Figure:
    """The distribution of every hop, a panel a hop and a line an arm, under the first condition with taps."""
    condition = run.anatomy.arms[0].condition
    arms = [arm for arm in run.anatomy.arms if arm.condition == condition]
    pooled = {arm.arm: _pool(run, arm) for arm in arms}
    hops = [
        (name, group)
        for name, group in order_hops(arms)
        if any(np.any(of_arm[name]) for of_arm in pooled.values() if name in of_arm)
    ]
    columns = 3
    rows = -(-len(hops) // columns)
    with matplotlib.rc_context(STYLE):
        figure, grid = make_panels(columns, [1.5] * rows)
        panels = [axes for row in grid for axes in row]
        for (name, group), axes in zip(hops, panels, strict=False):
            _draw_distribution(run, axes, {arm: of[name] for arm, of in pooled.items() if name in of})
            axes.set_title(f"{ARROWS[group]} {name.partition(': ')[2] or name}", loc="left", fontsize=8)
        for axes in panels[len(hops) :]:
            axes.axis("off")
        for row in grid:
            row[0].set_ylabel("share within")
            for axes in row[1:]:
                axes.set_yticklabels([])
        for axes in panels[max(len(hops) - columns, 0) : len(hops)]:
            axes.set_xlabel("us")
        names = set(pooled)
        keys = [key for key in make_arm_keys(run, linestyle="-", linewidth=1.5) if key.get_label() in names]
        title = label_of(run, condition)
        figure.legend(handles=keys, loc="outside upper left", ncols=5, title=title or None)
        return figure


def _pool(run: Run, arm: ArmAnatomy) -> dict[str, np.ndarray]:
    """Every hop of an arm in us, of all requests of its valid captures."""
    found: dict[str, list[np.ndarray]] = {}
    for record in run.tapped:
        of_arm = (record.slot.arm, record.slot.condition) == (arm.arm, arm.condition)
        if of_arm and record.valid and record.capture:
            frame = run.hops(record.slot.index)
            for hop in list_hops(arm.taps):
                us = (frame[hop.later] - frame[hop.earlier]).to_numpy() / 1e3
                found.setdefault(hop.name, []).append(us)
    return {name: np.concatenate(values) for name, values in found.items()}


def _draw_distribution(run: Run, axes: Axes, of_arms: dict[str, np.ndarray]) -> None:
    ends_us = []
    for arm, values_us in of_arms.items():
        curve = np.quantile(values_us, QUANTILES)
        middle = [int(np.searchsorted(QUANTILES, 0.5))]
        look: dict[str, Any] = {"color": colour_of(run, arm), "linewidth": 1.3, "markersize": 4}
        axes.plot(curve, QUANTILES, marker=marker_of(run, arm), markevery=middle, **look)
        ends_us.append((curve[0], curve[-1]))
    axes.set_ylim(0, 1)
    axes.set_yticks([0, 0.5, 1])
    scale_latency(axes, min(low for low, _ in ends_us), max(high for _, high in ends_us))
    axes.xaxis.set_major_formatter("{x:g}")
