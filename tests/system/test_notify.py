"""What a service manager hears (sd_notify), and what the command does not."""

import pytest

from tests.lib.notify import Manager
from pair import KEY

CALM = {"ttl": "60s", "key": KEY}


def told_of(arena, **more):
    return {"NOTIFY_SOCKET": str(arena.short_folder / "notify"), **more}


def test_a_leader_is_ready_and_says_so(arena, redis, manager):
    worker = arena.worker(
        "--assume-fresh", command=["sleep", 600], redis=redis, env=told_of(arena), **CALM
    )
    token = worker.wait_event("elected")["token"]
    assert manager.hear("STATUS=") == "leading with token %d" % token
    manager.hear("READY=1")
    worker.send(15)
    manager.hear("STOPPING=1")
    worker.wait()
    assert [m for m in manager.messages if m.startswith("READY")] == ["READY=1\n"]


def test_a_leader_that_waits_for_its_lock_delay_says_so(arena, redis, manager):
    worker = arena.worker(
        *("--lock-delay", "60s"),
        command=["sleep", 600],
        redis=redis,
        env=told_of(arena),
        key=KEY,
        ttl="2s",
    )
    token = worker.wait_event("elected")["token"]
    leading = "leading with token %d; starting the command in " % token
    assert manager.hear("STATUS=leading").startswith(leading[len("leading") :] + "1 min")
    # A renewal tells how long it still takes.
    assert manager.hear("STATUS=" + leading).endswith(" s")


def test_a_follower_is_ready_and_says_who_leads(arena, redis, manager):
    leader = arena.worker("--assume-fresh", command=["sleep", 600], redis=redis, **CALM)
    token = leader.wait_event("elected")["token"]
    follower = arena.worker(command=["sleep", 600], redis=redis, env=told_of(arena), **CALM)
    assert manager.hear("STATUS=") == "standing by: w0 leads with token %d" % token
    manager.hear("READY=1")
    leader.stop()
    won = follower.wait_event("elected")
    assert manager.hear("STATUS=") == "leading with token %d" % won["token"]
    follower.stop()
    assert [m for m in manager.messages if m.startswith("READY")] == ["READY=1\n"]


def test_without_redis_nobody_is_ready(arena, manager):
    worker = arena.worker(
        command=["true"], url="unix:///nowhere/redis.sock", env=told_of(arena), **CALM
    )
    assert "no such file" in manager.hear("STATUS=")
    worker.wait_event("disconnected")
    worker.stop()
    assert not [m for m in manager.messages if m.startswith("READY")]


def test_the_watchdog_is_fed_by_the_loop(arena, redis, manager):
    worker = arena.worker(
        "--assume-fresh",
        command=["sleep", 600],
        redis=redis,
        env=told_of(arena, WATCHDOG_USEC="200000"),
        **CALM,
    )
    for _ in range(3):
        manager.hear("WATCHDOG=1")
    worker.stop()


def test_a_watchdog_for_somebody_else_is_not_fed(arena, redis, manager):
    env = told_of(arena, WATCHDOG_USEC="20000", WATCHDOG_PID="1")
    worker = arena.worker("--assume-fresh", command=["true"], redis=redis, env=env, **CALM)
    assert worker.wait() == 0
    manager.hear("READY=1")
    assert not [m for m in manager.messages if m.startswith("WATCHDOG")]


def test_an_abstract_name(arena, redis):
    name = "leaderwrap-%s" % arena.mark
    manager = Manager("\0" + name)
    worker = arena.worker(
        "--assume-fresh", command=["true"], redis=redis, env={"NOTIFY_SOCKET": "@" + name}, **CALM
    )
    manager.hear("READY=1")
    worker.wait()
    manager.close()


@pytest.mark.parametrize("name", ["", "relative", "/", "/" + 200 * "x", "vsock:2:1234"])
def test_a_manager_that_cannot_be_reached_does_no_harm(arena, redis, name):
    worker = arena.worker(
        "--assume-fresh", command=["true"], redis=redis, env={"NOTIFY_SOCKET": name}, **CALM
    )
    assert worker.wait() == 0


@pytest.mark.parametrize("options, handed_on", [((), False), (("--pass-notify",), True)])
def test_the_command_gets_the_socket_only_if_asked_for(arena, redis, manager, options, handed_on):
    worker = arena.worker(
        "--assume-fresh",
        *options,
        command=["sleep", 600],
        redis=redis,
        env=told_of(arena, WATCHDOG_USEC="60000000"),
        **CALM,
    )
    child = worker.wait_child()
    with open("/proc/%d/environ" % child, encoding="utf-8") as file:
        names = {entry.split("=")[0] for entry in file.read().split("\0")}
    assert ("NOTIFY_SOCKET" in names, "WATCHDOG_USEC" in names) == (handed_on, handed_on)
    worker.stop()
