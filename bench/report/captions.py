"""What stands below each figure: what to see in it."""

from bench.core.scenario import Metric
from bench.report.effect_figures import can_draw_costs
from bench.report.regions import can_draw_regions
from bench.report.text import comparisons_of_arms, count
from bench.results import Run


def describe_figures(run: Run) -> list[tuple[str, str, str]]:
    """Name, title and caption of every figure; a caption says what to see."""
    ratios = [
        ratio
        for comparison in comparisons_of_arms(run)
        if comparison.metric is Metric.P50_LATENCY_US
        for ratio in comparison.block_ratios
    ]
    ahead = sum(ratio > 1 for ratio in ratios)
    seen = f"{ahead} of {len(ratios)} blocks have a p50 ratio above 1; a mark" if ratios else "A mark"
    invalid = sum(not record.valid for record in run.record.slots)
    failed = (
        f"{invalid} of {count(len(run.record.slots), 'slot')} failed a gate" if invalid else "No slot failed"
    )
    figures = [
        (
            "latency",
            "Latency of every request",
            (
                "The further right a curve runs, the slower its arm: on the left (valid slots pooled,"
                " faint lines the slots) the dotted line spans the medians, and on the right you see"
                " whether the distance lasts into the slowest requests."
            ),
        ),
        (
            "block-ratios",
            "Ratio of every block, and the noise floor",
            (
                f"{seen} is a block, the line in its box the pooled ratio and its 95 % interval, the"
                " grey zone the margin; hollow marks are A/A pairs, whose spread around 1 is what"
                " noise alone does here."
            ),
        ),
        (
            "throughput",
            "Throughput of every slot",
            (
                "Arms may overlap here and still differ, because drift moves all of them: the ratios"
                " above pair them block by block, which these marks do not (within an arm, time runs"
                " downwards)."
            ),
        ),
        (
            "slot-timeline",
            "Every slot in the order of time",
            (
                f"{failed}; what moves all arms together is the machine and cancels in the ratios, what"
                " moves one arm alone would be a reason to doubt them."
            ),
        ),
    ]
    baseline = run.record.scenario.baseline
    if run.verdict.steps:
        figures.append(
            (
                "ladder",
                "What each step adds to the p50",
                (
                    f"A mark is an arm's p50 beyond that of {baseline} with its 95 % interval, the grey bar"
                    " and the number what its step adds to the rung above it (? not told from nothing, ✕ no"
                    " answer, a hollow mark a comparison that is INVALID). An arrow stands on the edge for"
                    " an arm far beyond it; arms below the dashed line are no rungs."
                ),
            )
        )
    if can_draw_costs(run):
        figures.append(
            (
                "changes",
                "Cost under each condition",
                (
                    f"A mark is the arm's p50 beyond that of {baseline} with its 95 % interval (? not told"
                    " from nothing, hollow and ✕ INVALID). Conditions share blocks, so a change between two"
                    " is judged in pairs, in the tables: these intervals alone do not tell it."
                ),
            )
        )
    if can_draw_regions(run):
        figures.append(
            (
                "regions",
                "Region map",
                (
                    f"A cell's word holds beside all others of the map. Filled: ▲ {baseline} is better, ▼"
                    " it is worse, = the difference does not matter (faint: it is real, and too small);"
                    " a dashed frame: not told; a dotted one: no answer. Numbers are ratios with their 95 %"
                    f" intervals, above 1 where {baseline} is better."
                ),
            )
        )
    return figures
