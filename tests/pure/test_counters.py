from collections.abc import Sequence
from typing import Any

import pytest

from bench.lab.hosts.command import CommandFailed
from bench.lab.instruments.counters import lost_segments, ports_in_use, queue_drops, read_rules
from bench.scenario.modes.footprint import Counter, Expected
from bench.slots.gates.path import check_path

TCP = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 17 1 0 100 0 0 10 0
   1: 0100007F:0050 0100007F:D431 06 00000000:00000000 03:00001770 00000000     0        0 0 3 0
   2: 0100007F:D431 0100007F:0050 01 00000000:00000000 00:00000000 00000000     0        0 18 1 0 20 4 30 10
   3: 0100007F:D432 0100007F:0050 06 00000000:00000000 03:00001770 00000000     0        0 0 3 0
"""
SNMP = """\
Tcp: RtoAlgorithm RtoMin ActiveOpens PassiveOpens RetransSegs
Tcp: 1 200 3 4 9
"""
NETSTAT = """\
TcpExt: ListenDrops TCPDSACKRecvSegs
TcpExt: 0 7
IpExt: InNoRoutes
IpExt: 0
"""


STACK = {"tcp": TCP, "snmp": SNMP, "netstat": NETSTAT}
"""Of a namespace that holds both ends of its connections, without IPv6."""


def test_ports_in_use_are_the_senders_and_not_those_of_the_server_in_the_same_namespace() -> None:
    assert ports_in_use(STACK, range(32768, 61000)) == 2
    assert ports_in_use(STACK, range(50, 100)) == 2
    assert ports_in_use(STACK | {"tcp6": TCP}, range(32768, 61000)) == 4


def test_a_segment_that_the_receiver_had_already_was_not_lost() -> None:
    assert lost_segments(STACK) == 2
    unknown = NETSTAT.replace("TCPDSACKRecvSegs", "TCPOther")
    assert lost_segments(STACK | {"netstat": unknown}) == 9


def test_packets_without_room_are_summed_over_the_cores() -> None:
    cores = "0572d002 00001481 00000008 00000000\n06e1e1af 0000e98d 00000010 00000000\n"
    assert queue_drops({"softnet_stat": cores}) == 0x1481 + 0xE98D


SAVED = """\
*nat
:DOCKER - [0:0]
[7:420] -A DOCKER -d 198.18.0.100/32 -p tcp -j DNAT --to-destination 198.19.0.2:80
*filter
[3:120] -A DOCKER -d 198.19.0.2/32 -j ACCEPT
"""


class Host:
    """Says of its firewall what it is given, by program."""

    def __init__(self, **said: str) -> None:
        self._said = {name.replace("_", "-"): text for name, text in said.items()}

    def run(self, argv: Sequence[str]) -> str:
        if argv[0] not in self._said:
            raise CommandFailed(f"Running {argv[0]}", "Permission denied (you must be root)", "Be root.")
        return self._said[argv[0]]


def test_rules_hits_are_read_of_both_of_the_kernel_s_firewalls() -> None:
    warned = "# Warning: iptables-legacy tables present, use iptables-legacy-save to see them\n"
    for host in (Host(iptables_save=SAVED), Host(iptables_save=warned, iptables_legacy_save=SAVED)):
        given: Any = host
        assert read_rules(given, ipv6=False, writes_rules=True) == ({Counter.DNAT: 7, Counter.FILTER: 3}, "")


@pytest.mark.parametrize(
    ("host", "told"),
    [(Host(), "Permission denied"), (Host(iptables_save="*filter\n"), "shows no rule of Docker's")],
)
def test_rules_that_cannot_be_read_are_named_and_no_rules_without_hits(host: Any, told: str) -> None:
    hits, lacks = read_rules(host, ipv6=False, writes_rules=True)
    assert hits == {}
    assert told in lacks


def test_an_engine_that_writes_rules_of_ipv4_alone_has_none_of_ipv6_to_be_seen() -> None:
    host: Any = Host(iptables_save=SAVED, ip6tables_save="*filter\n")
    assert read_rules(host, ipv6=True, writes_rules=True) == ({Counter.DNAT: 7, Counter.FILTER: 3}, "")


def test_an_engine_that_writes_no_rules_has_none_to_be_seen() -> None:
    host: Any = Host(iptables_save="*filter\n")
    assert read_rules(host, ipv6=False, writes_rules=False) == ({Counter.DNAT: 0, Counter.FILTER: 0}, "")


def test_a_counter_that_could_not_be_read_has_no_gate_and_all_others_have() -> None:
    path = {Counter.DNAT: Expected.EACH_CONNECTION, Counter.SERVED: Expected.EACH_CONNECTION}
    [gate] = check_path(path, {Counter.SERVED: 2}, 2, 100, forwarding_rules=True)
    assert gate.passed
