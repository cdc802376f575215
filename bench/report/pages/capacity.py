"""The report of a capacity measurement: the knees, what bounds them, and every probe.

In HTML, in Markdown, and as the few tables that a terminal shows.
"""

from pathlib import Path
from statistics import median

from bench.judgement.capacity.bound import (
    Bound,
    compare_knees,
    find_bound,
    find_checks,
    name_workload,
)
from bench.judgement.capacity.curve import FittedKnee, fit_knee
from bench.judgement.capacity.knee import MAX_VOIDS, Outcome, is_given_up
from bench.judgement.capacity.record import NULL_SERVER, PROBE_S, CapacityRecord, Probe, Workload
from bench.report.pages.capacity_figure import draw_capacity
from bench.report.run.publish import FIGURES_FOLDER, HTML_FILE, MARKDOWN_FILE
from bench.report.svg import render_svg
from bench.report.table import Table
from bench.report.template import Illustration, fill
from bench.report.text import ABSENT, format_number, format_ratio, format_time
from bench.results import files
from bench.results.verification import describe_faults, find_capacity_faults
from bench.scenario.toml import scenario_toml

FIGURE = "capacity"


def write_capacity_report(record: CapacityRecord, folder: Path) -> None:
    """Write report.html, report.md and figures/capacity.svg into `folder`."""
    illustrations = []
    faults = tuple(find_capacity_faults(folder, record))
    warning = describe_faults(f"measurement {record.id}", faults)
    if any(probe.p99_ms is not None for probe in record.probes):
        title = "What each rate did to the slowest hundredth, and how much of it was achieved"
        caption = _describe_figure(record)
        svg = render_svg(draw_capacity(record), f"figure-{FIGURE}", title, caption)
        illustrations.append(Illustration(FIGURE, title, caption, svg))
        files.write_atomically(files.make_subfolder(folder, FIGURES_FOLDER) / f"{FIGURE}.svg", svg.encode())
    for template, name in (("capacity.md.j2", MARKDOWN_FILE), ("capacity.html.j2", HTML_FILE)):
        facts = {
            "record": record,
            "answer": f"{warning} {answer_capacity(record)}".strip(),
            "cautions": [*faults, *list_cautions(record)],
            "illustrations": illustrations,
            "tables": [*summarise_capacity(record), tabulate_checks(record)],
            "probes": tabulate_probes(record),
            "method": describe_method(record),
            "scenario_toml": scenario_toml(record.scenario),
            "command": f"bench capacity {record.scenario.name}.toml --seed {record.seed}",
            "environment": [
                ("Machine", record.machine.stated()),
                ("Lab", record.lab.stated()),
                ("Tools", record.tools),
            ],
            "format_time": format_time,
        }
        text = fill(template, facts)
        files.write_atomically(folder / name, text.encode())


def answer_capacity(record: CapacityRecord) -> str:
    """Every knee and its bound, in one sentence."""
    said = []
    for workload in record.workloads:
        knee = record.knee(workload)
        said.append(
            f"{workload.arm} ({name_workload(workload.keep_alive)}) sustains"
            f" {_rate(knee.confirmed_rps)} and not {_rate(knee.refuted_rps)}"
            f" ({find_bound(record, workload)})"
        )
    return f"With p99 within {record.settings.limit_ms:g} ms: {'; '.join(said) or 'no arm was measured'}."


def summarise_capacity(record: CapacityRecord) -> list[Table]:
    """Knees beside wrk, then the ratios: what a terminal shows."""
    rows = []
    for workload in record.workloads:
        knee, wrk_rps = record.knee(workload), record.wrk_rps(workload)
        spread = f" ({format_number(min(wrk_rps))} to {format_number(max(wrk_rps))})" if wrk_rps else ""
        ceiling = record.knee(Workload(NULL_SERVER, workload.keep_alive))
        rows.append(
            (
                workload.arm,
                name_workload(workload.keep_alive),
                _format_fit(fit_knee(record.trials(workload))),
                _rate(knee.confirmed_rps),
                _rate(knee.refuted_rps) + ("" if knee.monotone else " (not monotone)"),
                f"{format_number(median(wrk_rps))}{spread}" if wrk_rps else ABSENT,
                _rate(ceiling.confirmed_rps),
                str(find_bound(record, workload)),
            )
        )
    knees = Table(
        caption=f"Knees: the highest rate with p99 within {record.settings.limit_ms:g} ms, in requests/s",
        columns=(
            "arm",
            "workload",
            "knee [95 %]",
            "sustained",
            "not sustained",
            "wrk, closed",
            "client's ceiling",
            "bound",
        ),
        rows=tuple(rows),
    )
    ratios = Table(
        caption=f"Knee of {record.scenario.baseline} by each other arm's (above 1: it is higher)",
        columns=("arm", "workload", "ratio [95 %]", f"{record.scenario.baseline}'s is"),
        rows=tuple(
            (ratio.arm, name_workload(ratio.keep_alive), format_ratio(ratio.ratio, ratio.ci95), ratio.word)
            for ratio in compare_knees(record)
        ),
    )
    return [table for table in (knees, ratios) if table.rows]


def tabulate_checks(record: CapacityRecord) -> Table:
    """The evidence for each bound: what was seen, and the limit."""
    return Table(
        caption="What bounds each knee: the server, if all of this says so",
        columns=("arm", "workload", "evidence", "seen", "limit", "for the server"),
        rows=tuple(
            (
                workload.arm,
                name_workload(workload.keep_alive),
                check.what,
                ABSENT if check.seen is None else f"{check.seen:.3g}",
                f"{check.limit:g}",
                "yes" if check.passed else "no",
            )
            for workload in record.workloads
            for check in find_checks(record, workload)
        ),
        prose=frozenset({"evidence"}),
    )


def tabulate_probes(record: CapacityRecord) -> Table:
    """Every probe, in the order of measuring."""
    return Table(
        caption="All probes",
        columns=(
            "probe",
            "arm",
            "workload",
            "rate",
            "for",
            "achieved",
            "p99, ms",
            "client",
            "server",
            "outcome",
        ),
        rows=tuple(
            (
                str(number),
                probe.arm,
                name_workload(probe.keep_alive),
                _rate(probe.rate_rps),
                "confirmation" if probe.confirming else "search",
                _percent(probe.achieved_share),
                ABSENT if probe.p99_ms is None else f"{probe.p99_ms:.3g}",
                _percent(probe.generator_busy),
                _percent(probe.server_busy),
                _describe_outcome(probe),
            )
            for number, probe in enumerate(record.probes)
        ),
        prose=frozenset({"outcome"}),
    )


def list_cautions(record: CapacityRecord) -> list[str]:
    """What a reader must know before using the figures."""
    found = []
    if record.status != "complete":
        found.append(f"The measurement is not complete: {record.status}.")
    for workload in record.workloads:
        knee, bound = record.knee(workload), find_bound(record, workload)
        name = f"{workload.arm} with {name_workload(workload.keep_alive)}"
        if bound is Bound.CLIENT:
            found.append(
                f"{name}: client-bound. The figure is INVALID as a capacity: it is the load generator's,"
                " and the arm's own knee is as high or higher."
            )
        elif bound is Bound.UNDECIDED and knee.refuted_rps is not None:
            failed = [check for check in find_checks(record, workload) if not check.passed]
            found.append(
                f"{name}: it is not proved that the server is the bound, so its knee is compared with none."
                f" Missing: {'; '.join(check.what for check in failed)}."
            )
        if is_given_up(record.trials(workload)):
            found.append(
                f"{name}: a rate was tried {MAX_VOIDS} times, and every probe of it was disturbed or failed:"
                " its knee was given up. On a quieter machine, measure again."
            )
        elif knee.confirmed_rps is None or knee.refuted_rps is None:
            found.append(f"{name}: one end of the knee was not confirmed.")
        if not knee.monotone:
            found.append(f"{name}: a rate above one that was not sustained was sustained; a knee that moves.")
    found += [f"{arm} cannot be had here: {reason}" for arm, reason in record.unavailable.items()]
    return found


def describe_method(record: CapacityRecord) -> list[str]:
    """How the knees were found and what they are not, by this scenario's settings."""
    settings = record.settings
    sustained = (
        f"A rate is sustained where at least 99 % of it is achieved, at most {settings.max_error_share:.1%}"
        f" of the requests fail, and the p99 response time is within {settings.limit_ms:g} ms, in a window of"
        f" {PROBE_S:g} s on a fresh container. Arrivals are drawn beforehand (open loop), so that a queue"
        " does not slow its own load."
    )
    found = (
        f"A search (steps of 1.4, then bisection to {settings.resolution:.0%}) finds two neighbouring rates."
        f" Both are then confirmed ({settings.confirmations} probes each, in random order among the arms):"
        " the majority counts. Where that contradicts the search, the search goes on."
    )
    interval = (
        "The knee itself is where a rate is sustained as often as not: the middle of a logistic curve fitted"
        " to all probes of the arm, with the interval of its profile likelihood; so is the ratio of two."
        " A drift of the machine from minute to minute is in no such interval."
    )
    wrk = (
        "wrk drives a closed loop: it waits for answers, has no limit of latency, and says how much gets"
        " through at saturation. A knee is lower by what is left for the p99."
    )
    bound = (
        f"A bound is proved by the generator's own knee against the {NULL_SERVER}, by its core's load and the"
        " server's cores' load at the rate that was not sustained, by wrk as a second worker beside the"
        " generator, and by what wrk gets through alone. Where they do not all point to the server, the knee"
        " is compared with none."
    )
    return [sustained, found, interval, wrk, bound]


def _describe_figure(record: CapacityRecord) -> str:
    return (
        "A marker is one probe: filled where the rate was sustained, hollow where it was not. The band is the"
        " knee, between the highest rate that was sustained and the lowest that was not, of those confirmed."
        " Dotted: wrk's throughput on the same arm. Dashed: the limit of the p99"
        f" ({record.settings.limit_ms:g} ms), or 99 % of the rate."
    )


def _describe_outcome(probe: Probe) -> str:
    if probe.outcome is Outcome.SUSTAINED:
        return str(probe.outcome)
    return f"{probe.outcome}: {'; '.join(probe.reasons)}"


def _format_fit(knee: FittedKnee | None) -> str:
    if knee is None:
        return ABSENT
    low, high = knee.ci95
    return f"{_rate(knee.rps)} [{_rate(low)}, {_rate(high)}]"


def _rate(rate_rps: float | None) -> str:
    return ABSENT if rate_rps is None else f"{rate_rps:,.0f}"


def _percent(share: float | None) -> str:
    return ABSENT if share is None else f"{share:.1%}"
