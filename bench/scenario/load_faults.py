"""What a load cannot have, by its engine, its loop and who shares it."""

from collections.abc import Iterator

from bench.scenario.load import RAW_ENGINES, Load
from bench.scenario.tables import Tables


def faults_of_load(asked: Tables) -> Iterator[str]:
    """A line for each, beginning with the dotted field."""
    for find in FAULTS:
        yield from find(asked)


def _faults_of_keep_alive(asked: Tables) -> Iterator[str]:
    if {asked.load.keep_alive, *asked.factors.get("load.keep_alive", ())} == {True}:
        return
    if not {asked.load.engine, *asked.factors.get("load.engine", ())} <= RAW_ENGINES:
        yield "load.keep_alive: a connection a request is made by the raw engine only"


def _faults_of_workers(asked: Tables) -> Iterator[str]:
    load, factors = asked.load, asked.factors
    counts = {load.workers, *factors.get("load.workers", ())}
    if counts == {1}:
        return
    if not {load.engine, *factors.get("load.engine", ())} <= RAW_ENGINES:
        yield "load.workers: a load is shared by the raw engine's workers only"
    if load.measures_cpu:
        yield "load.workers: CPU per request is measured of one worker (load.pacing sleep)"
    if asked.schedule.interleave is not None:
        yield "load.workers: arms take turns (schedule.interleave) with one worker"
    fewest = min((load.connections, *factors.get("load.connections", ())))
    most = max((count for count in counts if isinstance(count, int)), default=1)
    if most > fewest:
        yield f"load.workers: {most} workers need a connection each, and there are {fewest}"


def _faults_of_locustfile(asked: Tables) -> Iterator[str]:
    """What a locustfile needs, and what it says itself or cannot have; more is of the raw engines alone."""
    load, factors = asked.load, asked.factors
    if len(factors.get("load.engine", ())) > 1 and "locustfile" in factors["load.engine"]:
        yield (
            "factors.load.engine: a locustfile is another load than the other engines', and is compared with"
            " none of them; give it a scenario of its own"
        )
    if not load.by_locustfile:
        if load.locustfile is not None:
            yield f"load.locustfile: is of load.engine locustfile, and load.engine is {load.engine}"
        return
    if load.locustfile is None:
        yield "load.locustfile: is missing: load.engine locustfile needs the file, such as users.py"
    if {load.page_bytes, *factors.get("load.page_bytes", ())} != {Load().page_bytes}:
        yield "load.page_bytes: a locustfile says itself what it asks for"
    if True in {asked.lab.taps, *factors.get("lab.taps", ())}:
        yield "lab.taps: follow requests of the raw engine, not those of a locustfile"


def _faults_of_thinking(asked: Tables) -> Iterator[str]:
    load, factors = asked.load, asked.factors
    if not any((load.think_us, *factors.get("load.think_us", ()))):
        return
    if load.is_open:
        yield "load.think_us: an open loop's requests leave at their times, and nobody thinks"
    if not {load.engine, *factors.get("load.engine", ())} <= RAW_ENGINES:
        yield "load.think_us: the raw engines alone think"


def _faults_of_loop(asked: Tables) -> Iterator[str]:
    """What an open loop needs and a closed one cannot have; of `[load]` and of the factors."""
    if not asked.load.is_open:
        model = asked.load.model
        given = {
            "load.rate_rps": asked.load.rate_rps,
            "load.arrivals": asked.load.arrivals != "poisson",
            "load.pacing": asked.load.pacing != "spin",
        }
        for key, present in given.items():
            if present:
                yield f"{key}: is of the open model, and load.model is {model}"
            if key in asked.factors:
                yield f"factors.{key}: is of the open model, and load.model is {model}"
        return
    if asked.load.by_locustfile:
        yield "load.model: a locustfile is a closed loop: its users ask when it says (so no CPU a request)"
        return
    if asked.capacity is None and asked.load.rate_rps is None and "load.rate_rps" not in asked.factors:
        yield "load.rate_rps: is missing: the open model needs the rate of its arrivals"
    if asked.load.engine not in RAW_ENGINES:
        yield f"load.engine: the open model has the raw engine only, not {asked.load.engine}"
    if set(asked.factors.get("load.engine", ())) - RAW_ENGINES:
        yield "factors.load.engine: the open model has the raw engine only"
    if asked.load.wrk_witness_s:
        yield "load.wrk_witness_s: wrk drives a closed loop, which is no witness of an open one"


FAULTS = (
    _faults_of_keep_alive,
    _faults_of_workers,
    _faults_of_locustfile,
    _faults_of_thinking,
    _faults_of_loop,
)
