"""The path of every mode, with its microseconds."""

from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Rectangle

from bench.report.panels import WIDTH_IN
from bench.report.run.anatomy import name_side
from bench.report.run.figures.drawing import Drawing, require_some
from bench.report.svg import INK, STYLE
from bench.report.symbols import GROUP_COLOURS
from bench.results.run import Run
from bench.wire.anatomy.hop_names import SERVER as SERVER_TITLE
from bench.wire.anatomy.model import ArmAnatomy, NamedHop
from bench.wire.hops import REST_HOP, SERVER_HOP, Group

SERVER = "server"
ROOTLESS = "rootless"
PEER = "peer"
PLACES = ("client", PEER, "uplink", ROOTLESS, "bridge", "veth", "container", SERVER)
"""Boxes of a path, from left to right; those that a mode does not have stay empty."""
RARE = {PEER, ROOTLESS}
"""Left out where no arm has one."""
INSTEAD = {"vxlan": "bridge"}
"""Places in another's column: no path has both."""
BOX_WIDTH, BOX_HEIGHT, ZONE_EDGE = 0.46, 0.34, 0.27
EDGE_LETTERS = 18
"""Letters of the words on an edge that is a column long."""
WORDS_AT, LINE, ZONE_NAME = 0.7, 0.15, 0.2
"""From a path's middle: where the words of a hop begin, how high a line of them is, and a zone's name."""
UNIT_IN = 0.6


def draw_paths(run: Run) -> Figure:
    """The way of a request, an arm a row: places as boxes, and between them the median us of each hop."""
    arms = require_some(run.anatomy.arms, "slot with taps that counts")
    passed = {place for arm in arms for place in arm.taps}
    places = [place for place in PLACES if place not in RARE - passed]
    with matplotlib.rc_context(STYLE):
        columns = [_columns(arm, places) for arm in arms]
        reaches = [_reach(arm, found) for arm, found in zip(arms, columns, strict=True)]
        heights = [top - bottom for bottom, top in reaches]
        size = (WIDTH_IN, UNIT_IN * sum(heights) + 0.15 * len(arms) + 0.1)
        figure = Figure(figsize=size, layout="constrained")
        grid = figure.subplots(len(arms), 1, squeeze=False, gridspec_kw={"height_ratios": heights})
        for arm, found, reach, (axes,) in zip(arms, columns, reaches, grid, strict=True):
            axes.set_xlim(-0.36, len(places) - 1 + 0.36)
            axes.set_ylim(*reach)
            _draw_path(run, axes, arm, places, found)
        return figure


def _columns(arm: ArmAnatomy, places: Sequence[str]) -> dict[str, int]:
    """Box -> its column, of those that the arm's path has."""
    return {place: places.index(INSTEAD.get(place, place)) for place in (*arm.taps, SERVER)}


def _reach(arm: ArmAnatomy, columns: Mapping[str, int]) -> tuple[float, float]:
    """Lowest and highest point of a path, whose hops' words take as many lines as they want."""
    lines = {1: 2, -1: 2}
    for hop in arm.hops:
        if hop.row.ends:
            x1, x2 = (columns[end] for end in hop.row.ends)
            side = 1 if x2 > x1 else -1
            lines[side] = max(lines[side], _words(hop, abs(x2 - x1)).count("\n") + 1)
    return -WORDS_AT - LINE * lines[-1] - 0.1, WORDS_AT + LINE * lines[1] + ZONE_NAME


def _draw_path(
    run: Run, axes: Axes, arm: ArmAnatomy, places: Sequence[str], columns: Mapping[str, int]
) -> None:
    last = len(places) - 1
    axes.axis("off")
    uplink = places.index("uplink")
    _draw_zone(axes, 0, uplink - 1, "client's host")
    own = places.index("container") if arm.taps[-1] == "container" else last + 1
    _draw_zone(axes, uplink, own - 1, "Docker host")
    if own <= last:
        _draw_zone(axes, own, last, "container")
    for place, x in columns.items():
        _draw_box(axes, place, x)
    hops = {hop.row.name: hop for hop in arm.hops}
    for hop in arm.hops:
        if hop.row.ends:
            _draw_edge(axes, [columns[end] for end in hop.row.ends], hop)
    _draw_server(axes, (columns[arm.taps[-1]], columns[SERVER]), hops[SERVER_HOP])
    rest = hops[REST_HOP]
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
    bottom, top = axes.get_ylim()
    look: dict[str, Any] = {"color": INK, "alpha": 0.05, "linewidth": 0}
    axes.add_patch(Rectangle((left, bottom + 0.04), right - left, top - bottom - 0.08, **look))
    axes.text(left + 0.03, top - 0.06, name, fontsize=6.5, va="top", alpha=0.75)


def _draw_box(axes: Axes, place: str, x: int) -> None:
    axes.add_patch(
        FancyBboxPatch(
            (x - BOX_WIDTH / 2, -BOX_HEIGHT / 2),
            BOX_WIDTH,
            BOX_HEIGHT,
            boxstyle="round,pad=0,rounding_size=0.05",
            facecolor="none",
            edgecolor=GROUP_COLOURS[Group.SERVER] if place == SERVER else INK,
            linewidth=1.2,
        )
    )
    axes.text(x, 0, place, ha="center", va="center", fontsize=7)


def _draw_edge(axes: Axes, columns: Sequence[int], hop: NamedHop) -> None:
    """An arrow with its microseconds: the request's above the middle, the response's below it."""
    x1, x2 = columns
    side = 1 if x2 > x1 else -1
    _draw_arrow(axes, (x1 + side * BOX_WIDTH / 2, x2 - side * BOX_WIDTH / 2), 0.08 * side, hop.row.group)
    heights = (0.24, 0.44, WORDS_AT) if side > 0 else (-0.48, -0.24, 0.02 - WORDS_AT)
    _write_hop(axes, (x1, x2), hop, heights, above=side > 0)


def _draw_server(axes: Axes, columns: Sequence[int], hop: NamedHop) -> None:
    x1, x2 = columns
    _draw_arrow(axes, (x1 + BOX_WIDTH / 2, x2 - BOX_WIDTH / 2), 0, Group.SERVER, "<|-|>")
    _write_hop(axes, (x1, x2), hop, (0.2, 0.4, 0.66), above=True)


def _draw_arrow(axes: Axes, ends: tuple[float, float], y: float, group: Group, style: str = "-|>") -> None:
    look = {"arrowstyle": style, "color": GROUP_COLOURS[group], "linewidth": 1.4, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", (ends[1], y), (ends[0], y), arrowprops=look)


def _write_hop(
    axes: Axes, ends: tuple[int, int], hop: NamedHop, heights: tuple[float, float, float], *, above: bool
) -> None:
    """Interval, median and words of a hop at these heights, in the middle of its edge."""
    columns, row = abs(ends[1] - ends[0]), hop.row
    look: dict[str, Any] = {"ha": "center", "va": "bottom" if above else "top"}
    x = sum(ends) / 2
    axes.text(x, heights[0], f"[{row.ci95[0]:.2f}, {row.ci95[1]:.2f}]", fontsize=6, **look)
    axes.text(x, heights[1], f"{row.median_us:.2f}", fontsize=8, fontweight="bold", **look)
    axes.text(x, heights[2], _words(hop, columns), fontsize=5.8, linespacing=1.05, alpha=0.85, **look)


def _words(hop: NamedHop, columns: int) -> str:
    return fill(hop.title.removeprefix(SERVER_TITLE), EDGE_LETTERS * columns)


PATHS = Drawing(
    name="paths",
    title="The path of every mode, with its microseconds",
    draw=draw_paths,
    caption=lambda _: (
        "Boxes are the taps in the order in which a request passes them, shades the network"
        " namespaces; the median of each hop with its 95 % interval stands above the arrow for the"
        " request and below it for the response. Server is one hop, from the last tap and back; the"
        " time on the wire is a mean of the middle half, to which medians need not add up."
    ),
    is_there=lambda run: bool(run.anatomy.arms),
)
