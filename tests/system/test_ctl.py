"""leaderctl: what it prints of real leases, and its exit status."""

import fcntl
import json
import os
import pty
import re
import signal
import socket
import struct
import subprocess
import termios
import threading

import pytest

from pair import KEY
from tests.lib import wait_until
from tests.lib.programs import ROOT, leaderwrap_binary
from tests.lib.redis import free_port

LEADERCTL = leaderwrap_binary().parent / "leaderctl"
GUIDE = (ROOT / "doc" / "guide" / "LEADERCTL.md").read_text(encoding="utf-8")


def run(arena, words, prefix=(), stdout=subprocess.PIPE):
    return subprocess.run(
        [*prefix, LEADERCTL, *words],
        env=arena.environment(),
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        timeout=30,
        check=False,
    )


def ctl(arena, redis, *words, status=0, url=None, **more):
    done = run(arena, ["--redis", url or redis.url(), *words], **more)
    assert done.returncode == status, done
    return done


def lead(arena, redis, name, key=KEY, url=None):
    worker = arena.worker(
        "--assume-fresh", command=["sleep", "60"], redis=redis, name=name, key=key, url=url
    )
    worker.wait_event("elected")
    return worker


def once(arena, redis, key, *command):
    url = ["--redis", redis.url(), "--key", key, "--name", "web4", "--assume-fresh"]
    return arena.run("--once", *url, "--hold", "10m", "--", *command)


def test_a_lease_that_is_led(arena):
    redis = arena.redis()
    worker = lead(arena, redis, "db1")
    told = json.loads(ctl(arena, redis, "--json", "status", KEY).stdout)
    assert told["state"] == "led" and told["leader"] == "db1"
    assert len(told["warnings"]) == 1 and "nobody stands by" in told["warnings"][0]
    assert told["token"] == int(redis.command("HGET", "{%s}:term" % KEY, "tok"))
    assert 0 < told["left_ms"] <= told["ttl_ms"] == 3000
    assert told["since_ms"] <= told["renewed_ms"] and told["term"] == 1
    lines = dict(
        line.split(None, 1) for line in ctl(arena, redis, "status", KEY).stdout.splitlines()
    )
    assert (lines["state"], lines["leader"], lines["ttl"]) == ("led", "db1", "3.0s")
    redis.command("DEL", KEY)
    redis.command("SET", KEY, "stranger\x1b[2J")
    done = ctl(arena, redis, "status", KEY)
    assert "foreign   stranger\\x1b[2J\n" in done.stdout and "warning   the key has" in done.stdout
    assert "\x1b" not in done.stdout
    redis.command("DEL", KEY)
    worker.stop()
    wait_until(lambda: redis.command("HGET", "{%s}:term" % KEY, "st") == "free")
    assert "state     free\n" in ctl(arena, redis, "status", KEY, status=3).stdout


def test_all_leases(arena):
    redis = arena.redis()
    assert ctl(arena, redis, "ls", status=3).stdout.split()[:3] == ["LEASE", "STATE", "LEADER"]
    assert ctl(arena, redis, "-j", "ls", status=3).stdout == "[]\n"
    assert once(arena, redis, "leaderwrap:newsletter", "true").returncode == 0
    assert ctl(arena, redis, "ls", status=3).stdout.count("closed") == 1
    lead(arena, redis, "db1", "leaderwrap:server")
    redis.command("HSET", "{other}:term", "name", "\x1b[31m\n", "st", "held")
    rows = [line.split() for line in ctl(arena, redis, "ls").stdout.splitlines()]
    assert [row[:3] for row in rows[1:]] == [
        ["leaderwrap:newsletter", "closed", "(done:"],
        ["leaderwrap:server", "led", "db1"],
        ["other", "expired", "\\x1b[31m\\x0a"],
    ]
    told = json.loads(ctl(arena, redis, "--json", "ls").stdout)
    assert [(each["key"], each["state"]) for each in told] == [
        ("leaderwrap:newsletter", "closed"),
        ("leaderwrap:server", "led"),
        ("other", "expired"),
    ]


def test_a_narrow_terminal_keeps_its_lines(arena):
    redis = arena.redis()
    lead(arena, redis, "db1", "leaderwrap:a-service-with-a-long-name")
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 70, 0, 0))
    ctl(arena, redis, "ls", stdout=slave)
    os.close(slave)
    lines = os.read(master, 65536).decode().splitlines()
    os.close(master)
    assert len(lines) == 2 and all(len(line) <= 70 for line in lines)
    assert "~" in lines[1]


def test_the_history(arena):
    redis = arena.redis()
    assert once(arena, redis, KEY, "sh", "-c", "exit 3").returncode == 3
    redis.command("HSET", "{%s}:term" % KEY, "st", "free")
    lead(arena, redis, "db1")
    now, before = json.loads(ctl(arena, redis, "--json", "history", KEY).stdout)
    assert (now["leader"], now["to_ms"]) == ("db1", None) and now["gap_ms"] >= 0
    assert (before["leader"], before["reason"]) == ("web4", "exit 3")
    assert before["exit_status"] == 3 and before["signal"] is None and now["exit_status"] is None
    assert (before["term"], now["term"]) == (1, 2)
    assert before["lasted_ms"] == before["to_ms"] - before["from_ms"]
    lines = ctl(arena, redis, "history", KEY).stdout.splitlines()
    assert lines[0].split()[-1] == "ENDED" and lines[2].endswith("exit 3")
    assert len(ctl(arena, redis, "--last", "1", "history", KEY).stdout.splitlines()) == 2


def test_a_lease_that_is_none(arena):
    redis = arena.redis()
    lead(arena, redis, "db1", "leaderwrap:server")
    assert ctl(arena, redis, "status", "server", status=3).stderr == (
        'leaderctl: no lease "server"; did you mean "leaderwrap:server"?\n'
    )
    assert ctl(arena, redis, "history", "a\x1b", status=3).stderr == (
        'leaderctl: no lease "a\\x1b"\n'
    )


def test_what_goes_wrong(arena):
    redis = arena.redis()
    gone = "redis://127.0.0.1:%d" % free_port()
    assert "refused" in ctl(arena, None, "ls", url=gone, status=69).stderr
    assert "command" in ctl(arena, redis, "frob", status=64).stderr
    redis.command("ACL", "SETUSER", "poor", "on", ">pw", "~*", "+ping", "+select")
    done = ctl(arena, redis, "ls", url=redis.url(user="poor", password="pw"), status=77)
    assert "NOPERM" in done.stderr
    done = ctl(arena, redis, "ls", url=redis.url(user="poor", password="no"), status=77)
    assert "WRONGPASS" in done.stderr
    redis.command("ACL", "SETUSER", "scanner", "on", ">pw", "~*", "+scan")
    redis.command("HSET", "{other}:term", "st", "held")
    done = ctl(arena, redis, "ls", url=redis.url(user="scanner", password="pw"), status=77)
    assert "NOPERM" in done.stderr
    with open("/dev/full", "w", encoding="ascii") as full:
        done = ctl(arena, redis, "ls", stdout=full, status=125)
    assert done.stderr == "leaderctl: cannot write to standard output\n"
    redis.freeze()
    done = ctl(arena, redis, "--request-timeout", "300ms", "status", KEY, status=69)
    assert "within 300 ms" in done.stderr
    redis.thaw()


def watching(arena, redis, *options, url=None, key=KEY):
    """A watch of the test's lease, and a function that awaits its next line."""
    watch = arena.spawn(
        [LEADERCTL, "--redis", url or redis.url(), *options, "watch", *([key] if key else [])],
        stdout=subprocess.PIPE,
        text=True,
    )
    return watch, lambda: watch.stdout.readline().rstrip("\n")


def test_changes_are_told_as_they_happen(arena):
    redis = arena.redis("appendonly yes", "appendfsync always")
    watch, line = watching(arena, redis)
    assert line().endswith("Z  none")
    wait_until(lambda: redis.command("PUBSUB", "NUMSUB", "{%s}:events" % KEY)[1] == 1)
    worker = lead(arena, redis, "db1")
    assert "  led by db1, token " in line()
    other, json_line = watching(arena, redis, "--json")
    told = json.loads(json_line())
    assert (told["state"], told["name"]) == ("led", "db1") and told["token"] > 0
    # Renewals are no change.
    worker.wait_event("renewed")
    worker.stop()
    assert line().endswith("  free, last led by db1")
    # What happened while Redis could not be heard is told as soon as it can.
    lost = ("st", "held", "name", "\x1b[2J", "tok", "9", "at", "5")
    redis.command("HSET", "{%s}:term" % KEY, *lost)
    redis.restart()
    assert line().endswith("  expired by \\x1b[2J, token 9")
    for process, number in ((watch, signal.SIGINT), (other, signal.SIGTERM)):
        process.send_signal(number)
        assert process.wait(30) == 0


def test_changes_of_all_leases_are_told(arena):
    redis = arena.redis("appendonly yes", "appendfsync always")
    lead(arena, redis, "db1", key="job:b")
    _, line = watching(arena, redis, key=None)
    assert "  job:b  led by db1, token " in line()
    wait_until(lambda: redis.command("PUBSUB", "NUMPAT") == 1)
    # Those of another database, and what is no lease, are of no interest.
    other = redis.url(db=3)
    lead(arena, redis, "db9", key="job:z", url=other)
    redis.command("PUBLISH", "x:events", "1|free|i|v|1|1|0|me")
    redis.command("PUBLISH", "{x}:events", "hello")
    worker = lead(arena, redis, "db2", key="{job}a")
    assert "  {job}a  led by db2, token " in line()
    worker.stop()
    assert line().endswith("  {job}a  free, last led by db2")
    _, line_of_other = watching(arena, redis, "--json", url=other, key=None)
    told = json.loads(line_of_other())
    assert (told["key"], told["state"], told["name"]) == ("job:z", "led", "db9")
    # What happened while Redis could not be heard is told as soon as it can.
    redis.command("DEL", "{job}a::term", "{job}a::history")
    lost = ("st", "held", "name", "db7", "tok", "9", "at", "5")
    redis.command("HSET", "{job:c}:term", *lost)
    redis.restart()
    lines = [line() for _ in range(3)]
    assert any(each.endswith("  job:c  expired by db7, token 9") for each in lines)
    assert any(each.endswith("  {job}a  none") for each in lines)


def test_a_watch_that_nobody_can_read_ends(arena):
    redis = arena.redis()
    with open("/dev/full", "w", encoding="ascii") as full:
        done = ctl(arena, redis, "watch", KEY, stdout=full, status=125)
    assert done.stderr == "leaderctl: cannot write to standard output\n"
    gone = "redis://127.0.0.1:%d" % free_port()
    assert "refused" in ctl(arena, None, "watch", KEY, url=gone, status=69).stderr


def test_a_command_asks_whether_its_term_is_good(arena):
    redis = arena.redis()
    program = str(LEADERCTL)
    script = """
        "$0" holding; echo $?
        "$0" --at-least 1h holding; echo $?
        "$0" --json --at-least 1ms holding; echo $?
        LEADERWRAP_TOKEN=1 "$0" holding; echo $?
        LEADERWRAP_LEASE=/nowhere "$0" holding 2>&1; echo $?
        LEADERWRAP_TOKEN= "$0" holding 2>&1; echo $?
    """
    url = ["--redis", redis.url(), "--key", KEY, "--assume-fresh", "--lease-page"]
    done = arena.run(*url, "--", "sh", "-c", script, program)
    lines = done.stdout.splitlines()
    assert lines[1::2] == ["0", "3", "0", "3", "64", "64"], done
    assert lines[0].startswith("this term is good for another 1")
    assert "less than was asked for" in lines[2] and '"holding": true' in lines[4]
    assert "is over" in lines[6] and "No such file" in lines[8] and "no token" in lines[10]


def test_a_server_that_is_no_redis(arena):
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(30)

        def answer():
            with server.accept()[0] as peer:
                peer.recv(4096)
                peer.sendall(b"+OK\r\n")
                peer.recv(4096)

        thread = threading.Thread(target=answer)
        thread.start()
        url = "redis://127.0.0.1:%d" % server.getsockname()[1]
        done = ctl(arena, None, "ls", url=url, status=69)
        thread.join()
    assert "something that no Redis says" in done.stderr


def test_what_an_operator_needs_is_enough(arena):
    """The permissions that the guide lists."""
    redis = arena.redis()
    lead(arena, redis, "db1", "leaderwrap:server")
    rights = (
        GUIDE.split("ACL SETUSER operator on >secret ")[1]
        .split("\n```")[0]
        .replace("\\\n", "")
        .split()
    )
    redis.command("ACL", "SETUSER", "operator", "on", ">pw", *rights)
    url = redis.url(user="operator", password="pw")
    assert "db1" in ctl(arena, redis, "ls", url=url).stdout
    watch, line = watching(arena, redis, url=url, key="leaderwrap:server")
    assert "led by db1" in line()
    # The leader itself does not listen.
    wait_until(lambda: redis.command("PUBSUB", "NUMSUB", "{leaderwrap:server}:events")[1] == 1)
    watch.send_signal(signal.SIGINT)
    assert watch.wait(30) == 0
    assert "since     2" in ctl(arena, redis, "status", "leaderwrap:server", url=url).stdout


def test_a_doctor_finds_what_could_hurt(arena):
    redis = arena.redis("maxmemory 100mb", "maxmemory-policy allkeys-lru")
    lead(arena, redis, "db1")
    done = ctl(arena, redis, "doctor", KEY, status=1)
    bad = [line for line in done.stdout.splitlines() if line.startswith("LOOK  ")]
    for word in ("allkeys-lru", "appendonly is off", "this host alone", "nobody stands by"):
        assert any(word in line for line in bad), done.stdout
    assert "ok    the lease is led, with 0 standing by" in done.stdout
    told = json.loads(ctl(arena, redis, "--json", "doctor", status=1).stdout)
    assert {each["ok"] for each in told} == {True, False}
    redis.command("ACL", "SETUSER", "poor", "on", ">pw", "~*", "+ping")
    done = ctl(arena, redis, "doctor", url=redis.url(user="poor", password="pw"), status=1)
    assert "INFO is refused" in done.stdout


def test_help_and_version(arena):
    redis = arena.redis()
    assert ctl(arena, redis, "--help").stdout.startswith("Usage: leaderctl")
    assert re.fullmatch(r"leaderctl \d+\.\d+\.\d+\n", ctl(arena, redis, "--version").stdout)


def plant(server, key, state="free", name="db1", ttl_ms=600000):
    """The record of a lease that nobody renews."""
    seconds, micros = map(int, server.command("TIME"))
    now_ms = seconds * 1000 + micros // 1000
    fields = ("st", state, "name", name, "tok", 7, "ttl", ttl_ms, "at", now_ms)
    server.command("HSET", "{%s}:term" % key, *fields)


def plant_on_each(cluster):
    """A lease on each master, db0 on the first. Returns their keys in that order, which is not the
    one of their names."""
    masters = cluster.nodes[:3]
    keys = [cluster.key_of(node, name) for node, name in zip(masters, ("c", "a", "b"))]
    for number, (node, key) in enumerate(zip(masters, keys)):
        plant(node, key, name="db%d" % number)
    return keys


def in_cluster(arena, cluster, *words, status=0):
    prefix = cluster.hosts[0].prefix() if cluster.hosts[0] else []
    done = run(arena, [*cluster.options, *words], prefix)
    assert done.returncode == status, done
    return done


def test_changes_of_all_leases_of_a_cluster_are_told(arena):
    """By any of its nodes: each hears what is published at the others."""
    cluster = arena.cluster()
    keys = plant_on_each(cluster)
    watch = arena.spawn(
        [LEADERCTL, *cluster.options, "watch"],
        host=cluster.hosts[0],
        stdout=subprocess.PIPE,
        text=True,
    )
    line = lambda: watch.stdout.readline().rstrip("\n")
    assert [line().split()[2] for _ in keys] == sorted(keys)
    wait_until(lambda: any(node.command("PUBSUB", "NUMPAT") == 1 for node in cluster.nodes))
    for number, (node, key) in enumerate(zip(cluster.nodes, keys)):
        node.command("PUBLISH", "{%s}:events" % key, "1|held|i|v|%d|1000|-1|db9" % (number + 8))
        assert line().endswith("  %s  led by db9, token %d" % (key, number + 8))


def test_all_leases_of_a_cluster(arena):
    cluster = arena.cluster()
    assert in_cluster(arena, cluster, "-j", "ls", status=3).stdout == "[]\n"
    keys = plant_on_each(cluster)
    rows = in_cluster(arena, cluster, "ls", status=3).stdout.splitlines()[1:]
    assert [row.split()[:2] for row in rows] == [[key, "free"] for key in sorted(keys)]
    plant(cluster.nodes[2], keys[2], "held", "db2")
    told = json.loads(in_cluster(arena, cluster, "--json", "ls").stdout)
    assert [each["key"] for each in told] == sorted(keys)
    assert [each["leader"] for each in told if each["key"] == keys[2]] == ["db2"]


def test_a_part_of_a_cluster_is_not_taken_for_all(arena):
    """The first node that is asked is the one that is gone; another one tells of it."""
    cluster = arena.cluster()
    plant_on_each(cluster)
    first = cluster.nodes[0]
    cluster.replica_of(first).kill()
    first.kill()
    done = in_cluster(arena, cluster, "ls", status=69)
    where = "%s:%d" % (first.address, first.port)
    assert "the leases of the master at %s cannot be read: " % where in done.stderr
    assert done.stdout == ""
    for node in cluster.nodes[1:3]:
        node.kill()
    done = in_cluster(arena, cluster, "ls", status=69)
    assert "none of 3 nodes of the cluster tells where its masters are: " in done.stderr


def test_a_cluster_that_is_none(arena):
    redis = arena.redis()
    done = run(arena, ["--cluster", "--redis", redis.url("tcp"), "ls"])
    assert done.returncode == 77 and "cluster support disabled" in done.stderr
    alone = arena.redis("cluster-enabled yes")
    alone.command("CLUSTER", "ADDSLOTS", 0)
    done = run(arena, ["--cluster", "--redis", alone.url("tcp"), "ls"])
    assert done.returncode == 69 and "no node owns slot 1," in done.stderr
    # It has no name, and is not to be called by its number.
    alone.command("CONFIG", "SET", "cluster-preferred-endpoint-type", "hostname")
    done = run(arena, ["--cluster", "--redis", alone.url("tcp"), "ls"])
    assert done.returncode == 69 and "give another node" in done.stderr


def test_a_lease_whose_slot_is_on_its_way(arena):
    cluster = arena.cluster()
    keys = plant_on_each(cluster)
    moving = cluster.move_slot(keys[0], cluster.nodes[1])
    assert next(moving) == "nothing has moved"
    said = "%s: its slot is on its way to another node of the cluster; again in a moment"
    for words in (["ls"], ["pause", "--all"], ["status", keys[0]]):
        done = in_cluster(arena, cluster, *words, status=69)
        assert said % keys[0] in done.stderr
    assert list(moving)[-1] == "the slot has moved"
    rows = in_cluster(arena, cluster, "ls", status=3).stdout.splitlines()[1:]
    assert [row.split()[0] for row in rows] == sorted(keys)


@pytest.mark.parametrize("kind", ["sentinels", "cluster"])
def test_the_way_through_others(arena, kind):
    many = arena.replication() if kind == "sentinels" else arena.cluster()
    server = many.master if kind == "sentinels" else many.owner("leaderwrap:server")
    server.command("HSET", "{leaderwrap:server}:term", "st", "free", "name", "db1")
    prefix = many.hosts[0].prefix() if many.hosts[0] else []
    for words, said in (
        (["status", "leaderwrap:server"], "last      db1"),
        (["status", "server"], 'did you mean "leaderwrap:server"?'),
    ):
        done = run(arena, [*many.options, *words], prefix)
        assert done.returncode == 3 and said in done.stdout + done.stderr, done
