"""In what circumstances a run's verdict holds."""

from collections.abc import Sequence

from bench.records.environment import UNKNOWN
from bench.records.run import RunRecord
from bench.scenario.modes.model import Vantage
from bench.scenario.served import describe_workload


def describe_scope(record: RunRecord, vantages: Sequence[Vantage]) -> dict[str, str]:
    """Machine, kernel, engine, workload, rate, factors and vantage of a run, in words."""
    load = record.scenario.load
    factors = record.scenario.factors
    return {
        "machine": f"{record.machine.cpu or UNKNOWN}, cores {record.machine.usable_cores or UNKNOWN}",
        "kernel": record.machine.kernel or UNKNOWN,
        "engine": _describe_engines(record),
        "workload": f"{describe_workload(record.scenario)}, {load.describe_connections()}",
        "rate": load.describe_loop(factors)
        if load.is_start
        else f"{load.describe_loop(factors)}, {load.describe_engine()}"
        + ("; throughput is the rate that was given, and is not compared" if load.is_open else ""),
        "factors": "; ".join(f"{key}: {', '.join(map(str, levels))}" for key, levels in factors.items()),
        "vantage": _describe_vantages(record.lab.vantage or UNKNOWN, vantages),
    }


def _describe_vantages(lab: str, vantages: Sequence[Vantage]) -> str:
    if vantages == (Vantage.CLIENT,):
        return lab
    notes = ["the load keeps the client host's cores"]
    if not all(vantage.is_on_wire for vantage in vantages):
        notes.insert(0, "there client and server share one network stack: no wire, no receive steering")
    if Vantage.SAME_NETWORK in vantages:
        notes[0] = "on one Docker host there is no wire, and no receive steering"
    return f"{lab}; load from {', from '.join(vantage.label for vantage in vantages)} ({'; '.join(notes)})"


def _describe_engines(record: RunRecord) -> str:
    """Docker's versions, and which hosts ran them where there are several."""
    hosts: dict[str, list[str]] = {}
    for name, facts in record.engines.items():
        hosts.setdefault(f"Docker {facts.version}", []).append(name)
    if len(hosts) < 2:
        return next(iter(hosts), "Docker, version unknown")
    return "; ".join(f"{version} on {', '.join(names)}" for version, names in hosts.items())
