"""The walkthrough as a page in Markdown, that a person would like to read."""

from collections.abc import Iterator, Sequence
from itertools import groupby

from bench.records.environment import UNKNOWN
from bench.records.findings import (
    FINDING_COLUMNS,
    MEANINGS,
    EngineWalk,
    Finding,
    WalkthroughRecord,
    comparison_columns,
    comparison_rows,
    differing,
    finding_rows,
    summarise,
)

CLAIM = (
    "The article's claim about performance is not judged here but measured, with its uncertainty, by"
    " `bench run article`."
)
"""Where the one statement that needs measuring is judged."""


ARTICLES = 4
"""Hosts of the walkthrough before it had rootless engines."""


def render_markdown(record: WalkthroughRecord) -> str:
    """The whole page: the words first, then each statement with its evidence."""
    return "\n".join(_lines(record)) + "\n"


def _lines(record: WalkthroughRecord) -> Iterator[str]:
    yield "# The article, tried step by step"
    yield ""
    yield (
        f"`bench walkthrough` {record.bench_version}, {record.started_at} to {record.finished_at}, kernel"
        f" {record.machine.kernel or UNKNOWN}, {record.tools.get('iptables', 'iptables unknown')}."
    )
    yield CLAIM
    yield ""
    yield "Hosts of the lab: " + "; ".join(f"{name} {what}" for name, what in record.hosts.items()) + "."
    yield "The engine of docker3 writes no firewall rules (`iptables: false`)."
    if len(record.hosts) > ARTICLES:
        yield "docker4 and docker5 have rootless engines: ports by RootlessKit itself, and by slirp4netns."
    yield ""
    yield from (f"- **{word}**: {meaning}." for word, meaning in MEANINGS.items())
    for source, reason in record.unavailable.items():
        yield f"- The engine {source} could not be had: {reason}"
    yield ""
    if len(record.walks) > 1:
        yield "## Engines compared"
        yield ""
        yield from _table(comparison_columns(record), comparison_rows(record))
        yield ""
        different = differing(record)
        yield "Words that differ: " + (", ".join(different) if different else "none") + "."
        yield ""
    for walk in record.walks:
        yield from _walk(walk)


def _walk(walk: EngineWalk) -> Iterator[str]:
    yield f"## Docker {walk.version} ({walk.engine}, API {walk.api}, {walk.storage_driver})"
    yield ""
    yield summarise(walk) + "."
    yield ""
    yield from _table(FINDING_COLUMNS, finding_rows(walk))
    yield ""
    for subject, findings in groupby(walk.findings, key=lambda finding: finding.subject):
        yield f"### {subject}"
        yield ""
        for finding in findings:
            yield from _finding(finding)


def _finding(finding: Finding) -> Iterator[str]:
    yield f"#### {finding.id}: {finding.word}"
    yield ""
    yield f"> {finding.statement} ({finding.source})"
    yield ""
    yield f"**Done**: {finding.done}"
    yield ""
    yield f"**Seen**: {_inline(finding.seen)}"
    yield ""
    for what, held in finding.checks.items():
        yield f"- {'yes' if held else 'NO'}: {what}"
    for trace in finding.left_behind:
        yield f"- LEFT BEHIND (a bug of bench): {_inline(trace)}"
    if finding.checks or finding.left_behind:
        yield ""
    if finding.evidence:
        shown = "\n".join(evidence.as_typed for evidence in finding.evidence)
        yield _fenced(shown)
        yield ""


def _fenced(text: str) -> str:
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}text\n{text}\n{fence}"


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield "| " + " | ".join(titles) + " |"
    yield "|" + " --- |" * len(titles)
    for row in rows:
        yield "| " + " | ".join(_inline(cell).replace("|", "\\|") for cell in row) + " |"


def _inline(text: str) -> str:
    """On one line, and without what Markdown would take for HTML or emphasis."""
    flat = " ".join(text.split())
    for character in "\\*<_":
        flat = flat.replace(character, "\\" + character)
    return flat
