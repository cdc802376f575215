"""The network modes: one entry says how a mode is started, reached, proved, and what it gives up.

Pure data. A new mode is one entry here and no change elsewhere: what Docker is asked, commands
that are run by hand, the engine's options, and the path that the counters must show.
Commands are lists of words in which {address}, {port}, {container_address} and {container_pid}
(as the Docker host numbers processes) stand for what is known once the container has started.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bench.scenario.modes.addresses import (
    DOCKER0,
    DOCKER0_IPV6,
    LAN,
    LAN_CONTAINER,
    OVERLAY_NETWORK,
    USER_NETWORK,
    WIRED_CONTAINER,
    WIRED_HOST,
    WIRED_NETWORK,
)
from bench.scenario.modes.footprint import Counter, Expected, Path
from bench.scenario.modes.model import (
    MAPPED,
    DockerNetwork,
    Mode,
    NetworkMode,
    Rootless,
    Step,
    TradeOffs,
    Vantage,
)
from bench.spelling import suggest

UPLINK = "eth0"
"""A host's one link to the switch."""
CONTAINER_PORT = 80
"""Apache listens on it where the network is its own."""


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def _route(subnet: str) -> Step:
    return Step(
        "client",
        _words(f"ip route add {subnet} via {{address}}"),
        undo=_words(f"ip route delete {subnet} via {{address}}"),
    )


def _accept(match: str) -> Step:
    return Step(
        "docker",
        _words(f"iptables -w -I DOCKER-USER {match} -j ACCEPT"),
        undo=_words(f"iptables -w -D DOCKER-USER {match} -j ACCEPT"),
        needs_rules=True,
    )


def _pass_raw(address: str) -> Step:
    """Docker 28 drops what comes for a container's address from outside, before anything else is asked.

    iptables-save looks at tables that are there; asking the raw table itself would make it.
    """
    drop = f"-d {address}/32 ! -i docker0 -j DROP"
    rule = f"PREROUTING -d {address} -i {UPLINK} -j ACCEPT"
    return Step(
        "docker",
        (
            "sh",
            "-c",
            f"! iptables-save | grep -q -e '{drop}' || iptables -w -t raw -I {rule}",
        ),
        undo=(
            "sh",
            "-c",
            f"! iptables-save | grep -q -e '{drop}' || iptables -w -t raw -D {rule}",
        ),
        needs_rules=True,
    )


FORWARDED: Path = {
    Counter.FORWARDED: Expected.EACH_REQUEST,
    Counter.VETH: Expected.EACH_REQUEST,
}
ROUTED_BRIDGE: Path = {**FORWARDED, Counter.BRIDGE: Expected.EACH_REQUEST}
PUBLISHED: Path = {**ROUTED_BRIDGE, Counter.DNAT: Expected.EACH_CONNECTION}
LOCAL: Path = {Counter.ACCEPTED: Expected.EACH_CONNECTION}
PROXIED: Path = {
    Counter.ACCEPTED: Expected.EACH_CONNECTION,
    Counter.OPENED: Expected.EACH_CONNECTION,
    Counter.BRIDGE: Expected.EACH_REQUEST,
    Counter.VETH: Expected.EACH_REQUEST,
    Counter.PROXY_CPU: Expected.SOME,
}

SAME_STACK: Path = {**LOCAL, Counter.LOOPBACK: Expected.EACH_REQUEST}
SAME_STACKS: Mapping[Vantage, Path] = {
    Vantage.HOST_LOOPBACK: SAME_STACK,
    Vantage.HOST_ADDRESS: SAME_STACK,
    Vantage.SAME_NETWORK: SAME_STACK,
}
BESIDE: Mapping[Vantage, Path] = {
    # The bridge hands frames from port to port and counts none as its own; rules see them where the kernel
    # has br_netfilter, which Docker turns on.
    Vantage.SAME_NETWORK: {Counter.VETH: Expected.EACH_REQUEST, Counter.FILTER: Expected.ANY}
}
TO_BRIDGE: Path = {Counter.BRIDGE: Expected.EACH_REQUEST, Counter.VETH: Expected.EACH_REQUEST}
"""To a container from its own host: sent, not forwarded."""
TO_PROXY: Path = {
    **PROXIED,
    Counter.LOOPBACK: Expected.EACH_REQUEST,
    # By the load, and once more by docker-proxy towards the container.
    Counter.OPENED: Expected.TWICE_A_CONNECTION,
}
THROUGH_PROXY: Mapping[Vantage, Path] = {Vantage.HOST_LOOPBACK: TO_PROXY, Vantage.HOST_ADDRESS: TO_PROXY}
PUBLISHED_LOCALLY: Mapping[Vantage, Path] = {
    # Docker's rule of the OUTPUT chain leaves 127.0.0.0/8 and ::1 out: docker-proxy listens there.
    Vantage.HOST_LOOPBACK: TO_PROXY,
    Vantage.HOST_ADDRESS: {**TO_BRIDGE, Counter.DNAT: Expected.EACH_CONNECTION},
    **BESIDE,
}
HAIRPIN: Mapping[Vantage, Path] = {
    # Without docker-proxy Docker's rule takes 127.0.0.0/8 in, and a route of loopback's addresses to docker0
    # (route_localnet): masqueraded, it is the way of the host's own address.
    Vantage.HOST_LOOPBACK: PUBLISHED_LOCALLY[Vantage.HOST_ADDRESS],
}

BY_ROOTLESSKIT: Path = {
    **LOCAL,
    # Twice: RootlessKit hands on to the loopback of its namespace, where docker-proxy listens.
    Counter.ROOTLESSKIT_CPU: Expected.SOME,
    Counter.PROXY_CPU: Expected.SOME,
    Counter.ROOTLESS_BRIDGE: Expected.EACH_REQUEST,
}
BY_USER_STACK: Path = {
    **LOCAL,
    Counter.USER_STACK_CPU: Expected.SOME,
    Counter.TAP: Expected.EACH_REQUEST,
    Counter.ROOTLESS_DNAT: Expected.EACH_CONNECTION,
    Counter.ROOTLESS_BRIDGE: Expected.EACH_REQUEST,
}


def _from_the_host(path: Path) -> Mapping[Vantage, Path]:
    """A rootless engine's port is a process that listens, whoever asks."""
    locally = {**path, Counter.LOOPBACK: Expected.EACH_REQUEST, Counter.OPENED: Expected.EACH_CONNECTION}
    return {Vantage.HOST_LOOPBACK: locally, Vantage.HOST_ADDRESS: locally}


IPV6_ENGINE: Mapping[str, Any] = {
    "ipv6": True,
    "fixed-cidr-v6": DOCKER0_IPV6,
    # Before Docker 27 both were needed for a port mapping of IPv6; later engines take them all the same.
    "experimental": True,
    "ip6tables": True,
}
IPV6_ENGINE_WITHOUT_RULES: Mapping[str, Any] = {
    "ipv6": True,
    "fixed-cidr-v6": DOCKER0_IPV6,
    "ip6tables": False,
}
"""Docker 20.10's own default; since Docker 27 it has to be asked for."""

_HOST_TRADE_OFFS = TradeOffs(
    ports="clash: one listener an address and port",
    replicas="one an address and port",
    client_address="kept",
    firewall="the host's INPUT rules decide; Docker opens nothing",
    reachable_from="wherever the host is, its own loopback included",
    advice="Take it where microseconds count and one instance a host is enough; open its port yourself.",
)
_BRIDGE_TRADE_OFFS = TradeOffs(
    ports="mapped: many containers may listen on 80",
    replicas="one a free host port",
    client_address="kept for other hosts",
    firewall="Docker opens the port past the host's INPUT rules",
    reachable_from="wherever the host is, by the published port; not by name",
    tried_by=("docker0-knows-no-names",),
    advice="Take it unless its microseconds hurt, and mind that -p opens the host's firewall.",
)
_LAN_TRADE_OFFS = TradeOffs(
    ports="none shared: an address of its own",
    replicas="one an address of the LAN",
    client_address="kept",
    firewall="none of the host's rules are met",
    reachable_from="the LAN, but not from its own host",
    advice="Take it where the LAN has addresses to give: a port 80 for each container.",
    tried_by=("macvlan-is-out-of-its-own-hosts-reach",),
)
_ROOTLESS_TRADE_OFFS = replace(
    _BRIDGE_TRADE_OFFS,
    client_address="kept",
    firewall="the host's INPUT rules decide; Docker's are in RootlessKit's namespace",
    advice="Take it where no daemon may be root's and the server must see its clients.",
)

MODES: Mapping[Mode, NetworkMode] = {
    Mode.NATIVE: NetworkMode(
        summary="the same Apache files without Docker, in the host's namespace",
        docker=None,
        in_host_network=True,
        path=LOCAL,
        local_paths=SAME_STACKS,
        trade_offs=replace(
            _HOST_TRADE_OFFS,
            firewall="the host's INPUT rules decide",
            advice="The floor of this table: what is left when Docker is taken away altogether.",
        ),
    ),
    Mode.HOST: NetworkMode(
        summary="Docker's --network host: the host's own stack",
        docker="host",
        in_host_network=True,
        path=LOCAL,
        local_paths=SAME_STACKS,
        trade_offs=_HOST_TRADE_OFFS,
    ),
    Mode.BRIDGE: NetworkMode(
        summary="Docker's default bridge with a published port: docker0 and DNAT",
        docker="bridge",
        publishes=True,
        path=PUBLISHED,
        local_paths=PUBLISHED_LOCALLY,
        unproxied_paths=HAIRPIN,
        trade_offs=_BRIDGE_TRADE_OFFS,
    ),
    Mode.CONTAINER: NetworkMode(
        summary="mapped container: shares the network of another container",
        docker="container",
        path={},  # That of the arm whose network it shares.
        trade_offs=TradeOffs(
            ports="clash with the other container's",
            replicas="one a port of the shared network",
            client_address="as in the shared network",
            firewall="as in the shared network",
            reachable_from="as the shared network, and from the other container's loopback",
            advice="Take it for a sidecar on loopback; it costs what the shared network costs.",
            tried_by=("mapped-container-shares-the-network", "mapped-container-shares-loopback"),
        ),
    ),
    Mode.NONE: NetworkMode(
        summary="--network none, a control: only loopback, provably unreachable",
        docker="none",
        reachable=False,
        path={},
        trade_offs=TradeOffs(
            ports="none to clash",
            replicas="any number",
            client_address="no client",
            firewall="no packet arrives",
            reachable_from="nowhere",
            advice="Take it for work that needs no network: nothing reaches it, and it reaches nothing.",
            tried_by=("none-has-only-loopback",),
        ),
    ),
    Mode.WIRED: NetworkMode(
        summary="--network none, then a veth pair wired and routed by hand",
        docker="none",
        reached_at_container=True,
        container_address=WIRED_CONTAINER,
        path=FORWARDED,
        local_paths={Vantage.HOST_ADDRESS: {Counter.VETH: Expected.EACH_REQUEST}},
        steps=(
            Step(
                "docker",
                _words("ip link add veth-wired type veth peer name eth0 netns {container_pid}"),
                undo=_words("ip link delete veth-wired"),
            ),
            Step("docker", _words(f"ip address add {WIRED_HOST}/30 dev veth-wired")),
            Step("docker", _words("ip link set veth-wired up")),
            Step(
                "docker",
                _words(f"nsenter -t {{container_pid}} --net ip address add {WIRED_CONTAINER}/30 dev eth0"),
            ),
            Step("docker", _words("nsenter -t {container_pid} --net ip link set eth0 up")),
            Step(
                "docker",
                _words(f"nsenter -t {{container_pid}} --net ip route add default via {WIRED_HOST}"),
            ),
            _accept("-o veth-wired"),
            _accept("-i veth-wired"),
            _route(WIRED_NETWORK),
        ),
        trade_offs=TradeOffs(
            ports="none shared: an address of its own",
            replicas="one an address",
            client_address="kept",
            firewall="the host's FORWARD rules, by hand",
            reachable_from="wherever a route is added by hand",
            advice="Take it to see what a veth alone costs, or where a network plugin does the wiring.",
            tried_by=("none-can-be-wired-by-hand",),
        ),
    ),
    Mode.BRIDGE_ROUTED: NetworkMode(
        summary="docker0 without a port mapping: the client routes to the container's own address",
        docker="bridge",
        reached_at_container=True,
        path=ROUTED_BRIDGE,
        local_paths={Vantage.HOST_ADDRESS: TO_BRIDGE, **BESIDE},
        steps=(_pass_raw("{container_address}"), _accept("-d {container_address}"), _route(DOCKER0)),
        trade_offs=TradeOffs(
            ports="none shared: an address of its own",
            replicas="one an address of the subnet",
            client_address="kept",
            firewall="the host's FORWARD rules, by hand",
            reachable_from="hosts with a route to the subnet",
            advice="Take it where you own the routers: no port mapping to manage, no NAT to debug.",
        ),
    ),
    Mode.USER_BRIDGE: NetworkMode(
        summary="a user-defined bridge network with a published port",
        docker="bench-user",
        network=DockerNetwork("bridge", USER_NETWORK),
        publishes=True,
        path=PUBLISHED,
        local_paths=PUBLISHED_LOCALLY,
        unproxied_paths=HAIRPIN,
        trade_offs=replace(
            _BRIDGE_TRADE_OFFS,
            reachable_from="wherever the host is, by the published port; by name from its own network",
            tried_by=("containers-of-a-network-know-names", "names-end-with-the-network"),
            advice="Take it rather than docker0 when containers must find one another by name.",
        ),
    ),
    Mode.PROXY: NetworkMode(
        summary="docker-proxy carries the published port: an engine with iptables off",
        docker="bridge",
        publishes=True,
        path=PROXIED,
        local_paths={**THROUGH_PROXY, **BESIDE},
        engine_options={"iptables": False},
        trade_offs=replace(
            _BRIDGE_TRADE_OFFS,
            client_address="LOST: the server sees docker0's address",
            firewall="the host's INPUT rules decide; Docker writes none",
            advice="Avoid it for load: every byte is copied by a process, and the client's address is lost.",
        ),
    ),
    Mode.MACVLAN: NetworkMode(
        summary="macvlan: the container stands on the host's wire with an address of its own",
        docker="bench-macvlan",
        network=DockerNetwork("macvlan", LAN, {"parent": UPLINK}),
        container_address=LAN_CONTAINER,
        reached_at_container=True,
        path={},
        local_paths={Vantage.SAME_NETWORK: {}},
        trade_offs=_LAN_TRADE_OFFS,
    ),
    Mode.IPVLAN: NetworkMode(
        summary="ipvlan (L2): as macvlan, with the host's MAC address",
        docker="bench-ipvlan",
        network=DockerNetwork("ipvlan", LAN, {"parent": UPLINK}),
        container_address=LAN_CONTAINER,
        reached_at_container=True,
        path={},
        local_paths={Vantage.SAME_NETWORK: {}},
        trade_offs=replace(
            _LAN_TRADE_OFFS,
            advice="Take it instead of macvlan where the switch allows one MAC address a port.",
            tried_by=(),
        ),
    ),
    Mode.HOST_IPV6: NetworkMode(
        summary="host mode, reached over IPv6",
        docker="host",
        in_host_network=True,
        ipv6=True,
        path=LOCAL,
        local_paths=SAME_STACKS,
        trade_offs=_HOST_TRADE_OFFS,
    ),
    Mode.BRIDGE_IPV6: NetworkMode(
        summary="the default bridge with a port published on IPv6: docker0 and ip6tables' DNAT",
        docker="bridge",
        publishes=True,
        ipv6=True,
        path=PUBLISHED,
        local_paths=PUBLISHED_LOCALLY,
        engine_options=IPV6_ENGINE,
        trade_offs=_BRIDGE_TRADE_OFFS,
    ),
    Mode.BRIDGE_IPV6_PROXIED: NetworkMode(
        summary="a port published on IPv6 by docker-proxy alone: an engine with ip6tables off",
        docker="bridge",
        publishes=True,
        ipv6=True,
        path=PROXIED,
        local_paths={**THROUGH_PROXY, **BESIDE},
        engine_options=IPV6_ENGINE_WITHOUT_RULES,
        trade_offs=replace(
            _BRIDGE_TRADE_OFFS,
            client_address="LOST: the server sees docker0's address",
            firewall="the host's INPUT rules decide; Docker writes none of IPv6",
            advice="Turn ip6tables on (Docker 27 does) where IPv6 shall be as IPv4 is.",
        ),
    ),
    Mode.OVERLAY: NetworkMode(
        summary="an attachable overlay network of a swarm: VXLAN between two Docker hosts, MTU 1450",
        docker="bench-overlay",
        network=DockerNetwork("overlay", OVERLAY_NETWORK),
        reached_at_container=True,
        path={Counter.VXLAN: Expected.EACH_REQUEST},
        local_paths={Vantage.SAME_NETWORK: {}},
        tried_from=Vantage.PEER,
        trade_offs=TradeOffs(
            ports="none shared: an address of its own",
            replicas="one an address of the network",
            client_address="kept inside the network",
            firewall="none of the host's rules inside; between hosts UDP 4789 and 7946, TCP 2377 and 7946",
            reachable_from="containers of the network on every host of the swarm, by name",
            advice="Take it where containers of several hosts must meet; VXLAN takes 50 bytes a packet.",
        ),
    ),
    Mode.ROOTLESS_BUILTIN: NetworkMode(
        summary="a user's own engine, its port carried by RootlessKit's builtin driver and by docker-proxy",
        docker="bridge",
        publishes=True,
        path=BY_ROOTLESSKIT,
        local_paths=_from_the_host(BY_ROOTLESSKIT),
        rootless=Rootless("slirp4netns", "builtin"),
        trade_offs=replace(
            _ROOTLESS_TRADE_OFFS,
            client_address="LOST: the server sees docker0's address",
            advice="Take it where no daemon may be root's; two processes copy, and no client is seen.",
        ),
    ),
    Mode.ROOTLESS_SLIRP4NETNS: NetworkMode(
        summary="a user's own engine, its port carried by slirp4netns: TCP in user space, a tap device, DNAT",
        docker="bridge",
        publishes=True,
        path=BY_USER_STACK,
        local_paths=_from_the_host(BY_USER_STACK),
        rootless=Rootless("slirp4netns", "slirp4netns"),
        trade_offs=_ROOTLESS_TRADE_OFFS,
    ),
    Mode.ROOTLESS_PASTA: NetworkMode(
        summary="a user's own engine, its port carried by pasta: TCP in user space, a tap device, DNAT",
        docker="bridge",
        publishes=True,
        path=BY_USER_STACK,
        local_paths=_from_the_host(BY_USER_STACK),
        rootless=Rootless("pasta", "implicit"),
        trade_offs=_ROOTLESS_TRADE_OFFS,
    ),
}
"""Every mode, in the order in which the reports list them."""


def parse_mode(text: str) -> tuple[Mode, str | None]:
    """Mode and target of `host`, `bridge`, ..., `container:<arm>`.

    Raises ValueError, naming what there is, for anything else.
    """
    name, colon, target = text.partition(":")
    known = [mode.value if mode is not Mode.CONTAINER else "container:<arm>" for mode in MODES]
    if name not in set(Mode) or (name == MAPPED) != bool(target) or (colon and not target):
        near = suggest(text, [mode.value for mode in Mode])
        raise ValueError(f"there is no mode {text!r} (the modes are {', '.join(known)}){near}")
    return Mode(name), target or None
