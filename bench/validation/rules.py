"""The rules that decide, each on simulated cases whose truth is known: as it was before, and as it is.

A rule that was replaced is kept here, in as few lines as it takes, to be counted beside its successor.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from bench.validation.cases import MARGIN, Draw, Tried
from bench.validation.cases.estimates import (
    band_holds,
    compare_runs,
    measure_hops,
    predict_session,
    read_history,
    select_by_requests,
)
from bench.validation.cases.knees import compare_knees
from bench.validation.cases.precision import PRECISION, decide, end_precisely
from bench.validation.cases.verdicts import compare_many, leave_behind_voids, leave_behind_words

SEED = 1


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One case of a rule."""

    name: str
    case: str
    asked: str
    """What is counted, and what of it is wanted."""
    try_once: Callable[[Draw], Tried]
    """Before and now, of the same data; None where a rule has no answer (or did not exist)."""


def list_rules() -> Iterator[Rule]:
    """Every rule, in the order of the page."""
    for name, make in PRECISION.items():
        yield Rule(
            name="--precision",
            case=name,
            asked="the interval at the end holds the truth: 95",
            try_once=partial(end_precisely, make=make),
        )
    for truth in (0.0, MARGIN, 0.13):
        yield Rule(
            name="--decide",
            case=f"true ratio {1 + truth:g}, blocks of 3 %",
            asked="told, and wrongly: at most 5",
            try_once=partial(decide, truth=truth),
        )
    for level in (1.02, 1.10):
        yield Rule(
            name="10,000 requests for a p99",
            case=f"typically {level:g} times as many in one arm, twice in the other",
            asked="the interval holds the truth: 95",
            try_once=partial(select_by_requests, level=level),
        )
    for spread in (0.0, 0.01, 0.02):
        yield Rule(
            name="one session, or several",
            case=f"sessions of {spread:.0%}",
            asked="the interval holds what a new session shows: 95",
            try_once=partial(predict_session, spread=spread),
        )
    for sessions, spread in ((1, 0.0), (1, 0.007), (6, 0.007)):
        yield Rule(
            name="compare",
            case=f"{sessions} session(s) a side, of {spread:.1%}",
            asked="CHANGED where nothing did: at most 5",
            try_once=partial(compare_runs, sessions=sessions, spread=spread),
        )
    for runs in (30, 90):
        yield Rule(
            name="history, read after every run",
            case=f"{runs} runs without a change",
            asked="a change point was shown: at most 5",
            try_once=partial(read_history, runs=runs),
        )
    for width in (0.02, 0.04, 0.09):
        yield Rule(
            name="knees",
            case=f"two equal ones, P(sustained) from 10 to 90 % over +-{width:.0%}",
            asked="told apart: at most 5",
            try_once=partial(compare_knees, ratio=1.0, width=width),
        )
    yield Rule(
        name="knees",
        case="15 % apart, over +-4%",
        asked="told apart: the more the better",
        try_once=partial(compare_knees, ratio=1.15, width=0.04),
    )
    for after in (0.0, 0.03):
        yield Rule(
            name="after-effects",
            case=f"an arm's slots leave {after:.0%} for the next, 18 blocks",
            asked="BETTER or WORSE where nothing differs: at most 5",
            try_once=partial(leave_behind_words, after=after),
        )
        yield Rule(
            name="after-effects",
            case=f"the same, {after:.0%}",
            asked="INVALID: " + ("the more the better" if after else "the fewer the better"),
            try_once=partial(leave_behind_voids, after=after),
        )
    yield Rule(
        name="several arms",
        case="nine candidates, none differs",
        asked="any BETTER or WORSE: at most 5",
        try_once=compare_many,
    )
    yield Rule(
        name="hops of several sessions",
        case="four sessions of 2 %, three captures each of 1.5 %",
        asked="the interval holds the truth: 95",
        try_once=measure_hops,
    )
    for blocks in (6, 18):
        yield Rule(
            name="quantile curve",
            case=f"{blocks} blocks, no effect at 60 levels",
            asked="the band holds all of it: 95",
            try_once=partial(band_holds, blocks=blocks),
        )


@dataclass(frozen=True, kw_only=True)
class RuleRate:
    """What a rule did in so many cases, before and now."""

    name: str
    case: str
    asked: str
    before_hits: int
    before_trials: int
    now_hits: int
    now_trials: int


def count_rule(number: int, experiments: int) -> RuleRate:
    """Rates of rule `number` of `list_rules`; the same whoever counts them."""
    rule = list(list_rules())[number]
    draw = np.random.default_rng([SEED, number])
    tries = [rule.try_once(draw) for _ in range(experiments)]
    before, now = ([found for found in side if found is not None] for side in zip(*tries, strict=True))
    return RuleRate(
        name=rule.name,
        case=rule.case,
        asked=rule.asked,
        before_hits=sum(before),
        before_trials=len(before),
        now_hits=sum(now),
        now_trials=len(now),
    )
