"""A scenario from a Compose file: what is taken, what is left out and said, what is refused."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from bench.cli import app
from bench.cli.scenario import scenario_app
from bench.errors import ExitCode, InputError
from bench.scenario.compose import Converted, Surroundings, convert
from bench.scenario.compose.reasons import LEFT_OUT, TAKEN
from bench.scenario.compose.tree import DEEPEST, LARGEST_TEXT, MOST_NODES, read_tree
from bench.scenario.compose.variables import Variables, parse_env_file
from bench.scenario.model import MOST_ALIVE
from bench.scenario.parsing import parse_scenario
from bench.scenario.requests import Request
from bench.scenario.scenario import Scenario
from bench.scenario.service import Companion, Service
from bench.scenario.template import draft_scenario

from .test_schema import faults_of

SHOP = """
version: "3.9"
name: shop
x-common: &common
  restart: unless-stopped
  environment: &environment
    TZ: UTC
    LOG_LEVEL: ${LOG_LEVEL:-info}
services:
  web:
    <<: *common
    image: shop/web:1.4
    ports:
      - "127.0.0.1:8080:3000"
      - "9229:9229"
    environment:
      <<: *environment
      DATABASE_URL: postgres://shop:${PASSWORD}@db:5432/shop
      PRICE: $$5
      DEBUG: on
    depends_on:
      db:
        condition: service_healthy
      cache:
        condition: service_started
    volumes:
      - ./conf/app.toml:/etc/app.toml:ro
      - uploads:/srv/uploads
    healthcheck:
      test: ["CMD-SHELL", "curl -fsS http://localhost:3000/health?full=1 || exit 1"]
      interval: 10s
  db:
    image: postgres:16
    environment: [POSTGRES_USER=shop, POSTGRES_PASSWORD]
    volumes: ["data:/var/lib/postgresql/data"]
    healthcheck:
      test: ["CMD", "pg_isready", "-U", "shop"]
    shm_size: 256mb
  cache:
    image: redis:7-alpine
    command: redis-server --save "" --appendonly no
    expose: ["6380"]
  worker:
    image: shop/worker
volumes:
  data:
  uploads:
"""
SECRET = {"PASSWORD": "s3cret", "POSTGRES_PASSWORD": "s3cret"}


def read(converted: Converted) -> Scenario:
    """Every text that comes of a conversion is a scenario that fits the schema."""
    scenario = parse_scenario(converted.toml, "unit.toml")
    assert faults_of(converted.toml) == []
    return scenario


def converted_shop(**known: Any) -> tuple[Scenario, str]:
    done = convert(SHOP, "web", surroundings=Surroundings(variables=SECRET, **known))
    return read(done), "\n".join(done.left_out)


def one(table: Mapping[str, Any], **known: Any) -> tuple[Service, str]:
    """The service of a file with nothing but `table`, and what was left out of it."""
    text = json.dumps({"services": {"web": {"image": "web", "ports": ["80"], **table}}})
    done = convert(text, "web", surroundings=Surroundings(**known))
    service = read(done).service
    assert service
    return service, "\n".join(done.left_out)


def refusal(text: str, service: str = "web", **options: Any) -> str:
    """One clear paragraph."""
    with pytest.raises(InputError) as caught:
        convert(text, service, **options)
    said = str(caught.value)
    assert caught.value.advice
    assert 20 < len(said) < 1500
    assert all(character.isprintable() or character == "\n" for character in said)
    return said


def refusal_of(table: Mapping[str, Any], **known: Any) -> str:
    text = json.dumps({"services": {"web": {"image": "web", **table}}})
    return refusal(text, surroundings=Surroundings(**known))


def test_a_service_with_its_database_and_its_cache_becomes_a_scenario() -> None:
    scenario, _ = converted_shop()
    assert scenario.name == "web"
    assert scenario.question == "What does user-bridge cost web, against host?"
    assert [(arm.name, arm.mode) for arm in scenario.arms] == [
        ("host", "host"),
        ("user-bridge", "user-bridge"),
    ]
    service = scenario.service
    assert service
    assert service.called == "web"
    assert service.image == "shop/web:1.4"
    assert service.port == 3000
    assert service.ready.path == "/health?full=1"
    assert service.environment == {
        "TZ": "UTC",
        "LOG_LEVEL": "info",
        "DATABASE_URL": "postgres://shop:s3cret@db:5432/shop",
        "PRICE": "$5",
        "DEBUG": "on",
    }
    assert service.mounts == {"/etc/app.toml": "conf/app.toml"}
    assert scenario.companions == (
        Companion(
            name="db",
            image="postgres:16",
            port=5432,
            environment={"POSTGRES_USER": "shop", "POSTGRES_PASSWORD": "s3cret"},
            shm_mb=256,
        ),
        Companion(
            name="cache",
            image="redis:7-alpine",
            port=6380,
            command=("redis-server", "--save", "", "--appendonly", "no"),
        ),
    )
    assert scenario.requests == (Request(path="/"),)


def test_its_load_schedule_margins_and_claim_are_those_of_every_new_scenario() -> None:
    scenario, _ = converted_shop()
    drafted = parse_scenario(draft_scenario("web", ["host", "user-bridge"]), "drafted.toml")
    for table in ("schedule", "margins", "claims"):
        assert getattr(scenario, table) == getattr(drafted, table)
    longer = {"warm_up_s": scenario.load.warm_up_s, "measure_s": scenario.load.measure_s}
    assert scenario.load == drafted.load.model_copy(update=longer)
    assert scenario.load.measure_s > drafted.load.measure_s
    assert scenario.load.connections == 1
    assert scenario.schedule.interleave is None
    assert [claim.than for claim in scenario.claims] == ["user-bridge"]


@pytest.mark.parametrize(
    "said",
    [
        "web.ports: 9229: one port is asked, and that is 3000",
        "web.restart: a container is fresh",
        "web.volumes: uploads:/srv/uploads: a fresh container has no state",
        "web.healthcheck: interval: it is waited for 15 s",
        "db.volumes: data:/var/lib/postgresql/data: a fresh container has no state",
        "db.healthcheck: a companion is waited for by its port",
        "db.ports: none is published or exposed: it is taken to listen on 5432, as postgres usually does",
        "worker: web does not need it",
    ],
)
def test_what_is_left_out_is_named_with_where_it_stands_and_why(said: str) -> None:
    _, left_out = converted_shop()
    assert said in left_out
    assert len(left_out.splitlines()) == 8


def test_the_version_and_own_keys_are_nothing_to_speak_of() -> None:
    done = convert("version: '2'\nx-a: 1\nservices: {web: {image: a, ports: [80], x-b: {c: 1}}}", "web")
    assert done.left_out == ()
    read(done)


def test_modes_and_the_name_may_be_given() -> None:
    done = convert(SHOP, "web", ["bridge", "proxy"], name="mine", surroundings=Surroundings(variables=SECRET))
    scenario = read(done)
    assert (scenario.name, scenario.baseline) == ("mine", "bridge")
    assert [arm.mode for arm in scenario.arms] == ["bridge", "proxy"]


@pytest.mark.parametrize(
    ("modes", "said"),
    [
        (["host", "macvlan"], "measured in host, bridge, user-bridge, proxy"),
        (["host", "brigde"], "did you mean bridge?"),
        (["host", "host"], "used twice"),
        (["host", "native"], "without Docker"),
    ],
)
def test_modes_in_which_it_cannot_be_measured_are_refused(modes: list[str], said: str) -> None:
    assert said in refusal(SHOP, modes=modes)


# What a service needs.


def needs(**tables: Any) -> Converted:
    return convert(
        json.dumps(
            {"services": {name: {"image": name, "ports": ["80"]} | table for name, table in tables.items()}}
        ),
        "web",
        ["bridge", "user-bridge"],
    )


@pytest.mark.parametrize(
    "depends",
    [
        {"depends_on": ["api"]},
        {"depends_on": {"api": {"condition": "service_started", "required": True}}},
        {"links": ["api"]},
    ],
)
def test_what_it_needs_comes_in_the_order_in_which_it_is_needed(depends: Mapping[str, Any]) -> None:
    done = needs(web=depends, api={"depends_on": ["db", "cache"]}, cache={"depends_on": ["db"]}, db={})
    assert [companion.name for companion in read(done).companions] == ["db", "cache", "api"]
    assert done.left_out == ()


def test_a_job_that_ends_is_no_companion_but_what_it_needs_is() -> None:
    depends = {"migrate": {"condition": "service_completed_successfully"}}
    done = needs(web={"depends_on": depends}, migrate={"depends_on": ["db"]}, db={})
    assert [companion.name for companion in read(done).companions] == ["db"]
    assert "migrate: others wait for its end" in done.left_out[0]


def test_a_service_that_is_not_required_may_be_absent() -> None:
    done = needs(web={"depends_on": {"db": {"condition": "service_started", "required": False}}})
    assert read(done).companions == ()
    assert "db: it is not in the file, and not required" in done.left_out[0]


def test_another_name_of_a_link_is_named() -> None:
    done = needs(web={"links": ["db:database"]}, db={})
    assert [companion.name for companion in read(done).companions] == ["db"]
    assert "reached as db, not as database" in done.left_out[0]


def test_a_service_that_only_the_environment_speaks_of_is_pointed_out() -> None:
    done = needs(web={"environment": {"CACHE": "redis://cache:6379", "X": "cachet"}}, cache={}, cachex={})
    assert read(done).companions == ()
    assert "cache: depends_on does not name it, but environment.CACHE does" in done.left_out[0]
    assert done.left_out[1:] == ("cachex: web does not need it (depends_on, links)",)


def test_containers_that_would_share_a_port_of_their_host_are_pointed_out() -> None:
    text = "services: {web: {image: a, ports: [80], depends_on: [api]}, api: {image: b, ports: ['81:80']}}"
    assert "would both listen on 80" in convert(text, "web").left_out[0]
    assert convert(text, "web", ["bridge", "user-bridge"]).left_out == ()


@pytest.mark.parametrize(
    ("services", "said"),
    [
        ({"web": {"depends_on": ["api"]}, "api": {"depends_on": ["web"]}}, "web -> api -> web"),
        ({"web": {"depends_on": ["web"]}}, "web -> web"),
        ({"web": {"depends_on": ["dbb"]}, "db": {}}, "no service dbb; did you mean db?"),
        ({"web": {"links": ["dbb:x"]}, "db": {}}, "no service dbb; did you mean db?"),
        ({"web": {"depends_on": ["my_db"]}, "my_db": {}}, "others reach it by this name"),
        ({"web": {"extends": {"service": "base"}}, "base": {}}, "docker compose config"),
        (
            {"web": {"depends_on": ["s0"]}} | {f"s{n}": {"depends_on": [f"s{n + 1}"]} for n in range(60)},
            f"more than {MOST_ALIVE} others",
        ),
    ],
)
def test_needs_that_cannot_be_met_are_refused(services: Mapping[str, Any], said: str) -> None:
    assert said in refusal(
        json.dumps({"services": {name: {"image": "a"} | table for name, table in services.items()}})
    )


def test_the_measured_service_may_have_any_name() -> None:
    scenario = read(convert("services: {Web_App.v2: {image: a}}", "Web_App.v2"))
    assert scenario.name == "web-app-v2"
    assert scenario.service
    assert scenario.service.called == "web-app-v2"


@pytest.mark.parametrize(
    ("service", "said"),
    [("wbe", "did you mean web?"), ("x", "there are web, db, cache, worker"), ("", "no service")],
)
def test_a_service_that_is_not_there_is_refused_with_those_that_are(service: str, said: str) -> None:
    assert said in refusal(SHOP, service)


@pytest.mark.parametrize("name", ["../x", "A", "", 'a"\nb', "a" * 41])
def test_a_name_that_is_none_of_a_scenario_is_refused(name: str) -> None:
    assert "--name" in refusal(SHOP, name=name, surroundings=Surroundings(variables=SECRET))


# Where its image comes from.


@pytest.mark.parametrize(
    ("build", "folder"),
    [
        (".", "."),
        ("./app/", "app"),
        ({"context": "app", "dockerfile": "Dockerfile"}, "app"),
        ({"context": "app", "dockerfile": "./Dockerfile", "args": None, "target": ""}, "app"),
        ({"dockerfile": "Dockerfile"}, "."),
        ("/home/me/shop/app", "app"),
    ],
)
def test_a_folder_with_a_dockerfile_is_built(build: Any, folder: str) -> None:
    service, left_out = one({"image": None, "build": build}, folder="/home/me/shop")
    assert service.build == folder
    assert service.image is None
    assert left_out == ""


@pytest.mark.parametrize(
    ("build", "why"),
    [
        ({"context": ".", "args": {"A": "1"}}, "args is given"),
        ({"context": ".", "target": "prod"}, "target is given"),
        ({"context": ".", "dockerfile": "Dockerfile.prod"}, "its dockerfile is Dockerfile.prod"),
        ({"context": ".", "dockerfile_inline": "FROM a"}, "dockerfile_inline is given"),
        ("../elsewhere", "../elsewhere is not in the Compose file's folder"),
        ("/srv/app", "/srv/app is not in"),
        ("https://github.com/a/b.git#main", "is elsewhere"),
    ],
)
def test_what_only_compose_builds_is_taken_by_the_name_that_compose_gives_it(build: Any, why: str) -> None:
    service, left_out = one({"image": None, "build": build}, folder="/home/me/My Shop")
    assert service.image == "myshop-web"
    assert why in left_out
    assert "`docker compose build web` makes the image myshop-web" in left_out
    named, _ = one({"image": None, "build": build}, variables={"COMPOSE_PROJECT_NAME": "other"})
    assert named.image == "other-web"
    said = refusal_of({"image": None, "build": build})
    assert why in said
    assert "give its name as image" in said


def test_the_name_of_the_file_is_the_project() -> None:
    text = "name: ${P}\nservices: {web: {build: {target: x}}}"
    done = convert(text, "web", surroundings=Surroundings(folder="/srv/a", variables={"P": "shop"}))
    assert "shop-web" in done.toml


def test_of_image_and_build_the_image_is_taken() -> None:
    service, left_out = one({"build": "."})
    assert (service.image, service.build) == ("web", None)
    assert "web.build: image is taken" in left_out


def test_a_service_without_an_image_is_refused() -> None:
    assert "neither image nor build" in refusal("services: {web: {ports: [80]}}")
    assert "no name of an image" in refusal_of({"image": "two words"})


# Command, ports, environment.


@pytest.mark.parametrize("key", ["command", "entrypoint"])
@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("serve --name 'a b' \"$$HOME\"", ("serve", "--name", "a b", "$HOME")),
        (["serve", "--name", "a b", "1"], ("serve", "--name", "a b", "1")),
        ({"folded": "serve\n  --port 80\n"}, ("serve", "--port", "80")),
        (None, None),
    ],
)
def test_a_command_is_shell_words_or_a_list(key: str, given: Any, words: tuple[str, ...] | None) -> None:
    value = given["folded"] if isinstance(given, dict) else given
    service, left_out = one({key: value})
    assert getattr(service, key) == words
    assert left_out == ""


@pytest.mark.parametrize("empty", [[], "", "  "])
def test_an_empty_command_is_the_images_own_and_that_is_said(empty: Any) -> None:
    service, left_out = one({"command": empty})
    assert service.command is None
    assert "web.command: empty" in left_out


def test_a_command_that_bench_would_fill_in_is_refused() -> None:
    assert "{port} stands in '--listen={port}'" in refusal_of({"command": ["serve", "--listen={port}"]})
    assert "{x} stands in" in refusal_of({"entrypoint": "serve {x}"})
    assert "cannot be divided into words" in refusal_of({"command": "serve 'a"})


@pytest.mark.parametrize(
    ("ports", "port"),
    [
        (["8080:3000"], 3000),
        (["3000"], 3000),
        ([3000], 3000),
        (["127.0.0.1:8080:3000/tcp"], 3000),
        (["[::1]:8080:3000"], 3000),
        (["53:53/udp", "8080:3000"], 3000),
        (["8000-8001:3000-3001"], 3000),
        (["${WEB_PORT:-8080}:3000"], 3000),
        ([{"target": 3000, "published": "8080", "protocol": "tcp", "mode": "ingress"}], 3000),
        ([{"target": 53, "protocol": "udp"}, {"target": 3000}], 3000),
    ],
)
def test_the_first_published_tcp_port_is_asked(ports: Any, port: int) -> None:
    service, _ = one({"ports": ports, "expose": ["81"]})
    assert service.port == port


def test_a_plain_pair_of_ports_is_no_number_of_base_60() -> None:
    done = convert("services:\n  web:\n    image: a\n    ports:\n      - 22:22\n", "web")
    assert read(done).served.port == 22


@pytest.mark.parametrize(
    ("image", "port", "said"),
    [
        ("registry:5000/library/redis:7", 6379, "as redis usually does"),
        ("mysql@sha256:00", 3306, "as mysql usually does"),
        ("shop", 80, "as nothing says where"),
    ],
)
def test_a_port_that_nothing_names_is_a_guess_that_is_said(image: str, port: int, said: str) -> None:
    service, left_out = one({"image": image, "ports": None})
    assert service.port == port
    assert said in left_out
    exposing, left_out = one({"image": image, "ports": [], "expose": ["7/udp", 81]})
    assert exposing.port == 81
    assert said not in left_out


@pytest.mark.parametrize("port", ["80:http", "80:", "0", "65536", "80:-1", "٣", "9" * 5000])
def test_what_is_no_port_is_refused(port: str) -> None:
    assert "is no port" in refusal_of({"ports": [port]})


BOTH_FORMS = [
    {"A": "1", "B": None, "C": "x=y", "EMPTY": "", "N": 2, "T": True, "GONE": None},
    ["A=1", "B", "C=x=y", "EMPTY=", "N=2", "T=true", "GONE"],
]


@pytest.mark.parametrize("environment", BOTH_FORMS, ids=["a table", "a list"])
def test_the_environment_has_two_forms_and_what_is_not_set_is_named(environment: Any) -> None:
    service, left_out = one({"environment": environment}, variables={"B": "mine", "A": "not this"})
    assert service.environment == {"A": "1", "B": "mine", "C": "x=y", "EMPTY": "", "N": "2", "T": "true"}
    assert left_out == "web.environment.GONE: it is yours, and you have not set it"


def test_plain_scalars_of_the_environment_are_read_as_compose_reads_them() -> None:
    plain = "{a: yes, b: off, c: True, d: 1.10, e: 0x1F, f: 2024-01-01, g: ~, h: 12:30:45, i: 'True'}"
    done = convert(f"services: {{web: {{image: a, ports: [80], environment: {plain}}}}}", "web")
    assert read(done).served.environment == {
        "a": "yes",
        "b": "off",
        "c": "true",
        "d": "1.10",
        "e": "0x1F",
        "f": "2024-01-01",
        "h": "12:30:45",
        "i": "True",
    }


@pytest.mark.parametrize("value", ["{port}", "at {listen}!", "{unknown}"])
def test_a_value_that_bench_would_fill_in_is_left_out_with_the_reason(value: str) -> None:
    service, left_out = one({"environment": {"A": value, "B": "{Name}", "C": "{{x y}}", "D": '{"a":1}'}})
    assert service.environment == {"B": "{Name}", "C": "{{x y}}", "D": '{"a":1}'}
    assert "web.environment.A: {" in left_out
    assert "there is no escape" in left_out


ENV_FILE = """
# comment
export A=1
B = two words # and a comment
C='$HOME # kept'
D="a\\nb $A ${E:-e}"
HASH=a#b
PASSWORD=pa$$$5
PASSED
EMPTY=
not a variable at all
"""


def test_variables_of_a_file_are_read_with_their_quotes_and_comments() -> None:
    found = parse_env_file(ENV_FILE, {"PASSED": "on", "HOME": "/root"})
    assert found == {
        "A": "1",
        "B": "two words",
        "C": "$HOME # kept",
        "D": "a\nb 1 e",
        "HASH": "a#b",
        "PASSWORD": "pa$$$5",
        "PASSED": "on",
        "EMPTY": "",
    }


@pytest.mark.parametrize("listed", ["a.env", ["a.env"], [{"path": "a.env", "required": False}]])
def test_a_file_of_variables_stands_behind_the_environment(listed: Any) -> None:
    table = {"env_file": listed, "environment": {"A": "mine"}}
    service, left_out = one(table, read={"a.env": "A=1\nB=2"}.get)
    assert service.environment == {"A": "mine", "B": "2"}
    assert left_out == ""
    service, left_out = one(table)
    assert service.environment == {"A": "mine"}
    assert "web.env_file: a.env: the file's folder is not known" in left_out
    _, left_out = one(table, read=lambda _: None)
    assert "web.env_file: a.env: cannot be read in the Compose file's folder" in left_out


VARIABLES = {"SET": "s", "EMPTY": "", "DOLLAR": "$SET"}


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("a $SET b", "a s b"),
        ("${SET}x", "sx"),
        ("$$SET $$$SET", "$SET $s"),
        ("${DOLLAR}", "$SET"),
        ("${EMPTY:-d}|${EMPTY-d}|${UNSET:-d}|${UNSET-d}", "d||d|d"),
        ("${SET:-d}|${SET:?e}|${EMPTY?e}", "s|s|"),
        ("${SET:+y}|${EMPTY:+y}|${EMPTY+y}|${UNSET+y}", "y||y|"),
        ("${UNSET:-${EMPTY:-${SET}}}", "s"),
        ("${UNSET:-}", ""),
        ("${UNSET:-a:-b}", "a:-b"),
    ],
)
def test_variables_are_substituted_by_the_rules_of_compose(text: str, filled: str) -> None:
    variables = Variables(VARIABLES)
    assert variables.fill(text) == filled
    assert variables.unset == set()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("${UNSET:?say what}", "UNSET has no value: say what"),
        ("${UNSET?}", "UNSET has no value: it is required"),
        ("${EMPTY:?}", "EMPTY has no value"),
        ("$5", "write $$ for a dollar"),
        ("a $", "write $$ for a dollar"),
        ("${SET", "is not closed"),
        ("${SET!x}", "is no variable"),
        ("${}", "is no variable"),
        ("${A:-" * 30 + "}" * 30, "defaults within one another"),
    ],
)
def test_what_is_no_variable_is_refused_as_by_compose(text: str, said: str) -> None:
    assert said in refusal_of({"environment": {"A": text}}, variables=VARIABLES)


def test_variables_without_a_value_are_named_once() -> None:
    service, left_out = one({"environment": {"A": "$Y-$X", "B": "${X}"}, "user": "$X"})
    assert service.environment == {"A": "-", "B": ""}
    assert left_out == "X, Y: not set, and so empty, as in Compose"


def test_variables_of_what_is_not_taken_are_not_asked_for() -> None:
    text = "services: {web: {image: a, ports: [80], labels: {a: '${X:?}'}}, other: {image: '${Y:?}'}}"
    assert "X" not in "".join(convert(text, "web").left_out)


def test_variables_cannot_make_a_text_without_end() -> None:
    large = {"A": "x" * 100_000}
    assert "more text than" in refusal_of({"environment": {"A": "$A" * 1000}}, variables=large)


# Files and folders.


@pytest.mark.parametrize(
    ("volume", "file"),
    [
        ("./conf:/etc/app:ro", "conf"),
        ("./a/../conf/x.toml:/etc/app:z,ro", "conf/x.toml"),
        ({"type": "bind", "source": "conf", "target": "/etc/app", "read_only": True}, "conf"),
        ({"type": "bind", "source": "/srv/shop/conf", "target": "/etc/app", "read_only": True}, "conf"),
    ],
)
def test_what_is_read_only_and_below_the_files_folder_is_mounted(volume: Any, file: str) -> None:
    service, left_out = one({"volumes": [volume]}, folder="/srv/shop")
    assert service.mounts == {"/etc/app": file}
    assert left_out == ""


@pytest.mark.parametrize(
    ("volume", "why"),
    [
        ("data:/data", "a fresh container has no state"),
        ("data:/data:ro", "a fresh container has no state"),
        ("/data", "a fresh container has no state"),
        ({"type": "volume", "source": "data", "target": "/data"}, "a fresh container has no state"),
        ("./conf:/etc/app", "if it is only read, add :ro"),
        ("./conf:/etc/app:rw", "if it is only read, add :ro"),
        ("/etc/localtime:/etc/localtime:ro", "not in the Compose file's folder"),
        ("../conf:/etc/app:ro", "not in the Compose file's folder"),
        ("~/conf:/etc/app:ro", "not in the Compose file's folder"),
        ("/var/run/docker.sock:/var/run/docker.sock", "a lab has no socket of yours"),
        ("./app.sock:/app.sock:ro", "a lab has no socket of yours"),
        ({"type": "npipe", "source": "x", "target": "y"}, "nothing of the kind npipe"),
        ({"type": "bind", "target": "/x", "read_only": True}, "not in the Compose file's folder"),
        ("./conf:etc:ro", "no absolute path inside"),
    ],
)
def test_any_other_volume_is_left_out_with_the_reason(volume: Any, why: str) -> None:
    service, left_out = one({"volumes": [volume]}, folder="/srv/shop")
    assert service.mounts == {}
    assert left_out.startswith("web.volumes: ")
    assert why in left_out


def test_files_are_named_from_the_scenarios_folder() -> None:
    table = {"volumes": ["./conf:/etc/app:ro"], "image": None, "build": "."}
    service, _ = one(table, prefix="deploy/shop")
    assert service.mounts == {"/etc/app": "deploy/shop/conf"}
    assert service.build == "deploy/shop"
    assert "would not be in it" in refusal_of(table, prefix=None)
    one({"volumes": ["data:/data"]}, prefix=None)


def test_folders_in_memory_are_taken_in_every_form() -> None:
    volumes = [{"type": "tmpfs", "target": "/c", "tmpfs": {"size": 1}}]
    service, left_out = one({"tmpfs": ["/a", "/b:size=64m,mode=1777", "/a"], "volumes": volumes})
    assert set(service.tmpfs) == {"/a", "/b", "/c"}
    assert left_out == "web.tmpfs: size=64m,mode=1777, of /b: a scenario names the folder only"
    assert one({"tmpfs": "/run"})[0].tmpfs == ("/run",)
    assert "no absolute path" in refusal_of({"tmpfs": ["run"]})


# Limits and rights.


@pytest.mark.parametrize(
    ("table", "field", "value", "left"),
    [
        ({"user": "1000:1000"}, "user", "1000:1000", ""),
        ({"user": 1000}, "user", "1000", ""),
        ({"mem_limit": "512m"}, "memory_mb", 512, ""),
        ({"mem_limit": "1.5gb"}, "memory_mb", 1536, ""),
        ({"mem_limit": 536870912}, "memory_mb", 512, ""),
        ({"mem_limit": "100000k"}, "memory_mb", 98, "98 MiB, rounded up"),
        ({"mem_limit": "0"}, "memory_mb", None, ""),
        ({"deploy": {"resources": {"limits": {"memory": "2G"}}}}, "memory_mb", 2048, ""),
        ({"deploy": {"resources": {"limits": {"cpus": "0.5"}}}}, "memory_mb", None, "limits.cpus:"),
        ({"deploy": {"replicas": 3}}, "memory_mb", None, "web.deploy.replicas: one container"),
        ({"deploy": {"resources": {"reservations": {}}}}, "memory_mb", None, "resources.reservations"),
        ({"ulimits": {"nofile": 65535}}, "open_files", 65535, ""),
        ({"ulimits": {"nofile": {"soft": 1024, "hard": 1024}}}, "open_files", 1024, ""),
        ({"ulimits": {"nofile": {"soft": 1024, "hard": 4096}}}, "open_files", 1024, "nofile.hard"),
        ({"ulimits": {"nofile": -1}}, "open_files", None, "no limit from 16"),
        ({"ulimits": {"nproc": 100}}, "open_files", None, "web.ulimits.nproc"),
        ({"cap_add": ["NET_ADMIN", "sys_nice"]}, "cap_add", ("NET_ADMIN", "SYS_NICE"), ""),
        ({"cap_drop": ["ALL"]}, "cap_drop", ("ALL",), ""),
        ({"read_only": True}, "read_only", True, ""),
        ({"read_only": False}, "read_only", False, ""),
        ({"shm_size": "1gb"}, "shm_mb", 1024, ""),
    ],
)
def test_limits_and_rights_are_taken(table: Mapping[str, Any], field: str, value: object, left: str) -> None:
    service, left_out = one(table)
    assert getattr(service, field) == value
    assert (left in left_out) if left else (left_out == "")


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"mem_limit": "lots"}, "is no size"),
        ({"mem_limit": "1m"}, "memory_mb"),
        ({"user": "a b"}, "user"),
        ({"cap_add": ["NET-ADMIN"]}, "cap_add"),
        ({"cap_add": {"a": 1}}, "should be a list of texts"),
        ({"deploy": ["x"]}, "should be a table"),
        ({"image": ["a"]}, "should be a text"),
        ({"ports": "80"}, "should be a list"),
        ({"volumes": [["a"]]}, "should be a list"),
        ({"environment": {"A": ["x"]}}, "no variable with a text"),
        ({"environment": ["=x"]}, "no variable with a text"),
        ({"build": ["x"], "image": None}, "should be a folder"),
    ],
)
def test_what_a_scenario_cannot_have_is_refused_with_its_place(table: Mapping[str, Any], said: str) -> None:
    found = refusal_of(table)
    assert said in found
    assert "services.web" in found


@pytest.mark.parametrize(
    ("test", "path"),
    [
        (["CMD", "curl", "-f", "http://localhost/"], "/"),
        (["CMD", "curl", "-f", "http://localhost:80"], "/"),
        ("wget --spider -q http://127.0.0.1:80/healthz || exit 1", "/healthz"),
        (["CMD-SHELL", "curl 'http://[::1]:80/h?a=1&b=2'"], "/h?a=1&b=2"),
        ("curl http://0.0.0.0:$${PORT}/up#x", "/up"),
        ("curl http://localhost:81/other", None),
        ("curl https://localhost/", None),
        ("curl http://localhost.example/x", None),
        ("curl http://db:80/x", None),
        (["CMD", "true"], None),
        ("curl http://localhost/\u00e9", None),
    ],
)
def test_the_path_of_a_healthcheck_says_when_it_is_ready(test: Any, path: str | None) -> None:
    service, left_out = one({"healthcheck": {"test": test}})
    assert service.ready.path == path
    assert ("web.healthcheck:" in left_out) is (path is None)


@pytest.mark.parametrize("check", [{"test": ["NONE"]}, {"disable": True}, {"test": "NONE", "disable": True}])
def test_a_healthcheck_that_is_off_is_nothing_to_speak_of(check: Mapping[str, Any]) -> None:
    service, left_out = one({"healthcheck": check})
    assert service.ready.path is None
    assert left_out == ""


@pytest.mark.parametrize("key", sorted(LEFT_OUT))
def test_every_other_key_of_compose_is_named_with_its_reason(key: str) -> None:
    _, left_out = one({key: "x"})
    assert left_out == f"web.{key}: {LEFT_OUT[key]}"
    assert key not in TAKEN


def test_unknown_keys_are_named_with_the_nearest() -> None:
    _, left_out = one({"enviroment": {"A": 1}, "\x1b[31m": 1})
    assert "web.enviroment: it is no key that is known here; did you mean environment?" in left_out
    assert "\x1b" not in left_out
    done = convert("servics: 1\ninclude: [a.yaml]\nservices: {web: {image: a, ports: [80]}}", "web")
    assert done.left_out[0] == "servics: it is no key that is known here; did you mean services?"
    assert "docker compose config" in done.left_out[1]


# YAML.

BOMB = "a0: &a0 {k: v}\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12))
MERGES = "a0: &a0 {k: v}\n" + "".join(
    f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}\n" for n in range(1, 12)
)
HOSTILE = {
    "no YAML": ("services: [", "it is no YAML"),
    "a tab": ("\tservices: {}", "line 1, column 1"),
    "nothing": ("", "no table of services"),
    "a list": ("- a", "no table of services"),
    "no services": ("web: {image: a}", "no table of services"),
    "a service that is no table": ("services: {web: a}", "services.web: should be a table"),
    "two documents": ("a: 1\n---\nb: 2", "single document"),
    "a key twice": ("services: {web: {image: a, image: b}}", "'image' stands there twice"),
    "a key that is a list": ("? [a]\n: b", "a key is a text"),
    "a merge of a text": ("services: {web: {<<: a}}", "no table"),
    "an unknown alias": ("a: *b", "undefined alias 'b'"),
    "an object of Python": ("a: !!python/object/apply:os.system [id]", "means nothing here"),
    "a tag of Compose": ("services: {web: !reset null}", "'!reset' means nothing here"),
    "an alias bomb": (BOMB, f"more than {MOST_NODES:,} values"),
    "a merge bomb": (MERGES, f"more than {MOST_NODES:,} values"),
    "an alias of itself": ("a: &a [*a]", f"more than {DEEPEST} levels"),
    "a merge of itself": ("a: &a {<<: *a}", f"more than {DEEPEST} levels"),
    "large texts many times": ("a: &a " + "x" * 900_000 + "\nb: [*a, *a, *a, *a, *a]", "characters"),
    "a deep flow": ("[" * 2_000, f"more than {DEEPEST} levels"),
    "a deep block": ("- " * 2_000, f"more than {DEEPEST} levels"),
    "many values": ("a: [" + "x," * 100_000 + "]", f"more than {MOST_NODES:,} values"),
    "a long text": ("#" * (LARGEST_TEXT + 1), f"larger than {LARGEST_TEXT:,}"),
    "a NUL": ('a: "\\0"', "a NUL or half a character"),
    "half a character": ('a: "\\ud800"', "half a character"),
    "no character at all": ('a: "\\UFFFFFFFF"', "beyond all bounds"),
    "a control character": ("a: \x07", "it is no YAML"),
    "an unknown version": ("%YAML 9.9\n---\na: 1", "incompatible YAML"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_yaml_is_refused_in_one_paragraph_before_it_is_written_out(case: str) -> None:
    text, said = HOSTILE[case]
    assert said in refusal(text)


def test_own_keys_win_over_merged_ones_and_earlier_merges_over_later() -> None:
    text = "a: &a {x: 1, y: 1}\nb: &b {y: 2, z: 2}\nc: {z: 3, <<: [*a, *b]}"
    tree = read_tree(text)
    assert isinstance(tree, dict)
    assert tree["c"] == {"x": "1", "y": "1", "z": "3"}


def test_texts_of_any_characters_come_through() -> None:
    strange, words = "a'\"\\\n\t\x7f\x9b\u2028é😀#=", ["a\tb", '"""', "#", "'"]
    table = {"image": "a", "environment": {"A": strange}, "command": words}
    service = read(convert(yaml.safe_dump({"services": {"web": table}}), "web")).served
    assert service.environment == {"A": strange}
    assert service.command == tuple(words)


scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=20)
    | st.sampled_from(["80", "8080:80", "./a:/b:ro", "A=1", "$X", "${X:-1}", "512m", "web", "db", "{port}"])
)
names = st.sampled_from(["web", "db", "context", "test", "nofile", "resources", "limits", "A"]) | st.text(
    max_size=8
)
trees = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
    max_leaves=6,
)
keys = st.sampled_from(sorted(TAKEN)) | st.sampled_from(sorted(LEFT_OUT)) | st.text(max_size=8)
containers = st.fixed_dictionaries(
    {}, optional={"image": st.sampled_from(["a", "postgres:16"]) | scalars}
).flatmap(lambda begun: st.dictionaries(keys, trees, max_size=4).map(lambda more: more | begun))
files = st.fixed_dictionaries(
    {"services": st.fixed_dictionaries({"web": containers}, optional={"db": containers})},
    optional={"x": trees, "name": scalars},
)


def try_to_convert(tree: Any) -> InputError | None:
    """What is said of a tree that is no scenario; one that is becomes one that is read."""
    text = yaml.safe_dump(tree, allow_unicode=True)
    try:
        done = convert(text, "web", surroundings=Surroundings(folder="/srv/shop", variables={"X": "1"}))
    except InputError as fault:
        return fault
    parse_scenario(done.toml, "unit.toml")
    assert all(line.isprintable() for line in done.left_out)
    return None


@given(files | st.fixed_dictionaries({"services": trees}) | trees)
def test_any_tree_becomes_a_scenario_or_one_paragraph(tree: Any) -> None:
    refused = try_to_convert(tree)
    assert refused is None or 20 < len(str(refused)) < 3000


@pytest.mark.slow
@pytest.mark.parametrize("key", sorted(TAKEN))
@given(value=trees)
def test_any_value_of_a_key_becomes_a_scenario_or_one_paragraph(key: str, value: Any) -> None:
    refused = try_to_convert({"services": {"web": {"image": "a"} | {key: value}, "db": {"image": "b"}}})
    assert refused is None or 20 < len(str(refused)) < 3000


# The command.


def lay(folder: Path, text: str = SHOP) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "compose.yaml"
    path.write_text(text)
    return path


def test_the_command_prints_the_scenario_and_says_elsewhere_what_it_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PASSWORD", raising=False)
    monkeypatch.setenv("LOG_LEVEL", "debug")
    (tmp_path / ".env").write_text("PASSWORD=of-env\nLOG_LEVEL=of-env\n")
    done = CliRunner().invoke(scenario_app, ["from", str(lay(tmp_path)), "--service", "web"])
    assert done.exit_code == 0
    scenario = parse_scenario(done.stdout, "printed")
    assert scenario.served.environment["LOG_LEVEL"] == "debug"
    assert scenario.served.environment["DATABASE_URL"] == "postgres://shop:of-env@db:5432/shop"
    assert "web.restart: a container is fresh" in done.stderr
    assert "web.restart" not in done.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == [".env", "compose.yaml"]


def test_the_command_writes_a_file_that_check_accepts_and_never_writes_over_one(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    argv = ["from", str(lay(tmp_path / "deploy")), "--service", "web", "--output", str(path)]
    argv += ["--mode", "bridge", "--name", "mine"]
    done = CliRunner().invoke(scenario_app, argv)
    assert done.exit_code == 0
    assert "2 arms, 72 slots" in done.stdout
    written = path.read_text()
    scenario = parse_scenario(written, "mine.toml")
    assert scenario.name == "mine"
    assert [arm.mode for arm in scenario.arms] == ["host", "bridge"]
    assert scenario.served.mounts == {"/etc/app.toml": "deploy/conf/app.toml"}
    assert CliRunner().invoke(scenario_app, ["check", str(path)]).exit_code == 0
    again = CliRunner().invoke(scenario_app, argv)
    assert isinstance(again.exception, InputError)
    assert path.read_text() == written


def test_files_of_variables_are_read_in_the_compose_files_folder_and_nowhere_else(tmp_path: Path) -> None:
    (tmp_path / "secret.env").write_text("STOLEN=1")
    shop = tmp_path / "shop"
    listed = ["a.env", "../secret.env", str(tmp_path / "secret.env"), "link.env", "."]
    text = json.dumps({"services": {"web": {"image": "a", "ports": ["80"], "env_file": listed}}})
    path = lay(shop, text)
    (shop / "a.env").write_text("A=1")
    (shop / "link.env").symlink_to(tmp_path / "secret.env")
    done = CliRunner().invoke(scenario_app, ["from", str(path), "--service", "web"])
    assert parse_scenario(done.stdout, "printed").served.environment == {"A": "1"}
    assert done.stderr.count("cannot be read in the Compose file's folder") == 4


@pytest.mark.parametrize(
    ("content", "service", "said"),
    [
        (b"services: {web: {image: a}}", "wbe", "did you mean web?"),
        (b"\xff\xfe\xff", "web", "utf-8"),
        (b"services: [", "web", "it is no YAML"),
        (None, "web", "No such file"),
    ],
)
def test_the_command_refuses_with_exit_code_2_and_one_paragraph(
    content: bytes | None,
    service: str,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "compose.yaml"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setattr(sys, "argv", ["bench", "scenario", "from", str(path), "--service", service])
    assert app.run_app() == ExitCode.BAD_INPUT
    printed = capsys.readouterr()
    assert said in printed.err
    assert "Traceback" not in printed.err
    assert printed.out == ""


def test_a_scenario_that_could_not_name_its_files_is_not_written(tmp_path: Path) -> None:
    path, output = lay(tmp_path / "shop"), tmp_path / "elsewhere" / "web.toml"
    output.parent.mkdir()
    argv = ["from", str(path), "--service", "web", "--output", str(output)]
    done = CliRunner().invoke(scenario_app, argv)
    assert isinstance(done.exception, InputError)
    assert "beside the Compose file" in str(done.exception)
    assert not output.exists()


def test_the_folder_that_a_service_starts_in_is_taken() -> None:
    service, left_out = one({"working_dir": "/srv"})

    assert service.working_dir == "/srv"
    assert "working_dir" not in left_out
