"""What a run would do, before it does it: slots, time, and every change to this machine."""

from dataclasses import asdict, dataclass

from bench.core.plan import Slot, expected_seconds, plan_slots
from bench.core.scenario import Scenario, conditions
from bench.edges import image, machine
from bench.edges.engine import engine_argv
from bench.edges.image import CACHE
from bench.edges.journal import STATE
from bench.edges.lab import hosts_of_lab, wiring

IMAGE_BUILD_S = 30.0
"""Seconds to make the image where the cache has none; for the estimate only."""


@dataclass(frozen=True)
class Preview:
    """A run before it is made."""

    scenario: str
    question: str
    arms: dict[str, str]
    conditions: list[str]
    blocks: int
    sessions: int
    slots: int
    first_block: list[str]
    expected_s: float
    changes: list[str]

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)


def preview(scenario: Scenario, seed: int) -> Preview:
    """Describe the run of `scenario` with `seed`. Changes nothing and needs no right."""
    slots = plan_slots(scenario, seed)
    settings = conditions(scenario)
    return Preview(
        scenario=scenario.name,
        question=scenario.question,
        arms={arm.name: f"{arm.mode} mode, port {arm.port}" for arm in scenario.arms},
        conditions=[condition.label for condition in settings if condition.label],
        blocks=scenario.schedule.blocks,
        sessions=scenario.schedule.sessions,
        slots=len(slots),
        first_block=[_describe(slot, settings[slot.condition].label) for slot in slots if slot.block == 0],
        expected_s=expected_seconds(scenario, slots) + (0 if image.is_cached() else IMAGE_BUILD_S),
        changes=planned_changes(scenario),
    )


def planned_changes(scenario: Scenario) -> list[str]:
    """Every change to the machine, in order, with how each ends."""
    plans = hosts_of_lab(*machine.divide_cores())
    folder = f"{STATE}/<run>"
    any_hold = any(condition.lab.hold_idle_states for condition in conditions(scenario))
    changes = [
        f"write {folder}/journal.jsonl and the lab's folders beside it; removed at the end",
        *(
            f"host {name}: network, mount, process, IPC and host-name namespaces of its own, on cores {cpus};"
            " ends with its init process"
            for name, cpus in [*((plan.name, plan.cpus) for plan in plans), ("switch", plans[0].cpus)]
        ),
        *(f"inside {host}: {' '.join(argv)}" for host, argv in wiring(plans)),
        "inside client and docker1: receive steering (RPS) of eth0",
        f"inside docker1: {' '.join(engine_argv(f'{folder}/docker1', 'bench-<run>-docker1'))}",
        "inside docker1, by its Docker Engine: docker0, iptables rules, one container at a time",
        "control groups bench-<run>-docker1; removed at the end",
        "on client: one Locust process; every load bounded by the scenario's seconds",
        f"keep the image in {CACHE} for later runs"
        + ("" if image.is_cached() else "; it is not there yet, and is built from Debian's packages first"),
    ]
    if any_hold:
        changes.append("hold /dev/cpu_dma_latency at 0 us during slots; ends with the process")
    return changes


def _describe(slot: Slot, label: str) -> str:
    return f"{slot.arm}{f' [{label}]' if label else ''}"
