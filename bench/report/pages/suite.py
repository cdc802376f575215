"""A suite's index: each scenario's question and answer with a link to its report, and all of the claims."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.errors import InputError
from bench.judgement.claim import ClaimVerdict
from bench.records.suite import Entry, SuiteRecord
from bench.report.run.answer import answer_sentence
from bench.report.run.cautions import find_cautions
from bench.report.template import fill
from bench.report.text import format_time
from bench.results import files
from bench.results.run import Run
from bench.results.verification import describe_faults

INDEX_HTML, INDEX_MARKDOWN = "index.html", "index.md"
NOT_BEGUN = "not begun"


@dataclass(frozen=True)
class Chapter:
    """One scenario of a suite, as the index tells it."""

    entry: Entry
    status: str
    answer: str
    scope: Mapping[str, str]
    claims: tuple[ClaimVerdict, ...] = ()
    cautions: int = 0
    report: str | None = None
    """Address of its report, as seen from the index."""
    changed: str = ""
    """What a reader has to know first, of a run that is not as it was measured."""


def write_index(record: SuiteRecord, folder: Path, runs: dict[str, Run] | None = None) -> None:
    """Write index.html and index.md into the suite's `folder`; `runs` as of `list_chapters`."""
    chapters = list_chapters(record, folder, runs)
    for name, template in ((INDEX_HTML, "index.html.j2"), (INDEX_MARKDOWN, "index.md.j2")):
        files.write_atomically(folder / name, fill(template, _facts(record, chapters)).encode())


def render_index(record: SuiteRecord, folder: Path, template: str) -> str:
    """The index as one text, of `index.html.j2` or `index.md.j2`."""
    return fill(template, _facts(record, list_chapters(record, folder)))


def list_chapters(record: SuiteRecord, folder: Path, runs: dict[str, Run] | None = None) -> list[Chapter]:
    """A chapter an entry, in the order of running.

    `runs`, by their places, are those that are open already; others that have ended join them, so that
    none is judged twice.
    """
    known = {} if runs is None else runs
    return [_tell(entry, folder, known) for entry in record.entries]


def _tell(entry: Entry, folder: Path, runs: dict[str, Run]) -> Chapter:
    status = str(entry.status) if entry.status else NOT_BEGUN
    if not entry.run or not (folder / entry.run / files.RUN_FILE).exists():
        answer = f"There is no answer: {entry.fault or f'it is {status}.'}"
        return Chapter(entry=entry, status=status, answer=answer, scope={})
    run = runs.get(entry.run) if entry.has_ended else None
    try:
        run = run or Run(folder / entry.run)
    except InputError as fault:  # Damaged since: the others are told all the same.
        return Chapter(entry=entry, status=status, answer=f"There is no answer: {fault}", scope={})
    if entry.has_ended:
        runs[entry.run] = run
    # A run may have been resumed by itself since.
    status = str(run.record.status)
    return Chapter(
        entry=entry,
        status=status,
        answer=answer_sentence(run),
        scope=run.scope,
        claims=tuple(run.verdict.claims),
        cautions=len(find_cautions(run)),
        report=f"{entry.run}/report.html",
        changed=describe_faults(f"run {run.record.id}", run.faults),
    )


def _facts(record: SuiteRecord, chapters: list[Chapter]) -> Mapping[str, Any]:
    places = {(chapter.scope["machine"], chapter.scope["kernel"]) for chapter in chapters if chapter.scope}
    texts = {claim.text for chapter in chapters for claim in chapter.claims}
    return {
        "record": record,
        "chapters": chapters,
        "places": sorted(places),
        "changed": [chapter.changed for chapter in chapters if chapter.changed],
        "claims": [
            (text, [(c, claim) for c in chapters for claim in c.claims if claim.text == text])
            for text in sorted(texts)
        ],
        "answered": sum(chapter.entry.has_ended for chapter in chapters),
        "format_time": format_time,
    }
