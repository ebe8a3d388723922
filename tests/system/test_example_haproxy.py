"""examples/haproxy: connections reach the node that leads, and no other."""

import http.client
import os
import shutil
import subprocess
import sys

import pytest

from tests.lib import programs, wait_until
from tests.lib.programs import ROOT
from tests.lib.redis import free_port

CONFIG = ROOT / "examples" / "haproxy" / "haproxy.cfg"
PATH = os.environ["PATH"] + ":/usr/sbin"
NODES = 3

pytestmark = pytest.mark.skipif(not programs.has_http(), reason="built without HTTP")

# Answers each request with its first argument.
SERVER = """
import http.server, sys

class Named(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(sys.argv[1].encode())

http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), Named).serve_forever()
"""


def who_answers(port):
    """The name of the node that a request reaches; None where it reaches none."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/")
        return connection.getresponse().read().decode()
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


@pytest.fixture
def site(arena, redis):
    """({name: Worker}, the port of the service)."""
    if shutil.which("haproxy", path=PATH) is None:
        pytest.skip("needs haproxy")
    service = free_port()
    environment = {"PATH": PATH, "SERVICE": "127.0.0.1:%d" % service}
    nodes = {}
    for number in range(1, NODES + 1):
        port, checked = free_port(), free_port()
        environment["NODE%d" % number] = "127.0.0.1:%d" % port
        environment["HTTP%d" % number] = str(checked)
        name = "node%d" % number
        command = [sys.executable, "-c", SERVER, name, str(port)]
        options = ["--assume-fresh", "--http", "127.0.0.1:%d" % checked]
        nodes[name] = arena.worker(*options, command=command, redis=redis, name=name)
    arena.spawn(
        ["haproxy", "-f", str(CONFIG)],
        env=arena.environment(environment),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return nodes, service


def leader_of(redis):
    return (redis.command("GET", "test") or "").partition("#")[0] or None


def test_connections_reach_the_leader(redis, site):
    nodes, service = site
    # A check may be late, and then nobody is reached for a moment; but never a node that does not
    # lead: it has no server.
    for _ in range(2):
        wait_until(lambda: leader_of(redis) and who_answers(service) == leader_of(redis))
        nodes.pop(leader_of(redis)).stop()
    (last,) = nodes.values()
    wait_until(lambda: who_answers(service) == last.name)
    last.stop()
    wait_until(lambda: who_answers(service) is None)
