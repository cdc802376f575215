"""wrk, an outside witness for throughput: another program, by other people, on the same container."""

import re

from bench.errors import MeasurementInvalid
from bench.generator.asks import authority
from bench.lab.hosts.host import Endpoint, Host

_RATE = re.compile(r"^Requests/sec:\s+([0-9.]+)$", re.MULTILINE)


def measure_with_wrk(
    sender: Host, endpoint: Endpoint, path: str, connections: int, seconds: int, *, keep_alive: bool = True
) -> float:
    """Requests/s that one thread of wrk reaches from the host `sender` over `seconds`."""
    url = f"http://{authority(endpoint.address, endpoint.port)}{path}"
    close = [] if keep_alive else ["--header", "Connection: close"]
    said = sender.run(
        [
            "wrk",
            "--threads",
            "1",
            "--connections",
            str(connections),
            "--duration",
            f"{seconds}s",
            *close,
            url,
        ],
        timeout_s=seconds + 30,
    )
    rate = _RATE.search(said)
    if not rate or "Non-2xx" in said:
        raise MeasurementInvalid("Measuring throughput with wrk", said, "See Apache's messages.")
    return float(rate[1])
