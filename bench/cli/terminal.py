"""What the commands print with: data on standard output, everything else on standard error."""

import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Column, Table
from rich.text import Text

from bench.controls import replace_controls


class _Screen(Console):
    """A console that no text of others, as a scenario's question, can command."""

    def render_str(self, text: str, **options: Any) -> Text:
        """Each string that is printed, and each of a table's cells."""
        return super().render_str(replace_controls(text), **options)


_IS_TERMINAL = sys.stdout is not None and sys.stdout.isatty()
# A file or a pipe has no width of its own; a cell that is cut for one can be neither read nor parsed.
# What is said holds names and paths, which are shown as they are: no markup, no `:100:`.
out = _Screen(highlight=False, markup=False, emoji=False, soft_wrap=True, width=None if _IS_TERMINAL else 200)
err = _Screen(stderr=True, highlight=False, markup=False, emoji=False)


def print_prose(text: str, indent: int = 0) -> None:
    """Sentences, broken between words on a terminal and not at all elsewhere."""
    if out.is_terminal:
        out.print(Padding(Text(replace_controls(text)), (0, 0, 0, indent)), soft_wrap=False)
    else:
        out.print(" " * indent + text)


def print_table(
    titles: Sequence[str], rows: Iterable[Sequence[str]], heading: str = "", *, wrap_last: bool = False
) -> None:
    """Columns of cells that are not broken, but for the last with `wrap_last`."""
    if heading:
        out.print(heading, style="bold")
    columns = [Column(title, no_wrap=True) for title in titles]
    columns[-1].no_wrap = not wrap_last
    table = Table(*columns, box=None)
    for row in rows:
        table.add_row(*row)
    out.print(table)


def print_whole(titles: Sequence[str], rows: Iterable[Sequence[str]], heading: str = "") -> None:
    """Columns as wide as their longest cell: where the terminal is narrower it wraps, and nothing is cut."""
    lines = [tuple(titles), *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    if heading:
        out.print(heading, style="bold")
    for number, line in enumerate(lines):
        text = "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        out.print(text, style=None if number else "bold")


def print_json(value: object) -> None:
    """`value`, for a script."""
    sys.stdout.write(json.dumps(value, indent=1) + "\n")
