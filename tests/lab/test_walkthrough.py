"""The article's lab under the machine's own engine: every statement, its word, its key evidence."""

import importlib
import json
import subprocess
from pathlib import Path

import pytest

from bench.cli.publishing import publish_run
from bench.measure.progress import Watch
from bench.measure.run import Wanted, begin_run
from bench.records.findings import Finding, WalkthroughRecord, Word
from bench.records.run import SlotRecord
from bench.scenario.parsing import parse_scenario
from bench.walkthrough.statements import SUBJECTS
from tests.lab.conftest import bench, write_scenario
from tests.lab.world import World, snapshot

CONFIRMED, REFUTED = Word.CONFIRMED, Word.REFUTED
IDS = [statement.id for statements in SUBJECTS.values() for statement in statements]


class Walked:
    """A walkthrough that was made, and the machine before and after it."""

    def __init__(
        self, done: "subprocess.CompletedProcess[str]", folder: Path, before: World, after: World
    ) -> None:
        self.done = done
        self.before, self.after = before, after
        self.folder = folder
        text = (folder / "walkthrough.json").read_text()
        self.record = WalkthroughRecord.model_validate_json(text)
        self.findings = {finding.id: finding for finding in self.record.walks[0].findings}

    def __getitem__(self, id_: str) -> Finding:
        return self.findings[id_]

    def outputs(self, id_: str, command: str) -> list[str]:
        """What the commands that begin so printed."""
        found = [evidence.output for evidence in self[id_].evidence if evidence.command.startswith(command)]
        assert found, f"{id_} ran no {command}"
        return found


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> Walked:
    results = tmp_path_factory.mktemp("walkthrough")
    before = snapshot()
    done = bench("walkthrough", "--results", results)
    assert done.returncode == 0, done.stderr
    [folder] = (results / "walkthrough").iterdir()
    return Walked(done, folder, before, snapshot())


def test_every_statement_is_tried_and_none_fails_by_itself(walked: Walked) -> None:
    assert list(walked.findings) == IDS
    for finding in walked.findings.values():
        assert "could not be tried" not in finding.seen, finding


@pytest.mark.parametrize("id_", IDS)
def test_a_statement_leaves_every_host_as_it_was(walked: Walked, id_: str) -> None:
    assert walked[id_].left_behind == ()


def test_the_walkthrough_leaves_the_machine_as_it_was(walked: Walked) -> None:
    assert walked.after == walked.before


def test_the_table_has_every_statement_and_the_page_its_evidence(walked: Walked) -> None:
    page = (walked.folder / "walkthrough.md").read_text()
    for finding in walked.findings.values():
        assert finding.id in walked.done.stdout
        assert f"#### {finding.id}: {finding.word}" in page
    assert "[docker2] ss -ltnp" in page
    assert str(walked.folder / "walkthrough.md") in walked.done.stdout.replace("\n", "")


def test_the_record_names_engine_and_lab(walked: Walked) -> None:
    [walk] = walked.record.walks
    assert walk.engine == "machine"
    assert walk.version[0].isdigit()
    assert walked.record.id == walked.folder.name
    assert "198.18.0.100" in walked.record.hosts["docker1"]
    assert "198.18.0.200" in walked.record.hosts["docker1"]


# The four modes


def test_four_modes_still_run_and_drivers_came_since(walked: Walked) -> None:
    found = walked["four-modes"]
    assert found.word is Word.CHANGED_SINCE
    assert found.checks["a container runs in each of the four"]
    assert "macvlan" in found.seen
    assert walked.record.walks[0].version in found.seen


def test_a_container_without_a_mode_is_on_docker0(walked: Walked) -> None:
    assert walked["bridge-is-the-default"].word is CONFIRMED
    assert "veth" in walked.outputs("bridge-is-the-default", "ip -brief link")[0]


def test_one_host_mixes_all_modes(walked: Walked) -> None:
    assert walked["modes-mix-on-one-host"].word is CONFIRMED
    assert walked.outputs("modes-mix-on-one-host", "curl") == ["host", "bridge", "mapped"]


# Mapped container and none


def test_a_mapped_container_shares_interfaces_addresses_and_ports(walked: Walked) -> None:
    id_ = "mapped-container-shares-the-network"
    assert walked[id_].word is CONFIRMED
    assert walked.outputs(id_, "docker exec web1") == walked.outputs(id_, "docker exec web2")
    assert walked.outputs(id_, "curl") == ["web2"]


def test_a_mapped_container_shares_no_processes_and_files(walked: Walked) -> None:
    id_ = "mapped-container-keeps-the-rest-apart"
    assert walked[id_].word is CONFIRMED
    assert "apache2" in walked.outputs(id_, "docker exec web1 sh -c 'cat")[0]
    assert "apache2" not in walked.outputs(id_, "docker exec web2 sh -c 'cat")[0]


def test_a_port_of_a_shared_network_is_one_containers(walked: Walked) -> None:
    id_ = "mapped-containers-clash-on-a-port"
    assert walked[id_].word is CONFIRMED
    assert "could not bind" in walked.outputs(id_, "docker logs web2")[0]


def test_none_has_only_loopback_and_is_unreachable(walked: Walked) -> None:
    id_ = "none-has-only-loopback"
    assert walked[id_].word is CONFIRMED
    [addresses] = walked.outputs(id_, "docker exec web1 ip -brief address")
    assert [line.split()[0] for line in addresses.splitlines()] == ["lo"]


def test_none_is_reachable_once_it_is_wired_by_hand(walked: Walked) -> None:
    first, *_, last = walked.outputs("none-can-be-wired-by-hand", "curl")
    assert walked["none-can-be-wired-by-hand"].word is CONFIRMED
    assert first.startswith("curl: (")
    assert last == "web1"


# Host mode


def test_host_mode_shows_exactly_the_hosts_interfaces(walked: Walked) -> None:
    id_ = "host-mode-shows-the-hosts-interfaces"
    assert walked[id_].word is CONFIRMED
    assert walked.outputs(id_, "docker exec web1 ip address") == walked.outputs(id_, "ip address")
    assert walked.outputs(id_, "docker exec web1 readlink") == walked.outputs(id_, "readlink")


def test_host_mode_gets_no_address_from_docker(walked: Walked) -> None:
    assert walked["host-mode-has-no-address-of-its-own"].word is CONFIRMED
    assert walked.outputs("host-mode-has-no-address-of-its-own", "docker inspect") == ['""']


def test_host_mode_shares_nothing_but_the_network(walked: Walked) -> None:
    assert walked["host-mode-shares-only-the-network"].word is CONFIRMED


def test_the_server_listens_as_a_process_of_the_host(walked: Walked) -> None:
    id_ = "server-listens-as-a-process-of-the-host"
    assert walked[id_].word is CONFIRMED
    assert '("apache2",pid=' in walked.outputs(id_, "ss -ltnp")[0]


def test_listen_80_answers_on_every_interface(walked: Walked) -> None:
    assert walked["listen-80-binds-every-interface"].word is CONFIRMED
    assert walked.outputs("listen-80-binds-every-interface", "curl") == ["web1"] * 3


# Firewall


def test_a_published_port_adds_a_mapping_that_goes_with_the_container(walked: Walked) -> None:
    with_it, without = walked.outputs("bridge-mode-writes-rules", "diff")
    assert walked["bridge-mode-writes-rules"].word is CONFIRMED
    assert "--dport 81 -j DNAT" in with_it
    assert without == ""


def test_host_mode_adds_no_rule_to_any_table(walked: Walked) -> None:
    assert walked["host-mode-adds-no-rule"].word is CONFIRMED
    assert walked.outputs("host-mode-adds-no-rule", "diff") == [""]


def test_host_mode_is_unreachable_behind_a_dropping_firewall_until_a_rule_is_added(walked: Walked) -> None:
    id_ = "host-mode-needs-a-rule-by-hand"
    open_host, closed, opened = walked.outputs(id_, "curl")
    assert walked[id_].word is CONFIRMED
    assert (open_host, opened) == ("web1", "web1")
    assert "timed out" in closed
    assert "-P INPUT DROP" in walked.outputs(id_, "iptables -S")[0]


def test_publishing_a_port_in_host_mode_does_nothing_and_the_engine_says_so(walked: Walked) -> None:
    id_ = "publishing-in-host-mode-does-nothing"
    assert walked[id_].word is CONFIRMED
    assert walked.outputs(id_, "diff") == [""]
    assert "WARNING: Published ports are discarded" in walked.outputs(id_, "docker run")[0]


def test_a_rule_without_an_address_opens_all_of_them(walked: Walked) -> None:
    assert walked["rule-without-address-opens-every-address"].word is CONFIRMED


def test_a_published_port_is_reachable_past_the_hosts_firewall(walked: Walked) -> None:
    default, by_name, docker_user = walked.outputs("bridge-mode-needs-no-rule", "curl")
    assert walked["bridge-mode-needs-no-rule"].word is CONFIRMED
    assert (default, by_name) == ("web1", "web1")
    assert "timed out" in docker_user
    assert "DOCKER-USER" in walked["bridge-mode-needs-no-rule"].seen


def test_a_privileged_container_may_change_the_hosts_firewall_where_it_can_be_started(walked: Walked) -> None:
    found = walked["privileged-container-can-open-the-hosts-firewall"]
    assert found.word in {CONFIRMED, Word.NOT_TESTABLE}
    assert found.word is CONFIRMED or "not permitted" in found.seen


def test_net_admin_may_change_the_hosts_firewall_and_a_plain_container_may_not(walked: Walked) -> None:
    assert walked["net-admin-is-enough"].word is CONFIRMED
    assert walked["plain-container-cannot-change-the-firewall"].word is CONFIRMED
    assert "ermission denied" in walked["plain-container-cannot-change-the-firewall"].seen


def test_in_bridge_mode_net_admin_ends_at_the_container(walked: Walked) -> None:
    assert walked["in-bridge-mode-the-right-ends-at-the-container"].word is CONFIRMED


# Ports and addresses


def test_the_first_of_two_containers_on_port_80_answers(walked: Walked) -> None:
    id_ = "the-first-container-keeps-the-port"
    assert walked[id_].word is CONFIRMED
    assert walked.outputs(id_, "curl") == ["web1"] * 4
    assert "Address already in use" in walked.outputs(id_, "docker logs web2")[0]


def test_both_containers_are_shown_running_only_where_the_server_is_not_the_main_process(
    walked: Walked,
) -> None:
    assert walked["both-are-shown-running-where-the-server-is-a-child"].word is CONFIRMED
    other = walked["both-are-shown-running-in-any-case"]
    assert other.word is REFUTED
    assert "exit code 1" in other.seen
    assert "web2\texited" in walked.outputs(other.id, "docker ps")[0]


def test_the_second_container_sees_the_port_taken_and_not_by_whom(walked: Walked) -> None:
    id_ = "the-second-container-sees-the-port-without-its-owner"
    assert walked[id_].word is CONFIRMED
    assert "pid=" not in walked.outputs(id_, "docker exec web2 ss")[0]
    assert "pid=" in walked.outputs(id_, "ss -ltnp")[0]


def test_two_servers_that_agree_share_one_port(walked: Walked) -> None:
    assert walked["one-address-and-port-one-container"].word is REFUTED
    assert "SO_REUSEPORT" in walked["one-address-and-port-one-container"].seen


def test_bridge_mode_runs_three_containers_on_80_and_host_mode_does_not(walked: Walked) -> None:
    bridge, host = "bridge-mode-maps-three-containers-on-80", "host-mode-has-no-port-mapping"
    assert walked[bridge].word is CONFIRMED
    assert walked.outputs(bridge, "curl") == ["web1", "web2", "web3"]
    assert walked[host].word is CONFIRMED
    assert walked.outputs(host, "docker ps")[0].count("exited") == 2


def test_two_host_mode_apaches_on_two_addresses_each_answer_with_their_own_page(walked: Walked) -> None:
    id_ = "two-addresses-serve-two-containers"
    assert walked[id_].word is CONFIRMED
    assert walked.outputs(id_, "curl")[:2] == ["web1", "web2"]


def test_the_host_sees_a_server_on_each_address(walked: Walked) -> None:
    [listening] = walked.outputs("the-host-sees-one-server-an-address", "ss -ltnp")
    assert walked["the-host-sees-one-server-an-address"].word is CONFIRMED
    assert "198.18.0.100:80" in listening
    assert "198.18.0.200:80" in listening


def test_one_rule_opens_both_addresses(walked: Walked) -> None:
    assert walked["the-same-firewall-rule-applies-to-both"].word is CONFIRMED


# Hooks and client addresses


def test_host_mode_still_meets_prerouting_and_input_and_never_forward(walked: Walked) -> None:
    found = walked["host-mode-still-passes-iptables"]
    assert found.word is CONFIRMED
    assert "INPUT (mangle" in found.seen
    assert "FORWARD (" not in found.seen


def test_bridge_mode_is_forwarded_and_its_mapping_is_met_once_a_connection(walked: Walked) -> None:
    found = walked["bridge-mode-passes-docker0-and-the-port-mapping"]
    assert found.word is CONFIRMED
    assert "FORWARD (mangle" in found.seen
    assert "INPUT (" not in found.seen
    assert "nat 1" in found.seen


def test_a_wired_container_is_forwarded_to(walked: Walked) -> None:
    assert walked["a-wired-container-is-routed-to"].word is CONFIRMED


@pytest.mark.parametrize(
    ("id_", "addresses"),
    [
        ("host-mode-sees-the-client", ["198.18.0.10", "198.18.0.100", "127.0.0.1"]),
        ("bridge-mode-sees-clients-of-other-hosts", ["198.18.0.10"]),
        ("bridge-mode-sees-docker0-for-loopback", ["198.18.0.100", "198.19.0.1"]),
        ("docker-proxy-hides-every-client", ["198.19.0.1"] * 3),
        ("rootless-builtin-hides-every-client", ["198.19.0.1"] * 2),
    ],
)
def test_apache_logs_these_client_addresses(walked: Walked, id_: str, addresses: list[str]) -> None:
    [log] = walked.outputs(id_, "docker logs")
    assert walked[id_].word is CONFIRMED
    assert [line.split()[0] for line in log.splitlines() if " 200 GET " in line] == addresses


# A rootless engine


def test_host_mode_of_a_rootless_engine_is_no_host_s_that_anybody_reaches(walked: Walked) -> None:
    found = walked["rootless-host-mode-is-rootlesskits"]
    assert found.word is CONFIRMED
    [inside] = walked.outputs(found.id, "docker exec web1 readlink")
    kit, own = walked.outputs(found.id, "readlink /proc")
    assert inside == kit != own


def test_a_rootless_engine_s_port_is_a_process_and_no_rule_of_its_host(walked: Walked) -> None:
    assert walked["rootless-leaves-the-hosts-rules-alone"].word is CONFIRMED


def test_slirp4netns_keeps_the_address_of_a_client_on_another_host(walked: Walked) -> None:
    found = walked["rootless-slirp4netns-shows-the-client"]
    [log] = walked.outputs(found.id, "docker logs")
    assert found.word is CONFIRMED
    assert log.splitlines()[-2].split()[0] == "198.18.0.10"


# Readers' questions


@pytest.mark.parametrize(
    "id_",
    [
        "containers-of-a-pod-share-an-address",
        "host-mode-reaches-the-hosts-loopback",
        "options-after-the-image-are-its-command",
    ],
)
def test_a_readers_question_is_answered(walked: Walked, id_: str) -> None:
    assert walked[id_].word is CONFIRMED


def test_a_containers_address_can_be_routed_to_with_rules_that_depend_on_the_engine(walked: Walked) -> None:
    found = walked["a-containers-address-can-be-routed-to"]
    assert found.word in {CONFIRMED, Word.CHANGED_SINCE}
    assert walked.outputs(found.id, "curl")[-1] == "web1"


def test_what_needs_windows_is_not_testable_here_and_says_why(walked: Walked) -> None:
    assert walked["host-mode-on-windows"].word is Word.NOT_TESTABLE
    assert "Linux" in walked["host-mode-on-windows"].seen


def test_an_engine_that_cannot_be_had_is_an_environment_that_lacks_it(tmp_path: Path) -> None:
    done = bench("walkthrough", "--engine", "debian:nosuchsuite", "--results", tmp_path, "--json")
    assert done.returncode == 3, done.stderr
    assert "nosuchsuite" in done.stderr.replace("\n", "")
    assert not list(tmp_path.rglob("walkthrough.json"))


def test_json_is_the_stored_record_and_nothing_else(walked: Walked) -> None:
    stored = json.loads((walked.folder / "walkthrough.json").read_text())
    assert WalkthroughRecord.model_validate(stored | {}).model_dump(mode="json") == stored


class Silent:
    """Nobody watches."""

    def stage(self, what: str) -> None:
        """Nothing."""

    def slot(self, record: SlotRecord, done: int, planned: int, seconds_left: float) -> None:
        """Nothing."""


def test_a_run_that_asks_for_it_tries_the_statements_first_and_reports_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject, statements = next(iter(SUBJECTS.items()))
    # The package has a function of the module's name.
    module = importlib.import_module("bench.walkthrough.walk")
    monkeypatch.setattr(module, "SUBJECTS", {subject: statements[:1]})
    text = "walkthrough = true\n" + write_scenario(tmp_path, 2).read_text()
    wanted = Wanted(parse_scenario(text, "small"), seed=1)
    run = begin_run(wanted, tmp_path / "results", Watch(Silent(), publish_run))

    record = run.walkthrough
    assert record is not None
    [found] = record.walks[0].findings
    assert found.id == statements[0].id
    assert record.walks[0].engine == "machine"
    assert len(run.record.slots) == 8
    assert statements[0].text in (run.path / "report.html").read_text()
    assert "walkthrough.json" in (run.path / "SHA256SUMS").read_text()


# By which name, and from where


@pytest.mark.parametrize(
    "id_",
    [
        "containers-of-a-network-know-names",
        "names-end-with-the-network",
        "docker0-knows-no-names",
        "macvlan-is-out-of-its-own-hosts-reach",
        "mapped-container-shares-loopback",
    ],
)
def test_what_the_card_says_of_names_and_reach_is_so(walked: Walked, id_: str) -> None:
    assert walked[id_].word is CONFIRMED, walked[id_]


def test_dockers_resolver_stands_in_a_user_defined_network_alone(walked: Walked) -> None:
    seen = "docker exec web2 cat /etc/resolv.conf"
    assert "127.0.0.11" in walked.outputs("containers-of-a-network-know-names", seen)[0]
    assert "127.0.0.11" not in walked.outputs("docker0-knows-no-names", seen)[0]
