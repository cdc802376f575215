"""The metrics of one slot, from its requests."""

from dataclasses import dataclass

import numpy as np

from bench.core.scenario import Metric


@dataclass(frozen=True)
class RequestMetrics:
    """What a slot's window held. Latency is done minus sent, of requests answered with 200."""

    requests: int
    errors: int
    unfinished: int
    values: dict[Metric, float]
    p999_latency_us: float | None
    mean_latency_us: float | None


def measure_requests(records: np.ndarray, window_start_ns: int, window_end_ns: int) -> RequestMetrics:
    """Metrics of the requests sent inside the window (`records`: the load path's RECORD_DTYPE).

    Throughput counts what was done inside the window, by the window's length; latency follows
    every request sent in it to its end, so that the slowest are not cut off by the clock.
    """
    sent_inside = records[(records["sent_ns"] >= window_start_ns) & (records["sent_ns"] < window_end_ns)]
    ok = sent_inside[sent_inside["outcome"] == 0]
    done = records["outcome"] == 0
    done &= (records["done_ns"] >= window_start_ns) & (records["done_ns"] < window_end_ns)
    unfinished = int((sent_inside["done_ns"] == 0).sum())
    values: dict[Metric, float] = {}
    p999 = mean = None
    if len(ok):
        latency_us = (ok["done_ns"] - ok["sent_ns"]) / 1e3
        p50, p99, p999 = (float(value) for value in np.percentile(latency_us, [50, 99, 99.9]))
        mean = float(latency_us.mean())
        values = {
            Metric.P50_LATENCY_US: p50,
            Metric.P99_LATENCY_US: p99,
            Metric.THROUGHPUT_RPS: float(done.sum()) / ((window_end_ns - window_start_ns) / 1e9),
        }
    return RequestMetrics(
        requests=len(sent_inside),
        errors=len(sent_inside) - len(ok) - unfinished,
        unfinished=unfinished,
        values=values,
        p999_latency_us=p999,
        mean_latency_us=mean,
    )
