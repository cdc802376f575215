"""A table as text: what is said, without how it is laid out."""

from dataclasses import dataclass

NOT_AVAILABLE = "NOT AVAILABLE"
"""In the place of a word, where an arm or a condition cannot be had on the machine."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """A cell's first line is what it says, further lines stand small below it.

    A cell that is a word of the verdict is shown as one. The first cell names its row.
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    prose: frozenset[str] = frozenset()
    """Columns whose cells may be broken into lines; numbers may not."""
    folded: bool = False
    """Of second rank: shown when it is asked for."""


def lay_out(table: Table) -> str:
    """The table for a terminal: columns as wide as their longest cell, nothing cut."""
    lines = [table.columns, *table.rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    rows = (
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
    return "\n".join([table.caption, *rows] if table.caption else rows)
