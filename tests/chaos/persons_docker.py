"""A Docker of a person's, that has nothing to do with bench: it, and what runs in it, is to stay as it is."""

import io
import secrets
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from docker import DockerClient
from docker.errors import DockerException

from bench.lab.hosts.journal import _remove_cgroups
from bench.lab.hosts.waiting import wait_until
from bench.lab.servers.docker_client import connect
from tests.lab.world import World

READY_S = 60.0
WAIT = "#include <unistd.h>\nint main(void) { for (;;) pause(); }\n"
SET_UP = """
set -e; folder=$1; shift
mount -t tmpfs -o mode=755 run /run
mount -t tmpfs -o mode=711 data "$folder"/data
for tree in etc opt; do
    mkdir -p /run/written/$tree /run/work/$tree
    mount -t overlay -o "lowerdir=/$tree,upperdir=/run/written/$tree,workdir=/run/work/$tree" written /$tree
done
ip link set lo up
exec env TMPDIR="$folder"/data "$@"
"""
"""No link leads out of its network. What dockerd writes beside its data is in memory, as are the data."""
APART = ("--net", "--mount", "--pid", "--ipc", "--fork", "--kill-child", "--mount-proc")


@dataclass(frozen=True)
class PersonsDocker:
    """It runs; `look` tells what a person has in it."""

    client: DockerClient

    def look(self) -> World:
        """Containers with the process of each and when that began, images, networks, volumes."""
        containers = self.client.containers.list(all=True)
        return {
            "containers": sorted(
                f"{each.id} {each.name} {each.attrs['State']['Status']} {each.attrs['State']['Pid']}"
                f" {each.attrs['State']['StartedAt']} {each.attrs['NetworkSettings']['Networks']}"
                for each in containers
            ),
            "images": sorted(f"{each.id} {sorted(each.tags)}" for each in self.client.images.list(all=True)),
            "networks": sorted(f"{each.id} {each.name}" for each in self.client.networks.list()),
            "volumes": sorted(str(each.name) for each in self.client.volumes.list()),
        }

    @contextmanager
    def is_left_alone(self) -> Iterator[None]:
        """Meanwhile; AssertionError otherwise."""
        before = self.look()
        yield
        assert self.look() == before, "a person's own Docker is another"


@contextmanager
def persons_docker() -> Iterator[PersonsDocker]:
    """A dockerd in namespaces of its own, with a container that runs in a network of the person's."""
    name = f"person-{secrets.token_hex(4)}"
    with tempfile.TemporaryDirectory(prefix="person-") as made, (Path(made) / "log").open("w") as log:
        folder = Path(made)
        (folder / "data").mkdir()
        argv = [
            *("dockerd", "--host", f"unix://{folder}/docker.sock", "--pidfile", f"{folder}/pid"),
            *("--data-root", f"{folder}/data", "--exec-root", f"{folder}/exec", "--log-level", "warn"),
            *("--bip", "198.18.200.1/24", "--default-address-pool", "base=198.18.208.0/20,size=24"),
            *("--exec-opt", "native.cgroupdriver=cgroupfs", "--cgroup-parent", f"/{name}"),
        ]
        apart = ["unshare", *APART, "sh", "-c", SET_UP, "person", made, *argv]
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "--", *apart], stdout=log, stderr=log, start_new_session=True
        )
        try:
            with _meet(folder, process) as client:
                _furnish(client, folder)
                yield PersonsDocker(client)
        finally:
            process.kill()  # And with it, by --kill-child, all that is in its namespace of processes.
            process.wait()
            _remove_cgroups(name)


@contextmanager
def _meet(folder: Path, process: "subprocess.Popen[bytes]") -> Iterator[DockerClient]:
    found: list[DockerClient] = []

    def answers() -> bool:
        with suppress(DockerException):
            client = connect(folder / "docker.sock")
            client.ping()
            found.append(client)
        return bool(found) or process.poll() is not None

    wait_until(answers, READY_S, step_s=0.05)
    assert found, f"a person's dockerd does not answer: {(folder / 'log').read_text()[-1000:]}"
    try:
        yield found[0]
    finally:
        found[0].close()


def _furnish(client: DockerClient, folder: Path) -> None:
    program = folder / "wait"
    subprocess.run(
        ["cc", "-static", "-x", "c", "-o", program, "-"], input=WAIT, text=True, check=True, timeout=READY_S
    )
    root = io.BytesIO()
    with tarfile.open(fileobj=root, mode="w") as archive:
        archive.add(program, "wait")
    client.api.import_image_from_data(root.getvalue(), repository="web", tag="1")
    client.volumes.create("kept")
    network = client.networks.create("web")
    client.containers.run("web:1", ["/wait"], name="web", network=network.name, detach=True)
