"""Host mode: one network stack, two views of it."""

from bench.records.findings import Source
from bench.walkthrough.container_spec import Ask, serve
from bench.walkthrough.trial import Outcome, Statement, Trial, address, judge


def same_interfaces(trial: Trial) -> Outcome:
    """Side by side, as the article does it."""
    engine = trial.ground.docker2
    web = trial.run(engine, Ask("web1", "host", command=serve("web1")))
    inside = web.exec("ip", "address")
    outside = trial.on(engine.host, "ip address")
    namespaces = [
        web.exec("readlink", "/proc/self/ns/net").output.strip(),
        trial.on(engine.host, "readlink /proc/self/ns/net").output.strip(),
    ]
    names = [line.split()[1].rstrip(":") for line in outside.output.splitlines() if line[:1].isdigit()]
    return judge(
        {
            "interfaces and addresses are equal, line by line": inside.output == outside.output,
            "the network namespace is one": namespaces[0] == namespaces[1],
        },
        f"Container and host show the same {len(names)} interfaces ({', '.join(names)}), and are in one"
        f" namespace, {namespaces[0]}.",
    )


def no_address_of_its_own(trial: Trial) -> Outcome:
    """Docker gives it none, and docker0 gets no port for it."""
    engine = trial.ground.docker2
    web = trial.run(engine, Ask("web1", "host", command=serve("web1")))
    given = web.inspect("NetworkSettings.Networks.host.IPAddress")
    ports = trial.on(engine.host, "ip -brief link show master docker0").output.strip()
    page = trial.get(f"http://{address(engine.host)}/index.html").output.strip()
    return judge(
        {
            "Docker gives it no address": not given,
            "docker0 has no port for it": ports == "",
            "it is found at the host's own address": page == "web1",
        },
        "Docker gave it no address and docker0 no port; it was found at its host's own"
        f" {address(engine.host)}.",
    )


def only_the_network(trial: Trial) -> Outcome:
    """The namespaces of the two, one by one."""
    engine = trial.ground.docker2
    web = trial.run(engine, Ask("web1", "host", command=serve("web1")))
    inside = web.exec("sh", "-c", "cd /proc/self/ns; readlink net pid mnt ipc uts").output.split()
    outside = trial.on(engine.host, "sh -c 'cd /proc/self/ns; readlink net pid mnt ipc uts'").output.split()
    shared = [one.partition(":")[0] for one, other in zip(inside, outside, strict=True) if one == other]
    return judge(
        {"of five namespaces only the network's is the host's": shared == ["net"]},
        "Of the namespaces, the network's alone is the host's; processes, mounts, IPC and host name are not.",
    )


def process_of_the_host(trial: Trial) -> Outcome:
    """The host's own list of listening sockets."""
    engine = trial.ground.docker2
    trial.run(engine, Ask("web1", "host", command=serve("web1")))
    trial.get(f"http://{address(engine.host)}/index.html")
    listening = trial.on(engine.host, "ss -ltnp").output
    row = next((line for line in listening.splitlines() if ":80 " in line), "")
    return judge(
        {
            "port 80 is open on the host": bool(row),
            "its owner is an Apache process of the host": '"apache2"' in row and "pid=" in row,
        },
        f"The host's own list shows port 80 with Apache behind it: {' '.join(row.split())[:90]}.",
    )


def every_interface(trial: Trial) -> Outcome:
    """`Listen 80` on a host with two addresses."""
    engine = trial.ground.docker1
    trial.run(engine, Ask("web1", "host", command=serve("web1")))
    pages = [trial.get(f"http://{address(engine.host, index)}/index.html").output.strip() for index in (0, 1)]
    local = trial.get("http://127.0.0.1/index.html", host=engine.host).output.strip()
    listening = trial.on(engine.host, "ss -Hltn").output
    return judge(
        {
            "both addresses of docker1 answer": pages == ["web1", "web1"],
            "loopback answers too": local == "web1",
            "the socket is bound to no particular address": any(
                line.split()[3] in ("*:80", "0.0.0.0:80") for line in listening.splitlines()
            ),
        },
        "With `Listen 80`, one Apache in host mode answered at .100, at .200 and on the host's loopback.",
    )


STATEMENTS = (
    Statement(
        "host-mode-shows-the-hosts-interfaces",
        Source.ARTICLE,
        "In host mode the container sees exactly its host's interfaces.",
        "Compared `ip address` in the container with the host's, and the network namespaces of both.",
        same_interfaces,
    ),
    Statement(
        "host-mode-has-no-address-of-its-own",
        Source.ARTICLE,
        "In host mode the container has no address from Docker's pool.",
        "Asked Docker for the container's address and docker0 for its ports.",
        no_address_of_its_own,
    ),
    Statement(
        "host-mode-shares-only-the-network",
        Source.ARTICLE,
        "Host mode puts the container in its host's network stack, and does no more than that.",
        "Compared the namespaces of container and host.",
        only_the_network,
    ),
    Statement(
        "server-listens-as-a-process-of-the-host",
        Source.ARTICLE,
        "Seen from the host, port 80 belongs to the web server's process.",
        "Listed the listening sockets on docker2.",
        process_of_the_host,
    ),
    Statement(
        "listen-80-binds-every-interface",
        Source.ARTICLE,
        "With Apache's default `Listen 80`, the server answers on every interface of its host.",
        "Ran one Apache in host mode on docker1 and asked at both of its addresses and on loopback.",
        every_interface,
    ),
)
