"""Where the microseconds of each arm went, from the capture slots of a run.

Taps cost time themselves, and cost an arm more that has more of them: the shares and hops here are of
slots with taps, and what they explain is the difference that slots without taps measured.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from bench.judgement.change import Change
from bench.judgement.comparison import Comparison
from bench.scenario.conditions import conditions
from bench.scenario.scenario import Scenario
from bench.scenario.served import name_served
from bench.statistics.estimate import estimate
from bench.wire.anatomy.explanation import Known, explain_arms, explain_conditions
from bench.wire.anatomy.hop_names import title_hop
from bench.wire.anatomy.model import Anatomy, ArmAnatomy, Captured, Handshake, Mean, NamedHop, Shares
from bench.wire.anatomy.waterfall import hop_table, median_interval_us, middle_half, sessions_of
from bench.wire.hops import hop_ns, list_hops, wire_latency_ns

NO_LOSS = ("packets", "other packets", "connections")
"""Of a tap's counts, those that are no sign of loss or of a bad capture."""


def dissect(
    scenario: Scenario,
    captured: Sequence[Captured],
    comparisons: Sequence[Comparison],
    changes: Sequence[Change],
    left_out: Mapping[str, int],
) -> Anatomy:
    """The anatomy of a run, from its valid captures and from what it concluded without taps."""
    found: dict[tuple[int, str], list[Captured]] = {}
    left = Counter(left_out)
    for capture in captured:
        if len(capture.hops.rows):
            found.setdefault((capture.condition, capture.arm), []).append(capture)
        else:
            left[capture.arm] += 1
    order = [arm.name for arm in scenario.arms]
    cells = sorted(found, key=lambda cell: (cell[0], order.index(cell[1])))
    arms = {cell: _dissect_arm(scenario, found[cell]) for cell in cells}
    known = Known(scenario, conditions(scenario), found, arms, comparisons, changes)
    return Anatomy(
        arms=tuple(arms.values()),
        explanations=tuple(explain_arms(known)),
        contrasts=tuple(explain_conditions(known)),
        left_out=dict(left),
    )


def _dissect_arm(scenario: Scenario, captured: Sequence[Captured]) -> ArmAnatomy:
    first = captured[0]
    network = scenario.network(scenario.arm(first.arm))
    vantage = conditions(scenario)[first.condition].load.vantage
    hops = [capture.hops for capture in captured]
    middles = [middle_half(wire_latency_ns(capture)) for capture in hops]
    losses: Counter[str] = Counter()
    for tap in (tap for capture in captured for tap in capture.taps):
        losses.update({name: seen for name, seen in tap.counts.items() if name not in NO_LOSS})
    return ArmAnatomy(
        arm=first.arm,
        condition=first.condition,
        captures=len(captured),
        requests=sum(len(capture.rows) for capture in hops),
        expected=sum(capture.expected for capture in hops),
        taps=first.hops.taps,
        hops=tuple(
            NamedHop(
                row=row,
                title=title_hop(network, hop.group, hop.ends, name_served(scenario), vantage),
                mean=_mean(
                    [hop_ns(c.rows[middle], hop).mean() for c, middle in zip(hops, middles, strict=True)],
                    sessions_of(hops),
                ),
            )
            for row, hop in zip(hop_table(hops), list_hops(first.hops.taps), strict=True)
        ),
        wire=_mean(
            [wire_latency_ns(c)[middle].mean() for c, middle in zip(hops, middles, strict=True)],
            sessions_of(hops),
        ),
        shares=_share(captured),
        handshakes=tuple(_find_handshakes(captured)),
        packets=sum(tap.counts.get("packets", 0) for capture in captured for tap in capture.taps),
        dropped=sum(tap.dropped for capture in captured for tap in capture.taps),
        losses=dict(losses),
    )


def _mean(values_ns: Sequence[float], sessions: Sequence[int]) -> Mean:
    values_us = [float(value) / 1e3 for value in values_ns]
    ci95 = estimate(values_us, sessions).ci95 if len(values_us) > 1 else None
    return Mean(us=float(np.mean(values_us)), ci95=ci95)


def _share(captured: Sequence[Captured]) -> Shares:
    """Of the middle half by service time, so that the parts are of the same requests as their sum."""
    parts: dict[str, list[float]] = {}
    for capture in captured:
        rows, middle = capture.hops.rows, middle_half(capture.service_ns)
        taken = {"service": capture.service_ns, "client": capture.service_ns - wire_latency_ns(capture.hops)}
        for hop in list_hops(capture.hops.taps):
            taken[hop.group.value] = taken.get(hop.group.value, 0) + hop_ns(rows, hop)
        for name, values_ns in taken.items():
            parts.setdefault(name, []).append(float(values_ns[middle].mean()))
    # A path with one tap has no hop before the server.
    sessions = sessions_of([capture.hops for capture in captured])
    return Shares(
        **{"request": Mean(us=0, ci95=None)} | {name: _mean(means, sessions) for name, means in parts.items()}
    )


def _find_handshakes(captured: Sequence[Captured]) -> Iterator[Handshake]:
    for place, tap in enumerate(captured[0].hops.taps):
        seen_us = [us for capture in captured for us in capture.taps[place].handshakes_us]
        if seen_us:
            values_ns = np.round(np.array(seen_us) * 1e3).astype(np.int64)
            yield Handshake(
                tap=tap,
                median_us=float(np.median(values_ns)) / 1e3,
                ci95=median_interval_us(values_ns),
                connections=len(seen_us),
            )
