"""How much room a server needs: it follows from the scenario's connections, the same in every arm."""

from dataclasses import dataclass

from bench.scenario.conditions import conditions
from bench.scenario.modes.footprint import Counter
from bench.scenario.scenario import Scenario

FEWEST_THREADS = 128
DESCRIPTORS_BESIDE = 1_000
"""That a process of a run has open beside its connections, generously."""
PACKETS_QUEUED = 8
"""Of a connection, generously: a segment and its acknowledgement, on uplink, bridge and veth. Measured: with
4,096 connections and the kernel's usual room for 1,000, 3,000 packets a slot were dropped and sent again."""
USUAL_BACKLOG = 511
"""Apache's own default."""


@dataclass(frozen=True)
class ServerLimits:
    """What Apache is configured to (image/httpd.conf), and any service may be."""

    threads: int = FEWEST_THREADS
    """Of its one process: more than there are connections. With all busy, mpm_event closes idle ones."""
    backlog: int = USUAL_BACKLOG
    """Of its listener. The kernel takes net.core.somaxconn where that is less."""

    @property
    def fields(self) -> dict[str, str]:
        """By which a service's command and environment learn of it (`service.FIELDS`)."""
        return {
            "threads": f"{self.threads}",
            "workers": f"{2 * self.threads}",
            "backlog": f"{self.backlog}",
        }


USUAL_LIMITS = ServerLimits()


def limit_server(scenario: Scenario) -> ServerLimits:
    """One configuration for every slot of the scenario, so that a factor changes the load alone."""
    most = most_connections(scenario)
    return ServerLimits(max(FEWEST_THREADS, most + 1), max(USUAL_BACKLOG, most))


def most_connections(scenario: Scenario) -> int:
    """That are open at a time under any condition."""
    return max(condition.load.connections for condition in conditions(scenario))


def most_queued(scenario: Scenario) -> int:
    """Packets that may wait for one core at a time: of each connection a few, and on each link of a path."""
    return PACKETS_QUEUED * most_connections(scenario)


def most_descriptors(scenario: Scenario) -> int:
    """Open files that any process of a run may have: docker-proxy has two for each connection."""
    paths = [
        scenario.network(arm).path_from(condition.load.vantage)
        for arm in scenario.arms
        for condition in conditions(scenario)
    ]
    a_connection = 2 if any(Counter.PROXY_CPU in path for path in paths) else 1
    return most_connections(scenario) * a_connection + DESCRIPTORS_BESIDE
