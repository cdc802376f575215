"""Tables of where the microseconds go."""

from collections.abc import Mapping, Sequence
from typing import Any

from bench.report.run.anatomy import (
    TOLD_LOSSES,
    describe_anatomy,
    format_us,
    label_of,
    list_limits,
    name_explanation,
    name_outside,
    name_side,
    tapped_conditions,
)
from bench.report.run.taps import tabulate_capture_gates, tabulate_taps, tabulate_traces
from bench.report.symbols import ARROWS
from bench.report.table import Table
from bench.report.text import (
    ABSENT,
    count,
    join_words,
    name_condition,
)
from bench.results.run import Run
from bench.wire.anatomy.model import Anatomy, ArmAnatomy, Mean
from bench.wire.anatomy.waterfall import HopRow, Interval


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
                rows=tuple(_median_cells(arms, row) for row in order_hops(arms)),
                folded=place > 0,
            )
        )
    tables += [_tabulate_arm(run, arm) for arm in run.anatomy.arms]
    return tables


def order_hops(arms: Sequence[ArmAnatomy]) -> list[HopRow]:
    """The hops of several arms, each name once, in the order of time; those with more taps in between."""
    order: list[HopRow] = []
    for arm in sorted(arms, key=lambda arm: -len(arm.taps)):
        place = 0
        for row in (hop.row for hop in arm.hops):
            names = [known.name for known in order]
            if row.name not in names:
                order.insert(place, row)
                names.insert(place, row.name)
            place = names.index(row.name) + 1
    return order


def name_row(row: HopRow) -> str:
    """`→ client to uplink`."""
    return f"{ARROWS[row.group]} {row.label}"


def _median_cells(arms: Sequence[ArmAnatomy], row: HopRow) -> tuple[str, ...]:
    """A row of medians; what happens in the hop stands once where it is the same in all arms."""
    hops = [next((hop for hop in arm.hops if hop.row.name == row.name), None) for arm in arms]
    titles = {hop.title for hop in hops if hop}
    same = len(titles) == 1
    return (
        name_row(row) + (f"\n{titles.pop()}" if same else ""),
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
                    name_row(hop.row),
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
        columns=("Arm", "Sent to done", name_outside(run), "Request's way", "Server", "Response's way"),
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


def tell_anatomy(run: Run) -> Mapping[str, Any] | None:
    """All that the section says; None where no slot had taps."""
    if not run.tapped:
        return None
    anatomy: Anatomy = run.anatomy
    tables = [tabulate_taps(run), tabulate_capture_gates(run)]
    if anatomy.arms:
        tables = [tabulate_explained(run), tabulate_shares(run), tabulate_losses(run), *tables]
    return {
        "said": describe_anatomy(run),
        "tables": [*(table for table in tables if table.rows), *tabulate_hops(run)],
        "limits": list_limits(run),
        "traces": tabulate_traces(run),
    }
