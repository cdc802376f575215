"""The article's statements as they were tried beside the run: a word each, what was seen, the commands."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from bench.records.findings import MEANINGS, Finding, WalkthroughRecord, summarise
from bench.report.table import NOT_AVAILABLE
from bench.results.run import Run


@dataclass(frozen=True)
class Tried:
    """A statement under one engine, or under several that came to the same word."""

    engines: str
    """Empty where every engine came to it."""
    word: str
    seen: str
    evidence: str
    """As a terminal shows it."""


@dataclass(frozen=True)
class StatementRow:
    """One statement."""

    id: str
    statement: str
    source: str
    done: str
    tried: tuple[Tried, ...]


@dataclass(frozen=True)
class Statements:
    """What the templates say of a walkthrough."""

    summaries: tuple[str, ...]
    """One an engine."""
    meanings: tuple[tuple[str, str], ...]
    subjects: tuple[tuple[str, tuple[StatementRow, ...]], ...]
    gaps: tuple[str, ...]
    """Engines that could not be had."""


def tell_statements(run: Run) -> Mapping[str, Any] | None:
    """The walkthrough beside the run, where there is one."""
    found = tabulate_statements(run.walkthrough)
    return {"walkthrough": found} if found else None


def tabulate_statements(record: WalkthroughRecord | None) -> Statements | None:
    """Rows by subject; None where there was no walkthrough."""
    if record is None:
        return None
    rows = [(found[0][1].subject, _row(found)) for found in _by_statement(record)]
    return Statements(
        summaries=tuple(
            f"Docker {walk.version} ({walk.engine}): {summarise(walk)}." for walk in record.walks
        ),
        meanings=tuple((word.value, meaning) for word, meaning in MEANINGS.items()),
        subjects=tuple(
            (subject, tuple(row for _, row in of_subject))
            for subject, of_subject in groupby(rows, key=lambda row: row[0])
        ),
        gaps=tuple(
            f"{engine} is {NOT_AVAILABLE} here: {reason}" for engine, reason in record.unavailable.items()
        ),
    )


def _by_statement(record: WalkthroughRecord) -> Iterator[list[tuple[str, Finding]]]:
    """Each statement's findings, with the engine's title, in the order of the walkthrough."""
    found: dict[str, list[tuple[str, Finding]]] = {}
    for walk in record.walks:
        for finding in walk.findings:
            found.setdefault(finding.id, []).append((f"Docker {walk.version}", finding))
    yield from found.values()


def _row(found: list[tuple[str, Finding]]) -> StatementRow:
    by_word: dict[str, list[tuple[str, Finding]]] = {}
    for engine, finding in found:
        by_word.setdefault(finding.word, []).append((engine, finding))
    _, first = found[0]
    return StatementRow(
        id=first.id,
        statement=first.statement,
        source=first.source,
        done=first.done,
        tried=tuple(
            Tried(
                engines="" if len(by_word) == 1 else ", ".join(dict.fromkeys(engine for engine, _ in alike)),
                word=word,
                seen=alike[0][1].seen,
                evidence="\n".join(evidence.as_typed for evidence in alike[0][1].evidence),
            )
            for word, alike in by_word.items()
        ),
    )
