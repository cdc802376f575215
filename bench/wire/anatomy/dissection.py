"""Where the microseconds of each arm went, from the capture slots of a run.

Taps cost time themselves, and cost an arm more that has more of them: the shares and hops here are of
slots with taps, and what they explain is the difference that slots without taps measured.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bench.judgement.change import Change, pair_conditions
from bench.judgement.comparison import Compared, Comparison
from bench.scenario.conditions import Condition, conditions
from bench.scenario.metric import Metric
from bench.scenario.modes.footprint import Counter as Moved
from bench.scenario.modes.model import NetworkMode
from bench.scenario.scenario import Scenario
from bench.statistics.estimate import estimate
from bench.wire.anatomy.model import (
    Anatomy,
    ArmAnatomy,
    Bar,
    Captured,
    Explanation,
    Handshake,
    Mean,
    NamedHop,
    Shares,
)
from bench.wire.anatomy.waterfall import (
    Interval,
    Step,
    draw_waterfall,
    hop_table,
    median_interval_us,
    middle_half,
)
from bench.wire.hops import Group, hop_ns, list_hops, wire_latency_ns

P50 = Metric.P50_LATENCY_US
TAPS = "lab.taps"
"""The factor whose changes are what taps cost."""
NO_LOSS = ("packets", "other packets", "connections")
"""Of a tap's counts, those that are no sign of loss or of a bad capture."""
LINK = "link, switch, receive queue"
"""Between the client's interface and the Docker host's: the switch's work, and the queue that the
receiving host's cores take packets from."""
SERVER = "server: kernel TCP, Apache and back"
REST = "response's later packets"


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
    measured = _Measured(scenario, conditions(scenario), comparisons, changes)
    return Anatomy(
        arms=tuple(arms.values()),
        explanations=tuple(_explain_arms(scenario, found, arms, measured)),
        contrasts=tuple(_explain_conditions(scenario, found, arms, measured)),
        left_out=dict(left),
    )


def name_hop(network: NetworkMode, near: str, far: str, group: Group) -> str:
    """What happens on the way of a request from tap `near` to tap `far`, or of its response back.

    From the mode's own data: where it forwards, translates or copies. Taps that are not there leave
    their parts in one hop. Places that the mode does not have are named as they are.
    """
    stretches = _list_stretches(network)
    places = ["client", *(place for place, _, _ in stretches)]
    if near not in places or far not in places[places.index(near) + 1 :]:
        return f"{near} to {far}" if group is Group.REQUEST else f"{far} to {near}"
    passed = stretches[places.index(near) : places.index(far)]
    if group is Group.RESPONSE:
        return "; ".join(back for _, _, back in reversed(passed))
    return "; ".join(there for _, there, _ in passed)


def _list_stretches(network: NetworkMode) -> list[tuple[str, str, str]]:
    """Each place behind the client, with what lies before it on the way there, and on the way back."""
    stretches = [("uplink", LINK, LINK)]
    if network.in_host_network:
        return stretches
    if Moved.VETH not in network.path:
        driver = network.network.driver if network.network else "handing over"
        return [*stretches, ("container", f"{driver} to the container's link", f"{driver} to the uplink")]
    there = back = "routing, forward rules"
    if Moved.OPENED in network.path:
        there = back = "docker-proxy: two sockets and a copy"
    elif Moved.DNAT in network.path:
        there, back = f"conntrack, DNAT, {there}", f"conntrack, NAT undone, {back}"
    if Moved.BRIDGE in network.path:
        stretches.append(("bridge", there, back))
        there = back = "bridge"
    return [*stretches, ("veth", there, back), ("container", "veth pair", "veth pair")]


def _title(network: NetworkMode, name: str) -> str:
    """The title of a hop by its name in `list_hops`."""
    if name == "server":
        return SERVER
    group, _, ends = name.partition(": ")
    if ends == "rest":
        return REST
    first, _, second = ends.partition(" to ")
    near, far = (first, second) if group == Group.REQUEST else (second, first)
    return name_hop(network, near, far, Group(group))


def _dissect_arm(scenario: Scenario, captured: Sequence[Captured]) -> ArmAnatomy:
    first = captured[0]
    network = scenario.network(scenario.arm(first.arm))
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
                title=_title(network, row.name),
                mean=_mean(
                    [hop_ns(c.rows[middle], hop).mean() for c, middle in zip(hops, middles, strict=True)]
                ),
            )
            for row, hop in zip(hop_table(hops), list_hops(first.hops.taps), strict=True)
        ),
        wire=_mean([wire_latency_ns(c)[middle].mean() for c, middle in zip(hops, middles, strict=True)]),
        shares=_share(captured),
        handshakes=tuple(_find_handshakes(captured)),
        packets=sum(tap.counts.get("packets", 0) for capture in captured for tap in capture.taps),
        dropped=sum(tap.dropped for capture in captured for tap in capture.taps),
        losses=dict(losses),
    )


def _mean(values_ns: Sequence[float]) -> Mean:
    values_us = [float(value) / 1e3 for value in values_ns]
    ci95 = estimate(values_us, [0] * len(values_us)).ci95 if len(values_us) > 1 else None
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
    return Shares(
        **{"request": Mean(us=0, ci95=None)} | {name: _mean(means) for name, means in parts.items()}
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


Cells = Mapping[tuple[int, str], Sequence[Captured]]
Dissected = Mapping[tuple[int, str], ArmAnatomy]


@dataclass(frozen=True)
class _Measured:
    """What the run concluded of slots without taps, and of the taps themselves."""

    scenario: Scenario
    conditions: Sequence[Condition]
    comparisons: Sequence[Comparison]
    changes: Sequence[Change]

    def without_taps(self, condition: int) -> str | None:
        """Label of the condition that differs in the taps alone; None where there is none."""
        tapped = self.conditions[condition]
        lab = tapped.lab.model_copy(update={"taps": False})
        return next((c.label for c in self.conditions if (c.load, c.lab) == (tapped.load, lab)), None)

    def difference_of_arms(self, candidate: str, condition: int) -> tuple[float | None, Interval | None]:
        label = self.without_taps(condition)
        for found in self.comparisons:
            if (found.kind, found.candidate, found.metric, found.condition) == (
                Compared.ARMS,
                candidate,
                P50,
                label,
            ):
                return found.difference, found.difference_ci95
        return None, None

    def difference_of_conditions(
        self, arm: str, reference: int, condition: int
    ) -> tuple[float | None, Interval | None]:
        labels = self.without_taps(reference), self.without_taps(condition)
        for found in self._changes(arm, arm):
            if (found.reference_condition, found.condition) == labels:
                return found.difference, found.difference_ci95
        return None, None

    def cost_of_taps(self, arm: str, condition: int) -> float | None:
        for found in self._changes(arm, arm):
            if found.factor == TAPS and self.conditions[condition].label in (
                found.condition,
                found.reference_condition,
            ):
                # Levels stand in the scenario's order, which may begin with taps.
                sign = 1 if found.level == "true" else -1
                return None if found.difference is None else sign * found.difference
        return None

    def _changes(self, baseline: str, candidate: str) -> Iterator[Change]:
        for found in self.changes:
            if (found.metric, found.baseline, found.candidate) == (P50, baseline, candidate):
                yield found


def _explain_arms(
    scenario: Scenario, found: Cells, arms: Dissected, measured: _Measured
) -> Iterator[Explanation]:
    for condition, arm in arms:
        baseline = (condition, scenario.baseline)
        if arm != scenario.baseline and baseline in arms:
            difference = measured.difference_of_arms(arm, condition)
            yield _explain(scenario, found, arms, (baseline, (condition, arm)), None, difference, measured)


def _explain_conditions(
    scenario: Scenario, found: Cells, arms: Dissected, measured: _Measured
) -> Iterator[Explanation]:
    absent = [
        index
        for index in range(len(measured.conditions))
        if index not in {condition for condition, _ in arms}
    ]
    for pair in pair_conditions(scenario, absent):
        for arm in (arm.name for arm in scenario.arms):
            before, after = (pair.reference, arm), (pair.condition, arm)
            if before in arms and after in arms:
                difference = measured.difference_of_conditions(arm, pair.reference, pair.condition)
                yield _explain(scenario, found, arms, (before, after), pair.factor, difference, measured)


def _explain(
    scenario: Scenario,
    found: Cells,
    arms: Dissected,
    ends: tuple[tuple[int, str], tuple[int, str]],
    factor: str | None,
    difference: tuple[float | None, Interval | None],
    measured: _Measured,
) -> Explanation:
    old, new = (arms[end] for end in ends)
    measured_us, measured_ci95 = difference
    waterfall = draw_waterfall(
        [capture.hops for capture in found[ends[0]]],
        [capture.hops for capture in found[ends[1]]],
        measured_us,
    )
    costs = [measured.cost_of_taps(arm, condition) for condition, arm in ends]
    return Explanation(
        baseline=old.arm,
        candidate=new.arm,
        reference=old.condition,
        condition=new.condition,
        factor=factor,
        waterfall=waterfall,
        bars=tuple(bar for step in waterfall.steps for bar in _list_bars(scenario, step, old, new)),
        measured_ci95=measured_ci95,
        client_us=new.shares.client.us - old.shares.client.us,
        taps_us=None if costs[0] is None or costs[1] is None else costs[1] - costs[0],
    )


def _list_bars(scenario: Scenario, step: Step, old: ArmAnatomy, new: ArmAnatomy) -> Iterator[Bar]:
    if not step.parts:
        titles = [_title(scenario.network(scenario.arm(arm.arm)), step.name) for arm in (new, old)]
        title = " instead of ".join(dict.fromkeys(titles))
        yield Bar(title=title, group=step.group, us=step.difference_us, ci95=step.ci95)
        return
    added = {hop.row.name: hop for hop in new.hops}
    saved = {hop.row.name: hop for hop in old.hops}
    for name, us in step.parts:
        hop = added.get(name) or saved[name]
        ci95 = hop.mean.ci95
        if ci95 is not None and name not in added:
            ci95 = -ci95[1], -ci95[0]
        yield Bar(title=hop.title, group=step.group, us=us, ci95=ci95)
