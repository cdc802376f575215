"""Whether a container in host mode may change its host's firewall."""

from bench.records.findings import Source, Word
from bench.walkthrough.container import Running
from bench.walkthrough.container_spec import Ask, serve
from bench.walkthrough.trial import Outcome, Statement, Trial, address, judge

RULE = "INPUT -p tcp -m tcp --dport 80 -j ACCEPT"


def _change_from_inside(trial: Trial, web: Running) -> tuple[bool, bool, str]:
    """(rule is on the host, client got an answer, what iptables said in the container)."""
    engine = web.engine
    trial.drop_by_default(engine.host)
    trial.get("http://127.0.0.1/index.html", host=engine.host)
    trial.undo_later(engine.host, f"iptables -D {RULE}")
    said = web.exec("iptables", "-I", *RULE.split()).output.strip()
    rules = trial.on(engine.host, "iptables -S INPUT").output
    url = f"http://{address(engine.host)}/index.html"
    if RULE not in rules:
        return False, not trial.refuses(url), said
    return True, trial.get(url).output.strip() == "web1", said


def privileged_may(trial: Trial) -> Outcome:
    """The article's note."""
    ask = Ask("web1", "host", privileged=True, command=serve("web1"))
    started = trial.try_run(trial.ground.docker2, ask)
    if started.refusal:
        return Outcome(
            Word.NOT_TESTABLE,
            "This engine cannot start a privileged container here, for the machine lacks a right itself"
            f" ({started.refusal}). `net-admin-is-enough` tries the one right that matters.",
        )
    on_host, answered, _ = _change_from_inside(trial, started)
    return judge(
        {"the host has the rule": on_host, "the client gets an answer": answered},
        "A privileged container in host mode added the rule to docker2's own INPUT chain, and the client"
        " got its page: such a container is the administrator of its host's network.",
    )


def net_admin_is_enough(trial: Trial) -> Outcome:
    """The one capability that matters."""
    ask = Ask("web1", "host", cap_add=("NET_ADMIN",), command=serve("web1"))
    on_host, answered, _ = _change_from_inside(trial, trial.run(trial.ground.docker2, ask))
    return judge(
        {"the host has the rule": on_host, "the client gets an answer": answered},
        "NET_ADMIN alone sufficed to change docker2's own firewall; nothing else of `privileged` is needed.",
    )


def plain_may_not(trial: Trial) -> Outcome:
    """Root in the container, without the capability."""
    ask = Ask("web1", "host", command=serve("web1"))
    on_host, answered, said = _change_from_inside(trial, trial.run(trial.ground.docker2, ask))
    return judge(
        {
            "the host has no new rule": not on_host,
            "the client gets no answer": not answered,
            "iptables is refused": "ermission denied" in said or "not permitted" in said,
        },
        f"iptables was refused in the container ({said.splitlines()[-1] if said else 'no message'}), and the"
        " host's rules stayed as they were.",
    )


def bridge_changes_its_own(trial: Trial) -> Outcome:
    """NET_ADMIN without host mode."""
    engine = trial.ground.docker2
    trial.save_rules(engine.host, "before")
    web = trial.run(engine, Ask("web1", "bridge", cap_add=("NET_ADMIN",), command=serve("web1")))
    trial.save_rules(engine.host, "running")
    changed = web.exec("iptables", "-I", *RULE.split())
    inside = web.exec("iptables", "-S", "INPUT").output
    trial.save_rules(engine.host, "changed")
    untouched = not trial.changed_rules(engine.host, "running", "changed")
    return judge(
        {
            "its own INPUT has the rule": changed.status == 0 and RULE in inside,
            "the host's rules are untouched": untouched,
        },
        "In bridge mode the same capability changed the container's own INPUT chain, and none of its host's.",
    )


STATEMENTS = (
    Statement(
        "privileged-container-can-open-the-hosts-firewall",
        Source.ARTICLE,
        "A privileged host-mode container can make the firewall rule itself.",
        "Added the rule from inside a --privileged container behind the dropping firewall.",
        privileged_may,
    ),
    Statement(
        "net-admin-is-enough",
        Source.ADDED,
        "The NET_ADMIN capability is enough for it.",
        "Added the rule from inside a container with --cap-add NET_ADMIN.",
        net_admin_is_enough,
    ),
    Statement(
        "plain-container-cannot-change-the-firewall",
        Source.ADDED,
        "A host-mode container without added rights cannot change its host's firewall.",
        "Tried to add the rule from inside a container with Docker's default rights.",
        plain_may_not,
    ),
    Statement(
        "in-bridge-mode-the-right-ends-at-the-container",
        Source.ADDED,
        "In bridge mode the same capability reaches the container's own firewall only.",
        "Added the rule from inside a bridge-mode container with NET_ADMIN and compared the host's rules.",
        bridge_changes_its_own,
    ),
)
