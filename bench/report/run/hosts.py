"""Machines of a person's own: what each is, whether they are apart, and how far the path there is proved."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from bench.records.environment import REMOTE, RealHostFacts
from bench.report.table import Table
from bench.report.text import ABSENT, count
from bench.results.run import Run

MUCH_LOAD = 0.5
"""Load average of a machine, above which others were busy on it when the run began."""


def tell_hosts(run: Run) -> Mapping[str, Any] | None:
    """The section; None in the lab, whose hosts are one machine."""
    hosts = run.record.hosts
    if not hosts:
        return None
    said = [describe_vantage(run.record.lab.vantage or "", hosts), *_describe_paths(run)]
    return {"said": said, "table": tabulate_hosts(hosts)}


def tabulate_hosts(hosts: Mapping[str, RealHostFacts]) -> Table:
    """A row a fact, a column a host."""
    rows: dict[str, Callable[[RealHostFacts], str]] = {
        "Role": lambda host: "Docker host" if host.role == "docker" else "load host",
        "Kernel": lambda host: host.machine.kernel or ABSENT,
        "Docker Engine": lambda host: host.engine,
        "CPU": lambda host: host.machine.cpu or ABSENT,
        "Cores": lambda host: host.machine.cores or ABSENT,
        "Link": lambda host: f"{host.link} ({host.link_kind})",
        "MTU": lambda host: f"{host.mtu:,}",
        "Speed": lambda host: f"{host.speed_mbit:,} Mbit/s" if host.speed_mbit else "not told",
        "Load average": lambda host: f"{host.load_average:.2f}",
        "Clock apart": lambda host: f"{host.clock_apart_ms:+.1f} ms\n+- {host.clock_error_ms:.1f}",
    }
    return Table(
        caption="The machines, as the run began there",
        columns=("Fact", *hosts),
        rows=tuple((fact, *(tell(host) for host in hosts.values())) for fact, tell in rows.items()),
    )


def describe_vantage(vantage: str, hosts: Mapping[str, RealHostFacts]) -> str:
    """Whether load and server are on machines of their own, by what their kernels say of themselves."""
    if vantage == REMOTE:
        return (
            "Vantage remote: load comes from another kernel than the Docker host's. Times of a request are by"
            " the load host's clock alone, so the clocks' difference is in none of them."
        )
    one = [f"{name} and {host.same_kernel_as}" for name, host in hosts.items() if host.same_kernel_as]
    return (
        f"Vantage same-kernel lab: {', '.join(one)} are of one boot of one kernel, so they are one machine,"
        " whatever their addresses. No wire and no network card is between them."
    )


def _describe_paths(run: Run) -> Iterator[str]:
    """How far the path is proved, over all slots."""
    found = Counter(slot.path for slot in run.record.slots if slot.requests)
    if found:
        told = "; ".join(f"{path} in {count(number, 'slot')}" for path, number in found.most_common())
        yield f"Path of the packets, by the Docker host's counters: {told}."


def find_cautions(run: Run) -> Iterator[str]:
    """What to know of the machines before the numbers."""
    hosts = run.record.hosts
    for name, host in hosts.items():
        if host.same_kernel_as and hosts[host.same_kernel_as].role == "docker":
            yield (
                f"{name} and {host.same_kernel_as} are one machine (one boot of one kernel): what a wire"
                " would add is not in these numbers."
            )
        if host.load_average > MUCH_LOAD * max(int(host.machine.cores or 1), 1):
            yield f"{name} had a load average of {host.load_average:.1f} as the run began."
    if len(mtus := {host.mtu for host in hosts.values()}) > 1:
        told = ", ".join(f"{name} {host.mtu:,}" for name, host in hosts.items())
        yield f"The hosts' links have {len(mtus)} different MTUs: {told}."
    partly = Counter(slot.path for slot in run.record.slots if slot.unread)
    for path, number in partly.items():
        yield f"The path is {path}, in {count(number, 'slot')}."
