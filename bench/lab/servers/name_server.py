"""The lab's name servers, on the client host: one that knows a name, one that refuses, one that is dead."""

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import NamedTuple

from bench.errors import EnvironmentLacks
from bench.lab.hosts.command import CommandFailed
from bench.lab.hosts.host import Host, Program
from bench.lab.hosts.waiting import wait_until
from bench.lab.servers.listening import read_listeners
from bench.procfs import parse_named_columns
from bench.scenario.modes.addresses import DEAD_UPSTREAM, REFUSING_UPSTREAM
from bench.scenario.names import ANSWER, ANSWER_IPV6, LOOKED_UP

DNSMASQ = (
    *("dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--pid-file=", "--user=nobody"),
    *("--no-resolv", "--no-hosts", "--bind-interfaces", "--log-facility=-"),
)
"""Nothing of the machine's is read, and nothing asked further: what it does not know, it answers REFUSED."""
PORT = 53
READY_S = 5.0
VANISH = ["INPUT", "-d", DEAD_UPSTREAM, "-j", "DROP"]
_VANISHED = re.compile(rf"^\[(\d+):\d+\] -A INPUT -d {re.escape(DEAD_UPSTREAM)}/32 -j DROP$", re.MULTILINE)


class Queries(NamedTuple):
    """What came to the lab's name servers."""

    received: int
    """Datagrams that reached a server: of a client host, which has no other use for UDP, all of them."""
    vanished: int
    """Packets to the dead server."""

    def since(self, start: "Queries") -> "Queries":
        """From `start` to here."""
        return Queries(self.received - start.received, self.vanished - start.vanished)


@contextmanager
def name_servers(client: Host, *, ipv6: bool) -> Iterator[None]:
    """Have them on `client`, that has an IPv6 address where `ipv6`; all of it is taken back on the way out.

    A dead server's address is there and its packets are dropped: of an address that nobody has, the kernel
    would tell after three seconds, which a server that died behind a router does not.
    """
    knows = [f"--host-record={LOOKED_UP},{','.join([ANSWER, ANSWER_IPV6] if ipv6 else [ANSWER])}"]
    listens = [f"--listen-address={address}" for address in ([ANSWER, ANSWER_IPV6] if ipv6 else [ANSWER])]
    with ExitStack() as running:
        for address in (DEAD_UPSTREAM, REFUSING_UPSTREAM):
            stands = [f"{address}/32", "dev", client.uplink]
            client.run(["ip", "address", "add", *stands])
            running.callback(_undo, client, ["ip", "address", "delete", *stands])
        client.run(["iptables", "-w", "-I", *VANISH])
        running.callback(_undo, client, ["iptables", "-w", "-D", *VANISH])
        for name, options in (
            ("name-server", [*listens, *knows]),
            ("refusing-name-server", [f"--listen-address={REFUSING_UPSTREAM}"]),
        ):
            server = client.start([*DNSMASQ, *options], name)
            running.callback(server.stop)
            _require_listening(client, server, REFUSING_UPSTREAM if "refusing" in name else ANSWER)
        yield


def read_queries(client: Host) -> Queries:
    """Since the host was made, in either family."""
    found = client.read("/proc/1/net/snmp", "/proc/1/net/snmp6")
    six = dict(line.split() for line in found.get("/proc/1/net/snmp6", "").splitlines())
    vanished = _VANISHED.search(client.run(["iptables-save", "-c", "-t", "filter"]))
    return Queries(
        parse_named_columns(found["/proc/1/net/snmp"], "Udp")["InDatagrams"]
        + int(six.get("Udp6InDatagrams", 0)),
        int(vanished[1]) if vanished else 0,
    )


def _undo(client: Host, argv: list[str]) -> None:
    with suppress(CommandFailed):  # A host that has ended took it along.
        client.run(argv)


def _require_listening(client: Host, server: Program, address: str) -> None:
    """It listens by TCP as well, and there it shows."""
    wait_until(lambda: (address, PORT) in read_listeners(client, 1) or not server.is_alive, READY_S)
    if (address, PORT) in read_listeners(client, 1):
        return
    raise EnvironmentLacks(
        "Starting the lab's name server",
        f"dnsmasq does not listen at {address}: {server.words().strip() or 'it says nothing'}",
        "Start it by hand with --test to see why.",
    )
