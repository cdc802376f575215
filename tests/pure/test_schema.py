"""The published JSON Schema, and the words about every option beside it."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from pydantic import BaseModel

from bench.scenario.parsing import parse_scenario
from bench.scenario.scenario import TABLES, Scenario
from bench.scenario.schema import describe_scenario_file

from .test_scenario import ARMS, CLAIM, HEAD, VALID

ROOT = Path(__file__).parents[2]
SCHEMA = describe_scenario_file()
MODELS: dict[str, type[BaseModel]] = {"": Scenario, **TABLES}
OPTIONS = [(table, name) for table, model in MODELS.items() for name in model.model_fields]


def faults_of(text: str) -> list[Any]:
    validator = jsonschema.Draft7Validator(SCHEMA)
    return list(validator.iter_errors(tomllib.loads(text)))


def test_the_committed_schema_is_that_of_the_code() -> None:
    committed = json.loads((ROOT / "docs" / "scenario.schema.json").read_text())
    assert committed == SCHEMA, "bench scenario schema > docs/scenario.schema.json"


def test_the_command_prints_the_schema() -> None:
    argv = [sys.executable, "-m", "bench", "scenario", "schema"]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == (ROOT / "docs" / "scenario.schema.json").read_text()


def test_the_schema_is_one_of_the_dialect_that_it_names() -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == jsonschema.Draft7Validator.META_SCHEMA["$schema"]


@pytest.mark.parametrize("path", sorted((ROOT / "scenarios").glob("*.toml")), ids=lambda path: path.name)
def test_every_scenario_that_we_ship_fits_the_schema(path: Path) -> None:
    assert faults_of(path.read_text()) == []


@pytest.mark.parametrize(
    "text",
    [
        HEAD,
        VALID.replace('mode = "bridge"', 'mode = "brigde"'),
        VALID.replace('mode = "bridge"', 'mode = "container"'),
        VALID + 'address = "192.168.0.1"\n',
        VALID + "port = 70000\n",
        VALID + "[load]\nconections = 2\n",
        VALID + '[load]\nconnections = "2"\n',
        VALID + "[load]\nmeasure_s = 0\n",
        VALID + "[schedule]\nblocks = 1\n",
        VALID + "[margins]\np50_latency_us = 1.0\n",
        VALID + '[factors]\n"load.model" = ["open", "closed"]\n',
        VALID + '[factors]\n"load.connections" = [1]\n',
        VALID + '[factors]\n"load.connections" = [1, 0]\n',
        VALID + CLAIM + 'metrics = ["p50"]\n',
    ],
)
def test_what_the_schema_refuses_the_reader_refuses_too(text: str) -> None:
    assert faults_of(text)
    with pytest.raises(Exception, match="fault"):
        parse_scenario(text, "unit.toml")


def test_a_shared_network_fits_the_schema() -> None:
    assert faults_of(VALID + ARMS.replace('mode = "bridge"', 'mode = "container:host"')) == []


@pytest.mark.parametrize(("table", "name"), OPTIONS)
def test_every_option_is_described_to_an_editor(table: str, name: str) -> None:
    defined = TABLES[table].__name__ if table else ""
    options = SCHEMA["$defs"][defined]["properties"] if defined else SCHEMA["properties"]
    option = options[name]
    if not table and name in TABLES and "$ref" in option:
        option = SCHEMA["$defs"][TABLES[name].__name__]
    assert option["description"]


@pytest.mark.parametrize(("table", "name"), OPTIONS)
def test_every_option_occurs_in_the_example_of_the_documentation(table: str, name: str) -> None:
    table_now, found = "", set()
    for line in "".join(documented_tables()).splitlines():
        if heading := re.match(r"\[\[?([a-z.]+)\]", line):
            table_now = heading[1]
            found.add((table_now.rpartition(".")[0], table_now.rpartition(".")[2]))
        elif option := re.match(r"(?:# )?([a-z0-9_]+) = ", line):
            found.add((table_now, option[1]))
    assert (table, name) in found


def test_the_example_of_the_documentation_is_a_scenario() -> None:
    assert parse_scenario(documented_example(), "docs/scenarios.md").name == "example"


def documented_tables() -> list[str]:
    """Every piece of TOML on the page of scenarios."""
    return re.findall(r"```toml\n(.*?)```", (ROOT / "docs" / "scenarios.md").read_text(), re.DOTALL)


def documented_example() -> str:
    return documented_tables()[0]
