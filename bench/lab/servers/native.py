"""Apache without Docker: the image's own files, run in the Docker host's namespaces."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import docker

from bench.errors import MeasurementInvalid
from bench.lab.hosts.host import Host, Program
from bench.lab.hosts.waiting import wait_until

READY_S = 5.0
FOREGROUND = ("/usr/sbin/apache2", "-DFOREGROUND", "-f", "/etc/bench/httpd.conf")


def unpack(client: docker.DockerClient, image_id: str, host: Host) -> str:
    """Folder, as `host` sees it, with the files of the image; made once a host."""
    # `data` is in memory and in the host's own mount namespace: both end with the host.
    root = f"{host.scratch}/data/native"
    if host.has(f"{root}/etc/bench"):
        return root
    archive = f"{host.scratch}/native.tar"
    container = client.containers.create(image_id)
    try:
        host.put(archive, container.export())  # type: ignore[arg-type]  # The stubs say str.
    finally:
        container.remove()
    host.run(["mkdir", "-p", root])
    host.run(["tar", "-xf", archive, "-C", root])
    host.run(["rm", archive])
    host.run(["mount", "--bind", "/dev", f"{root}/dev"])
    host.run(["mount", "-t", "proc", "proc", f"{root}/proc"])
    return root


@contextmanager
def apache(host: Host, root: str, environment: Mapping[str, str], name: str) -> Iterator[int]:
    """Run Apache from `root` on the host's cores as `name`; yields its process id as `host` numbers it."""
    pid_file = f"{root}/tmp/httpd.pid"  # noqa: S108 - of the container's root
    host.run(["rm", "-f", pid_file])
    settings = [f"{name}={value}" for name, value in environment.items()]
    program = host.start(["chroot", root, "/usr/bin/env", *settings, *FOREGROUND], name)
    try:
        yield _wait_for_pid(host, pid_file, program)
    finally:
        program.kill()


def _wait_for_pid(host: Host, pid_file: str, program: Program) -> int:
    def pid() -> str:
        return "".join(host.read(pid_file).values()).strip()

    wait_until(lambda: pid() or not program.is_alive, READY_S, step_s=0.002)
    if not pid():
        raise MeasurementInvalid(
            "Starting Apache without Docker",
            f"it ended or did not start: {program.words(1000)}",
            "See above.",
        )
    return int(pid())
