"""A hosts file: what it may say, and every fault of it at once."""

import pytest

from bench.errors import InputError
from bench.scenario.hosts import parse_hosts

GOOD = """
[docker.web]
ssh = "-p 2222 'me'@web"
address = "198.18.0.100"

[load.a]
ssh = "a"
workers = 2

[load.b]
ssh = "b"
cores = "1-3"
"""
ANOTHER = """
[docker.other]
ssh = "c"
address = "198.18.0.101"
"""


def test_what_one_types_after_ssh_is_split_as_a_shell_splits_it() -> None:
    assert parse_hosts(GOOD, "h").docker_host.ssh_words == ["-p", "2222", "me@web"]


def test_workers_are_numbered_in_rounds_over_the_hosts_so_that_few_connections_come_from_many() -> None:
    assert parse_hosts(GOOD, "h").workers() == ["a", "b", "a"]


def test_the_docker_host_comes_first() -> None:
    assert list(parse_hosts(GOOD, "h").hosts) == ["web", "a", "b"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "docker: is missing"),
        ("docker = 3", "docker: input should be an object"),
        (
            GOOD.replace("address", "adress"),
            "docker.web.adress: is not an option here; did you mean docker.web.address?",
        ),
        (GOOD.replace("198.18.0.100", "web.example"), "is no IP address"),
        (GOOD.replace("198.18.0.100", "127.0.0.1"), "that other machines can reach"),
        (GOOD.replace("198.18.0.100", "2001:2::1"), "that other machines can reach"),
        (GOOD.replace('ssh = "a"', 'ssh = "a -v"'), "names no host"),
        (GOOD.replace('ssh = "a"', 'ssh = "\'a"'), "cannot be split"),
        (GOOD.replace("workers = 2", "workers = 0"), "load.a.workers"),
        (GOOD.replace('"1-3"', '"1..3"'), "load.b.cores"),
        (GOOD.replace("load.b", "load.web"), "is a Docker host and a load host"),
        (
            GOOD + '[docker.other]\nssh = "c"\naddress = "198.18.0.101"\n',
            "docker: dictionary should have at most 1",
        ),
        (GOOD.replace("load.a", "load.A"), "load.A"),
    ],
)
def test_a_fault_is_named_by_its_dotted_field(text: str, told: str) -> None:
    with pytest.raises(InputError) as refused:
        parse_hosts(text, "hosts.toml")
    assert told in str(refused.value)
    assert "docs/real-hosts.md" in str(refused.value)
