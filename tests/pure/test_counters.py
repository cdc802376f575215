from bench.lab.instruments.counters import lost_segments, ports_in_use, queue_drops

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
