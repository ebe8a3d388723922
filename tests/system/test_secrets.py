"""Passwords: where they may come from, what is said of a refused one, and where none is seen."""

import os
import signal

import pytest

from tests.lib import processes, wait_until

SECRET = "s3cr3t"


@pytest.fixture
def locked(arena):
    """A server that wants the password SECRET."""
    return arena.redis("requirepass " + SECRET)


def write_secret(arena, text=SECRET + "\n", mode=0o600, name="password"):
    path = arena.folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    path.chmod(mode)
    return path


def name_of(pid):
    try:
        with open("/proc/%d/comm" % pid, encoding="utf-8") as file:
            return file.read()
    except OSError:
        return ""


def run(arena, server, *options, env=None, **more):
    """The end of a leaderwrap that need not be told the server's password otherwise."""
    plain = "unix://" + server.socket
    first = ("--redis", plain, "--assume-fresh", "--key", "test")
    return arena.run(*first, *options, "--", "true", env=env, **more)


# Where it comes from


@pytest.mark.parametrize("kind", ["fifo", "substitution", "stdin", "directory", "device"])
def test_a_password_file_has_to_last(arena, locked, kind):
    path = arena.folder / "password"
    held = []
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    elif kind == "substitution":
        held = list(os.pipe())
        os.write(held[1], SECRET.encode())
        path.symlink_to("/proc/%d/fd/%d" % (os.getpid(), held[0]))
    path = {"stdin": "/dev/stdin", "device": "/dev/null"}.get(kind, path)
    # Where standard input is a regular file it would work until that is let go.
    done = run(arena, locked, "--password-file", path, input=SECRET)
    for fd in held:
        os.close(fd)
    assert (done.returncode, done.stdout) == (64, "")
    (line,) = done.stderr.splitlines()
    assert "--password-file" in line and str(path) in line
    assert any(word in line for word in ("no regular file", "open descriptor", "a directory"))


def test_a_password_file_may_be_a_link(arena, locked):
    # As where a secret is mounted.
    (arena.folder / "..data").mkdir()
    write_secret(arena, name="..data/password")
    (arena.folder / "link").symlink_to("..data/password")
    done = run(arena, locked, "--password-file", "link", "--log-level", "warning")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_file_that_becomes_a_pipe_is_named(arena, locked):
    path = write_secret(arena)
    worker = arena.worker(
        *("--assume-fresh", "--password-file", path, "--renew", "200ms"),
        command=["sleep", 600],
        url="unix://" + locked.socket,
        ttl="60s",
    )
    worker.wait_child()
    path.unlink()
    os.mkfifo(path)
    locked.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    refused = worker.wait_event("disconnected")
    while "no regular file" not in refused["message"]:
        refused = worker.wait_event("disconnected", after=refused)
    path.unlink()
    write_secret(arena)
    worker.wait_event("renewed", after=worker.wait_event("connected", after=refused))
    assert worker.stop() == 128 + signal.SIGTERM


@pytest.mark.parametrize("mode, warned", [(0o600, False), (0o640, True), (0o604, True)])
def test_a_file_that_others_may_read_is_warned_about_once(arena, locked, mode, warned):
    path = write_secret(arena, mode=mode)
    done = run(arena, locked, "--password-file", path)
    assert done.returncode == 0
    lines = [line for line in done.stderr.splitlines() if "may read" in line]
    assert len(lines) == warned and all(str(path) in line for line in lines)


# What is said of one that is refused

ODD = [
    (SECRET + "\n", "LEADERWRAP_PASSWORD and ends in a line break"),
    ("\ufeff" + SECRET, "LEADERWRAP_PASSWORD and begins with a byte order mark"),
    ('"%s"' % SECRET, "LEADERWRAP_PASSWORD and has quotes around it"),
    (SECRET + "\nmore", "LEADERWRAP_PASSWORD and has a line break in it"),
    (" " + SECRET, "LEADERWRAP_PASSWORD and begins with a blank"),
    ("", "LEADERWRAP_PASSWORD and is empty"),
    (SECRET + "x", "LEADERWRAP_PASSWORD\n"),
]


def assert_hint(done, hint):
    assert done.returncode == 125
    assert "it came from " + hint in done.stderr
    assert SECRET not in done.stderr


@pytest.mark.parametrize("value, hint", ODD, ids=range(len(ODD)))
def test_a_refused_variable(arena, locked, value, hint):
    assert_hint(run(arena, locked, env={"LEADERWRAP_PASSWORD": value}), hint)


@pytest.mark.parametrize(
    "text, hint",
    [(SECRET + " \n", "ends in a blank"), ("\ufeff" + SECRET, "byte order mark")],
    ids=["blank", "mark"],
)
def test_a_refused_file(arena, locked, text, hint):
    path = write_secret(arena, text)
    done = run(arena, locked, "--password-file", path)
    assert_hint(done, str(path) + " and ")
    assert hint in done.stderr


def test_a_refused_file_far_away_is_one_short_line(arena, locked):
    """The end of its path is shown."""
    folder = arena.folder / ("deep" * 30)
    folder.mkdir()
    path = folder / "secret"
    path.write_text(SECRET + "x ")
    path.chmod(0o600)
    done = run(arena, locked, "--password-file", path)
    assert_hint(done, "..." + str(path)[-80:] + " and ends in a blank")
    assert [line for line in done.stderr.splitlines() if len(line) >= 330] == []


def test_a_refused_address(arena, locked):
    url = "unix://:%sx@%s" % (SECRET, locked.socket)
    options = ("--assume-fresh", "--key", "test", "--", "true")
    assert_hint(arena.run("-u", url, *options), "--redis\n")
    assert_hint(arena.run(*options, env={"REDIS_URL": url}), "REDIS_URL\n")
    assert_hint(arena.run(*options, env={"LEADERWRAP_REDIS": url}), "LEADERWRAP_REDIS\n")


# Where none is seen


@pytest.mark.parametrize("form", ["--redis={}", "-u{}", "--redis {}", "-u {}"])
def test_no_password_stays_on_the_command_line(arena, locked, form):
    mark = arena.folder / "checked"
    words = form.format(locked.url()).split()
    worker = arena.worker(
        *(*words, "--assume-fresh", "--on-lose", "true"),
        *("--health-cmd", "exec >>%s; echo $LEADERWRAP_TOKEN" % mark, "--health-interval", "100ms"),
        command=["sleep", 600],
        ttl="60s",
    )
    child = worker.wait_child()
    # It reaches the server by what it has kept.
    wait_until(lambda: mark.exists() and mark.stat().st_size > 0)
    # The keepers of the command, of hooks and of checks, and the guard of the first.
    ours = [pid for pid in worker.tree() if name_of(pid).startswith("lw-")]
    assert len(ours) == 4 and child not in ours
    for pid in (worker.pid, *ours):
        shown = processes.command_line(pid)
        assert SECRET not in shown and "unix://:" + "*" * len(SECRET) + "@/" in shown
        assert shown.endswith("sleep 600")
    assert worker.stop() == 128 + signal.SIGTERM


def test_what_belongs_to_the_command_is_left_alone(arena, redis):
    url = "redis://:%s@elsewhere" % SECRET
    done = arena.run(
        *("--redis", redis.url(), "--assume-fresh", "--key", "test"),
        *("--on-lose", "echo %s" % url, "--", "echo", url),
    )
    assert (done.returncode, done.stdout) == (0, url + "\n")
    assert url + "\n" in done.stderr


def test_leaderwraps_own_password_does_not_reach_what_it_runs(arena, locked):
    show = "env >>%s"
    names = [arena.folder / name for name in ("command", "hook", "check")]
    env = {
        "LEADERWRAP_PASSWORD": SECRET,
        "LEADERWRAP_REDIS": "unix://" + locked.socket,
        "REDIS_URL": "redis://:theirs@elsewhere",
    }
    worker = arena.worker(
        *("--assume-fresh", "--on-acquire", show % names[1], "--health-interval", "100ms"),
        *("--health-cmd", show % names[2]),
        command=["sh", "-c", (show + "; exec sleep 600") % names[0]],
        ttl="60s",
        env=env,
    )
    for name in names:
        wait_until(lambda n=name: n.exists() and "LEADERWRAP_TOKEN" in n.read_text())
        text = name.read_text(encoding="utf-8")
        assert SECRET not in text and "LEADERWRAP_REDIS" not in text
        assert "REDIS_URL=redis://:theirs@elsewhere\n" in text
    assert worker.stop() == 128 + signal.SIGTERM


def test_the_counter_has_the_password(arena, locked):
    env = {"LEADERWRAP_PASSWORD": SECRET, "LEADERWRAP_REDIS": "unix://" + locked.socket}
    worker = arena.worker("--assume-fresh", ttl="60s", env=env)
    wait_until(lambda: int(locked.command("GET", "global_counter") or 0) > 0)
    assert worker.stop() == 0


MISTAKES = [
    "--redis-url=redis://:{0}@h",
    "--redis-url redis://:{0}@h",
    "--redsi redis://:{0}@h",
    "-redis redis://:{0}@h",
    "-u=redis://:{0}@h",
    "--password {0}",
    "--password={0}",
    "--pass {0}",
    "--redis :{0}@h",
    "--redis {0}@h:6379",
    "--redis //:{0}@h",
    "--redis redis:/:{0}@h",
    "--redis https://:{0}@h",
    "--redis redis://:{0}@h:{0}",
    "--redis redis://:{0}@h:63790000",
    "--redis redis://:{0}@h/db",
    "--redis redis://:{0}@h/0?x=y",
    "--redis redis://:{0}/{0}@h",
    "--redis redis://:{0}#{0}@h",
    "--redis redis://:{0}%zz@h",
    "--redis redis://:{0}@{0}@h",
    "--redis unix://:{0}@h/path",
    "--redis redis://:{0}@h --redis redis://:{0}@h",
    "--redis redis://:{0}@h --ttl 1",
    "--redis redis://:{0}@h --wrong",
    "--redis redis://:{0}@h --password-file /nowhere",
    "--ttl redis://:{0}@h",
    "--takeover redis://:{0}@h",
    "redis://:{0}@h",
]


@pytest.mark.parametrize("how", ["run", "check"])
def test_no_mistake_tells_a_secret(arena, how):
    for mistake in MISTAKES:
        options = mistake.format(SECRET).split()
        if how == "check":
            options = ["--check", *options]
        done = arena.run(*options, "--", "/nowhere/backup")
        assert SECRET not in done.stdout + done.stderr, mistake
        assert done.returncode == 64, (mistake, done.stderr)
        for name in ("LEADERWRAP_REDIS", "REDIS_URL"):
            word, _, value = mistake.partition(" ")
            if word == "--redis" and " " not in value:
                env = {name: value.format(SECRET)}
                done = arena.run("--key", "test", "--", "/nowhere/backup", env=env)
                assert done.returncode == 64 and name in done.stderr
                assert SECRET not in done.stderr, mistake


def test_help_tells_none(arena):
    env = {"REDIS_URL": "redis://:%s@h" % SECRET, "LEADERWRAP_PASSWORD": SECRET}
    done = arena.run("--redis", "redis://:%s@h" % SECRET, "--help", env=env)
    assert done.returncode == 0 and SECRET not in done.stdout
