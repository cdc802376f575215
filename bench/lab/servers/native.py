"""Apache without Docker: the image's own files, run in the Docker host's namespaces."""

import os
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import docker

from bench.errors import MeasurementInvalid
from bench.lab.hosts import command
from bench.lab.hosts.host import Host

READY_S = 5.0
END_S = 10.0
FOREGROUND = ("/usr/sbin/apache2", "-DFOREGROUND", "-f", "/etc/bench/httpd.conf")


def unpack(client: docker.DockerClient, image_id: str, host: Host) -> Path:
    """Folder, as `host` sees it, with the files of the image; made once a host."""
    root = host.folder / "data" / "native"
    # `data` is in memory and in the host's own mount namespace: both end with the host.
    if (Path(f"/proc/{host.init_pid}/root") / root.relative_to("/") / "etc" / "bench").exists():
        return root
    archive = host.folder / "native.tar"
    container = client.containers.create(image_id)
    try:
        with archive.open("wb") as stream:
            for chunk in container.export():
                stream.write(chunk)  # type: ignore[arg-type]
    finally:
        container.remove()
    host.run(["mkdir", "-p", str(root)])
    host.run(["tar", "-xf", str(archive), "-C", str(root)])
    archive.unlink()
    host.run(["mount", "--bind", "/dev", f"{root}/dev"])
    host.run(["mount", "-t", "proc", "proc", f"{root}/proc"])
    return root


@contextmanager
def apache(host: Host, root: Path, environment: Mapping[str, str]) -> Iterator[int]:
    """Run Apache from `root` on the host's cores; yields its process id as `host` numbers it."""
    pid_file = Path(f"/proc/{host.init_pid}/root") / root.relative_to("/") / "tmp" / "httpd.pid"
    pid_file.unlink(missing_ok=True)
    log = host.folder / "native.log"
    settings = [f"{name}={value}" for name, value in environment.items()]
    process = command.start(host.argv(["chroot", str(root), "/usr/bin/env", *settings, *FOREGROUND]), log=log)
    try:
        yield _wait_for_pid(pid_file, process, log)
    finally:
        end_group(process)


def end_group(process: command.Process) -> None:
    """End a program of `command.start` with all that it started: they are a group, and nothing else is in it.

    Only when the last of them is gone is their port free: a process of thousands of threads takes a while.
    """
    deadline = time.monotonic() + END_S
    with suppress(ProcessLookupError):
        while time.monotonic() < deadline:
            os.killpg(process.pid, signal.SIGKILL)
            process.poll()  # Until its status is taken it is of the group, though it has ended.
            time.sleep(0.002)
    process.wait()


def _wait_for_pid(pid_file: Path, process: command.Process, log: Path) -> int:
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline and process.poll() is None:
        if pid_file.exists() and (text := pid_file.read_text().strip()):
            return int(text)
        time.sleep(0.002)
    raise MeasurementInvalid(
        "Starting Apache without Docker",
        f"it ended or did not start: {log.read_text()[-1000:]}",
        "See above.",
    )
