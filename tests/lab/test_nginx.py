"""nginx, as Debian has it: what the load recorded, held against what nginx wrote into its log."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Literal

import pytest

from bench.lab.hosts.lock import machine_lock
from bench.lab.servers.own_image import Own
from bench.measure.deployment import deploy
from bench.measure.lab_testbed import prepare_bed
from bench.measure.testbed import Bed
from bench.measure.window import measure_window
from bench.results import files
from bench.scenario.conditions import conditions
from bench.scenario.load import Load
from bench.scenario.model import Arm
from bench.scenario.requests import Expected, Request
from bench.scenario.scenario import Scenario
from bench.scenario.service import Ready, Service, Tls
from bench.slots.requests import Outcome
from tests.lab.own_service.services import lay_service

REQUESTS = (
    Request(weight=5, expect=Expected(text="A page of nginx, whose length is stated.\n")),
    Request(path="/none", status=204, expect=Expected(bytes=0)),
    Request(path="/moved", status=301, headers={"X-Why": "a redirect is an answer"}),
    Request(path="/page", method="HEAD", expect=Expected(bytes=0)),
    Request(path="/upload", method="POST", body_bytes=1_048_576, expect=Expected(text="taken\n")),
    Request(path="/packed", headers={"Accept-Encoding": "gzip"}),
    Request(path="/ended"),
)
VERIFIED = 2
"""Whole answers of each request, beside the load: before it, and after it."""


@pytest.fixture(scope="module")
def nginx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bed]:
    folder = tmp_path_factory.mktemp("nginx")
    lay_service("nginx", folder)
    scenario = Scenario(
        name="nginx",
        question="Does the load count what nginx counts?",
        baseline="host",
        arms=(Arm(name="host", mode="host"), Arm(name="bridge", mode="bridge")),
        service=Service(
            build="nginx",
            port=443,
            mounts={"/etc/nginx/own": "nginx/own"},
            ready=Ready(path="/ready"),
            tls=Tls(
                certificate_at="/etc/nginx/tls/certificate.pem",
                key_at="/etc/nginx/tls/key.pem",
                plain_port=80,
            ),
        ),
        requests=REQUESTS,
    )
    with machine_lock("tests of nginx"):
        run_id = files.new_run_id(datetime.now(UTC))
        with prepare_bed(scenario, run_id, lambda _: None, own=Own(folder, folder)) as prepared:
            yield prepared


def count_both(
    bed: Bed, arm: str, load: Load
) -> tuple[Counter[str], Counter[str], list[str], dict[str, int]]:
    """What the load recorded, by request, and what nginx logged; its log, and the load's handshakes."""
    condition = conditions(bed.scenario)[0].model_copy(update={"load": load})
    with deploy(bed, bed.scenario.arm(arm), condition, f"bench-counted-{arm}") as deployment:
        result = measure_window(bed, deployment, 7).result
        assert deployment.server.container
        log = deployment.server.container.logs(stdout=True, stderr=False).decode().splitlines()
    assert set(result.records["outcome"].tolist()) == {int(Outcome.OK)}
    asked = bed.scenario.asked
    recorded = Counter(
        f"{request.method} {request.path} {request.status}"
        for request in (asked[index] for index in result.records["request"].tolist())
    )
    logged = Counter(" ".join(line.split()[:3]) for line in log)
    del logged["GET /ready 200"]
    handshakes = {"handshakes": result.handshakes, "resumed": result.resumed}
    return recorded, logged, log, handshakes


@pytest.mark.parametrize("arm", ["host", "bridge"])
@pytest.mark.parametrize("keep_alive", [True, False], ids=["kept", "fresh"])
@pytest.mark.parametrize("engine", ["raw", "raw-python"])
def test_every_request_of_every_kind_stands_once_in_the_log_of_the_server(
    nginx: Bed, arm: str, keep_alive: bool, engine: Literal["raw", "raw-python"]
) -> None:
    load = Load(engine=engine, tls=False, keep_alive=keep_alive, connections=3, warm_up_s=0.1, measure_s=0.4)
    recorded, logged, _, _ = count_both(nginx, arm, load)

    assert len(recorded) == len(REQUESTS)
    assert logged == recorded + Counter(dict.fromkeys(recorded, VERIFIED))


@pytest.mark.parametrize("keep_alive", [True, False], ids=["kept", "fresh"])
def test_over_tls_too_and_sessions_that_were_taken_up_are_as_many_as_the_server_says(
    nginx: Bed, keep_alive: bool
) -> None:
    load = Load(keep_alive=keep_alive, connections=2, warm_up_s=0.2, measure_s=0.6)
    recorded, logged, log, counted = count_both(nginx, "bridge", load)

    assert logged == recorded + Counter(dict.fromkeys(recorded, VERIFIED))
    if not keep_alive:
        reused = [line for line in log if line.endswith(" r.") and not line.startswith("GET /ready")]
        assert counted["handshakes"] == sum(recorded.values())
        assert len(reused) == counted["resumed"] > counted["handshakes"] // 2
