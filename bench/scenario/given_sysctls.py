"""Which settings the namespace of an arm's server is given, and what of them does not go together."""

from collections.abc import Iterator

from bench.scenario.model import Arm, LabSettings
from bench.scenario.modes.catalogue import MODES
from bench.scenario.sysctls import parse_sysctls
from bench.scenario.tables import Tables


def sysctls_of(asked: Tables, arm: Arm, lab: LabSettings) -> dict[str, str]:
    """Name -> value, of the namespace that the server of `arm` is in: its host's where it has no other."""
    owner = asked.arm(arm.target) if arm.target else arm
    own = {name: str(value) for name, value in owner.sysctls.items()}
    return {**parse_sysctls(lab.sysctls), **own}


def names_asked(asked: Tables, arm: Arm, lab: LabSettings) -> frozenset[str]:
    """Settings that the scenario makes around the server of `arm`, or the baseline's: why they differ."""
    pair = (arm, asked.arm(asked.baseline))
    given = {name for each in pair for name in sysctls_of(asked, each, lab)}
    return frozenset(given | parse_sysctls(lab.host_sysctls).keys())


def faults_of_sysctls(asked: Tables) -> Iterator[str]:
    """Settings of a namespace that an arm does not have, and names that are given twice."""
    arms = {arm.name: arm for arm in asked.arms}
    for_all, for_hosts = _names(asked, "sysctls"), _names(asked, "host_sysctls")
    for index, arm in enumerate(asked.arms):
        place = f"arms.{index}.sysctls"
        if arm.sysctls and arm.target:
            yield f"{place}: {arm.name} is in the network of {arm.target}: give them to that arm"
        elif arm.sysctls and MODES[arm.kind].in_host_network:
            yield (
                f"{place}: {arm.name} is in its host's own namespace, whose settings Docker refuses to a"
                " container; lab.host_sysctls are of every Docker host's namespace"
            )
        for name in sorted(arm.sysctls.keys() & for_all):
            yield f"{place}: {name} is given to every arm by lab.sysctls as well: give it once"
    hosted = [arm.name for arm in arms.values() if (arm.target is None or arm.target in arms)]
    hosted = [name for name in hosted if asked.network(arms[name]).in_host_network]
    if hosted and for_all and asked.schedule.interleave and len(hosted) < len(arms):
        yield (
            f"lab.sysctls: they are of {hosted[0]}'s host while its container lives, which is while others"
            " take their turns (schedule.interleave) through that host: leave that table away, for slots, or"
            " give what shall hold for all to lab.host_sysctls"
        )
    for name in sorted(for_all & for_hosts if hosted else ()):
        yield f"lab.host_sysctls: {name} is given to {hosted[0]}'s host by lab.sysctls as well: give it once"


def _names(asked: Tables, field: str) -> set[str]:
    """Of all levels that are texts of settings; what is none is told with the factor."""
    found: set[str] = set()
    for text in (getattr(asked.lab, field), *asked.factors.get(f"lab.{field}", ())):
        try:
            found |= parse_sysctls(text).keys()
        except (AttributeError, ValueError):
            continue
    return found
