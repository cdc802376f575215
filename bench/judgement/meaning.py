"""What a mode's microseconds are to whoever has the service: a share of a request, of a second, of a core."""

from dataclasses import dataclass
from enum import StrEnum

from bench.judgement.comparison import Comparison, Size, Word, choose_word


class Standing(StrEnum):
    """How a difference stands to the declared margin, by the rule of the comparison's own word."""

    BELOW = "below"
    """The 90 % interval of the ratio lies inside the margin on both sides of 1."""
    ABOVE = "above"
    """The 95 % interval lies outside."""
    UNTOLD = "not told from"
    """Neither: the interval holds the margin."""


@dataclass(frozen=True, kw_only=True)
class Meaning:
    """A candidate's p50 beside the baseline's."""

    difference_us: float
    """That it adds to a request; negative where it saves."""
    ci95_us: tuple[float, float]
    whole_us: float
    """A request in the baseline, by its p50: all of its time, the client's part included."""
    own_us: float | None
    """What of it the service itself takes, where that was captured."""
    share_of_whole: float
    """As a fraction; the next is of `own_us`."""
    share_of_own: float | None
    margin: float
    standing: Standing
    waiting_ms: float | None
    """In each second, of all requests of a rate together."""
    core_share: float | None
    """Of one core, that the candidate's CPU takes more at that rate."""


def weigh(
    p50: Comparison,
    *,
    own_us: float | None = None,
    cpu: Comparison | None = None,
    rate_rps: float | None = None,
) -> Meaning | None:
    """What the difference of `p50`, a comparison on the p50 in us, comes to; None where it is INVALID.

    `cpu`: the same two arms by CPU, in us a request.
    """
    known = p50.word is not Word.INVALID and p50.ci95 and p50.ci90
    if not known or p50.difference is None or not p50.difference_ci95 or not p50.baseline_value:
        return None
    has_cpu = cpu is not None and cpu.word is not Word.INVALID and cpu.difference is not None
    return Meaning(
        difference_us=p50.difference,
        ci95_us=p50.difference_ci95,
        whole_us=p50.baseline_value,
        own_us=own_us,
        share_of_whole=p50.difference / p50.baseline_value,
        share_of_own=p50.difference / own_us if own_us else None,
        margin=p50.margin,
        standing=_stand(p50),
        # us of a request by requests of a second are us of a second.
        waiting_ms=p50.difference * rate_rps / 1e3 if rate_rps else None,
        core_share=cpu.difference * rate_rps / 1e6 if rate_rps and has_cpu else None,  # type: ignore[union-attr, operator]
    )


def _stand(p50: Comparison) -> Standing:
    assert p50.ci95
    assert p50.ci90
    word, size = choose_word(p50.ci95, p50.ci90, p50.margin)
    if word is Word.EQUIVALENT or size is Size.NEGLIGIBLE:
        return Standing.BELOW
    return Standing.ABOVE if size is Size.LARGER else Standing.UNTOLD
