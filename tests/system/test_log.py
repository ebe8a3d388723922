"""The log: what it says, that every line of it is whole and genuine, and what it never says."""

import json
import pathlib
import re
import subprocess

import pytest

from tests.lib import boottime_ns, processes, wait_until

SECRET = "s3cr3t-of-the-test"
LEVELS = ["error", "warning", "info", "debug"]
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


def run(arena, redis, *options, command=("true",), env=None):
    arguments = ["--redis", redis.url(), "--assume-fresh", "--name", "me", "--key", "test"]
    done = arena.run(*arguments, *options, "--", *command, env=env)
    assert done.returncode == 0, done.stderr
    return done.stderr.splitlines()


def wait_key(redis, value):
    wait_until(lambda: (redis.command("GET", "test") or "").startswith(value))


# What is written about it

ROOT = pathlib.Path(__file__).resolve().parents[2]


def documented(heading):
    """The words in backticks of the first column of the tables under doc/LOG.md's heads, or before
    the first."""
    text = (ROOT / "doc" / "LOG.md").read_text(encoding="utf-8")
    fields, _, events = text.partition("\n## ")
    rows = (fields if heading == "fields" else events).splitlines()
    cells = [row.split("|")[1] for row in rows if row.startswith("| `")]
    return {word for cell in cells for word in re.findall(r"`([a-z_]+)`", cell)}


def test_each_event_says_what_to_do():
    text = (ROOT / "doc" / "LOG.md").read_text(encoding="utf-8").partition("\n## ")[2]
    rows = [row for row in text.splitlines() if row.startswith("| `")]
    assert len(rows) > 40
    for row in rows:
        assert len(row.split("|")) == 5 and row.split("|")[3].strip(), row


def written(pattern):
    sources = "\n".join(
        path.read_text(encoding="utf-8") for path in sorted((ROOT / "src").rglob("*.c"))
    )
    return set(re.findall(pattern, sources))


def test_each_event_is_documented():
    events = written(r'log_(?:line|event)\((?:[^"();]|\([^"();]*\))*"([a-z_]+)"')
    # Their names are put together elsewhere.
    events |= {"log_lost", "renew_failed", "ask_failed", "release_failed"}
    assert len(events) > 60
    assert events == documented("events")


def test_each_field_is_documented():
    fields = written(r'LOG_(?:TEXT|NUMBER)\("([a-z_]+)"')
    assert len(fields) > 20
    assert fields == documented("fields")


# Forms and levels


FIELDS = {
    "start": {"version", "server"},
    "timing": {"ttl_ms", "renew_ms", "outage_ms", "stop_after_ms", "kill_after_ms"},
    "elected": {"delay_ms"},
    "started": {"process"},
    "child_exit": {"exit_status"},
    "exit": {"exit_status"},
}


def test_json_lines(arena, redis):
    lines = [json.loads(line) for line in run(arena, redis, "--log-format", "json")]
    events = [line["event"] for line in lines]
    assert events == [
        "start",
        "timing",
        "elected",
        "started",
        "child_exit",
        "tree_dead",
        "released",
        "exit",
    ]
    token = int(redis.command("HGET", "{test}:term", "tok"))
    for line in lines:
        common = {"time", "level", "event", "pid", "key", "name", "message"}
        assert set(line) - {"token"} == common | FIELDS.get(line["event"], set())
        assert re.fullmatch(TIME, line["time"])
        assert (line["level"], line["key"], line["name"]) == ("info", "test", "me")
        assert isinstance(line["pid"], int) and line["message"]
    # The token belongs to the lines of its term and to no others.
    with_token = [line["event"] for line in lines if "token" in line]
    assert with_token == ["elected", "started", "child_exit", "tree_dead", "released"]
    assert {line["token"] for line in lines if "token" in line} == {token}


def test_the_longest_names_fit_a_line(arena, redis):
    for options in ([], ["--once", "--log-level", "info"]):
        names = ["--name", "n" * 64, "--key", "ko"[len(options) > 0] * 200]
        done = arena.run("--redis", redis.url(), "--assume-fresh", *names, *options, "--", "true")
        lines = done.stderr.splitlines()
        assert done.returncode == 0
        assert "true runs" in lines[0] and "KILL after" in done.stderr
        assert max(map(len, lines)) <= 250, done.stderr


def test_text_lines(arena, redis):
    lines = run(arena, redis)
    assert len(lines) == 8
    for line in lines:
        assert re.fullmatch(TIME + r" leaderwrap me: .+", line)
    assert "ttl 15 s, renewed every 5 s" in lines[1]
    assert "leaving with status 0" in lines[-1]


def test_logfmt_lines(arena, redis):
    lines = run(arena, redis, "--log-format", "logfmt")
    assert len(lines) == 8
    for line in lines:
        assert re.match(
            "time=" + TIME + r" level=info event=[a-z_]+ pid=\d+ key=test name=me ", line
        )
    assert lines[-1].endswith('message="leaving with status 0" exit_status=0')


def test_the_journal_gets_priorities(arena, redis):
    """As under systemd: standard error is what JOURNAL_STREAM names."""
    arguments = ["--redis", redis.url(), "--assume-fresh", "--name", "me", "--", "true"]
    script = 'export JOURNAL_STREAM=$(stat -Lc %d:%i /dev/stderr); exec "$@"'
    command = ["sh", "-c", script, "sh", *arena.leaderwrap_command(), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert re.match("<6>me: true runs ", done.stderr)
    assert "\n<6>me: leaving with status 0\n" in done.stderr


@pytest.mark.parametrize("level", LEVELS)
def test_levels(arena, redis, level):
    redis.command("SET", "test", "occupied")
    worker = arena.worker(
        *("--assume-fresh", "--retry", "50ms", "--renew", "100ms", "--on-lost", "exit"),
        *("--log-level", level),
        command=["sleep", 600],
        redis=redis,
        ttl="2s",
    )
    # Two seconds of a vacant lease, then a term with renewals that ends badly.
    redis.command("DEL", "test")
    wait_key(redis, "w0#")
    seen = redis.command("HGET", "{test}:term", "ver")
    wait_until(lambda: redis.command("HGET", "{test}:term", "ver") != seen)
    redis.command("SET", "test", "intruder")
    assert worker.wait() == 79
    seen = {event["level"] for event in worker.events}
    assert {"error", level} - {"warning"} <= seen <= set(LEVELS[: LEVELS.index(level) + 1])
    assert worker.lines == []


def test_a_redis_that_stays_away_is_told_once_a_minute_at_most(arena):
    """The rest is for debug."""
    worker = arena.worker("--retry", "100ms", command=["true"], url="unix:///nowhere/redis.sock")
    last = -1
    for _ in range(6):
        last = worker.wait_event("disconnected", after=last)
    told = [event["level"] for event in worker.find("disconnected")]
    assert told == ["warning"] + ["debug"] * (len(told) - 1)


def test_an_outage_is_one_line_and_says_when_the_command_will_be_stopped(arena, redis):
    worker = arena.worker("--assume-fresh", command=["sleep", 600], redis=redis, ttl="6s")
    renewed = worker.wait_event("renewed")
    redis.kill()
    outage = worker.wait_event("outage", after=renewed)
    assert outage["level"] == "error"
    assert re.fullmatch(
        r"no renewal for [\d.]+ m?s: without one the command will be stopped in [\d.]+ m?s",
        outage["message"],
    )
    worker.wait_event("deadline", after=outage)
    assert len(worker.find("outage")) == 1
    # The connection was lost, and then refused: each cause has one line.
    told = [e["message"] for e in worker.find("disconnected") if e["level"] == "warning"]
    causes = {message.split("; retrying")[0] for message in told}
    assert 2 <= len(told) == len(causes) < len(worker.find("disconnected"))


# What a follower says


def test_a_new_lease_on_a_new_redis_is_nothing_forgotten(arena, redis):
    """And who hears of the first leader says so within one renewal, at a short TTL, too."""
    pair = [arena.worker(command=["sleep", 600], redis=redis, ttl="3s", name=n) for n in "ab"]
    for worker in pair:
        first = worker.wait_event("waiting")["message"]
        assert re.fullmatch(
            r"standing by: redis has no record of any leader; taking over in [\d.]+ m?s", first
        )
    wait_until(lambda: any(worker.find("elected") for worker in pair))
    leader, follower = sorted(pair, key=lambda worker: not worker.find("elected"))
    began_ns = boottime_ns()
    token = leader.find("elected")[0]["token"]
    told = "%s leads with token %d" % (leader.name, token)
    wait_until(lambda: any(told in event["message"] for event in follower.find("waiting")))
    # Twice a renewal, for a busy machine; without the push it was never.
    assert boottime_ns() - began_ns < 2 * 10**9


def test_a_follower_says_when_it_will_take_over(arena, redis):
    leader = arena.worker("--assume-fresh", command=["sleep", 600], redis=redis, ttl="6s", name="a")
    leader.wait_event("started")
    follower = arena.worker("--retry", "300ms", command=["true"], redis=redis, ttl="6s", name="b")
    known = follower.wait_event("waiting")
    leader.crash()
    told = follower.wait_event("waiting", after=known, level="info")["message"]
    found = re.fullmatch(
        r"standing by: a does not renew any more \(last heard ([\d.]+) s ago\); "
        r"taking over in ([\d.]+) s",
        told,
    )
    assert found, told
    heard_s, left_s = map(float, found.groups())
    # What it is silent for counts from its renewal, what is left from when the follower saw that.
    assert 3 <= heard_s and left_s < 6 <= heard_s + left_s + 0.1, told
    follower.wait_event("elected")


def test_a_follower_warns_of_what_is_different(arena, redis):
    arena.worker(
        "--assume-fresh", command=["sleep", 600], redis=redis, ttl="60s", name="a"
    ).wait_event("started")
    same = arena.worker(
        "--retry", "100ms", command=["sleep", 600], redis=redis, ttl="50s", name="a2"
    )
    other = same.wait_event("other_ttl", level="warning")["message"]
    assert "a leads with a TTL of 1 min and ours is 50 s" in other
    same.wait_event("waiting", after=same.wait_event("waiting"))
    assert len(same.find("other_ttl")) == 1 and not same.find("same_name")
    twin = arena.worker(command=["sleep", 600], redis=redis, ttl="60s", name="a")
    assert "another process with our own name, a" in twin.wait_event("same_name")["message"]
    assert not twin.find("other_ttl")


# Heartbeats


def test_debug_shows_the_leaders_heartbeat_and_the_followers_wait(arena, redis):
    leader = arena.worker("--assume-fresh", command=["sleep", 600], redis=redis, ttl="6s", name="a")
    token = leader.wait_event("elected")["token"]
    follower = arena.worker("--retry", "200ms", command=["true"], redis=redis, ttl="6s", name="b")
    last = -1
    left = []
    for _ in range(6):
        last = follower.wait_event("waiting", after=last)
        found = re.fullmatch(
            r"standing by: a leads with token %d; its lease has ([\d.]+ m?s|0) left" % token,
            last["message"],
        )
        assert found, last["message"]
        number, unit = (found[1] + " s").split()[:2]
        left.append(float(number) / (1000 if unit == "ms" else 1))
    assert all(0 <= seconds <= 6 for seconds in left) and len(set(left)) > 1
    beats = [leader.wait_event("renewed")]
    beats.append(leader.wait_event("renewed", after=beats[0]))
    for beat in beats:
        assert (beat["level"], beat["message"]) == (
            "debug",
            "leading: lease renewed for another 6 s",
        )
    assert beats[1].told_ns - beats[0].told_ns > 10**9


# Secrets


@pytest.mark.parametrize("form", ["text", "json"])
def test_secrets_are_nowhere(arena, form):
    server = arena.redis("requirepass " + SECRET)
    path = arena.folder / "password"
    path.write_text(SECRET + "\n", encoding="utf-8")
    worker = arena.worker(
        *("--assume-fresh", "--password-file", path, "--log-format", form, "--renew", "100ms"),
        command=["sleep", 600],
        url="unix://" + server.socket,
    )
    wait_until(lambda: server.command("GET", "test"))
    child = worker.wait_child()
    for pid in (worker.pid, worker.keeper, child):
        assert SECRET not in processes.command_line(pid)
        assert not any(SECRET in value for value in processes.environment(pid).values())
    # A password that is refused, too.
    path.write_text(SECRET + "-new\n", encoding="utf-8")
    server.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    wait_until(lambda: "password" in worker.log())
    worker.stop()
    assert SECRET not in worker.log()


def test_a_url_is_never_told_with_its_password(arena):
    server = arena.redis("requirepass " + SECRET)
    for url in (server.url(), server.url("tcp"), server.url(password=SECRET + "x")):
        for options in (["--check"], ["--log-level", "debug", "--assume-fresh"]):
            done = arena.run("--redis", url, "--key", "test", *options, "--", "true")
            assert SECRET not in done.stdout + done.stderr
    done = arena.run("--redis", "redis://:%s@host:port" % SECRET)
    assert done.returncode == 64 and SECRET not in done.stderr


# Forged lines

HOSTILE = (
    'x\n{"event":"elected","token":9}\r\n2026-01-01T00:00:00.000Z me: elected\x1b[2J\x00\xff"\\'
)


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_foreign_value_forges_no_line(arena, redis, form):
    worker = arena.worker(
        *("--assume-fresh", "--renew", "100ms", "--on-lost", "exit", "--log-format", form),
        command=["sleep", 600],
        redis=redis,
    )
    wait_key(redis, "w0#")
    redis.command("SET", "test", HOSTILE.encode("latin-1"))
    assert worker.wait() == 79
    check_whole(worker, form, "lost")
    (told,) = [line for line in all_lines(worker) if "somebody wrote" in line]
    assert "\\x0a" in told and "\\x1b" in told


@pytest.mark.parametrize("form", ["text", "json"])
def test_the_name_of_a_leader_forges_no_line(arena, redis, form):
    leader = arena.worker(
        "--assume-fresh", command=["sleep", 600], redis=redis, ttl="60s", name="a"
    )
    leader.wait_event("elected")
    for field in ("name", "id"):
        redis.command("HSET", "{test}:term", field, HOSTILE.encode("latin-1"))
    redis.command("PUBLISH", "{test}:events", ("1|held|x|y|1|1|1|" + HOSTILE).encode("latin-1"))
    redis.command("SET", "test", HOSTILE.encode("latin-1"))
    follower = arena.worker("--log-format", form, command=["true"], redis=redis, ttl="60s")
    wait_until(lambda: "standing by" in follower.log())
    follower.stop()
    check_whole(follower, form, "waiting")


def all_lines(worker):
    return [json.dumps(event) for event in worker.events] + worker.lines


def check_whole(worker, form, event):
    """Every line is one that leaderwrap wrote as such."""
    if form == "json":
        assert worker.lines == [] and worker.find(event)
        assert all(found["name"] == worker.name for found in worker.events)
    else:
        assert worker.events == [] and worker.lines
        for line in worker.lines:
            assert (
                re.fullmatch(TIME + " leaderwrap %s: .*" % worker.name, line) and line.isprintable()
            ), line


def test_names_and_keys_are_shown_as_they_are(arena, redis):
    name = 'Zoë "the" \\ <b> 領導'
    worker = arena.worker("--assume-fresh", command=["true"], redis=redis, key="ключ", name=name)
    assert worker.wait() == 0
    assert worker.lines == []
    assert {(event["name"], event["key"]) for event in worker.events} == {(name, "ключ")}


def test_a_message_that_is_cut_is_still_a_line(arena, redis):
    for value in ("é" * 5000, "\n" * 5000, '"' * 5000, "x" + "é" * 5000):
        redis.command("SET", "test", value)
        worker = arena.worker("--retry", "100ms", command=["true"], redis=redis)
        worker.wait_event("waiting")
        worker.stop()
        assert worker.lines == []


# Lines of leaderwrap and of its command in one pipe


def write_together(arena, redis):
    """Runs a command that floods the log; returns whether leaderwrap got a word in between: what
    finds no room in the pipe is left out, as a whole."""
    count = 60_000
    worker = arena.worker(
        *("--assume-fresh", "--renew", "100ms"),
        command=[arena.built("witness"), "--lines", count],
        redis=redis,
        ttl="60s",
    )
    assert worker.wait() == 0
    # In order and whole, whatever leaderwrap wrote between them.
    expected = ["x" * 63 + " line %d" % number for number in range(count)]
    wrong = [pair for pair in zip(worker.lines, expected) if pair[0] != pair[1]]
    found, worker.lines = len(worker.lines), worker.lines[:10]
    assert (found, wrong[:3]) == (count, [])
    return worker.find("renewed") or worker.find("log_lost") or worker.find("tree_dead")


def test_lines_never_mix(arena, redis):
    # A slow reader may leave no room at all, but not every time.
    assert any(write_together(arena, redis) for _ in range(10))
