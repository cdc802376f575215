"""What every recording has in common, be it a run, a capacity measurement or a suite.

It is registered before there is data. What it measures is compared within it, so it goes on only with the
machine and the image that it began with. However it ends, its record says so.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from bench.errors import EnvironmentLacks, InputError, Interrupted, MeasurementInvalid
from bench.lab.hosts import machine
from bench.lab.hosts.journal import undo_dead_runs
from bench.lab.servers.image import Image
from bench.lab.servers.own_image import Own
from bench.measure.lab_testbed import prepare_bed
from bench.measure.progress import Progress
from bench.measure.real_testbed import prepare_real_bed
from bench.measure.testbed import Bed
from bench.records.environment import ImageFacts, MachineFacts
from bench.records.run import Status
from bench.results import files
from bench.scenario.hosts import HostsFile
from bench.scenario.scenario import Scenario


@dataclass
class Ending:
    """How a recording ends; failed, unless what it does comes to its end and says otherwise."""

    status: Status = Status.FAILED


@contextmanager
def recording(finish: Callable[[Status, str], None]) -> Iterator[Ending]:
    """Call `finish` with the status and the time, whatever ends the block; its exception goes on."""
    ending = Ending()
    try:
        yield ending
    except Interrupted:
        ending.status = Status.INTERRUPTED
        raise
    finally:
        finish(ending.status, say_time())


@contextmanager
def lay_bed(
    scenario: Scenario,
    record_id: str,
    progress: Progress,
    web_ui: int | None = None,
    hosts: HostsFile | None = None,
    own: Own | None = None,
) -> Iterator[Bed]:
    """The bed of a recording, in the lab or on `hosts`, on a machine that keeps nothing of runs that died.
    Needs the machine's lock.
    """
    undo_dead_runs()
    place = partial(prepare_real_bed, hosts) if hosts else prepare_bed
    with place(scenario, record_id, progress.stage, web_ui, own) as bed:
        progress.stage("modes: each arm is tried")
        yield bed


def new_id() -> str:
    """Of a recording that begins now."""
    return files.new_run_id(datetime.now(UTC))


def say_time() -> str:
    """Now, UTC, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def refuse_ended(doing: str, how: str, folder: Path) -> InputError:
    """The refusal to go on with what has come to its end."""
    return InputError(doing, how, f"`bench report {folder}` writes its report.")


def require_unchanged(doing: str, faults: tuple[str, ...]) -> None:
    """Raise MeasurementInvalid where what was measured before is not as it was written."""
    if faults:
        raise MeasurementInvalid(
            doing,
            f"it is not as it was written: {'; '.join(faults)}",
            "Restore it from a copy, or begin a new one: what was changed cannot be measured further.",
        )


def require_same_machine(doing: str, known: MachineFacts, here: MachineFacts | None = None) -> None:
    """Raise EnvironmentLacks on another machine than the `known` one: what is compared is of one machine.

    `here`: the one that is there now; None: this one.
    """
    here = here or machine.describe_machine()
    if changed := known.differing(here):
        raise EnvironmentLacks(
            doing,
            "; ".join(
                f"its {fact} was {getattr(known, fact)} and is {getattr(here, fact)} here" for fact in changed
            ),
            "Begin a new one: figures of different machines cannot be compared.",
        )


def require_same_image(doing: str, known: ImageFacts, image: Image) -> None:
    """Raise EnvironmentLacks where what was measured before ran another image than the one here."""
    if known.id not in (None, image.id):
        raise EnvironmentLacks(
            doing,
            f"what is measured of it ran the image {known.id}, and this machine now has {image.id}",
            "Begin a new one: figures of different images cannot be compared.",
        )
