"""No load on what is not ours: where somebody else has the address, nobody is asked for anything."""

from pathlib import Path

from bench.lab.hosts.waiting import wait_until
from tests.lab.machines import Machines
from tests.lab.real_hosts.conftest import Desk

STRANGER = """
import http.server, sys
class Stranger(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        with open(sys.argv[3], "a") as log:
            log.write(self.path + "\\n")
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"mine!")
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), Stranger).serve_forever()
"""


def test_another_server_on_the_address_is_seen_and_gets_no_request(desk: Desk, living: Machines) -> None:
    docker, port = living["docker1"], 8099
    log = Path(docker.host.scratch) / "asked"
    argv = ["/usr/bin/python3", "-c", STRANGER, docker.address, str(port), str(log)]
    stranger = docker.host.start(argv, "stranger")
    scenario = desk.write_scenario(2, name="taken.toml")
    text = living.path(scenario).read_text().replace('mode = "host"', f'mode = "host", port = {port}')
    desk.write("taken.toml", text)
    try:
        listening = ["sh", "-c", f"ss -Hltn sport = :{port} | grep -c LISTEN || true"]
        assert wait_until(lambda: docker.host.run(listening).strip() == "1", 10.0)
        done = desk.run(scenario, desk.write_hosts("docker1", "load1"))
    finally:
        stranger.kill()
    assert done.status == 3, done.stderr
    assert f"port {port} of docker1 is taken before it starts" in done.stderr
    assert not log.exists(), "it is not even asked for a word"
    desk.forget()
