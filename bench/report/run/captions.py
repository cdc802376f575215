"""What stands below each figure: what to see in it."""

from bench.report.run.anatomy import format_range
from bench.report.run.answer import comparisons_of_arms
from bench.report.run.effect_figures import can_draw_costs
from bench.report.run.regions import can_draw_regions, caption_regions, map_one
from bench.report.text import count
from bench.results.run import Run
from bench.scenario.metric import Metric


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
                " faint lines slots) the dotted line spans the medians, and on the right you see"
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
    if can_draw_regions(map_one(run)):
        figures.append(("regions", "Region map", caption_regions(baseline)))
    return figures + _describe_anatomy(run)


def _describe_anatomy(run: Run) -> list[tuple[str, str, str]]:
    """Of slots with taps, where there are any that count."""
    arms = run.anatomy.arms
    if not arms:
        return []
    server = format_range([arm.shares.server.us for arm in arms])
    network = format_range([arm.shares.network_us for arm in arms])
    step = (
        "A bar begins where the one above it ends, a thin line is its 95 % interval. The plain bar is what"
        " all hops add up to; the hatched one is what they leave of the difference that slots without taps"
        " measured: the taps' own cost and the client's side, told apart in the table."
    )
    figures = [
        (
            "shares",
            "A request's time, part by part",
            (
                f"The server's part is {server} over the arms, the way there and back {network}; grey is the"
                " client's own time, outside of the taps. All of it with taps, whose cost is in it."
            ),
        ),
        (
            "paths",
            "The path of every mode, with its microseconds",
            (
                "Boxes are the taps in the order in which a request passes them, shades the network"
                " namespaces; the median of each hop with its 95 % interval stands above the arrow for the"
                " request and below it for the response. Server is one hop, from the last tap and back; the"
                " time on the wire is a mean of the middle half, to which medians need not add up."
            ),
        ),
        (
            "hops",
            "Distribution of every hop",
            (
                "A curve is the share of an arm's requests whose hop took no longer (of all valid captures,"
                " to the 95th percentile), its mark the median: where curves lie on one another, the arms"
                " spend the same there."
            ),
        ),
    ]
    if run.anatomy.explanations:
        title = f"From {run.record.scenario.baseline} to each other arm, hop by hop"
        figures.insert(1, ("waterfall", title, step))
    if run.anatomy.contrasts:
        told = f"{step} A control that does what it should shows in its own hop, and in no other."
        figures.append(("contrasts", "From one condition to another, hop by hop", told))
    return figures
