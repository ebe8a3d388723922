"""What leaderwrap is told, on the command line and in its environment; help, --check, refusals."""

import os
import re
import socket
import subprocess

import pytest

from rights import NEEDED, NEEDED_FOR_HISTORY_AND_EVENTS, NEEDED_TO_LISTEN, RIGHTS, granted
from tests.lib import wait_until
from tests.lib.redis import free_port

LONG = "x" * 10_000
# What is granted is in rights.py.
PATTERNS = ["~test*", "~{test*", "&{test*"]

NOWHERE = "unix:///nowhere/redis.sock"


@pytest.fixture
def listener(arena):
    """A socket that stands for Redis and on which nobody may knock."""
    path = str(arena.short_folder / "silent.sock")
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(path)
        silent.listen()
        silent.settimeout(0)
        yield silent
        with pytest.raises(BlockingIOError):
            silent.accept()


@pytest.fixture
def refuse(arena, listener):
    """Runs leaderwrap, which must refuse, say why in one line, and have done nothing."""

    def run(*arguments, status=64, command=None, env=None, redis=True):
        mark = arena.folder / "started"
        options = ["--redis", "unix://" + listener.getsockname()] if redis else []
        command = ["touch", mark] if command is None else command
        done = arena.run(*options, *arguments, *(["--", *command] if command else []), env=env)
        assert done.returncode == status, done.stderr
        assert done.stdout == ""
        assert re.fullmatch(r"leaderwrap: [^\n]{10,400}\n", done.stderr), done.stderr
        assert done.stderr[:-1].isprintable(), ascii(done.stderr)
        assert not mark.exists() and not arena.leftovers()
        return done.stderr

    return run


# Options that make no sense


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--no-such-option"], "--no-such-option"),
        (["--no-such-option=5"], "--no-such-option"),
        (["-z"], "-z"),
        (["--re", "1s"], "did you mean --renew, --retry, --restart, --redis or --request-timeout?"),
        (["--password", "hidden"], "did you mean --password-file?"),
        (["--ttl", "--", "true"], "--ttl needs a value"),
        (["--check=yes"], "--check"),
        (["--key", "k", "--", ""], "the command is an empty word"),
        (["--" + LONG], "is no option"),
        (["--ttl", "15"], "unit"),
        (["--ttl", ""], "--ttl"),
        (["--ttl", "-1s"], "--ttl: -1s is negative"),
        (["--ttl", "5 s"], "--ttl"),
        (["--ttl", "1y"], "--ttl"),
        (["--ttl", "99999999999999999999s"], "--ttl"),
        (["--ttl", "9" * 10_000 + "s"], "--ttl"),
        (["--ttl", "0s"], "--ttl"),
        (["--ttl", "5\n6s"], "--ttl"),
        (["--ttl", "\x1b[2J"], "--ttl"),
        (["--ttl", "x" + "é" * 60], "--ttl"),
        (["--on-lost", "panic"], "wait|exit"),
        (["--stop-to", "nobody"], "group|main"),
        (["--takeover", "force"], "observed|server-clock"),
        (["--log-format", "xml"], "text|json"),
        (["--log-level", "loud"], "error|warning|info|debug"),
        (["--key", ""], "key"),
        (["--key", LONG], "key"),
        (["--key", "a}{b"], "key"),
        (["--name", ""], "name"),
        (["--name", LONG], "name"),
        (["--name", "a#b"], "name"),
        (["--name", "a\nb"], "name"),
        (["--password-file", "/nowhere/password"], "/nowhere/password"),
        (["--password-file", LONG], "password file"),
        # Impossible arithmetic.
        (["--ttl", "100ms"], "the smallest TTL that would do is"),
        (["--ttl", "3s", "--renew", "3s"], "the smallest TTL that would do is"),
        (["--ttl", "3s", "--grace", "3s"], "the smallest TTL that would do is"),
        (["--ttl", "3s", "--margin", "3s"], "the smallest TTL that would do is"),
        (["--margin", "0ms"], "--margin: a margin below 10 ms is none"),
        (["--request-timeout", "9ms"], "--request-timeout: a request needs a time-out of 10 ms"),
        (["--request-timeout", "10s"], "--request-timeout: a TTL of 15 s is too short"),
        (["--renew", "0s"], "--renew"),
        (["--retry", "0s"], "--retry"),
    ],
    ids=lambda value: ascii(" ".join(value))[:40] if isinstance(value, list) else "",
)
def test_refused_with_one_sentence(refuse, arguments, words):
    assert words in refuse(*arguments)


@pytest.mark.parametrize("option", ["--ttl", "-t", "--redis", "--key", "--password-file"])
def test_a_value_is_missing(refuse, option):
    assert option in refuse(option, command=[])


def test_the_proposed_ttl_would_do(refuse, arena):
    for arguments in (["--renew", "3s"], ["--grace", "3s"], ["--margin", "7s"], []):
        told = refuse("--ttl", "50ms", *arguments)
        smallest = re.search(r"would do is (\d+(?:\.\d+)?) ?(ms|s)", told)
        ttl = "%dms" % (float(smallest[1]) * (1000 if smallest[2] == "s" else 1))
        done = arena.run("--check", "--redis", NOWHERE, "--ttl", ttl, *arguments)
        assert done.returncode == 69, done.stderr


@pytest.mark.parametrize(
    "url, words",
    [
        ("", "redis://"),
        ("redis.example", "redis://"),
        ("http://127.0.0.1", "redis://"),
        ("https://user:hidden@127.0.0.1", "redis://"),
        ("rediss://:hidden@127.0.0.1/zero", "database"),
        ("redis://127.0.0.1:0", "port"),
        ("redis://127.0.0.1:99999", "port"),
        ("redis://127.0.0.1/zero", "database"),
        ("redis://127.0.0.1/-1", "database"),
        ("redis://127.0.0.1/0/1", "database"),
        ("redis://:hidden@127.0.0.1/0?tls=1", "?"),
        ("redis://::1", "redis://"),
        ("redis://:hidden%00@127.0.0.1", "%00"),
        ("unix://", "path"),
        ("unix://host/socket", "host"),
        ("unix:///socket?database=1", "db"),
        ("redis://a b", "blank"),
        (LONG, "redis://"),
        ("redis://127.0.0.1/" + LONG, "database"),
    ],
    ids=lambda value: value[:30],
)
def test_urls_that_are_none(refuse, url, words):
    for told, source in (
        (refuse("--redis", url, redis=False), "--redis"),
        (refuse(redis=False, env={"LEADERWRAP_REDIS": url}), "LEADERWRAP_REDIS"),
        (refuse(redis=False, env={"REDIS_URL": url}), "REDIS_URL"),
    ):
        assert told.startswith("leaderwrap: %s: " % source) and words in told
        assert "hidden" not in told


def test_several_addresses_need_to_be_told_what_they_are_of(refuse):
    told = refuse("--redis", "redis://a", "--redis", "redis://b", redis=False)
    assert "--redis: several addresses" in told
    assert "--sentinel NAME" in told and "--cluster" in told


@pytest.mark.parametrize(
    "variable, value",
    [
        ("LEADERWRAP_TTL", "15"),
        ("LEADERWRAP_TTL", LONG),
        ("LEADERWRAP_KEY", LONG),
        ("LEADERWRAP_NAME", LONG),
        ("LEADERWRAP_ON_LOST", "panic"),
        ("LEADERWRAP_NO_RELEASE", "perhaps"),
        ("LEADERWRAP_LOG_FORMAT", "xml"),
        ("LEADERWRAP_PASSWORD_FILE", "/nowhere/password"),
    ],
)
def test_a_bad_variable_is_named(refuse, variable, value):
    told = refuse(env={variable: value})
    assert told.startswith("leaderwrap: %s: " % variable)


# Commands that cannot be run


@pytest.mark.parametrize(
    "command, status",
    [
        (["leaderwrap-no-such-program"], 127),
        (["/nowhere/program"], 127),
        (["/etc/passwd"], 126),
        (["/"], 126),
        (["/" + LONG], 126),
        (["/bin/" + "x" * 250 + "/y"], 127),
    ],
    ids=lambda value: value[0][:30] if isinstance(value, list) else None,
)
def test_commands_that_cannot_be_run(refuse, command, status):
    assert "cannot execute" in refuse("--key", "k", command=command, status=status)


def test_a_command_in_one_word(refuse):
    told = refuse("--key", "k", command=["sleep 1"], status=127)
    assert "sh -c 'sleep 1'" in told
    assert "sh -c" not in refuse("--key", "k", command=["no-such-thing", "1 2"], status=127)


def test_an_empty_path_finds_nothing(refuse, arena):
    assert "cannot execute" in refuse(env={"PATH": ""}, status=127, command=["no-such-thing"])
    told = refuse(env={"PATH": "/nowhere:/etc"}, status=126, command=["passwd"])
    assert "Permission denied" in told


# Long things that are fine


def test_long_arguments_and_environment_are_handed_on(arena, redis):
    script = 'test "$1" = "$2" && test "$1" = "$MORE" && echo ${#1}'
    done = arena.run(
        *("--redis", redis.url(), "--assume-fresh", "--key", "k" * 512, "--name", "n" * 64),
        *("--", "sh", "-c", script, "sh", LONG, LONG),
        env={"MORE": LONG},
    )
    assert (done.returncode, done.stdout) == (0, "10000\n"), done.stderr
    assert redis.command("EXISTS", "{%s}:term" % ("k" * 512)) == 1


# Help and version


def help_text(arena):
    done = arena.run("--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert arena.run("-h").stdout == done.stdout
    return done.stdout


def test_letters_and_arguments_in_help_are_set_apart(arena):
    for line in help_text(arena).splitlines():
        if re.match(r"  (-\w, |    )--", line):
            # The option, two spaces at least or the next line, and its meaning.
            assert re.fullmatch(r"  (-\w, |    )--[a-z-]+( [A-Za-z0-9|-]+)?(  +\S.*)?", line), line


def test_version(arena):
    done = arena.run("--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"leaderwrap \d+\.\d+\.\d+\n", done.stdout)
    assert arena.run("-V").stdout == done.stdout


def test_help_needs_nothing_else_to_be_right(arena):
    env = {"REDIS_URL": "nonsense", "LEADERWRAP_KEY": ""}
    assert arena.run("--key", "", "--help", "--no-such-option", env=env).returncode in (0, 64)
    assert arena.run("--help", env=env).returncode == 0


# Where a value comes from


def numbers(arena, *arguments, env=None):
    """What --check derives, as a dictionary. There need be no server for that."""
    done = arena.run("--check", *arguments, env=env)
    return dict(re.split(r"  +", line, maxsplit=1) for line in done.stdout.splitlines())


def test_the_command_line_wins_over_the_environment(arena):
    env = {
        "LEADERWRAP_TTL": "7s",
        "LEADERWRAP_KEY": "from-environment",
        "LEADERWRAP_NAME": "environment",
        "LEADERWRAP_REDIS": "unix:///nowhere/environment",
        "REDIS_URL": "unix:///nowhere/url",
    }
    found = numbers(arena, env=env)
    assert (found["ttl"], found["lease key"], found["name"], found["redis"]) == (
        "7 s",
        "from-environment",
        "environment",
        "/nowhere/environment",
    )
    line = ["--ttl", "9s", "--key", "line", "--name", "me", "--redis", "unix:///nowhere/line"]
    found = numbers(arena, *line, env=env)
    assert (found["ttl"], found["lease key"], found["name"], found["redis"]) == (
        "9 s",
        "line",
        "me",
        "/nowhere/line",
    )
    env["LEADERWRAP_REDIS"] = None
    assert numbers(arena, env=env)["redis"] == "/nowhere/url"


def test_defaults(arena):
    # Nothing listens there while the tests run, or it refuses: only the numbers count here.
    found = numbers(arena, "--redis", NOWHERE, "--", "/usr/bin/true")
    assert found["lease key"] == "leaderwrap:true"
    assert found["ttl"] == "15 s"
    assert re.fullmatch(re.escape(socket.gethostname()[:50]) + r":\d+", found["name"])
    assert numbers(arena, "--redis", NOWHERE)["lease key"] == "leaderwrap:counter"


def test_a_variable_that_means_nothing(arena):
    redis = arena.redis("requirepass pw")
    env = {
        "LEADERWRAP_REDIS": "unix://" + redis.socket,
        "LEADERWRAP_TLL": "hidden",
        "LEADERWRAP_CHECK": "1",
        "LEADERWRAP_TTL": "60s",
        "LEADERWRAP_PASSWORD": "pw",
        "LEADERWRAPPER": "1",
        "LEADERWRAP_TTL_MS": "5",
        "LEADERWRAP_REASON": "lost",
    }
    done = arena.run("--once", "--assume-fresh", "--key", "test", "true", env=env)
    assert done.returncode == 0, done.stderr
    told = [re.sub(r".*: warning: ", "", line) for line in sorted(done.stderr.splitlines())]
    assert sorted(told) == [
        "LEADERWRAP_CHECK in the environment means nothing; did you mean --check?",
        "LEADERWRAP_TLL in the environment means nothing; did you mean LEADERWRAP_TTL?",
    ]


def test_the_counter_is_not_run_in_silence(arena, redis):
    worker = arena.worker(redis=redis, key="mine")
    told = worker.wait_event("counter")
    assert told["level"] == "warning" and '"mine"' in told["message"]
    worker = arena.worker(redis=redis, key="other", command=["sleep", "600"])
    worker.wait_event("start")
    assert not worker.find("counter")


@pytest.mark.parametrize("value, kept", [("1", True), ("no", False), ("", False), ("TRUE", True)])
def test_a_flag_in_the_environment(arena, redis, value, kept):
    env = {"LEADERWRAP_NO_RELEASE": value, "LEADERWRAP_ASSUME_FRESH": "yes"}
    worker = arena.worker(command=["sleep", 600], redis=redis, env=env)
    worker.wait_child()
    worker.stop()
    assert (redis.command("GET", "test") is not None) == kept


def test_options_end_where_the_command_begins(arena, redis):
    for separator in ([], ["--"]):
        done = arena.run(
            *("--redis", redis.url(), "--assume-fresh", *separator, "echo", "--help", "-k", "--"),
            timeout=30,
        )
        assert (done.returncode, done.stdout) == (0, "--help -k --\n")


# One leaderwrap as the command of another


def test_nested(arena, redis):
    inner = [*arena.leaderwrap_command(), "--redis", redis.url(), "--assume-fresh"]
    script = 'echo "$LEADERWRAP_KEY $LEADERWRAP_TOKEN $LEADERWRAP_NAME"; "$@"'
    done = arena.run(
        *("--redis", redis.url(), "--assume-fresh", "--key", "outer", "--name", "me"),
        *("--", "sh", "-c", script, "sh", *inner, "--key", "inner"),
        *("--", "sh", "-c", 'echo "$LEADERWRAP_KEY $LEADERWRAP_TOKEN $LEADERWRAP_NAME"; exit 7'),
    )
    assert done.returncode == 7, done.stderr
    outer, inner = [line.split() for line in done.stdout.splitlines()]
    assert (outer[0], outer[2], inner[0]) == ("outer", "me", "inner")
    assert int(inner[1]) > 0 and inner[1] != outer[1] and inner[2] != "me"
    assert [redis.command("GET", key) for key in ("outer", "inner")] == [None, None]


def test_nested_without_a_lease_of_its_own(arena, redis):
    inner = [*arena.leaderwrap_command(), "--", "touch", arena.folder / "started"]
    done = arena.run("--redis", redis.url(), "--key", "k", "--assume-fresh", "--", *inner)
    assert done.returncode == 64
    assert "choose a lease of its own with --key" in done.stderr
    assert not (arena.folder / "started").exists()


# --check and refusals by Redis


def restrict(redis, without=(), patterns=PATTERNS):
    """A user "u" with the password "pw" who may do all that is needed but `without`."""
    redis.command("ACL", "DELUSER", "u")
    rights = granted(right for right in RIGHTS if right not in without)
    redis.command("ACL", "SETUSER", "u", "on", ">pw", *patterns, *rights)
    redis.command("SCRIPT", "FLUSH")
    return redis.url(user="u", password="pw")


def check(arena, url, *arguments, ttl="3s"):
    return arena.run("--check", "--redis", url, "--key", "test", "--ttl", ttl, *arguments)


def test_check_is_content(arena, redis):
    for url in (redis.url(), redis.url("tcp"), restrict(redis)):
        done = check(arena, url, "--", "true")
        assert (done.returncode, done.stderr) == (0, "")
        assert "everything that leading needs works" in done.stdout
        assert "warning" not in done.stdout
    # It touched no key but its own, and left none.
    assert redis.command("KEYS", "*") == []


def test_check_leaves_a_leader_alone(arena, redis):
    worker = arena.worker("--assume-fresh", command=["sleep", 600], redis=redis)
    token = worker.wait_event("elected")["token"]
    assert check(arena, redis.url()).returncode == 0
    worker.wait_event("renewed", after=worker.mark())
    assert redis.command("HGET", "{test}:term", "tok") == str(token)


@pytest.mark.parametrize("right", RIGHTS)
def test_check_names_a_missing_permission(arena, redis, right):
    done = check(arena, restrict(redis, without=[right]), "--", "true")
    assert "+" + right in done.stdout + done.stderr or right.upper() in done.stdout
    if right in NEEDED:
        assert done.returncode == 125
        assert "everything that leading needs works" not in done.stdout
    if right != "del":
        assert redis.command("KEYS", "*") == []


# What a provider may have disabled or renamed; PING apart, which RedisServer needs.
@pytest.mark.parametrize("command", [right for right in RIGHTS if right != "ping"])
def test_missing_command_is_named(arena, command):
    redis = arena.redis('rename-command %s ""' % command.upper())
    done = check(arena, redis.url(), "--", "true")
    said = done.stdout + done.stderr
    assert command.upper() in said or "in script: " + command in said
    assert "everything that leading needs works" not in said
    assert "local K, TERM" not in said  # the scripts
    if command not in NEEDED:
        assert (done.returncode, "but for what the warnings say" in said) == (0, True)
        return
    assert done.returncode == 125
    if command == "info":
        assert "--takeover server-clock" in said
        by_clock = check(arena, redis.url(), "--takeover", "server-clock", "--", "true")
        assert by_clock.returncode == 0, by_clock
    # At once, and not only when a TTL is over and the lease could be had.
    for options, lines in ([], 4), (["--once", "--takeover", "observed"], 1):
        done = arena.run("--redis", redis.url(), "--key", "test", *options, "--", "true")
        assert (done.returncode, done.stderr.count("\n")) == (125, lines), done
        assert all(len(line) < 250 for line in done.stderr.splitlines()), done
        assert command.upper() in done.stderr or "in script: " + command in done.stderr


@pytest.mark.parametrize("command", ["AUTH", "SELECT"])
def test_missing_command_of_the_handshake_is_named(arena, command):
    redis = arena.redis('rename-command %s ""' % command)
    url = (
        redis.url("tcp").replace("://", "://:secret@")
        if command == "AUTH"
        else redis.url() + "?db=1"
    )
    done = check(arena, url, "--", "true")
    assert (done.returncode, "secret" in done.stdout + done.stderr) == (125, False), done
    assert "unknown command '%s'; leaderwrap needs it" % command in done.stdout


@pytest.mark.parametrize("pattern", PATTERNS)
def test_check_names_a_missing_key_or_channel(arena, redis, pattern):
    patterns = [p for p in PATTERNS if p != pattern]
    done = check(arena, restrict(redis, patterns=patterns), "--", "true")
    assert ("channel" if pattern[0] == "&" else "grant the keys") in done.stdout + done.stderr
    assert done.returncode == (0 if pattern[0] == "&" else 125)


@pytest.mark.parametrize("options", [[], ["--once", "--takeover", "observed"]], ids=" ".join)
@pytest.mark.parametrize("right", NEEDED)
def test_a_start_without_a_permission_is_refused(arena, redis, right, options):
    url = restrict(redis, without=[right])
    done = arena.run("--redis", url, "--key", "test", *options, "--", "echo", "started")
    assert (done.returncode, done.stdout) == (125, "")
    (told,) = [line for line in done.stderr.splitlines() if "error: " in line]
    assert "+" + right in told


@pytest.mark.parametrize("right", ["set", "hset"])
def test_a_candidate_that_could_not_lead_does_not_stand_by(arena, redis, right):
    leader = arena.worker("--assume-fresh", command=["sleep", 600], redis=redis)
    leader.wait_event("elected")
    done = arena.run("--redis", restrict(redis, without=[right]), "--key", "test", "--", "true")
    assert (done.returncode, "+" + right in done.stderr) == (125, True), done
    leader.wait_event("renewed", after=leader.mark())


@pytest.mark.parametrize("right", [*NEEDED_FOR_HISTORY_AND_EVENTS, *NEEDED_TO_LISTEN])
def test_a_permission_that_a_term_can_do_without(arena, redis, right):
    url = restrict(redis, without=[right])
    done = arena.run("--redis", url, "--key", "test", "--assume-fresh", "--", "echo", "started")
    assert (done.returncode, done.stdout) == (0, "started\n")


@pytest.mark.parametrize(
    "password, reason", [("wrong", "check the user and the password"), (None, "give a password")]
)
def test_a_wrong_password(arena, password, reason):
    server = arena.redis("requirepass right")
    url = "unix://%s%s" % (":%s@" % password if password else "", server.socket)
    for done in (
        check(arena, url),
        arena.run("--redis", url, "--key", "test", "--", "echo", "started"),
    ):
        assert done.returncode == 125
        told = done.stdout + done.stderr
        assert told.count(reason) == 1 and "started" not in told
        assert "wrong" not in told.replace("WRONGPASS", "")


def test_check_without_a_server(arena):
    for url in (NOWHERE, "redis://127.0.0.1:%d" % free_port(), "redis://nowhere.invalid"):
        done = check(arena, url, "--", "true")
        assert done.returncode == 69
        assert "ttl" in done.stdout and "cannot" in done.stdout.split("result")[1]


def test_check_with_a_mute_server(arena, redis):
    redis.freeze()
    done = check(arena, redis.url(), "--", "true")
    assert done.returncode == 69
    assert "does not answer" in done.stdout


def test_check_with_something_that_is_no_redis(arena):
    path = str(arena.short_folder / "web.sock")
    script = (
        "import socket, sys\n"
        "s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen()\n"
        "c = s.accept()[0]; c.recv(99); c.sendall(b'HTTP/1.1 400 Bad Request\\r\\n\\r\\n')\n"
        "c.recv(1)\n"
    )
    arena.spawn(["/usr/bin/python3", "-c", script, path])
    wait_until(lambda: os.path.exists(path))
    done = check(arena, "unix://" + path)
    assert done.returncode in (69, 125)
    assert "result" in done.stdout


def test_check_of_a_command_that_is_not_there(arena, redis):
    done = check(arena, redis.url(), "--", "leaderwrap-no-such-program")
    assert done.returncode == 127
    assert "cannot execute leaderwrap-no-such-program" in done.stdout
    assert check(arena, redis.url(), "--", "/etc/passwd").returncode == 126


def test_check_of_a_script_without_its_interpreter(arena, redis):
    script = arena.folder / "script"
    script.write_text("#!/no/such/interpreter -x\n")
    script.chmod(0o755)
    done = check(arena, redis.url(), "--", script)
    assert done.returncode == 127
    told = (
        "cannot execute %s: its first line asks for the interpreter /no/such/interpreter: No such"
    )
    assert told % script in done.stdout


@pytest.mark.parametrize("database", [0, 3])
def test_check_of_a_key_with_a_foreign_value(arena, redis, database):
    url = redis.url() + "?db=%d" % database

    def run(*words):
        return redis.cli("-n", database, *words)

    run("SET", "test", "somebody")
    done = check(arena, url, "--", "true")
    assert done.returncode == 125
    assert 'the key holds "somebody", which no leaderwrap wrote' in done.stdout
    advice = "if nobody needs it: redis-cli %sDEL" % ("-n 3 " if database else "")
    assert advice in done.stdout
    assert run("GET", "test") == "somebody"
    # Nor what is left of a holder's id beside another record, nor another type.
    run("HSET", "{test}:term", "id", "somebody else")
    assert check(arena, url, "--", "true").returncode == 125
    run("HSET", "{test}:term", "id", "somebody")
    assert check(arena, url, "--", "true").returncode == 0
    run("DEL", "test")
    run("LPUSH", "test", "somebody")
    done = check(arena, url, "--", "true")
    assert (done.returncode, "choose another --key" in done.stdout) == (125, True)


def test_check_without_a_reader(arena, redis):
    with open("/dev/full", "w", encoding="ascii") as full:
        process = arena.spawn(
            [
                *arena.leaderwrap_command(),
                "--check",
                "--redis",
                redis.url(),
                "--key",
                "test",
                "true",
            ],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
        told = process.communicate()[1]
    assert process.returncode == 125
    assert "cannot write the result: No space left on device" in told


# Where the password comes from


def leads(arena, *options, env=None, command=("true",)):
    done = arena.run(*options, "--assume-fresh", "--key", "test", "--", *command, env=env)
    assert done.returncode == 0, done.stderr
    return done


def test_password_by_url_by_environment_and_by_file(arena):
    server = arena.redis("requirepass s3cr/t@")
    plain = "unix://" + server.socket
    path = arena.folder / "password"
    path.write_text("s3cr/t@\nnothing of this\n", encoding="utf-8")
    leads(arena, "--redis", server.url())
    leads(arena, "--redis", server.url("tcp"))
    leads(arena, "--redis", plain, env={"LEADERWRAP_PASSWORD": "s3cr/t@"})
    leads(arena, "--redis", plain, "--password-file", path)
    leads(arena, "--redis", plain, "--password-file", "password")
    leads(arena, "--redis", plain, env={"LEADERWRAP_PASSWORD_FILE": str(path)})
    # A URL's own password counts before the environment's, and the file's before both.
    leads(arena, "--redis", server.url(), env={"LEADERWRAP_PASSWORD": "other"})
    other = server.url(password="other")
    leads(arena, "--redis", other, "--password-file", path, env={"LEADERWRAP_PASSWORD": "other"})


def test_password_rotated_while_leading(arena):
    server = arena.redis("requirepass before")
    path = arena.folder / "password"
    path.write_text("before\n", encoding="utf-8")
    options = ["--password-file", path, "--assume-fresh", "--renew", "500ms"]
    worker = arena.worker(
        *options, command=["sleep", 600], url="unix://" + server.socket, ttl="30s"
    )
    child = worker.wait_child()
    server.command("CONFIG", "SET", "requirepass", "after")
    server.password = "after"
    server.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    refused = worker.wait_event("disconnected")
    while "password" not in refused["message"]:
        refused = worker.wait_event("disconnected", after=refused)
    path.write_text("after\n", encoding="utf-8")
    worker.wait_event("renewed", after=worker.wait_event("connected", after=refused))
    assert worker.child == child
    assert not worker.find("deadline")


# Addresses


def test_an_ipv6_literal(arena):
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    server = arena.redis("bind 127.0.0.1 ::1")
    done = leads(arena, "--redis", "redis://[::1]:%d" % server.port)
    assert "redis [::1]:%d " % server.port in done.stderr
    # A name stands for all of its addresses.
    leads(arena, "--redis", "redis://localhost:%d/1" % server.port)


@pytest.mark.parametrize("kind", ["unix", "tcp"])
def test_a_database_number(arena, redis, kind):
    leads(arena, "--redis", redis.url(kind, db=5))
    assert redis.command("KEYS", "*") == []
    assert redis.info("keyspace").keys() == {"db5"}


def test_a_database_that_does_not_exist(arena, redis):
    done = arena.run("--redis", redis.url(db=99), "--", "echo", "started")
    assert (done.returncode, done.stdout) == (125, "")
    assert "check the database in the URL" in done.stderr


# Streams that are full or closed


@pytest.mark.parametrize(
    "streams",
    ["2>/dev/full", ">/dev/full", "2>&-", ">&-", "<&-", "<&- >&- 2>&-", ">/dev/full 2>/dev/full"],
)
def test_full_and_closed_streams_do_no_harm(arena, redis, streams):
    command = [*arena.leaderwrap_command(), "--redis", redis.url(), "--key", "test"]
    command += ["--assume-fresh", "--log-level", "debug", "--", "sh", "-c", "exit 7"]
    script = 'exec "$@" %s' % streams
    process = arena.spawn(["sh", "-c", script, "sh", *command])
    assert process.wait(30) == 7
    assert redis.command("GET", "test") is None


@pytest.mark.parametrize("streams", ["2>/dev/full", "2>&-", "<&- >&- 2>&-"])
def test_a_leader_without_a_log_renews_and_hands_over(arena, redis, streams):
    command = [*arena.leaderwrap_command(), "--redis", redis.url(), "--key", "test", "--ttl", "30s"]
    command += ["--renew", "100ms", "--assume-fresh", "--", *arena.beat()]
    process = arena.spawn(["sh", "-c", 'exec "$@" %s' % streams, "sh", *command])
    wait_until(lambda: redis.command("GET", "test"))
    for _ in range(3):
        seen = redis.command("HGET", "{test}:term", "ver")
        wait_until(lambda v=seen: redis.command("HGET", "{test}:term", "ver") != v)
    process.terminate()
    assert process.wait(30) == 0
    assert redis.command("GET", "test") is None


def test_output_that_cannot_be_written(arena):
    for option in ("--help", "--version"):
        command = [*arena.leaderwrap_command(), option]
        assert arena.spawn(["sh", "-c", 'exec "$@" >/dev/full', "sh", *command]).wait(30) == 125


def test_streams_closed_for_leaderwrap_are_closed_for_the_command(arena, redis):
    for fd in range(3):
        path = arena.folder / ("fds%d" % fd)
        command = [*arena.leaderwrap_command(), "--redis", redis.url(), "--key", "test"]
        script = "[ ! -e /proc/$$/fd/%d ]; echo $? >%s" % (fd, path)
        command += ["--assume-fresh", "--", "sh", "-c", script]
        assert arena.spawn(["sh", "-c", 'exec "$@" %d>&-' % fd, "sh", *command]).wait(30) == 0
        assert path.read_text(encoding="utf-8") == "0\n"
