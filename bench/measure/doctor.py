"""What this machine can measure: what a run needs, and each network mode, found by trying it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bench.errors import BenchError
from bench.lab.hosts.journal import undo_dead_runs
from bench.lab.hosts.lock import machine_lock
from bench.lab.hosts.requirements import Requirement, requirements
from bench.lab.servers.engine_root import SUITES, cached_suites
from bench.measure.availability import find_gaps
from bench.measure.lab_testbed import prepare_bed
from bench.results import files
from bench.scenario.engine_source import EngineSource
from bench.scenario.load import Load
from bench.scenario.model import Arm
from bench.scenario.modes.catalogue import MODES
from bench.scenario.modes.model import Mode, Vantage
from bench.scenario.scenario import Scenario

IPVS = Path("/proc/sys/net/ipv4/vs")
"""There where the kernel has IPVS (its Documentation/networking/ipvs-sysctl.rst)."""


@dataclass(frozen=True)
class Availability:
    """Whether a mode or an engine can be had here, and why not."""

    name: str
    available: bool
    reason: str
    """Why not; empty where it is available."""
    what: str


@dataclass(frozen=True)
class Examination:
    """All that `bench doctor` says."""

    requirements: list[Requirement]
    modes: list[Availability]
    engines: list[Availability]
    lab: str
    """Why no lab could be made; empty where one was, or where it was not tried."""

    @property
    def can_run(self) -> bool:
        """Whether a run can be made here at all."""
        return not self.lab and not any(need.keeps_from_running for need in self.requirements)


def examine(tell: Callable[[str], None]) -> Examination:
    """Look at the machine and try every mode in a lab of its own; `tell` is told each stage."""
    needs, fault = requirements(), ""
    if any(need.keeps_from_running for need in needs):
        gaps = dict.fromkeys(MODES, "not tried, since what a run needs is missing")
    else:
        try:
            gaps = _try_modes(tell)
        except BenchError as seen:
            fault = seen.seen
        except OSError as seen:
            fault = str(seen)
        if fault:
            gaps = dict.fromkeys(MODES, f"no lab could be made: {fault}")
    cached = cached_suites()
    engines = [
        Availability(
            str(EngineSource(suite)),
            suite in cached,
            "" if suite in cached else "not fetched yet: the first scenario that names it fetches it",
            cached.get(suite, ""),
        )
        for suite in SUITES
    ]
    mesh = [examine_ingress_mesh()] if gaps.get(Mode.HOST) is None else []
    return Examination(needs, [*list_modes(gaps), *mesh], engines, fault)


def list_modes(gaps: Mapping[Mode, str]) -> list[Availability]:
    """Every mode; `gaps`: why some cannot be had."""
    return [
        Availability(
            "container:<arm>" if mode is Mode.CONTAINER else mode,
            mode not in gaps,
            gaps.get(mode, ""),
            network.summary,
        )
        for mode, network in MODES.items()
    ]


def scenario_of_modes(vantage: Vantage | None = None) -> Scenario:
    """An arm a mode; of a `vantage`, those that are tried from there, beside a baseline."""
    arms = [
        Arm(name=mode, mode=f"{mode}:{Mode.BRIDGE}" if mode is Mode.CONTAINER else mode)
        for mode, network in MODES.items()
        if vantage in (None, network.tried_from) or mode is Mode.HOST
    ]
    return Scenario(
        name="doctor",
        question="Which modes can be had on this machine?",
        baseline=Mode.HOST,
        arms=tuple(arms),
        load=Load(vantage=vantage or Vantage.CLIENT),
    )


def _try_modes(tell: Callable[[str], None]) -> dict[Mode, str]:
    """Mode -> why it cannot be had, of those that cannot."""
    gaps: dict[str, str] = {}
    with machine_lock("bench doctor"):
        undo_dead_runs()
        for vantage in dict.fromkeys(network.tried_from for network in MODES.values()):
            scenario = scenario_of_modes(vantage)
            with prepare_bed(scenario, files.new_run_id(datetime.now(UTC)), tell) as bed:
                tell(f"modes, asked from {vantage.label}: each is created, started, asked, and torn down")
                gaps |= find_gaps(bed).arms
    return {Mode(name): reason for name, reason in gaps.items()}


def examine_ingress_mesh() -> Availability:
    """Of a swarm, the part that no mode here has: published by all hosts at once."""
    reason = "bench has no mode for it yet"
    if not IPVS.exists():
        reason = f"this kernel has no IPVS (CONFIG_IP_VS; no {IPVS}), by which it would share connections out"
    what = "a service's port published by every host of a swarm (routing mesh, IPVS)"
    return Availability("ingress mesh", False, reason, what)
