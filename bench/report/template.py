"""Templates filled: HTML and Markdown from the same facts, whatever stands in a run's texts."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from bench.controls import replace_controls
from bench.report.svg import inline_svg
from bench.report.symbols import SYMBOLS

IN_CODE = re.compile(r"`([^`\n]+)`")
INTERVAL = r"\[[-+]?[\d.,]+, [-+]?[\d.,]+\](?![(\[:])"
"""Brackets that are no link's."""
MARKS = re.compile(
    rf"(?P<plain>{INTERVAL})"
    r"|(?P<escaped>[\\|`*<~$\[\]]|!(?=\[)|&(?=#?\w+;)|(?<!\w)_|_(?!\w)|^(?:[#>+=-]|\d+[.)])(?=\s|$))"
)
"""What Markdown would take for a table, code, emphasis, HTML, mathematics, a link or an image; at the
beginning also for a heading, a quotation or a list."""


@dataclass(frozen=True)
class Illustration:
    """A figure as an SVG document, with what it shows and what to see in it."""

    name: str
    title: str
    caption: str
    svg: str

    @property
    def inline(self) -> Markup:
        """The `svg` element, safe to stand in HTML: matplotlib escapes every text in it."""
        return Markup(inline_svg(self.svg))  # noqa: S704


def fill(template: str, facts: Mapping[str, Any]) -> str:
    """`template` with `facts` in it, each escaped for the language that it is of."""
    markdown = template.endswith(".md.j2")
    environment = Environment(
        loader=PackageLoader("bench.report"),
        # What is escaped is Markup, in Markdown too: so a macro's text is never escaped again.
        autoescape=True,
        finalize=_finalize(escape_markdown if markdown else _bind_units),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["code"] = _code_in_markdown if markdown else _code_in_html
    environment.filters["verbatim"] = lambda text: escape(replace_controls(text))
    environment.filters["fenced"] = _fence
    return environment.get_template(template).render(facts, symbols=SYMBOLS)


def _finalize(make_harmless: Callable[[str], str]) -> Callable[[Any], Any]:
    def finalize(value: Any) -> Any:
        if isinstance(value, Markup) or not isinstance(value, str):
            return value
        return make_harmless(replace_controls(value))

    return finalize


def _bind_units(value: str) -> str:
    """Keep a number and its unit on one line, and an interval too; HTML is escaped behind this."""
    value = re.sub(r"(?<=\d) (?=(%|us|ms|s|req/s)(\W|$))", "\u00a0", value)
    return re.sub(r"(?<=\d), (?=[-+\d.,]+\])", ",\u00a0", value)


def escape_markdown(value: str) -> Markup:
    """A text as Markdown shows it letter by letter, on one line."""
    line = re.sub(r"\s+", " ", re.sub(r"\s*\n\s*", " · ", value))
    return Markup(  # noqa: S704
        MARKS.sub(lambda found: found["plain"] or f"{found[0][:-1]}\\{found[0][-1]}", line)
    )


def _code_in_html(text: str) -> Markup:
    """What stands in backticks as code."""
    return Markup(IN_CODE.sub(r"<code>\1</code>", str(escape(replace_controls(text)))))  # noqa: S704


def _code_in_markdown(text: str) -> Markup:
    parts = IN_CODE.split(replace_controls(text))
    return Markup("").join(
        Markup(f"`{part}`") if place % 2 else escape_markdown(part)  # noqa: S704
        for place, part in enumerate(parts)
    )


def _fence(text: str, language: str = "") -> Markup:
    """A block of code, fenced by more backticks than stand together in it."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return Markup(f"{fence}{language}\n{replace_controls(text).rstrip()}\n{fence}")  # noqa: S704
