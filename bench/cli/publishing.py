"""What is written for people into the folder of a run, a capacity measurement or a suite."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.judgement.capacity.record import CapacityRecord
    from bench.records.suite import SuiteRecord
    from bench.results.run import Run


def publish_run(run: "Run") -> None:
    """Write a run's report."""
    from bench.report.run.publish import write_report

    write_report(run, run.path)


def publish_capacity(folder: Path, record: "CapacityRecord") -> None:
    """Write the report of a capacity measurement."""
    from bench.report.pages.capacity import write_capacity_report

    write_capacity_report(record, folder)


class Index:
    """Writes a suite's index; a run that has ended is opened and judged once, however often it is written."""

    def __init__(self) -> None:
        self.runs: dict[str, Run] = {}
        """By their places, as the suite's entries name them."""

    def publish(self, folder: Path, record: "SuiteRecord", ended: "Run | None") -> None:
        """Write the index of the suite in `folder`; `ended` is the run that ended just now, if one did."""
        from bench.report.pages.suite import write_index

        if ended:
            for entry in record.entries:
                if entry.run and Path(entry.run).parts[-2:] == ended.path.parts[-2:]:
                    self.runs[entry.run] = ended
        write_index(record, folder, self.runs)
