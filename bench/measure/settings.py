"""Known costs, put into the lab on purpose: positive controls of the method.

A method that cannot find a cost that is there, or finds it where it is not, is not to be believed.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.lab.hosts.host import Host

CPU_DMA_LATENCY = Path("/dev/cpu_dma_latency")

CHAIN = "BENCH-EXTRA"
UNUSED = "198.19.255.254"
"""No packet comes from there, so every rule is looked at and none matches."""


def set_forward_rules(host: Host, count: int) -> None:
    """Let every packet that `host` forwards look at `count` rules more, none of which matches."""
    there = CHAIN in host.run(["iptables", "-w", "-S"])
    if there:
        host.run(["iptables", "-w", "-D", "FORWARD", "-j", CHAIN])
        host.run(["iptables", "-w", "-F", CHAIN])
        host.run(["iptables", "-w", "-X", CHAIN])
    if count:
        rules = "\n".join([f"-A {CHAIN} -s {UNUSED} -j RETURN"] * count)
        path = host.folder / "extra.rules"
        path.write_text(f"*filter\n:{CHAIN} - [0:0]\n{rules}\n-I FORWARD -j {CHAIN}\nCOMMIT\n")
        host.run(["iptables-restore", "-w", "--noflush", str(path)])


def set_link_rate(switch: Host, client_port: str, mbit: int) -> None:
    """Let the client's link carry `mbit` Mbit/s towards the client and no more; 0: as fast as it can."""
    queue = ["dev", client_port, "root"]
    if "tbf" in switch.run_in_network(["tc", "qdisc", "show", "dev", client_port]):
        switch.run_in_network(["tc", "qdisc", "delete", *queue])
    if mbit:
        rate = ["rate", f"{mbit}mbit", "burst", "128kb", "latency", "50ms"]
        switch.run_in_network(["tc", "qdisc", "add", *queue, "tbf", *rate])


@contextmanager
def hold_idle_states(wanted: bool) -> Iterator[bool]:
    """Keep the cores out of their idle states for the duration; yields whether they are held.

    Linux's PM QoS: 0 us written to /dev/cpu_dma_latency holds for as long as the file is open, so
    it ends with this process whatever happens (Documentation/power/pm_qos_interface.rst).
    """
    if not wanted:
        yield False
        return
    try:
        request = os.open(CPU_DMA_LATENCY, os.O_WRONLY | os.O_CLOEXEC)
    except OSError:
        yield False
        return
    try:
        os.write(request, (0).to_bytes(4, "little"))
        yield True
    finally:
        os.close(request)
