import pytest

from bench.errors import BenchError, EnvironmentLacks, ExitCode, InputError, MeasurementInvalid
from bench.lab.hosts import command
from bench.lab.hosts.command import CommandFailed


@pytest.mark.parametrize(
    ("fault", "code"),
    [(BenchError, 1), (InputError, 2), (EnvironmentLacks, 3), (MeasurementInvalid, 4)],
)
def test_every_known_failure_has_the_exit_code_of_the_contract(fault: type[BenchError], code: int) -> None:
    assert fault("doing", "seen", "advice").exit_code == code


def test_the_other_exit_codes_are_those_of_the_contract() -> None:
    assert (ExitCode.DONE, ExitCode.GATE_FAILED, ExitCode.INTERRUPTED) == (0, 10, 130)


def test_a_failure_says_what_was_done_what_was_seen_and_what_to_do() -> None:
    fault = InputError("Reading x", "it is empty.", "Give another.")

    assert str(fault) == "Reading x: it is empty. Give another."
    assert (fault.doing, fault.seen, fault.advice) == ("Reading x", "it is empty.", "Give another.")


def test_a_program_that_is_missing_or_fails_is_a_lack_of_the_environment() -> None:
    for argv in (["no-such-program-of-any-name"], ["false"]):
        with pytest.raises(CommandFailed) as caught:
            command.run(argv)
        assert caught.value.exit_code is ExitCode.ENVIRONMENT


def test_of_a_text_without_an_end_the_middle_is_cut_and_what_to_do_is_still_said() -> None:
    fault = InputError(
        "Reading x", f"its name is {'a' * 1_000_000}, not a word\nand its age -1", "Give another."
    )

    assert len(str(fault)) < 2_000
    assert str(fault).startswith("Reading x: its name is aaa")
    assert str(fault).endswith("aaa, not a word\nand its age -1. Give another.")
    assert fault.as_dict()["seen"] == fault.seen
