"""Services that do not do what a service does: each is told in one paragraph, with what to do."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench.measure.availability import try_arm
from bench.measure.testbed import Bed
from bench.scenario.conditions import conditions
from bench.scenario.load import Load
from bench.scenario.service import Ready
from tests.lab.conftest import wait_until

from .conftest import PORT, measure, serving, told, why


@pytest.mark.parametrize("arm", ["host", "bridge"])
def test_a_service_of_ones_own_is_measured_and_its_path_is_proved(bed: Bed, arm: str, tmp_path: Path) -> None:
    record = measure(bed, arm, tmp_path)

    assert record.requests > 0
    assert record.errors == 0
    assert [gate.name for gate in record.gates if gate.name.startswith("path") and not gate.passed] == []


def test_a_service_that_listens_on_loopback_alone_is_told_to_listen_elsewhere(
    bed: Bed, tmp_path: Path
) -> None:
    with told(bed, ADDRESS="127.0.0.1"):
        said = why(measure(bed, "bridge", tmp_path))

    assert f"it listens on 127.0.0.1:{PORT} alone" in said
    assert "have it listen on 0.0.0.0" in said


def test_a_service_that_listens_on_another_port_is_told_on_which(bed: Bed, tmp_path: Path) -> None:
    with told(bed, PORT="9999"):
        said = why(measure(bed, "bridge", tmp_path))

    assert f"nothing listens on its port {PORT}" in said
    assert "0.0.0.0:9999" in said


def test_a_service_that_is_slow_to_start_is_waited_for_as_long_as_it_says(bed: Bed, tmp_path: Path) -> None:
    with told(bed, START_MS="4000"):
        condition = conditions(bed.scenario)[0]
        too_late = try_arm(bed, bed.scenario.arm("bridge"), condition)
        with serving(bed, {"ready": Ready(timeout_s=30.0)}):
            in_time = try_arm(bed, bed.scenario.arm("bridge"), condition)

    assert in_time is None
    assert too_late
    assert f"nothing listens on its port {PORT}" in too_late


def test_a_line_of_its_log_is_waited_for_before_anything_is_asked(bed: Bed, tmp_path: Path) -> None:
    with told(bed, START_MS="300"), serving(bed, {"ready": Ready(log=r"listening on port \d+")}):
        assert measure(bed, "bridge", tmp_path).requests > 0
    with serving(bed, {"ready": Ready(log="it never says so", timeout_s=1.0)}):
        said = try_arm(bed, bed.scenario.arm("bridge"), conditions(bed.scenario)[0])
    assert said
    assert "no line of its log is like 'it never says so'" in said


def test_a_service_that_dies_under_load_is_quoted_with_its_exit_code(bed: Bed, tmp_path: Path) -> None:
    with told(bed, DIES_AFTER="500"):
        said = why(measure(bed, "bridge", tmp_path))

    assert "exited, exit code 3" in said
    assert "it ends after 500 requests" in said


def test_a_service_that_cannot_start_is_quoted_with_its_exit_code(bed: Bed, tmp_path: Path) -> None:
    with told(bed, ADDRESS="198.19.255.1"):
        said = why(measure(bed, "host", tmp_path))

    assert "exited, exit code 1" in said
    assert "cannot listen" in said


def test_a_program_that_the_image_does_not_have_is_told_by_its_name(bed: Bed, tmp_path: Path) -> None:
    with serving(bed, {"entrypoint": ("/no/such/program",)}):
        said = why(measure(bed, "bridge", tmp_path))

    assert "/no/such/program" in said
    assert "no such file or directory" in said


def test_a_service_that_leaks_descriptors_voids_the_slot_by_its_errors(bed: Bed, tmp_path: Path) -> None:
    with told(bed, LEAKS="1"), serving_with_few_files(bed):
        record = measure(bed, "bridge", tmp_path, Load(warm_up_s=0.05, measure_s=0.5))

    failed = {str(gate.name): gate.detail for gate in record.failed_gates}
    assert "files open of 64 (hard 64)" in failed["errors"]
    assert "no descriptor left" in failed["errors"]


@contextmanager
def serving_with_few_files(bed: Bed) -> Iterator[None]:
    with serving(bed, {"open_files": 64, "environment": {"LEAKS": "1"}}):
        yield


def test_a_service_whose_port_is_taken_on_the_docker_host_is_told_by_whom(bed: Bed, tmp_path: Path) -> None:
    [host] = bed.lab.docker.values()
    taker = host.start(["python3", "-c", TAKES.format(port=PORT)], "taker")
    try:
        wait_until(lambda: f":{PORT}" in host.run(["ss", "-ltn"]), "the port was taken")
        said = why(measure(bed, "host", tmp_path))
    finally:
        taker.stop()

    assert f"port {PORT} of {host.name} is taken" in said


TAKES = "import socket, time; s = socket.socket(); s.bind(('0.0.0.0', {port})); s.listen(); time.sleep(60)"
