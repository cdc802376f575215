"""Where an interval's width comes from: each part found where it was put in."""

import numpy as np
import pytest

from bench.statistics.components import BlockSpread, Components, choose_life, find_components


def make_blocks(
    *,
    session: float = 0.0,
    block: float = 0.0,
    container: float = 0.0,
    wander: float = 0.0,
    sessions: int = 1,
    blocks: int = 400,
    rounds: int = 8,
) -> list[BlockSpread]:
    """Two containers an arm; each part a standard deviation of a block's contrast."""
    generator = np.random.default_rng(11)
    of_session = session * generator.standard_normal(sessions)
    found = []
    for number in range(blocks):
        place = number * sessions // blocks
        # Of a container by itself, so that two an arm and two arms give `container` to the contrast.
        slots = container * generator.standard_normal((2, 2))
        turns = wander * np.sqrt(rounds) * generator.standard_normal(rounds) if rounds else np.zeros(1)
        lasting = of_session[place] + block * generator.standard_normal() + turns.mean()
        contrast = slots[1].mean() - slots[0].mean() + lasting
        found.append(
            BlockSpread(
                session=place,
                contrast=float(contrast),
                slots=(slots[0].tolist(), (slots[1] + lasting).tolist()),
                rounds=(contrast - turns.mean() + turns).tolist() if rounds else (),
            )
        )
    return found


def found(**parts: float) -> Components:
    components = find_components(make_blocks(**parts))  # type: ignore[arg-type]
    assert components
    return components


def test_wander_within_a_set_is_no_containers_luck() -> None:
    components = found(wander=0.02)

    assert components.wander == pytest.approx(0.02**2, rel=0.15)
    assert components.block == pytest.approx(0, abs=0.00005)


def test_what_lasts_for_a_block_is_the_blocks() -> None:
    components = found(block=0.02, container=0.005)

    assert components.block == pytest.approx(0.02**2, rel=0.2)
    assert components.container == pytest.approx(0.005**2, rel=0.2)


def test_what_a_session_does_to_one_arm_is_the_sessions_and_divided_by_their_number_alone() -> None:
    components = found(session=0.02, block=0.01, sessions=40)

    assert components.session == pytest.approx(0.02**2, rel=0.5)
    assert components.half_width(400) > 1.96 * (components.within / 400) ** 0.5 * 1.5


def test_of_one_session_and_without_turns_a_part_is_unknown() -> None:
    components = found(block=0.01, rounds=0)

    assert (components.session, components.wander) == (None, None)


def test_three_blocks_tell_nothing() -> None:
    assert find_components(make_blocks(block=0.01, blocks=3)) is None


def test_lives_are_longer_where_the_machine_wanders_and_shorter_where_containers_differ() -> None:
    def life_s(**parts: float) -> float:
        about = {"session": None, "block": 0.0, "blocks": 20, "blocks_of_session": 20, **parts}
        return choose_life(Components(**about), 0.005, 0.8, 4, 2.0).life_s

    wandering, unlike = life_s(wander=4e-4, container=1e-5), life_s(wander=1e-5, container=4e-4)
    assert 0.2 <= unlike < 0.8 < wandering <= 10


def test_the_design_that_is_chosen_takes_no_longer_than_its_neighbours() -> None:
    components = Components(
        session=None, block=0.0, container=1e-4, wander=2e-4, blocks=20, blocks_of_session=20
    )
    best = choose_life(components, 0.002, 0.8, 4, 2.0)

    def seconds(life_s: float) -> float:
        blocks = (1.96 / 0.002) ** 2 * (1e-4 + 2e-4 * 0.8 / life_s)
        return blocks * (2.0 + 4 * life_s)

    assert best.seconds <= 1.01 * min(seconds(best.life_s * 0.7), seconds(best.life_s * 1.4))
