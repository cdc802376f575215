"""The search over simulated arms whose knee is known: it ends near it, whatever the noise."""

import random
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.judgement.capacity.knee import (
    HIGHEST_RPS,
    LOWEST_RPS,
    MAX_CONFIRMED,
    MAX_VOIDS,
    Knee,
    Outcome,
    Trial,
    is_given_up,
    locate,
    next_rate,
    rates_to_confirm,
)

RESOLUTION, VOTES = 0.05, 3
Server = Callable[[float], Outcome]


def arm(knee_rps: float) -> Server:
    return lambda rate: Outcome.SUSTAINED if rate <= knee_rps else Outcome.REFUSED


def search(server: Server, start_rps: float, trials: Sequence[Trial] = ()) -> list[Trial]:
    """`trials`, and those of a search that goes on from them."""
    found = list(trials)
    while (rate := next_rate(found, start_rps, RESOLUTION, VOTES)) is not None and not is_given_up(found):
        found.append(Trial(rate, server(rate), confirming=False))
        assert len(found) < 400
    return found


def measure(server: Server, start_rps: float = 1_000, confirming: Server | None = None) -> list[Trial]:
    """Search and confirmation in turn, to their end; `confirming` is the server as it is later."""
    trials = search(server, start_rps)
    server = confirming or server
    while (rates := rates_to_confirm(trials, VOTES)) and not is_given_up(trials):
        trials.append(Trial(rates[0], server(rates[0]), confirming=True))
        trials = search(server, start_rps, trials)
    return trials


@given(knee=st.floats(200, 500_000), start=st.floats(100, 500_000))
def test_a_steady_knee_is_between_the_two_rates_that_are_reported_and_they_are_near(
    knee: float, start: float
) -> None:
    found = locate(measure(arm(knee), start), VOTES)
    assert found.monotone
    assert found.confirmed_rps is not None
    assert found.refuted_rps is not None
    assert found.confirmed_rps <= knee < found.refuted_rps
    assert found.refuted_rps <= found.confirmed_rps * (1 + RESOLUTION)


def test_a_search_from_near_the_knee_takes_few_trials() -> None:
    assert len(search(arm(10_000), 6_000)) <= 12


@given(seed=st.integers(0, 10_000))
def test_trials_that_fail_by_chance_do_not_raise_the_knee_and_seldom_lower_it(seed: int) -> None:
    def repeat(chance: random.Random) -> Knee:
        def noisy(rate: float) -> Outcome:
            return Outcome.REFUSED if chance.random() < 0.05 else arm(10_000)(rate)

        return locate(measure(noisy), VOTES)

    found = [repeat(random.Random(f"{seed} {number}")) for number in range(20)]
    assert all(knee.confirmed_rps is not None and knee.confirmed_rps <= 10_000 for knee in found)
    near = [knee for knee in found if knee.refuted_rps and knee.refuted_rps > 10_000 / (1 + RESOLUTION)]
    assert len(near) >= 15


def test_one_pause_of_the_machine_does_not_end_the_search_below_the_knee() -> None:
    paused = [False]

    def server(rate: float) -> Outcome:
        if not paused[0]:
            paused[0] = True
            return Outcome.REFUSED
        return arm(10_000)(rate)

    found = locate(measure(server, 5_000), VOTES)
    assert found.confirmed_rps is not None
    assert 9_500 < found.confirmed_rps <= 10_000


@pytest.mark.parametrize("later", [5_000, 9_300, 9_900, 11_000, 30_000])
def test_where_the_confirmation_contradicts_the_search_the_search_goes_on(later: float) -> None:
    found = locate(measure(arm(10_000), 8_000, confirming=arm(later)), VOTES)
    assert found.confirmed_rps is not None
    assert found.refuted_rps is not None
    assert found.confirmed_rps <= later < found.refuted_rps
    assert found.refuted_rps <= found.confirmed_rps * (1 + RESOLUTION)


def test_an_end_that_never_holds_is_not_chased_for_ever() -> None:
    trials = search(arm(10_000), 8_000)
    while rates := rates_to_confirm(trials, VOTES):
        trials.append(Trial(rates[0], Outcome.REFUSED, confirming=True))
        trials = search(arm(10_000), 8_000, trials)
    assert len({trial.rate_rps for trial in trials if trial.confirming}) <= MAX_CONFIRMED
    found = locate(trials, VOTES)
    assert found.confirmed_rps is None
    assert found.refuted_rps is not None


def test_the_majority_of_the_votes_counts_and_void_trials_are_none() -> None:
    votes = [Outcome.SUSTAINED, Outcome.REFUSED, Outcome.VOID, Outcome.SUSTAINED]
    trials = [Trial(100, vote, confirming=True) for vote in votes]
    assert locate(trials, VOTES) == Knee(100, None, monotone=True)
    assert locate(trials[:3], VOTES) == Knee(None, None, monotone=True)


def test_a_rate_that_is_sustained_above_one_that_is_not_is_said_and_does_not_raise_the_knee() -> None:
    judged = {100.0: Outcome.SUSTAINED, 110.0: Outcome.REFUSED, 120.0: Outcome.SUSTAINED}
    trials = [Trial(rate, vote, confirming=True) for rate, vote in judged.items() for _ in range(VOTES)]
    assert locate(trials, VOTES) == Knee(100, 110, monotone=False)


@pytest.mark.parametrize(("outcome", "end"), [(Outcome.SUSTAINED, "high"), (Outcome.REFUSED, "low")])
def test_a_search_without_an_end_ends_all_the_same(outcome: Outcome, end: str) -> None:
    trials = search(lambda _: outcome, 1_000)
    rates = [trial.rate_rps for trial in trials]
    assert min(rates) >= LOWEST_RPS
    assert max(rates) <= HIGHEST_RPS
    found = locate(measure(lambda _: outcome, 1_000), VOTES)
    assert (found.refuted_rps is None) is (end == "high")
    assert (found.confirmed_rps is None) is (end == "low")


def test_a_knee_whose_trials_are_void_is_given_up() -> None:
    trials = search(lambda _: Outcome.VOID, 1_000)
    assert is_given_up(trials)
    assert len(trials) == MAX_VOIDS


@given(knee=st.floats(200, 100_000))
def test_the_next_step_follows_from_the_trials_alone_so_that_a_search_can_go_on_anywhere(
    knee: float,
) -> None:
    whole = search(arm(knee), 1_000)
    for done in range(len(whole)):
        assert next_rate(whole[:done], 1_000, RESOLUTION, VOTES) == whole[done].rate_rps
