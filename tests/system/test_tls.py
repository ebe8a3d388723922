"""rediss://: a real server with TLS, certificates of a small authority, and what can be wrong."""

import shutil
import socket
import subprocess

import pytest

from pair import KEY, record
from tests.lib import wait_until
from tests.lib.certificates import Authority
from tests.lib.programs import leaderwrap_binary
from tests.lib.redis import free_port

pytestmark = pytest.mark.skipif(
    not (leaderwrap_binary().parent / "leaderwrap-tls.so").exists(), reason="built without TLS"
)


class Secure:
    """A RedisServer that has a port for TLS, too."""

    def __init__(
        self, arena, *config, clients="no", names=("DNS:localhost", "IP:127.0.0.1"), **dates
    ):
        self.authority = Authority(arena.folder)
        self.port = free_port()
        self.folder = arena.folder / "served"
        self.folder.mkdir()
        self.serve(*self.authority.issue("redis", *names, **dates))
        self.redis = arena.redis(
            "tls-port %d" % self.port,
            "tls-cert-file %s" % (self.folder / "crt"),
            "tls-key-file %s" % (self.folder / "key"),
            "tls-ca-cert-file %s" % self.authority.path,
            "tls-auth-clients %s" % clients,
            *config,
        )

    def serve(self, certificate, key):
        shutil.copy(certificate, self.folder / "crt")
        shutil.copy(key, self.folder / "key")

    def renew(self, certificate, key):
        """Puts another certificate into the place of the one that the server has, which reads it."""
        self.serve(certificate, key)
        self.redis.command("CONFIG", "SET", "tls-cert-file", str(self.folder / "crt"))

    def url(self, host="localhost", access=""):
        return "rediss://%s%s:%d" % (access, host, self.port)

    @property
    def trust(self):
        return ("--cacert", str(self.authority.path))


def check(arena, url, *options):
    return arena.run("--check", "--redis", url, "--key", KEY, *options)


def result(done):
    lines = [line for line in done.stdout.splitlines() if line.startswith("result ")]
    assert lines, done.stderr
    return lines[0]


def test_check_shows_what_protects_the_connection(arena):
    server = Secure(arena)
    done = check(arena, server.url(), *server.trust)
    assert done.returncode == 0, done.stdout
    shown = dict(line.split("  ", 1) for line in done.stdout.splitlines())
    assert shown["tls"].strip().startswith("TLSv1.3, ")
    assert shown["certificate of"].strip() == "CN=redis"
    assert shown["issued by"].strip() == "CN=authority"
    assert shown["expires"].endswith(" UTC")


def test_an_address_is_verified_as_an_address(arena):
    server = Secure(arena)
    assert check(arena, server.url("127.0.0.1"), *server.trust).returncode == 0


# What the certificate is like, what we say, and what is said of it.
WRONG = {
    "name": ({"names": ("DNS:redis.example",)}, {}, "for redis.example, not for localhost"),
    "address": ({"names": ("DNS:localhost",)}, {"host": "127.0.0.1"}, "not for 127.0.0.1"),
    "expired": ({"start": ("20200101000000Z", "20210101000000Z")}, {}, "expired at 2021-01-01"),
    "early": ({"start": ("20400101000000Z", "20410101000000Z")}, {}, "not valid before 2040-01-01"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_certificate_is_refused_and_told(arena, what):
    made, at, words = WRONG[what]
    server = Secure(arena, **made)
    done = check(arena, server.url(**at), *server.trust)
    # A clock that is wrong may be set.
    assert done.returncode == (69 if what == "early" else 125)
    assert words in result(done)
    assert server.redis.command("KEYS", "*") == []
    # Only where nothing is verified.
    done = check(arena, server.url(**at), "--tls-insecure")
    assert done.returncode == 0
    assert "--tls-insecure: no certificate is verified" in done.stderr


def test_an_unknown_authority_is_refused(arena):
    server = Secure(arena)
    other = Authority(arena.folder, "other")
    done = check(arena, server.url(), "--cacert", other.path)
    assert done.returncode == 125
    assert "issued by CN=authority, which is not among the authorities in " in result(done)
    # The system's do not know it either.
    assert "authorities of this system" in result(check(arena, server.url()))
    worker = arena.worker("--assume-fresh", command=["true"], url=server.url(), key=KEY)
    assert worker.wait() == 125
    assert "authorities of this system" in worker.wait_event("refused")["message"]


def test_the_name_can_be_another_than_the_host(arena):
    server = Secure(arena, names=("DNS:redis.example",))
    named = ("--tls-server-name", "redis.example")
    assert check(arena, server.url(), *server.trust, *named).returncode == 0


def test_a_directory_of_authorities_will_do(arena):
    server = Secure(arena)
    folder = arena.folder / "authorities"
    folder.mkdir()
    shutil.copy(server.authority.path, folder / "ca.pem")
    done = check(arena, server.url(), "--cacert", folder)
    assert done.returncode == 64
    assert "openssl rehash" in done.stderr
    subprocess.run(["openssl", "rehash", str(folder)], check=True, capture_output=True)
    assert check(arena, server.url(), "--cacert", folder).returncode == 0


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_a_client_certificate_is_shown(arena, version):
    server = Secure(arena, "tls-protocols %s" % version, clients="yes")
    own, key = server.authority.issue("us")
    done = check(arena, server.url(), *server.trust)
    assert done.returncode == 125
    assert "client certificate: give one with --cert and --key-file" in result(done)
    stranger, its_key = Authority(arena.folder, "other").issue("stranger")
    done = check(arena, server.url(), *server.trust, "--cert", stranger, "--key-file", its_key)
    assert done.returncode == 125
    assert "it refuses the certificate in %s" % stranger in result(done)
    done = check(arena, server.url(), *server.trust, "--cert", own, "--key-file", key)
    assert done.returncode == 0, done.stdout
    both = arena.folder / "both"
    both.write_text(own.read_text() + key.read_text())
    assert check(arena, server.url(), *server.trust, "--cert", both).returncode == 0


def test_a_server_that_talks_plain(arena, redis):
    """Some say so, some wait for more."""
    url = "rediss://127.0.0.1:%d" % redis.port
    done = check(arena, url, "--tls-insecure", "--ttl", "2s")
    assert done.returncode == 69
    assert "does not speak TLS" in result(done) or "is that a port for TLS" in result(done)
    done = arena.run("--once", "--ttl", "2s", "--redis", url, "--", "true")
    assert done.returncode == 69
    assert "does not speak TLS" in done.stderr or "is that a port for TLS" in done.stderr


def test_a_plain_client_at_a_port_for_tls(arena):
    server = Secure(arena)
    done = check(arena, "redis://127.0.0.1:%d" % server.port)
    assert done.returncode == 69
    assert "rediss://" in result(done)


def test_a_handshake_that_hangs(arena):
    """The time-outs that there are end it."""
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = "rediss://127.0.0.1:%d" % mute.getsockname()[1]
        done = arena.run("--once", "--ttl", "2s", "--redis", url, "--", "true")
        assert done.returncode == 69
        done = check(arena, url, "--ttl", "2s")
        assert done.returncode == 69


FILES = {
    "missing": (["--cacert", "/nowhere"], "/nowhere: No such file or directory"),
    "ill-formed": (["--cacert", "/etc/passwd"], "/etc/passwd: there is no PEM certificate in it"),
    "directory": (["--cert", "/"], "certificate in /: it is a directory"),
    "descriptor": (["--cacert", "/dev/stdin"], "--cacert: it is an open descriptor"),
    "key alone": (["--key-file", "/etc/passwd"], "--key-file is for the certificate"),
    "name": (["--tls-server-name", ""], "--tls-server-name: the name is empty"),
}


@pytest.mark.parametrize("what", FILES)
def test_a_file_that_is_of_no_use_is_told_at_the_start(arena, what):
    options, words = FILES[what]
    done = arena.run("--redis", "rediss://127.0.0.1:1", *options, "--key", KEY, "--", "true")
    assert done.returncode == 64
    assert words in done.stderr


def test_a_key_of_another_certificate(arena):
    authority = Authority(arena.folder)
    one, _ = authority.issue("one")
    _, other = authority.issue("other")
    files = ("--cert", one, "--key-file", other)
    done = arena.run("--redis", "rediss://127.0.0.1:1", *files, "--key", KEY, "--", "true")
    assert done.returncode == 64
    assert "%s: it is not the key of that certificate" % other in done.stderr


def test_a_key_that_others_can_read_is_warned_of(arena):
    own, key = Authority(arena.folder).issue("us")
    key.chmod(0o644)
    files = ("--cert", own, "--key-file", key)
    done = check(arena, "rediss://127.0.0.1:1", *files)
    assert "others may read the private key %s" % key in done.stderr


@pytest.mark.parametrize(
    "variable, shown",
    [("CACERT", "/x"), ("CERT", "/x"), ("TLS_SERVER_NAME", "x"), ("TLS_INSECURE", "1")],
)
def test_options_of_tls_are_for_tls(arena, variable, shown):
    done = arena.run(
        "--check", "--redis", "redis://127.0.0.1:1", env={"LEADERWRAP_" + variable: shown}
    )
    assert done.returncode == 64
    assert "LEADERWRAP_%s is for addresses with TLS (rediss://)" % variable in done.stderr


@pytest.mark.smoke
def test_a_life_with_a_user_over_tls(arena):
    """All connections go there: the leader's, the watchers', and that of the last will."""
    server = Secure(arena, clients="yes")
    own, key = server.authority.issue("us")
    server.redis.command("ACL", "SETUSER", "lw", "on", ">word", "~*", "&*", "+@all")
    server.redis.command("CONFIG", "SET", "port", "0")
    options = ("--assume-fresh", *server.trust, "--cert", str(own), "--key-file", str(key))
    url = server.url(access="lw:word@")
    make = {"command": ["sleep", "600"], "url": url, "key": KEY, "ttl": "60s"}
    leader = arena.worker(*options, **make)
    leader.wait_event("elected")
    leader.wait_child()
    follower = arena.worker(*options, **make)
    follower.wait_event("waiting")
    wait_until(lambda: server.redis.command("PUBSUB", "NUMSUB", "{test}:events")[1] == 1)
    leader.kill9()
    follower.wait_event("elected", timeout=20)
    follower.wait_child()
    assert follower.stop() == 143
    assert record(server.redis)["st"] == "free"


def test_certificates_are_renewed_while_leading(arena):
    """First the authority, then all that is of it, and the connection is cut each time."""
    server = Secure(arena, clients="yes")
    files = {name: arena.folder / name for name in ("ca", "crt", "key")}

    def hold(authority, own):
        files["ca"].write_text("".join(a.path.read_text() for a in authority))
        for name, path in zip(("crt", "key"), own):
            shutil.copy(path, files[name])

    def cut():
        mark = worker.mark()
        server.redis.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        return mark

    hold([server.authority], server.authority.issue("us"))
    options = ["--cacert", files["ca"], "--cert", files["crt"], "--key-file", files["key"]]
    worker = arena.worker(
        "--assume-fresh", *map(str, options), command=["sleep", "600"], url=server.url(), ttl="12s"
    )
    won = worker.wait_event("elected")
    worker.wait_event("renewed", after=won)

    # A server of another authority is not believed, and the term goes on as long as it may.
    other = Authority(arena.folder, "other")
    server.redis.command("CONFIG", "SET", "tls-ca-cert-file", str(other.path))
    server.renew(*other.issue("redis", "DNS:localhost"))
    mark = cut()

    def refused():
        told = worker.find("disconnected", after=mark)
        return any("not among the authorities" in event["message"] for event in told)

    wait_until(refused)
    # The new files are read at the next try; the command has not heard of anything.
    hold([server.authority, other], other.issue("us"))
    worker.wait_event("renewed", after=mark)
    assert not worker.find("lost")
    assert worker.find("elected") == [won]


def test_a_session_is_taken_up(arena):
    """TLS 1.2 spares a round trip so; what was taken up works as well."""
    server = Secure(arena, "tls-protocols TLSv1.2", "tls-session-caching yes")
    worker = arena.worker(
        "--assume-fresh", *server.trust, command=["sleep", "600"], url=server.url(), ttl="12s"
    )
    won = worker.wait_event("elected")
    mark = worker.mark()
    server.redis.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    worker.wait_event("renewed", after=mark)
    assert worker.find("elected") == [won]


def test_leaderctl_verifies_as_well(arena):
    server = Secure(arena)
    for trust, status in ((server.trust, 3), ((), 77)):
        done = subprocess.run(
            [leaderwrap_binary().parent / "leaderctl", "--redis", server.url(), *trust, "ls"],
            env=arena.environment(),
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert done.returncode == status and ("certificate" in done.stderr) == (status == 77), done
