"""Docker's client over a socket: an engine that does not answer can be interrupted."""

import json
import signal
import socket
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingUnixStreamServer

from bench.lab.servers.docker_client import connect

from .test_interrupts import end_of, next_line, started

VERSION = json.dumps({"ApiVersion": "1.41", "Version": "20.10.24"})


class Engine(BaseHTTPRequestHandler):
    """It knows its version and nothing else."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(VERSION)))
        self.end_headers()
        self.wfile.write(VERSION.encode())

    def address_string(self) -> str:
        return "a client"


def listen(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    return listener


def test_an_engine_is_asked_over_its_socket(tmp_path: Path) -> None:
    with ThreadingUnixStreamServer(str(tmp_path / "docker.sock"), Engine) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        client = connect(tmp_path / "docker.sock")
        assert client.version()["Version"] == "20.10.24"
        client.close()
        server.shutdown()


def test_an_engine_that_never_answers_is_waited_for_until_a_signal(tmp_path: Path) -> None:
    script = f"""
from bench.lab.servers.docker_client import connect
try:
    with interrupts.held():
        say("asks")
        connect(Path({str(tmp_path)!r}, "docker.sock"))
except Interrupted:
    say("interrupted")
"""
    with listen(tmp_path / "docker.sock") as listener, started(script) as process:
        assert next_line(process) == "asks"
        connection, _ = listener.accept()
        assert connection.recv(65536)
        process.send_signal(signal.SIGTERM)
        assert end_of(process) == (0, "interrupted\n")
