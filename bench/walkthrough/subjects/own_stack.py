"""None: a stack of the container's own that nobody has configured, and how it is wired by hand."""

from bench.records.findings import Source
from bench.scenario.modes.addresses import WIRED_CONTAINER
from bench.scenario.modes.catalogue import MODES
from bench.scenario.modes.model import Mode
from bench.walkthrough.container import Running
from bench.walkthrough.container_spec import Ask, serve
from bench.walkthrough.transcript import wait
from bench.walkthrough.trial import Outcome, Statement, Trial, address, judge


def only_loopback(trial: Trial) -> Outcome:
    """Apache listens, and nobody can come."""
    engine = trial.ground.docker1
    web = trial.run(engine, Ask("web1", "none", publish=("80:80",), command=serve("web1")))
    wait(lambda: "apache2" in web.exec_quietly("sh", "-c", "cat /proc/[0-9]*/comm"))
    links = web.exec("ip", "-brief", "address").output.splitlines()
    routes = web.exec("ip", "route").output.strip()
    listening = web.exec("ss", "-Hltn").output
    return judge(
        {
            "its only interface is loopback": [line.split()[0] for line in links] == ["lo"],
            "it has no route": routes == "",
            "its Apache listens all the same": ":80 " in listening,
            "the client gets no answer": trial.refuses(f"http://{address(engine.host)}/index.html"),
            "the Docker host gets no answer": trial.refuses("http://127.0.0.1/index.html", host=engine.host),
        },
        "Only lo and no route; Apache listens on port 80 inside, and neither the client nor the Docker host"
        " gets an answer, although -p 80:80 was asked for.",
    )


def wired_by_hand(trial: Trial) -> Outcome:
    """Unreachable, then a veth pair, addresses, routes, and an answer."""
    engine = trial.ground.docker1
    url = f"http://{WIRED_CONTAINER}/index.html"
    web = trial.run(engine, Ask("web1", "none", command=serve("web1")))
    before = trial.refuses(url)
    wire(trial, web)
    links = web.exec("ip", "-brief", "address").output
    page = trial.get(url)
    return judge(
        {
            "it was unreachable before": before,
            "it has the address that was given by hand": WIRED_CONTAINER in links,
            "it answers the client afterwards": page.output.strip() == "web1",
        },
        f"Unreachable at first; with a veth pair, {WIRED_CONTAINER} and routes added by hand the client got"
        " its page.",
    )


def wire(trial: Trial, web: Running) -> None:
    """The steps of the mode `wired`, as evidence."""
    engine = web.engine
    values = {"address": address(engine.host), "container_pid": web.pid, "container_address": WIRED_CONTAINER}
    for step in MODES[Mode.WIRED].steps:
        where = trial.ground.client if step.where == "client" else engine.host
        line = " ".join(word.format(**values) for word in step.argv)
        if step.undo:
            trial.change(where, line, " ".join(word.format(**values) for word in step.undo))
        else:
            trial.on(where, line)


STATEMENTS = (
    Statement(
        "none-has-only-loopback",
        Source.ARTICLE,
        "In mode none the container has a stack of its own in which Docker configures no interface.",
        "Ran Apache in mode none (and asked for a published port), looked inside, and asked for its page.",
        only_loopback,
    ),
    Statement(
        "none-can-be-wired-by-hand",
        Source.ARTICLE,
        "Mode none leaves room for a network that one configures by hand.",
        "Asked in vain, wired the container to its host with a veth pair, and asked again.",
        wired_by_hand,
    ),
)
