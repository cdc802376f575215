"""Where the width of an interval comes from: sessions, blocks, containers, the machine's wander.

Of the p50's contrast of two arms. What each part gives to the variance of one block's contrast follows from
how much blocks, the containers in them and the rounds of their turns differ (method of moments: Searle,
Casella & McCulloch, Variance Components, 1992; a part that comes out below nothing is nothing).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, sqrt
from statistics import fmean, variance

from bench.stored import Stored

FEWEST_BLOCKS = 4
SHORTEST_LIFE_S, LONGEST_LIFE_S = 0.2, 10.0


class Components(Stored):
    """Parts of the variance of one block's contrast (a logarithm), and how much of them there was."""

    session: float | None
    """Between sessions; None of a single one: nobody knows."""
    block: float
    """What a block does to one arm and not to another, beyond its containers' luck."""
    container: float
    """Of the containers' luck; without turns the wander within a block is in it."""
    wander: float | None
    """Of the machine's speed while the arms took turns; None where they did not."""
    blocks: int
    blocks_of_session: float

    @property
    def within(self) -> float:
        """Of a block, whatever its session."""
        return self.block + self.container + (self.wander or 0.0)

    def half_width(self, blocks: int) -> float:
        """Of the 95 % interval after so many blocks, in sessions of the same length; of the logarithm."""
        sessions = max(blocks / self.blocks_of_session, 1)
        return 1.96 * sqrt(self.within / blocks + (self.session or 0.0) / sessions)


@dataclass(frozen=True, kw_only=True)
class BlockSpread:
    """A complete block of two arms: logarithms of p50s."""

    session: int
    contrast: float
    """Mean of the candidate's slots minus that of the baseline's."""
    slots: tuple[Sequence[float], Sequence[float]]
    """Of the baseline, of the candidate: one a container."""
    rounds: Sequence[float] = ()
    """The contrast within each round of its turns; empty without turns."""


def find_components(blocks: Sequence[BlockSpread]) -> Components | None:
    """None of too few blocks."""
    if len(blocks) < FEWEST_BLOCKS:
        return None
    sessions: dict[int, list[float]] = {}
    for block in blocks:
        sessions.setdefault(block.session, []).append(block.contrast)
    within = _pool_variance(list(sessions.values()))
    length = len(blocks) / len(sessions)
    session = None
    if len(sessions) > 1:
        session = max(variance([fmean(values) for values in sessions.values()]) - within / length, 0.0)
    by_containers = fmean(
        sum(variance(values) / len(values) for values in block.slots if len(values) > 1) for block in blocks
    )
    wander = None
    if all(len(block.rounds) > 1 for block in blocks):
        wander = fmean(variance(block.rounds) / len(block.rounds) for block in blocks)
    container = max(by_containers - (wander or 0.0), 0.0)
    return Components(
        session=session,
        block=max(within - container - (wander or 0.0), 0.0),
        container=container,
        wander=wander,
        blocks=len(blocks),
        blocks_of_session=length,
    )


class Design(Stored):
    """A way to measure, and what it gives."""

    life_s: float
    """Of load for each container."""
    blocks: int
    seconds: float
    """Of all blocks, overhead included."""


def choose_life(
    components: Components, precision: float, life_s: float, containers: int, overhead_s: float
) -> Design:
    """The length of a container's life with which `precision` (a fraction) takes the least time.

    `life_s`: with which the components were found; `containers`: of a set; `overhead_s`: of a set, beyond its
    load. A longer life divides the wander, and nothing else; a set more divides all of it: the best length is
    where a second of either gives as much.
    """
    wander_of_second = (components.wander or 0.0) * life_s
    fixed = components.within - (components.wander or 0.0)
    best_s = LONGEST_LIFE_S
    if fixed > 0:
        best_s = sqrt(wander_of_second * overhead_s / (fixed * containers))
    best_s = min(max(best_s, SHORTEST_LIFE_S), LONGEST_LIFE_S)
    blocks = ceil((1.96 / precision) ** 2 * (fixed + wander_of_second / best_s))
    blocks = max(blocks, 2 * FEWEST_BLOCKS)
    return Design(life_s=best_s, blocks=blocks, seconds=blocks * (overhead_s + containers * best_s))


def _pool_variance(groups: Sequence[Sequence[float]]) -> float:
    """Within groups; of single values there is none, and all are one group."""
    several = [values for values in groups if len(values) > 1]
    if not several:
        return variance([value for values in groups for value in values])
    freedom = sum(len(values) - 1 for values in several)
    return sum(variance(values) * (len(values) - 1) for values in several) / freedom
