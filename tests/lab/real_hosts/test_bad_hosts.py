"""Hosts as they should not be: one clear paragraph each, the contract's code, and nothing left there."""

import pytest

from tests.lab.machines import Machines
from tests.lab.real_hosts.conftest import Desk, differences

REFUSED = [
    ("a host of no such name", "no-such-host", "Could not resolve hostname"),
    ("a wrong host key", "load1-wrong-key", "Host key verification failed"),
    ("a user who may not use Docker", "load1-stranger", "usermod -aG docker"),
    ("no Docker", "bare", "Install Docker there"),
    ("a full disk", "full", "no space left on device"),
    ("an sshd that forwards no sockets", "closed", "AllowStreamLocalForwarding"),
    ("an sshd that forwards no ports back", "oneway", "AllowTcpForwarding"),
]


@pytest.mark.parametrize(("ssh", "told"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_a_load_host_that_cannot_be_used_says_why_and_keeps_nothing(
    living: Machines, desk: Desk, ssh: str, told: str
) -> None:
    before = living.look()
    done = desk.run(desk.write_scenario(2), desk.write_hosts("docker1", ssh))
    assert done.status == 3, done.stderr
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert differences(before, living.look()) == []
    desk.forget()


def test_one_session_and_one_login_at_a_time_are_enough(living: Machines, desk: Desk) -> None:
    done = desk.run(desk.write_scenario(2), desk.write_hosts("docker1", "strict"))
    assert done.status in (0, 4), done.stderr
    assert "INVALID (answered" not in done.stderr
    desk.forget()


def test_an_address_that_the_docker_host_has_not_is_named_with_those_that_it_has(
    living: Machines, desk: Desk
) -> None:
    hosts = desk.write(
        "hosts.toml", '[docker.d]\nssh = "docker1"\naddress = "198.18.0.77"\n[load.l]\nssh = "load1"\n'
    )
    done = desk.run(desk.write_scenario(2), hosts)
    assert done.status == 3
    assert living["docker1"].address in done.stderr


def test_a_docker_host_that_is_its_own_load_host_is_found_out(living: Machines, desk: Desk) -> None:
    done = desk.run(desk.write_scenario(2), desk.write_hosts("docker1", "docker1"))
    assert done.status == 3
    assert "one machine" in done.stderr
