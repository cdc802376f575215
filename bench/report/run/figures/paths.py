"""The path of every mode, with its microseconds."""

from collections.abc import Sequence
from textwrap import fill
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Rectangle

from bench.report.panels import WIDTH_IN
from bench.report.run.anatomy import name_side
from bench.report.run.figures.drawing import Drawing
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


def draw_paths(run: Run) -> Figure:
    """The way of a request, an arm a row: places as boxes, and between them the median us of each hop."""
    arms = run.anatomy.arms
    passed = {place for arm in arms for place in arm.taps}
    places = [place for place in PLACES if place not in RARE - passed]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH_IN, 1.62 * len(arms) + 0.1), layout="constrained")
        grid = figure.subplots(len(arms), 1, squeeze=False)
        for arm, (axes,) in zip(arms, grid, strict=True):
            _draw_path(run, axes, arm, places)
        return figure


def _draw_path(run: Run, axes: Axes, arm: ArmAnatomy, places: Sequence[str]) -> None:
    last = len(places) - 1
    axes.set_xlim(-0.36, last + 0.36)
    axes.set_ylim(-1.22, 1.34)
    axes.axis("off")
    uplink = places.index("uplink")
    _draw_zone(axes, 0, uplink - 1, "client's host")
    own = places.index("container") if arm.taps[-1] == "container" else last + 1
    _draw_zone(axes, uplink, own - 1, "Docker host")
    if own <= last:
        _draw_zone(axes, own, last, "container")
    boxes = [*arm.taps, SERVER]
    columns = {place: places.index(INSTEAD.get(place, place)) for place in boxes}
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
    axes.add_patch(Rectangle((left, -1.18), right - left, 2.48, color=INK, alpha=0.05, linewidth=0))
    axes.text(left + 0.03, 1.27, name, fontsize=6.5, va="top", alpha=0.75)


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
    heights = (0.24, 0.44, 0.7) if side > 0 else (-0.48, -0.24, -0.68)
    _write_hop(axes, (x1, x2), hop, heights, above=side > 0)


def _draw_server(axes: Axes, columns: Sequence[int], hop: NamedHop) -> None:
    x1, x2 = columns
    _draw_arrow(axes, (x1 + BOX_WIDTH / 2, x2 - BOX_WIDTH / 2), 0, Group.SERVER, "<|-|>")
    _write_hop(axes, (x1, x2), hop, (0.14, 0.34, 0.6), above=True)


def _draw_arrow(axes: Axes, ends: tuple[float, float], y: float, group: Group, style: str = "-|>") -> None:
    look = {"arrowstyle": style, "color": GROUP_COLOURS[group], "linewidth": 1.4, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", (ends[1], y), (ends[0], y), arrowprops=look)


def _write_hop(
    axes: Axes, ends: tuple[int, int], hop: NamedHop, heights: tuple[float, float, float], *, above: bool
) -> None:
    """Interval, median and words of a hop at these heights, in the middle of its edge."""
    columns, row = abs(ends[1] - ends[0]), hop.row
    words = fill(hop.title.removeprefix(SERVER_TITLE), EDGE_LETTERS * columns)
    look: dict[str, Any] = {"ha": "center", "va": "bottom" if above else "top"}
    x = sum(ends) / 2
    axes.text(x, heights[0], f"[{row.ci95[0]:.2f}, {row.ci95[1]:.2f}]", fontsize=6, **look)
    axes.text(x, heights[1], f"{row.median_us:.2f}", fontsize=8, fontweight="bold", **look)
    axes.text(x, heights[2], words, fontsize=5.8, linespacing=1.05, alpha=0.85, **look)


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
