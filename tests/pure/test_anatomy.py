"""The anatomy of stored runs whose hops are known."""

from pathlib import Path

import pytest

from bench.errors import InputError
from bench.results.run import Run
from bench.scenario.model import Arm
from bench.scenario.modes.catalogue import MODES
from bench.scenario.modes.model import Mode, Vantage
from bench.scenario.plan import Slot
from bench.wire.anatomy.hop_names import LINK, PUT_ON, TAKEN_OFF, name_hop
from bench.wire.anatomy.model import Anatomy
from bench.wire.hops import Group

from .captures import (
    ARMS,
    CLIENT_US,
    SERVER_US,
    TAP_US,
    TAPPED,
    Took,
    make_tapped,
    store_captures,
    usual_us,
)
from .reports import judged

TWO = tuple(Arm(name=name, mode=name) for name in ("host", "bridge"))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Eight modes with and without taps; a slot of bridge's captures is INVALID."""
    scenario = make_tapped()
    return judged(
        store_captures(
            tmp_path_factory.mktemp("captured"),
            scenario,
            invalid=lambda slot: (slot.arm, slot.block, slot.repeat) == ("bridge", 1, 0),
        )
    )


@pytest.fixture(scope="module")
def anatomy(run: Run) -> Anatomy:
    return run.anatomy


def test_every_hop_of_every_arm_is_recovered_exactly(anatomy: Anatomy) -> None:
    assert [arm.arm for arm in anatomy.arms] == [arm.name for arm in ARMS]
    for arm in anatomy.arms:
        slot = Slot(index=0, session=0, block=0, arm=arm.arm, condition=1, repeat=0)
        for hop in arm.hops:
            took_us = usual_us(slot, hop.row.name)
            assert [hop.row.median_us, hop.mean.us] == pytest.approx([took_us] * 2, abs=1e-9), hop.row.name
        assert sum(hop.mean.us for hop in arm.hops) == pytest.approx(arm.wire.us, abs=1e-9)


def test_the_shares_of_a_request_add_up_to_its_time_at_the_client(anatomy: Anatomy) -> None:
    for arm in anatomy.arms:
        shares = arm.shares
        assert shares.client.us == pytest.approx(CLIENT_US)
        assert shares.server.us == pytest.approx(SERVER_US)
        assert shares.client.us + shares.network_us + shares.server.us == pytest.approx(shares.service.us)


def test_a_request_is_joined_with_its_own_stamps_whatever_the_order_in_which_they_ended(
    tmp_path: Path,
) -> None:
    # With every request as long as another, a wrong join shows; it would leave the client less than nothing.
    run = judged(store_captures(tmp_path, make_tapped(arms=TWO), spread=0.4))

    for arm in run.anatomy.arms:
        assert 0.5 * CLIENT_US < arm.shares.client.us < 1.5 * CLIENT_US


def test_the_steps_add_up_to_the_difference_and_so_do_the_bars_that_they_are_drawn_as(
    anatomy: Anatomy,
) -> None:
    assert [found.candidate for found in anatomy.explanations] == [arm.name for arm in ARMS[1:]]
    for found in anatomy.explanations:
        waterfall = found.waterfall
        difference = waterfall.candidate_us - waterfall.baseline_us
        assert sum(step.difference_us for step in waterfall.steps) == pytest.approx(difference, abs=1e-9)
        assert sum(bar.us for bar in found.bars) == pytest.approx(difference, abs=1e-9)


def test_what_the_steps_explain_is_the_difference_that_slots_without_taps_measured(
    run: Run, anatomy: Anatomy
) -> None:
    for found in anatomy.explanations:
        [compared] = [
            c
            for c in run.verdict.comparisons
            if (c.kind, c.candidate, c.metric) == ("arms", found.candidate, "p50_latency_us")
        ]
        assert compared.condition == "taps=false"
        assert found.waterfall.measured_us == compared.difference
        assert found.measured_ci95 == compared.difference_ci95
        # Slots without taps are as long as the hops say without their taps, but for their noise of 0.2 %.
        taps = len(anatomy.of(found.candidate, 1).taps) - len(anatomy.of("host", 1).taps)
        assert found.waterfall.unexplained_us == pytest.approx(-TAP_US * taps, abs=0.3)


def test_the_cost_of_more_taps_accounts_for_what_is_left(anatomy: Anatomy) -> None:
    [bridge] = [found for found in anatomy.explanations if found.candidate == "bridge"]

    # Bridge's path has three taps more than host's.
    assert bridge.taps_us == pytest.approx(3 * TAP_US, abs=0.3)
    assert bridge.client_us == pytest.approx(0, abs=1e-9)
    assert bridge.waterfall.unexplained_us == pytest.approx(-3 * TAP_US, abs=0.3)
    assert bridge.remainder_us == pytest.approx(0, abs=0.2)


def test_a_bar_is_named_by_what_the_mode_does_there(anatomy: Anatomy) -> None:
    [proxy] = [found for found in anatomy.explanations if found.candidate == "proxy"]
    titles = {bar.title: round(bar.us, 6) for bar in proxy.bars if bar.group is Group.REQUEST}

    assert titles == {
        "link, switch, receive queue": 0.0,
        "docker-proxy: two sockets and a copy": 16.0,
        "bridge": 0.6,
        "veth pair": 0.7,
    }


def test_captures_that_are_invalid_are_left_out_and_counted(anatomy: Anatomy) -> None:
    assert anatomy.left_out == {"bridge": 1}
    assert anatomy.of("bridge", 1).captures == 7
    assert anatomy.of("host", 1).captures == 8
    with pytest.raises(KeyError, match="bridge has no valid capture under condition 0"):
        anatomy.of("bridge", 0)


def test_an_arm_without_a_valid_capture_has_no_anatomy_and_the_others_do(tmp_path: Path) -> None:
    scenario = make_tapped(arms=ARMS[:3])
    run = judged(
        store_captures(
            tmp_path,
            scenario,
            invalid=lambda slot: slot.arm == "native",
            unavailable={"macvlan": "no such driver"},
        )
    )

    assert [arm.arm for arm in run.anatomy.arms] == ["host"]
    assert run.anatomy.left_out == {"native": 8}
    assert run.anatomy.explanations == ()


def test_signs_of_loss_are_summed_over_taps_and_captures(tmp_path: Path) -> None:
    seen: dict[str, object] = {
        "received": 9,
        "dropped": 2,
        "counts": {"packets": 7, "connections": 1, "resets": 3},
    }
    seen |= {"handshakes_us": ()}
    run = judged(store_captures(tmp_path, make_tapped(arms=TWO), taps=seen))
    host = run.anatomy.of("host", 1)

    taps = 2 * 8
    assert (host.packets, host.dropped, dict(host.losses)) == (7 * taps, 2 * taps, {"resets": 3 * taps})
    assert host.handshakes == ()


def test_a_handshake_is_told_at_every_tap_that_saw_it(anatomy: Anatomy) -> None:
    host = anatomy.of("host", 1)

    assert [(shake.tap, shake.median_us, shake.connections) for shake in host.handshakes] == [
        ("client", 32.0, 16),
        ("uplink", 31.0, 16),
    ]


def slowed(hop: str, us: float, arms: set[str]) -> Took:
    """Hops of a scenario whose conditions are: untouched, with taps; then both under the control."""

    def took(slot: Slot, name: str) -> float:
        more = us if name == hop and slot.condition >= 2 and slot.arm in arms else 0.0
        return usual_us(slot, name) + more

    return took


@pytest.mark.parametrize(
    ("factor", "levels", "hop", "us", "arms"),
    [
        ("lab.forward_rules", (0, 2_000), "request: uplink to bridge", 9.0, {"bridge"}),
        ("lab.server_wait_us", (0, 40), "server", 40.0, {"host", "bridge"}),
    ],
)
def test_a_positive_control_shows_in_its_own_hop_and_in_no_other(
    tmp_path: Path, factor: str, levels: tuple[int, int], hop: str, us: float, arms: set[str]
) -> None:
    scenario = make_tapped(arms=TWO, factors={factor: levels, **TAPPED})
    run = judged(store_captures(tmp_path, scenario, slowed(hop, us, arms)))

    contrasts = {found.candidate: found for found in run.anatomy.contrasts}
    assert set(contrasts) == {"host", "bridge"}
    for arm, found in contrasts.items():
        assert (found.baseline, found.factor, found.reference, found.condition) == (arm, factor, 1, 3)
        steps = {step.name: round(step.difference_us, 6) for step in found.waterfall.steps}
        assert {name: size for name, size in steps.items() if size} == ({hop: us} if arm in arms else {})
        assert found.waterfall.measured_us == pytest.approx(us if arm in arms else 0, abs=0.3)


def test_a_run_without_taps_has_an_empty_anatomy(tmp_path: Path) -> None:
    run = judged(store_captures(tmp_path, make_tapped(arms=TWO, factors={})))

    assert (run.anatomy.arms, run.anatomy.explanations, run.anatomy.left_out) == ((), (), {})


def test_hops_are_read_as_they_were_stored_and_without_gaps(run: Run) -> None:
    [slot] = [s.slot.index for s in run.tapped if (s.slot.arm, s.slot.block, s.slot.repeat) == ("host", 0, 0)]
    hops = run.hops(slot)

    assert list(hops.columns) == [
        "id",
        *(f"{tap}_{what}_ns" for tap in ("client", "uplink") for what in ("request", "first", "last")),
    ]
    assert {str(kind) for kind in hops.dtypes} == {"int64"}
    assert hops["id"].tolist()[:2] == [0, 2]


def test_a_slot_without_taps_has_no_hops_and_the_fault_names_those_that_have(run: Run) -> None:
    [slot, *_] = [record.slot.index for record in run.record.slots if record.slot.condition == 0]

    for ask in (run.hops, run.trace):
        with pytest.raises(InputError, match="measured without taps") as fault:
            ask(slot)
        assert str(run.tapped[0].slot.index) in str(fault.value)
    with pytest.raises(KeyError, match="slot 9999 is not measured"):
        run.hops(9_999)


def test_hops_whose_file_is_gone_are_bad_input_that_names_it(tmp_path: Path) -> None:
    run = store_captures(tmp_path, make_tapped(arms=TWO))
    slot = run.tapped[0].slot
    (tmp_path / slot.directory / "hops.parquet").unlink()

    with pytest.raises(InputError, match=r"hops\.parquet"):
        run.hops(slot.index)


@pytest.mark.parametrize(
    ("mode", "near", "far", "there", "back"),
    [
        (Mode.HOST, "client", "uplink", LINK, LINK),
        (Mode.OVERLAY, "client", "peer", f"peer's bridge, {PUT_ON}", f"{TAKEN_OFF}, peer's bridge"),
        (Mode.OVERLAY, "peer", "uplink", LINK, LINK),
        (Mode.OVERLAY, "uplink", "vxlan", TAKEN_OFF, PUT_ON),
        (Mode.OVERLAY, "vxlan", "container", "bridge", "veth pair"),
    ],
)
def test_hops_from_a_peer_are_named_by_what_its_host_does_as_well(
    mode: Mode, near: str, far: str, there: str, back: str
) -> None:
    names = (
        name_hop(MODES[mode], near, far, group, Vantage.PEER) for group in (Group.REQUEST, Group.RESPONSE)
    )
    assert [name.partition(";")[0] for name in names] == [there, back]


@pytest.mark.parametrize(
    ("mode", "near", "far", "there", "back"),
    [
        (Mode.BRIDGE, "uplink", "bridge", "conntrack, DNAT, routing", "conntrack, NAT undone, routing"),
        (Mode.BRIDGE_ROUTED, "uplink", "bridge", "routing, forward rules", "routing, forward rules"),
        (Mode.WIRED, "uplink", "veth", "routing, forward rules", "routing, forward rules"),
        (Mode.PROXY, "uplink", "bridge", "docker-proxy", "docker-proxy"),
        (Mode.ROOTLESS_BUILTIN, "uplink", "rootless", "RootlessKit: two sockets", "RootlessKit: two sockets"),
        (Mode.ROOTLESS_BUILTIN, "rootless", "bridge", "docker-proxy", "docker-proxy"),
        (Mode.ROOTLESS_PASTA, "uplink", "rootless", "network stack in user", "network stack in user"),
        (
            Mode.ROOTLESS_PASTA,
            "rootless",
            "veth",
            "conntrack, DNAT, routing",
            "bridge; conntrack, NAT undone",
        ),
        (Mode.MACVLAN, "uplink", "container", "macvlan to the container", "macvlan to the uplink"),
        (Mode.BRIDGE, "bridge", "container", "bridge; veth pair", "veth pair; bridge"),
        (Mode.HOST, "uplink", "elsewhere", "uplink to elsewhere", "elsewhere to uplink"),
    ],
)
def test_hops_are_named_by_what_the_mode_does_between_two_taps(
    mode: Mode, near: str, far: str, there: str, back: str
) -> None:
    assert name_hop(MODES[mode], near, far, Group.REQUEST).startswith(there)
    assert name_hop(MODES[mode], near, far, Group.RESPONSE).startswith(back)
