"""The anatomy of a run becomes tables and sentences: hops, shares, what is explained, and what is not."""

from collections.abc import Sequence

from bench.report.symbols import ARROWS
from bench.report.text import (
    count,
    format_number,
    join_words,
    name_condition,
)
from bench.results.run import Run
from bench.scenario.metric import Metric
from bench.scenario.served import name_served
from bench.wire.anatomy.model import TAPS, Explanation
from bench.wire.anatomy.waterfall import Interval
from bench.wire.hops import Group

P50 = Metric.P50_LATENCY_US
TOLD_LOSSES = ("retransmitted", "handshakes sent again", "resets", "out of order")
WHAT_SERVES = "{served}"
LIMITS = (
    (
        "The server is one hop: from the last tap to the response's first packet there. Taking the packet"
        " from the last interface through TCP, waiting in the socket's queue, waking {served}, its work and"
        " sending are not told apart."
    ),
    (
        "The client's share lies outside of the taps: from the generator's stamp down to the first interface"
        " before the first tap, and up from there to the waking reader after the last. It is what the taps"
        " leave of the client's own time, not seen by itself."
    ),
    (
        "Queues lie within hops: a packet that waits for an interface or for a core adds to the hop in which"
        " it waits, and looks like work there."
    ),
    (
        "The wait for a core is told from work by no setting here: a TCP packet that crosses a veth carries"
        " its sender's pacing time where a received packet has its time of receipt, so that Linux stamps it"
        " at the tap, after the wait, whatever netdev_tstamp_prequeue says."
    ),
    (
        "A tap costs time itself, and its cost lands in the hop behind it: a hop is longer here than without"
        " taps. So the difference that the hops are to explain is measured in slots without taps."
    ),
    "The load is a low rate of evenly spaced requests: what would queue under more load is not seen here.",
    (
        "A hop is named after what the kernel is known to do between its two taps. The taps time it, and do"
        " not look inside."
    ),
)
"""What the taps cannot see; `{served}` stands for what serves."""
UNEXPLAINED = (
    "Unexplained is the difference without taps minus the sum of the hops. The client's side, outside of the"
    " taps, is part of it; so is what taps cost one arm more than the other, which is in the hops and not in"
    " that difference. The remainder is noise, how late requests were sent, and that a p50 is not the mean of"
    " the middle half."
)


def list_limits(run: Run) -> list[str]:
    """What the taps of `run` cannot see."""
    served = name_served(run.record.scenario)
    return [limit.replace(WHAT_SERVES, served) for limit in LIMITS]


def name_outside(run: Run) -> str:
    """What lies before the first tap: the client; of real hosts, whose taps are all on the Docker host, the
    wire as well."""
    return "Wire and client" if run.record.on_real_hosts else "Client"


def tapped_conditions(run: Run) -> list[int]:
    """Conditions under which any slot with taps was measured, by index."""
    return sorted({record.slot.condition for record in run.tapped})


def name_side(run: Run, arm: str, condition: int) -> str:
    """An arm, with its condition where several have taps."""
    return f"{arm} ({label_of(run, condition)})" if len(tapped_conditions(run)) > 1 else arm


def label_of(run: Run, condition: int) -> str:
    """A condition's label without the taps, which all of these have."""
    return ", ".join(_settings_of(run, condition).values())


def _settings_of(run: Run, condition: int) -> dict[str, str]:
    return {factor: name for factor, name in run.conditions[condition].settings if factor != TAPS}


def name_explanation(run: Run, found: Explanation) -> str:
    """`host → bridge`, or `bridge: forward_rules=0 → forward_rules=500, at server_wait_us=40`."""
    if found.factor is None:
        return name_condition(label_of(run, found.condition), f"{found.baseline} → {found.candidate}")
    before, after = (_settings_of(run, condition) for condition in (found.reference, found.condition))
    old, new = before.pop(found.factor), after[found.factor]
    shared = before.values()
    return f"{found.candidate}: {old} → {new}{', at ' if shared else ''}{', '.join(shared)}"


def format_us(us: float, interval: Interval | None = None, *, signed: bool = False) -> str:
    """Microseconds with two decimals, which nanosecond stamps of thousands of requests give."""

    def number(value: float) -> str:
        # Nothing has no sign: -0.001 is +0.00.
        return f"{round(value, 2) + 0.0:{'+' if signed else ''}.2f}"

    ends = f" [{number(interval[0])}, {number(interval[1])}]" if interval else ""
    return f"{number(us)} us{ends}"


def format_range(values_us: Sequence[float]) -> str:
    """`24.9 to 25.2 us`."""
    ends = dict.fromkeys(format_number(end) for end in (min(values_us), max(values_us)))
    return f"{' to '.join(ends)} us"


def describe_anatomy(run: Run) -> list[str]:
    """How many captures there are, and what makes each difference; of several conditions the first one's."""
    anatomy = run.anatomy
    captures = sum(arm.captures for arm in anatomy.arms)
    requests = sum(arm.requests for arm in anatomy.arms)
    said = [
        (
            f"Every packet was captured at each tap on its way in {count(captures, 'valid slot')} with taps:"
            f" {requests:,} requests were found at all taps of their path, and timed there by one clock."
            " No comparison and no claim rests on these slots: taps cost time themselves."
        )
    ]
    if anatomy.left_out:
        left = join_words([f"{arm} {number}" for arm, number in anatomy.left_out.items()])
        number = count(sum(anatomy.left_out.values()), "slot")
        said.append(f"Left out, for a failed gate or without a request: {number} with taps ({left}).")
    first = min((found.condition for found in anatomy.explanations), default=0)
    said += [_describe_arm(run, found) for found in anatomy.explanations if found.condition == first]
    said += [_describe_contrast(run, found) for found in anatomy.contrasts]
    if any(found.waterfall.measured_us is not None for found in anatomy.explanations):
        said.append(UNEXPLAINED)
    return said


def _describe_arm(run: Run, found: Explanation) -> str:
    ways_us = {group: sum(bar.us for bar in found.bars if bar.group is group) for group in Group}
    server = next(step for step in found.waterfall.steps if step.group is Group.SERVER)
    parts = [
        f"{format_us(ways_us[Group.REQUEST], signed=True)} on the request's way",
        f"{format_us(server.difference_us, server.ci95, signed=True)} at the server",
        f"{format_us(ways_us[Group.RESPONSE], signed=True)} on the response's way",
    ]
    measured_us = found.waterfall.measured_us
    measured = (
        f" Without taps {format_us(measured_us, found.measured_ci95, signed=True)} were measured."
        if measured_us is not None
        else ""
    )
    return f"{_describe_sum(run, found)}: {join_words(parts)}. {_describe_largest(found)}.{measured}"


def _describe_contrast(run: Run, found: Explanation) -> str:
    return f"{_describe_sum(run, found)}. {_describe_largest(found)}."


def _describe_sum(run: Run, found: Explanation) -> str:
    total_us = found.waterfall.candidate_us - found.waterfall.baseline_us
    return f"{name_explanation(run, found)}: {format_us(total_us, signed=True)} on the wire"


def _describe_largest(found: Explanation) -> str:
    largest = max(found.bars, key=lambda bar: abs(bar.us))
    size = format_us(largest.us, largest.ci95, signed=True)
    return f"The largest part is {ARROWS[largest.group]} {largest.title}, {size}"
