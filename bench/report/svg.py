"""A figure becomes SVG text: the same bytes each time, and readable on a light and on a dark page."""

import io
import re
from html import escape
from typing import Any

import matplotlib
from matplotlib.figure import Figure
from matplotlib.text import Text

from bench import interrupts
from bench.controls import replace_controls

INK = "#010203"
"""Drawn in place of text and axes; in the SVG it becomes `currentColor`, which the style below sets."""
PIXELS_PER_INCH = 200
"""Of what is drawn as pixels; the rest has none."""
LIGHT_INK, DARK_INK = "#24292f", "#d7dce2"

STYLE: Any = {
    # DejaVu comes with matplotlib, so its metrics lay the figure out; Verdana is as wide.
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial"],
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "legend.fontsize": 8,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.axisbelow": True,
    "axes.xmargin": 0.07,
    "axes.grid": True,
    "grid.color": INK,
    "grid.alpha": 0.12,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "svg.fonttype": "none",
    # A dollar in a name is a dollar.
    "text.parse_math": False,
}


def render_svg(figure: Figure, name: str, title: str, description: str) -> str:
    """The SVG document of `figure`; `name` prefixes its ids, so that several stand in one page.

    Raises Interrupted: a run's report is written under the machine's lock, and may take a while.
    """
    interrupts.check()
    text = io.StringIO()
    for words in figure.findobj(Text):
        # Of whoever drew it under another style, too: a dollar in a name is a dollar.
        words.set_parse_math(False)
        words.set_text(replace_controls(words.get_text()))
    with matplotlib.rc_context({**STYLE, "svg.hashsalt": name}):
        _settle_layout(figure)
        figure.savefig(
            text,
            format="svg",
            dpi=PIXELS_PER_INCH,
            metadata={"Date": None, "Creator": None, "Type": None, "Format": None},
        )
    svg = replace_controls(text.getvalue()).replace(INK, "currentColor")
    svg = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{name}-", svg)
    svg = svg.replace('<style type="text/css">*{', f'<style type="text/css">#{name} *{{')
    opening = f'<svg id="{name}" role="img" aria-labelledby="{name}-title {name}-description" '
    about = (
        f'<title id="{name}-title">{escape(replace_controls(title))}</title>'
        f'<desc id="{name}-description">{escape(replace_controls(description))}</desc>'
        f"<style>#{name}{{color:{LIGHT_INK}}}"
        f"@media (prefers-color-scheme:dark){{#{name}{{color:{DARK_INK}}}}}"
        f"@media print{{#{name}{{color:#000}}}}</style>"
    )
    return re.sub(r"<svg ([^>]*>)", lambda found: f"{opening}{found[1]}\n{about}", svg, count=1)


def _settle_layout(figure: Figure) -> None:
    """Lay `figure` out once and round the panels' places.

    The layout's solver differs in the last digits from one call to the next, and the ids in the
    SVG are hashes of such places.
    """
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for axes in figure.axes:
        left, bottom, width, height = (round(edge, 5) for edge in axes.get_position().bounds)
        axes.set_position((left, bottom, width, height))


def inline_svg(svg: str) -> str:
    """The `svg` element alone, as wide as its place: for a page that holds the figure itself."""
    element = svg[svg.index("<svg") :]
    return re.sub(r'\s(width|height)="[^"]*pt"', "", element, count=2)
