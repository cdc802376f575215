import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.lab.hosts.host import cpu_mask, parse_cpus


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
    mask = cpu_mask(",".join(map(str, cores)))

    assert {core for core in range(mask.bit_length()) if mask >> core & 1} == cores
