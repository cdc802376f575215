"""What an engine takes of its host: memory of dockerd and of its docker-proxies, firewall rules."""

from bench.lab.hosts.host import Host
from bench.procfs import parse_memory_mb
from bench.slots.starts import EngineFootprint

PROXY = "docker-proxy"


def count_rules(host: Host) -> int:
    """Rules that `iptables-save` lists there, of IPv4: those of nft and of legacy tables alike, whichever
    `iptables` is on that host. What an engine writes by nft itself is not among them."""
    lines = host.run(["iptables-save"]).splitlines()
    return sum(line.startswith("-A") for line in lines)


def read_footprint(host: Host, daemon_pid: int | None, rules_before: int) -> EngineFootprint:
    """Of the living engine of `host`. The memory is that of /proc/PID/smaps_rollup (proc_pid_smaps(5))."""
    proxies = [
        path.split("/")[2] for path, name in host.read("/proc/[0-9]*/comm").items() if name.strip() == PROXY
    ]
    texts = [host.read(f"/proc/{pid}/smaps_rollup").get(f"/proc/{pid}/smaps_rollup", "") for pid in proxies]
    dockerd = host.read(f"/proc/{daemon_pid}/smaps_rollup").values()
    return EngineFootprint(
        dockerd_mb=sum(parse_memory_mb(text, "Pss") for text in dockerd),
        proxies=len(proxies),
        proxies_mb=sum(parse_memory_mb(text, "Pss") for text in texts),
        proxies_rss_mb=sum(parse_memory_mb(text, "Rss") for text in texts),
        rules_before=rules_before,
        rules=count_rules(host),
    )
