"""Systematic splits of a run: where arms should not differ from themselves, and might.

Slots that are shuffled differ from their twins by chance alone, so an arm's A/A pair sees nothing but the
noise. What could be wrong is looked for along what was not shuffled: what was measured just before, the
place in the block, the run's first half and its second, its sessions. All of it at the
scenario's leading metric, which for requests is the p50.

Only an after-effect moves a contrast of arms: the shuffle lays every other split on all arms alike.
"""

import itertools
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from enum import StrEnum
from math import exp, log, log1p
from statistics import fmean

from scipy.special import fdtrc

from bench.judgement.effect import contrast_blocks
from bench.judgement.samples import MIN_BLOCKS, Measured, Side
from bench.slots.observation import SlotMetrics
from bench.statistics.estimate import correct_by_holm, estimate, estimate_shift
from bench.stored import Stored

ALPHA = 0.05
"""Of all splits of a kind under a condition together, by Holm's correction."""
FEWEST_BLOCKS = 6
"""That hold both sides of a split. Of fewer, one in fifty voids a run in which nothing is left behind."""
FEWEST_OF_SESSION = 2
"""Blocks without which a session's own spread is not known."""


class SplitKind(StrEnum):
    """Along what a run is split."""

    PREDECESSOR = "predecessor"
    """An arm after the slots (turns, where arms take turns) of one arm, against after all others."""
    PLACE = "place in the block"
    """An arm in the second half of a block's slots, against the first."""
    HALF = "half of the run"
    """An arm's contrast with the baseline in the second half of the blocks, against the first."""
    SESSION = "session"
    """The same contrast from session to session, by the analysis of variance."""


class Split(Stored):
    """What one split shows. A ratio above 1: longer after that arm, late in the block, in the second half."""

    kind: SplitKind
    condition: int
    """Index into `conditions(scenario)`."""
    arm: str
    after: str = ""
    """Of kind `predecessor`: the arm before; its own, too."""
    ratio: float | None = None
    """Of the leading metric; None of sessions."""
    ci95: tuple[float, float] | None = None
    p_value: float
    p_holm: float = 1.0
    """Corrected over all splits of the kind under the condition."""
    blocks: int
    """The sample (a set is a block), never the turn."""

    @property
    def is_told(self) -> bool:
        """Whether it is more than chance among so many."""
        return self.p_holm < ALPHA


def find_splits(measured: Measured, arms: Sequence[str], absent: Collection[int] = ()) -> list[Split]:
    """All splits of the valid slots that enough blocks tell; `absent`: indices of conditions without any."""
    found = []
    for condition in range(len(measured.conditions)):
        if condition in absent:
            continue
        found += _correct(_split_by_predecessor(measured, arms, condition))
        found += _correct(_split_by_place(measured, arms, condition))
        found += _correct(_split_by_half(measured, arms, condition))
        found += _correct(_split_by_session(measured, arms, condition))
    return found


def find_doubt(splits: Iterable[Split], sides: Iterable[Side], margin: float) -> Split | None:
    """The after-effect on a side of half the margin or more, if one is told."""
    places = {(side.arm, side.condition) for side in sides}
    for split in splits:
        is_of_side = split.kind is SplitKind.PREDECESSOR and (split.arm, split.condition) in places
        if is_of_side and split.is_told and split.ratio and abs(log(split.ratio)) > log1p(margin) / 2:
            return split
    return None


def describe_doubt(split: Split) -> str:
    """The note on what `find_doubt` found."""
    share = (split.ratio or 1) - 1
    return f"{split.arm} is {share * 100:+.1f} % after {split.after}: what is left behind is part of this"


def _correct(splits: Iterable[Split]) -> list[Split]:
    found = list(splits)
    corrected = correct_by_holm([split.p_value for split in found])
    return [split.model_copy(update={"p_holm": p}) for split, p in zip(found, corrected, strict=True)]


def _split_by_predecessor(measured: Measured, arms: Sequence[str], condition: int) -> Iterator[Split]:
    """Of two arms the one split: after all others is then after the other."""
    before = {} if measured.scenario.schedule.interleave else _list_predecessors(measured)
    for arm in arms:
        slots = _usable(measured, arm, condition)
        for after in arms[:1] if len(arms) == 2 else arms:
            if measured.scenario.schedule.interleave:
                values = _collect(
                    (slot, log(slot.after_turn_of[after])) for slot, _ in slots if after in slot.after_turn_of
                )
            else:
                values = _contrast_within_blocks(slots, lambda slot: before.get(slot.index), after)
            yield from _tell(values, kind=SplitKind.PREDECESSOR, condition=condition, arm=arm, after=after)


def _list_predecessors(measured: Measured) -> dict[int, str]:
    """Slot -> the arm measured just before it, under whatever condition, in its own session."""
    every = sorted((slot for slots in measured.cells.values() for slot in slots), key=lambda slot: slot.index)
    return {
        slot.index: before.arm for before, slot in itertools.pairwise(every) if before.session == slot.session
    }


def _split_by_place(measured: Measured, arms: Sequence[str], condition: int) -> Iterator[Split]:
    """Not where arms take turns: all of a set is alive at the same time."""
    if measured.scenario.schedule.interleave:
        return
    places: dict[int, list[int]] = {}
    for slots in measured.cells.values():
        for slot in slots:
            places.setdefault(slot.block, []).append(slot.index)
    middle = {block: (min(indexes) + max(indexes)) / 2 for block, indexes in places.items()}
    for arm in arms:
        values = _contrast_within_blocks(
            _usable(measured, arm, condition),
            lambda slot: "late" if slot.index > middle[slot.block] else "early",
            "late",
        )
        yield from _tell(values, kind=SplitKind.PLACE, condition=condition, arm=arm)


def _split_by_half(measured: Measured, arms: Sequence[str], condition: int) -> Iterator[Split]:
    for arm, logs, sessions in _contrast_with_baseline(measured, arms, condition):
        middle = len(logs) // 2
        if middle < MIN_BLOCKS:
            continue
        # Of blocks, whatever their sessions: within a run, halves are to be compared, not sessions.
        shift = estimate_shift(logs[:middle], [0] * middle, logs[middle:], [0] * (len(logs) - middle))
        yield Split(
            kind=SplitKind.HALF,
            condition=condition,
            arm=arm,
            ratio=exp(shift.mean),
            ci95=(exp(shift.ci95[0]), exp(shift.ci95[1])),
            p_value=shift.p_value,
            blocks=len(sessions),
        )


def _split_by_session(measured: Measured, arms: Sequence[str], condition: int) -> Iterator[Split]:
    """Of the sessions with blocks enough: F of their means against the spread within."""
    for arm, logs, sessions in _contrast_with_baseline(measured, arms, condition):
        groups: dict[int, list[float]] = {}
        for value, session in zip(logs, sessions, strict=True):
            groups.setdefault(session, []).append(value)
        told = [values for values in groups.values() if len(values) >= FEWEST_OF_SESSION]
        count, blocks = len(told), sum(map(len, told))
        if count < 2:
            continue
        mean = fmean(value for values in told for value in values)
        between = sum(len(values) * (fmean(values) - mean) ** 2 for values in told) / (count - 1)
        inside = sum((value - fmean(values)) ** 2 for values in told for value in values) / (blocks - count)
        if inside > 0:
            p_value = float(fdtrc(count - 1, blocks - count, between / inside))
            yield Split(kind=SplitKind.SESSION, condition=condition, arm=arm, p_value=p_value, blocks=blocks)


def _contrast_with_baseline(
    measured: Measured, arms: Sequence[str], condition: int
) -> Iterator[tuple[str, list[float], list[int]]]:
    """Arm, the logarithm of its ratio to the baseline in every complete block, the blocks' sessions."""
    baseline = measured.scenario.baseline
    for arm in arms:
        if arm != baseline:
            sides = (measured.side(baseline, condition), measured.side(arm, condition))
            metric = measured.scenario.leading
            logs, _, sessions = contrast_blocks(measured.sample(metric, sides), (-1, 1), metric)
            yield arm, logs, sessions


def _usable(measured: Measured, arm: str, condition: int) -> list[tuple[SlotMetrics, float]]:
    """An arm's valid slots, each with the logarithm of its leading metric."""
    metric, slots = measured.scenario.leading, measured.cells.get((arm, condition), ())
    return [(slot, log(value)) for slot in slots if slot.valid and (value := slot.values.get(metric))]


Values = dict[tuple[int, int], float]
"""(session, block) -> logarithm of a ratio."""


def _collect(found: Iterable[tuple[SlotMetrics, float]]) -> Values:
    """The mean over a block's slots."""
    values: dict[tuple[int, int], list[float]] = {}
    for slot, value in found:
        values.setdefault((slot.session, slot.block), []).append(value)
    return {block: fmean(of_block) for block, of_block in values.items()}


def _contrast_within_blocks(
    slots: Sequence[tuple[SlotMetrics, float]], classify: Callable[[SlotMetrics], str | None], wanted: str
) -> Values:
    """In each block that has slots of both: those of the class `wanted` against those of all others."""
    sides = (
        _collect((slot, value) for slot, value in slots if classify(slot) == wanted),
        _collect((slot, value) for slot, value in slots if classify(slot) not in (wanted, None)),
    )
    return {block: value - sides[1][block] for block, value in sides[0].items() if block in sides[1]}


def _tell(values: Values, *, kind: SplitKind, condition: int, arm: str, after: str = "") -> Iterator[Split]:
    if len(values) < FEWEST_BLOCKS:
        return
    blocks = sorted(values)
    told = estimate([values[block] for block in blocks], [session for session, _ in blocks])
    yield Split(
        kind=kind,
        condition=condition,
        arm=arm,
        after=after,
        ratio=exp(told.mean),
        ci95=(exp(told.ci95[0]), exp(told.ci95[1])),
        p_value=told.p_value,
        blocks=len(blocks),
    )
