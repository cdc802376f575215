"""What the kernel's files of CPU time say."""

import os
import time
from pathlib import Path

import pytest

from bench.generator.cores import read_cores
from bench.procfs import (
    CoreTime,
    available_memory,
    busy_shares,
    parse_group_us,
    parse_limits,
    parse_listeners,
    parse_net_rx,
    parse_process,
    parse_stat,
)

from .procfs import PROXY, SOFTIRQS, STAT

NOTHING = CoreTime(0, 0, 0, 0, 0, 0, 0, 0)


def spend(**ticks: int) -> CoreTime:
    return NOTHING._replace(**ticks)


def test_the_cores_of_a_machine_are_read_by_number_with_the_events_of_all() -> None:
    found = parse_stat(STAT)

    assert sorted(found.cores) == [0, 1]
    assert found.cores[1] == CoreTime(258_507, 246_466, 231_993, 420_774, 4_742, 0, 47_255, 756)
    assert found.cores[0].unused == 810_166 + 3_478
    assert found.cores[0].ours == 239_825 + 44_302 + 82_662 + 810_166 + 3_478 + 29_205
    assert found.whole.steal == 1_494
    assert (found.context_switches, found.forks) == (266_030_335, 25_000)


def test_cores_that_are_not_numbered_in_a_row_keep_their_numbers() -> None:
    assert parse_net_rx("        CPU0       CPU3\n      NET_RX:  5   7\n") == {0: 5, 3: 7}
    assert parse_net_rx(SOFTIRQS) == {0: 66_368_259, 1: 65_463_320}


def test_the_time_of_a_control_group_is_read_in_both_versions() -> None:
    assert parse_group_us("12210542986\n") == pytest.approx(12_210_542.986)
    assert parse_group_us("usage_usec 12210542\nuser_usec 5\nsystem_usec 6\n") == 12_210_542


def test_a_process_may_have_any_name() -> None:
    assert parse_process(PROXY) == ("S", 23_102, 17 + 42, 1_266_215)


def test_this_process_is_its_parents_child() -> None:
    found = parse_process(Path("/proc/self/stat").read_text())

    assert (found.state, found.parent) == ("R", os.getppid())
    assert found.started_ticks > 0


def test_a_core_is_busy_for_what_is_not_idle_of_its_time() -> None:
    before = dict.fromkeys(range(4), NOTHING)
    after = {
        0: spend(idle=40, iowait=10, user=150),
        1: spend(idle=200),
        2: spend(softirq=200),
        3: spend(idle=50, user=50, steal=900),
    }
    assert busy_shares(before, after) == {0: 0.75, 1: 0.0, 2: 1.0, 3: 0.5}


def test_a_core_is_not_busy_for_what_only_takes_what_nobody_wants() -> None:
    assert busy_shares({0: NOTHING}, {0: spend(nice=150, user=50)}) == {0: 0.25}


def test_a_core_that_no_time_passed_on_has_no_share() -> None:
    one, two = spend(idle=1), spend(idle=2)
    assert busy_shares({0: one}, {0: one}) == {}
    assert busy_shares({0: one, 1: one}, {0: two}) == {0: 0.0}
    assert busy_shares({0: NOTHING}, {0: spend(steal=5)}) == {}


def test_waiting_for_a_disk_may_go_back_and_no_core_is_more_than_busy_or_less_than_idle() -> None:
    waited = parse_stat(STAT).cores[0]
    back = waited._replace(iowait=waited.iowait - 2, user=waited.user + 3)
    forth = waited._replace(idle=waited.idle + 3, irq=waited.irq - 2)

    assert busy_shares({0: waited}, {0: back}) == {0: 1.0}
    assert busy_shares({0: waited}, {0: forth}) == {0: 0.0}


def test_a_core_of_this_machine_that_works_is_read_as_busy() -> None:
    cores = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(cores)})
        before, until = read_cores(), time.thread_time() + 0.2
        while time.thread_time() < until:
            pass
        after = read_cores()
    finally:
        os.sched_setaffinity(0, cores)
    assert before.keys() == after.keys() >= cores
    # What a niced neighbour took of it is spare, as if nobody had wanted it: half, if it is of another
    # session (sched(7), autogroups). Of at least 20 ticks, one at either end may be counted for what was
    # outside of them.
    core = min(cores)
    niced = after[core].nice - before[core].nice
    assert busy_shares(before, after)[core] + niced / (after[core].ours - before[core].ours) >= 0.9


def test_listening_sockets_are_told_with_their_addresses_of_both_families() -> None:
    tcp = (
        "  sl  local_address rem_address   st\n"
        "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000\n"
        "   1: 00000000:0050 00000000:0000 0A 00000000:00000000\n"
        "   2: 6400C612:0050 0A00C612:D431 01 00000000:00000000\n"
    )
    tcp6 = (
        "  sl  local_address rem_address   st\n"
        "   0: 00000000000000000000000001000000:0CEA 00000000000000000000000000000000:0000 0A 0:0\n"
    )

    assert list(parse_listeners(tcp)) == [("127.0.0.1", 8080), ("0.0.0.0", 80)]
    assert list(parse_listeners(tcp6)) == [("::1", 3306)]


def test_limits_of_a_process_are_told_soft_and_hard() -> None:
    text = (
        "Limit                     Soft Limit           Hard Limit           Units\n"
        "Max cpu time              unlimited            unlimited            seconds\n"
        "Max open files            1024                 4096                 files\n"
        "Max core file size        0                    unlimited            bytes\n"
    )

    assert dict(parse_limits(text)) == {
        "open files": "1024 (hard 4096)",
        "core file size": "0 (hard unlimited)",
    }


def test_available_memory_is_in_bytes() -> None:
    assert available_memory("MemTotal: 9 kB\nMemAvailable:     512 kB\n") == 524_288
