"""The modes that Docker provides, its default, and their mixture on one host."""

from bench.records.findings import Source, Word
from bench.scenario.modes.addresses import BRIDGE_ADDRESS, DOCKER0
from bench.walkthrough.container_spec import Ask, serve
from bench.walkthrough.trial import Outcome, Statement, Trial, address, judge

FOUR = ("bridge", "host", "container:web-bridge", "none")
IN_2015 = {"bridge", "host", "null"}
"""Network drivers of an engine before 1.9; a mapped container needs none."""


def four_modes(trial: Trial) -> Outcome:
    """Start one of each, and ask the engine what else it has."""
    engine = trial.ground.docker2
    plugins = sorted(engine.client.info()["Plugins"]["Network"])
    trial.note(engine.host, "docker info -f '{{.Plugins.Network}}'", f"[{' '.join(plugins)}]")
    refused = []
    for mode in FOUR:
        name = f"web-{mode.partition(':')[0]}"
        started = trial.try_run(engine, Ask(name, mode))
        if started.refusal:
            refused.append(f"{mode}: {started.refusal}")
    states = trial.list_containers(engine)
    further = sorted(set(plugins) - IN_2015)
    checks = {
        "a container runs in each of the four": not refused and list(states.values()) == ["running"] * 4,
        "the engine has no further network drivers": not further,
    }
    if refused or not further:
        return judge(checks, "A container runs in each of the four modes, and there is no other.")
    seen = (
        "A container runs in each of the four, but they are no longer all: the engine brings the drivers"
        f" {', '.join(further)} too, and networks that a user defines (Docker {trial.ground.version})."
    )
    return Outcome(Word.CHANGED_SINCE, seen, checks)


def bridge_is_default(trial: Trial) -> Outcome:
    """A container for which no mode is named."""
    engine = trial.ground.docker2
    web = trial.run(engine, Ask("web1"))
    inside = str(web.inspect("NetworkSettings.Networks.bridge.IPAddress"))
    ports = trial.on(engine.host, "ip -brief link show master docker0").output
    bridge = trial.on(engine.host, "ip -brief -4 address show dev docker0").output
    return judge(
        {
            "it has an address of docker0's subnet": inside.startswith(DOCKER0.removesuffix("0/24")),
            "its link is a port of docker0": ports.count("veth") == 1 and BRIDGE_ADDRESS in bridge,
        },
        f"Without --network, the container has {inside} and a veth port on docker0 ({bridge.split()[2]}).",
    )


def modes_mix(trial: Trial) -> Outcome:
    """All four at the same time, on one host, and those that can be reached are."""
    engine = trial.ground.docker1
    own = address(engine.host)
    trial.run(engine, Ask("web-host", "host", command=serve("host")))
    trial.run(engine, Ask("web-bridge", "bridge", publish=("81:80", "82:82"), command=serve("bridge")))
    trial.run(engine, Ask("web-container", "container:web-bridge", listen="82", command=serve("mapped")))
    silent = trial.run(engine, Ask("web-none", "none", command=serve("none")))
    answers = [trial.get(f"http://{own}:{port}/index.html").output.strip() for port in (80, 81, 82)]
    states = trial.list_containers(engine)
    alone = silent.exec("ip", "-brief", "link").output
    return judge(
        {
            "all four run": sorted(states.values()) == ["running"] * 4,
            "host, bridge and mapped container each answer with their own page": answers
            == ["host", "bridge", "mapped"],
            "the fourth has only loopback": alone.split()[0] == "lo" and len(alone.splitlines()) == 1,
        },
        "Four containers in four modes ran on docker1 at once; host answered on 80, bridge on 81,"
        " the mapped container on 82, and none had only loopback.",
    )


STATEMENTS = (
    Statement(
        "four-modes",
        Source.ARTICLE,
        "Docker provides four network modes: bridge, host, mapped container and none.",
        "Started a container in each, and asked the engine which network drivers it has.",
        four_modes,
    ),
    Statement(
        "bridge-is-the-default",
        Source.ARTICLE,
        "A container for which no mode is named is attached to docker0.",
        "Started one without --network and looked where its link ends.",
        bridge_is_default,
    ),
    Statement(
        "modes-mix-on-one-host",
        Source.ARTICLE,
        "The mode is chosen container by container, so one host can mix all of them.",
        "Ran Apache in all four modes on docker1 at once and asked each for its page from the client.",
        modes_mix,
    ),
)
