"""The end of an Apache without Docker."""

import os
import time
from pathlib import Path

import pytest

from bench.lab.hosts import command
from bench.lab.servers.native import end_group


def test_the_end_of_a_server_is_the_end_of_all_that_it_started(tmp_path: Path) -> None:
    started = tmp_path / "started"
    process = command.start(["sh", "-c", f"sleep 100 & sleep 100 & touch {started}; wait"])
    deadline = time.monotonic() + 10
    while not started.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    end_group(process)

    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)


def test_a_server_that_ended_by_itself_needs_no_ending() -> None:
    process = command.start(["true"])
    process.wait()
    end_group(process)

    assert process.returncode == 0
