"""Settings of links: words, what they plan, and what of a difference between arms they explain."""

import pytest
from pydantic import ValidationError

from bench.errors import InputError
from bench.measure.settings import SETTINGS, find_lab_only, plan_settings
from bench.scenario.conditions import conditions
from bench.scenario.factors import FACTORS
from bench.scenario.links import FIELDS, KNOBS, find_changed, parse_offloads, parse_queue
from bench.scenario.model import LabSettings
from bench.scenario.modes.catalogue import MODES
from bench.scenario.modes.model import Mode
from bench.scenario.parsing import parse_scenario
from bench.slots.surroundings import find_differences

from .conftest import make_scenario


def lab(**fields: object) -> LabSettings:
    return LabSettings.model_validate(fields)


def test_every_knob_of_every_link_is_a_factor_and_a_setting() -> None:
    assert {f"lab.{field}" for field in FIELDS} <= FACTORS
    assert set(FIELDS) <= {setting.field for setting in SETTINGS}
    assert len(FIELDS) == 8


def test_links_are_as_they_are_by_themselves() -> None:
    assert find_changed(LabSettings()) == ()
    assert all(getattr(LabSettings(), field) == KNOBS[knob].as_it_is for field, (_, knob) in FIELDS.items())
    assert not [line for line in plan_settings([LabSettings()]) if "_mtu" in line or "ICMP" in line]


@pytest.mark.parametrize("text", ["gro gso", "gro,gso", " gro , gso gro "])
def test_offloads_may_stand_with_commas_or_blanks(text: str) -> None:
    assert parse_offloads(text) == ("gro", "gso")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ()),
        ("noqueue", ("noqueue",)),
        ("pfifo 100", ("pfifo", "limit", "100")),
        ("pfifo limit 100", ("pfifo", "limit", "100")),
        ("tbf rate 1gbit burst 32kb", ("tbf", "rate", "1gbit", "burst", "32kb")),
    ],
)
def test_a_queue_is_what_tc_takes_and_a_number_behind_its_kind_is_its_limit(
    text: str, words: tuple[str, ...]
) -> None:
    assert parse_queue(text) == words


@pytest.mark.parametrize(
    ("field", "level", "said"),
    [
        ("uplink_mtu", 575, "576"),
        ("veth_mtu", 65_536, "65,535"),
        ("uplink_mtu", -1, "576"),
        ("veth_offloads_off", "gro foo", "foo is none of the offloads"),
        ("docker0_queue", "pfifo; reboot", "no queueing discipline"),
        ("docker0_queue", "-h", "no queueing discipline"),
    ],
)
def test_what_a_link_cannot_have_is_refused_in_words(field: str, level: object, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        lab(**{field: level})


def test_the_plan_names_the_link_and_its_levels() -> None:
    [line] = [line for line in plan_settings([lab(), lab(uplink_mtu=1400)]) if "uplink_mtu" in line]
    assert "eth0" in line
    assert line.endswith("1400")
    assert [line for line in plan_settings([lab(too_big_icmp=False)]) if "ICMP" in line]


@pytest.mark.parametrize(
    ("modes", "lab_table", "said"),
    [
        (("host", "bridge-ipv6"), "uplink_mtu = 1000", "lab.uplink_mtu: bridge-ipv6 is served over IPv6"),
        (("host", "bridge-ipv6"), "uplink_mtu = 1280", ""),
        (("host", "bridge"), "uplink_mtu = 1000", ""),
        (("host", "macvlan"), "veth_mtu = 1400", "lab.veth_mtu: no arm here has such a link"),
        (("host", "wired"), "veth_mtu = 1400", ""),
    ],
)
def test_what_does_not_go_with_the_arms_is_refused(modes: tuple[str, str], lab_table: str, said: str) -> None:
    arms = "".join(f'[[arms]]\nname = "{mode}"\nmode = "{mode}"\n' for mode in modes)
    text = f'name = "unit"\nquestion = "Why?"\nbaseline = "host"\n{arms}[lab]\n{lab_table}\n'
    if not said:
        assert parse_scenario(text, "unit.toml").name == "unit"
        return
    with pytest.raises(InputError, match=said):
        parse_scenario(text, "unit.toml")


def test_links_of_a_machine_of_ones_own_are_not_set() -> None:
    refused = find_lab_only([lab(veth_queue="noqueue", too_big_icmp=False)])
    assert set(refused) == {"lab.veth_queue", "lab.too_big_icmp"}
    assert find_lab_only([lab()]) == {}


def test_a_level_at_which_nothing_is_set_has_a_name() -> None:
    labels = [
        condition.label
        for condition in conditions(make_scenario(factors={"lab.veth_offloads_off": ("", "gro")}))
    ]
    assert labels == ["veth_offloads_off=none", "veth_offloads_off=gro"]


@pytest.mark.parametrize(
    ("settings", "modes", "explained"),
    [
        ({"uplink_mtu": 1400}, (Mode.HOST, Mode.BRIDGE), True),
        ({"veth_mtu": 1400}, (Mode.HOST, Mode.BRIDGE), True),
        ({}, (Mode.HOST, Mode.BRIDGE), False),
        ({"uplink_queue": "noqueue"}, (Mode.HOST, Mode.BRIDGE), False),
        ({"veth_mtu": 1400}, (Mode.BRIDGE, Mode.USER_BRIDGE), False),
        ({"uplink_mtu": 1400}, (Mode.HOST, Mode.MACVLAN), False),
        ({"uplink_mtu": 1400}, (Mode.BRIDGE, Mode.MACVLAN), True),
    ],
)
def test_another_mtu_is_explained_where_the_scenario_set_it_on_the_link_of_one_of_the_two(
    settings: dict[str, object], modes: tuple[Mode, Mode], explained: bool
) -> None:
    [found] = find_differences(
        {"link mtu": "1400"},
        {"link mtu": "1500"},
        (MODES[modes[0]], MODES[modes[1]]),
        find_changed(lab(**settings)),
    )
    assert (found.reason is not None) is explained


def test_offloads_explain_no_difference_of_the_queue() -> None:
    [found] = find_differences(
        {"link qdisc": "noqueue"},
        {"link qdisc": "pfifo"},
        (MODES[Mode.HOST], MODES[Mode.BRIDGE]),
        find_changed(lab(uplink_offloads_off="gro")),
    )
    assert found.reason is None
