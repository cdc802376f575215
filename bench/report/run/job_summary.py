"""A run's report as a GitHub job summary: Markdown without figures, cut at a section where it is too long.

GitHub takes 1 MiB of summary a step, and shows none of a longer one
(docs.github.com, "Workflow commands for GitHub Actions", adding a job summary).
"""

import re
from collections.abc import Sequence

from bench.report.run.page import render_markdown
from bench.report.text import join_words
from bench.results.run import Run

LIMIT_BYTES = 1024 * 1024
NOTICE_BYTES = 4096
"""Kept for saying what was cut."""
MOST_NAMED = 10
FENCE = "```"


def render_job_summary(run: Run, limit_bytes: int = LIMIT_BYTES) -> str:
    """The report's text for a page that has no files beside it, in `limit_bytes` of UTF-8 or fewer."""
    return fit(split_sections(render_markdown(run, figures=False)), limit_bytes)


def split_sections(markdown: str) -> list[tuple[str, str]]:
    """(title, text) of every section and table; a heading inside a code block is none."""
    sections: list[tuple[str, list[str]]] = [("", [])]
    fenced = False
    for line in markdown.splitlines(keepends=True):
        fenced ^= line.startswith(FENCE)
        if not fenced and re.match(r"#{2,3} ", line):
            sections.append((line.lstrip("#").strip(), []))
        sections[-1][1].append(line)
    return [(title, "".join(lines)) for title, lines in sections]


def fit(sections: Sequence[tuple[str, str]], limit_bytes: int) -> str:
    """Sections in their order, as many as fit whole; at the end, what was left out."""
    room = limit_bytes - NOTICE_BYTES
    if sum(len(text.encode()) for _, text in sections) <= limit_bytes:
        return "".join(text for _, text in sections)
    kept: list[str] = []
    cut: list[str] = []
    for title, text in sections:
        size = len(text.encode())
        if not cut and size <= room:
            kept.append(text)
            room -= size
        else:
            cut.append(title[:200] or "the answer")
    named = join_words([f"“{title}”" for title in cut[:MOST_NAMED]])
    more = f" and {len(cut) - MOST_NAMED} more" if len(cut) > MOST_NAMED else ""
    notice = (
        f"\n\n**Cut here**, since a summary may have {limit_bytes:,} bytes:"
        f" {named}{more} stand in report.md and report.html of the run.\n"
    )
    # Where there is not even room for that, nothing is better than a summary that GitHub refuses whole.
    return "".join(kept) + notice if len(notice.encode()) <= limit_bytes else ""
