"""The rules that decide, each on simulated cases whose truth is known: as it was before, and as it is.

A rule that was replaced is kept here, in as few lines as it takes, to be counted beside its successor.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from math import exp, inf, log, log1p, sqrt

import numpy as np
from scipy.special import stdtrit

from bench.judgement.capacity.curve import fit_ratio
from bench.judgement.capacity.knee import Outcome, Trial, locate, next_rate, rates_to_confirm
from bench.judgement.comparison import Compared, Word
from bench.judgement.effect import excludes_one
from bench.judgement.precision import MIN_BLOCKS_TO_STOP, Contrast, find_end, is_told
from bench.judgement.verdict import judge
from bench.scenario.metric import Metric
from bench.scenario.model import Arm, Schedule
from bench.scenario.modes.model import Mode
from bench.scenario.plan import plan_slots
from bench.scenario.scenario import Scenario
from bench.slots.observation import SlotMetrics
from bench.statistics.change_points import find_change_points, share_of_look
from bench.statistics.estimate import estimate, estimate_shift, find_new_session, replicate
from bench.statistics.quantile_effect import estimate_band

P50 = Metric.P50_LATENCY_US
MARGIN = 0.05
SEED = 1
Draw = np.random.Generator


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One case of a rule."""

    name: str
    case: str
    asked: str
    """What is counted, and what of it is wanted."""
    try_once: Callable[[Draw], tuple[bool | None, bool | None]]
    """Before and now, of the same data; None where a rule has no answer (or did not exist)."""


def list_rules() -> Iterator[Rule]:
    """Every rule, in the order of the page."""
    for name, make in PRECISION.items():
        yield Rule(
            name="--precision",
            case=name,
            asked="the interval at the end holds the truth: 95",
            try_once=partial(_end_precisely, make=make),
        )
    for truth in (0.0, MARGIN, 0.13):
        yield Rule(
            name="--decide",
            case=f"true ratio {1 + truth:g}, blocks of 3 %",
            asked="told, and wrongly: at most 5",
            try_once=partial(_decide, truth=truth),
        )
    for level in (1.02, 1.10):
        yield Rule(
            name="10,000 requests for a p99",
            case=f"typically {level:g} times as many in one arm, twice in the other",
            asked="the interval holds the truth: 95",
            try_once=partial(_select_by_requests, level=level),
        )
    for spread in (0.0, 0.01, 0.02):
        yield Rule(
            name="one session, or several",
            case=f"sessions of {spread:.0%}",
            asked="the interval holds what a new session shows: 95",
            try_once=partial(_predict_session, spread=spread),
        )
    for sessions, spread in ((1, 0.0), (1, 0.007), (6, 0.007)):
        yield Rule(
            name="compare",
            case=f"{sessions} session(s) a side, of {spread:.1%}",
            asked="CHANGED where nothing did: at most 5",
            try_once=partial(_compare_runs, sessions=sessions, spread=spread),
        )
    for runs in (30, 90):
        yield Rule(
            name="history, read after every run",
            case=f"{runs} runs without a change",
            asked="a change point was shown: at most 5",
            try_once=partial(_read_history, runs=runs),
        )
    for width in (0.02, 0.04, 0.09):
        yield Rule(
            name="knees",
            case=f"two equal ones, P(sustained) from 10 to 90 % over +-{width:.0%}",
            asked="told apart: at most 5",
            try_once=partial(_compare_knees, ratio=1.0, width=width),
        )
    yield Rule(
        name="knees",
        case="15 % apart, over +-4%",
        asked="told apart: the more the better",
        try_once=partial(_compare_knees, ratio=1.15, width=0.04),
    )
    for after in (0.0, 0.03):
        yield Rule(
            name="after-effects",
            case=f"an arm's slots leave {after:.0%} for the next, 18 blocks",
            asked="BETTER or WORSE where nothing differs: at most 5",
            try_once=partial(_leave_behind_words, after=after),
        )
        yield Rule(
            name="after-effects",
            case=f"the same, {after:.0%}",
            asked="INVALID: " + ("the more the better" if after else "the fewer the better"),
            try_once=partial(_leave_behind_voids, after=after),
        )
    yield Rule(
        name="several arms",
        case="nine candidates, none differs",
        asked="any BETTER or WORSE: at most 5",
        try_once=_compare_many,
    )
    yield Rule(
        name="hops of several sessions",
        case="four sessions of 2 %, three captures each of 1.5 %",
        asked="the interval holds the truth: 95",
        try_once=_measure_hops,
    )
    for blocks in (6, 18):
        yield Rule(
            name="quantile curve",
            case=f"{blocks} blocks, no effect at 60 levels",
            asked="the band holds all of it: 95",
            try_once=partial(_band_holds, blocks=blocks),
        )


# --precision and --decide


@dataclass(frozen=True, kw_only=True)
class _Series:
    """Contrasts of a run that may grow long, and their truth."""

    logs: np.ndarray
    sessions: np.ndarray
    schedule: Schedule
    precision: float
    truth: float = 0.0


LONGEST = 300
"""Blocks that a simulated run may grow to."""


def _one_session(draw: Draw) -> _Series:
    logs = 0.03 * draw.standard_normal(LONGEST)
    return _Series(logs=logs, sessions=np.zeros(LONGEST, int), schedule=Schedule(blocks=12), precision=0.01)


def _rare_blocks(draw: Draw) -> _Series:
    logs = 0.01 * draw.standard_normal(LONGEST) + 0.2 * (draw.random(LONGEST) < 0.08)
    return _Series(
        logs=logs,
        sessions=np.zeros(LONGEST, int),
        schedule=Schedule(blocks=12),
        precision=0.01,
        truth=0.2 * 0.08,
    )


def _several_sessions(draw: Draw, spread: float) -> _Series:
    sessions = np.arange(LONGEST) // 12
    own = spread * draw.standard_normal(LONGEST // 12 + 1)
    logs = 0.02 * draw.standard_normal(LONGEST) + own[sessions]
    return _Series(logs=logs, sessions=sessions, schedule=Schedule(blocks=72, sessions=6), precision=0.015)


PRECISION: dict[str, Callable[[Draw], _Series]] = {
    "one session, blocks of 3 %, to 1 %": _one_session,
    "8 % of blocks are 20 % off in one arm": _rare_blocks,
    "sessions of 12 blocks, of 1 %": lambda draw: _several_sessions(draw, 0.01),
    "sessions of 12 blocks, of 2 %": lambda draw: _several_sessions(draw, 0.02),
}


def _end_precisely(draw: Draw, make: Callable[[Draw], _Series]) -> tuple[bool | None, bool | None]:
    series = make(draw)
    logs, sessions = series.logs.tolist(), series.sessions.tolist()

    def holds(blocks: int | None) -> bool | None:
        if blocks is None:
            return None
        low, high = estimate(logs[:blocks], sessions[:blocks]).ci95
        return low <= series.truth <= high

    def is_narrow(blocks: int) -> bool:
        sample, _ = replicate(logs[:blocks], sessions[:blocks])
        return _reach(sample) <= series.precision

    # As it was: a look after every block from the eighth on; of one session seen, blocks were the sample.
    before = next((n for n in range(MIN_BLOCKS_TO_STOP, LONGEST + 1) if is_narrow(n)), None)
    contrast = Contrast(list(range(LONGEST)), logs, sessions, MARGIN)
    return holds(before), holds(find_end(series.schedule, [contrast], series.precision, LONGEST))


def _decide(draw: Draw, truth: float) -> tuple[bool | None, bool | None]:
    logs = log1p(truth) + 0.03 * draw.standard_normal(100)
    limit = log1p(MARGIN)

    def is_wrong(low: float, high: float) -> bool:
        if low > limit:
            return truth <= MARGIN
        return high >= limit or truth >= MARGIN

    before = now = None
    for blocks in range(MIN_BLOCKS_TO_STOP, len(logs) + 1):
        seen = logs[:blocks].tolist()
        mean, reach = float(np.mean(seen)), _reach(np.array(seen))
        low, high = mean - reach, mean + reach
        if before is None and (low > limit or (-limit < low and high < limit)):
            before = is_wrong(low, high)
        contrast = Contrast(list(range(blocks)), seen, [0] * blocks, MARGIN)
        if now is None and is_told(contrast):
            now = is_wrong(*estimate(seen, [0] * blocks, anytime=True).ci95)
        if before is not None and now is not None:
            break
    return bool(before), bool(now)


def _reach(sample: np.ndarray) -> float:
    """Half of Student's interval: at every look the subsets' would take hours, and stops where this does."""
    count = len(sample)
    return float(stdtrit(count - 1, 0.975) * sample.std(ddof=1) / sqrt(count)) if count > 1 else inf


# Gates and sessions


def _select_by_requests(draw: Draw, level: float) -> tuple[bool | None, bool | None]:
    """A slow slot has fewer requests and a longer p99: whoever drops it drops the longest p99s of its arm."""
    blocks = 18
    speed = 0.05 * draw.standard_normal((blocks, 2, 2))
    requests = 10_000 * np.array([2.0, level])[None, :, None] * np.exp(-speed)
    p99 = speed + 0.01 * draw.standard_normal(speed.shape)
    contrasts = p99.mean(axis=2)[:, 1] - p99.mean(axis=2)[:, 0]
    kept = contrasts[(requests >= 10_000).all(axis=(1, 2))].tolist()
    before = None
    if len(kept) >= blocks / 2:
        low, high = estimate(kept, [0] * len(kept)).ci95
        before = low <= 0 <= high
    low, high = estimate(contrasts.tolist(), [0] * blocks).ci95
    return before, low <= 0 <= high


def _predict_session(draw: Draw, spread: float) -> tuple[bool | None, bool | None]:
    """What is expected of the next session: of one alone its own interval, of six theirs."""
    own = spread * draw.standard_normal(7)
    logs = own[:, None] + 0.02 * draw.standard_normal((7, 12))
    low, high = estimate(logs[0].tolist(), [0] * 12).ci95
    before = low <= own[6] <= high
    found = find_new_session(logs[:6].ravel().tolist(), np.repeat(range(6), 12).tolist())
    assert found
    return before, found[0] <= logs[6].mean() <= found[1]


def _compare_runs(draw: Draw, sessions: int, spread: float) -> tuple[bool | None, bool | None]:
    """As `compare` has it: CHANGED by Welch's interval, and now not of a single session."""
    sides = []
    for _ in range(2):
        own = spread * draw.standard_normal(sessions)
        sides.append(
            (own[:, None] + 0.015 * sqrt(0.5) * draw.standard_normal((sessions, 12))).ravel().tolist()
        )
    of = np.repeat(range(sessions), 12).tolist()
    changed = estimate_shift(sides[0], of, sides[1], of).p_value < 0.05
    return changed, changed and sessions > 1


def _read_history(draw: Draw, runs: int) -> tuple[bool | None, bool | None]:
    logs = draw.standard_normal(runs).tolist()
    before = now = False
    for count in range(4, runs + 1):
        before = before or bool(find_change_points(logs[:count], 0.05))
        now = now or bool(find_change_points(logs[:count], 0.05 * share_of_look(count)))
        if before and now:
            break
    return before, now


def _measure_hops(draw: Draw) -> tuple[bool | None, bool | None]:
    own = 0.02 * draw.standard_normal(4)
    values = (own[:, None] + 0.015 * draw.standard_normal((4, 3))).ravel().tolist()
    found = [estimate(values, sessions).ci95 for sessions in ([0] * 12, np.repeat(range(4), 3).tolist())]
    return found[0][0] <= 0 <= found[0][1], found[1][0] <= 0 <= found[1][1]


def _band_holds(draw: Draw, blocks: int) -> tuple[bool | None, bool | None]:
    """Of levels that go together; before, there were intervals of each by itself."""
    levels = 60
    values = np.cumsum(draw.standard_normal((blocks, levels)), axis=1) / np.sqrt(np.arange(1, levels + 1))
    band = estimate_band(values, [0] * blocks)
    alone = [estimate(column.tolist(), [0] * blocks).ci95 for column in values.T]
    return (
        all(low <= 0 <= high for low, high in alone),
        bool(((band.low <= 0) & (band.high >= 0)).all()),
    )


# Knees


def _compare_knees(draw: Draw, ratio: float, width: float) -> tuple[bool | None, bool | None]:
    slope = width / log(9)
    ours, others = (_find_knee(draw, knee_rps, slope) for knee_rps in (10_000.0 * ratio, 10_000.0))
    one, other = locate(ours, VOTES), locate(others, VOTES)
    ends = (one.confirmed_rps, one.refuted_rps, other.confirmed_rps, other.refuted_rps)
    if None in ends:
        return None, None
    low, high, other_low, other_high = (end or 0.0 for end in ends)
    before = low / other_high > 1 or high / other_low < 1
    fitted = fit_ratio(ours, others)
    return before, None if fitted is None else excludes_one(fitted.ci95)


VOTES = 3


def _find_knee(draw: Draw, knee_rps: float, slope: float) -> list[Trial]:
    """All trials of the real search and confirmation."""
    trials: list[Trial] = []

    def take(rate_rps: float, *, confirming: bool) -> None:
        held = draw.random() < 1 / (1 + exp((log(rate_rps) - log(knee_rps)) / slope))
        trials.append(Trial(rate_rps, Outcome.SUSTAINED if held else Outcome.REFUSED, confirming))

    for _ in range(100):
        rate = next_rate(trials, 5_000.0, 0.05, VOTES)
        if rate is not None:
            take(rate, confirming=False)
            continue
        wanted = rates_to_confirm(trials, VOTES)
        if not wanted:
            break
        for of in wanted:
            take(of, confirming=True)
    return trials


# After-effects, and many arms


def _make(arms: int, blocks: int) -> Scenario:
    names = [f"arm-{number}" for number in range(arms)]
    return Scenario(
        name="simulated",
        question="Is there a difference?",
        baseline=names[0],
        arms=tuple(Arm(name=name, mode=Mode.BRIDGE) for name in names),
        schedule=Schedule(blocks=blocks),
    )


TWO, TEN = _make(2, 18), _make(10, 12)


def _simulate(draw: Draw, scenario: Scenario, after: float) -> list[SlotMetrics]:
    """Slots of 1.5 %; one that follows the last arm's is longer by the share `after`."""
    slots, before = [], ""
    for slot in plan_slots(scenario, int(draw.integers(2**31))):
        value = 0.015 * draw.standard_normal() + log1p(after) * (before == scenario.arms[-1].name)
        slots.append(
            SlotMetrics(
                session=0,
                block=slot.block,
                arm=slot.arm,
                condition=0,
                repeat=slot.repeat,
                valid=True,
                values={P50: 40 * exp(value)},
                index=slot.index,
            )
        )
        before = slot.arm
    return slots


def _leave_behind(
    draw: Draw, after: float
) -> tuple[tuple[bool | None, bool | None], tuple[bool | None, bool | None]]:
    """Whether a word is BETTER or WORSE, before and now; whether it is INVALID, before and now."""
    verdict = judge(TWO, _simulate(draw, TWO, after), {}, 1)
    now = next(c for c in verdict.comparisons if c.kind is Compared.ARMS)
    assert now.ci95
    # As it was: INVALID where an arm's own pairs differ by half the margin.
    pairs = [c for c in verdict.comparisons if c.kind is Compared.ITSELF and c.ci95 and c.ratio]
    void = any(
        excludes_one(pair.ci95) and abs(log(pair.ratio)) > log1p(MARGIN) / 2
        for pair in pairs
        if pair.ci95 and pair.ratio
    )
    resolved = (Word.BETTER, Word.WORSE)
    return (
        (not void and excludes_one(now.ci95), now.word in resolved),
        (void, now.word is Word.INVALID),
    )


def _leave_behind_words(draw: Draw, after: float) -> tuple[bool | None, bool | None]:
    return _leave_behind(draw, after)[0]


def _leave_behind_voids(draw: Draw, after: float) -> tuple[bool | None, bool | None]:
    return _leave_behind(draw, after)[1]


def _compare_many(draw: Draw) -> tuple[bool | None, bool | None]:
    verdict = judge(TEN, _simulate(draw, TEN, 0.0), {}, 1)
    compared = [c for c in verdict.comparisons if c.kind is Compared.ARMS]
    before = any(c.ci95 is not None and excludes_one(c.ci95) for c in compared)
    return before, any(c.word in (Word.BETTER, Word.WORSE) for c in compared)


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
