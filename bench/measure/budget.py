"""How a suite's time is divided."""

from collections.abc import Sequence

from bench.errors import InputError
from bench.judgement.samples import MIN_BLOCKS
from bench.scenario.plan import measuring_seconds, overhead_seconds, plan_slots
from bench.scenario.scenario import Scenario


def divide_budget(scenarios: Sequence[Scenario], budget_s: float) -> list[float]:
    """Seconds for the slots of each scenario, of `budget_s` for all of them with their overheads.

    In proportion to what each would need: every question gets the same part of its registered
    blocks, whatever its place in the order. Fixed before the first run, so that a resumed suite
    divides as the first attempt did; what one leaves over goes to nobody.

    Raises InputError where a share would not hold the blocks that an interval takes.
    """
    needs = [measuring_seconds(scenario, plan_slots(scenario, seed=0)) for scenario in scenarios]
    overheads_s = sum(map(overhead_seconds, scenarios))
    part = (budget_s - overheads_s) / sum(needs)
    least_part = max(min(1.0, MIN_BLOCKS / scenario.schedule.blocks) for scenario in scenarios)
    if part < least_part:
        raise InputError(
            f"Dividing a budget of {budget_s:.0f} s among {len(needs)} scenarios",
            f"{overheads_s:.0f} s of it pass before and after their slots, and {MIN_BLOCKS} blocks of"
            f" each, without which there is no interval, take a part of {least_part:.0%} of the rest",
            f"Give {overheads_s + least_part * sum(needs):.0f} s or more, or fewer scenarios.",
        )
    return [part * need for need in needs]
