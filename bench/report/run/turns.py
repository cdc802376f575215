"""Arms that took turns: how, and whether a turn left anything behind for the next."""

from bench.judgement.splits import SplitKind
from bench.report.text import count
from bench.results.run import Run


def describe_turns(run: Run) -> list[str]:
    """How the arms took turns, a paragraph each; nothing where each slot was measured by itself."""
    interleave = run.record.scenario.schedule.interleave
    if interleave is None:
        return []
    return [
        (
            "Arms took turns. A set is a fresh container for each of a block's slots, alive together, each on"
            " a port of its own. The load went from one to the next in cells of"
            f" {interleave.cell_ms:g} ms, of which the first {interleave.settle_ms:g} ms were left out, in"
            " rounds of a random order and the same order backwards, until each had had"
            f" {2 * interleave.rounds * interleave.cell_ms / 1e3:g} s of load; then all containers were"
            " replaced. A slot's window is all its cells together. Each path was proved in the container's"
            " warm-up, alone, and over the cells the counters had to be the sum. The set is the sample, never"
            " the cell."
        ),
        _describe_carry_over(run),
    ]


def _describe_carry_over(run: Run) -> str:
    """What a turn left behind for the next, in a paragraph."""
    found = [split for split in run.verdict.splits if split.kind is SplitKind.PREDECESSOR]
    if not found:
        return "Whether a turn leaves anything behind for the next cannot be told from so few sets."
    largest = min(found, key=lambda split: split.p_value)
    assert largest.ratio
    assert largest.ci95
    low, high = (f"{100 * (end - 1):+.2f}" for end in largest.ci95)
    label = run.conditions[largest.condition].label
    return (
        "Whether a turn leaves anything behind for the next: an arm's p50 after one arm's turns was compared"
        f" with its p50 after all others, for {count(len(found), 'pair')}. The clearest difference is"
        f" {largest.arm}'s after {largest.after}{f' ({label})' if label else ''}:"
        f" {100 * (largest.ratio - 1):+.2f} % [{low}, {high}], p {largest.p_holm:.2g} after Holm's correction"
        " for their number."
    )
