"""One of each that bench stores, to be changed a file at a time."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from shutil import copytree

import bench
from bench.records.findings import Word
from bench.records.run import SlotRecord
from bench.results import columns, files, store
from bench.results.run import Run
from bench.scenario.plan import plan_slots
from bench.slots.metrics import find_turns
from bench.slots.turns_record import TurnsRecord
from tests.pure.captures import make_tapped, store_captures
from tests.pure.conftest import (
    BRIDGE,
    HOST,
    make_records,
    make_run,
    make_scenario,
    make_slot_record,
    store_whole,
)
from tests.pure.reports import CLAIM
from tests.pure.services import store_own
from tests.pure.test_capacity import Machine, begin, measure
from tests.pure.test_findings import make_record, make_walk
from tests.pure.test_interleaving import TWO, make_run_of_sets
from tests.pure.test_suite import store_suite

RUN = "20250102T030405Z-00ff"
"""Name of the folder of each."""


@dataclass
class Stock:
    """What is stored, each made when it is first asked for, below `folder`."""

    folder: Path

    @cached_property
    def run(self) -> Path:
        """The smallest, and its twin."""
        folder = self._make("unit")
        record = make_run(make_scenario(blocks=3, claims=(CLAIM,)), warnings=())
        for slot in record.planned:
            rows = [{"sent_ns": 1_000 + 9 * n, "done_ns": 21_000 + n**2 + slot.index} for n in range(60)]
            columns.write_requests(folder, slot.directory, make_records(rows))
        store_whole(folder, record)
        store.write_verdict(folder, bench.load(folder).verdict)
        copytree(folder, self.folder / "twin" / RUN)
        return folder

    @cached_property
    def slot(self) -> str:
        return bench.load(self.run).record.planned[0].directory

    @property
    def twin(self) -> Path:
        """The run again, which nobody changes: a copy from before anybody does."""
        return self.run.parents[1] / "twin" / RUN

    @cached_property
    def larger(self) -> list[Path]:
        """A run with taps, one with turns, and copies of the real ones that come with bench."""
        found = sorted((Path(__file__).parents[2] / "results").glob("example-*/*/"))
        real = [copytree(run, self.folder / run.parent.name / run.name) for run in found]
        return [self.tapped.path, self.shared[0].path, *real]

    @cached_property
    def tapped(self) -> Run:
        """A run with taps, judged."""
        run = store_captures(self._make("tapped"), make_tapped(blocks=3, arms=(HOST, BRIDGE)))
        assert run.verdict
        return run

    @cached_property
    def shared(self) -> tuple[Run, SlotRecord]:
        """A run whose slots shared their time, and the first of them."""
        folder, record = self._make("shared"), make_run_of_sets()
        turns = TurnsRecord(turns=2, settled_s=0.0018, proof_requests=1, proof_connections=1, after=())
        slots = tuple(slot.model_copy(update={"turns": turns}) for slot in record.slots)
        for slot in slots:
            rows = [{"sent_ns": n * 10_000, "done_ns": n * 10_000 + 20_000 + n} for n in range(600)]
            records = make_records(rows)
            cells = find_turns(records["sent_ns"], TWO)
            columns.write_requests(folder, slot.slot.directory, records, cells)
            columns.write_turns(folder, slot.slot.directory, TWO)
        store_whole(folder, record.model_copy(update={"slots": slots}))
        return bench.load(folder), slots[0]

    @cached_property
    def service(self) -> Path:
        """A run of a service of one's own, which has surroundings."""
        return store_own(self._make("service")).path

    @cached_property
    def suite(self) -> Path:
        folder, record = store_suite(self.folder / "suites")
        store.finish_suite(folder, record)
        return folder

    @cached_property
    def capacity(self) -> Path:
        folder, record = self._make("capacity"), measure(begin(), Machine())
        slots = {slot.arm: make_slot_record(slot) for slot in plan_slots(record.scenario, seed=1)}
        probes = tuple(
            probe.model_copy(update={"slot": slots[probe.arm]}) if probe.confirming else probe
            for probe in record.probes
        )
        store.finish_capacity(folder, record.model_copy(update={"probes": probes}))
        return folder

    @cached_property
    def told(self) -> Run:
        """A run beside which the article was walked through, judged."""
        folder = copytree(self.run, self.folder / "told" / self.run.name)
        record = make_record(make_walk("machine", *Word), make_walk("debian:trixie", *reversed(Word)))
        (folder / files.WALKTHROUGH_FILE).write_text(record.model_dump_json())
        run = bench.load(folder)
        assert run.verdict
        return run

    @cached_property
    def shelf(self) -> Path:
        """A folder with results/, in which there is one of each kind and a second run."""
        shelf = self.folder / "shelf"
        for kind, folder in {
            "unit": self.run,
            "twin": self.twin,
            "suite": self.suite,
            "capacity": self.capacity,
        }.items():
            copytree(folder, shelf / "results" / kind / folder.name)
        walked = shelf / "results" / "walkthrough" / self.told.path.name
        walked.mkdir(parents=True)
        (walked / files.WALKTHROUGH_FILE).write_bytes((self.told.path / files.WALKTHROUGH_FILE).read_bytes())
        return shelf

    @cached_property
    def shelved(self) -> list[str]:
        """The files in it that may be damaged: one run stays whole, and one slot is as good as all."""
        return [
            str(path.relative_to(self.shelf))
            for path in sorted(self.shelf.glob("results/*/*/**/*"))
            if path.suffix == ".json" or path.name == files.SUMS_FILE
            if "twin" not in path.parts and (path.name != files.SLOT_FILE or "000-" in path.parent.name)
        ]

    def _make(self, name: str) -> Path:
        folder = self.folder / name / RUN
        folder.mkdir(parents=True)
        return folder
