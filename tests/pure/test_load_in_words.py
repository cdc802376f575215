"""A load in words: what a factor varies is not said of all."""

import pytest

from bench.scenario.load import Load

BY_FILE = Load(engine="locustfile", locustfile="users.py", connections=3)
KEPT, NUMBER = "load.keep_alive", "load.connections"


@pytest.mark.parametrize(
    ("load", "varied", "said"),
    [
        (Load(), (), "1 keep-alive connection"),
        (Load(connections=16), (), "16 keep-alive connections"),
        (Load(keep_alive=False), (), "1 connection at a time, a new one for every request"),
        (Load(), (KEPT,), "1 connection at a time"),
        (Load(), (NUMBER,), "keep-alive connections"),
        (Load(keep_alive=False), (NUMBER,), "a new connection for every request"),
        (Load(), (KEPT, NUMBER), ""),
        (Load(connections=4, workers=2), (), "4 keep-alive connections, shared by 2 workers"),
        (BY_FILE, (), "3 Locust users"),
        (BY_FILE, (NUMBER,), ""),
        (Load(model="lookup"), (), "A and AAAA"),
        (Load(model="lookup"), ("load.family",), ""),
    ],
)
def test_connections_are_told_without_what_a_factor_varies(
    load: Load, varied: tuple[str, ...], said: str
) -> None:
    assert load.describe_connections(varied) == said
