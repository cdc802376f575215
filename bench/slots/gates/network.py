"""The network: nothing lost, nothing exhausted."""

from typing import NamedTuple

from bench.slots.gates.gate import Gate, GateKind

MAX_SHARE_IN_USE = 0.8
"""Of ports and of tracked connections. Measured: with its ports gone, a client of 25,000 new connections
a second falls to 600, and the last of them are searched for ever longer before they are gone."""


class Losses(NamedTuple):
    """What the network stacks lost over a slot's load."""

    retransmits: int
    """TCP segments sent again by client, Docker host or server (SNMP tcpRetransSegs), and not in vain:
    without those that the receiver had already (TCPDSACKRecvSegs)."""
    conntrack_drops: int
    """Packets dropped or entries refused by connection tracking."""
    listen_drops: int
    """Connections that the server's listening socket had no room for (ListenDrops, TCPReqQFullDrop)."""
    queue_drops: int
    """Received packets that a core's queue had no room for (net.core.netdev_max_backlog), of the whole
    machine: veth and receive steering put every packet into one."""
    listen_overflows: int = 0
    """Of `listen_drops`, those that found the accept queue full (ListenOverflows)."""
    carrier_drops: int = 0
    """Connections that the process on the Docker host that carries a published port (docker-proxy,
    RootlessKit, slirp4netns) had no room for: of all that listens in the host's network (ListenDrops,
    TCPReqQFullDrop)."""


class Room(NamedTuple):
    """What a load of new connections can run out of, at the end of a slot."""

    ports_in_use: int
    """Sockets of the client, those in TIME_WAIT included."""
    ports: int
    """Ephemeral ports of the client's addresses."""
    tracked: int
    trackable: int
    """Connections that the Docker host tracks, and can track; zero where it tracks none."""


def check_network(losses: Losses, room: Room, accept_queue: str = "") -> list[Gate]:
    """Gates on loss and on room: the lab's links lose nothing, so one retransmit is to be looked at.

    `accept_queue`: how long the server's is, and what made it so.
    """
    overflows = f"{losses.listen_overflows:,} times the accept queue was full: {accept_queue}"
    carried = f"{losses.carrier_drops:,} by the process on the Docker host that carries the published port"
    told = [(losses.listen_drops, overflows), (losses.carrier_drops, carried)]
    details = {GateKind.LISTEN_DROPS: "; ".join(words for number, words in told if number)}
    lost = [
        Gate(name=name, passed=seen == 0, seen=seen, limit=0, unit=unit, detail=details.get(name, ""))
        for name, seen, unit in (
            (GateKind.RETRANSMITS, losses.retransmits, "TCP segments lost and sent again"),
            (GateKind.CONNTRACK_DROPS, losses.conntrack_drops, "packets dropped or entries refused"),
            (GateKind.LISTEN_DROPS, losses.listen_drops + losses.carrier_drops, "connections dropped"),
            (GateKind.QUEUE_DROPS, losses.queue_drops, "packets that a core's receive queue had no room for"),
        )
    ]
    shares = (
        (
            GateKind.CLIENT_PORTS,
            room.ports_in_use,
            room.ports,
            "share of the client's ephemeral ports in use",
        ),
        (
            GateKind.CONNTRACK_ROOM,
            room.tracked,
            room.trackable,
            "share of the connections that can be tracked",
        ),
    )
    return lost + [
        Gate(
            name=name,
            passed=used <= MAX_SHARE_IN_USE * most,
            seen=round(used / most, name.decimals) if most else 0.0,
            limit=MAX_SHARE_IN_USE,
            unit=f"{unit}, at most",
            detail=f"{used:,} of {most:,}",
        )
        for name, used, most, unit in shares
    ]
