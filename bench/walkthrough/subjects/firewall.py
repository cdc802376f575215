"""Host mode, published ports, and a host firewall that drops what it was not told to accept."""

from bench.records.findings import Source
from bench.walkthrough.container_spec import Ask, serve
from bench.walkthrough.trial import Outcome, Statement, Trial, address, judge


def host_mode_adds_no_rule(trial: Trial) -> Outcome:
    """All tables, before and after."""
    engine = trial.ground.docker2
    trial.save_rules(engine.host, "before")
    trial.run(engine, Ask("web1", "host", command=serve("web1")))
    page = trial.get(f"http://{address(engine.host)}/index.html").output.strip()
    trial.save_rules(engine.host, "after")
    changed = trial.changed_rules(engine.host, "before", "after")
    trial.on(engine.host, "iptables -S INPUT")
    return judge(
        {"the container serves": page == "web1", "no rule of any table changed": not changed},
        "Rules of all tables were the same before and after the start of a container that served.",
    )


def needs_a_rule(trial: Trial) -> Outcome:
    """Open host, closed host, closed host with a rule."""
    engine = trial.ground.docker2
    url = f"http://{address(engine.host)}/index.html"
    trial.run(engine, Ask("web1", "host", command=serve("web1")))
    open_host = trial.get(url).output.strip()
    trial.drop_by_default(engine.host)
    trial.on(engine.host, "iptables -S INPUT")
    closed = trial.refuses(url)
    trial.open_port(engine.host, 80)
    opened = trial.get(url).output.strip()
    return judge(
        {
            "where the host accepts by default, it is reachable at once": open_host == "web1",
            "where the host drops by default, it is not": closed,
            "with a rule for tcp/80 it is": opened == "web1",
        },
        "Behind INPUT's policy DROP no answer came until a rule for tcp/80 was added by hand, then at once."
        " (On a host that accepts by default, no rule is needed.)",
    )


def rule_is_for_all_addresses(trial: Trial) -> Outcome:
    """The article's rule names neither source nor destination."""
    engine = trial.ground.docker1
    trial.run(engine, Ask("web1", "host", command=serve("web1")))
    trial.drop_by_default(engine.host)
    trial.open_port(engine.host, 80)
    urls = [f"http://{address(engine.host, index)}/index.html" for index in (0, 1)]
    pages = [trial.get(url).output.strip() for url in urls]
    pages.append(trial.get(urls[0], host=trial.ground.docker2.host).output.strip())
    narrow = f"-d {address(engine.host, 1)} -p tcp -m tcp --dport 80 -j ACCEPT"
    trial.on(engine.host, "iptables -D INPUT -p tcp -m tcp --dport 80 -j ACCEPT")
    trial.change(engine.host, f"iptables -I INPUT 4 {narrow}", f"iptables -D INPUT {narrow}")
    first, second = trial.refuses(urls[0]), trial.get(urls[1]).output.strip()
    return judge(
        {
            "both addresses answer, to any host": pages == ["web1"] * 3,
            "a rule that names .200 opens .200 alone": first and second == "web1",
        },
        "Yes: the rule opened port 80 at both addresses of docker1, to every host; naming an address with -d"
        " narrowed it to that one.",
    )


def publishing_does_nothing(trial: Trial) -> Outcome:
    """-p beside --network host."""
    engine = trial.ground.docker2
    trial.drop_by_default(engine.host)
    trial.save_rules(engine.host, "before")
    web = trial.run(engine, Ask("web1", "host", publish=("80:80",), command=serve("web1")))
    local = trial.get("http://127.0.0.1/index.html", host=engine.host).output.strip()
    trial.save_rules(engine.host, "after")
    changed = trial.changed_rules(engine.host, "before", "after")
    closed = trial.refuses(f"http://{address(engine.host)}/index.html")
    published = web.inspect("NetworkSettings.Ports")
    warned = f'the engine warns: "{web.warnings[0]}"' if web.warnings else "the engine says nothing of it"
    return judge(
        {
            "its server runs": local == "web1",
            "no rule of any table changed": not changed,
            "the client still gets no answer": closed,
            "Docker lists no published port": not published,
        },
        f"With -p 80:80 no rule was added, no port is listed and the client got no answer; {warned}.",
    )


def bridge_needs_no_rule(trial: Trial) -> Outcome:
    """A published port, behind the same firewall."""
    engine = trial.ground.docker2
    url = f"http://{address(engine.host)}:81/index.html"
    trial.drop_by_default(engine.host)
    trial.run(engine, Ask("web1", "bridge", publish=("81:80",), command=serve("web1")))
    page = trial.get(url).output.strip()
    explicit = "-p tcp --dport 81 -j DROP"
    trial.change(engine.host, f"iptables -I INPUT {explicit}", f"iptables -D INPUT {explicit}")
    still = trial.get(url).output.strip()
    user = "-p tcp -m conntrack --ctorigdstport 81 -j DROP"
    trial.change(engine.host, f"iptables -I DOCKER-USER {user}", f"iptables -D DOCKER-USER {user}")
    closed = trial.refuses(url)
    return judge(
        {
            "it answers behind INPUT's policy DROP": page == "web1",
            "an INPUT rule that drops its port does not close it": still == "web1",
            "a rule in DOCKER-USER closes it": closed,
        },
        "The published port answered although INPUT drops by default, and even with an INPUT rule against it:"
        " forwarded packets never meet INPUT. So -p opens a port past the host's firewall; what shall close"
        " it belongs in DOCKER-USER (or publish at 127.0.0.1 only).",
    )


def bridge_writes_rules(trial: Trial) -> Outcome:
    """What a published port adds."""
    engine = trial.ground.docker2
    trial.save_rules(engine.host, "before")
    web = trial.run(engine, Ask("web1", "bridge", publish=("81:80",), command=serve("web1")))
    trial.save_rules(engine.host, "published")
    added = trial.changed_rules(engine.host, "before", "published")
    assert web.container
    web.container.remove(force=True)
    trial.note(engine.host, "docker rm -f web1", "web1")
    trial.save_rules(engine.host, "removed")
    gone = not trial.changed_rules(engine.host, "before", "removed")
    new = [line for line in added if line.startswith("> -A")]
    return judge(
        {
            "a port mapping is added": any("DNAT" in line and "--dport 81" in line for line in new),
            "a rule that accepts what is forwarded to it is added": any("-j ACCEPT" in line for line in new),
            "they go with the container": gone,
        },
        f"Publishing one port added {len(new)} rules (its DNAT and its ACCEPT among them); they went with"
        " the container.",
    )


STATEMENTS = (
    Statement(
        "bridge-mode-writes-rules",
        Source.ARTICLE,
        "In bridge mode Docker makes use of iptables for published ports.",
        "Compared the rules of all tables before a container published a port, with it, and after it.",
        bridge_writes_rules,
    ),
    Statement(
        "host-mode-adds-no-rule",
        Source.ARTICLE,
        "In host mode Docker adds no firewall or NAT rule: that is left to the administrator.",
        "Compared the rules of all tables before and after starting a container in host mode.",
        host_mode_adds_no_rule,
    ),
    Statement(
        "host-mode-needs-a-rule-by-hand",
        Source.ARTICLE,
        "Behind a host firewall, a host-mode server is unreachable until one adds a rule for its port.",
        "Asked docker2 for the page with INPUT accepting, with INPUT dropping, and with the article's rule.",
        needs_a_rule,
    ),
    Statement(
        "publishing-in-host-mode-does-nothing",
        Source.ARTICLE,
        "Publishing the port (-p) in host mode changes nothing.",
        "Started the container with -p behind the dropping firewall; compared rules, asked for the page.",
        publishing_does_nothing,
    ),
    Statement(
        "rule-without-address-opens-every-address",
        Source.COMMENT,
        "A reader asks: does a rule that names no address hold for all of them?",
        "Asked at both addresses of docker1, from two hosts; then narrowed the rule to one address.",
        rule_is_for_all_addresses,
    ),
    Statement(
        "bridge-mode-needs-no-rule",
        Source.ADDED,
        "A port published in bridge mode is reachable past a host firewall that drops by default.",
        "Published a port behind the same firewall; dropped it in INPUT by name; dropped it in DOCKER-USER.",
        bridge_needs_no_rule,
    ),
)
