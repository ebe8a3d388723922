"""leaderctl acts: pause, step-down, cordon, release, rm. Never do two lead, nor none for long."""

import json
import os
import pty
import signal
import socket
import subprocess

import pytest

from pair import KEY, record
from test_ctl import GUIDE, LEADERCTL, ctl, in_cluster, lead, plant_on_each, run
from tests.lib import wait_until

TERM = "{%s}:term" % KEY


def stand_by(arena, redis, name, *options, key=KEY):
    worker = arena.worker(*options, command=["sleep", "60"], redis=redis, name=name, key=key)
    worker.wait_event("waiting")
    return worker


def pair_of(arena, redis, *options):
    return lead(arena, redis, "db1"), stand_by(arena, redis, "db2", *options)


def status(arena, redis, key=KEY):
    done = run(arena, ["--redis", redis.url(), "--json", "status", key])
    return json.loads(done.stdout)


def test_a_pause_ends_the_term_and_lets_nobody_lead(arena):
    redis = arena.redis()
    leader, follower = pair_of(arena, redis)
    done = ctl(arena, redis, "pause", KEY, "--reason", "db migration")
    assert done.stdout.startswith("%s: paused until `leaderctl resume`" % KEY)
    told = leader.wait_event("wish")
    assert told["wish"] == "paused" and told["reason"] == "db migration"
    assert "@" in told["by"]
    released = leader.wait_event("released", after=told)
    assert "paused by" in str(leader.wait_event("waiting", after=released, wish="paused"))
    assert "db migration" in str(follower.wait_event("waiting", wish="paused"))
    wait_until(lambda: redis.command("GET", KEY))
    assert redis.command("GET", KEY).startswith("paused by ")
    assert redis.command("GET", KEY).endswith(": db migration")
    # It is no mistake in the set-up.
    assert arena.run("--check", "--redis", redis.url(), "--key", KEY).returncode == 0
    told = status(arena, redis)
    assert told["state"] == "paused" and told["leader"] is None and told["foreign"] is None
    assert told["paused"]["reason"] == "db migration" and told["paused"]["left_ms"] is None
    assert {each["name"] for each in told["candidates"]} == {"db1", "db2"}
    row = ctl(arena, redis, "ls", status=3).stdout.splitlines()[1]
    assert "paused" in row and "db migration)" in row
    # Nor whoever comes now, sure that there was no leader.
    late = arena.worker("--assume-fresh", command=["true"], redis=redis, name="db3", key=KEY)
    late.wait_event("waiting", wish="paused")
    assert not follower.find("elected") and not late.find("elected")
    late.stop()
    assert ctl(arena, redis, "resume", KEY).stdout == "%s: resumed\n" % KEY
    wait_until(lambda: status(arena, redis)["state"] == "led")
    terms = json.loads(ctl(arena, redis, "--json", "history", KEY).stdout)
    assert [term["reason"] for term in terms] == ["", "paused"]
    assert ctl(arena, redis, "resume", KEY).stdout == "%s: is not paused\n" % KEY


def test_a_pause_can_end_by_itself(arena):
    redis = arena.redis()
    leader, follower = pair_of(arena, redis)
    assert "paused for 3 s;" in ctl(arena, redis, "pause", KEY, "--for", "3s").stdout
    before = leader.wait_event("released")
    follower.wait_event("waiting", wish="paused")
    wait_until(lambda: leader.find("elected", after=before) or follower.find("elected"))
    assert redis.command("GET", KEY).startswith("db")


def test_a_pause_survives_a_restart_of_redis(arena):
    redis = arena.redis("appendonly yes", "appendfsync always")
    _, follower = pair_of(arena, redis)
    ctl(arena, redis, "pause", KEY)
    before = follower.wait_event("waiting", wish="paused")
    redis.restart()
    follower.wait_event("connected", after=before)
    wait_until(lambda: record(redis).get("st") == "vacant")
    wait_until(lambda: (redis.command("GET", KEY) or "").startswith("paused by "))
    assert status(arena, redis)["state"] == "paused"
    ctl(arena, redis, "resume", KEY)
    wait_until(lambda: status(arena, redis)["state"] == "led")


@pytest.mark.parametrize("how", ["restart", "FLUSHALL"])
def test_a_pause_that_is_lost_with_the_data_is_told(arena, how):
    redis = arena.redis()
    workers = pair_of(arena, redis)
    ctl(arena, redis, "pause", KEY, "--reason", "db migration")
    paused = [worker.wait_event("waiting", wish="paused") for worker in workers]
    assert status(arena, redis)["pause_lost"] is None
    if how == "restart":
        redis.restart()
    else:
        redis.command("FLUSHALL")
    for worker, before in zip(workers, paused):
        told = worker.wait_event("pause_lost", after=before)
        assert told["reason"] == "db migration" and "@" in told["by"]
    wait_until(lambda: status(arena, redis)["state"] == "led")
    lost = status(arena, redis)["pause_lost"]
    assert lost["reason"] == "db migration" and "@" in lost["by"] and lost["lost_ms"] > 0
    text = ctl(arena, redis, "status", KEY).stdout
    assert "\nlost      db migration, by " in text and "has lost a pause" in text
    # Another one makes up for it.
    marks = [worker.mark() for worker in workers]
    ctl(arena, redis, "pause", KEY)
    again = [
        worker.wait_event("waiting", after=mark, wish="paused")
        for worker, mark in zip(workers, marks)
    ]
    assert status(arena, redis)["pause_lost"] is None
    ctl(arena, redis, "resume", KEY)
    wait_until(lambda: status(arena, redis)["state"] == "led")
    wait_until(lambda: status(arena, redis)["pause_lost"] is None)
    for worker, before in zip(workers, again):
        assert not worker.find("pause_lost", after=before)


def test_a_leader_steps_down_for_whoever_comes(arena):
    redis = arena.redis()
    leader, follower = pair_of(arena, redis)
    done = ctl(arena, redis, "step-down", KEY, "--wait")
    lines = done.stdout.splitlines()
    assert lines[0].startswith("db1, with token ") and lines[1].startswith("released after ")
    assert lines[2].startswith("db2 leads with token ") and " after " in lines[2]
    follower.wait_event("started")
    asked = leader.wait_event("wish", wish="step-down")
    back = leader.wait_event("stand_back", after=asked)
    # It stands by again as soon as another one leads, and not when the time is over.
    leader.wait_event("waiting", after=back, holder="db2")
    terms = json.loads(ctl(arena, redis, "--json", "history", KEY).stdout)
    assert terms[1]["reason"] == "step-down"


def test_the_one_who_is_named_leads_next(arena):
    redis = arena.redis()
    leader, _ = pair_of(arena, redis)
    third = stand_by(arena, redis, "db3")
    done = ctl(arena, redis, "step-down", KEY, "--to", "db3", "--wait")
    assert "db3 leads with token " in done.stdout
    third.wait_event("started")
    # Where that one is not there, somebody else leads when the time is over.
    done = ctl(arena, redis, "step-down", KEY, "--to", "nobody", "--for", "4s")
    assert done.stdout.endswith("is asked to step down for nobody\n")
    leader.wait_event("waiting", wish="step-down")
    wait_until(lambda: status(arena, redis)["leader"] in ("db1", "db2"))


def test_a_wish_of_a_term_that_is_over_ends_no_other(arena):
    redis = arena.redis()
    leader, follower = pair_of(arena, redis)
    token = int(record(redis)["tok"])
    now_ms = int(redis.command("TIME")[0]) * 1000
    redis.command("HSET", TERM, "ask", "%d %d 60000 op@adm " % (token - 1, now_ms))
    renewed = leader.wait_event("renewed")
    leader.wait_event("renewed", after=renewed)
    assert not leader.find("wish")
    # The leader hangs and cannot hear it; the next one is not meant.
    leader.sigstop()
    ctl(arena, redis, "step-down", KEY)
    started = follower.wait_event("started")
    leader.cont()
    renewed = follower.wait_event("renewed", after=started)
    follower.wait_event("renewed", after=renewed)
    assert not follower.find("wish")


def test_nobody_can_step_down_where_nobody_leads(arena):
    redis = arena.redis()
    assert ctl(arena, redis, "step-down", KEY, status=3).stdout == "%s: nobody leads\n" % KEY
    done = ctl(arena, redis, "step-down", KEY, "--wait", status=3)
    assert done.stderr == "leaderctl: nobody leads\n"
    lead(arena, redis, "db1")
    done = ctl(arena, redis, "step-down", KEY, "--wait", "--for", "3s", status=3)
    assert done.stderr == "leaderctl: released, and nobody else leads\n"


def test_a_redis_that_does_not_answer_is_told_of_at_once(arena):
    redis = arena.redis()
    redis.freeze()
    for words in (["pause", KEY], ["step-down", KEY, "--wait"]):
        done = ctl(arena, redis, *words, "--request-timeout", "300ms", status=69)
        assert "within 300 ms" in done.stderr
    redis.thaw()


@pytest.mark.parametrize("name", ["db1", socket.gethostname()])
def test_who_is_cordoned_stands_by(arena, name):
    """By its name, or by that of its host, which all of them are on here."""
    redis = arena.redis()
    leader, follower = pair_of(arena, redis)
    assert "does not lead until" in ctl(arena, redis, "cordon", name, KEY).stdout
    told = leader.wait_event("wish", wish="cordoned")
    leader.wait_event("waiting", after=told, wish="cordoned")
    if name == "db1":
        follower.wait_event("started")
    else:
        follower.wait_event("waiting", wish="cordoned")
    assert [each["name"] for each in status(arena, redis)["cordoned"]] == [name]
    assert ctl(arena, redis, "uncordon", name, KEY).stdout.endswith("%s may lead again\n" % name)
    assert "is not cordoned" in ctl(arena, redis, "uncordon", name, KEY).stdout
    assert status(arena, redis)["cordoned"] == []
    wait_until(lambda: status(arena, redis)["state"] == "led")


def once(arena, redis, *options, key=KEY):
    url = ["--redis", redis.url(), "--key", key, "--name", "web4", "--assume-fresh"]
    return arena.run("--once", *url, *options, "--", "true")


def test_a_job_is_not_run_while_its_lease_is_paused(arena):
    redis = arena.redis()
    ctl(arena, redis, "pause", KEY, "--reason", "why")
    worker = arena.worker("--once", command=["true"], redis=redis, key=KEY)
    assert worker.wait() == 75
    assert "not running the command: paused by" in str(worker.find("busy")[0])
    ctl(arena, redis, "resume", KEY)
    assert once(arena, redis, "--wait", "10s").returncode == 0


def test_a_job_that_runs_is_stopped(arena):
    redis = arena.redis()
    worker = arena.worker("--once", "--assume-fresh", command=["sleep", "60"], redis=redis, key=KEY)
    worker.wait_event("started")
    ctl(arena, redis, "pause", KEY)
    assert worker.wait() == 79


def test_a_hold_is_ended(arena):
    redis = arena.redis()
    assert once(arena, redis, "--hold", "10m").returncode == 0
    assert once(arena, redis).returncode == 75
    assert status(arena, redis)["last_success_ms"] > 0
    assert "the hold is over" in ctl(arena, redis, "release", KEY).stdout
    assert once(arena, redis, "--hold", "0s").returncode == 0
    assert "no hold to end" in ctl(arena, redis, "release", KEY).stdout
    lead(arena, redis, "db1")
    done = ctl(arena, redis, "release", KEY, status=1)
    assert "is held by db1: not while somebody leads" in done.stdout


def test_a_lease_is_broken_after_a_question(arena):
    redis = arena.redis()
    leader = lead(arena, redis, "db1")
    done = ctl(arena, redis, "release", KEY, "--force", status=64)
    assert "--yes" in done.stderr and not leader.find("lost")
    for answer, code in ((b"no\n", 1), (b"yes\n", 0)):
        master, slave = pty.openpty()
        os.write(master, answer)
        done = subprocess.run(
            [LEADERCTL, "--redis", redis.url(), "release", KEY, "--force"],
            env=arena.environment(),
            stdin=slave,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        os.close(master)
        os.close(slave)
        assert done.returncode == code, done
        assert "two commands may run" in done.stdout
    # Who still runs loses the lease, and its command is killed.
    leader.wait_event("lost")
    leader.wait_event("tree_dead")
    before = leader.wait_event("tree_dead")
    leader.wait_event("elected", after=before)
    assert "broken" in ctl(arena, redis, "release", KEY, "--force", "--yes").stdout


def test_a_lease_that_nobody_holds_is_deleted(arena):
    redis = arena.redis()
    worker = lead(arena, redis, "db1")
    assert "not while somebody leads" in ctl(arena, redis, "rm", KEY, status=1).stdout
    worker.stop()
    assert ctl(arena, redis, "rm", KEY).stdout == "%s: deleted\n" % KEY
    assert redis.command("DBSIZE") == 0
    assert "no such lease" in ctl(arena, redis, "rm", KEY).stdout


def test_all_leases_are_paused(arena):
    redis = arena.redis()
    workers = [lead(arena, redis, "db1", "job:%d" % i) for i in range(3)]
    done = ctl(arena, redis, "--json", "pause", "--all", "--for", "10m")
    assert [json.loads(line)["result"] for line in done.stdout.splitlines()] == ["done"] * 3
    for worker in workers:
        worker.wait_event("wish", wish="paused")
    assert ctl(arena, redis, "resume", "--all").stdout.count(": resumed\n") == 3
    assert ctl(arena, redis, "cordon", "db1", "--all").stdout.count("does not lead") == 3
    for worker in workers:
        worker.wait_event("waiting", wish="cordoned")


def test_connections_have_the_name_of_their_candidate(arena):
    redis = arena.redis()
    pair_of(arena, redis)

    def names():
        lines = redis.command("CLIENT", "LIST").splitlines()
        return sorted(word[5:] for line in lines for word in line.split() if word[:5] == "name=")

    wait_until(lambda: names().count("leaderwrap:db2") == 2, what="lease and events")
    assert "leaderwrap:db1" in names()


def test_all_leases_of_a_cluster_are_paused(arena):
    cluster = arena.cluster()
    keys = plant_on_each(cluster)
    done = in_cluster(arena, cluster, "--json", "pause", "--all", "--reason", "why")
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(each["key"], each["result"]) for each in told] == [(k, "done") for k in sorted(keys)]
    for node, key in zip(cluster.nodes, keys):
        assert node.command("GET", key).endswith(": why")
    done = in_cluster(arena, cluster, "cordon", "db0", "--all")
    assert done.stdout.count("does not lead") == 3
    assert in_cluster(arena, cluster, "resume", "--all").stdout.count(": resumed\n") == 3
    for node, key in zip(cluster.nodes, keys):
        assert node.command("GET", key) is None


def test_who_stands_by_is_shown(arena):
    redis = arena.redis()
    _, follower = pair_of(arena, redis)
    told = status(arena, redis)
    (candidate,) = told["candidates"]
    assert candidate["name"] == "db2" and candidate["pid"] == follower.pid
    assert candidate["host"] == socket.gethostname() and candidate["command"] == "sleep"
    assert "leaderwrap %s\n" % candidate["version"] == arena.run("--version").stdout
    assert candidate["ttl_ms"] == 3000
    assert candidate["since_ms"] <= candidate["seen_ms"] + 1000
    assert told["warnings"] == []
    twin = stand_by(arena, redis, "db2", "--ttl", "4s")
    warnings = " ".join(status(arena, redis)["warnings"])
    assert "TTL" in warnings and "same name" in warnings
    assert "standby   db2 (host " in ctl(arena, redis, "status", KEY).stdout
    assert ctl(arena, redis, "ls").stdout.splitlines()[1].split()[-1] == "3"
    twin.send(signal.SIGTERM)


def test_what_an_operator_needs_to_act_is_enough(arena):
    """The permissions that the guide lists."""
    redis = arena.redis()
    key = "leaderwrap:server"
    lead(arena, redis, "db1", key)
    rights = (
        GUIDE.split("ACL SETUSER operator on >secret ")[1]
        .split("\n```")[0]
        .replace("\\\n", "")
        .split()
    )
    acts = GUIDE.replace("\n", " ").split("To act it needs `")[1].split("`")[0].split()
    redis.command("ACL", "SETUSER", "operator", "on", ">pw", *rights)
    url = redis.url(user="operator", password="pw")
    done = ctl(arena, redis, "pause", key, url=url, status=77)
    assert "grant what doc/REDIS.md lists" in done.stderr
    redis.command("ACL", "SETUSER", "operator", *acts)
    for words in (
        ["cordon", "nobody", key],
        ["uncordon", "nobody", key],
        ["pause", key],
        ["resume", key],
        ["release", key, "--force", "--yes"],
    ):
        ctl(arena, redis, *words, url=url)


@pytest.mark.parametrize("kind", ["sentinels", "cluster"])
def test_acts_go_the_way_through_others(arena, kind):
    many = arena.replication() if kind == "sentinels" else arena.cluster()
    key = "leaderwrap:server"
    server = many.master if kind == "sentinels" else many.owner(key)
    server.command("HSET", "{%s}:term" % key, "st", "free", "name", "db1")
    prefix = many.hosts[0].prefix() if many.hosts[0] else []
    done = run(arena, [*many.options, "pause", key, "--reason", "why"], prefix)
    assert done.returncode == 0, done
    assert server.command("GET", key).endswith(": why")
    assert run(arena, [*many.options, "resume", key], prefix).returncode == 0
    assert server.command("GET", key) is None
