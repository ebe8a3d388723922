"""The way to a master by its sentinels: what --check tells of it, passwords, the last will, and the
warning where there are replicas and nobody to be asked. What faults do is in test_sentinel.py."""

import pytest

from tests.lib import wait_until
from tests.lib.sentinel import NAME, Replication
from pair import ALONE, KEY, record
from rights import OF_SENTINELS, granted


@pytest.fixture
def replication(arena):
    return Replication(arena, [None] * 3)


def address(*sentinels, name=NAME, user=""):
    hosts = ",".join("%s:%d" % (each.address, each.port) for each in sentinels)
    return "redis+sentinel://%s%s/%s" % (user, hosts, name)


def check(arena, *options, status=0, env=None):
    """Runs --check; what it prints, by the first words of its lines."""
    done = arena.run("--check", "--key", KEY, *options, env=env)
    assert done.returncode == status, done.stdout + done.stderr
    return {line[:38].strip(): line[38:] for line in done.stdout.splitlines()}


def test_check_shows_the_way_and_the_votes(arena, replication):
    first, second, third = replication.sentinels
    master = replication.master
    told = check(arena, "--redis", address(first))
    assert told["redis"] == "%s of the sentinels at %s:%d" % (NAME, first.address, first.port)
    assert told["server"] == "%s:%d" % (master.address, master.port)
    assert told["witnesses"] == "3 of 3 name it as the master"
    assert "warning" not in told and told["result"] == "everything that leading needs works"
    third.kill()
    told = check(arena, *replication.options)
    assert told["witnesses"] == "2 of 3 name it as the master, 1 does not answer"
    assert told["result"] == "everything that leading needs works"
    second.kill()
    told = check(arena, *replication.options, status=69)
    assert told["witnesses"] == "1 of 3 names it as the master, 2 do not answer"
    assert told["result"].startswith("no majority of the witnesses names this server")
    first.kill()
    told = check(arena, *replication.options, status=69)
    assert told["result"].startswith("none of 3 sentinels says where %s is" % NAME)


def test_a_name_that_no_sentinel_knows_is_told_at_once(arena, replication):
    url = address(*replication.sentinels, name="other")
    told = check(arena, "--redis", url, status=125)
    assert "knows no master called other" in told["result"]
    done = arena.run("--key", KEY, "--redis", url, "--", "true")
    assert done.returncode == 125
    assert "knows no master called other" in done.stderr


def test_a_server_is_no_sentinel(arena, replication):
    told = check(arena, "--redis", address(replication.master), status=125)
    assert "a server and no sentinel" in told["result"]


def test_sentinels_and_servers_have_users_of_their_own(arena, replication):
    for sentinel in replication.sentinels:
        rights = granted(OF_SENTINELS)
        sentinel.command("ACL", "SETUSER", "watcher", "on", ">spw", *rights)
    for server in replication.servers:
        server.command("ACL", "SETUSER", "leader", "on", ">pw", "~*", "&*", "+@all", "-role")
    url = ["--redis", address(*replication.sentinels, user="leader:pw@")]
    watcher = ["--sentinel-user", "watcher", "--sentinel-password-file"]
    good, bad = arena.folder / "good", arena.folder / "bad"
    for file, word in ((good, "spw"), (bad, "wrong")):
        file.write_text(word, encoding="utf-8")
        file.chmod(0o600)
    told = check(arena, *url, *watcher, bad, status=125)
    assert "refused the password" in told["result"] and str(bad) in told["result"]
    told = check(arena, *url, *watcher, good, status=125)
    assert "refused the role" in told["result"] and "+role" in told["result"]
    for server in replication.servers:
        server.command("ACL", "SETUSER", "leader", "+role")
    told = check(arena, *url, *watcher, good)
    assert told["witnesses"] == "3 of 3 name it as the master"


def test_a_last_will_finds_the_new_master(arena, replication):
    """The wrapper is killed while the lease's server is the old one, and the keeper's will has to
    ask where it is now."""
    options = [*replication.options, "--assume-fresh", "--renew", "1s"]
    worker = arena.worker(*options, command=arena.beat(*ALONE), ttl="60s", key=KEY)
    worker.wait_event("started")
    mark = worker.mark()
    old = replication.master
    old.kill()
    new = replication.wait_master(old)
    worker.wait_event("connected", after=mark)
    worker.kill9()
    worker.wait_event("will_done")
    wait_until(lambda: record(new).get("st") == "free", what="the release")


@pytest.mark.parametrize("watched", [True, False])
def test_replicas_that_nobody_watches_are_told_of_once(arena, replication, watched):
    options = replication.options if watched else ["--redis", replication.master.url("tcp")]
    worker = arena.worker(*options, "--assume-fresh", command=["sleep", "60"], key=KEY)
    worker.wait_event("renewed")
    assert len(worker.find("unwatched")) == (0 if watched else 1)
    told = check(arena, *options)
    assert ("warning" in told) != watched
