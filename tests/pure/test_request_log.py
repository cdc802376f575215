"""The file that records go to as they come."""

import pytest

from bench.generator import request_log
from bench.generator.request_log import RequestLog
from bench.slots.requests import RECORD, RECORD_DTYPE


@pytest.mark.parametrize("count", [0, 1, 3, 4, 5, 8, 9])
def test_the_log_keeps_every_request_in_order_however_many_chunks_it_takes(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_log, "CHUNK_BYTES", 4 * RECORD.size)
    log = RequestLog()
    rows = [(row, row + 1, row + 2, row + 3, row + 4, row + 5, 200, 1) for row in range(count)]
    for row in rows:
        log.write(*row)

    assert log.records().dtype == RECORD_DTYPE
    assert log.records().tolist() == rows


def test_records_already_read_are_not_changed_by_later_requests() -> None:
    log = RequestLog()
    log.write(1, 1, 1, 1, 1, 1, 1, 1)
    before = log.records()
    log.write(2, 2, 2, 2, 2, 2, 2, 2)

    assert before.tolist() == [(1,) * 8]
    assert len(log.records()) == 2
