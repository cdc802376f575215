"""The anatomy of a run becomes tables and sentences: hops, shares, what is explained, and what is not."""

from collections.abc import Iterator, Sequence

import pandas as pd

from bench.judgement.change import Change
from bench.report.panels import arm_names
from bench.report.run.slot_tables import GATE_COLUMNS, list_gates
from bench.report.table import Table
from bench.report.text import (
    ABSENT,
    count,
    format_change,
    format_number,
    format_ratio,
    join_words,
    name_condition,
)
from bench.results.run import Run
from bench.scenario.model import Metric
from bench.wire.anatomy.dissection import TAPS, Anatomy, ArmAnatomy, Explanation, Mean
from bench.wire.anatomy.waterfall import Interval
from bench.wire.hops import Group

P50 = Metric.P50_LATENCY_US
ARROWS = {Group.REQUEST: "→", Group.SERVER: "●", Group.RESPONSE: "←"}
"""Before the name of a hop: on the way there, at the server, on the way back."""
TOLD_LOSSES = ("retransmitted", "handshakes sent again", "resets", "out of order")
CAPTURE_GATES = "capture"
"""How the names of the gates on captures begin."""
LIMITS = (
    (
        "The server is one hop: from the last tap to the response's first packet there. Taking the packet"
        " from the last interface through TCP, waiting in the socket's queue, waking Apache, its work and"
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
"""What the taps cannot see."""
UNEXPLAINED = (
    "Unexplained is the difference without taps minus the sum of the hops. The client's side, outside of the"
    " taps, is part of it; so is what taps cost one arm more than the other, which is in the hops and not in"
    " that difference. The remainder is noise, how late requests were sent, and that a p50 is not the mean of"
    " the middle half."
)


def tapped_conditions(run: Run) -> list[int]:
    """Conditions under which any slot with taps was measured, by index."""
    return sorted({record.slot.condition for record in run.tapped})


def name_side(run: Run, arm: str, condition: int) -> str:
    """An arm, with its condition where several have taps."""
    return f"{arm} ({label_of(run, condition)})" if len(tapped_conditions(run)) > 1 else arm


def label_of(run: Run, condition: int) -> str:
    """A condition's label without the taps, which all of these have."""
    settings = run.conditions[condition].label.split(", ")
    return ", ".join(setting for setting in settings if setting != "taps=true")


def name_explanation(run: Run, found: Explanation) -> str:
    """`host → bridge`, or `bridge: forward_rules=0 → forward_rules=500, at server_wait_us=40`."""
    if found.factor is None:
        return name_condition(label_of(run, found.condition), f"{found.baseline} → {found.candidate}")
    before, after = (label_of(run, condition).split(", ") for condition in (found.reference, found.condition))
    [(old, new)] = [ends for ends in zip(before, after, strict=True) if ends[0] != ends[1]]
    shared = [setting for setting in before if setting != old]
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


def tabulate_hops(run: Run) -> list[Table]:
    """Medians by hop and arm, a table a condition; behind them the hops of each arm by themselves."""
    tables = []
    for place, condition in enumerate(tapped_conditions(run)):
        arms = [arm for arm in run.anatomy.arms if arm.condition == condition]
        if not arms:
            continue
        tables.append(
            Table(
                caption=name_condition(label_of(run, condition), "Median of each hop, 95 %"),
                columns=("Hop", *(arm.arm for arm in arms)),
                rows=tuple(_median_cells(arms, name, group) for name, group in order_hops(arms)),
                folded=place > 0,
            )
        )
    tables += [_tabulate_arm(run, arm) for arm in run.anatomy.arms]
    return tables


def order_hops(arms: Sequence[ArmAnatomy]) -> list[tuple[str, Group]]:
    """The hops of several arms, by name, in the order of time; those with more taps come in between."""
    order: list[tuple[str, Group]] = []
    for arm in sorted(arms, key=lambda arm: -len(arm.taps)):
        place = 0
        for hop in arm.hops:
            key = (hop.row.name, hop.row.group)
            if key not in order:
                order.insert(place, key)
            place = order.index(key) + 1
    return order


def _name_hop(name: str, group: Group) -> str:
    return f"{ARROWS[group]} {name.partition(': ')[2] or name}"


def _median_cells(arms: Sequence[ArmAnatomy], name: str, group: Group) -> tuple[str, ...]:
    """A row of medians; what happens in the hop stands once where it is the same in all arms."""
    hops = [next((hop for hop in arm.hops if hop.row.name == name), None) for arm in arms]
    titles = {hop.title for hop in hops if hop}
    same = len(titles) == 1
    return (
        _name_hop(name, group) + (f"\n{titles.pop()}" if same else ""),
        *(
            format_us(hop.row.median_us, hop.row.ci95) + ("" if same else f"\n{hop.title}") if hop else ABSENT
            for hop in hops
        ),
    )


def _tabulate_arm(run: Run, arm: ArmAnatomy) -> Table:
    columns = ("Hop", "What happens in it", "Median, 95 %", "Mean of the middle half, 95 %", "Interval over")
    return Table(
        caption=f"{name_side(run, arm.arm, arm.condition)}, hop by hop ({count(arm.captures, 'capture')})",
        columns=columns,
        rows=(
            *(
                (
                    _name_hop(hop.row.name, hop.row.group),
                    hop.title,
                    format_us(hop.row.median_us, hop.row.ci95),
                    format_us(hop.mean.us, hop.mean.ci95),
                    f"{hop.row.unit_of_replication}s",
                )
                for hop in arm.hops
            ),
            ("sum: on the wire", ABSENT, ABSENT, format_us(arm.wire.us, arm.wire.ci95), ABSENT),
        ),
        prose=frozenset({"What happens in it"}),
        folded=True,
    )


def tabulate_shares(run: Run) -> Table:
    """A request's time from sent to done, in parts that add up to it."""
    return Table(
        caption="A request's time from sent to done, and its parts (means of the middle half, 95 %)",
        columns=("Arm", "Sent to done", "Client", "Request's way", "Server", "Response's way"),
        rows=tuple(
            (
                name_side(run, arm.arm, arm.condition),
                format_us(arm.shares.service.us, arm.shares.service.ci95),
                *(
                    _share(part, arm.shares.service.us)
                    for part in (
                        arm.shares.client,
                        arm.shares.request,
                        arm.shares.server,
                        arm.shares.response,
                    )
                ),
            )
            for arm in run.anatomy.arms
        ),
    )


def _share(part: Mean, whole_us: float) -> str:
    return f"{format_us(part.us, part.ci95)}\n{100 * part.us / whole_us:.1f} %"


def tabulate_explained(run: Run) -> Table:
    """What the hops explain of each measured difference, and what is left of it and why."""
    return Table(
        caption="What the hops explain, and what they leave",
        columns=(
            "From → to",
            "Measured without taps, 95 %",
            "Hops, with taps",
            "Unexplained",
            "Client's side",
            "Taps' own cost",
            "Remainder",
        ),
        rows=tuple(
            (
                name_explanation(run, found),
                _signed(found.waterfall.measured_us, found.measured_ci95),
                _signed(found.waterfall.candidate_us - found.waterfall.baseline_us),
                _signed(found.waterfall.unexplained_us),
                _signed(found.client_us),
                _signed(None if found.taps_us is None else -found.taps_us),
                _signed(found.remainder_us),
            )
            for found in (*run.anatomy.explanations, *run.anatomy.contrasts)
        ),
    )


def _signed(us: float | None, interval: Interval | None = None) -> str:
    return ABSENT if us is None else format_us(us, interval, signed=True)


def tabulate_losses(run: Run) -> Table:
    """What was lost or sent again at all taps of an arm, and how long its handshakes took."""
    return Table(
        caption="Signs of loss at all taps together, and handshakes (SYN to SYN-ACK, median, 95 %)",
        columns=(
            "Arm",
            "Captures",
            "Requests matched",
            "Packets",
            "Dropped by the taps",
            "Sent again",
            "SYN sent again",
            "Resets",
            "Out of order",
            "Other signs",
            "Handshake at the first tap",
            "At the last tap",
        ),
        rows=tuple(
            (
                name_side(run, arm.arm, arm.condition),
                f"{arm.captures}",
                f"{arm.requests:,} of {arm.expected:,}",
                f"{arm.packets:,}",
                f"{arm.dropped:,}",
                *(f"{arm.losses.get(name, 0):,}" for name in TOLD_LOSSES),
                join_words(
                    [
                        f"{name} {number:,}"
                        for name, number in arm.losses.items()
                        if number and name not in TOLD_LOSSES
                    ]
                )
                or "none",
                *(_handshake(arm, tap) for tap in (arm.taps[0], arm.taps[-1])),
            )
            for arm in run.anatomy.arms
        ),
        prose=frozenset({"Other signs"}),
    )


def _handshake(arm: ArmAnatomy, tap: str) -> str:
    for found in arm.handshakes:
        if found.tap == tap:
            return f"{format_us(found.median_us, found.ci95)}\n{count(found.connections, 'connection')}"
    return ABSENT


def tabulate_taps(run: Run) -> Table:
    """What the taps cost each arm at the p50, by the run's own changes between without and with."""
    return Table(
        caption="What the taps themselves cost, p50 latency",
        columns=("Arm", "Taps", "Change, 95 %", "A tap", "Ratio of the two, 95 %", "Word", "Notes"),
        rows=tuple(_list_costs(run)),
        prose=frozenset({"Arm", "Notes"}),
    )


def _list_costs(run: Run) -> Iterator[tuple[str, ...]]:
    taps = {arm.arm: len(arm.taps) for arm in run.anatomy.arms}
    for change in run.verdict.changes:
        if (change.factor, change.kind, change.metric) != (TAPS, "arm", P50):
            continue
        yield (
            change.candidate + _held(change),
            str(taps.get(change.candidate, ABSENT)),
            format_change(change.difference, change.difference_ci95, change.unit),
            f"{format_number(change.difference / taps[change.candidate])} us"
            if change.difference is not None and change.candidate in taps
            else ABSENT,
            format_ratio(change.ratio, change.ci95),
            str(change.word),
            "; ".join(change.notes) or ABSENT,
        )


def _held(change: Change) -> str:
    held = [s for s in change.condition.split(", ") if s in change.reference_condition.split(", ")]
    return f"\n{', '.join(held)}" if held else ""


def tabulate_capture_gates(run: Run) -> Table:
    """The gates on the captures, a row a gate and arm."""
    return Table(
        caption="Gates of the captures",
        columns=GATE_COLUMNS,
        rows=tuple(row for row in list_gates(run) if row[0].startswith(CAPTURE_GATES)),
        prose=frozenset({"What is counted"}),
    )


def tabulate_traces(run: Run) -> list[Table]:
    """For each arm one request and its response at every tap, from the sample of its first capture."""
    return [_tabulate_trace(arm, slot, found) for arm, slot, found in _trace_arms(run)]


def _trace_arms(run: Run) -> Iterator[tuple[str, int, pd.DataFrame]]:
    for arm in arm_names(run):
        for record in run.tapped:
            if record.slot.arm == arm and record.valid and record.capture:
                found = run.trace(record.slot.index)
                if len(found):
                    yield arm, record.slot.index, found
                    break


def _tabulate_trace(arm: str, slot: int, found: pd.DataFrame) -> Table:
    return Table(
        caption=f"{arm}: request {found['id'].iloc[0]} of slot {slot} at every tap",
        columns=(
            "Tap",
            "Link",
            "Source → destination",
            "MAC addresses",
            "TTL",
            "Rewritten since the tap before",
        ),
        rows=tuple(
            (
                f"{ARROWS[Group(seen['direction'])]} {seen['tap']}",
                f"{seen['link']}\n{seen['host']}",
                f"{seen['source']} → {seen['destination']}",
                f"{seen['source_mac']} → {seen['destination_mac']}" if seen["source_mac"] else ABSENT,
                str(seen["ttl"]),
                seen["rewritten"] or ABSENT,
            )
            for seen in found.to_dict("records")
        ),
        prose=frozenset({"Rewritten since the tap before"}),
        folded=True,
    )


def summarise_anatomy(run: Run) -> dict[str, object] | None:
    """All that the section says; None where no slot had taps."""
    if not run.tapped:
        return None
    anatomy: Anatomy = run.anatomy
    tables = [tabulate_taps(run), tabulate_capture_gates(run)]
    if anatomy.arms:
        tables = [tabulate_explained(run), tabulate_shares(run), tabulate_losses(run), *tables]
    return {
        "said": describe_anatomy(run),
        "hops": tabulate_hops(run),
        "tables": [table for table in tables if table.rows],
        "limits": LIMITS,
        "traces": tabulate_traces(run),
    }
