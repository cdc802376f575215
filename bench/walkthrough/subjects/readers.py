"""Readers' questions under the article, as far as a lab can answer them."""

import sys

from bench.lab.hosts.host import Host, Program
from bench.records.findings import Source, Word
from bench.scenario.modes.addresses import DOCKER0
from bench.walkthrough.container_spec import Ask, serve
from bench.walkthrough.transcript import wait
from bench.walkthrough.trial import Outcome, Statement, Trial, address, judge

DATABASE_PORT = 3306


def pod_shares_an_address(trial: Trial) -> Outcome:
    """Two servers of one "pod"."""
    engine = trial.ground.docker1
    own = address(engine.host)
    trial.run(engine, Ask("web1", "bridge", publish=("80:80", "443:443"), command=serve("web1")))
    second = trial.run(engine, Ask("web2", "container:web1", listen="443", command=serve("web2")))
    pages = [trial.get(f"http://{own}:{port}/index.html").output.strip() for port in (80, 443)]
    addresses = second.exec("ip", "-brief", "-4", "address").output
    inside = second.exec("bash", "-c", _fetch(80)).output
    return judge(
        {
            "both answer at one address, each on its own port": pages == ["web1", "web2"],
            "the second reaches the first on loopback": "web1" in inside,
        },
        "Two containers in one network served ports 80 and 443 of one address"
        f" ({addresses.split()[-1]}) and reached each other on loopback. That is Docker's part of the"
        " comparison; Kubernetes itself was not run.",
    )


def container_can_be_routed_to(trial: Trial) -> Outcome:
    """The client is given a route to docker0's subnet."""
    engine = trial.ground.docker1
    web = trial.run(engine, Ask("web1", "bridge", command=serve("web1")))
    inside = str(web.inspect("NetworkSettings.Networks.bridge.IPAddress"))
    url = f"http://{inside}/index.html"
    via = f"{DOCKER0} via {address(engine.host)}"
    trial.change(trial.ground.client, f"ip route add {via}", f"ip route delete {via}")
    refused = trial.refuses(url)
    accept = f"-d {inside} -p tcp --dport 80 -j ACCEPT"
    trial.change(engine.host, f"iptables -I DOCKER-USER {accept}", f"iptables -D DOCKER-USER {accept}")
    accepted = trial.get(url).output.strip() == "web1"
    checks = {"a route and a rule in DOCKER-USER suffice": accepted}
    if accepted:
        before = "no answer came" if refused else "the answer came at once"
        return judge(
            checks,
            f"With a route on the client alone {before}; with an ACCEPT in DOCKER-USER too, {inside} answered"
            " on its own port 80.",
        )
    trial.on(engine.host, "iptables -t raw -S")
    match = f"-d {inside} -p tcp --dport 80 -j ACCEPT"
    trial.change(
        engine.host, f"iptables -t raw -I PREROUTING {match}", f"iptables -t raw -D PREROUTING {match}"
    )
    raw = trial.get(url).output.strip() == "web1"
    checks["with a rule in the raw table as well, it answers"] = raw
    if not raw:
        return judge(checks, "")
    seen = (
        f"This engine drops in the raw table what comes to {inside} from another link: a route and a rule in"
        f" DOCKER-USER no longer suffice; an ACCEPT in raw PREROUTING does (Docker {trial.ground.version})."
    )
    return Outcome(Word.CHANGED_SINCE, seen, checks)


def host_loopback_is_shared(trial: Trial) -> Outcome:
    """A service that the host offers to itself alone."""
    engine = trial.ground.docker1
    service = _start_service(trial, engine.host)
    shared = trial.run(engine, Ask("app1", "host"))
    apart = trial.run(engine, Ask("app2", "bridge"))
    wait(lambda: f":{DATABASE_PORT}" in engine.host.run(["ss", "-Hltn"]))
    trial.on(engine.host, "ss -Hltnp")
    reached = shared.exec("bash", "-c", _fetch(DATABASE_PORT))
    lost = apart.exec("bash", "-c", _fetch(DATABASE_PORT))
    return judge(
        {
            "the service runs": service.is_alive,
            "in host mode the container reaches it": "HTTP/1.0 200" in reached.output,
            "in bridge mode it does not": lost.status != 0 and "refused" in lost.output,
        },
        f"A service on docker1's 127.0.0.1:{DATABASE_PORT} was reached from a host-mode container at that"
        " very address, and refused from a bridge-mode one, whose loopback is its own.",
    )


def windows(_: Trial) -> Outcome:
    """The same question, as it was asked."""
    return Outcome(
        Word.NOT_TESTABLE,
        "It was asked for Docker on Windows, where the engine is in a virtual machine whose network is the"
        " `host`; this lab is Linux. `host-mode-reaches-the-hosts-loopback` answers it for Linux.",
    )


def options_after_the_image(trial: Trial) -> Outcome:
    """The reader's failing line, repeated."""
    engine = trial.ground.docker1
    started = trial.try_run(engine, Ask("base", command=("--mount", "/srv:/srv", "-p", "81:80", "/bin/bash")))
    return judge(
        {
            "Docker takes --mount for the program": '"--mount": executable file not found' in started.refusal,
        },
        "What follows the image's name is the container's command, so Docker looked for a program called"
        " --mount; options belong before it. Ports are mapped by -p there, and in bridge mode only.",
    )


def _fetch(port: int) -> str:
    """A page of this loopback, with no program but bash."""
    return (
        f"exec 3<>/dev/tcp/127.0.0.1/{port} && printf 'GET /index.html HTTP/1.0\\r\\n\\r\\n' >&3 && cat <&3"
    )


def _start_service(trial: Trial, host: Host) -> Program:
    """A process of the host, on loopback alone, that ends with the trial."""
    folder = f"{host.scratch}/service"
    host.run(["mkdir", "-p", folder])
    host.put(f"{folder}/index.html", [b"a service of the host\n"])
    options = ["-m", "http.server", str(DATABASE_PORT), "--bind", "127.0.0.1", "--directory"]
    service = host.start([sys.executable, *options, folder], "service")
    trial.stop_later(service)
    trial.note(host, f"python3 {' '.join(options)} service &", "")
    return service


STATEMENTS = (
    Statement(
        "containers-of-a-pod-share-an-address",
        Source.COMMENT,
        "Containers of one Kubernetes pod share an address, each with its own port, as mapped containers do.",
        "Ran two Apaches in one container's network, on 80 and on 443.",
        pod_shares_an_address,
    ),
    Statement(
        "a-containers-address-can-be-routed-to",
        Source.COMMENT,
        "An address of a container (as of a pod) can be routed to by way of its Docker host.",
        "Gave the client a route to docker0's subnet and asked the container at its own address.",
        container_can_be_routed_to,
    ),
    Statement(
        "host-mode-reaches-the-hosts-loopback",
        Source.COMMENT,
        "A container in host mode reaches a service of its host, such as a database on loopback.",
        "Ran a service on docker1's loopback and asked for it from a host-mode and a bridge-mode container.",
        host_loopback_is_shared,
    ),
    Statement(
        "host-mode-on-windows",
        Source.COMMENT,
        "The same on a Windows laptop.",
        "Nothing.",
        windows,
    ),
    Statement(
        "options-after-the-image-are-its-command",
        Source.COMMENT,
        "A reader's line with an option behind the image fails: the program is not found.",
        "Started a container with the reader's order of words.",
        options_after_the_image,
    ),
)
