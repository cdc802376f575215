"""A container as a person asks for it: the line for a terminal, and the same for Docker's API."""

import shlex
from dataclasses import dataclass, field
from typing import Any

from docker.api import APIClient
from docker.utils import convert_port_bindings

IMAGE_TAG = "bench"
"""What the image is called in the lab's engines, so that the lines can be read."""
PAGE = "/srv/www/index.html"
HTTPD = "/usr/sbin/apache2 -DFOREGROUND -f /etc/bench/httpd.conf"
ACCESS_LOG = "-DAccessLog"
SHARED_PORT = '-c "ListenCoresBucketsRatio 1"'
"""Makes Apache bind with SO_REUSEPORT, where the machine has two cores or more."""


def serve(page: str, options: str = "") -> tuple[str, ...]:
    """Command of a container whose main process is Apache, with a page that says `page`."""
    return "sh", "-c", f"echo {page} > {PAGE}; exec {HTTPD} {options}".rstrip()


def serve_under_init(page: str) -> tuple[str, ...]:
    """As the article's images did it: the main process is another, and Apache only one of its children."""
    return "sh", "-c", f"echo {page} > {PAGE}; {HTTPD} & sleep 600 & wait"


def asking(address: str, port: int = 80) -> tuple[str, ...]:
    """Command that asks for a page from inside a container, whose image has no curl: prints the answer's
    first line."""
    request = r"printf 'GET /index.html HTTP/1.0\r\n\r\n' >&3; timeout 2 head -1 <&3"
    return "timeout", "3", "bash", "-c", f"exec 3<>/dev/tcp/{address}/{port}; {request}"


SLEEP = ("sleep", "600")


@dataclass(frozen=True)
class Ask:
    """What is asked of `docker run -d`."""

    name: str
    network: str | None = None
    """None: the option is not given."""
    publish: tuple[str, ...] = ()
    listen: str | None = None
    """Apache's `Listen`; None: the image's, which is 80, as Apache's own default."""
    ip: str | None = None
    """Its address in `network`, one that a user defined."""
    dns: str | None = None
    cap_add: tuple[str, ...] = ()
    privileged: bool = False
    command: tuple[str, ...] = field(default=SLEEP)

    @property
    def line(self) -> str:
        """As a person types it."""
        words = ["docker", "run", "-d", "--name", self.name]
        words += ["--network", self.network] if self.network else []
        words += ["--ip", self.ip] if self.ip else []
        words += ["--dns", self.dns] if self.dns else []
        for mapping in self.publish:
            words += ["-p", mapping]
        words += ["-e", f"BENCH_LISTEN={self.listen}"] if self.listen else []
        for capability in self.cap_add:
            words += ["--cap-add", capability]
        words += ["--privileged"] if self.privileged else []
        return shlex.join([*words, IMAGE_TAG, *self.command])

    def create(self, api: APIClient) -> dict[str, Any]:
        """Docker's answer to creating it: `Id` and `Warnings`."""
        bindings: dict[str, Any] = {}
        for mapping in self.publish:
            published, _, container_port = mapping.rpartition(":")
            at, _, port = published.rpartition(":")
            bindings[f"{container_port}/tcp"] = (at, port) if at else port
        host_config = api.create_host_config(
            network_mode=self.network,
            dns=[self.dns] if self.dns else None,
            cap_add=list(self.cap_add) or None,
            privileged=self.privileged,
        )
        if bindings:
            # docker-py itself refuses ports beside host mode, which is the engine's to answer.
            host_config["PortBindings"] = convert_port_bindings(bindings)
        endpoints: dict[str, Any] | None = None
        if self.network and self.ip:
            endpoint = api.create_endpoint_config(ipv4_address=self.ip)
            endpoints = {"EndpointsConfig": {self.network: endpoint}}
        answer: dict[str, Any] = api.create_container(
            IMAGE_TAG,
            list(self.command),
            name=self.name,
            environment={"BENCH_LISTEN": self.listen} if self.listen else None,
            ports=[int(port.partition("/")[0]) for port in bindings] or None,
            host_config=host_config,
            networking_config=endpoints,
        )
        return answer
