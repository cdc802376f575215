"""CPU per request becomes tables: the whole machine, and what of it can be attributed to somebody."""

from collections.abc import Callable, Mapping
from statistics import fmean
from typing import Any

from bench.judgement.samples import MIN_BLOCKS
from bench.records.run import SlotRecord
from bench.report.run.answer import comparisons_of_arms
from bench.report.run.comparisons import word_of
from bench.report.run.selection import arm_names, present_conditions, slots_of
from bench.report.table import Table
from bench.report.text import (
    ABSENT,
    format_difference,
    format_interval,
    format_number,
    format_ratio,
    name_condition,
)
from bench.results.run import Run
from bench.scenario.metric import Metric
from bench.slots.cpu import CpuRecord, Kind, Share
from bench.statistics.estimate import estimate

Take = Callable[[CpuRecord], float | None]


def tell_cpu(run: Run) -> Mapping[str, Any] | None:
    """CPU per request, where it was measured."""
    tables = tabulate_cpu(run)
    return {"said": explain_cpu(), "tables": tables} if tables else None


def tabulate_cpu(run: Run) -> list[Table]:
    """Two tables a condition, of valid slots: means over blocks with 95 % intervals; none without CPU."""
    if not any(record.cpu for record in run.record.slots):
        return []
    return [
        table
        for condition in present_conditions(run)
        for table in (_tabulate_machine(run, condition), _tabulate_shares(run, condition))
    ]


def _tabulate_machine(run: Run, condition: int) -> Table:
    label, baseline = run.conditions[condition].label, run.record.scenario.baseline
    compared = {
        c.candidate: c
        for c in comparisons_of_arms(run)
        if c.metric is Metric.CPU_US_PER_REQUEST and c.condition == label
    }
    rows = []
    for arm in arm_names(run):
        records = slots_of(run, condition, arm)
        against = compared.get(arm)
        beside = (
            (format_difference(against), format_ratio(against.ratio, against.ci95), word_of(against))
            if against
            else ("the baseline" if arm == baseline else ABSENT, ABSENT, ABSENT)
        )
        kinds = [_mean(records, lambda cpu, kind=kind: cpu.sampled_us_per_request[kind]) for kind in Kind]  # type: ignore[misc]
        rows.append((arm, _mean(records, lambda cpu: cpu.us_per_request), *beside, *kinds))
    return Table(
        caption=name_condition(label, "CPU per request, us: the whole machine"),
        columns=(
            "Arm",
            "All cores, 95 %",
            f"Beyond {baseline}, 95 %",
            "Ratio, 95 %",
            "Word",
            *(f"{kind}, sampled" for kind in Kind),
        ),
        rows=tuple(rows),
    )


def _tabulate_shares(run: Run, condition: int) -> Table:
    arms = {arm: slots_of(run, condition, arm) for arm in arm_names(run)}
    seen = [record.cpu for records in arms.values() for record in records if record.valid and record.cpu]
    cores = list(dict.fromkeys((core.core, core.host) for cpu in seen for core in cpu.cores))
    takes: dict[str, Take] = {
        **{f"{share}, us": _take_share(share) for share in Share},
        **{f"core {core} ({host}), us": _take_core(core) for core, host in cores},
        **{f"core {core} ({host}), softirq us, sampled": _take_softirq(core) for core, host in cores},
        "Context switches": lambda cpu: cpu.context_switches_per_request,
        "NET_RX softirqs": lambda cpu: cpu.net_rx_per_request,
    }
    return Table(
        caption=name_condition(
            run.conditions[condition].label, "of it, as far as it can be attributed, a request"
        ),
        columns=("Arm", *takes),
        rows=tuple(
            (arm, *(_mean(records, take) for take in takes.values())) for arm, records in arms.items()
        ),
    )


def _take_share(share: Share) -> Take:
    return lambda cpu: cpu.attributed_us_per_request.get(share)


def _take_core(number: int) -> Take:
    return lambda cpu: next((core.us_per_request for core in cpu.cores if core.core == number), None)


def _take_softirq(number: int) -> Take:
    return lambda cpu: next((core.softirq_us_per_request for core in cpu.cores if core.core == number), None)


def _mean(records: list[SlotRecord], take: Take) -> str:
    """Mean over the blocks' means with its 95 % interval, which fewer than three blocks do not have."""
    blocks: dict[tuple[int, int], list[float]] = {}
    for record in records:
        value = take(record.cpu) if record.valid and record.cpu else None
        if value is not None:
            blocks.setdefault((record.slot.session, record.slot.block), []).append(value)
    if not blocks:
        return ABSENT
    means = [fmean(values) for values in blocks.values()]
    if len(means) < MIN_BLOCKS:
        return format_number(fmean(means))
    found = estimate(means, [session for session, _ in blocks])
    return f"{format_number(found.mean)} {format_interval(found.ci95, format_number)}"


def explain_cpu() -> list[str]:
    """What the tables' numbers are, and how far they can be trusted."""
    return [
        (
            "The whole machine is what is compared: the time that all cores, client's and server's, were"
            " not idle in the window, less what they were busy in the second before the load, per request"
            " of the window. The kernel stamps idle time exactly, and counts it in 10 ms."
        ),
        (
            "User, system, irq, softirq and steal are a sample: each tick of the clock counts for what it"
            " interrupts, so that they need not add up to the whole. What is attributed is exact to 10 ms,"
            " yet a part: the kernel's work on a packet is done in whichever context the packet arrives,"
            " and what interrupts a process is counted as its time."
        ),
    ]
