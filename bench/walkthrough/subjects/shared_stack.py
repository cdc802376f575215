"""Mapped container: what two containers share, and what they do not."""

from bench.records.findings import Source
from bench.walkthrough.container_spec import SLEEP, Ask, asking, serve
from bench.walkthrough.transcript import wait
from bench.walkthrough.trial import Outcome, Statement, Trial, address, judge


def network_is_shared(trial: Trial) -> Outcome:
    """The first owns the network and publishes the port; the second serves there."""
    engine = trial.ground.docker1
    first = trial.run(engine, Ask("web1", "bridge", publish=("8080:80",), command=SLEEP))
    second = trial.run(engine, Ask("web2", "container:web1", command=serve("web2")))
    page = trial.get(f"http://{address(engine.host)}:8080/index.html").output.strip()
    looks = [
        [container.exec(*argv).output for container in (first, second)]
        for argv in (
            ("ip", "-brief", "address"),
            ("ss", "-Hltn"),
            ("readlink", "/proc/self/ns/net"),
        )
    ]
    return judge(
        {
            "interfaces and addresses are equal": looks[0][0] == looks[0][1],
            "both see the same listening port": looks[1][0] == looks[1][1] and ":80 " in looks[1][0],
            "the network namespace is one": looks[2][0] == looks[2][1],
            "the first's published port leads to the second's server": page == "web2",
        },
        "Both show the same interface, address and listening port, in one namespace; the port that web1"
        " published was answered by the Apache of web2.",
    )


def rest_is_apart(trial: Trial) -> Outcome:
    """Processes and files of the first, looked for in the second."""
    engine = trial.ground.docker1
    first = trial.run(engine, Ask("web1", "bridge", command=serve("web1")))
    second = trial.run(engine, Ask("web2", "container:web1", command=SLEEP))
    first.exec("sh", "-c", "echo secret > /srv/only-in-web1")
    missing = second.exec("ls", "/srv/only-in-web1")
    listing = ("sh", "-c", "cat /proc/[0-9]*/comm")
    processes = first.exec(*listing).output.split(), second.exec(*listing).output.split()
    kinds = ("sh", "-c", "cd /proc/self/ns; readlink net pid mnt")
    namespaces = first.exec(*kinds).output.split(), second.exec(*kinds).output.split()
    return judge(
        {
            "a file of the first is not in the second": missing.status != 0,
            "the second does not see the first's Apache": "apache2" in processes[0]
            and "apache2" not in processes[1],
            "of the namespaces, only the network's is one": [
                one == other for one, other in zip(*namespaces, strict=True)
            ]
            == [True, False, False],
        },
        "The second container sees neither the first's Apache nor its files: process and mount namespaces"
        " differ, the network's is one.",
    )


def loopback_is_shared(trial: Trial) -> Outcome:
    """A server that listens on loopback alone, asked by the second and by a third container."""
    engine = trial.ground.docker1
    trial.run(engine, Ask("web1", "bridge", listen="127.0.0.1:80", command=serve("web1")))
    second = trial.run(engine, Ask("web2", "container:web1", command=SLEEP))
    third = trial.run(engine, Ask("web3", "bridge", command=SLEEP))
    wait(lambda: "200 OK" in second.exec_quietly(*asking("127.0.0.1")))
    inside = second.exec("hostname", "-I").output.split()
    return judge(
        {
            "the second is answered at 127.0.0.1": "200 OK" in second.exec(*asking("127.0.0.1")).output,
            "a third container is not, at its own": "200 OK" not in third.exec(*asking("127.0.0.1")).output,
            "nor at the first's address": bool(inside)
            and "200 OK" not in third.exec(*asking(inside[0])).output,
        },
        "Apache that listens on 127.0.0.1 alone answered the container in its network, and no other.",
    )


def ports_clash(trial: Trial) -> Outcome:
    """Two servers for one port of the shared network."""
    engine = trial.ground.docker1
    trial.run(engine, Ask("web1", "bridge", publish=("80:80",), command=serve("web1")))
    url = f"http://{address(engine.host)}/index.html"
    before = trial.get(url).output.strip()
    second = trial.run(engine, Ask("web2", "container:web1", command=serve("web2")))
    ended = second.wait_for_end()
    said = second.logs("could not bind")
    published = trial.try_run(engine, Ask("web3", "container:web1", publish=("81:81",)))
    return judge(
        {
            "the first answers, before and after": before == trial.get(url).output.strip() == "web1",
            "the second's Apache cannot bind and its container ends": ended and "could not bind" in said,
            "Docker publishes no port for a mapped container": bool(published.refusal),
        },
        "The second Apache on port 80 of the shared network could not bind (address already in use), and"
        f" Docker refuses -p for a mapped container: {published.refusal}.",
    )


STATEMENTS = (
    Statement(
        "mapped-container-shares-the-network",
        Source.ARTICLE,
        "A mapped container has the interfaces, addresses and ports of the first container.",
        "Ran a first container that publishes a port and serves nothing, and mapped one with Apache into it.",
        network_is_shared,
    ),
    Statement(
        "mapped-container-keeps-the-rest-apart",
        Source.ARTICLE,
        "Processes, files and all else of the two containers stay separate.",
        "Looked in the second container for a file and a process of the first.",
        rest_is_apart,
    ),
    Statement(
        "mapped-container-shares-loopback",
        Source.ADDED,
        "A mapped container reaches what listens on the first's loopback alone; no other container does.",
        "Ran Apache on 127.0.0.1, and asked from a container mapped into its network and from another.",
        loopback_is_shared,
    ),
    Statement(
        "mapped-containers-clash-on-a-port",
        Source.ADDED,
        "In a shared network only one container can have a port, and only the first can publish it.",
        "Ran a second Apache for port 80 in the first's network, and asked for a port of its own with -p.",
        ports_clash,
    ),
)
