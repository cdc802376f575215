"""Settings of network namespaces, for real: where they are set, what the kernel says, and put back."""

from pathlib import Path

import pytest

from bench.errors import MeasurementInvalid
from bench.measure.availability import try_arm
from bench.measure.testbed import Bed
from bench.scenario.conditions import conditions
from bench.scenario.load import Load
from bench.scenario.model import LabSettings
from bench.slots.gates.gate import GateKind
from bench.slots.surroundings import ACCEPT_QUEUE, SOMAXCONN
from tests.lab.testbed.conftest import measure

SMALL = LabSettings(sysctls=f"{SOMAXCONN}=16 net.ipv4.ip_local_port_range=2048 50000")


def of_host(bed: Bed) -> list[str]:
    names = ["net/core/somaxconn", "net/ipv4/ip_local_port_range"]
    return bed.lab.docker["docker1"].run(["cat", *(f"/proc/sys/{name}" for name in names)]).splitlines()


@pytest.mark.parametrize("arm", ["host", "bridge", "native", "wired", "bridge-mapped"])
def test_an_arm_s_namespace_has_the_settings_that_are_asked_for_and_its_host_s_is_as_before(
    arm: str, bed: Bed, tmp_path: Path
) -> None:
    before = of_host(bed)
    record, facts = measure(bed, arm, tmp_path, SMALL)
    assert facts[SOMAXCONN] == facts[ACCEPT_QUEUE] == "16"
    assert facts["net.ipv4.ip_local_port_range"].split() == ["2048", "50000"]
    whose = "docker1" if arm in ("host", "native") else "the container"
    assert f"{SOMAXCONN} is 16 in the namespace of {whose}" in record.evidence["accept queue"]
    assert record.evidence["sysctls"] == SMALL.sysctls
    assert of_host(bed) == before


def test_settings_of_the_hosts_are_theirs_alone_and_are_put_back(bed: Bed, tmp_path: Path) -> None:
    before = of_host(bed)
    settings = LabSettings(host_sysctls=f"{SOMAXCONN}=300")
    _, facts = measure(bed, "host", tmp_path, settings)
    assert facts[SOMAXCONN] == facts[ACCEPT_QUEUE] == "300"
    _, facts = measure(bed, "bridge", tmp_path, settings)
    assert facts[SOMAXCONN] != "300"
    bed.arrange(LabSettings(host_sysctls="net.ipv4.tcp_syncookies=0"))
    assert of_host(bed) == before
    bed.arrange(LabSettings())
    assert of_host(bed) == before


@pytest.mark.parametrize("arm", ["host", "bridge"])
@pytest.mark.parametrize("sysctls", ["net.core.no_such=1", f"{SOMAXCONN}=many"])
def test_what_the_kernel_has_not_or_refuses_is_told_and_leaves_all_as_it_was(
    arm: str, sysctls: str, bed: Bed
) -> None:
    before = of_host(bed)
    lab = LabSettings(sysctls=f"net.ipv4.ip_local_port_range=2048 50000 {sysctls}")
    condition = conditions(bed.scenario)[0].model_copy(update={"lab": lab})
    said = try_arm(bed, bed.scenario.arm(arm), condition)
    assert said
    assert sysctls.partition("=")[0].rpartition(".")[2] in said or "kernel" in said
    assert of_host(bed) == before


def test_hosts_keep_all_of_their_settings_where_the_kernel_refuses_one_of_several(bed: Bed) -> None:
    before = of_host(bed)
    with pytest.raises(MeasurementInvalid, match="the kernel has none there"):
        bed.arrange(LabSettings(host_sysctls=f"{SOMAXCONN}=300 net.core.no_such=1"))
    assert of_host(bed) == before


@pytest.mark.parametrize("arm", ["host", "bridge"])
def test_bursts_of_new_connections_overflow_a_short_accept_queue_which_is_named(
    arm: str, bed: Bed, tmp_path: Path
) -> None:
    load = Load(connections=200, keep_alive=False, warm_up_s=0.3, measure_s=0.3)
    record, _ = measure(bed, arm, tmp_path, LabSettings(sysctls=f"{SOMAXCONN}=1"), load)
    [gate] = [gate for gate in record.failed_gates if gate.name is GateKind.LISTEN_DROPS]
    assert f"{SOMAXCONN} is 1 in the namespace of" in gate.detail
