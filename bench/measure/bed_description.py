"""What a run's record says of the bed that it is measured on."""

from typing import Any

from bench.errors import EnvironmentLacks
from bench.lab.hosts import machine
from bench.measure import recording
from bench.measure.availability import find_gaps
from bench.measure.provision import Images
from bench.measure.real_testbed import RealBed
from bench.measure.testbed import Bed
from bench.records.environment import ImageFacts
from bench.records.run import RunRecord


def describe_bed(record: RunRecord, bed: Bed) -> RunRecord:
    """`record`, with what is known of it now. Raises EnvironmentLacks where it is not that of before."""
    require_same_images(record, bed.images)
    places = {place.name: place for place in bed.places}
    gaps = find_gaps(bed)
    of_hosts = _describe_hosts(record, bed) if isinstance(bed, RealBed) else {}
    return record.model_copy(
        update={
            **of_hosts,
            "lab": bed.lab.describe(),
            "engines": {
                name: living.describe(places[name].description) for name, living in bed.engines.items()
            },
            "image": bed.image.describe(),
            "companion_images": {name: image.describe() for name, image in bed.images.companions.items()},
            "unavailable": gaps.arms,
            "unavailable_conditions": gaps.conditions,
            "unavailable_under": gaps.cells,
        }
    )


def require_same_images(record: RunRecord, images: Images) -> None:
    """Raise EnvironmentLacks where what was measured before ran another image, or had another beside it."""
    doing = f"Resuming the run {record.id}"
    recording.require_same_image(doing, record.image, images.service)
    for name, image in images.companions.items():
        known = record.companion_images.get(name, ImageFacts())
        recording.require_same_image(f"{doing}, with its companion {name}", known, image)


def _describe_hosts(record: RunRecord, bed: RealBed) -> dict[str, Any]:
    """What a record says of real hosts. Raises EnvironmentLacks where they are not those of before."""
    found = bed.describe_machines()
    doing = f"Resuming the run {record.id}"
    if record.hosts and set(record.hosts) != set(found):
        seen = f"its hosts were {', '.join(record.hosts)}, and are {', '.join(found)} now"
        raise EnvironmentLacks(doing, seen, "Name the same machines, or begin a new run.")
    for name, before in record.hosts.items():
        recording.require_same_machine(f"{doing} on {name}", before.machine, found[name].machine)
    there = bed.lab.describe()
    if record.lab.hosts and record.lab != there:
        seen = "; ".join(f"{name}: {fact}" for name, fact in record.lab.stated().items())
        raise EnvironmentLacks(
            doing,
            f"its hosts were {seen}, and are otherwise now",
            "Give the hosts file as it was, or begin a new run.",
        )
    [place] = bed.places
    return {
        "hosts": found,
        "machine": found[place.name].machine,
        "tools": machine.tool_versions(bed.lab.docker[place.name].run),
    }
