"""A Docker host, load hosts, a jump, and machines that are as they should not be; made once."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bench.lab.hosts.lock import machine_lock
from bench.lab.servers.image import provide_host_image, provide_image
from bench.paths import CACHE
from tests.lab.conftest import SCENARIO
from tests.lab.machines import Done, Look, MachinePlan, Machines, machines

OURS = ("bench:", "bench-base:", "bench-host:", "<none>")
"""Images that a run keeps on a host, and the steps by which they were made there."""


FULL_BYTES = 150 * 2**20
"""Of a machine whose Docker has room for no image of ours."""


@dataclass(frozen=True)
class Desk:
    """Where a person sits and measures."""

    machines: Machines
    user: str = "root"

    @property
    def home(self) -> str:
        return self.machines.home(self.user)  # type: ignore[arg-type]

    def write(self, name: str, text: str) -> str:
        return self.machines.write(f"{self.home}/{name}", text, self.user)  # type: ignore[arg-type]

    def write_hosts(self, docker: str = "docker1", *loads: str, name: str = "hosts.toml") -> str:
        """A hosts file; `docker` and `loads` are what one types after `ssh`, and more lines behind a `;`."""
        address = self.machines["docker1"].address
        return self.write(name, write_hosts(address, docker, loads or ("load1",)))

    def write_scenario(
        self, blocks: int = 3, extra: str = "", name: str = "small.toml", load: str = "", schedule: str = ""
    ) -> str:
        """The small scenario; `load` and `schedule` are more of these tables, `extra` more of the file."""
        text = SCENARIO.replace("BLOCKS", str(blocks)).replace("SESSIONS", f"1{schedule}")
        return self.write(name, text.replace("measure_s = 0.3", f"measure_s = 0.3{load}") + extra)

    def bench(self, *options: str, timeout_s: float = 300.0) -> Done:
        return self.machines.run(["bench", *options], self.user, timeout_s=timeout_s)  # type: ignore[arg-type]

    def run(self, scenario: str, hosts: str, *options: str, results: str = "results") -> Done:
        argv = ["run", scenario, "--hosts", hosts, "--results", f"{self.home}/{results}", *options]
        return self.bench(*argv)

    def only_run(self, results: str = "results") -> Path:
        [folder] = self.machines.path(f"{self.home}/{results}").glob("*/*")
        return folder

    def record(self, results: str = "results") -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.only_run(results) / "run.json").read_text())
        return found

    def forget(self, *results: str) -> None:
        for name in results or ("results",):
            shutil.rmtree(self.machines.path(f"{self.home}/{name}"), ignore_errors=True)


def write_hosts(address: str, docker: str, loads: tuple[str, ...]) -> str:
    text = f'[docker.docker1]\naddress = "{address}"\ncores = "1"\n{_table(docker)}'
    return text + "".join(f'[load.load{n + 1}]\ncores = "0"\n{_table(load)}' for n, load in enumerate(loads))


def _table(said: str) -> str:
    ssh, *more = said.split(";")
    return "\n".join([f'ssh = "{ssh}"', *more]) + "\n"


def differences(before: dict[str, Look], after: dict[str, Look]) -> list[str]:
    """What is other on the hosts: not on the desk, which has the results, and without images of ours."""
    found = []
    for name in before.keys() - {"desk"}:
        for what, lines in before[name].items():
            changed = set(lines) ^ set(after[name][what])
            if what == "images":
                changed = {line for line in changed if not line.partition(" ")[2].startswith(OURS)}
            found += [f"{name}, {what}: {line}" for line in sorted(changed)]
    return found


@pytest.fixture(scope="package")
def living() -> Iterator[Machines]:
    """With our images in the cache, since no package mirror answers at the desk."""
    plans = [
        *map(MachinePlan, ("docker1", "load1", "load2", "jump")),
        MachinePlan("strict", sshd_options=("MaxSessions 1", "MaxStartups 1")),
        MachinePlan("bare", docker=False),
        MachinePlan("full", docker_bytes=FULL_BYTES),
        MachinePlan("closed", sshd_options=("AllowStreamLocalForwarding no",)),
        MachinePlan("oneway", sshd_options=("AllowTcpForwarding no",)),
    ]
    with machine_lock("tests of real hosts"), machines(*plans) as found:
        provide_host_image(found["docker1"].docker)
        provide_image(found["docker1"].docker)
        yield found


@pytest.fixture(scope="package")
def desk(living: Machines) -> Desk:
    """Root's, whose images are loaded on the hosts, so that later runs begin at once."""
    found = Desk(living)
    done = found.bench("doctor", "--hosts", found.write_hosts("docker1", "load1", "load2"))
    assert done.status == 0, done.stderr
    return found


@pytest.fixture(scope="package")
def persons_desk(living: Machines, desk: Desk) -> Desk:
    """Of somebody who is not root, with a copy of the cache: no package mirror answers there."""
    found = Desk(living, "person")
    cache = f"{found.home}/.cache/bench"
    kept = " ".join(str(path) for path in CACHE.iterdir() if path.is_file())
    copy = f"mkdir -p {cache} && cp {kept} {cache} && chown -R person:person {found.home}"
    living.desk.run(["sh", "-c", copy])
    return found
