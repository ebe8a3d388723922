"""A server that refuses the user, the password or the database has nothing run behind it."""

import pytest

from pair import KEY, record

# How to be refused by a server whose default user needs no password, and what is said of it.
REFUSED = {
    "database": (lambda redis: redis.url(db=99), "refused the database"),
    "user": (lambda redis: redis.url(user="nobody", password="x"), "refused the password"),
    "password": (lambda redis: redis.url(user="u", password="x"), "refused the password"),
    "needless password": (lambda redis: redis.url(password="x"), "refused the password"),
}


def refusing(redis, how):
    redis.command("ACL", "SETUSER", "u", "on", ">right", "~*", "&*", "+@all")
    url, words = REFUSED[how]
    return url(redis), words


def keys(redis):
    return redis.command("KEYS", "*")


@pytest.mark.parametrize("how", REFUSED)
def test_nothing_is_written_into_database_0(arena, redis, how):
    url, words = refusing(redis, how)
    worker = arena.worker("--assume-fresh", command=["true"], url=url, key=KEY)
    assert worker.wait() == 125
    assert words in worker.wait_event("refused")["message"]
    assert keys(redis) == []
    # Nobody has to wait for a lease that is not there.
    done = arena.run("--once", "--assume-fresh", "--redis", redis.url(), "--", "true")
    assert done.returncode == 0


@pytest.mark.parametrize("how", REFUSED)
def test_check_leaves_nothing_in_database_0(arena, redis, how):
    url, words = refusing(redis, how)
    done = arena.run("--check", "--redis", url, "--key", KEY)
    assert done.returncode == 125
    assert words in done.stdout
    assert keys(redis) == []


def test_the_record_is_in_the_database_of_the_url(arena, redis):
    """Through the whole handshake, and back: the leader's last will goes there, too."""
    redis.command("ACL", "SETUSER", "u", "on", ">right", "~*", "&*", "+@all")
    url = redis.url(user="u", password="right", db=3)
    worker = arena.worker("--assume-fresh", command=["sleep", 600], url=url, key=KEY)
    worker.wait_event("elected")
    worker.wait_child()
    assert keys(redis) == []
    worker.kill9()
    other = arena.worker("--takeover", "server-clock", command=["true"], url=url, key=KEY)
    assert other.wait() == 0
    assert keys(redis) == []
    assert record(redis) == {}
