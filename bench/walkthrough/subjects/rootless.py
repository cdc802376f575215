"""A rootless engine: whose host is it in host mode, and whom does its server see?"""

from bench.errors import EnvironmentLacks
from bench.lab.servers.engine import Engine
from bench.records.findings import Source
from bench.scenario.modes.addresses import DOCKER0_HOST
from bench.scenario.modes.model import TAP, Mode
from bench.walkthrough.container_spec import ACCESS_LOG, Ask, serve
from bench.walkthrough.transcript import wait
from bench.walkthrough.trial import Outcome, Statement, Trial, address, judge

PUBLISHED = "0.0.0.0:81:80"
"""At all addresses of IPv4: slirp4netns takes no port of IPv6."""


def _engine(trial: Trial, mode: Mode) -> Engine:
    """The rootless engine of `mode`. Raises EnvironmentLacks, with the reason, where it cannot be had."""
    found = trial.ground.rootless[mode]
    if isinstance(found, str):
        raise EnvironmentLacks(f"Starting an engine of the mode {mode}", found, "`bench doctor` says more.")
    return found


def host_mode_is_rootlesskits(trial: Trial) -> Outcome:
    """Namespaces of the container, of dockerd and of the host; then who gets an answer."""
    engine = _engine(trial, Mode.ROOTLESS_BUILTIN)
    host, dockerd = engine.host, engine.rootless_pid
    web = trial.run(engine, Ask("web1", "host", command=serve("web1")))
    wait(lambda: ":80 " in web.exec_quietly("ss", "-Hltn"))
    inside = web.exec("readlink", "/proc/self/ns/net").output.strip()
    kit = trial.on(host, f"readlink /proc/{dockerd}/ns/net").output.strip()
    own = trial.on(host, "readlink /proc/self/ns/net").output.strip()
    links = web.exec("ip", "-brief", "-4", "address").output
    page = trial.on(host, f"nsenter -t {dockerd} --net curl -sS --max-time 1 http://127.0.0.1/index.html")
    refused = trial.refuses(f"http://{address(host)}/index.html")
    local = trial.refuses("http://127.0.0.1/index.html", host=host)
    return judge(
        {
            "container and dockerd are in one network namespace": inside == kit,
            "it is not the host's": kit != own,
            f"its links are RootlessKit's {TAP} and docker0": TAP in links and "docker0" in links,
            "there the server answers": page.output.strip() == "web1",
            "the client gets no answer at the host's address": refused,
            "nor does the host at its own loopback": local,
        },
        f"The container is in {inside}, as dockerd is, with {TAP} and docker0; the host is {own}. The server"
        " answered on RootlessKit's loopback, and neither the client nor the host itself reached it: no port"
        " of a container in host mode is published.",
    )


def host_has_no_rules(trial: Trial) -> Outcome:
    """A published port, looked for in the host and in RootlessKit's namespace."""
    engine = _engine(trial, Mode.ROOTLESS_SLIRP4NETNS)
    host, dockerd = engine.host, engine.rootless_pid
    trial.run(engine, Ask("web1", "bridge", publish=(PUBLISHED,), command=serve("web1")))
    url = f"http://{address(host)}:81/index.html"
    page = trial.get(url).output.strip()
    outside = trial.on(host, "iptables-save").output
    links = trial.on(host, "ip -brief link").output
    listening = trial.on(host, "ss -Hltnp").output
    inside = trial.on(host, f"nsenter -t {dockerd} --net iptables-save -t nat").output
    return judge(
        {
            "the published port answers": page == "web1",
            "the host has no rule of Docker's": "DOCKER" not in outside,
            "the host has no docker0": "docker0" not in links,
            "a process of the user's listens on the port": ":81 " in listening and "slirp4netns" in listening,
            "the port mapping is in RootlessKit's namespace": "DNAT" in inside,
        },
        "The host has neither docker0 nor a rule of Docker's: slirp4netns listens on port 81, and the mapping"
        " stands in RootlessKit's namespace.",
    )


def _seen(trial: Trial, mode: Mode) -> tuple[str, str]:
    """Client addresses that Apache logged: of the client host, and of the Docker host by its address."""
    engine = _engine(trial, mode)
    web = trial.run(engine, Ask("web1", "bridge", publish=(PUBLISHED,), command=serve("web1", ACCESS_LOG)))
    wait(lambda: ":80 " in web.exec_quietly("ss", "-Hltn"))
    url = f"http://{address(engine.host)}:81/index.html"
    for host in (trial.ground.client, engine.host):
        trial.get(url, host=host, wait_s=0)
    log = [line.split()[0] for line in web.logs(" 200 GET ").splitlines() if " 200 GET " in line]
    return (log[0], log[1]) if len(log) == 2 else ("nothing", "nothing")


def builtin_hides_the_client(trial: Trial) -> Outcome:
    """RootlessKit opens a connection of its own, and so does docker-proxy behind it."""
    client, own = _seen(trial, Mode.ROOTLESS_BUILTIN)
    return judge(
        {"client and Docker host are logged as docker0's address": client == own == DOCKER0_HOST},
        f"Apache logged {client} for the client and {own} for the Docker host: docker0's address.",
    )


def slirp4netns_keeps_the_client(trial: Trial) -> Outcome:
    """slirp4netns makes packets with the address of whom it accepted."""
    client, own = _seen(trial, Mode.ROOTLESS_SLIRP4NETNS)
    return judge(
        {"the client's own address is logged": client == address(trial.ground.client)},
        f"Apache logged the client's own {client}, and {own} for the Docker host.",
    )


STATEMENTS = (
    Statement(
        "rootless-host-mode-is-rootlesskits",
        Source.ADDED,
        "Host mode of a rootless engine is RootlessKit's network, not the host's: nobody outside reaches it.",
        "Compared network namespaces of container, dockerd and host, and asked from three places.",
        host_mode_is_rootlesskits,
    ),
    Statement(
        "rootless-leaves-the-hosts-rules-alone",
        Source.ADDED,
        "A port that a rootless engine publishes is a user's process that listens; the host has no rule.",
        "Published a port, looked at rules, links and sockets of the host and in RootlessKit's namespace.",
        host_has_no_rules,
    ),
    Statement(
        "rootless-builtin-hides-every-client",
        Source.ADDED,
        "With RootlessKit's builtin port driver every client has docker0's address.",
        "Read Apache's access log after requests from the client and from the Docker host.",
        builtin_hides_the_client,
    ),
    Statement(
        "rootless-slirp4netns-shows-the-client",
        Source.ADDED,
        "With slirp4netns' port driver the server sees the client's own address.",
        "The same requests where slirp4netns carries the port.",
        slirp4netns_keeps_the_client,
    ),
)
