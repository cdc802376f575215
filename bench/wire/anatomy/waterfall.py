"""Hops as an answer: a table of one arm, and the steps from one arm's latency to another's.

Medians of hops do not add up to the median of their sum; means do. So the table gives medians, and the
steps are means over the same requests for every hop: those in the middle half of the capture's wire
latencies (the interquartile mean), which a few stalls do not move. Their sum is the mean of those
latencies, exactly but for rounding, and lies near the p50 that arms are compared by.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from bench.errors import InputError
from bench.statistics.estimate import EQUAL, estimate
from bench.wire.hops import (
    REST_HOP,
    SERVER_HOP,
    Ends,
    Group,
    Hop,
    Hops,
    Place,
    hop_ns,
    list_hops,
    name_stretch,
    wire_latency_ns,
)

MIDDLE = (0.25, 0.75)
"""Quantiles of the wire latency between which a request's hops count."""
Interval = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class HopRow:
    """One hop of an arm."""

    name: str
    group: Group
    ends: Ends | None
    median_us: float
    """Mean of the captures' medians."""
    ci95: Interval
    unit_of_replication: str
    """`capture` or `session`; `request` of a single capture, whose interval knows nothing of others."""

    @property
    def label(self) -> str:
        """`client to uplink`, `server`, `rest`: its name within its group."""
        if self.ends:
            return " to ".join(self.ends)
        return SERVER_HOP if self.group is Group.SERVER else "rest"


@dataclass(frozen=True, kw_only=True)
class Step:
    """What one part of the way costs a candidate more than the baseline."""

    name: str
    group: Group
    ends: Ends | None
    baseline_us: float
    candidate_us: float
    difference_us: float
    ci95: Interval | None
    """Of the difference: over the blocks (with several sessions: the sessions) that hold captures of both, or
    where there are none, Welch's over captures; None where an arm has fewer than two."""
    parts: tuple[tuple[str, float], ...]
    """The hops that the difference is made of, where one of the two arms has none here."""


@dataclass(frozen=True, kw_only=True)
class Waterfall:
    """From the baseline's latency to the candidate's, both as means of the middle half."""

    baseline_us: float
    candidate_us: float
    steps: tuple[Step, ...]
    """In the order of time. They add up to the difference of the two latencies."""
    measured_us: float | None
    """What the load generator measured as the difference, without captures."""

    @property
    def unexplained_us(self) -> float | None:
        """What the steps leave of the measured difference: the taps' own cost, and the generator's side."""
        return (
            None if self.measured_us is None else self.measured_us - sum(s.difference_us for s in self.steps)
        )


def hop_table(captures: Sequence[Hops]) -> list[HopRow]:
    """Median of each hop of an arm over its captures, one or more, with an interval."""
    return [
        _row(hop, [hop_ns(capture.rows, hop) for capture in captures], sessions_of(captures))
        for hop in list_hops(_taps_of(captures))
    ]


def _row(hop: Hop, values_ns: list[NDArray[np.int64]], sessions: Sequence[int]) -> HopRow:
    medians = [float(np.median(values)) / 1e3 for values in values_ns]
    if len(medians) == 1:
        ci95, unit = median_interval_us(values_ns[0]), "request"
    else:
        found = estimate(medians, sessions)
        ci95, unit = found.ci95, "capture" if found.unit_of_replication == "block" else "session"
    return HopRow(
        name=hop.name,
        group=hop.group,
        ends=hop.ends,
        median_us=float(np.mean(medians)),
        ci95=ci95,
        unit_of_replication=unit,
    )


def sessions_of(captures: Sequence[Hops]) -> list[int]:
    """The session of each capture; all of one where a capture does not know."""
    places = [capture.place for capture in captures]
    return [place.session for place in places if place] if all(places) else [0] * len(captures)


def median_interval_us(values_ns: NDArray[np.int64]) -> Interval:
    """Two order statistics that hold the median in 95 of 100 samples or more, of any distribution.

    Hahn & Meeker, Statistical Intervals, 1991, section 5.2. Below six values, the extremes (and less
    than 95).
    """
    ordered = np.sort(values_ns)
    rank = max(int(stats.binom.ppf(0.025, len(ordered), 0.5)), 1)
    return float(ordered[rank - 1]) / 1e3, float(ordered[-rank]) / 1e3


def draw_waterfall(
    baseline: Sequence[Hops], candidate: Sequence[Hops], measured_us: float | None = None
) -> Waterfall:
    """Steps from the captures of one arm to those of another, compared between the taps that both have.

    The last taps count as one place, whatever their names: there the server begins. Raises InputError
    where the arms have no first tap in common, or the common ones in another order.
    """
    old, new = _pair(baseline, candidate)
    stretches = list(pairwise(_anchors(old.taps, new.taps)))
    steps = [_step(old, new, *stretch, Group.REQUEST) for stretch in stretches]
    steps.append(_whole_step(old, new, SERVER_HOP, Group.SERVER))
    steps += [_step(old, new, *stretch, Group.RESPONSE) for stretch in reversed(stretches)]
    steps.append(_whole_step(old, new, REST_HOP, Group.RESPONSE))
    return Waterfall(
        baseline_us=old.latency_us, candidate_us=new.latency_us, steps=tuple(steps), measured_us=measured_us
    )


@dataclass(frozen=True, eq=False)
class _Arm:
    taps: tuple[str, ...]
    latency_us: float
    means_us: dict[str, NDArray[np.float64]]
    """Of each hop, a value a capture; a value a block where arms are paired by it."""
    sessions: tuple[int, ...] | None
    """Of the blocks; None where captures are not paired."""

    @classmethod
    def of(cls, captures: Sequence[Hops], blocks: Sequence[Place] = ()) -> "_Arm":
        """Of all captures, or of those in `blocks`."""
        taps = _taps_of(captures)
        groups = [[c for c in captures if c.place == block] for block in blocks] or [[c] for c in captures]
        middles = {id(capture): middle_half(wire_latency_ns(capture)) for capture in captures}
        wires = [
            np.mean([wire_latency_ns(c)[middles[id(c)]].mean() / 1e3 for c in group]) for group in groups
        ]
        return cls(
            taps,
            float(np.mean(wires)),
            {
                hop.name: np.array(
                    [
                        np.mean([hop_ns(c.rows[middles[id(c)]], hop).mean() / 1e3 for c in group])
                        for group in groups
                    ]
                )
                for hop in list_hops(taps)
            },
            tuple(block.session for block in blocks) if blocks else None,
        )

    def hops(self, stretch: tuple[int, int], group: Group) -> list[str]:
        """Names of the hops between two taps, by their places."""
        taps = self.taps[stretch[0] : stretch[1] + 1]
        near_to_far = [hop.name for hop in list_hops(taps) if hop.group is group]
        return near_to_far[: len(taps) - 1]


def _pair(baseline: Sequence[Hops], candidate: Sequence[Hops]) -> tuple[_Arm, _Arm]:
    """Both arms by the blocks that both have captures in, where there are two such blocks or more."""
    places = [{capture.place for capture in captures} for captures in (baseline, candidate)]
    shared = sorted(place for place in places[0] & places[1] if place)
    if None in places[0] | places[1] or len(shared) < 2:
        return _Arm.of(baseline), _Arm.of(candidate)
    return _Arm.of(baseline, shared), _Arm.of(candidate, shared)


def _taps_of(captures: Sequence[Hops]) -> tuple[str, ...]:
    if len({capture.taps for capture in captures}) != 1 or not all(len(capture.rows) for capture in captures):
        raise InputError(
            "Comparing hops",
            "; ".join(f"{', '.join(c.taps)}: {len(c.rows)} requests" for c in captures) or "no captures",
            "Give the captures of one arm, each with the same taps and with matched requests.",
        )
    return captures[0].taps


def middle_half(latencies: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which requests of a capture count for a mean, by their latencies."""
    # Latencies that occur, so that there is always one between them.
    low = np.quantile(latencies, MIDDLE[0], method="lower")
    high = np.quantile(latencies, MIDDLE[1], method="higher")
    return np.asarray((latencies >= low) & (latencies <= high))


def _anchors(old: tuple[str, ...], new: tuple[str, ...]) -> list[tuple[int, int]]:
    shared = [tap for tap in old if tap in new]
    if old[0] != new[0] or shared != [tap for tap in new if tap in old]:
        raise InputError(
            "Comparing hops",
            f"taps {', '.join(old)} and {', '.join(new)}",
            "Begin both paths at the same tap, and name what both have in the same order.",
        )
    anchors = [(old.index(tap), new.index(tap)) for tap in shared]
    ends = (len(old) - 1, len(new) - 1)
    return anchors if anchors[-1] == ends else [*anchors, ends]


def _step(old: _Arm, new: _Arm, near: tuple[int, int], far: tuple[int, int], group: Group) -> Step:
    old_hops, new_hops = old.hops((near[0], far[0]), group), new.hops((near[1], far[1]), group)
    parts: list[tuple[str, float]] = []
    if not old_hops or not new_hops:
        parts = [(name, _mean(new, name)) for name in new_hops] + [
            (name, -_mean(old, name)) for name in old_hops
        ]
    here = new if new_hops else old
    side = 1 if new_hops else 0
    ends = here.taps[near[side]], here.taps[far[side]]
    ends = ends if group is Group.REQUEST else (ends[1], ends[0])
    sums = _sum(old, old_hops), _sum(new, new_hops)
    found = _compare(name_stretch(group, ends), group, *sums, old.sessions)
    return replace(found, ends=ends, parts=tuple(parts))


def _whole_step(old: _Arm, new: _Arm, name: str, group: Group) -> Step:
    return _compare(name, group, old.means_us[name], new.means_us[name], old.sessions)


def _sum(arm: _Arm, hops: list[str]) -> NDArray[np.float64]:
    captures = len(arm.means_us[SERVER_HOP])
    return sum((arm.means_us[hop] for hop in hops), np.zeros(captures))


def _mean(arm: _Arm, hop: str) -> float:
    return float(arm.means_us[hop].mean())


def _compare(
    name: str,
    group: Group,
    old_us: NDArray[np.float64],
    new_us: NDArray[np.float64],
    sessions: tuple[int, ...] | None,
) -> Step:
    difference = float(new_us.mean() - old_us.mean())
    ci95: Interval | None = None
    if sessions:
        ci95 = estimate((new_us - old_us).tolist(), sessions).ci95
    elif min(len(old_us), len(new_us)) > 1:
        ci95 = difference, difference
        if max(np.ptp(old_us), np.ptp(new_us)) > EQUAL:
            found = stats.ttest_ind(new_us, old_us, equal_var=False).confidence_interval(0.95)
            ci95 = float(found.low), float(found.high)
    return Step(
        name=name,
        group=group,
        ends=None,
        baseline_us=float(old_us.mean()),
        candidate_us=float(new_us.mean()),
        difference_us=difference,
        ci95=ci95,
        parts=(),
    )
