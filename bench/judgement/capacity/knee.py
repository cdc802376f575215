"""The knee of one arm: the rate to try next, and the two rates between which it lies.

A search finds a bracket: geometric steps until one rate is sustained and one is not, then bisection
on the logarithm. It is quick and takes chances, so it proves nothing. What it found is then confirmed:
both ends of the bracket are tried again, an odd number of times, and the majority counts. Where that
contradicts the search, the search goes on from what is now known.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import sqrt

GROWTH = 1.4
"""Factor between two rates of the search until its ends are found: from half of what a closed loop
reaches, the third rate is as much, and most knees lie below."""
REFUSALS = 2
"""Of one rate that end it in the search: one pause of the machine is no limit of the server."""
MAX_CONFIRMED = 8
"""Rates that are confirmed before a knee that will not hold still is reported as it then stands."""
MAX_VOIDS = 5
"""Trials of one rate that may be void before its knee is given up."""
LOWEST_RPS, HIGHEST_RPS = 20.0, 1_000_000.0


class Outcome(StrEnum):
    """What a trial of one rate says of the server."""

    SUSTAINED = "sustained"
    REFUSED = "not sustained"
    CLIENT = "not sustained: the client was at its limit"
    """So that it says nothing of the server, but that its knee may be higher."""
    VOID = "void"
    """Disturbed, or not measured: tried again."""


@dataclass(frozen=True)
class Trial:
    """One rate, tried once."""

    rate_rps: float
    outcome: Outcome
    confirming: bool
    """Of the confirmation, or of the search before it."""


@dataclass(frozen=True)
class Knee:
    """Where the knee lies, by the majority of the confirming trials of each rate."""

    confirmed_rps: float | None
    """The highest rate that was sustained, below any that was not."""
    refuted_rps: float | None
    """The lowest rate that was not sustained: the knee is below it."""
    monotone: bool
    """Whether no rate above `refuted_rps` was sustained; if one was, the knee is not one rate."""


def next_rate(trials: Sequence[Trial], start_rps: float, resolution: float, votes: int) -> float | None:
    """The rate that the search tries next; None where it has nothing to try, for now or for good.

    It ends where its two ends are as near as `resolution` (0.05: 5 %), or where there is no end
    between LOWEST_RPS and HIGHEST_RPS. A rate's `votes` confirming trials outrank the search's own.
    """
    judged = _judge(trials, votes)
    for rate, sustained in judged.items():
        if sustained is None:
            return rate
    low, high = _bracket(judged)
    if low is not None and high is not None:
        middle = _round(sqrt(low * high))
        return None if high <= low * (1 + resolution) or middle in (low, high) else middle
    if low is None and high is None:
        return _round(start_rps)
    rate = _round(low * GROWTH if low is not None else (high or 0) / GROWTH)
    return rate if LOWEST_RPS <= rate <= HIGHEST_RPS else None


def rates_to_confirm(trials: Sequence[Trial], votes: int) -> tuple[float, ...]:
    """Ends of the bracket that have fewer than `votes` confirming trials; of a search that has paused."""
    confirmed = {trial.rate_rps for trial in trials if trial.confirming}
    wanted = [rate for rate in _bracket(_judge(trials, votes)) if rate is not None]
    return tuple(
        rate
        for rate in wanted
        if len(_votes(trials, rate)) < votes and (rate in confirmed or len(confirmed) < MAX_CONFIRMED)
    )


def is_given_up(trials: Iterable[Trial]) -> bool:
    """Whether some rate was void so often that this knee cannot be found now."""
    void = [(trial.rate_rps, trial.confirming) for trial in trials if trial.outcome is Outcome.VOID]
    return any(void.count(one) >= MAX_VOIDS for one in void)


def locate(trials: Sequence[Trial], votes: int) -> Knee:
    """The knee by the confirming trials; only rates with all of their `votes` count."""
    rates = sorted({trial.rate_rps for trial in trials if trial.confirming})
    judged = {rate: is_sustained(trials, rate) for rate in rates if len(_votes(trials, rate)) >= votes}
    refuted = min((rate for rate, sustained in judged.items() if not sustained), default=None)
    held = [rate for rate, sustained in judged.items() if sustained]
    below = [rate for rate in held if refuted is None or rate < refuted]
    return Knee(max(below, default=None), refuted, monotone=len(below) == len(held))


def locate_by_search(trials: Sequence[Trial]) -> Knee:
    """What the search alone says: good enough for a ceiling that has only to be high enough."""
    low, high = _bracket(_judge([trial for trial in trials if not trial.confirming], votes=1))
    return Knee(low, high, monotone=True)


def is_sustained(trials: Iterable[Trial], rate_rps: float) -> bool:
    """Whether most of a rate's confirming trials sustained it."""
    votes = _votes(trials, rate_rps)
    return 2 * votes.count(Outcome.SUSTAINED) > len(votes)


def _judge(trials: Sequence[Trial], votes: int) -> dict[float, bool | None]:
    """Rate -> whether it is sustained, as far as is known; None where the search must try it again."""
    searched: dict[float, list[Outcome]] = {}
    for trial in trials:
        if not trial.confirming and trial.outcome is not Outcome.VOID:
            searched.setdefault(trial.rate_rps, []).append(trial.outcome)
    judged: dict[float, bool | None] = {}
    for rate, outcomes in searched.items():
        if len(_votes(trials, rate)) >= votes:
            judged[rate] = is_sustained(trials, rate)
        elif Outcome.SUSTAINED in outcomes:
            judged[rate] = True
        else:
            judged[rate] = None if len(outcomes) < REFUSALS else False
    return judged


def _bracket(judged: Mapping[float, bool | None]) -> tuple[float | None, float | None]:
    """(highest sustained rate below any that is not, lowest that is not)."""
    high = min((rate for rate, sustained in judged.items() if sustained is False), default=None)
    held = (rate for rate, sustained in judged.items() if sustained and (high is None or rate < high))
    return max(held, default=None), high


def _votes(trials: Iterable[Trial], rate_rps: float) -> list[Outcome]:
    return [
        trial.outcome
        for trial in trials
        if trial.confirming and trial.rate_rps == rate_rps and trial.outcome is not Outcome.VOID
    ]


def _round(rate_rps: float) -> float:
    """Whole requests a second: read more easily, and the same after a resumed run has read them again."""
    return float(round(rate_rps))
