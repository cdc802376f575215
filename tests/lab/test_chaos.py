"""What `make chaos` plays many of: three cases of those that broke something once, or may again."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.cases import Case, play
from tests.chaos.persons_docker import PersonsDocker, persons_docker

CASES = {
    "the engine dies while it is given the image": Case(
        1, "dockerd", "image", "KILL", "slots", delay_s=0.8, part=0.0, pause_s=0.0
    ),
    "a second signal comes at any moment of the end": Case(
        2, "controller", "slot", "TERM TERM", "turns", delay_s=0.5, part=0.5, pause_s=1.3
    ),
    "what cleans up is killed": Case(
        3, "clean", "slot", "KILL", "slots", delay_s=0.3, part=0.3, pause_s=0.03
    ),
}


@pytest.fixture(scope="module")
def person() -> Iterator[PersonsDocker]:
    with persons_docker() as found:
        yield found


@pytest.mark.parametrize("name", CASES)
def test_a_struck_run_ends_leaves_the_machine_and_a_persons_docker_as_they_were_and_is_resumed(
    name: str, tmp_path: Path, person: PersonsDocker
) -> None:
    with person.is_left_alone():
        assert play(CASES[name], tmp_path).endswith("resumed")
