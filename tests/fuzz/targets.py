"""What is fed with changed input, and how each outcome is told: refused, accepted, or a failure."""

import io
import json
import random
import tomllib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import yaml

from bench.lab.servers.image_archive import read_archive
from bench.measure.preview import preview
from bench.measure.real_hosts import planned_changes
from bench.scenario.compose import Surroundings, convert
from bench.scenario.hosts import parse_hosts
from bench.scenario.parsing import parse_scenario
from bench.scenario.plan import plan_slots
from bench.scenario.suite import parse_suite
from bench.wire.pcap import read_records
from tests.pure.conftest import make_scenario
from tests.pure.test_image_archive import SAVED, oci, pack

from .mutations import mutate, mutate_bytes, mutate_text, write_toml
from .outcomes import ANOTHER, SAME, refusing
from .recordings import Recordings
from .stock import Stock

ROOT = Path(__file__).parents[2]
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

    def targets(self) -> dict[str, tuple[Target, int]]:
        """Each with its weight among all."""
        return {
            "scenario": (self.scenario, 30),
            "suite": (self.suite, 5),
            "hosts": (self.hosts, 5),
            "Compose": (self.compose, 10),
            "capture": (self.capture, 10),
            "image archive": (self.image_archive, 5),
            **Recordings(Stock(self.folder)).targets(),
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

    def image_archive(self, dice: random.Random) -> str:
        """An archive of an image, of either form: what one holds."""
        kept = dict(dice.choice([SAVED, oci("arm64", "amd64")]))
        name = dice.choice(list(kept))
        with suppress(ValueError):  # A layer is no JSON.
            kept[name] = json.dumps(mutate(json.loads(kept[name]), dice)).encode()
        archive = pack(self.folder, kept)
        if dice.random() < 0.3:
            archive.write_bytes(mutate_bytes(archive.read_bytes(), dice))
        with refusing() as refused:
            read_archive(archive, "amd64")
            return ANOTHER
        return refused[0]

    def capture(self, dice: random.Random) -> str:
        """A capture, damaged: what can still be followed is read."""
        with refusing() as refused:
            found = sum(
                len(part.starts) for part in read_records(io.BytesIO(mutate_bytes(self._pcap, dice)), "fuzz")
            )
            return SAME if found == self._packets else ANOTHER
        return refused[0]

    @cached_property
    def _scenarios(self) -> list[str]:
        bundled = [path.read_text() for path in sorted((ROOT / "scenarios").glob("*.toml"))]
        return [*bundled, *[SERVICE] * (len(bundled) // 4)]  # As often as its tables are many.

    @cached_property
    def _pcap(self) -> bytes:
        return next(iter(sorted((ROOT / "results/example-anatomy").rglob("*.pcap")))).read_bytes()

    @cached_property
    def _packets(self) -> int:
        return sum(len(part.starts) for part in read_records(io.BytesIO(self._pcap), "as it was"))
