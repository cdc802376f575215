"""By which name, and from where, a container is reached."""

from bench.records.findings import Source
from bench.scenario.modes.addresses import LAN, LAN_CONTAINER, USER_NETWORK
from bench.scenario.modes.catalogue import UPLINK
from bench.scenario.modes.model import DockerNetwork
from bench.walkthrough.container import Running
from bench.walkthrough.container_spec import SLEEP, Ask, asking, serve
from bench.walkthrough.transcript import wait
from bench.walkthrough.trial import Outcome, Statement, Trial, address, judge

EMBEDDED = "nameserver 127.0.0.11"
NETWORK = "bench-user"


def known_within(trial: Trial) -> Outcome:
    """Two containers of a user-defined network."""
    engine = trial.ground.docker1
    trial.create_network(engine, NETWORK, DockerNetwork("bridge", USER_NETWORK))
    web = trial.run(engine, Ask("web1", NETWORK, command=serve("web1")))
    other = trial.run(engine, Ask("web2", NETWORK, command=SLEEP))
    wait(lambda: "200 OK" in other.exec_quietly(*asking("web1")))
    configured = other.exec("cat", "/etc/resolv.conf").output
    found = other.exec("getent", "ahostsv4", "web1").output.split()
    page = other.exec(*asking("web1")).output
    return judge(
        {
            "its resolver is Docker's own": EMBEDDED in configured,
            "web1's name is web1's address": found[:1] == [_address(web)],
            "the page of web1 is had by its name": "200 OK" in page,
        },
        "Docker's resolver at 127.0.0.11 told web2 the address of web1, and web2 had its page by that name.",
    )


def unknown_outside(trial: Trial) -> Outcome:
    """Asked from docker0, from the Docker host, and from another network's container."""
    engine = trial.ground.docker1
    trial.create_network(engine, NETWORK, DockerNetwork("bridge", USER_NETWORK))
    trial.run(engine, Ask("web1", NETWORK, command=serve("web1")))
    inside = trial.run(engine, Ask("web2", NETWORK, command=SLEEP))
    outside = trial.run(engine, _on_docker0(trial, "web3"))
    return judge(
        {
            "a container of the network knows the name": inside.exec("getent", "ahosts", "web1").status == 0,
            "one of docker0 does not": outside.exec("getent", "ahosts", "web1").status != 0,
            "the Docker host does not": trial.on(engine.host, "getent -s files ahosts web1").status != 0,
        },
        "A container of the same network knew web1 by name; one on docker0 and the Docker host's own"
        " /etc/hosts did not.",
    )


def unknown_on_docker0(trial: Trial) -> Outcome:
    """Two containers of docker0, one of which asks for the other."""
    engine = trial.ground.docker1
    web = trial.run(engine, Ask("web1", "bridge", command=serve("web1")))
    other = trial.run(engine, _on_docker0(trial, "web2"))
    wait(lambda: "200 OK" in other.exec_quietly(*asking(_address(web))))
    configured = other.exec("cat", "/etc/resolv.conf").output
    hosts = other.exec("cat", "/etc/hosts").output
    return judge(
        {
            "web1 answers at its address": "200 OK" in other.exec(*asking(_address(web))).output,
            "its resolver is not Docker's own": EMBEDDED not in configured,
            "its /etc/hosts does not have web1": "web1" not in hosts,
            "its C library does not find web1": other.exec("getent", "ahosts", "web1").status != 0,
        },
        "On docker0 web2 had the page of web1 at its address, and found no address by the name web1: its"
        " resolver is the server that it was given, not Docker's.",
    )


def not_from_its_host(trial: Trial) -> Outcome:
    """A macvlan container, asked from the LAN and from its own host."""
    ground = trial.ground
    engine = ground.docker1
    trial.create_network(engine, "bench-macvlan", DockerNetwork("macvlan", LAN, {"parent": UPLINK}))
    web = trial.run(engine, Ask("web1", "bench-macvlan", ip=LAN_CONTAINER, command=serve("web1")))
    url = f"http://{LAN_CONTAINER}/index.html"
    other = trial.get(url, host=ground.docker2.host).output.strip()
    client = trial.get(url).output.strip()
    listed = web.exec("ip", "-brief", "address").output
    return judge(
        {
            "it has its own address of the LAN": LAN_CONTAINER in listed,
            "the client gets its page": client == "web1",
            "another Docker host gets it": other == "web1",
            "its own host does not": trial.refuses(url, host=engine.host),
        },
        f"At {LAN_CONTAINER} the client and docker2 had its page; docker1, on whose link it stands, did not.",
    )


def _on_docker0(trial: Trial, name: str) -> Ask:
    """Given a name server: the machine's own, which Docker would take, are out of a lab's reach. Nobody
    listens there, so that a name that nobody knows is refused at once."""
    return Ask(name, "bridge", dns=address(trial.ground.client), command=SLEEP)


def _address(container: Running) -> str:
    networks: dict[str, dict[str, str]] = container.inspect("NetworkSettings.Networks")
    return next(network["IPAddress"] for network in networks.values())


STATEMENTS = (
    Statement(
        "containers-of-a-network-know-names",
        Source.ADDED,
        "Within a user-defined network, containers reach one another by name.",
        "Ran two containers in a network of their own, looked one up from the other, and asked for its page.",
        known_within,
    ),
    Statement(
        "names-end-with-the-network",
        Source.ADDED,
        "Outside of its user-defined network nobody knows a container by name.",
        "Looked its name up from its network, from a container on docker0, and on the Docker host.",
        unknown_outside,
    ),
    Statement(
        "docker0-knows-no-names",
        Source.ADDED,
        "On docker0 containers reach one another by address, and not by name.",
        "Ran two containers on docker0, asked for a page by address, and looked the name up.",
        unknown_on_docker0,
    ),
    Statement(
        "macvlan-is-out-of-its-own-hosts-reach",
        Source.ADDED,
        "A macvlan container is reached from the LAN, and not from its own host.",
        "Ran Apache in a macvlan network, and asked from the client, from docker2 and from its own host.",
        not_from_its_host,
    ),
)
