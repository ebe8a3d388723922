"""All at once, as a managed Redis has it: TLS everywhere, users with just their rights, sentinels with
a user of their own."""

import pytest

from pair import KEY, record
from rights import OF_SENTINELS, RIGHTS, granted
from tests.lib import read_beats, wait_until
from tests.lib.certificates import Authority
from tests.lib.programs import leaderwrap_binary
from tests.lib.redis import free_port
from tests.lib.sentinel import NAME, REPLICATION_CONFIG, leave_at_once

pytestmark = pytest.mark.skipif(
    not (leaderwrap_binary().parent / "leaderwrap-tls.so").exists(), reason="built without TLS"
)


class Guarded:
    """A master, a replica and three sentinels, which talk TLS to each other too."""

    def __init__(self, arena):
        self.authority = Authority(arena.folder)
        certificate, key = self.authority.issue("redis", "IP:127.0.0.1")
        self._tls = [
            "tls-cert-file %s" % certificate,
            "tls-key-file %s" % key,
            "tls-ca-cert-file %s" % self.authority.path,
            "tls-auth-clients no",
            "tls-replication yes",
        ]
        self.ports = [free_port() for _ in range(2)]
        self.servers = [
            arena.redis(
                *self._config(port),
                "user leader on >pw ~* &* %s" % " ".join(granted([*RIGHTS, "role"])),
                *more,
            )
            for port, more in zip(
                self.ports,
                (
                    REPLICATION_CONFIG,
                    [*REPLICATION_CONFIG, "replicaof 127.0.0.1 %d" % self.ports[0]],
                ),
            )
        ]
        for server in self.servers:
            leave_at_once(server)
        self.seats = [free_port() for _ in range(3)]
        self.sentinels = [
            arena.sentinel(
                *self._config(port),
                "user watcher on >spw %s" % " ".join(granted(OF_SENTINELS)),
                "sentinel monitor %s 127.0.0.1 %d 2" % (NAME, self.ports[0]),
                "sentinel down-after-milliseconds %s 1000" % NAME,
            )
            for port in self.seats
        ]
        wait_until(lambda: all(map(self._is_settled, self.sentinels)))

    def _config(self, port):
        return ["tls-port %d" % port, *self._tls]

    @staticmethod
    def _is_settled(sentinel):
        reply = sentinel.ask("SENTINEL", "MASTER", NAME) or []
        known = dict(zip(reply[::2], reply[1::2]))
        return (known.get("num-other-sentinels"), known.get("num-slaves")) == ("2", "1")

    def options(self, folder):
        secret = folder / "of-sentinels"
        secret.write_text("spw", encoding="utf-8")
        secret.chmod(0o600)
        urls = ["rediss://leader:pw@127.0.0.1:%d" % port for port in self.seats]
        return [
            *(word for url in urls for word in ("--redis", url)),
            *("--sentinel", NAME, "--sentinel-user", "watcher"),
            *("--sentinel-password-file", secret, "--cacert", self.authority.path),
        ]


def test_a_leader_with_just_its_rights_outlasts_a_fail_over_over_tls(arena):
    guarded = Guarded(arena)
    options = [str(each) for each in guarded.options(arena.folder)]
    done = arena.run("--check", "--key", KEY, *options)
    assert done.returncode == 0, done.stdout
    assert "3 of 3 name it as the master" in done.stdout and "TLSv1.3" in done.stdout
    worker = arena.worker(
        *options, "--assume-fresh", "--renew", "1s", command=arena.beat(), ttl="20s", key=KEY
    )
    worker.wait_event("started")
    old, new = guarded.servers
    before = record(old)
    old.kill()
    # Who is promoted hangs up on everybody.
    wait_until(lambda: (new.ask("ROLE") or [None])[0] == "master")
    # Renewed there.
    wait_until(lambda: record(new)["ident"] != before["ident"])
    assert record(new)["tok"] == before["tok"]
    assert worker.running and not worker.find("lost")
    count = len(read_beats(arena.beats()))
    wait_until(lambda: len(read_beats(arena.beats())) > count)
