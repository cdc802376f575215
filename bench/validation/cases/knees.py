"""Knees that are searched for and confirmed on a simulated server."""

from math import exp, log

from bench.judgement.capacity.curve import fit_ratio
from bench.judgement.capacity.knee import Outcome, Trial, locate, next_rate, rates_to_confirm
from bench.judgement.effect import excludes_one
from bench.validation.cases import Draw, Tried


def compare_knees(draw: Draw, ratio: float, width: float) -> Tried:
    """Whether two knees that are `ratio` apart are told apart."""
    slope = width / log(9)
    ours, others = (_find_knee(draw, knee_rps, slope) for knee_rps in (10_000.0 * ratio, 10_000.0))
    one, other = locate(ours, VOTES), locate(others, VOTES)
    ends = (one.confirmed_rps, one.refuted_rps, other.confirmed_rps, other.refuted_rps)
    if None in ends:
        return None, None
    low, high, other_low, other_high = (end or 0.0 for end in ends)
    before = low / other_high > 1 or high / other_low < 1
    fitted = fit_ratio(ours, others)
    return before, None if fitted is None else excludes_one(fitted.ci95)


VOTES = 3


def _find_knee(draw: Draw, knee_rps: float, slope: float) -> list[Trial]:
    """All trials of the real search and confirmation."""
    trials: list[Trial] = []

    def take(rate_rps: float, *, confirming: bool) -> None:
        held = draw.random() < 1 / (1 + exp((log(rate_rps) - log(knee_rps)) / slope))
        trials.append(Trial(rate_rps, Outcome.SUSTAINED if held else Outcome.REFUSED, confirming))

    for _ in range(100):
        rate = next_rate(trials, 5_000.0, 0.05, VOTES)
        if rate is not None:
            take(rate, confirming=False)
            continue
        wanted = rates_to_confirm(trials, VOTES)
        if not wanted:
            break
        for of in wanted:
            take(of, confirming=True)
    return trials
