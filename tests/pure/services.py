"""Stored runs of a service of a person's own: its scenario, what its slots answered, what was around it."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench.records.run import SlotRecord
from bench.results import columns
from bench.results.by_request import COLUMN
from bench.results.run import Run
from bench.scenario.model import Arm
from bench.scenario.plan import Slot, plan_slots
from bench.scenario.requests import Request
from bench.scenario.scenario import Scenario
from bench.scenario.service import Companion, Service
from bench.slots.answers import AnswerRecord, record_answer
from bench.slots.surroundings import Facts, digest

from .conftest import make_records, make_run, make_scenario, store_whole
from .reports import measure

SHOP = Service(
    image="registry.test/shop:3",
    name="shop",
    command=("serve", "--port", "{port}"),
    environment={"PORT": "{port}", "SECRET": "hunter2"},
    user="1000",
    mounts={"/etc/shop.toml": "shop.toml"},
)
CART = Request(path="/cart", weight=7)
UPLOAD = Request(path="/upload", method="POST", body="12345", weight=3, status=201)
DATABASE = Companion(name="db", image="postgres:17", port=5432)
FACTS: Facts = {
    "started as": "serve --port {port}",
    "user": "1000",
    "log driver": "none",
    "memory limit": "0",
    "mounts": "/etc/shop.toml (ro)",
    "variable PORT": "{port}",
    "variable SECRET": "f52fbd32b2b3",
    "process limit, open files": "1024",
    "net.ipv4.ip_forward": "0",
}
NETWORKS = (
    Arm(name="host", mode="host"),
    Arm(name="bridge", mode="bridge"),
    Arm(name="user-bridge", mode="user-bridge"),
)


def make_own(*, blocks: int = 4, **changes: Any) -> Scenario:
    """A shop with its database, asked for two things."""
    fields: dict[str, Any] = {
        "arms": NETWORKS,
        "service": SHOP,
        "requests": (CART, UPLOAD),
        "companions": (DATABASE,),
    }
    return make_scenario(blocks=blocks, **(fields | changes))


def answer(scenario: Scenario, *, body: bytes = b"hello", server: str = "shop/3") -> tuple[AnswerRecord, ...]:
    """What each request is answered."""
    return tuple(
        record_answer(request, request.status, [("Server", server), ("Date", "now")], body)
        for request in scenario.asked
    )


def facts_of(slot: Slot) -> Facts:
    """Around `slot`'s server: forwarding is on in the host's namespace, which its mode implies."""
    return {**FACTS, "net.ipv4.ip_forward": "1" if slot.arm == "host" else "0"}


def store_own(folder: Path, scenario: Scenario | None = None, *, received: int = 1024, **changes: Any) -> Run:
    """A run of it, opened, with the requests of every slot in its files, each of `received` bytes."""
    scenario = scenario or make_own()
    plan = plan_slots(scenario, seed=1)
    slots = changes.pop("slots", None) or tuple(measure_own(scenario, slot) for slot in plan)
    facts = {digest(facts_of(slot)): facts_of(slot) for slot in plan}
    fields: dict[str, Any] = {
        "slots": slots,
        "warnings": (),
        "surroundings": facts,
        "image": {"id": "sha256:5409", "source": SHOP.image, "architecture": "amd64"},
        "companion_images": {"db": {"id": "sha256:db17", "source": "postgres:17", "architecture": "amd64"}},
    }
    record = make_run(scenario, **(fields | changes))
    folder.mkdir(exist_ok=True)
    for slot in record.slots:
        if slot.requests:
            columns.write_requests(folder, slot.slot.directory, make_rows(received))
            if len(scenario.asked) > 1:
                say_which(folder / slot.slot.directory / columns.REQUESTS_FILE)
    store_whole(folder, record)
    return Run(folder)


def measure_own(
    scenario: Scenario, slot: Slot, latency_us: float | None = None, **changes: Any
) -> SlotRecord:
    """A slot as `reports.measure` makes it, with what it was answered and what was found."""
    more = {"answers": answer(scenario), "surroundings": digest(facts_of(slot))}
    return measure(scenario, slot, latency_us).model_copy(update=more | changes)


def make_rows(received: int) -> np.ndarray:
    """Sixty requests of 20 to 24 us."""
    return make_records(
        {"sent_ns": 1_000 + 9 * n, "done_ns": 21_000 + n**2, "connection": n % 4, "bytes": received}
        for n in range(60)
    )


def say_which(path: Path) -> None:
    """Add the column that a run of several requests has: of three requests in a row two are the first."""
    table = pq.read_table(path)
    if COLUMN not in table.column_names:
        which = pa.array([int(place % 3 == 2) for place in range(len(table))], pa.int32())
        pq.write_table(table.append_column(COLUMN, which), path)
