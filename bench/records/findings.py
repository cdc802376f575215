"""What a walkthrough found of the article: a word for every statement, with the evidence for it.

Pure records and the rows of their tables. How a statement is tried is in `bench.walkthrough`.
"""

from collections import Counter
from collections.abc import Mapping
from enum import StrEnum

from pydantic import Field

from bench.records.environment import MachineFacts
from bench.stored import Moment, Stored

WALKTHROUGH_SCHEMA_VERSION = 1


class Word(StrEnum):
    """What became of a statement under one engine."""

    CONFIRMED = "CONFIRMED"
    REFUTED = "REFUTED"
    CHANGED_SINCE = "CHANGED SINCE"
    """True of the article's Docker of 2015, and not of this engine."""
    NOT_TESTABLE = "NOT TESTABLE HERE"


MEANINGS: Mapping[Word, str] = {
    Word.CONFIRMED: "tried, and seen to be so",
    Word.REFUTED: "tried, and seen not to be so",
    Word.CHANGED_SINCE: "true of the article's Docker of 2015, and not of this engine",
    Word.NOT_TESTABLE: "could not be tried, with the reason",
}


class Source(StrEnum):
    """Who makes a statement, or asks."""

    ARTICLE = "article"
    COMMENT = "comment"
    """A reader's, or the author's answer to one."""
    ADDED = "added"
    """What the article leaves open and a person who chooses a mode wants to know."""


class Evidence(Stored):
    """A command that was really run on a host of the lab, and what it printed."""

    host: str
    command: str
    """As a person types it there. For a call of Docker's API: the `docker` command that makes that call."""
    output: str
    status: int = 0
    """Exit status."""

    @property
    def as_typed(self) -> str:
        """The command and its output as a terminal shows them."""
        output = f"\n{self.output}" if self.output else ""
        status = f"\n(exit status {self.status})" if self.status else ""
        return f"[{self.host}] {self.command}{output}{status}"


class Finding(Stored):
    """One statement, tried under one engine."""

    id: str
    subject: str
    source: Source
    statement: str
    done: str
    """What was done to find out."""
    word: Word
    seen: str
    """One sentence or two."""
    checks: Mapping[str, bool] = Field(default={})
    """Each thing that the word rests on, and whether it held."""
    evidence: tuple[Evidence, ...] = ()
    left_behind: tuple[str, ...] = ()
    """What the trial changed on a host and did not take back; empty unless bench has a bug."""


class EngineWalk(Stored):
    """Every statement under one engine."""

    engine: str
    """`machine` or `debian:<suite>`."""
    version: str
    api: str
    storage_driver: str
    root_sha256: str = ""
    """Of the root file system of a Debian suite's engine; empty for the machine's own."""
    findings: tuple[Finding, ...]

    @property
    def title(self) -> str:
        """Engine and version, for the head of a column."""
        return f"{self.engine} ({self.version})"


class WalkthroughRecord(Stored):
    """The whole of walkthrough.json."""

    schema_version: int
    id: str
    bench_version: str
    started_at: Moment
    finished_at: Moment
    machine: MachineFacts
    tools: Mapping[str, str]
    hosts: Mapping[str, str]
    """Host of the lab -> addresses and what it is."""
    walks: tuple[EngineWalk, ...] = Field(min_length=1)
    unavailable: Mapping[str, str] = Field(default={})
    """Engine that was asked for and cannot be had -> why."""


def count_words(walk: EngineWalk) -> dict[Word, int]:
    """How often each word was given, in the words' order, without those that were not."""
    counted = Counter(finding.word for finding in walk.findings)
    return {word: counted[word] for word in Word if counted[word]}


def summarise(walk: EngineWalk) -> str:
    """`36 statements: 30 CONFIRMED, 3 REFUTED`, for a line of text."""
    counts = ", ".join(f"{number} {word}" for word, number in count_words(walk).items())
    return f"{len(walk.findings)} statements: {counts}"


FINDING_COLUMNS = ("statement", "word", "what was seen")


def finding_rows(walk: EngineWalk) -> list[tuple[str, str, str]]:
    """One row a statement: id, word, what was seen."""
    return [(finding.id, finding.word.value, finding.seen) for finding in walk.findings]


def comparison_columns(record: WalkthroughRecord) -> tuple[str, ...]:
    """Titles of `comparison_rows`."""
    return "statement", *(walk.title for walk in record.walks)


def comparison_rows(record: WalkthroughRecord) -> list[tuple[str, ...]]:
    """One row a statement: id, and its word under each engine; empty where an engine lacks it."""
    words = [{finding.id: finding.word.value for finding in walk.findings} for walk in record.walks]
    ids = dict.fromkeys(finding.id for walk in record.walks for finding in walk.findings)
    return [(id_, *(of_engine.get(id_, "") for of_engine in words)) for id_ in ids]


def differing(record: WalkthroughRecord) -> list[str]:
    """Ids of statements whose word is not the same under every engine."""
    return [row[0] for row in comparison_rows(record) if len(set(row[1:])) > 1]
