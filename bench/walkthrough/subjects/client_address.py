"""Which client address Apache logs: whom does the server believe that it serves?"""

from bench.lab.hosts.host import Host
from bench.lab.servers.engine import Engine
from bench.records.findings import Source
from bench.scenario.modes.addresses import DOCKER0_HOST
from bench.walkthrough.container_spec import ACCESS_LOG, Ask, serve
from bench.walkthrough.transcript import wait
from bench.walkthrough.trial import Outcome, Statement, Trial, address, judge


def _seen(trial: Trial, engine: Engine, ask: Ask, asked: list[tuple[Host, str]]) -> list[str]:
    """Client addresses that Apache logged, request by request."""
    web = trial.run(engine, ask)
    # Readiness is seen in the container's own list of sockets, so that the log holds what is asked alone.
    wait(lambda: ":80 " in web.exec_quietly("ss", "-Hltn"))
    for host, url in asked:
        trial.get(url, host=host, wait_s=0)
    log = web.logs(" 200 GET ")
    return [line.split()[0] for line in log.splitlines() if " 200 GET " in line]


def _asked(trial: Trial, engine: Engine, port: int) -> list[tuple[Host, str]]:
    """From the client, from the Docker host by its address, and from the Docker host by loopback."""
    own = f"http://{address(engine.host)}:{port}/index.html"
    loopback = f"http://127.0.0.1:{port}/index.html"
    return [(trial.ground.client, own), (engine.host, own), (engine.host, loopback)]


def host_mode_keeps_it(trial: Trial) -> Outcome:
    """Nobody is between."""
    engine = trial.ground.docker1
    ask = Ask("web1", "host", command=serve("web1", ACCESS_LOG))
    seen = _seen(trial, engine, ask, _asked(trial, engine, 80))
    client, own = address(trial.ground.client), address(engine.host)
    return judge(
        {"each request is logged with its own sender": seen == [client, own, "127.0.0.1"]},
        f"Apache logged {client} for the client, {own} for the Docker host by its address, and 127.0.0.1 for"
        " the Docker host by loopback.",
    )


def bridge_mode_keeps_it_for_others(trial: Trial) -> Outcome:
    """DNAT leaves the sender as it is."""
    engine = trial.ground.docker1
    ask = Ask("web1", "bridge", publish=("81:80",), command=serve("web1", ACCESS_LOG))
    seen = _seen(trial, engine, ask, _asked(trial, engine, 81)[:1])
    client = address(trial.ground.client)
    return judge(
        {"the client's address is logged": seen == [client]},
        f"Apache logged the client's own {client}: the port mapping changes where a packet goes, not whence.",
    )


def bridge_mode_loses_the_host(trial: Trial) -> Outcome:
    """docker-proxy takes what comes by loopback."""
    engine = trial.ground.docker1
    ask = Ask("web1", "bridge", publish=("81:80",), command=serve("web1", ACCESS_LOG))
    seen = _seen(trial, engine, ask, _asked(trial, engine, 81)[1:])
    trial.on(engine.host, "ss -Hltnp")
    own = address(engine.host)
    return judge(
        {"loopback is logged as docker0's address": seen[1:] == [DOCKER0_HOST]},
        f"From the Docker host by its own address, Apache logged {seen[0] if seen else 'nothing'}"
        f" (sent to {own}); by loopback docker0's {DOCKER0_HOST}, for docker-proxy carries that.",
    )


def proxy_hides_it(trial: Trial) -> Outcome:
    """An engine that writes no rules."""
    engine = trial.ground.docker3
    ask = Ask("web1", "bridge", publish=("81:80",), command=serve("web1", ACCESS_LOG))
    seen = _seen(trial, engine, ask, _asked(trial, engine, 81))
    rules = trial.on(engine.host, "iptables-save -t nat").output
    listening = trial.on(engine.host, "ss -Hltnp").output
    return judge(
        {
            "docker-proxy listens, and no port mapping exists": "docker-proxy" in listening
            and "DNAT" not in rules,
            "all three are logged as docker0's address": seen == [DOCKER0_HOST] * 3,
        },
        f"Client, Docker host and loopback were all logged as {DOCKER0_HOST}: docker-proxy opens a connection"
        " of its own, and the client's address is lost.",
    )


STATEMENTS = (
    Statement(
        "host-mode-sees-the-client",
        Source.ADDED,
        "In host mode the server sees each client's own address.",
        "Read Apache's access log after requests from the client, and from docker1 by address and loopback.",
        host_mode_keeps_it,
    ),
    Statement(
        "bridge-mode-sees-clients-of-other-hosts",
        Source.ADDED,
        "In bridge mode the server sees the own address of a client on another host.",
        "Read the access log after a request from the client to a published port.",
        bridge_mode_keeps_it_for_others,
    ),
    Statement(
        "bridge-mode-sees-docker0-for-loopback",
        Source.ADDED,
        "In bridge mode a request from the Docker host by loopback comes from docker0's address.",
        "Read the access log after requests from docker1 itself, by its address and by loopback.",
        bridge_mode_loses_the_host,
    ),
    Statement(
        "docker-proxy-hides-every-client",
        Source.ADDED,
        "Where docker-proxy carries a published port, every client has docker0's address.",
        "The same three requests on docker3, whose engine writes no firewall rules.",
        proxy_hides_it,
    ),
)
