"""What happens in a hop, in words: from the mode's own data."""

from bench.scenario.modes.footprint import Counter, Path
from bench.scenario.modes.model import NetworkMode, Vantage
from bench.wire.hops import Ends, Group

LINK = "link, switch, receive queue"
"""Between the client's interface and the Docker host's: the switch's work, and the queue that the
receiving host's cores take packets from."""
SERVER = "server: "
"""Before the words of the server, which is one hop."""
PUT_ON, TAKEN_OFF = "VXLAN put on, UDP and routing", "UDP, VXLAN taken off"
REST = "response's later packets"
PROXY = "docker-proxy: two sockets and a copy"
_CONTAINER = (("veth", "bridge", "bridge"), ("container", "veth pair", "veth pair"))


def title_hop(
    network: NetworkMode, group: Group, ends: Ends | None, served: str, vantage: Vantage = Vantage.CLIENT
) -> str:
    """What happens in a hop, or in several one after another, of a path of `network` to what is `served`."""
    if group is Group.SERVER:
        return f"{SERVER}kernel TCP, {served} and back"
    if ends is None:
        return REST
    near, far = ends if group is Group.REQUEST else reversed(ends)
    return name_hop(network, near, far, group, vantage)


def name_hop(
    network: NetworkMode, near: str, far: str, group: Group, vantage: Vantage = Vantage.CLIENT
) -> str:
    """What happens on the way of a request from tap `near` to tap `far`, or of its response back.

    From the mode's own data: where it forwards, translates or copies. Taps that are not there leave
    their parts in one hop. Places that the mode does not have are named as they are.
    """
    stretches = _list_stretches(network, vantage)
    places = ["client", *(place for place, _, _ in stretches)]
    if near not in places or far not in places[places.index(near) + 1 :]:
        return f"{near} to {far}" if group is Group.REQUEST else f"{far} to {near}"
    passed = stretches[places.index(near) : places.index(far)]
    if group is Group.RESPONSE:
        return "; ".join(back for _, _, back in reversed(passed))
    return "; ".join(there for _, there, _ in passed)


def _list_stretches(network: NetworkMode, vantage: Vantage) -> list[tuple[str, str, str]]:
    """Each place behind the client, with what lies before it on the way there, and on the way back."""
    stretches = [("uplink", LINK, LINK)]
    if network.in_host_network:
        return stretches
    if network.rootless:
        return [*stretches, *_list_rootless(network.path), *_CONTAINER]
    if vantage is Vantage.PEER:
        masquerade = "peer's bridge, routing, conntrack"
        there, back = f"{masquerade}, masquerading", f"{masquerade}, NAT undone"
        if Counter.VXLAN in network.path:
            there, back = f"peer's bridge, {PUT_ON}", f"{TAKEN_OFF}, peer's bridge"
        stretches.insert(0, ("peer", there, back))
    if Counter.VXLAN in network.path:
        return [*stretches, ("vxlan", TAKEN_OFF, PUT_ON), *_CONTAINER]
    if Counter.VETH not in network.path:
        driver = network.network.driver if network.network else "handing over"
        return [*stretches, ("container", f"{driver} to the container's link", f"{driver} to the uplink")]
    there = back = "routing, forward rules"
    if Counter.OPENED in network.path:
        there = back = PROXY
    elif Counter.DNAT in network.path:
        there, back = f"conntrack, DNAT, {there}", f"conntrack, NAT undone, {back}"
    if Counter.BRIDGE in network.path:
        return [*stretches, ("bridge", there, back), *_CONTAINER]
    return [*stretches, ("veth", there, back), _CONTAINER[-1]]


def _list_rootless(path: Path) -> list[tuple[str, str, str]]:
    """From the Docker host's uplink into RootlessKit's namespace, and there to Docker's bridge."""
    if Counter.ROOTLESSKIT_CPU in path:
        carried = "RootlessKit: two sockets and a copy"
        return [("rootless", carried, carried), ("bridge", PROXY, PROXY)]
    carried = "network stack in user space: a socket, TCP of its own, the tap device"
    rules = "routing, forward rules"
    return [
        ("rootless", carried, carried),
        ("bridge", f"conntrack, DNAT, {rules}", f"conntrack, NAT undone, {rules}"),
    ]
