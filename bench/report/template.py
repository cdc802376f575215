"""Templates filled: HTML and Markdown from the same facts."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup, escape

from bench.report.run import method
from bench.report.svg import inline_svg


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
    environment = Environment(
        loader=PackageLoader("bench.report"),
        autoescape=select_autoescape(["html.j2"]),
        finalize=_escape_markdown if template.endswith(".md.j2") else _bind_units,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["code"] = _mark_code
    return environment.get_template(template).render(facts, symbols=method.SYMBOLS)


def _bind_units(value: Any) -> Any:
    """Keep a number and its unit on one line, and an interval too."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    value = re.sub(r"(?<=\d) (?=(%|us|ms|s|req/s)(\W|$))", "\u00a0", value)
    return re.sub(r"(?<=\d), (?=[-+\d.,]+\])", ",\u00a0", value)


def _mark_code(text: str) -> Markup:
    """What stands in backticks as code, for HTML."""
    return Markup(re.sub(r"`([^`\n]+)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704


def _escape_markdown(value: Any) -> Any:
    """Keep a run's texts from being read as tables, code or HTML, and on one line."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    value = re.sub(r"\s*\n\s*", " · ", value)
    return re.sub(r"([\\|`*<])", r"\\\1", re.sub(r"\s+", " ", value))
