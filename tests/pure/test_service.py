"""A service as a scenario names it: what is asked for, where it listens, and what does not go together."""

from typing import Any

import pytest

from bench.errors import InputError
from bench.scenario.conditions import conditions
from bench.scenario.load import Load
from bench.scenario.parsing import parse_scenario
from bench.scenario.plan import plan_slots
from bench.scenario.scenario import Scenario
from bench.scenario.service import APACHE, fill

BASE = """
name = "own"
question = "?"
baseline = "host"
[[arms]]
name = "host"
mode = "host"
[[arms]]
name = "bridge"
mode = "bridge"
"""
FIXED = '[service]\nimage = "shop:1"\nport = 8003\n'
MOVING = FIXED + 'environment = { PORT = "{port}" }\n'
TLS = '[service.tls]\ncertificate_at = "/c.pem"\nkey_at = "/k.pem"\n'
BY_TLS = '[load]\nengine = "raw-python"\n[factors]\n"load.tls" = [true, false]\n'
TURNS = "[schedule]\nblocks = 2\n[schedule.interleave]\n"


def parse(text: str) -> Scenario:
    return parse_scenario(BASE + text, "own.toml")


def faults(text: str) -> str:
    with pytest.raises(InputError) as caught:
        parse(text)
    return str(caught.value)


def test_a_service_of_ones_own_is_asked_for_its_root_unless_something_else_is_named() -> None:
    assert [request.called for request in parse(FIXED).asked] == ["GET /"]
    assert parse("").asked == ()
    assert parse("").served is APACHE


def test_a_stored_scenario_is_read_again_as_it_was_written() -> None:
    scenario = parse(MOVING + '[[requests]]\npath = "/a"\nexpect = { same_json = "[1]" }\n')

    assert Scenario.model_validate_json(scenario.model_dump_json()) == scenario


def test_a_service_with_one_port_is_alive_once_in_host_mode_and_keeps_that_port_to_itself() -> None:
    planned = plan_slots(parse(FIXED + TURNS), seed=1)
    ports = {
        arm: sorted({slot.port or 0 for slot in planned if slot.arm == arm}) for arm in ("host", "bridge")
    }

    assert [slot.arm for slot in planned if slot.block == 0].count("host") == 1
    assert ports["host"] == [8003]
    assert 8003 not in ports["bridge"]


def test_a_service_that_can_be_told_where_to_listen_is_alive_twice_in_every_mode() -> None:
    planned = plan_slots(parse(MOVING + TURNS), seed=1)

    assert [slot.arm for slot in planned if slot.block == 0].count("host") == 2
    assert len({slot.port for slot in planned if slot.block == 0}) == 4


def test_fields_that_stand_for_nothing_are_refused_and_other_braces_stay() -> None:
    assert "{pot} stands for nothing" in faults(FIXED + 'command = ["{pot}"]\n')
    assert fill("{port} {JSON} {}", {"port": 8080}) == "8080 {JSON} {}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[service]\nport = 80\n", "give one of image, archive and build"),
        (FIXED + 'build = "shop"\n', "give one of image, archive and build"),
        ('[service]\narchive = "../shop.tar"\n', "should be in the scenario's own folder"),
        (FIXED + 'mounts = { "etc/x" = "x" }\n', "should be an absolute path inside the container"),
        (FIXED + "[service.tls]\nresume = true\n", "give certificate_at and key_at"),
        ("[load]\ntls = false\n", "the built-in Apache is asked by http"),
        (FIXED + TLS + "[load]\ntls = false\n", "service.tls.plain_port says at which port is"),
        (FIXED + TLS + "plain_port = 80\n[load]\ntls = false\n", 'give load.engine = "raw-python"'),
        (MOVING + TLS + "plain_port = 80\n[load]\ntls = false\n", "a service that is told its port"),
        (FIXED + '[service.ready]\nlog = "("\n', "is no regular expression"),
        (FIXED + "[load]\npage_bytes = 65536\n", "load.page_bytes: its pages are the built-in Apache's"),
        (FIXED + '[[requests]]\nbody = "a"\nbody_bytes = 1\n', "give one of body, body_file and body_bytes"),
        (FIXED + '[[requests]]\nheaders = { Content-Length = "3" }\n', "is said by the load itself"),
        (FIXED + '[[requests]]\nexpect = { same_json = "{" }\n', "is no JSON"),
        ('[[requests]]\npath = "/"\n', "requests: are of a service of your own"),
        (
            FIXED + TURNS + '[[companions]]\nname = "db"\nimage = "db"\n',
            "a service with companions has its host to itself",
        ),
        (
            FIXED
            + '[[companions]]\nname = "db"\nimage = "db"\n'
            + '[[companions]]\nname = "db"\nimage = "x"\n',
            "companions: the name db is used twice",
        ),
    ],
)
def test_what_does_not_go_together_is_refused_by_its_field(text: str, said: str) -> None:
    assert said in faults(text)


def test_a_service_is_asked_with_tls_and_without_at_two_ports_and_conditions() -> None:
    scenario = parse(FIXED + TLS + "plain_port = 8080\n" + BY_TLS + TURNS)
    ports = {
        conditions(scenario)[slot.condition].load.tls: slot.port
        for slot in plan_slots(scenario, seed=1)
        if slot.arm == "host"
    }

    assert scenario.service
    assert ports == {True: scenario.service.port, False: 8080}
    assert {tls: scenario.service.asked_by(Load(tls=tls)).tls is not None for tls in (True, False)} == {
        True: True,
        False: False,
    }


def test_native_runs_the_built_in_service_alone() -> None:
    text = BASE.replace('mode = "bridge"', 'mode = "native"') + FIXED
    with pytest.raises(InputError, match="native runs the built-in Apache's own files"):
        parse_scenario(text, "own.toml")


@pytest.mark.parametrize("field", ["port", "listen"])
def test_apache_is_told_where_to_listen_in_the_same_words(field: str) -> None:
    values: dict[str, Any] = {"port": 8001, "listen": "198.18.0.100:8001", "word": "w"}

    assert APACHE.moves
    assert fill(f"{{{field}}}", values) == str(values[field])
