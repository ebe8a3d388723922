"""examples/certificates: one node renews, all gateways serve it, a stale leader cannot publish."""

import http.client
import http.server
import os
import shutil
import signal
import socket
import ssl
import subprocess
import threading

import pytest

from tests.lib import PATIENCE_S, processes, wait_until
from tests.lib.programs import ROOT
from tests.lib.redis import free_port

EXAMPLE = ROOT / "examples" / "certificates"
SBIN = os.environ["PATH"] + ":/usr/sbin:/sbin"
SHOP, BLOG = "shop.example", "blog.example"


class Backend(http.server.BaseHTTPRequestHandler):
    """A service behind the gateways. `/slow` is answered when the test says so."""

    asked = threading.Event()
    may_answer = threading.Event()

    def do_GET(self):
        if self.path == "/slow":
            self.asked.set()
            self.may_answer.wait(PATIENCE_S)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"served")

    def log_message(self, *_):
        """Says nothing."""


class Site:
    """Gateways, their authority, and the nodes that may renew."""

    def __init__(self, arena, redis, backend, gateways):
        self.arena, self.redis, self.backend = arena, redis, backend
        self.environment = {
            "PATH": SBIN,
            "REDIS_URL": redis.url(),
            "CA_DIR": str(arena.folder / "ca"),
            "POLL": "0.1",
        }
        subprocess.run([EXAMPLE / "ca", "init"], env=self._with(), check=True)
        self.context = ssl.create_default_context(cafile=arena.folder / "ca" / "ca.pem")
        self.ports = [free_port() for _ in range(gateways)]
        self.gateways = [self.gateway(port) for port in self.ports]

    def _with(self, **more):
        return self.arena.environment({**self.environment, **more})

    def folder(self, port):
        return self.arena.folder / ("gateway-%d" % port)

    def gateway(self, port):
        """A gateway (a Popen), which begins with what is in its folder."""
        more = {"LISTEN": "127.0.0.1:%d" % port, "GATEWAY_DIR": str(self.folder(port))}
        with open(self.folder(port).with_suffix(".log"), "ab") as log:
            return self.arena.spawn(
                [EXAMPLE / "gateway"], env={**self.environment, **more}, stdout=log, stderr=log
            )

    def node(self, **more):
        """A candidate for renewing."""
        folder = str(self.arena.folder / ("renew-%d" % len(self.arena.workers)))
        return self.arena.worker(
            "--assume-fresh",
            command=[EXAMPLE / "renew"],
            redis=self.redis,
            env={**self.environment, "RENEW_DIR": folder, **more},
        )

    def route(self, *hosts):
        """Sets the routing table: each of the hosts leads to the backend."""
        lines = ["%s / http://127.0.0.1:%d\n" % (host, self.backend) for host in hosts]
        self.redis.command("SET", "gateway:routes", "".join(lines))

    def get(self, port, host, path="/"):
        """(serial number of the certificate, status, text) of one request through a gateway."""
        client = http.client.HTTPConnection("127.0.0.1", port)
        plain = socket.create_connection(("127.0.0.1", port), PATIENCE_S)
        with self.context.wrap_socket(plain, server_hostname=host) as client.sock:
            serial = client.sock.getpeercert()["serialNumber"]
            client.request("GET", path, headers={"Host": host, "Connection": "close"})
            answer = client.getresponse()
            return serial, answer.status, answer.read().decode()

    def serves(self, port, host, serial):
        """Whether a gateway serves that certificate, and with it the route of the host."""
        try:
            found, status, text = self.get(port, host)
        except OSError:  # not yet listening, or no certificate for that name
            return False
        # The two come together, even while worker processes of both versions accept.
        assert (status, text) == (200, "served")
        return found == serial

    def signed(self):
        """The serial numbers of all certificates ever signed."""
        lines = (self.arena.folder / "ca" / "index.txt").read_text().splitlines()
        return [line.split("\t")[3] for line in lines]

    def wait_served(self, serial, host):
        """Waits until all gateways serve that certificate and the route of the host."""
        for port in self.ports:
            wait_until(
                lambda p=port: self.serves(p, host, serial),
                what="certificate %s for %s on port %d" % (serial, host, port),
            )

    def wait_published(self, version):
        wait_until(
            lambda: self.redis.command("HGET", "gateway", "version") == str(version),
            what=lambda: "version %d, it is %s"
            % (version, self.redis.command("HGET", "gateway", "version")),
        )
        return self.signed()[-1]


class Visitor(threading.Thread):
    """Asks every gateway for the shop, again and again, and does not want to see it fail."""

    def __init__(self, site):
        super().__init__(daemon=True)
        self.site, self.count, self.troubles = site, 0, []
        self._enough = threading.Event()

    def run(self):
        while not self._enough.wait(0.02):
            for port in self.site.ports:
                try:
                    assert self.site.get(port, SHOP)[1:] == (200, "served")
                except (OSError, http.client.HTTPException, AssertionError) as error:
                    self.troubles.append("port %d: %r" % (port, error))
                self.count += 1

    def __enter__(self):
        self.start()

    def __exit__(self, failure, *_):
        self._enough.set()
        self.join(PATIENCE_S)
        if failure is None:
            assert self.count > 0 and self.troubles == []


@pytest.fixture
def make_site(arena, redis):
    for program in ("nginx", "openssl", "redis-cli"):
        assert shutil.which(program, path=SBIN), "this test needs %s (Debian: %s)" % (
            program,
            {"redis-cli": "redis-tools"}.get(program, program),
        )
    Backend.asked, Backend.may_answer = threading.Event(), threading.Event()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Backend)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield lambda gateways: Site(arena, redis, server.server_port, gateways)
    Backend.may_answer.set()
    server.shutdown()
    server.server_close()


def test_one_node_signs_and_all_gateways_serve_it_without_dropping_a_request(make_site):
    site = make_site(gateways=3)
    nodes = [site.node() for _ in range(3)]
    site.route(SHOP)
    first = site.wait_published(1)
    site.wait_served(first, SHOP)
    assert site.signed() == [first]

    slow = []
    patient = threading.Thread(target=lambda: slow.append(site.get(site.ports[0], SHOP, "/slow")))
    with Visitor(site):
        patient.start()
        assert Backend.asked.wait(PATIENCE_S)
        site.route(SHOP, BLOG)
        second = site.wait_published(2)
        site.wait_served(second, BLOG)
    assert site.signed() == [first, second]
    # This request began with the first certificate, and is answered nevertheless.
    assert slow == []
    Backend.may_answer.set()
    patient.join(PATIENCE_S)
    assert slow == [(first, 200, "served")]
    assert sum(len(node.find("elected")) for node in nodes) == 1


def test_another_node_renews_before_the_end_when_the_leader_is_killed(make_site):
    site = make_site(gateways=2)
    leader = site.node(CERT_LIFETIME="20", RENEW_BEFORE="13")
    leader.wait_event("elected")
    follower = site.node(RENEW_BEFORE="13")
    follower.wait_event("waiting")
    # It is due seven seconds from here.
    site.route(SHOP)
    first = site.wait_published(1)
    site.wait_served(first, SHOP)
    # Nobody may meet a certificate that has expired.
    with Visitor(site):
        leader.kill9()
        second = site.wait_published(2)
        site.wait_served(second, SHOP)
    assert site.signed() == [first, second]
    assert follower.find("elected")


def test_a_gateway_goes_on_with_what_it_has(make_site, redis):
    site = make_site(gateways=1)
    site.node()
    site.route(SHOP)
    first = site.wait_published(1)
    site.wait_served(first, SHOP)
    port, log = site.ports[0], site.folder(site.ports[0]).with_suffix(".log")
    with Visitor(site):
        redis.command("SET", "gateway:routes", SHOP + " / nonsense\n")
        wait_until(lambda: "version 2 is refused" in log.read_text(), what=log.read_text)
    redis.kill()
    site.gateways[0].terminate()
    assert site.gateways[0].wait(PATIENCE_S) == 0
    site.gateway(port)
    site.wait_served(first, SHOP)


def test_a_stale_leader_cannot_publish(arena, make_site):
    site = make_site(gateways=1)
    site.route(SHOP)
    gate = arena.folder / "gate"
    os.mkfifo(gate)
    slow = arena.folder / "slow-ca"
    slow.write_text('#!/bin/sh\nread -r _ <"%s"\nexec "%s" "$@"\n' % (gate, EXAMPLE / "ca"))
    slow.chmod(0o755)
    stale = site.node(CA=str(slow))
    # Opening it for writing succeeds when the authority waits at the other end.
    with open(gate, "w", encoding="ascii") as signal_to_sign:
        frozen = [stale.pid, stale.keeper]
        for pid in frozen:
            processes.stop(pid)
        newer = site.node()
        newer.wait_event("elected")
        certificate = site.wait_published(1)
        signal_to_sign.write("now\n")
    wait_until(lambda: any("refused" in line for line in stale.lines), what=stale.log)
    assert stale.output[-1].startswith("renew: signed ")
    assert len(site.signed()) == 2
    site.wait_served(certificate, SHOP)
    assert site.wait_published(1)
    for pid in reversed(frozen):
        processes.send(pid, signal.SIGCONT)
    stale.wait_event("tree_dead")
