"""What the server and this machine must have for thousands of connections."""

import resource
import sys

import pytest

from bench.lab.hosts import command
from bench.scenario.load import Load
from bench.scenario.model import Arm
from bench.scenario.server_limits import USUAL_LIMITS, limit_server, most_descriptors

from .conftest import HOST, make_scenario


@pytest.mark.parametrize("connections", [1, 127])
def test_a_scenario_of_few_connections_has_the_usual_server(connections: int) -> None:
    assert limit_server(make_scenario(load=Load(connections=connections))) == USUAL_LIMITS


def test_a_server_has_a_thread_more_than_any_condition_has_connections() -> None:
    scenario = make_scenario(factors={"load.connections": (64, 4096, 128)})

    assert limit_server(scenario).fields == {
        "threads": "4097",
        "workers": "8194",
        "backlog": "4096",
    }


def test_docker_proxy_has_two_open_files_for_each_connection() -> None:
    load = Load(connections=4_000)

    assert most_descriptors(make_scenario(load=load)) == 5_000
    assert most_descriptors(make_scenario(load=load, arms=(HOST, Arm(name="proxy", mode="proxy")))) == 9_000


PROGRAM = """
import resource, sys
from bench.errors import BenchError
from bench.lab.hosts.requirements import require_descriptors

resource.setrlimit(resource.RLIMIT_NOFILE, (64, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
try:
    require_descriptors(int(sys.argv[1]))
except BenchError as fault:
    print(fault)
print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


def raise_limit(wanted: int) -> list[str]:
    return command.run([sys.executable, "-c", PROGRAM, str(wanted)]).splitlines()


def test_the_limit_of_open_files_is_raised_to_what_the_connections_need() -> None:
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[1] >= 3_000, "the machine allows it"
    assert raise_limit(3_000) == ["3000"]


def test_connections_for_which_there_are_too_few_open_files_are_refused() -> None:
    *refusal, limit = raise_limit(10**10)

    assert limit == "64"
    assert "10,000,000,000 open files" in refusal[0]
    assert "may have 64" in refusal[0]
