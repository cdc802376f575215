"""Where Locust's web UI is."""

import socket

from bench.errors import EnvironmentLacks


def _require_free_port(port: int) -> None:
    with socket.socket() as listener:
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", port))
        except OSError as fault:
            raise EnvironmentLacks(
                f"Opening Locust's web UI on port {port}", str(fault), "Give --web-ui another port."
            ) from fault


def web_ui_options(port: int | None) -> list[str]:
    """Of the generator's command line. Raises EnvironmentLacks where the port is taken."""
    if not port:
        return []
    _require_free_port(port)
    return ["--web-ui", str(port)]
