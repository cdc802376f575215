"""Which arms can be had here, found by trying each."""

from typing import NamedTuple

from bench.errors import BenchError, EnvironmentLacks, MeasurementInvalid
from bench.generator.failures import GeneratorDied
from bench.lab.hosts import waiting
from bench.lab.hosts.host import Host
from bench.lab.hosts.sysctls import hold_sysctls
from bench.measure.readiness import await_answer
from bench.measure.testbed import Bed
from bench.scenario.conditions import Condition, conditions
from bench.scenario.model import Arm, LabSettings
from bench.scenario.sysctls import parse_sysctls

GIVING_UP_S = 10.0
"""Patience with a kernel that asks for a neighbour: three times, a second apart (neigh's mcast_solicit)."""


class Gaps(NamedTuple):
    """What cannot be had here, with the reasons."""

    arms: dict[str, str]
    """Under no condition."""
    conditions: dict[int, str]
    """With any arm, by index into `conditions(scenario)`."""
    cells: dict[int, dict[str, str]]
    """Condition -> arm -> reason, of arms that can be had under another condition."""


def find_gaps(bed: Bed) -> Gaps:
    """What cannot be had here, found by trying each arm in each place and from each vantage.

    Raises EnvironmentLacks where nothing would be left to compare with, or an engine ends meanwhile.
    """
    scenario = bed.scenario
    cells: dict[int, dict[str, str]] = {}
    missing_conditions: dict[int, str] = {}
    tried: dict[tuple[str, str, str, str], str | None] = {}
    for index, condition in enumerate(conditions(scenario)):
        if reason := _refuses(bed, condition.lab):
            missing_conditions[index] = reason
            continue
        for arm in sorted(scenario.arms, key=lambda arm: arm.name != scenario.baseline):
            place = bed.place(arm, condition)
            key = place.name, arm.name, condition.load.vantage, condition.lab.sysctls
            if key not in tried:
                # Twice: a mode that cannot be had fails again, and a server that something ended does not.
                tried[key] = (
                    bed.lacks.get(arm.name)
                    or bed.find_missing(place, condition)
                    or (try_arm(bed, arm, condition) and try_arm(bed, arm, condition))
                )
                if tried[key] and (dead := bed.describe_dead_engines()):
                    raise EnvironmentLacks(
                        f"Trying {arm.name}",
                        f"{tried[key]}; {dead}",
                        "An engine that ends says nothing about a mode: try again, with `bench resume`.",
                    )
            lack = tried[key]
            if lack and arm.name == scenario.baseline:
                missing_conditions[index] = lack
                break
            if lack:
                cells.setdefault(index, {})[arm.name] = lack
    if len(missing_conditions) == len(conditions(scenario)):
        raise EnvironmentLacks(
            f"Trying the baseline {scenario.baseline}",
            "; ".join(dict.fromkeys(missing_conditions.values())),
            "Nothing can be compared with a baseline that cannot be had: choose another."
            if scenario.service is None
            else "`docker run` of the same image, command and environment should show the same; then see the"
            " service's port, its requests and its `ready`.",
        )
    present = [index for index in range(len(conditions(scenario))) if index not in missing_conditions]
    arms = {
        arm.name: "; ".join(dict.fromkeys(cells[index][arm.name] for index in present))
        for arm in scenario.arms
        if all(arm.name in cells.get(index, {}) for index in present)
    }
    rest = {
        index: {name: reason for name, reason in found.items() if name not in arms}
        for index, found in cells.items()
    }
    return Gaps(arms, missing_conditions, {index: found for index, found in rest.items() if found})


def _refuses(bed: Bed, lab: LabSettings) -> str:
    """Why the Docker hosts cannot have the settings of their namespaces that `lab` asks for; else empty."""
    try:
        for host in bed.lab.docker.values() if lab.host_sysctls else ():
            with hold_sysctls(host, parse_sysctls(lab.host_sysctls)):
                pass
    except MeasurementInvalid as fault:
        return fault.seen
    return ""


def try_arm(bed: Bed, arm: Arm, condition: Condition) -> str | None:
    """Create, start, answer one request, tear down: None, or why that did not work."""
    try:
        with bed.serve(arm, condition, f"bench-try-{arm.name}") as server:
            if not bed.scenario.network(arm).reachable:
                return None
            site, patience_s = bed.site(arm, condition), bed.scenario.served.ready.timeout_s
            try:
                await_answer(bed, site, server, arm, condition, patience_s)
            except MeasurementInvalid as fault:
                asker = server.sender
                _let_it_give_up(asker)
                where = f"from {server.endpoint.address}:{server.endpoint.port} to {asker.name}"
                return f"it starts, but no right answer came {where}: {fault.seen}"
            bed.generator.prove(server.endpoint, server.secret)
    except GeneratorDied:
        raise  # That is no fault of the arm's.
    except MeasurementInvalid as fault:
        return fault.seen
    except BenchError as fault:
        return f"{fault.doing}: {fault.seen}"
    return None


def _let_it_give_up(asker: Host) -> None:
    """Wait until `asker` looks for no neighbour any more.

    It tells whoever asked in vain so over its own loopback, seconds later, where the first slot
    would count it.
    """
    looking = ["ip", "neigh", "show", "nud", "incomplete"]
    waiting.wait_until(lambda: not asker.run(looking), GIVING_UP_S, 0.1)
