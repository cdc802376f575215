"""What the report says about its method: the words, how it was measured, what it does not tell."""

from bench.core.claim import ClaimWord
from bench.core.comparison import Word
from bench.core.scenario import Metric
from bench.report.content import DIFFERS
from bench.report.text import comparisons_of_arms, count, describe_workload, join_words
from bench.results import Run

SYMBOLS = {
    Word.BETTER: "▲",
    Word.WORSE: "▼",
    Word.EQUIVALENT: "=",
    Word.INCONCLUSIVE: "?",
    Word.INVALID: "✕",
    DIFFERS: "≠",
    ClaimWord.SUPPORTED: "✓",
    ClaimWord.NEGLIGIBLE: "≈",
    ClaimWord.NO_DIFFERENCE: "=",
    ClaimWord.REFUTED: "✕",
    ClaimWord.MIXED: "±",
    ClaimWord.INCONCLUSIVE: "?",
}
"""A sign before each word, so that colour is never the only mark."""


def explain_words(run: Run) -> list[tuple[str, str]]:
    """The words on a comparison, and what each means in this run."""
    baseline = run.record.scenario.baseline
    return [
        (Word.BETTER, f"the 95 % interval of the ratio lies above 1: {baseline} is better"),
        (Word.WORSE, f"it lies below 1: {baseline} is worse"),
        (
            Word.EQUIVALENT,
            "the 90 % interval lies inside the margin on both sides of 1: no difference that matters",
        ),
        (
            Word.INCONCLUSIVE,
            "neither: the interval is too wide to tell, and only more blocks or less noise would",
        ),
        (Word.INVALID, "too few complete and valid blocks, or A/A pairs that differ: no conclusion is drawn"),
    ]


def explain_claim_words() -> list[tuple[str, str]]:
    """The words on a claim. A claim holds several metrics, so its p-values are corrected by Holm's method."""
    return [
        (
            ClaimWord.SUPPORTED,
            "better on at least one of the claim's metrics, not negligibly, and worse on none",
        ),
        (ClaimWord.NEGLIGIBLE, "better, but every such interval lies inside the margin"),
        (ClaimWord.NO_DIFFERENCE, "equivalent on every metric"),
        (ClaimWord.REFUTED, "worse on at least one metric and better on none"),
        (ClaimWord.MIXED, "better on one metric and worse on another"),
        (ClaimWord.INCONCLUSIVE, "neither better nor worse on any metric, and at least one is undecided"),
    ]


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
    return [
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


def describe_method(run: Run) -> list[str]:
    """How the run was measured, a paragraph each."""
    baseline = run.record.scenario.baseline
    arms = join_words([f"{arm.name} (Docker network mode {arm.mode})" for arm in run.record.scenario.arms])
    return [
        f"Arms: {arms}. They differ in nothing else: one image, one Apache configuration, the same cores.",
        _describe_slot(run),
        _describe_schedule(run),
        _describe_lab(run),
        (
            f"A ratio above 1 means that {baseline} is better. For latency it is the other arm's value"
            f" divided by {baseline}'s, for throughput {baseline}'s divided by the other arm's; it is"
            " the exponential of the mean of the blocks' log-ratios, with the interval of the means of"
            " all subsets of blocks. The block (with several sessions: the session) is"
            f" the sample, never the request. A difference is the other arm's value minus {baseline}'s,"
            " with its own interval."
        ),
        (
            "A/A pairs compare slots of one arm with other slots of the same arm. Their true ratio is"
            " 1, so what they show is noise. A margin is the smallest difference that matters,"
            " declared before there was data."
        ),
    ]


def _describe_slot(run: Run) -> str:
    load = run.record.scenario.load
    text = (
        f"A slot is a fresh container, measured once: {load.warm_up_s:g} s of warm-up, then a window of"
        f" {load.measure_s:g} s ({describe_workload(run)}), every request recorded."
    )
    witness = f" Then wrk measured the same container for {load.wrk_witness_s} s."
    return text + witness if load.wrk_witness_s else text


def _describe_schedule(run: Run) -> str:
    record, schedule = run.record, run.record.scenario.schedule
    per_block = len(record.scenario.arms) * schedule.slots_per_arm * len(run.conditions)
    condition = f" under each of {count(len(run.conditions), 'condition')}" if len(run.conditions) > 1 else ""
    sessions = f" in {count(schedule.sessions, 'session')}, the engine restarted between two"
    return (
        f"A block is {per_block} slots, {schedule.slots_per_arm} of each arm{condition}, in a random"
        f" order drawn from the seed {record.seed} before there was data. Planned were"
        f" {count(schedule.blocks, 'block')}"
        f" ({count(len(record.planned), 'slot')}){sessions if schedule.sessions > 1 else ''}; measured"
        f" were {count(len(record.slots), 'slot')}."
    )


def _describe_lab(run: Run) -> str:
    """What the lab held fixed, and what the conditions varied."""
    scenario = run.record.scenario
    settings = {
        "lab.hold_idle_states": f"idle states {'held' if scenario.lab.hold_idle_states else 'left free'}",
        "lab.receive_steering": f"receive steering {'on' if scenario.lab.receive_steering else 'off'}",
    }
    fixed = [words for field, words in settings.items() if field not in scenario.factors]
    varied = [field.split(".")[1] for field in scenario.factors]
    return " ".join(
        [
            "Client and Docker host are network namespaces of one machine, without an uplink.",
            *([f"Throughout, the scenario asked for {join_words(fixed)}."] if fixed else []),
            *([f"Varied by condition: {join_words(varied)}."] if varied else []),
        ]
    )


def describe_limits(run: Run) -> list[str]:
    """What the run does not tell."""
    capacity = "With one connection, throughput is the inverse of mean latency: it says nothing of capacity."
    one_connection = any(condition.load.connections == 1 for condition in run.conditions)
    return [
        (
            f"Client and server share a machine and a kernel (vantage: {run.scope['vantage']}), so no"
            " network card and no wire is in the path. Where a request takes longer, the ratio is"
            " nearer to 1; the difference in microseconds travels better than the ratio."
        ),
        "The intervals hold for this machine in this hour, not for other machines, kernels or versions.",
        *([capacity] if one_connection else []),
        (
            "It is one static page from Apache, over kept-alive connections, in a"
            f" {run.record.scenario.load.model} loop: new connections, TLS, other applications and a"
            " fixed arrival rate are other questions."
        ),
        "What a mode gives up, in isolation, in ports and in firewalling, is not measured.",
    ]
