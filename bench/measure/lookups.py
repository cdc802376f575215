"""Lookups of a name in place of an HTTP load: made inside the container, recorded as requests are."""

from dataclasses import dataclass

import numpy as np

from bench.errors import MeasurementInvalid
from bench.generator.results import LoadResult
from bench.lab.servers.name_server import Queries, read_queries
from bench.measure.deployment import Deployment
from bench.measure.testbed import Bed
from bench.scenario.names import ANSWER, LOOKED_UP, UPSTREAMS
from bench.slots.requests import RECORD_DTYPE, Outcome

PROGRAM = "/usr/lib/bench/look_up"
"""In the image; of bench/image/look_up.c."""
NOBODY_ANSWERED = -3
ERRORS = {-2: "EAI_NONAME", NOBODY_ANSWERED: "EAI_AGAIN", -4: "EAI_FAIL", -5: "EAI_NODATA", -11: "EAI_SYSTEM"}
"""Of glibc's <netdb.h>."""
STALL_S = 1.0
"""A lookup that is answered takes far less; one whose packet was lost, a resolver's patience of 4 or 5 s."""
LAST_S = 60.0
"""How long a lookup may take at most: two rounds of 5 s a server, for each of two questions, and more."""


@dataclass(frozen=True)
class Lookups:
    """What lookups showed, beside their records."""

    result: LoadResult
    queries: Queries
    """That came to the lab's name servers meanwhile."""
    trouble: str
    """What the C library said of those that failed."""
    evidence: dict[str, str]


def look_up(bed: Bed, deployment: Deployment) -> Lookups:
    """Look a name up inside the container of `deployment`, for as long as its load says.

    In its network and its file system: what decides is its /etc/resolv.conf, read by its C library. Raises
    MeasurementInvalid where that could not be done at all; a lookup that fails is a record like others.
    """
    load, host, server = deployment.condition.load, deployment.docker_host, deployment.server
    assert server.container
    own = str(server.container.name)
    name = LOOKED_UP if load.lookup == "upstream" else own
    inside = ["nsenter", "-t", str(server.pid), "--net", "--mount"]
    resolv = host.run([*inside, "cat", "/etc/resolv.conf"])
    before = read_queries(bed.lab.client)
    done = host.attempt(
        [*inside, PROGRAM, name, load.family, f"{load.warm_up_s:.6f}", f"{load.measure_s:.6f}"],
        timeout_s=load.warm_up_s + load.measure_s + 2 * LAST_S,
        environment={},
    )
    if done.status:
        raise MeasurementInvalid(
            f"Looking {name} up in {deployment.arm.name}", done.output.strip(), "The slot is INVALID."
        )
    queries = read_queries(bed.lab.client).since(before)
    window, *rows = done.output.splitlines()
    lines = [line.split() for line in rows]
    records = record_lookups(lines, ANSWER if load.lookup == "upstream" else "")
    codes = sorted({int(line[2]) for line in lines} - {0})
    trouble = ", ".join(f"{ERRORS.get(code, 'an error')} ({code})" for code in codes)
    return Lookups(
        _as_load(records, int(window)),
        queries,
        trouble and f"getaddrinfo said {trouble}",
        {
            "name looked up": name,
            "/etc/resolv.conf inside": describe_resolv_conf(resolv),
            "given to Docker (--dns)": ", ".join(UPSTREAMS[deployment.condition.lab.upstreams].servers),
            "queries that reached the lab's name servers": f"{queries.received}",
            "packets to the dead name server": f"{queries.vanished}",
            "getaddrinfo's errors": trouble or "none",
            **describe_stalls(records),
        },
    )


def record_lookups(lines: list[list[str]], answer: str) -> np.ndarray:
    """RECORD_DTYPE of what the program printed: begin, end, getaddrinfo's result, address, a line each.

    A lookup is OK where it found `answer`, or any address where that is empty. One that found another, or
    that there is none, is an error of the answer; one that nobody answered, of the connection.
    """
    records = np.zeros(len(lines), RECORD_DTYPE)
    for name, place in (("intended_ns", 0), ("sent_ns", 0), ("first_byte_ns", 1), ("done_ns", 1)):
        records[name] = [int(line[place]) for line in lines]
    records["outcome"] = [_outcome(int(result), address, answer) for _, _, result, address in lines]
    return records


def _outcome(result: int, address: str, answer: str) -> Outcome:
    if result == 0 and address != "-" and answer in ("", address):
        return Outcome.OK
    return Outcome.CONNECTION_ERROR if result == NOBODY_ANSWERED else Outcome.HTTP_ERROR


def describe_stalls(records: np.ndarray) -> dict[str, str]:
    """How many of all lookups took STALL_S or longer, and the longest; a median knows nothing of them."""
    seconds = (records["done_ns"] - records["sent_ns"]) / 1e9
    return {
        "lookups, those of the warm-up included": f"{len(seconds)}",
        "lookups of a second or more": f"{int((seconds >= STALL_S).sum())}",
        "longest lookup, s": f"{seconds.max():.3f}",
    }


def describe_resolv_conf(text: str) -> str:
    """Its lines, without comments, in one."""
    lines = (line.strip() for line in text.splitlines())
    return "; ".join(line for line in lines if line and not line.startswith("#")) or "empty"


def _as_load(records: np.ndarray, window_ns: int) -> LoadResult:
    """The window, from `window_ns` on, ends with its last lookup, however long that took."""
    end_ns = int(records["done_ns"].max()) + 1
    records.flags.writeable = False
    return LoadResult(
        records=records,
        parts=[],
        window_start_ns=window_ns,
        window_end_ns=end_ns,
        opened=0,
        without_port=0,
        core_busy={},
        cpu_share=0.0,
        locust_requests=0,
        readings=[],
        connected=None,
        loop="getaddrinfo(3), inside the container",
        failure="",
    )
