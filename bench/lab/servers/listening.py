"""Which ports are listened on in a process's network, as /proc says it."""

from bench.lab.hosts.host import Host
from bench.procfs import parse_listeners


def read_listeners(host: Host, pid: int) -> list[tuple[str, int]]:
    """(address, port) of every listening TCP socket in the network of `pid`; none where it has ended."""
    texts = host.read(f"/proc/{pid}/net/tcp", f"/proc/{pid}/net/tcp6").values()
    return sorted({found for text in texts for found in parse_listeners(text)})


def describe_listeners(found: list[tuple[str, int]]) -> str:
    """`127.0.0.1:8080, [::]:9000`; `nothing` where there is none."""
    said = (f"[{address}]:{port}" if ":" in address else f"{address}:{port}" for address, port in found)
    return ", ".join(said) or "nothing"
