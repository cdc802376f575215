"""Whose the server is: what takes the place of a container that was proved gets no request of load."""

import pytest

from bench.generator.failures import NotOurs
from bench.measure.deployment import deploy
from bench.measure.testbed import Bed
from bench.measure.window import measure_window
from bench.scenario.conditions import conditions
from tests.lab.conftest import wait_until
from tests.lab.testbed.conftest import LOAD

LOGGING = ["/usr/sbin/apache2", "-DFOREGROUND", "-DAccessLog", "-f", "/etc/bench/httpd.conf"]


@pytest.mark.parametrize("name", ["host", "bridge"])
def test_a_container_that_is_swapped_under_a_run_is_refused_before_the_first_request_of_load(
    bed: Bed, name: str
) -> None:
    arm, condition = bed.scenario.arm(name), conditions(bed.scenario)[0].model_copy(update={"load": LOAD})
    with deploy(bed, arm, condition, f"bench-swapped-{name}") as deployment:
        bed.generator.prove(deployment.server.endpoint, deployment.server.secret)
        ours, client = deployment.server.container, deployment.site.engine.client
        assert ours
        ours.kill()
        ours.wait()
        environment = {
            key: value for key, _, value in (each.partition("=") for each in ours.attrs["Config"]["Env"])
        }
        ports = {
            inside: (outside[0]["HostIp"], int(outside[0]["HostPort"]))
            for inside, outside in (ours.attrs["HostConfig"]["PortBindings"] or {}).items()
        }
        other = client.containers.run(
            bed.image.id,
            LOGGING,
            detach=True,
            network_mode=ours.attrs["HostConfig"]["NetworkMode"],
            environment={**environment, "BENCH_WORD": "of somebody else"},
            ports=ports or None,
        )
        try:
            path = f"/{condition.load.page_bytes}"
            assert bed.generator.first_200_ns(deployment.server.endpoint, path)
            asked = len(other.logs(stdout=True, stderr=False).splitlines())
            with pytest.raises(NotOurs, match="says 'of somebody else'"):
                measure_window(bed, deployment, 0)
            wait_until(
                lambda: len(other.logs(stdout=True, stderr=False).splitlines()) > asked,
                "the word was asked for",
            )
            told = other.logs(stdout=True, stderr=False).decode().splitlines()[asked:]
            assert len(told) == 1
            assert "/bench-word" in told[0]
        finally:
            other.remove(force=True)
