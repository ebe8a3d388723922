"""Hooks: when they are run, what they are told, and that they change nothing for the command and as
good as nothing for the next leader. (What they can do to stay alive: test_health.py.)"""

import shlex
import signal

import pytest

from tests.lib import boottime_ns, check_terms, processes, read_beats, wait_gone, wait_until
from pair import (
    ALONE,
    KEY,
    SECOND_NS,
    STUBBORN_TREE,
    history,
    pids,
    record,
    wait_subscribed,
    wait_tree,
)

# No deadline comes near on a busy machine, and a follower learns of a release by a push alone.
CALM = {"ttl": "60s"}
RETRY = "60s"

SLEEP = ("sleep", 600)
WORDS = ("EVENT", "REASON", "TOKEN", "KEY", "NAME", "ID")
TELL = "echo %s >>told" % "'|'".join('"$LEADERWRAP_%s"' % word for word in WORDS)
BOTH = ("--on-acquire", TELL, "--on-lose", TELL)


def lead(arena, redis, *options, command=SLEEP, retry=RETRY, **more):
    """A service that may have hooks. All work in the test's folder."""
    options = ("--assume-fresh", "--retry", retry, *options)
    more = {"redis": redis, "key": KEY, **CALM, **more}
    return arena.worker(*options, command=command, **more)


def script(text):
    return ["sh", "-c", text]


def follow(arena, redis, *options, **more):
    """One whose command beats, that stands by and listens."""
    worker = lead(arena, redis, *options, command=arena.beat(*ALONE), **more)
    worker.wait_event("waiting")
    wait_subscribed(redis)
    return worker


def shell(arena, *options, file="beats"):
    """A line for the shell that beats."""
    return "exec " + shlex.join(arena.beat(*options, file=file))


def lines(arena, name):
    path = arena.folder / name
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def told(arena):
    """What TELL wrote, as dictionaries."""
    return [dict(zip(WORDS, line.split("|"))) for line in lines(arena, "told")]


def wait_told(arena, count):
    wait_until(lambda: len(told(arena)) >= count, what="%d hooks" % count)
    return told(arena)


def events(arena):
    return [(words["EVENT"], words["REASON"]) for words in told(arena)]


def warnings(worker):
    return [event["message"] for event in worker.find("hook") if event["level"] != "debug"]


# When, and what they are told


def test_on_acquire_runs_beside_the_command_once_in_a_term(arena, redis):
    """The two wait for each other; the command then ends, again and again."""
    hook = "until [ -e command ]; do sleep 0.02; done; touch hook; " + TELL
    command = script("touch command; until [ -e hook ]; do sleep 0.02; done; exit 5")
    options = ("--restart", "always", "--on-acquire", hook, "--on-lose", TELL)
    first = lead(arena, redis, *options, command=command)
    first.wait_event("restart", after=first.wait_event("restart"))
    assert events(arena) == [("acquire", "released")]
    assert first.stop() == 5
    assert events(arena) == [("acquire", "released"), ("lose", "stopped")]
    # Another term, other news.
    second = lead(arena, redis, *options, command=command)
    second.wait_event("restart")
    wait_told(arena, 3)
    assert events(arena)[2:] == [("acquire", "released")]
    tokens = [int(words["TOKEN"]) for words in told(arena)]
    won = [worker.wait_event("elected")["token"] for worker in (first, second)]
    assert tokens == [won[0], won[0], won[1]]


def stop(worker, _redis):
    worker.send(signal.SIGTERM)


def take_away(_worker, redis):
    redis.command("SET", KEY, "intruder")


def freeze(_worker, redis):
    redis.freeze()


def nothing(_worker, _redis):
    pass


UNHEALTHY = ("--health-cmd", "exit 1", "--health-interval", "50ms", "--health-retries", "1")
FAILING = ("--restart", "on-failure", "--max-restarts", "1")
EXIT = ("--on-lost", "exit")

# Options, command, TTL, and what is done; None: leaderwrap stands by again.
REASONS = {
    "command ended": ((), "exit 7", "60s", nothing, 7),
    "stopped": ((), "exec sleep 600", "60s", stop, 143),
    "lost": ((*EXIT, "--renew", "200ms"), "exec sleep 600", "60s", take_away, 79),
    "no renewal in time": (EXIT, "exec sleep 600", "2s", freeze, 79),
    "unhealthy": (UNHEALTHY, "exec sleep 600", "60s", nothing, None),
    "failed": (FAILING, "exit 7", "60s", nothing, None),
    "max runtime": (("--once", "--max-runtime", "300ms"), "exec sleep 600", "60s", nothing, 124),
}


@pytest.mark.parametrize("reason", REASONS)
def test_what_they_are_told(arena, redis, reason):
    options, text, ttl, act, status = REASONS[reason]
    worker = lead(arena, redis, *BOTH, *options, command=script(text), ttl=ttl, name="me")
    token = worker.wait_event("elected")["token"]
    wait_told(arena, 1)
    act(worker, redis)
    wait_told(arena, 2)
    if status is None:
        worker.wait_event("stand_back")
        worker.stop()
    else:
        assert worker.wait() == status
    assert events(arena) == [("acquire", "released"), ("lose", reason)]
    common = [[words[name] for name in WORDS[2:]] for words in told(arena)]
    assert common[0] == common[1]
    assert common[0][:3] == [str(token), KEY, "me"] and common[0][3].startswith("me#")
    redis.thaw()
    if reason not in ("lost", "no renewal in time"):
        said = {"command ended": "exit 7", "failed": "failed: exit 7"}.get(reason, reason)
        assert history(redis)[-1]["reason"] == said


def test_on_acquire_is_told_how_the_term_before_ended(arena, redis):
    """A server that knows of none, and a leader of which nobody is left to run its --on-lose."""
    leader = arena.worker(*BOTH, command=SLEEP, redis=redis, key=KEY, ttl="2s")
    wait_told(arena, 1)
    lead(arena, redis, *BOTH, ttl="2s", retry="1s").wait_event("waiting")
    keepers = processes.children(leader.pid)
    leader.crash()
    wait_told(arena, 2)
    assert events(arena) == [("acquire", "unknown"), ("acquire", "expired")]
    for pid in keepers:
        wait_gone(pid)


TREES = {"stopped": (), "ended": ("--leave", 7)}


@pytest.mark.parametrize("tree", TREES)
def test_on_lose_runs_when_the_tree_is_dead(arena, redis, tree):
    """All of the tree hold a lock."""
    habits = "--lock lock --daemons 5 --stubborn 5 --stopped 5".split()
    hook = "flock --nonblock lock echo dead >>state || echo alive >>state"
    worker = lead(
        *(arena, redis, "--on-lose", hook, "--grace", "300ms"),
        command=[arena.built("unruly"), *habits, *TREES[tree]],
    )
    worker.wait_output("ready")
    if tree == "stopped":
        worker.stop()
    else:
        assert worker.wait() == 7
    assert lines(arena, "state") == ["dead"]


def test_a_follower_that_never_leads_runs_none(arena, redis):
    leader = lead(arena, redis)
    leader.wait_event("started")
    follower = follow(arena, redis, *BOTH)
    assert follower.stop() == 128 + signal.SIGTERM
    busy = lead(arena, redis, "--once", *BOTH)
    assert busy.wait() == 75
    assert told(arena) == []


@pytest.mark.parametrize("code", [0, 7])
def test_cron_jobs_have_hooks_too_and_are_silent(arena, redis, code):
    url = ("--redis", redis.url(), "--key", KEY, "--assume-fresh")
    done = arena.run("--once", *url, *BOTH, "--", "sh", "-c", "exit %d" % code)
    assert (done.returncode, done.stdout, done.stderr) == (code, "", "")
    assert events(arena) == [("acquire", "released"), ("lose", "command ended")]


def test_hooks_of_one_node_are_never_run_at_the_same_time(arena, redis):
    """It leads again while the hook of its last term still runs: that one is over first."""
    (arena.folder / "well").touch()
    well = ("--health-cmd", "[ -e well ]", *UNHEALTHY[2:], "--penalty", "100ms")
    slow = "until [ -e enough ]; do sleep 0.02; done; " + TELL
    hooks = ("--on-acquire", TELL, "--on-lose", slow, "--grace", "100ms")
    worker = lead(arena, redis, *hooks, *well)
    wait_told(arena, 1)
    (arena.folder / "well").unlink()
    back = worker.wait_event("stand_back")
    (arena.folder / "well").touch()
    worker.wait_event("healthy", after=worker.wait_event("elected", after=back))
    assert len(told(arena)) == 1
    (arena.folder / "enough").touch()
    wait_told(arena, 3)
    acquired = ("acquire", "released")
    assert events(arena) == [acquired, ("lose", "unhealthy"), acquired]
    tokens = [words["TOKEN"] for words in told(arena)]
    assert tokens[0] == tokens[1] != tokens[2]


# What they are given, and give


def test_what_they_say_goes_to_standard_error(arena, redis):
    def hook(name):
        return "cat; echo %s out; echo %s err >&2" % (name, name)

    hooks = ("--on-acquire", hook("acquire"), "--on-lose", hook("lose"))
    worker = lead(arena, redis, *hooks, command=script("echo command; exec sleep 600"))
    worker.wait_output("command")
    wait_until(lambda: "acquire err" in worker.lines)
    worker.stop()
    assert worker.output == ["command"]
    assert worker.lines == ["acquire out", "acquire err", "lose out", "lose err"]


def test_the_command_has_nothing_of_an_outer_hooks_environment(arena, redis):
    """As where leaderwrap is started by a hook of another one."""
    outer = {"LEADERWRAP_EVENT": "outer", "LEADERWRAP_REASON": "outer", "LEADERWRAP_TOKEN": "1"}
    worker = lead(arena, redis, *BOTH, env=outer)
    environment = processes.environment(worker.wait_child())
    assert not {"LEADERWRAP_EVENT", "LEADERWRAP_REASON"} & set(environment)
    assert environment["LEADERWRAP_TOKEN"] == str(worker.wait_event("elected")["token"])
    wait_told(arena, 1)
    worker.stop()
    assert events(arena) == [("acquire", "released"), ("lose", "stopped")]
    assert {words["TOKEN"] for words in told(arena)} == {environment["LEADERWRAP_TOKEN"]}


FAILURES = {
    "exit 3": "exited with 3",
    "/nowhere": "exited with 127",
    "if": "exited with 2",
    "kill -KILL $$": "was ended by signal 9 (Killed)",
}


@pytest.mark.parametrize("hook", FAILURES, ids=["status", "unknown", "nonsense", "signal"])
def test_a_failure_of_a_hook_is_a_warning_and_nothing_else(arena, redis, hook):
    hooks = ("--on-acquire", hook, "--on-lose", hook, "--renew", "200ms")
    command = script("until [ -e enough ]; do sleep 0.02; done; exit 7")
    worker = lead(arena, redis, *hooks, command=command)
    failed = worker.wait_event("hook", level="warning")
    child = worker.wait_child()
    worker.wait_event("renewed", after=worker.wait_event("renewed", after=failed))
    assert worker.child == child and record(redis)["st"] == "held"
    (arena.folder / "enough").touch()
    assert worker.wait() == 7
    assert warnings(worker) == [
        "the %s hook %s" % (name, FAILURES[hook]) for name in ("on-acquire", "on-lose")
    ]
    assert history(redis)[-1]["reason"] == "exit 7"


@pytest.mark.parametrize("name", ["on-acquire", "on-lose"])
def test_a_hook_that_takes_too_long_is_killed_with_all_it_started(arena, redis, name):
    hook = ("--" + name, shell(arena, *STUBBORN_TREE), "--hook-timeout", "1s")
    command = script("until [ -e enough ]; do sleep 0.02; done; exit 7")
    worker = lead(arena, redis, *hook, command=command)
    child = worker.wait_child()
    if name == "on-lose":
        (arena.folder / "enough").touch()
    late = worker.wait_event("hook", level="warning")
    assert late["message"] == "the %s hook took longer than 1 s and was killed" % name
    found = pids(arena, worker.wait_event("elected")["token"])
    assert len(found) == 3 and not [pid for pid in found if processes.alive(pid)]
    if name == "on-acquire":
        assert worker.child == child
        (arena.folder / "enough").touch()
    assert worker.wait() == 7


# The next leader


def test_a_quick_on_lose_is_done_before_the_next_leader_starts(arena, redis):
    """It beats in the same file as the next leader's command."""
    hook = shell(arena, *ALONE, "--exit-after", 300)
    leader = lead(arena, redis, "--on-lose", hook, command=arena.beat(*ALONE))
    won = leader.wait_event("elected")
    wait_tree(arena, won["token"], ALONE)
    follower = follow(arena, redis)
    assert leader.stop() == 0
    taken = follower.wait_event("elected")
    wait_tree(arena, taken["token"], ALONE)
    first, _ = check_terms(arena.beats())
    # The command and the hook, both to their ends.
    assert len(first.pids) == 2 and first.ended == first.pids
    assert not warnings(leader)


def test_a_slow_on_lose_delays_the_next_leader_by_the_grace_and_no_more(arena, redis):
    hook = shell(arena, *STUBBORN_TREE, file="mourning")
    options = ("--on-lose", hook, "--hook-timeout", "600s", "--grace", "800ms")
    leader = lead(arena, redis, *options, command=arena.beat(*ALONE))
    won = leader.wait_event("elected")
    wait_tree(arena, won["token"], ALONE)
    follower = follow(arena, redis)
    leader.send(signal.SIGTERM)
    taken = follower.wait_event("elected")
    dead = leader.wait_event("tree_dead")
    assert 0.4 * SECOND_NS < taken.told_ns - dead.told_ns < 15 * SECOND_NS
    wait_tree(arena, taken["token"], ALONE)
    assert len(check_terms(arena.beats())) == 2
    # It goes on, and leaderwrap waits for it, unless it is told again.
    beats = len(read_beats(arena.beats("mourning")))
    wait_until(lambda: len(read_beats(arena.beats("mourning"))) > beats + 10)
    assert leader.running
    assert leader.stop() == 0
    mourners = {beat.pid for beat in read_beats(arena.beats("mourning"))}
    assert len(mourners) == 3
    for pid in mourners:
        wait_gone(pid)


def end_by_term(_arena, leader, _redis):
    assert leader.stop() == 128 + signal.SIGTERM
    return "stopped"


def end_of_command(arena, leader, _redis):
    (arena.folder / "enough").touch()
    assert leader.wait() == 7
    return "command ended"


def end_by_loss(_arena, leader, redis):
    redis.command("SET", KEY, "intruder")
    leader.wait_event("lost")
    redis.command("DEL", KEY)
    assert leader.wait() == 79
    return "lost"


@pytest.mark.parametrize("end", [end_by_term, end_of_command, end_by_loss])
def test_a_slow_on_acquire_is_dead_before_the_next_leader_starts(arena, redis, end):
    """It beats in the same file as the next leader's command."""
    hooks = ("--on-acquire", shell(arena, *STUBBORN_TREE), "--on-lose", TELL)
    options = (*EXIT, "--hook-timeout", "600s", "--grace", "300ms", "--renew", "300ms")
    command = script("until [ -e enough ]; do sleep 0.02; done; exit 7")
    leader = lead(arena, redis, *hooks, *options, command=command)
    won = leader.wait_event("elected")
    wait_tree(arena, won["token"], STUBBORN_TREE)
    # That the intruder has left again is told by nobody.
    follower = follow(arena, redis, retry="500ms")
    reason = end(arena, leader, redis)
    taken = follower.wait_event("elected")
    wait_tree(arena, taken["token"], ALONE)
    first, second = check_terms(arena.beats())
    assert (first.token, second.token) == (won["token"], taken["token"])
    assert not first.ended
    assert warnings(leader) == ["the on-acquire hook was killed with the term"]
    # Its turn came all the same.
    assert events(arena) == [("lose", reason)]


def test_kill9_of_the_wrapper_while_on_lose_runs(arena, redis):
    """No last will is left to run then; but nothing of the hook stays."""
    hook = shell(arena, *STUBBORN_TREE)
    worker = lead(arena, redis, "--on-lose", hook, "--hook-timeout", "600s", command=["true"])
    wait_tree(arena, worker.wait_event("elected")["token"], STUBBORN_TREE)
    worker.kill9()
    wait_until(lambda: not arena.leftovers())


def test_a_keeper_that_hangs_with_on_lose_leaves_nothing(arena, redis):
    hook = shell(arena, *STUBBORN_TREE)
    options = ("--hook-timeout", "3s", "--grace", "300ms", "--renew", "1s")
    worker = lead(arena, redis, "--on-lose", hook, *options, command=["true"])
    token = worker.wait_event("elected")["token"]
    worker.wait_event("released")
    wait_until(lambda: len(pids(arena, token)) == 3, what="the hook's tree")
    processes.send(worker.companion, signal.SIGSTOP)
    worker.wait()
    assert arena.leftovers() == []


def test_a_keeper_that_hangs_with_on_acquire_is_swept_with_it(arena, redis):
    hook = shell(arena, *STUBBORN_TREE)
    options = ("--hook-timeout", "600s", "--grace", "300ms", "--renew", "1s")
    worker = lead(arena, redis, "--on-acquire", hook, *options)
    wait_tree(arena, worker.wait_event("elected")["token"], STUBBORN_TREE)
    processes.send(worker.companion, signal.SIGSTOP)
    assert worker.wait() == 125
    assert "the hook: the keeper does not answer" in worker.find("keeper_lost")[0]["message"]
    assert arena.leftovers() == []
    assert record(redis)["st"] == "free"


def test_a_keeper_that_hangs_while_redis_is_gone_is_found_out_in_time(arena, redis):
    """Nothing is said to it then that it would have to answer."""
    hook = shell(arena, *STUBBORN_TREE)
    worker = lead(arena, redis, "--on-acquire", hook, "--margin", "1500ms", ttl="6s")
    wait_tree(arena, worker.wait_event("elected")["token"], STUBBORN_TREE)
    redis.freeze()
    frozen_ns = boottime_ns()
    processes.send(worker.companion, signal.SIGSTOP)
    worker.wait_event("keeper_lost")
    worker.wait_event("tree_dead")
    last_ns = max(beat.at_ns for beat in read_beats(arena.beats()))
    assert last_ns < frozen_ns + 6 * SECOND_NS
    redis.thaw()
    assert worker.wait() == 125


def fail_again_and_again(arena, redis):
    """One whose first on-lose hangs, and whose second one waits for it."""
    hooks = ("--on-acquire", "echo >>acquired", "--on-lose", "echo >>ended; exec sleep 600")
    options = (*hooks, "--hook-timeout", "600s", "--grace", "100ms", "--penalty", "100ms")
    options += ("--restart", "on-failure", "--max-restarts", "1")
    # Not before the first hook has run, which the end of a term would kill.
    command = ["sh", "-c", "until [ -s acquired ]; do sleep 0.01; done; exit 1"]
    worker = lead(arena, redis, *options, command=command)
    last = worker.wait_event("stand_back")
    for _ in range(2):
        last = worker.wait_event("stand_back", after=last)
    return worker


def test_of_the_hooks_that_wait_only_the_last_one_is_run(arena, redis):
    worker = fail_again_and_again(arena, redis)
    assert (len(lines(arena, "acquired")), len(lines(arena, "ended"))) == (1, 1)
    (hook,) = processes.children(worker.companion)
    worker.wait_event("stand_back", after=worker.find("stand_back")[-1])
    processes.send(hook, signal.SIGKILL)
    wait_until(lambda: len(lines(arena, "ended")) == 2)
    assert len(lines(arena, "acquired")) == 1
    # The status says whether the command runs at that moment.
    assert worker.insist() in (1, 128 + signal.SIGTERM)


def test_hooks_that_wait_are_not_run_after_a_second_signal(arena, redis):
    worker = fail_again_and_again(arena, redis)
    assert worker.insist() in (1, 128 + signal.SIGTERM)
    assert (len(lines(arena, "acquired")), len(lines(arena, "ended"))) == (1, 1)


def test_hooks_that_wait_are_gone_with_their_keeper(arena, redis):
    worker = fail_again_and_again(arena, redis)
    processes.send(worker.companion, signal.SIGKILL)
    assert worker.wait() == 125
    assert (len(lines(arena, "acquired")), len(lines(arena, "ended"))) == (1, 1)


def test_a_second_signal_ends_hooks_at_once(arena, redis):
    options = ("--on-lose", "exec sleep 600", "--hook-timeout", "600s", "--grace", "20s")
    worker = lead(arena, redis, *options)
    worker.wait_event("started")
    worker.send(signal.SIGTERM)
    gone = worker.wait_event("tree_dead")
    assert worker.insist() == 128 + signal.SIGTERM
    released = worker.wait_event("released")
    assert released.at_ns - gone.at_ns < 10 * SECOND_NS


def test_refused(arena):
    for options, words in (
        (("--hook-timeout", "1s"), "--hook-timeout is for --on-acquire and --on-lose"),
        (("--on-lose", ""), "--on-lose: the command is empty"),
        (("--on-acquire", " \n"), "--on-acquire: the command is empty"),
    ):
        done = arena.run("--redis", "unix:///nowhere", *options, "--", "true")
        assert (done.returncode, done.stdout) == (64, "") and words in done.stderr
