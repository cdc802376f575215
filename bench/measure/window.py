"""A window: one load on a living deployment, and all that is read beside it."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from bench.errors import MeasurementInvalid
from bench.generator.results import LoadResult
from bench.generator.wrk import measure_with_wrk
from bench.lab.hosts import waiting
from bench.lab.hosts.host import parse_cpus
from bench.lab.hosts.readings import read_files
from bench.lab.instruments.activity import Activity
from bench.lab.instruments.counters import NetworkCounters
from bench.lab.instruments.cpu import Watch, watch_cpu
from bench.lab.instruments.tcpdump import Captured
from bench.measure.answers import verify_answers
from bench.measure.captures import begin_capture
from bench.measure.deployment import Deployment
from bench.measure.lookups import Lookups, look_up
from bench.measure.testbed import Bed
from bench.scenario.modes.footprint import Counter
from bench.scenario.plan import IDLE_S
from bench.slots.answers import AnswerRecord
from bench.slots.cpu import CpuRecord, Rates, measure_cpu, rate
from bench.slots.requests import Outcome

OF_ONE_STACK = (Counter.LOOPBACK, Counter.ACCEPTED, Counter.OPENED, Counter.SERVED)
"""Counters of a host that the traffic of one of its processes with another moves."""

OF_SWARM = (Counter.ACCEPTED, Counter.OPENED)
"""Counters of a host that its engine moves by itself in a swarm."""


@dataclass(frozen=True, kw_only=True)
class Window:
    """What one load showed."""

    result: LoadResult
    lookups: Lookups | None
    """In place of an HTTP load, whose result is then theirs."""
    counted: NetworkCounters
    """From just before the load to just after it."""
    quiet: Activity
    captured: Sequence[Captured]
    """By tap; empty without taps."""
    fixed_work_us: float
    """The slower of before and after."""
    witness_rps: float | None
    """wrk's figure; None without a witness."""
    answers: tuple[AnswerRecord, ...]
    """Of each request of a service of a person's own, beside the load."""
    trouble: str
    """What is known of a server of whose answers not all were right; empty where they were."""
    watch: Watch | None
    idle: Rates | None
    """Of the watch, before the load."""

    def cpu(self, bed: Bed, deployment: Deployment, requests: int) -> CpuRecord | None:
        """CPU a request, of `requests` in the window; None where it was not watched."""
        if not self.watch or not self.idle:
            return None
        opened, closed = map(self.watch.parse, self.result.readings)
        owners = {
            **dict.fromkeys(parse_cpus(bed.lab.client.cpus), "client"),
            **dict.fromkeys(parse_cpus(deployment.docker_host.cpus), "docker"),
        }
        return measure_cpu(self.idle, rate(opened, closed), requests, owners)


def measure_window(bed: Bed, deployment: Deployment, arrival_seed: int) -> Window:
    """Load `deployment` once. Raises MeasurementInvalid where it ended meanwhile."""
    load = deployment.condition.load
    sender, docker_host, server = deployment.sender, deployment.docker_host, deployment.server
    bed.generator.send_from(sender)
    bed.generator.prove(server.endpoint, server.secret)
    # Where nobody tells of a smaller MTU an answer may stall; that is then the load's to show, and to bound.
    tells = deployment.condition.lab.too_big_icmp
    answers = verify_answers(bed, deployment, "before its load") if tells else ()
    fixed_work_us = bed.time_fixed_work()
    watch = idle = None
    if load.measures_cpu:
        watch = watch_cpu(docker_host, deployment.site.engine.cgroup, bed.generator.process.pid)
        idle = _watch_idle(watch)
    before = deployment.count()
    lookups: Lookups | None = None
    captured: list[Captured] = []
    if load.is_lookup:
        bed.begin_activity()
        lookups = look_up(bed, deployment)
        result, quiet = lookups.result, bed.end_activity()
    else:
        result, quiet, captured = _drive(bed, deployment, arrival_seed, watch.files if watch else ())
    deployment.require_alive()
    try:
        after = deployment.count()
    except (FileNotFoundError, ProcessLookupError):
        deployment.require_alive()  # It ended between the two lines above.
        raise
    fixed_work_us = max(fixed_work_us, bed.time_fixed_work())
    trouble = ""
    if (result.records["outcome"] != Outcome.OK).any():
        trouble = lookups.trouble if lookups else deployment.describe_trouble()
    if not trouble:
        after_load = verify_answers(bed, deployment, "after its load")
        answers = answers or after_load
    witness_rps = None
    if load.wrk_witness_s:
        witness_rps = measure_with_wrk(
            sender,
            server.endpoint,
            deployment.path,
            load.connections,
            load.wrk_witness_s,
            keep_alive=load.keep_alive,
        )
    return Window(
        result=result,
        lookups=lookups,
        counted=_leave_out_companions(deployment, leave_out_swarm([deployment], after.since(before))),
        quiet=quiet,
        captured=captured,
        fixed_work_us=fixed_work_us,
        witness_rps=witness_rps,
        answers=answers,
        trouble=trouble,
        watch=watch,
        idle=idle,
    )


def leave_out_swarm(alive: Sequence[Deployment], counted: NetworkCounters) -> NetworkCounters:
    """Engines of a swarm tell one another what they know, by a TCP connection every half minute."""
    if not any(deployment.network.is_of_swarm for deployment in alive):
        return counted
    return counted.without(OF_SWARM, "the swarm's own connections move them as well")


def _leave_out_companions(deployment: Deployment, counted: NetworkCounters) -> NetworkCounters:
    """In host mode a service asks its companions in its host's own stack, whose counters move by it."""
    companions = deployment.site.provided.companions
    if not companions or not deployment.network.in_host_network:
        return counted
    names = ", ".join(companion.name for companion, _ in companions)
    return counted.without(OF_ONE_STACK, f"the service's traffic with {names} moves them as well")


def _drive(
    bed: Bed, deployment: Deployment, arrival_seed: int, watched: Sequence[str]
) -> tuple[LoadResult, Activity, list[Captured]]:
    """Drive the load, between taps where the condition has them; what else ran meanwhile."""
    condition, server, sender = deployment.condition, deployment.server, deployment.sender
    with ExitStack() as taps:
        capturing = None
        if condition.lab.taps:
            capturing = taps.enter_context(
                begin_capture(
                    sender if bed.is_sender_tapped else None,
                    deployment.docker_host,
                    server.pid,
                    server.endpoint,
                    bed.find_tap_cores(),
                    deployment.rootless,
                )
            )
        bed.begin_activity()
        try:
            result = bed.generator.load(
                condition.load,
                server.endpoint,
                deployment.arm.name,
                bed.asks(condition.load),
                arrival_seed,
                watched,
                tls=bed.tls(condition.load),
            )
        except MeasurementInvalid:
            deployment.require_alive()  # If it ended, that is the reason.
            raise
        quiet = bed.end_activity()
        return result, quiet, capturing.end() if capturing else []


def _watch_idle(watch: Watch) -> Rates:
    """What the machine does where a container runs and a generator waits, and nothing is asked."""
    begun = watch.parse(read_files(watch.files))
    waiting.sleep(IDLE_S)
    return rate(begun, watch.parse(read_files(watch.files)))
