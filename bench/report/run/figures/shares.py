"""A request's time, part by part."""

from typing import Any

import matplotlib
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from bench.report.panels import lay_lines, make_panels
from bench.report.run.anatomy import format_range, name_outside, name_side
from bench.report.run.figures.drawing import Drawing, require_some
from bench.report.svg import INK, STYLE
from bench.report.symbols import ARROWS, GROUP_COLOURS, INK_ON
from bench.results.run import Run
from bench.wire.hops import Group

WORDS = {
    Group.REQUEST: "request's way",
    Group.SERVER: "server",
    Group.RESPONSE: "response's way",
}
CLIENT_LOOK: dict[str, Any] = {"color": INK, "alpha": 0.25}


def draw_shares(run: Run) -> Figure:
    """A request's time from sent to done, a bar an arm: there, at the server, back, at the client."""
    arms = require_some(run.anatomy.arms, "slot with taps that counts")
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
                look: dict[str, Any] = {"color": GROUP_COLOURS[group]} if group else CLIENT_LOOK
                axes.barh(line, part.us, left=left_us, height=0.62, linewidth=0, **look)
                if part.us > 0.05 * longest_us:
                    place = left_us + part.us / 2, line
                    ink = INK_ON[group] if group else INK
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
            *make_group_keys(),
            Patch(**CLIENT_LOOK, linewidth=0, label=f"{name_outside(run).lower()}, outside of the taps"),
        ]
        figure.legend(handles=keys, loc="outside upper left", ncols=4)
        return figure


def make_group_keys() -> list[Patch]:
    """A legend's entry for each way and for the server."""
    return [
        Patch(color=GROUP_COLOURS[group], linewidth=0, label=f"{ARROWS[group]} {WORDS[group]}")
        for group in Group
    ]


def _caption(run: Run) -> str:
    arms = run.anatomy.arms
    server = format_range([arm.shares.server.us for arm in arms])
    network = format_range([arm.shares.network_us for arm in arms])
    whose = "time of wire and client" if run.record.on_real_hosts else "client's own time"
    return (
        f"The server's part is {server} over the arms, the way there and back {network}; grey is the"
        f" {whose}, outside of the taps. All of it with taps, whose cost is in it."
    )


SHARES = Drawing(
    name="shares",
    title="A request's time, part by part",
    draw=draw_shares,
    caption=_caption,
    is_there=lambda run: bool(run.anatomy.arms),
)
