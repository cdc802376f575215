"""The region map: under which conditions, and on which metrics, the baseline is better than a candidate.

A map makes many statements at once, and of twenty true nothings one looks like something. So its
words are those that hold for all of its cells together, by Holm's correction: once for the tests
that say BETTER or WORSE, once for those that say EQUIVALENT. Each kind is wrong somewhere on the
map in one map of twenty, at most.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from math import log
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from bench.judgement.comparison import Compared, Comparison, Word
from bench.scenario.metric import Metric
from bench.statistics.estimate import correct_by_holm, equivalence_p_value

ALPHA = 0.05
"""Of all cells together."""


class Region(StrEnum):
    """The baseline's standing in one cell of the map."""

    BETTER = "BETTER"
    EQUIVALENT = "EQUIVALENT"
    WORSE = "WORSE"
    UNDECIDED = "UNDECIDED"
    """Also what a cell says by itself and not beside all others."""
    INVALID = "INVALID"


class Cell(BaseModel):
    """A candidate under a condition on a metric, by the fields of its comparison."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    run: str
    """Which run's, where the map is of several; each with its own baseline."""
    condition: str
    candidate: str
    baseline: str
    metric: Metric
    unit: str
    ratio: float | None
    ci95: tuple[float, float] | None
    difference: float | None
    difference_ci95: tuple[float, float] | None
    margin: float
    blocks: int
    p_value: float | None
    """Of a ratio of 1. None where the cell is INVALID: it takes no part in the correction."""
    p_holm: float | None
    equivalence_p_value: float | None
    """Of a ratio outside the margin (two one-sided tests)."""
    equivalence_p_holm: float | None
    word: Word
    """What the comparison says by itself, uncorrected."""
    region: Region
    negligible: bool
    """BETTER or WORSE by less than the margin."""
    notes: tuple[str, ...]

    @property
    def lost(self) -> bool:
        """Whether the correction took the word that the comparison has by itself."""
        return self.region.value != self.word.value and self.word in _SAID


class Part(NamedTuple):
    """One run's contribution to a map."""

    run: str
    comparisons: Sequence[Comparison]
    """Those of another kind than `arms` have no place on a map."""
    sessions: Mapping[int, int]
    """Block -> session."""


_SAID = {Word.BETTER, Word.WORSE, Word.EQUIVALENT}


def map_regions(parts: Sequence[Part]) -> list[Cell]:
    """The cells of all `parts`, in their order, with the words that hold for all of them together."""
    found = [(part, c) for part in parts for c in part.comparisons if c.kind is Compared.ARMS]
    usable = [(part, c) for part, c in found if c.word is not Word.INVALID and c.p_value is not None]
    differ = [c.p_value for _, c in usable if c.p_value is not None]
    equal = [_equivalence_p_value(part, c) for part, c in usable]
    corrected = iter(
        zip(differ, correct_by_holm(differ), equal, correct_by_holm(equal), strict=True),
    )
    keys = {id(c) for _, c in usable}
    return [_cell(part.run, c, next(corrected) if id(c) in keys else None) for part, c in found]


def _equivalence_p_value(part: Part, comparison: Comparison) -> float:
    logs = [log(ratio) for ratio in comparison.block_ratios]
    sessions = [part.sessions[block] for block in comparison.block_numbers]
    return equivalence_p_value(logs, sessions, comparison.margin)


def _cell(run: str, comparison: Comparison, p_values: tuple[float, float, float, float] | None) -> Cell:
    p_value, p_holm, equivalence_p, equivalence_p_holm = p_values or (None,) * 4
    region, notes = Region.INVALID, list(comparison.notes)
    if p_holm is not None and equivalence_p_holm is not None:
        region, said = _choose_region(comparison, p_holm, equivalence_p_holm)
        notes += said
    return Cell(
        run=run,
        **comparison.model_dump(
            include={
                "condition",
                "candidate",
                "baseline",
                "metric",
                "unit",
                "ratio",
                "ci95",
                "difference",
                "difference_ci95",
                "margin",
                "blocks",
                "word",
            }
        ),
        p_value=p_value,
        p_holm=p_holm,
        equivalence_p_value=equivalence_p,
        equivalence_p_holm=equivalence_p_holm,
        region=region,
        negligible=region in (Region.BETTER, Region.WORSE) and comparison.negligible,
        notes=tuple(notes),
    )


def _choose_region(
    comparison: Comparison, p_holm: float, equivalence_p_holm: float
) -> tuple[Region, list[str]]:
    """A word needs the comparison's own word and the corrected p-value of the test behind it."""
    word = comparison.word
    if word in (Word.BETTER, Word.WORSE) and p_holm < ALPHA:
        return Region(word.value), []
    lost = [f"{word} by itself; p is {p_holm:.2g} by Holm's correction"]
    if word is Word.EQUIVALENT or comparison.negligible:
        if equivalence_p_holm < ALPHA:
            return Region.EQUIVALENT, [] if word is Word.EQUIVALENT else lost
        if word is Word.EQUIVALENT:
            lost = [f"{word} by itself; p is {equivalence_p_holm:.2g} by Holm's correction"]
    return Region.UNDECIDED, lost if word in _SAID else []
