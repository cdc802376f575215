"""A few cases of `make fuzz`, of every target: it says what happened to each, and counts a fault as one."""

from pathlib import Path

import pytest

from tests.fuzz.__main__ import feed
from tests.fuzz.targets import Fuzz

pytestmark = pytest.mark.slow

TARGETS = list(Fuzz(Path("unused")).targets())


@pytest.mark.parametrize("target", TARGETS)
def test_changed_input_is_refused_or_accepted_and_never_a_traceback(target: str, tmp_path: Path) -> None:
    done, _, failures = feed(tmp_path, seed=1, count=4, only=target)
    assert failures == []
    assert sum(done.values()) == 4


def test_whatever_a_target_raises_is_a_failure_with_its_seed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> str:
        raise ZeroDivisionError

    monkeypatch.setattr(Fuzz, "suite", fail)
    done, _, failures = feed(tmp_path, seed=7, count=1, only="suite")
    assert done == {("suite", "failure"): 1}
    assert "seed 7, suite" in failures[0]
    assert "ZeroDivisionError" in failures[0]
