"""Containers of one arm that are started together, a thread each, and when each came how far."""

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from docker.models.containers import Container

from bench.errors import MeasurementInvalid
from bench.lab.hosts import waiting
from bench.lab.hosts.host import Endpoint, Host, parse_cpus
from bench.lab.hosts.sysctls import hold_sysctls
from bench.lab.servers.containers import (
    address_in,
    ended_at_once,
    new_container,
    remove_container,
    start_container,
)
from bench.lab.servers.listen_watch import ListenWatch
from bench.lab.servers.sender import place_sender
from bench.lab.servers.server import Order, Server, prepare, take_step
from bench.lab.servers.site import Site
from bench.lab.servers.swarm import provide_network
from bench.scenario.model import Arm
from bench.scenario.modes.model import NetworkMode, Vantage
from bench.slots.starts import ContainerStart

LOOK_S = 0.001
"""Between two looks at who listens: each is a file a container that does not yet."""
LIVES_S = 0.25
"""Between two looks at who has ended."""
OF_ONE = ("{container_address}", "{container_pid}")
"""Fields of a step that is of one container; the others are taken once, before any container is asked for."""
Tell = Callable[[int, Endpoint], None]


@dataclass
class Member:
    """One of the containers. Stamps are CLOCK_MONOTONIC ns; 0: not yet."""

    number: int
    order: Order
    container: Container | None = None
    pid: int = 0
    endpoint: Endpoint | None = None
    stamps: dict[str, int] = field(default_factory=dict)

    def stamp(self, stage: str) -> None:
        """It is there now."""
        self.stamps[stage] = time.monotonic_ns()

    def describe(self, first_answer_ns: int) -> ContainerStart:
        """As it is stored, once it is removed. What has answered listens, though no look had come to it."""
        seen_ns = min(self.stamps["listening_ns"], first_answer_ns)
        stamps = self.stamps | {"listening_ns": seen_ns, "first_answer_ns": first_answer_ns}
        return ContainerStart(**stamps)


@dataclass
class Fleet:
    """The containers of one arm."""

    site: Site
    arm: Arm
    network: NetworkMode
    name: str
    members: Sequence[Member]
    steps: ExitStack
    """What takes steps of single containers back."""
    watch: ListenWatch
    sender: Host
    """Where what is asked of them comes from."""
    longest_look_ms: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self, tell: Tell, is_over: Callable[[], bool], patience_s: float) -> None:
        """Start all together, `tell` where each can be asked, and see when each listens; return once all
        listen and `is_over`, or after `patience_s`.

        Raises MeasurementInvalid where Docker refuses one, or one ends.
        """
        deadline_s = time.monotonic() + patience_s
        with _on_cores(self.site.client.cpus), ThreadPoolExecutor(len(self.members)) as pool:
            futures = [pool.submit(self._start_one, member, tell) for member in self.members]
            looked_s = lives_s = time.monotonic()
            while not (self._all_listen(futures) and is_over()) and time.monotonic() < deadline_s:
                waiting.sleep(LOOK_S)
                self._look()
                now_s = time.monotonic()
                self.longest_look_ms = max(self.longest_look_ms, (now_s - looked_s) * 1e3)
                looked_s = now_s
                if now_s - lives_s > LIVES_S:
                    lives_s = now_s
                    self._require_alive()
            for future in futures:
                future.result()

    def remove(self) -> None:
        """Remove all together."""
        with _on_cores(self.site.client.cpus), ThreadPoolExecutor(len(self.members)) as pool:
            futures = [pool.submit(self._remove_one, member) for member in self.members]
            waiting.wait_until(lambda: all(future.done() for future in futures), float("inf"), LOOK_S)
            for future in futures:
                future.result()

    @property
    def is_at_container(self) -> bool:
        """Whether each is asked at its own address, and not at its host's."""
        if self.site.vantage is Vantage.SAME_NETWORK:
            return not self.network.in_host_network
        return self.network.reached_at_container and self.site.vantage is not Vantage.HOST_LOOPBACK

    def server(self, member: Member) -> Server:
        """The container as others know a server."""
        assert member.container
        assert member.endpoint
        return Server(
            member.endpoint,
            member.pid,
            member.stamps["start_asked_ns"],
            member.container,
            str(member.container.attrs["Image"]),
            member.order.told,
            member.order.filled,
            self.sender,
        )

    def _all_listen(self, futures: Sequence["Future[None]"]) -> bool:
        for future in futures:
            if future.done():
                future.result()  # Raises at once what went wrong.
        return all("listening_ns" in member.stamps for member in self.members)

    def _start_one(self, member: Member, tell: Tell) -> None:
        order, engine = member.order, self.site.engine
        name = f"{self.name}-{member.number}" if len(self.members) > 1 else self.name
        options = {**order.options, **order.joined}
        member.stamp("create_asked_ns")
        member.container = new_container(engine, order.doing, name, self.site.provided.image_id, options)
        member.stamp("created_ns")
        member.stamp("start_asked_ns")
        start_container(member.container, order.doing)
        member.stamp("started_ns")
        if not self.is_at_container:
            member.endpoint = Endpoint(order.address, order.port)
            tell(member.number, member.endpoint)
        member.container.reload()
        pid = int(member.container.attrs["State"]["Pid"])
        if not pid:
            raise ended_at_once(order.doing, member.container)
        member.pid = pid
        if self.is_at_container:
            self._reach(member)
            assert member.endpoint
            tell(member.number, member.endpoint)

    def _reach(self, member: Member) -> None:
        """Take the steps by hand by which a container is reached at its own address."""
        assert member.container
        inside = self.network.container_address or address_in(member.container, ipv6=self.network.ipv6)
        values = {
            "address": member.order.address,
            "port": member.order.port,
            "container_address": inside,
            "container_pid": member.pid,
        }
        for step in self.network.steps:
            if any(name in " ".join(step.argv) for name in OF_ONE):
                with self._lock:
                    self.steps.enter_context(take_step(self.site, step, values))
        member.endpoint = Endpoint(inside, self.site.provided.service.port)

    def _remove_one(self, member: Member) -> None:
        assert member.container
        member.stamp("removal_asked_ns")
        remove_container(member.container, self.site.engine)
        member.stamp("removed_ns")

    def _look(self) -> None:
        """Stamp those that listen since the last look."""
        shared = self.watch.host_ports() if self.network.in_host_network else set()
        for member in self.members:
            if "listening_ns" in member.stamps or member.container is None:
                continue
            found = shared or self.watch.ports(str(member.container.id), member.pid)
            if int(member.order.filled["port"]) in found:
                member.stamp("listening_ns")

    def _require_alive(self) -> None:
        host = self.site.engine.host
        for member in self.members:
            if member.pid and member.container and not host.has(f"/proc/{member.pid}/ns/net"):
                raise ended_at_once(member.order.doing, member.container)

    def require_all(self, first_ns: Sequence[int], patience_s: float) -> None:
        """Raise MeasurementInvalid where one does not listen, or has not answered."""
        for member, answered in zip(self.members, first_ns, strict=True):
            if "listening_ns" in member.stamps and answered:
                continue
            what = "answer" if "listening_ns" in member.stamps else "listen"
            words = self.server(member).last_words() if member.endpoint else ""
            raise MeasurementInvalid(
                member.order.doing,
                f"container {member.number + 1} of {len(self.members)} does not {what} within"
                f" {patience_s:g} s; its last words: {words or 'none'}",
                "The slot is INVALID; see the server's and dockerd's messages.",
            )


@contextmanager
def fleet(
    site: Site, arm: Arm, network: NetworkMode, name: str, ports: Sequence[tuple[int, dict[str, int]]]
) -> Iterator[Fleet]:
    """Containers that `Fleet.start` starts; what is left of them is removed on the way out.

    `ports`: of each container its own port, and what it publishes besides (`8000/tcp` inside -> outside).
    What they share, a network or a route, is made before.
    """
    members = []
    for number, (port, more) in enumerate(ports):
        order = prepare(site, arm, network, port)
        if network.publishes:
            [(at, _)] = order.joined["ports"].values()
            order.joined["ports"] |= {inside: (at, outside) for inside, outside in more.items()}
        members.append(Member(number, order))
    with ExitStack() as stack:
        assert network.docker
        if network.in_host_network:
            stack.enter_context(hold_sysctls(site.engine.host, site.sysctls))
        stack.enter_context(provide_network(site, network))
        sender = stack.enter_context(place_sender(site, network, name))
        for step in network.steps:
            if not any(field in " ".join(step.argv) for field in OF_ONE):
                stack.enter_context(take_step(site, step, {"address": members[0].order.address}))
        steps = stack.enter_context(ExitStack())
        watch = ListenWatch(site.engine.host, site.engine.cgroup)
        found = Fleet(site, arm, network, name, members, steps, watch, sender)
        try:
            yield found
        finally:
            for member in members:
                if member.container and "removed_ns" not in member.stamps:
                    remove_container(member.container, site.engine)


@contextmanager
def _on_cores(cpus: str) -> Iterator[None]:
    """This thread, and those that it starts, on `cpus`: who asks Docker takes no time of dockerd's cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, set(parse_cpus(cpus)))
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
