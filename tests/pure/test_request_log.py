"""The file that records go to as they come."""

import ctypes
from pathlib import Path

import pytest

from bench.generator import request_log
from bench.generator.request_log import RequestLog, read_records
from bench.slots.requests import RECORD, RECORD_DTYPE


@pytest.mark.parametrize("count", [0, 1, 3, 4, 5, 8, 9])
def test_the_log_keeps_every_request_in_order_however_many_chunks_it_takes(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_log, "CHUNK_BYTES", 4 * RECORD.size)
    log = RequestLog()
    rows = [(row, row + 1, row + 2, row + 3, row + 4, row + 5, row % 3, 200, 1) for row in range(count)]
    for row in rows:
        log.write(*row)

    assert log.records().dtype == RECORD_DTYPE
    assert log.records().tolist() == rows


def test_records_already_read_are_not_changed_by_later_requests() -> None:
    log = RequestLog()
    log.write(*[1] * 9)
    before = log.records()
    log.write(*[2] * 9)

    assert before.tolist() == [(1,) * 9]
    assert len(log.records()) == 2


def test_records_are_in_the_file_as_they_come_and_are_all_that_is_left_of_it(tmp_path: Path) -> None:
    path = tmp_path / "records.bin"
    log = RequestLog(path)
    for row in range(70_000):
        log.write(row, 2, 3, 4, 5, 6, 0, 7, 1)
    found = log.records()
    log.finish()

    assert path.stat().st_size == 70_000 * RECORD.size
    assert found["intended_ns"].tolist() == list(range(70_000))
    assert (read_records(path) == found).all()


def test_a_file_without_records_is_empty(tmp_path: Path) -> None:
    log = RequestLog(tmp_path / "records.bin")
    log.finish()

    assert len(read_records(tmp_path / "records.bin")) == 0
    assert len(log.records()) == 0


def test_the_next_log_of_a_name_leaves_the_last_ones_records_to_those_who_read_them(tmp_path: Path) -> None:
    path = tmp_path / "records.bin"
    for number in (1, 2):
        log = RequestLog(path)
        log.write(number, 2, 3, 4, 5, 6, 0, 7, 1)
        log.finish()
        if number == 1:
            first = read_records(path)

    assert (first["intended_ns"].tolist(), read_records(path)["intended_ns"].tolist()) == ([1], [2])


def test_records_written_to_the_logs_memory_are_as_good_as_those_it_was_told(tmp_path: Path) -> None:
    log = RequestLog()
    log.write(0, 2, 3, 4, 5, 6, 0, 7, 1)
    for number in range(1, 40_000):
        address, room = log.room(2)
        assert room >= 2
        ctypes.memmove(address, RECORD.pack(number, 2, 3, 4, 5, 6, 0, 7, 1), RECORD.size)
        log.wrote(1)

    assert log.records()["intended_ns"].tolist() == list(range(40_000))
