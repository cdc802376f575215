"""The metrics of one slot, from its requests."""

from dataclasses import dataclass

import numpy as np

from bench.scenario.load import Load
from bench.scenario.metric import Metric


@dataclass(frozen=True)
class OpenLoop:
    """How well an open loop's generator kept to its arrivals, and the server up with them."""

    offered_rps: float
    """Arrivals of the window, by its length: what was drawn, not its mean."""
    lateness_us: tuple[float, float, float] | None
    """p50, p99 and maximum of sent minus intended, where a connection was free; None where none ever was."""
    waited: int
    """Requests for which no connection was free at their time: the server's slowness, not the generator's."""

    def achieved_share(self, throughput_rps: float) -> float:
        """Done in the window, by what arrived in it; nothing where nothing did."""
        return throughput_rps / self.offered_rps if self.offered_rps else 0.0


@dataclass(frozen=True)
class RequestMetrics:
    """What a slot's window held, of requests answered with the status that they are to have.

    Latency is done minus sent in a closed loop (service time), done minus intended in an open one
    (response time).
    """

    requests: int
    errors: int
    unfinished: int
    values: dict[Metric, float]
    p999_latency_us: float | None
    mean_latency_us: float | None
    service_p50_us: float | None
    service_p99_us: float | None
    open_loop: OpenLoop | None = None

    @property
    def achieved_share(self) -> float | None:
        """Of an open loop that anything was answered in: done in the window, by what arrived in it."""
        if self.open_loop is None or not self.values:
            return None
        return self.open_loop.achieved_share(self.values[Metric.THROUGHPUT_RPS])

    @property
    def lateness_p99_us(self) -> float | None:
        """Of an open loop: the generator's own; None where no connection ever was free."""
        return self.open_loop.lateness_us[1] if self.open_loop and self.open_loop.lateness_us else None


def measure_requests(
    records: np.ndarray, window_start_ns: int, window_end_ns: int, load: Load | None = None
) -> RequestMetrics:
    """Metrics of the window's requests, by default of a closed loop (`records`: RECORD_DTYPE).

    Of the window are requests sent inside it (open loop: intended inside it). Throughput counts what
    was done inside the window, by the window's length; latency follows every request of the window
    to its end, so that the slowest are not cut off by the clock.
    """
    load = load or Load()
    begun_ns = records[load.begin_column]
    inside = (begun_ns >= window_start_ns) & (begun_ns < window_end_ns)
    done = (records["done_ns"] >= window_start_ns) & (records["done_ns"] < window_end_ns)
    return _measure(records, inside, done, (window_end_ns - window_start_ns) / 1e9, load)


def measure_turns(records: np.ndarray, turns: np.ndarray) -> RequestMetrics:
    """Metrics of a slot's own turns (TURN_DTYPE, in order): their settled parts are its window."""
    inside = find_turns(records["sent_ns"], turns) >= 0
    done = find_turns(records["done_ns"], turns) >= 0
    return _measure(records, inside, done, sum_settled_s(turns), Load())


def measure_span_s(records: np.ndarray, window_end_ns: int) -> float:
    """Seconds from the first request that was sent (RECORD_DTYPE) to the window's end, or to the last answer
    if it came later; 0 where none was sent."""
    sent, done = (records[name][records[name] > 0] for name in ("sent_ns", "done_ns"))
    return float(max(done.max(initial=0), window_end_ns) - sent.min()) / 1e9 if len(sent) else 0.0


def sum_settled_s(turns: np.ndarray) -> float:
    """Seconds of `turns` (TURN_DTYPE) that count."""
    return float((turns["end_ns"] - turns["settled_ns"]).sum()) / 1e9


def find_turns(stamps_ns: np.ndarray, turns: np.ndarray) -> np.ndarray:
    """Number of the cell in whose settled part each stamp lies (int32); -1 outside of all.

    `turns`: TURN_DTYPE, in order, that do not overlap."""
    place = np.searchsorted(turns["settled_ns"], stamps_ns, side="right") - 1
    within = (place >= 0) & (stamps_ns < turns["end_ns"][place])
    return np.where(within, turns["cell"][place], -1).astype(np.int32)


def _measure(
    records: np.ndarray, inside: np.ndarray, done_inside: np.ndarray, seconds: float, load: Load
) -> RequestMetrics:
    """Of the requests that are `inside` the window; throughput of those that were `done_inside` it."""
    # Columns of them, not the records themselves: there may be tens of millions.
    good = inside & (records["outcome"] == 0)
    requests, answered = int(inside.sum()), int(good.sum())
    done = done_inside & (records["outcome"] == 0)
    unfinished = int((inside & (records["done_ns"] == 0)).sum())
    values: dict[Metric, float] = {}
    p999 = mean = service_p50 = service_p99 = None
    if answered:
        done_ns = records["done_ns"][good]
        latency_us = (done_ns - records[load.begin_column][good]) / 1e3
        p10, p50, p99, p999 = (float(value) for value in np.percentile(latency_us, [10, 50, 99, 99.9]))
        mean = float(latency_us.mean())
        service_us = (done_ns - records["sent_ns"][good]) / 1e3
        service_p50, service_p99 = (float(value) for value in np.percentile(service_us, [50, 99]))
        values = {
            Metric.P50_LATENCY_US: p50,
            Metric.P10_LATENCY_US: p10,
            Metric.P99_LATENCY_US: p99,
            Metric.THROUGHPUT_RPS: float(done.sum()) / seconds,
        }
    return RequestMetrics(
        requests=requests,
        errors=requests - answered - unfinished,
        unfinished=unfinished,
        values=values,
        p999_latency_us=p999,
        mean_latency_us=mean,
        service_p50_us=service_p50,
        service_p99_us=service_p99,
        open_loop=_measure_open_loop(records, inside, seconds, load.connections) if load.is_open else None,
    )


def number_requests(records: np.ndarray) -> np.ndarray:
    """Number that each request of an open loop carried in its target (int64, as `records`, all of a slot's).

    They are numbered in the order of their arrivals, and every arrival has its record.
    """
    numbers = np.empty(len(records), np.int64)
    numbers[np.argsort(records["intended_ns"], kind="stable")] = np.arange(len(records))
    return numbers


def find_free(records: np.ndarray, connections: int) -> np.ndarray:
    """Whether each request found one of `connections` free at its intended time (bool, as `records`).

    It did where fewer requests than connections had arrived before it and were not done by then:
    counted so, one that waits behind others is waiting for the server too.
    """
    order = np.argsort(records["intended_ns"], kind="stable")
    ended = np.sort(records["done_ns"][records["done_ns"] > 0])
    in_system = np.arange(len(records)) - np.searchsorted(ended, records["intended_ns"][order], side="right")
    free = np.empty(len(records), dtype=bool)
    free[order] = in_system < connections
    return free


def _measure_open_loop(records: np.ndarray, inside: np.ndarray, seconds: float, connections: int) -> OpenLoop:
    free = find_free(records, connections)
    timely = records[inside & free & (records["sent_ns"] > 0)]
    lateness_us = (timely["sent_ns"] - timely["intended_ns"]) / 1e3
    lateness = None
    if len(timely):
        p50, p99, most = (float(value) for value in np.percentile(lateness_us, [50, 99, 100]))
        lateness = p50, p99, most
    return OpenLoop(
        offered_rps=float(inside.sum()) / seconds,
        lateness_us=lateness,
        waited=int((inside & ~free).sum()),
    )
