"""Docker's own client on a socket of this machine, whose waits for an answer can be interrupted."""

import socket
from pathlib import Path
from typing import Any

import docker
from docker.transport.unixconn import UnixHTTPAdapter, UnixHTTPConnection, UnixHTTPConnectionPool

from bench import interrupts
from bench.lab.hosts.waiting import wait_readable

AT_ONCE = 64
"""Questions that an engine is asked by several threads, each on a connection of its own that is kept."""
TIMEOUT_S = 60
"""For one answer of an engine, or one part of it."""


def connect(path: Path) -> docker.DockerClient:
    """A client of the engine that listens at `path`. Raises DockerException where none answers."""
    return _Client(path)


class _Client(docker.DockerClient):
    def __init__(self, path: Path) -> None:
        self.api = _Api(base_url=f"unix://{path}", timeout=TIMEOUT_S, max_pool_size=AT_ONCE)


class _Api(docker.APIClient):
    def mount(self, prefix: str | bytes, adapter: Any) -> None:
        """Called by the client as it is made, with an adapter whose sockets know no interrupts."""
        if isinstance(adapter, UnixHTTPAdapter):
            adapter = self._custom_adapter = _Adapter(
                adapter.socket_path, adapter.timeout, max_pool_size=adapter.max_pool_size
            )
        super().mount(prefix, adapter)


class _Adapter(UnixHTTPAdapter):
    def get_connection(self, url: Any, proxies: Any = None) -> Any:  # noqa: ARG002 - a socket has no proxy
        with self.pools.lock:
            if not self.pools.get(url):
                self.pools[url] = _Pool(url, self.socket_path, self.timeout, maxsize=self.max_pool_size)
            return self.pools[url]


class _Pool(UnixHTTPConnectionPool):
    def _new_conn(self) -> Any:
        seconds: Any = self.timeout  # Docker's client replaces urllib3's own object.
        return _Connection(self.base_url, self.socket_path, seconds)


class _Connection(UnixHTTPConnection):
    def connect(self) -> None:
        self.sock = _Socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(TIMEOUT_S)
        self.sock.connect(self.unix_socket)


class _Socket(socket.socket):
    """Looks at interrupts before it waits for an answer, while it does, and at every part that it sends."""

    def recv_into(self, *arguments: Any) -> int:
        if not wait_readable(self.fileno(), self.gettimeout()):
            raise TimeoutError("timed out")
        return super().recv_into(*arguments)

    def sendall(self, *arguments: Any) -> None:
        interrupts.check()
        super().sendall(*arguments)
