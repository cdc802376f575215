"""Arms that took turns: how, and whether a turn left anything behind for the next."""

from bench.judgement.carry_over import pool_carry_over
from bench.report.text import count, format_share
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
    found = pool_carry_over(run.record.slots)
    if not found:
        return "Whether a turn leaves anything behind for the next cannot be told from so few sets."
    largest = max(found, key=lambda pair: abs(pair.ratio - 1))
    low, high = (f"{100 * (end - 1):+.2f}" for end in largest.ci95)
    label = run.conditions[largest.condition].label
    told = sum(pair.excludes_one for pair in found)
    return (
        "Whether a turn leaves anything behind for the next: an arm's p50 after one arm's turns was compared"
        f" with its p50 after all others, for {count(len(found), 'pair')}. The largest difference is"
        f" {largest.arm}'s after {largest.after}{f' ({label})' if label else ''}:"
        f" {100 * (largest.ratio - 1):+.2f} % [{low}, {high}]. {told} of the intervals"
        f" exclude 0; of pairs without any effect, {format_share(0.05)} do."
    )
