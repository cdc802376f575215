"""Why nobody comes through to a server that is there: said, never mended."""

from collections.abc import Collection

from bench.lab.hosts.command import CommandFailed
from bench.lab.hosts.host import Endpoint, Host

ASK = ("curl", "-s", "-m", "2", "-o", "/dev/null")


def explain_silence(docker_host: Host, endpoint: Endpoint, senders: Collection[str]) -> str:
    """What is known of why no answer of `endpoint` came to the addresses `senders`; it begins with `; `.

    By asking from the Docker host itself, and by looking at its INPUT chain.
    """
    try:
        docker_host.run([*ASK, f"http://{endpoint.address}:{endpoint.port}/"])
    except CommandFailed:
        return f"; nor does it answer on {docker_host.name} itself"
    rule = f"iptables -I INPUT -p tcp -s {','.join(senders)} --dport {endpoint.port} -j ACCEPT"
    return (
        f"; it answers on {docker_host.name} itself, so something on the way drops what comes from"
        f" {', '.join(senders)}{_describe_input(docker_host)}. Where it is the host's own firewall, the rule"
        f" that is missing is `{rule}`: bench opens no firewall"
    )


def _describe_input(host: Host) -> str:
    """The host's INPUT chain, as far as iptables shows it."""
    try:
        rules = host.run(["iptables", "-w", "-S", "INPUT"]).splitlines()
    except CommandFailed:
        return ""
    drops = [rule for rule in rules if rule.endswith(("-j DROP", "-P INPUT DROP")) or "-j REJECT" in rule]
    return f" (its INPUT chain says: {'; '.join(drops[:3])})" if drops else ""
