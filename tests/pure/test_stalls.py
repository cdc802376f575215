"""Stalls: counted from requests, found in captures, and said where a mean would be silent."""

import io
from pathlib import Path
from typing import Any

import pytest
from scapy.layers.inet import ICMP, IP
from scapy.layers.l2 import Ether

from bench.report.run.answer import answer_sentence
from bench.report.run.page import fill_page, list_chapters
from bench.report.run.stalls import tabulate_stalls, tell_stalls
from bench.results import columns
from bench.results.run import Run
from bench.results.verification import compare_slot
from bench.scenario.plan import Slot, plan_slots
from bench.slots.gates.gate import is_valid
from bench.slots.gates.stalls import check_stalls
from bench.slots.requests import NO_CONNECTION, Outcome
from bench.slots.stalls import find_stalls
from bench.slots.stalls_record import LostSegment, Stalls
from bench.wire.exchanges import Tap, read_tap
from bench.wire.lost import find_lost_segment

from .conftest import make_gate, make_records, make_scenario
from .packet_oracle import write_pcap
from .reports import judged, measure, store_run
from .wire import BRIDGE_PATH, HOST_PATH, PATH, View, segment

STALLED = {"outcome": int(Outcome.STALLED), "done_ns": 0, "status": 0}
LOST = LostSegment(payload_bytes=1448, sent=4, last_seen_at="bridge", too_big={})
FAULT = {"lab.too_big_icmp": (True, False)}


def stalls(**changes: Any) -> Stalls:
    fields = {
        "stalled": 12,
        "connections": 12,
        "asked_bytes": 65_536,
        "received_bytes": (0, 0),
        "unanswered": 12,
    }
    return Stalls(**(fields | changes))


def test_connections_that_stalled_are_counted_once_with_the_bytes_that_had_come() -> None:
    records = make_records(
        [
            {"connection": 0},
            {"connection": 1},
            STALLED | {"connection": 0, "bytes": 0, "first_byte_ns": 0},
            STALLED | {"connection": 2, "bytes": 1234},
            {"connection": 3, "outcome": int(Outcome.UNFINISHED), "done_ns": 0},
            {"connection": NO_CONNECTION, "outcome": int(Outcome.UNFINISHED), "sent_ns": 0, "done_ns": 0},
        ]
    )

    found = find_stalls(records, 65_536)

    assert found == stalls(stalled=2, connections=4, received_bytes=(0, 1234), unanswered=1)
    assert found.describe() == "2 of 4 connections stalled after 0 to 1,234 of 65,536 bytes of the answer"


@pytest.mark.parametrize("outcome", [outcome for outcome in Outcome if outcome is not Outcome.STALLED])
def test_no_other_end_of_a_request_is_a_stall(outcome: Outcome) -> None:
    assert find_stalls(make_records([{"outcome": int(outcome)}]), None) is None


def test_one_stall_voids_its_slot_and_the_gate_says_it_in_words() -> None:
    gate = check_stalls(stalls(stalled=1, lost=LOST))

    assert not is_valid([gate])
    assert gate.agrees
    assert "1 of 12 connections stalled after 0 of 65,536 bytes" in gate.detail
    assert "1,448 bytes, sent 4 times, was last seen at the bridge; no ICMP" in gate.detail


def test_no_stall_passes() -> None:
    assert is_valid([check_stalls(None)])
    assert check_stalls(None).agrees


# Captures.


def view_taps(path: list[View], reach: str, *, sent: int = 3, icmp: str = "") -> list[tuple[Tap, int]]:
    """What taps on `path` saw where a large segment, sent so often, came from the server as far as `reach`;
    and before it a small one, which came through."""
    taps, lost_from = [], next(place for place, view in enumerate(path) if view.tap == reach)
    for place, view in enumerate(path):
        packets = [segment(view, to_server=False, seq=view.server.first_seq - 900, ack=1, payload=b"x" * 900)]
        if place >= lost_from:
            packets += [
                segment(
                    view, to_server=False, seq=view.server.first_seq, ack=1, payload=b"x" * 1448, number=9 + n
                )
                for n in range(sent)
            ]
        if view.tap == icmp:
            error = Ether() / IP(src="172.17.0.1", dst="172.17.0.2") / ICMP(type=3, code=4)
            packets.append(bytes(error))
        content = write_pcap([(1_000 * n, packet) for n, packet in enumerate(packets, 1)])
        taps.append((read_tap(view.tap, io.BytesIO(content), PATH), view.server.port))
    return taps


@pytest.mark.parametrize("reach", ["uplink", "bridge", "veth", "server"])
def test_a_segment_is_lost_behind_the_farthest_tap_that_saw_one_as_large(reach: str) -> None:
    found = find_lost_segment(view_taps(BRIDGE_PATH, reach))

    assert found == LostSegment(payload_bytes=1448, sent=3, last_seen_at=reach, too_big={})


def test_an_icmp_that_told_is_told_with_its_place() -> None:
    found = find_lost_segment(view_taps(BRIDGE_PATH, "bridge", icmp="veth"))

    assert found
    assert found.too_big == {"veth": 1}
    assert "ICMP said that it was too big: 1 at the host's end of the container's link" in found.describe()


def test_where_nothing_was_sent_again_no_segment_is_named_lost() -> None:
    assert find_lost_segment(view_taps(BRIDGE_PATH, "bridge", sent=1)) is None
    assert find_lost_segment(view_taps(HOST_PATH, "client", sent=1)) is None


# Reports.


def stalling_run(folder: Path, *, in_every_slot: bool, under: tuple[int, ...] = (1,)) -> Run:
    """Host against bridge, whose slots stall under these conditions: the second one alone, or others."""
    scenario = make_scenario(blocks=3, factors=FAULT)

    def made(slot: Slot) -> Any:
        record = measure(scenario, slot)
        if slot.arm != "bridge" or slot.condition not in under or not (in_every_slot or slot.repeat == 0):
            return record
        found = stalls(lost=LOST)
        gates = (make_gate(), check_stalls(found))
        return record.model_copy(update={"stalls": found, "gates": gates, "values": {}, "requests": 0})

    slots = tuple(made(slot) for slot in plan_slots(scenario, seed=1))
    return judged(store_run(folder, scenario, slots=slots))


def test_where_an_arm_stalled_in_every_slot_the_verdict_and_the_answer_say_so(tmp_path: Path) -> None:
    run = stalling_run(tmp_path, in_every_slot=True)

    void = [
        c for c in run.verdict.comparisons if c.condition == "too_big_icmp=false" and "bridge" in c.candidate
    ]
    assert void
    assert all("bridge stalled in every slot" in "; ".join(comparison.notes) for comparison in void)
    assert "bridge STALLED wherever too_big_icmp=false, in every slot." in answer_sentence(run)


def test_where_no_level_tells_what_stalled_from_what_did_not_conditions_are_counted(tmp_path: Path) -> None:
    run = stalling_run(tmp_path, in_every_slot=True, under=(0, 1))

    assert "bridge STALLED under 2 of 2 conditions, in every slot." in answer_sentence(run)


def test_where_some_slots_stalled_the_answer_still_tells(tmp_path: Path) -> None:
    run = stalling_run(tmp_path, in_every_slot=False)

    assert not any("stalled" in note for c in run.verdict.comparisons for note in c.notes)
    assert "bridge STALLED wherever too_big_icmp=false, in some slots." in answer_sentence(run)


def test_the_section_has_a_row_for_what_stalled_and_for_what_did_not(tmp_path: Path) -> None:
    run = stalling_run(tmp_path, in_every_slot=True)

    rows = {cells[:2]: cells[2:] for cells in tabulate_stalls(run).rows}

    assert rows["host", "too_big_icmp=false"] == ("0 of 6 slots", "none")
    assert rows["bridge", "too_big_icmp=true"] == ("0 of 6 slots", "none")
    share, said = rows["bridge", "too_big_icmp=false"]
    assert share == "6 of 6 slots"
    assert said == (
        "72 of 72 connections stalled after 0 of 65,536 bytes of the answer; a segment of 1,448 bytes, sent 4"
        " times, was last seen at the bridge; no ICMP said that it was too big"
    )
    page = fill_page("md", run, list_chapters(run, figures=False))
    assert "Stalls: connections that stood still" in page
    assert said in page


def test_a_run_without_a_stall_has_no_such_section_and_no_such_sentence(tmp_path: Path) -> None:
    run = judged(store_run(tmp_path, make_scenario(blocks=3)))

    assert tell_stalls(run) is None
    assert "STALLED" not in answer_sentence(run)


@pytest.mark.parametrize(("told", "faults"), [(stalls(stalled=1), 0), (None, 1), (stalls(stalled=2), 1)])
def test_what_is_stored_of_stalls_is_held_against_the_requests(
    told: Stalls | None, faults: int, tmp_path: Path
) -> None:
    scenario = make_scenario()
    slot = measure(scenario, plan_slots(scenario, seed=1)[0]).model_copy(update={"stalls": told})
    columns.write_requests(tmp_path, slot.slot.directory, make_records([{}, STALLED | {"connection": 1}]))

    found = [line for line in compare_slot(tmp_path, slot, scenario.load) if "stalled is stored" in line]

    assert len(found) == faults
