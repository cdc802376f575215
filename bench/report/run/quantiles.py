"""The whole effect and not two numbers of it: a table of the quantile curve, and of distributions' modes."""

from collections.abc import Mapping
from typing import Any

from bench.report.run.figures.quantile_curve import Curve, list_curves
from bench.report.run.selection import arm_names, present_conditions
from bench.report.table import Table
from bench.report.text import format_change, format_number, format_ratio, format_share, name_condition
from bench.results.run import Run
from bench.statistics.modes import find_modes

SHOWN = (0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.995, 0.999)


def tell_quantiles(run: Run) -> Mapping[str, Any] | None:
    """The curves at some of their levels; where an arm's latencies have several modes, those of all arms."""
    curves = list_curves(run)
    if not curves:
        return None
    several = len(curves) > 1
    tables = [_tabulate_curve(curve, folded=several) for curve in curves]
    return {"tables": tables, "modes": _tabulate_modes(run)}


def _tabulate_curve(curve: Curve, *, folded: bool) -> Table:
    shown = curve.levels[curve.levels["level"].round(4).isin(SHOWN)]
    return Table(
        caption=curve.name,
        columns=("Quantile", "Ratio, simultaneous 95 %", "Difference, simultaneous 95 %"),
        rows=tuple(
            (
                f"p{100 * row['level']:.3g}",
                format_ratio(row["ratio"], (row["ratio_low"], row["ratio_high"])),
                format_change(
                    row["difference_us"], (row["difference_us_low"], row["difference_us_high"]), "us"
                ),
            )
            for row in shown.to_dict("records")
        ),
        folded=folded,
    )


def _tabulate_modes(run: Run) -> list[Table]:
    """A row an arm; nothing where every distribution has one mode alone."""
    known = run.distributions()
    found = {
        (condition, arm): find_modes(known.counts[condition, arm])
        for condition in present_conditions(run)
        for arm in arm_names(run)
        if (condition, arm) in known.counts
    }
    if all(len(modes) == 1 for modes in found.values()):
        return []
    return [
        Table(
            caption="Modes of the latencies: where each hump lies, and the share of requests in it",
            columns=("Arm", "Modes"),
            rows=tuple(
                (
                    name_condition(run.conditions[condition].label, arm),
                    ", ".join(
                        f"{format_number(mode.at_us)} us: {format_share(round(mode.share, 3))}"
                        for mode in modes
                    ),
                )
                for (condition, arm), modes in found.items()
            ),
            prose=frozenset({"Modes"}),
        )
    ]
