"""What is fed with changed input, and how each outcome is told: refused, accepted, or a failure."""

import io
import json
import random
import shutil
import tomllib
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import yaml

import bench
from bench.errors import BenchError
from bench.measure.preview import preview
from bench.measure.real_hosts import planned_changes
from bench.report.run import page
from bench.results import columns
from bench.results.sums import NotAsWritten
from bench.scenario.compose import Surroundings, convert
from bench.scenario.hosts import parse_hosts
from bench.scenario.parsing import parse_scenario
from bench.scenario.plan import plan_slots
from bench.scenario.suite import parse_suite
from bench.wire.pcap import read_records
from tests.pure.conftest import make_records, make_run, make_scenario, store_whole
from tests.pure.reports import CLAIM

from .mutations import mutate, mutate_bytes, mutate_text, write_toml

ROOT = Path(__file__).parents[2]
REFUSED, SAME, ANOTHER, WARNED = "refused", "accepted, same", "accepted, another", "warned of"
HOSTS = {
    "docker": {"web": {"ssh": "web", "address": "198.18.0.100", "cores": "0-1"}},
    "load": {"gen": {"ssh": "-p 22 me@gen", "workers": 2}, "other": {"ssh": "other"}},
}
"""A hosts file."""
COMPOSE = """
x-common: &common {restart: always, environment: &environment {TZ: "${TZ:-UTC}"}}
services:
  web:
    <<: *common
    build: {context: ., dockerfile: Dockerfile}
    command: ["serve", "--port", "3000"]
    ports: ["8080:3000"]
    environment:
      <<: *environment
      DATABASE_URL: postgres://db:5432/shop
    volumes: ["./app.toml:/etc/app.toml:ro", "data:/data"]
    deploy: {resources: {limits: {memory: 512m}}}
    ulimits: {nofile: {soft: 4096, hard: 4096}}
    healthcheck: {test: ["CMD-SHELL", "curl -f http://localhost:3000/health || exit 1"]}
    depends_on: {db: {condition: service_healthy}}
  db:
    image: postgres:16
    entrypoint: docker-entrypoint.sh postgres
    environment: [POSTGRES_PASSWORD=x]
    tmpfs: ["/run"]
    user: "999"
    expose: ["5432"]
volumes: {data: {}}
"""
"""A Compose file."""
Target = Callable[[random.Random], str]


SERVICE = """
name = "own"
question = "?"
baseline = "host"
arms = [{name = "host", mode = "host"}, {name = "user-bridge", mode = "user-bridge", port = 8080}]

[service]
image = "registry.test/shop:1.2"
port = 8080
command = ["serve", "{port}"]
environment = { LISTEN = "{listen}", PASSWORD = "hunter2" }
mounts = { "/etc/shop.conf" = "shop.conf" }
memory_mb = 512
cap_drop = ["ALL"]
rate_rps = 500.0
ready = { path = "/health", status = 204, timeout_s = 30.0, log = "ready" }
tls = { certificate_at = "/tls/certificate.pem", key_at = "/tls/key.pem", resume = true }

[[requests]]
path = "/cart?all=1"
weight = 7
expect = { same_json = "[1]", bytes = 3 }

[[requests]]
method = "POST"
path = "/upload"
headers = { Accept = "text/plain" }
body_bytes = 1024
status = 201

[[companions]]
name = "db"
image = "postgres:17"
port = 5432
ready = { log = "accept" }
"""


@dataclass
class Fuzz:
    """Targets, whose files lie in `folder`."""

    folder: Path
    _expected: dict[str, str] = field(default_factory=dict)
    """What the unchanged run says, by the record that is changed."""

    def targets(self) -> dict[str, tuple[Target, int]]:
        """Each with its weight among all."""
        return {
            "scenario": (self.scenario, 30),
            "suite": (self.suite, 5),
            "hosts": (self.hosts, 5),
            "Compose": (self.compose, 10),
            "run.json": (self.run_record, 25),
            "slot.json": (self.slot_record, 10),
            "Parquet, bytes": (self.parquet_bytes, 15),
            "Parquet, columns": (self.parquet_columns, 5),
            "capture": (self.capture, 10),
        }

    def hosts(self, dice: random.Random) -> str:
        """A hosts file: parsed, and a run on its machines planned."""
        with refusing() as refused:
            changed = parse_hosts(write_toml(mutate(HOSTS, dice, dice.choice([1, 2]))), "fuzz.toml")
            planned_changes(changed, make_scenario())
            return SAME if changed.model_dump(mode="json", exclude_unset=True) == HOSTS else ANOTHER
        return refused[0]

    def scenario(self, dice: random.Random) -> str:
        """A scenario that comes with bench: parsed, planned, previewed."""
        text = dice.choice(self._scenarios)
        if dice.random() < 0.3:
            changed = mutate_text(text, dice)
        else:
            changed = write_toml(mutate(tomllib.loads(text), dice, dice.choice([1, 1, 2, 3])))
        with refusing() as refused:
            scenario = parse_scenario(changed, "fuzz.toml")
            same = scenario == parse_scenario(text, "as it was")
            if len(plan_slots(scenario, seed=1)) < 2_000:
                preview(scenario, seed=1)
            return SAME if same else ANOTHER
        return refused[0]

    def compose(self, dice: random.Random) -> str:
        """A Compose file: converted, and what comes of it parsed."""
        if dice.random() < 0.5:
            changed = mutate_text(COMPOSE, dice)
        else:
            table = mutate(yaml.safe_load(COMPOSE), dice, dice.choice([1, 1, 2, 3]))
            changed = yaml.safe_dump(table, allow_unicode=True)
        with refusing() as refused:
            done = convert(changed, "web", surroundings=Surroundings(folder="/srv/shop"))
            parse_scenario(done.toml, "fuzz.toml")
            assert all(line.isprintable() and len(line) < 5_000 for line in done.left_out)
            return SAME if done == convert(COMPOSE, "web") else ANOTHER
        return refused[0]

    def suite(self, dice: random.Random) -> str:
        """A suite file."""
        given = {"name": "unit", "question": "What?", "scenarios": ["quick", "a.toml"]}
        with refusing() as refused:
            changed = parse_suite(write_toml(mutate(given, dice, dice.choice([1, 2]))), "fuzz.toml")
            return SAME if changed.model_dump(mode="json") == given else ANOTHER
        return refused[0]

    def run_record(self, dice: random.Random) -> str:
        """The record of a run that has ended."""
        return self._run(dice, "run.json")

    def slot_record(self, dice: random.Random) -> str:
        """A slot's own record, of a run that was killed before its end: nothing else says what it was."""
        return self._run(dice, f"{self._slot}/slot.json")

    def parquet_bytes(self, dice: random.Random) -> str:
        """A slot's requests, damaged."""
        return self._requests(mutate_bytes(self._parquet, dice))

    def parquet_columns(self, dice: random.Random) -> str:
        """A slot's requests, written anew with other columns."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = pq.read_table(io.BytesIO(self._parquet))
        name = dice.choice(table.column_names)
        place = table.column_names.index(name)
        length = len(table)
        column = dice.choice(
            [
                pa.array(["x"] * length),
                pa.nulls(length),
                pa.array([2**63 - 1] * length),
                pa.array([float("nan")] * length),
                pa.array([[1]] * length),
                table[name].take(pa.array(dice.sample(range(length), length))),
            ]
        )
        changed = table.remove_column(place) if dice.random() < 0.2 else table.set_column(place, name, column)
        sink = io.BytesIO()
        pq.write_table(changed, sink)
        return self._requests(sink.getvalue())

    def capture(self, dice: random.Random) -> str:
        """A capture, damaged: what can still be followed is read."""
        with refusing() as refused:
            found = sum(
                len(part.starts) for part in read_records(io.BytesIO(mutate_bytes(self._pcap, dice)), "fuzz")
            )
            return SAME if found == self._packets else ANOTHER
        return refused[0]

    def _run(self, dice: random.Random, name: str) -> str:
        run = self._stored
        path = run / name
        original = path.read_bytes()
        sums = (run / "SHA256SUMS").read_bytes()
        other = name != "run.json"
        ended = (run / "run.json").read_bytes()
        try:
            if other:  # As it is while the run goes on.
                stored = json.loads(ended)
                stored |= {"status": "running", "slots": []}
                (run / "run.json").write_text(json.dumps(stored))
                (run / "SHA256SUMS").unlink()
            if name not in self._expected:
                self._expected[name] = _conclusions(run)[0]
            if dice.random() < 0.2:
                path.write_bytes(mutate_bytes(original, dice))
            else:
                changed = mutate(json.loads(path.read_bytes()), dice, dice.choice([1, 1, 2]))
                path.write_text(json.dumps(changed))
            with refusing() as refused:
                found, warned = _conclusions(run)
                if found == self._expected[name]:
                    return SAME
                return WARNED if warned else ANOTHER
            return refused[0]
        finally:
            path.write_bytes(original)
            (run / "run.json").write_bytes(ended)
            (run / "SHA256SUMS").write_bytes(sums)

    def _requests(self, content: bytes) -> str:
        path = self._stored / self._slot / columns.REQUESTS_FILE
        try:
            path.write_bytes(content)
            with warnings.catch_warnings(record=True) as said, refusing() as refused:
                warnings.simplefilter("always")
                table = columns.read_requests(
                    self._stored, self._slot, sealed=sha256(self._parquet).hexdigest()
                )
                if table.equals(self._table):
                    return SAME
                # Data that is another must not go unnoticed.
                assert any(issubclass(each.category, NotAsWritten) for each in said)
                return WARNED
            return refused[0]
        finally:
            path.write_bytes(self._parquet)

    @cached_property
    def _scenarios(self) -> list[str]:
        bundled = [path.read_text() for path in sorted((ROOT / "scenarios").glob("*.toml"))]
        return [*bundled, *[SERVICE] * (len(bundled) // 4)]  # As often as its tables are many.

    @cached_property
    def _stored(self) -> Path:
        folder = self.folder / "unit" / "20250102T030405Z-00ff"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        record = make_run(make_scenario(blocks=3, claims=(CLAIM,)), warnings=())
        for slot in record.planned:
            rows = [{"sent_ns": 1_000 + 9 * n, "done_ns": 21_000 + n**2 + slot.index} for n in range(60)]
            columns.write_requests(folder, slot.directory, make_records(rows))
        store_whole(folder, record)
        return folder

    @cached_property
    def _slot(self) -> str:
        return bench.load(self._stored).record.planned[0].directory

    @cached_property
    def _parquet(self) -> bytes:
        return (self._stored / self._slot / columns.REQUESTS_FILE).read_bytes()

    @cached_property
    def _table(self) -> Any:
        return columns.read_requests(self._stored, self._slot)

    @cached_property
    def _pcap(self) -> bytes:
        return next(iter(sorted((ROOT / "results/example-anatomy").rglob("*.pcap")))).read_bytes()

    @cached_property
    def _packets(self) -> int:
        return sum(len(part.starts) for part in read_records(io.BytesIO(self._pcap), "as it was"))


@contextmanager
def refusing() -> Iterator[list[str]]:
    """A known failure is an outcome: `[REFUSED]` behind the block. Anything else is a failure."""
    outcome: list[str] = []
    try:
        yield outcome
    except BenchError as fault:
        said = str(fault)
        outcome.append(REFUSED)
    else:
        return
    assert 0 < len(said.strip()) < 20_000, "a refusal that nobody reads"


def _conclusions(folder: Path) -> tuple[str, bool]:
    """All that a run says, and whether it says that it is not as it was written."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        run = bench.load(folder)
        verdict = run.verdict.model_dump_json()
        page.render_markdown(run)
        faulty = bool(run.faults)
    return verdict, faulty or any(issubclass(each.category, NotAsWritten) for each in said)
