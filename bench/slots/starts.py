"""What starting took: containers that were started together, stage by stage."""

from pydantic import Field

from bench.scenario.metric import Metric
from bench.stored import Amount, Count, Stored


class ContainerStart(Stored):
    """One container's way. Stamps are CLOCK_MONOTONIC ns of the run's boot."""

    create_asked_ns: Count
    created_ns: Count
    """When Docker had answered, and had described what it made."""
    start_asked_ns: Count
    started_ns: Count
    """When Docker had answered."""
    listening_ns: Count
    """When its server was first seen to listen, or had answered. Docker may say later that it is started."""
    first_answer_ns: Count
    """At the client: of the first of three right answers in a row, over the arm's own path."""
    removal_asked_ns: Count
    removed_ns: Count
    """When Docker had answered."""


STAGES = (
    "create_asked_ns",
    "created_ns",
    "start_asked_ns",
    "started_ns",
    "first_answer_ns",
    "removal_asked_ns",
    "removed_ns",
)
"""Of a container, in the order in which they come; `listening_ns` lies between the asking for the start and
the first answer."""


class EngineFootprint(Stored):
    """What the engine took while all containers were up."""

    dockerd_mb: Amount
    """Proportional resident memory (PSS): a page that several processes share counts once among all of them.
    MB are 10^6 bytes."""
    proxies: Count
    """Processes of docker-proxy."""
    proxies_mb: Amount
    """PSS of all of them together."""
    proxies_rss_mb: Amount
    """The same as `ps` shows it, resident (RSS): shared pages count in each. What public reports add up."""
    rules_before: Count
    """Firewall rules on the Docker host, of iptables, before the first container was asked for."""
    rules: Count
    """The same while all are up."""

    @property
    def rules_written(self) -> int:
        """For the containers of the slot."""
        return self.rules - self.rules_before

    @property
    def memory_mb(self) -> float:
        """Of dockerd and its proxies."""
        return self.dockerd_mb + self.proxies_mb


class StartsRecord(Stored):
    """The containers of one slot, and what they left on their host."""

    containers: tuple[ContainerStart, ...] = Field(min_length=1)
    longest_look_ms: Amount
    """Between two looks at who listens: the listening stamps may be so late."""
    footprint: EngineFootprint

    @property
    def span_s(self) -> float:
        """From the first thing that was asked for to the end of the last, in whatever order they ended."""
        asked_ns = min(container.create_asked_ns for container in self.containers)
        return (max(container.removed_ns for container in self.containers) - asked_ns) / 1e9


def measure_starts(record: StartsRecord) -> dict[Metric, float]:
    """A slot's metrics: of the last of its containers, since the first was asked for."""
    containers = record.containers
    begun_ns = min(container.create_asked_ns for container in containers)
    removal_ns = min(container.removal_asked_ns for container in containers)
    return {
        Metric.FIRST_ANSWER_MS: _until(max(c.first_answer_ns for c in containers), begun_ns),
        Metric.CREATED_MS: _until(max(c.created_ns for c in containers), begun_ns),
        Metric.STARTED_MS: _until(max(c.started_ns for c in containers), begun_ns),
        Metric.LISTENING_MS: _until(max(c.listening_ns for c in containers), begun_ns),
        Metric.REMOVED_MS: _until(max(c.removed_ns for c in containers), removal_ns),
        Metric.ENGINE_MEMORY_MB: record.footprint.memory_mb,
    }


def _until(end_ns: int, begun_ns: int) -> float:
    return (end_ns - begun_ns) / 1e6
