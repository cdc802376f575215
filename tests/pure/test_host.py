from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.lab.hosts.host import Host, parse_cpus


def make_host(cpus: str = "0-2,5") -> Host:
    return Host("client", ("198.18.0.10/24", "198.18.0.11/24"), cpus, 1234, Path("/lab"))


@pytest.mark.parametrize(
    ("cpus", "numbers"),
    [
        ("0", [0]),
        ("0-2,5", [0, 1, 2, 5]),
        ("5,0-1", [0, 1, 5]),
        ("3-3", [3]),
        ("0-1,1-2", [0, 1, 2]),
        ("1\n", [1]),
    ],
)
def test_a_kernel_cpu_list_names_its_cores(cpus: str, numbers: list[int]) -> None:
    assert parse_cpus(cpus) == numbers


@given(st.sets(st.integers(0, 127), min_size=1))
def test_a_mask_has_a_bit_for_each_core_and_no_other(cores: set[int]) -> None:
    mask = make_host(",".join(map(str, cores))).cpu_mask

    assert {core for core in range(mask.bit_length()) if mask >> core & 1} == cores


def test_a_command_on_a_host_runs_in_its_namespaces_and_on_its_cores() -> None:
    argv = make_host().argv(["ip", "link"])

    assert argv[:3] == ["nsenter", "-t", "1234"]
    assert {"--net", "--mount", "--pid"} < set(argv)
    assert argv[-5:] == ["taskset", "-c", "0-2,5", "ip", "link"]
