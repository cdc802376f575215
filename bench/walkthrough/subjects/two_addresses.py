"""Two host-mode Apaches, one on each of docker1's addresses."""

from bench.records.findings import Source
from bench.walkthrough.container_spec import Ask, serve
from bench.walkthrough.trial import Outcome, Statement, Trial, address, judge


def _start_both(trial: Trial) -> list[str]:
    """Pages of the two, as the client gets them."""
    engine = trial.ground.docker1
    pages = []
    for index, name in enumerate(("web1", "web2")):
        own = address(engine.host, index)
        trial.run(engine, Ask(name, "host", listen=f"{own}:80", command=serve(name)))
        pages.append(trial.get(f"http://{own}/index.html").output.strip())
    return pages


def both_answer(trial: Trial) -> Outcome:
    """Each with its own page, at its own address and nowhere else."""
    engine = trial.ground.docker1
    pages = _start_both(trial)
    states = trial.list_containers(engine)
    loopback = trial.refuses("http://127.0.0.1/index.html", host=engine.host)
    return judge(
        {
            "each address answers with its own page": pages == ["web1", "web2"],
            "both containers run": states == {"web1": "running", "web2": "running"},
            "no other address is bound": loopback,
        },
        "web1 answered at .100 and web2 at .200, both on port 80 in host mode, each with its own page.",
    )


def host_sees_both(trial: Trial) -> Outcome:
    """The host's list of sockets."""
    engine = trial.ground.docker1
    _start_both(trial)
    listening = trial.on(engine.host, "ss -ltnp").output
    rows = [line for line in listening.splitlines() if ":80 " in line]
    owners = {line.split()[3]: line.partition("pid=")[2].partition(",")[0] for line in rows}
    expected = {f"{address(engine.host, index)}:80" for index in (0, 1)}
    return judge(
        {
            "one Apache socket an address": set(owners) == expected
            and all('"apache2"' in row for row in rows),
            "of two servers": len(set(owners.values())) == 2,
        },
        "docker1 lists two Apache servers, one bound to .100:80 and one to .200:80.",
    )


def same_behind_firewall(trial: Trial) -> Outcome:
    """One rule for both."""
    engine = trial.ground.docker1
    trial.drop_by_default(engine.host)
    for index, name in enumerate(("web1", "web2")):
        own = address(engine.host, index)
        trial.run(engine, Ask(name, "host", listen=f"{own}:80", command=serve(name)))
    urls = [f"http://{address(engine.host, index)}/index.html" for index in (0, 1)]
    for url in urls:
        trial.get(url, host=engine.host)
    closed = [trial.refuses(url) for url in urls]
    trial.open_port(engine.host, 80)
    pages = [trial.get(url).output.strip() for url in urls]
    return judge(
        {
            "neither is reachable without a rule": all(closed),
            "one rule for tcp/80 opens both": pages == ["web1", "web2"],
        },
        "Behind INPUT's policy DROP neither answered; one rule for tcp/80 opened both.",
    )


STATEMENTS = (
    Statement(
        "two-addresses-serve-two-containers",
        Source.ARTICLE,
        "With `Listen` bound to .100:80 and .200:80, two host-mode Apaches run side by side.",
        "Ran both on docker1 and asked each address for its page.",
        both_answer,
    ),
    Statement(
        "the-host-sees-one-server-an-address",
        Source.ARTICLE,
        "The host sees two Apache servers, each listening on one of its addresses.",
        "Listed the listening sockets on docker1.",
        host_sees_both,
    ),
    Statement(
        "the-same-firewall-rule-applies-to-both",
        Source.ARTICLE,
        "The host's firewall needs its rule for http here too.",
        "Asked both addresses behind the dropping firewall, without and with the rule.",
        same_behind_firewall,
    ),
)
