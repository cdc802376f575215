"""What bench stored, changed since: runs, their tables, suites, capacity measurements, walkthroughs."""

import json
import random
import warnings
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager
from copy import copy
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import bench
from bench.cli import capacity, suite
from bench.cli.options import complete_runs
from bench.cli.publishing import Index
from bench.judgement.capacity.search import next_step
from bench.report.pages.capacity import answer_capacity, summarise_capacity
from bench.report.run import page
from bench.results import columns, files, store
from bench.results.run import Run
from bench.results.sums import NotAsWritten
from bench.results.verification import compare_slot
from bench.walkthrough.page import render_markdown

from .mutations import mutate, mutate_bytes, mutate_columns, mutate_text
from .outcomes import ANOTHER, SAME, WARNED, command, printed, refusing, replaced
from .stock import Stock

Change = Callable[[bytes, random.Random], bytes]
Look = Callable[[], tuple[Any, bool]]
"""What is concluded, and whether it is said that something is not as it was written."""
ACTIVE = "<script>alert(1)"
"""Of `HOSTILE`."""
DEEP = b"[" * 100_000
"""Deeper than Python reads."""
COMMANDS = (
    ("check", "{run}", "--max-cost", "1.05"),
    ("check", "{run}", "--baseline", "{twin}"),
    ("compare", "{run}", "{run}"),
    ("compare", "{twin}", "{run}", "--json"),
    ("map", "{run}"),
    ("map", "{run}", "{other}", "--json"),
    ("history", "{run}"),
    ("verify", "{run}", "--deep"),
    ("report", "{run}", "--format", "json"),
    ("report", "{run}", "--github-summary", "--output", "/dev/null"),
)
"""What else is asked of a run that was accepted: one of these a case."""
FIGURES = 0.1
"""Share of the accepted cases whose figures are drawn: it takes seconds."""


@dataclass
class Recordings:
    """Targets: a file of the stock, changed."""

    stock: Stock
    _expected: dict[Path, Any] = field(default_factory=dict)
    """What is concluded of what is unchanged, by the file that is changed."""
    _sealed: dict[Path, str] = field(default_factory=dict)
    """Sums of the tables."""

    def targets(self) -> dict[str, tuple[Callable[[random.Random], str], int]]:
        """Each with its weight among all."""
        return {
            "run.json": (lambda dice: self.run_record(dice, self.stock.run), 22),
            "run.json, larger": (lambda dice: self.run_record(dice, dice.choice(self.stock.larger)), 3),
            "slot.json": (self.slot_record, 10),
            "surroundings": (self.surroundings, 3),
            "requests, bytes": (lambda dice: self.requests(dice, mutate_bytes), 15),
            "requests, columns": (lambda dice: self.requests(dice, mutate_columns), 5),
            "hops, bytes": (lambda dice: self.hops(dice, mutate_bytes), 3),
            "hops, columns": (lambda dice: self.hops(dice, mutate_columns), 3),
            "turns, bytes": (lambda dice: self.turns(dice, mutate_bytes), 5),
            "turns, columns": (lambda dice: self.turns(dice, mutate_columns), 5),
            "suite.json": (self.suite_record, 10),
            "capacity.json": (self.capacity_record, 10),
            "verdict.json": (self.verdict, 5),
            "walkthrough.json": (self.walkthrough, 5),
            "shelf": (self.shelf, 5),
        }

    def run_record(self, dice: random.Random, run: Path) -> str:
        """The record of a run that has ended."""
        return self._record(run / files.RUN_FILE, dice, lambda: self._look_at_run(run, dice))

    def slot_record(self, dice: random.Random) -> str:
        """A slot's own record, of a run that was killed before its end: nothing else says what it was."""
        run = self.stock.run
        with _killed(run):
            path = run / self.stock.slot / files.SLOT_FILE
            return self._record(path, dice, lambda: self._look_at_run(run, dice))

    def surroundings(self, dice: random.Random) -> str:
        """What was around the slots of a run that was killed before its end."""
        run = self.stock.service
        with _killed(run):
            path = dice.choice(sorted((run / files.SURROUNDINGS_FOLDER).iterdir()))
            return self._record(path, dice, lambda: self._look_at_run(run, dice))

    def requests(self, dice: random.Random, change: Change) -> str:
        """A slot's requests."""
        path = self.stock.run / self.stock.slot / columns.REQUESTS_FILE

        def look() -> Any:
            table = columns.read_requests(self.stock.run, self.stock.slot, sealed=self._sealed[path])
            run = bench.load(self.stock.run)
            list(compare_slot(run.path, run.record.slots[0], run.conditions[0].load))
            _render(run, dice)
            return table

        return self._table(path, change, dice, look)

    def hops(self, dice: random.Random, change: Change) -> str:
        """A capture slot's hops."""
        slot = self.stock.tapped.tapped[0].slot
        path = self.stock.tapped.path / slot.directory / columns.HOPS_FILE

        def look() -> Any:
            table = columns.read_hops(self.stock.tapped.path, slot.directory, sealed=self._sealed[path])
            _render(copy(self.stock.tapped), dice)
            return table

        return self._table(path, change, dice, look)

    def turns(self, dice: random.Random, change: Change) -> str:
        """The turns of a slot that shared its time with others."""
        run, slot = self.stock.shared
        path = run.path / slot.slot.directory / columns.TURNS_FILE

        def look() -> Any:
            found = columns.read_turns(run.path, slot.slot.directory, sealed=self._sealed[path])
            list(compare_slot(run.path, slot, run.conditions[0].load))
            return found.tobytes()

        return self._table(path, change, dice, look)

    def suite_record(self, dice: random.Random) -> str:
        """The record of a suite: its index, what its command prints of it, and its files verified."""
        folder = self.stock.suite

        def look() -> tuple[Any, bool]:
            index = command("report", folder, "--format", "md")
            command("report", folder, "--format", dice.choice(["html", "json"]))
            printed(lambda: suite.print_end(folder, Index(), as_json=dice.random() < 0.5))
            return index, "not as it was written" in command("verify", folder)

        return self._record(folder / files.SUITE_FILE, dice, look)

    def capacity_record(self, dice: random.Random) -> str:
        """The record of a capacity measurement: its next step, its report, what its command prints of it."""
        folder = self.stock.capacity

        def look() -> tuple[Any, bool]:
            record = store.read_capacity(folder)
            next_step(record)
            printed(lambda: capacity._print_capacity(folder, as_json=dice.random() < 0.5))
            if dice.random() < FIGURES:
                command("report", folder)
            said = command("verify", folder, "--deep")
            return (answer_capacity(record), summarise_capacity(record)), "not as it was written" in said

        return self._record(folder / files.CAPACITY_FILE, dice, look)

    def verdict(self, dice: random.Random) -> str:
        """A run's verdict.json."""
        return self._record(
            self.stock.run / files.VERDICT_FILE, dice, lambda: (store.read_verdict(self.stock.run), False)
        )

    def walkthrough(self, dice: random.Random) -> str:
        """What was tried beside a run: as a page of its own and in the run's."""
        run = self.stock.told

        def look() -> tuple[Any, bool]:
            record = store.read_walkthrough(run.path)
            assert record
            _render(copy(run), dice)
            return render_markdown(record), False

        return self._record(run.path / files.WALKTHROUGH_FILE, dice, look)

    def shelf(self, dice: random.Random) -> str:
        """A folder of results with one damaged file: every list of it has all the others, as they were."""
        name = dice.choice(self.stock.shelved)
        damage: list[Callable[[Path], object]] = [
            lambda path: None,
            lambda path: path.mkdir(),
            lambda path: path.symlink_to(path.name),
            lambda path: path.symlink_to("nowhere"),
        ]
        with chdir(self.stock.shelf):
            changed = _change(Path(name).read_bytes(), dice)
            put = dice.choice([*damage, *[lambda path: path.write_bytes(changed)] * 8])
            listed = _list()
            with replaced(Path(name), put):
                found = _list()
                assert {path: found[path] for path in listed if path not in name} == {
                    path: row for path, row in listed.items() if path not in name
                }
                assert complete_runs("") == list(found)
                command()
                command("list")
                command("history", "results", *dice.choice([(), ("--json",)]))
        return SAME if found == listed else ANOTHER

    def _look_at_run(self, folder: Path, dice: random.Random) -> tuple[Any, bool]:
        """All that a run says; of one that is accepted, also what another command says of it."""
        with noticing() as said:
            run = bench.load(folder)
            found = run.verdict.model_dump_json()
            _render(run, dice)
            warned = bool(run.faults)
        places = {"run": folder, "twin": self.stock.twin, "other": self.stock.tapped.path}
        with refusing():
            command(*(word.format(**places) for word in dice.choice(COMMANDS)))
        return found, warned or bool(said)

    def _record(self, path: Path, dice: random.Random, look: Look) -> str:
        """The outcome of a look where the record at `path` was changed."""
        return self._outcome(path, _change(path.read_bytes(), dice), dice, look)

    def _table(self, path: Path, change: Change, dice: random.Random, read: Callable[[], Any]) -> str:
        """The outcome of reading where the table at `path` was changed."""
        original = path.read_bytes()
        self._sealed[path] = sha256(original).hexdigest()

        def look() -> tuple[Any, bool]:
            with noticing() as said:
                found = read()
            return found, bool(said)

        outcome = self._outcome(path, change(original, dice), dice, look)
        assert outcome != ANOTHER, "data that is another went unnoticed"
        return outcome

    def _outcome(self, path: Path, content: bytes, dice: random.Random, look: Look) -> str:
        if path not in self._expected:
            state = dice.getstate()
            dice.seed(0)  # Of which no figures are drawn.
            self._expected[path], _ = look()
            dice.setstate(state)  # A case is the same whether it is the first of its file or not.
        with replaced(path, lambda path: path.write_bytes(content)), refusing() as refused:
            found, warned = look()
            return SAME if found == self._expected[path] else WARNED if warned else ANOTHER
        return refused[0]


@contextmanager
def _killed(run: Path) -> Iterator[None]:
    """While this lasts, the run is as one that was killed before its end."""
    ended = json.loads((run / files.RUN_FILE).read_bytes())
    running = json.dumps(ended | {"status": "running", "slots": [], "surroundings": {}})
    with (
        replaced(run / files.RUN_FILE, lambda path: path.write_text(running)),
        replaced(run / files.SUMS_FILE, lambda _: None),
    ):
        yield


def _change(content: bytes, dice: random.Random) -> bytes:
    """A record that somebody changed, or a disk."""
    kind = dice.random()
    if kind < 0.2:
        return DEEP if kind < 0.01 else mutate_bytes(content, dice)
    try:
        return json.dumps(mutate(json.loads(content), dice, dice.choice([1, 1, 2]))).encode()
    except ValueError:  # It is no JSON.
        return mutate_text(content.decode(), dice).encode()


def _render(run: Run, dice: random.Random) -> None:
    """A run's report in both forms; what others wrote is nothing that a browser does."""
    chapters = page.list_chapters(run, figures=dice.random() < FIGURES)
    page.fill_page("md", run, chapters)
    assert ACTIVE not in page.fill_page("html", run, chapters)


def _list() -> dict[str, Any]:
    """What `bench list` says of each folder."""
    return {row["path"]: row for row in json.loads(command("list", "--json"))}


@contextmanager
def noticing() -> Iterator[list[warnings.WarningMessage]]:
    """What is said of files that are not as they were written; behind the block."""
    found: list[warnings.WarningMessage] = []
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        yield found
    found += [each for each in said if issubclass(each.category, NotAsWritten)]
