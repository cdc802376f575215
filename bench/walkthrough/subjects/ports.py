"""Two containers that want one port."""

from bench.records.findings import Source
from bench.walkthrough.container_spec import HTTPD, SHARED_PORT, Ask, serve, serve_under_init
from bench.walkthrough.transcript import wait
from bench.walkthrough.trial import Outcome, Statement, Trial, address, judge

IN_USE = "Address already in use"


def first_keeps_the_port(trial: Trial) -> Outcome:
    """Who answers."""
    engine = trial.ground.docker2
    url = f"http://{address(engine.host)}/index.html"
    trial.run(engine, Ask("web1", "host", command=serve("web1")))
    before = trial.get(url).output.strip()
    second = trial.run(engine, Ask("web2", "host", command=serve("web2")))
    said = second.logs(IN_USE)
    after = {trial.get(url).output.strip() for _ in range(3)}
    return judge(
        {
            "the first answers before": before == "web1",
            "the first alone answers after": after == {"web1"},
            "the second's Apache says that the address is in use": IN_USE in said and ":80" in said,
        },
        f"web1 answered before and after; web2's Apache said: {_reason(said)}.",
    )


def shown_running_under_init(trial: Trial) -> Outcome:
    """The article's kind of image: something else is the main process."""
    engine = trial.ground.docker2
    url = f"http://{address(engine.host)}/index.html"
    trial.run(engine, Ask("web1", "host", command=serve_under_init("web1")))
    trial.get(url)
    second = trial.run(engine, Ask("web2", "host", command=serve_under_init("web2")))
    said = second.logs(IN_USE)
    wait(lambda: "apache2" not in second.exec_quietly("sh", "-c", "cat /proc/[0-9]*/comm"))
    states = trial.list_containers(engine)
    processes = second.exec("sh", "-c", "cat /proc/[0-9]*/comm").output.split()
    by_hand = second.exec("sh", "-c", HTTPD)
    return judge(
        {
            "Docker shows both as running": states == {"web1": "running", "web2": "running"},
            "the second's Apache is not": IN_USE in said and "apache2" not in processes,
            "started by hand it fails again": by_hand.status != 0 and IN_USE in by_hand.output,
            "the first answers": trial.get(url).output.strip() == "web1",
        },
        "With another main process (`sh` stands for the article's init), Docker shows both containers as"
        " running although web2 has no Apache: its state says nothing of the server.",
    )


def shown_running_in_any_case(trial: Trial) -> Outcome:
    """Today's usual image: the server is the main process."""
    engine = trial.ground.docker2
    trial.run(engine, Ask("web1", "host", command=serve("web1")))
    trial.get(f"http://{address(engine.host)}/index.html")
    second = trial.run(engine, Ask("web2", "host", command=serve("web2")))
    ended = second.wait_for_end()
    states = trial.list_containers(engine)
    code = second.inspect("State.ExitCode")
    error = second.inspect("State.Error")
    second.logs(IN_USE)
    outcome = judge(
        {"Docker shows both as running": states == {"web1": "running", "web2": "running"}}, "Both run."
    )
    if not ended:
        return outcome
    seen = (
        f"Here Apache is the container's main process, so web2 ended with exit code {code} and Docker shows"
        f" it as {states.get('web2')}; Docker itself reports no error ({error!r}), the reason is in the log"
        " alone. Image, not engine, makes the difference to the article."
    )
    return Outcome(outcome.word, seen, outcome.checks)


def port_without_owner(trial: Trial) -> Outcome:
    """ss in the second container, and on the host."""
    engine = trial.ground.docker2
    trial.run(engine, Ask("web1", "host", command=serve("web1")))
    trial.get(f"http://{address(engine.host)}/index.html")
    second = trial.run(engine, Ask("web2", "host", command=serve_under_init("web2")))
    second.logs(IN_USE)
    inside = _row(second.exec("ss", "-ltnp").output)
    outside = _row(trial.on(engine.host, "ss -ltnp").output)
    return judge(
        {
            "the second container sees port 80 taken": bool(inside),
            "without its process": "pid=" not in inside,
            "the host sees its process": '"apache2",pid=' in outside,
        },
        "In web2 port 80 is listed as taken without a process (its owner is in another process namespace);"
        " on the host the same socket is apache2's.",
    )


def bridge_maps_three(trial: Trial) -> Outcome:
    """Three containers, all on their own port 80."""
    engine = trial.ground.docker1
    ports = (81, 82, 83)
    containers = [
        trial.run(
            engine,
            Ask(f"web{port - 80}", "bridge", publish=(f"{port}:80",), command=serve(f"web{port - 80}")),
        )
        for port in ports
    ]
    pages = [trial.get(f"http://{address(engine.host)}:{port}/index.html").output.strip() for port in ports]
    listening = [container.exec("ss", "-Hltn").output for container in containers]
    return judge(
        {
            "each answers behind its own host port": pages == ["web1", "web2", "web3"],
            "all three listen on 80": all(":80 " in found for found in listening),
        },
        "Three containers that all listen on 80 answered behind 81, 82 and 83, each with its own page.",
    )


def host_mode_maps_none(trial: Trial) -> Outcome:
    """The same three lines with --network host."""
    engine = trial.ground.docker1
    ports = (81, 82, 83)
    for port in ports:
        name = f"web{port - 80}"
        started = trial.run(engine, Ask(name, "host", publish=(f"{port}:80",), command=serve(name)))
        if port == 81:
            first = trial.get(f"http://{address(engine.host)}/index.html").output.strip()
        else:
            started.wait_for_end()
    states = trial.list_containers(engine)
    closed = [trial.refuses(f"http://{address(engine.host)}:{port}/index.html") for port in ports]
    return judge(
        {
            "the first is found on 80, whatever was asked for": first == "web1",
            "no host port leads anywhere": all(closed),
            "the second and the third cannot run": [states[name] for name in ("web1", "web2", "web3")]
            == ["running", "exited", "exited"],
        },
        "In host mode 81, 82 and 83 answered nobody; web1 served on 80 and the other two ended: no mapping,"
        " so one server a port.",
    )


def one_service_one_address(trial: Trial) -> Outcome:
    """Two servers that both agree to share."""
    engine = trial.ground.docker2
    for name in ("web1", "web2"):
        trial.run(engine, Ask(name, "host", command=serve(name, SHARED_PORT)))
        trial.get(f"http://{address(engine.host)}/index.html")
    states = trial.list_containers(engine)
    loop = f"for i in $(seq 24); do curl -sS --max-time 1 http://{address(engine.host)}/index.html; done"
    answers = trial.on(trial.ground.client, f"sh -c '{loop} | sort | uniq -c'").output.split()
    trial.on(engine.host, "ss -Hltnp")
    both = states == {"web1": "running", "web2": "running"} and {"web1", "web2"} <= set(answers)
    outcome = judge({"never do two containers serve at one address and port": not both}, "Only one served.")
    if not both:
        return outcome
    shares = dict(zip(answers[1::2], answers[::2], strict=True))
    seen = (
        "As a rule yes, but not if both servers ask for SO_REUSEPORT (Apache's ListenCoresBucketsRatio): both"
        f" containers listened on port 80; of 24 requests web1 answered {shares['web1']} and web2"
        f" {shares['web2']}."
    )
    return Outcome(outcome.word, seen, outcome.checks)


def _row(listening: str) -> str:
    return next((line for line in listening.splitlines() if ":80 " in line), "")


def _reason(said: str) -> str:
    return next((line for line in said.splitlines() if IN_USE in line), "nothing").strip()


STATEMENTS = (
    Statement(
        "the-first-container-keeps-the-port",
        Source.ARTICLE,
        "Of two host-mode containers for port 80, the first answers and the second's server cannot bind.",
        "Started a second Apache for port 80 on docker2, asked for the page, and read the second's log.",
        first_keeps_the_port,
    ),
    Statement(
        "both-are-shown-running-where-the-server-is-a-child",
        Source.ARTICLE,
        "Docker shows both containers as running (in images whose main process is not the server).",
        "Ran both with another main process and Apache as its child, as the article's images did.",
        shown_running_under_init,
    ),
    Statement(
        "both-are-shown-running-in-any-case",
        Source.ARTICLE,
        "Docker shows both containers as running, whatever became of the second's server.",
        "Ran both with Apache as the main process and asked Docker for state, exit code and log.",
        shown_running_in_any_case,
    ),
    Statement(
        "the-second-container-sees-the-port-without-its-owner",
        Source.ARTICLE,
        "The second container sees that port 80 is taken but not by whom; the host sees both.",
        "Listed listening sockets with their processes in the second container and on the host.",
        port_without_owner,
    ),
    Statement(
        "one-address-and-port-one-container",
        Source.ARTICLE,
        "Two host-mode containers cannot offer the same service at the same address.",
        "Ran two Apaches that both ask the kernel to share the port.",
        one_service_one_address,
    ),
    Statement(
        "bridge-mode-maps-three-containers-on-80",
        Source.COMMENT,
        "With -p 81:80, -p 82:80 and -p 83:80, three containers that listen on 80 run on one host.",
        "Ran them in bridge mode on docker1 and asked each host port for the page.",
        bridge_maps_three,
    ),
    Statement(
        "host-mode-has-no-port-mapping",
        Source.ARTICLE,
        "Host mode has no port mapping, so the same three cannot be run in it.",
        "Ran the same three lines with --network host.",
        host_mode_maps_none,
    ),
)
