"""The examples do what they say, and the demo leaves nothing behind, however it ends."""

import os
import re
import signal
import subprocess

import pytest

from tests.lib import PATIENCE_S, processes, wait_until
from tests.lib.programs import ROOT, leaderwrap_binary

INCREMENT = ROOT / "examples" / "increment.sh"
DEMO = ROOT / "examples" / "demo"


# cron


class Cron:
    """A host's cron with the example's crontab, as crontab(5) has it. What the crontab expects in
    /usr/local/bin is installed in a folder of the test's."""

    def __init__(self, arena, redis):
        self.home = arena.folder / "home"
        self.programs = arena.folder / "programs"
        self.home.mkdir()
        self.programs.mkdir()
        (self.programs / "leaderwrap").symlink_to(leaderwrap_binary())
        (self.programs / "newsletter").symlink_to(ROOT / "examples" / "cron" / "newsletter")
        self.install("backup", 'echo "backup as $LEADERWRAP_NAME"')
        self.install("reindex", 'echo "$1" >>"$HOME/reindexed"')
        # What cron gives, and what no test may be without.
        self.environment = {"HOME": str(self.home), "LOGNAME": "me", "SHELL": "/bin/sh"}
        self.environment["PATH"] = "/usr/bin:/bin"
        named = arena.environment({"OUTBOX": str(self.home / "outbox")})
        for name in (processes.TEST_MARK, "ASAN_OPTIONS", "UBSAN_OPTIONS", "OUTBOX"):
            self.environment[name] = named[name]
        self.environment["LEADERWRAP_ASSUME_FRESH"] = "1"
        self.lines = []
        for line in (ROOT / "examples" / "cron" / "crontab").read_text().splitlines():
            if "=" in line.split(" ")[0] and line[0] != "#":
                name, _, value = line.partition("=")
                assert value and '"' not in value and "$" not in value
                self.environment[name] = value
            elif line[:1].isdigit():
                self.lines.append(line.split(None, 5)[5])
        assert self.environment["PATH"].split(":")[0] == "/usr/local/bin"
        self.environment["PATH"] = self.environment["PATH"].replace(
            "/usr/local/bin", str(self.programs)
        )
        assert self.environment["LEADERWRAP_REDIS"] == "redis://127.0.0.1:6379"
        self.environment["LEADERWRAP_REDIS"] = redis.url()

    def install(self, name, script):
        path = self.programs / name
        path.write_text("#!/bin/sh\n%s\n" % script)
        path.chmod(0o755)

    def start(self, word):
        """Runs the line with this word in it. What it prints would be mailed."""
        line = next(line for line in self.lines if word in line)
        # The first % that is not escaped would begin the standard input.
        assert not re.search(r"(?<!\\)%", line), line
        return subprocess.Popen(
            ["/bin/sh", "-c", line.replace("\\%", "%")],
            cwd=self.home,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    @staticmethod
    def mail(process):
        """(what is mailed, the status) once a line's command is over."""
        text, _ = process.communicate(timeout=PATIENCE_S)
        return text, process.returncode


def test_the_newsletter_is_sent_once_by_ten_hosts(arena, redis):
    cron = Cron(arena, redis)
    hosts = [cron.start("newsletter") for _ in range(10)]
    assert [cron.mail(host) for host in hosts] == [("", 0)] * 10
    # The clock of this one is late.
    assert cron.mail(cron.start("newsletter")) == ("", 0)
    letters = {
        path.name: path.read_text().splitlines() for path in (cron.home / "outbox").iterdir()
    }
    assert sorted(letters) == ["alice", "bob", "carol"]
    assert [len(lines) for lines in letters.values()] == [1, 1, 1]


def test_the_backup_is_made_by_one_host(arena, redis):
    cron = Cron(arena, redis)
    for _ in range(3):
        assert cron.mail(cron.start("backup")) == ("", 0)
    (log,) = cron.home.glob("backup-[1-7].log")
    assert log.read_text().startswith("backup as ") and log.read_text().count("\n") == 1


def test_each_host_reindexes_in_its_turn(arena, redis):
    cron = Cron(arena, redis)
    hosts = [cron.start("reindex") for _ in range(3)]
    assert [cron.mail(host) for host in hosts] == [("", 0)] * 3
    assert (cron.home / "reindexed").read_text() == "--all\n--check\n" * 3


def test_every_line_of_the_crontab_is_tried(arena, redis):
    assert len(Cron(arena, redis).lines) == 3


# increment.sh


def increment(arena, redis, token, key="test"):
    """increment.sh as leaderwrap would start it, for a term of our choice."""
    return arena.spawn(
        [INCREMENT],
        env={
            "REDIS_URL": redis.url(),
            "LEADERWRAP_KEY": key,
            "LEADERWRAP_NAME": "me",
            "LEADERWRAP_TOKEN": str(token),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def counted(worker):
    """The values of the counter that a worker printed."""
    return [int(line.split(" ")[2]) for line in worker.output]


@pytest.mark.parametrize("kind, db", [("unix", None), ("unix", 3), ("tcp", 3)])
def test_increment_counts_for_one_leader_after_the_other(arena, redis, kind, db):
    url = redis.url(kind, db=db)
    values = []
    for _ in range(2):
        worker = arena.worker(
            "--assume-fresh", command=[INCREMENT], url=url, env={"REDIS_URL": url}
        )
        token = worker.wait_event("elected")["token"]
        shown = "(%s, token %d)" % (worker.name, token)
        assert worker.wait_output("global_counter = ").endswith(shown)
        assert worker.stop() == 128 + signal.SIGTERM
        values += counted(worker)
    assert values == list(range(1, len(values) + 1))


def test_increment_prints_what_the_built_in_counter_prints(arena, redis):
    first = arena.worker("--assume-fresh", "--counter-key", "c", redis=redis)
    first.wait_output("c = 1 (w0, token ")
    assert first.stop() == 0
    command = [INCREMENT, "--counter-key", "c"]
    second = arena.worker(command=command, redis=redis, env={"REDIS_URL": redis.url()})
    second.wait_output("c = %d (w1, token " % (counted(first)[-1] + 1))
    second.stop()


@pytest.mark.parametrize("key", ["test", "{tag}test"])
def test_increment_stops_when_its_token_is_not_the_newest(arena, redis, key):
    record = key + ":term" if "{" in key else "{%s}:term" % key
    redis.command("HSET", record, "st", "held", "tok", 7)
    script = increment(arena, redis, 7, key)
    assert script.stdout.readline() == "global_counter = 1 (me, token 7)\n"
    redis.command("HSET", record, "st", "held", "tok", 8)
    _, error = script.communicate(timeout=PATIENCE_S)
    assert script.returncode == 1
    assert "not the newest" in error


@pytest.mark.parametrize("state", ["free", "hold"])
def test_increment_stops_when_its_own_term_is_over(arena, redis, state):
    redis.command("HSET", "{test}:term", "st", state, "tok", 7)
    assert increment(arena, redis, 7).wait(PATIENCE_S) == 1
    assert redis.command("EXISTS", "global_counter") == 0


@pytest.mark.parametrize("record", [None, ("st", "vacant", "tok", 7), ("st", "held", "tok", 6)])
def test_increment_waits_while_the_record_is_lost_or_in_doubt(arena, redis, record):
    if record:
        redis.command("HSET", "{test}:term", *record)
    script = increment(arena, redis, 7)
    wait_until(lambda: "calls=2" in redis.info("commandstats").get("cmdstat_eval", ""))
    assert redis.command("EXISTS", "global_counter") == 0
    redis.command("HSET", "{test}:term", "st", "held", "tok", 7)
    assert script.stdout.readline() == "global_counter = 1 (me, token 7)\n"


@pytest.mark.parametrize("arguments", [["--counter-key"], ["--what"], ["--counter-key", "a", "b"]])
def test_increment_says_how_it_is_used(arguments):
    done = subprocess.run(
        [INCREMENT, *arguments], capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert done.returncode == 64
    assert "usage: " in done.stderr


# demo


class Demo:
    """A demo that runs. What it starts is known by its TMPDIR, which all of it inherits."""

    def __init__(self, arena, *options, program=None):
        self.folder = arena.short_folder
        self.process = arena.spawn(
            [DEMO, "--program", program or leaderwrap_binary(), *options],
            env={"TMPDIR": str(self.folder)},
            cwd="/",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.text = ""

    def read_until(self, text):
        for line in self.process.stdout:
            self.text += line
            if text in line:
                return
        raise AssertionError("no %r in\n%s" % (text, self.text))

    def finish(self):
        """Its exit status; nothing of it is left."""
        self.text += self.process.stdout.read()
        status = self.process.wait(PATIENCE_S)
        # A counter whose guardians were killed may take a moment longer than the script.
        wait_until(lambda: not self.left(), what=lambda: processes.describe(self.left()))
        assert os.listdir(self.folder) == []
        return status

    def left(self):
        # A redis-server overwrites its environment with its title, which tells its socket.
        servers = [
            pid
            for pid in processes.all_pids()
            if "unixsocket:%s/" % self.folder in processes.command_line(pid)
        ]
        return processes.marked(str(self.folder), "TMPDIR") + servers


def test_demo_tells_a_story_that_holds(arena):
    demo = Demo(arena, "--ttl", "3s")
    assert demo.finish() == 0, demo.text
    assert demo.text.count(" holds ") == 4, demo.text
    assert demo.text.count(" leads, with token ") == 3, demo.text


def test_demo_notices_a_handover_that_takes_too_long(arena):
    program = arena.folder / "stubborn"
    program.write_text('#!/bin/sh\nexec "%s" --no-release "$@"\n' % leaderwrap_binary())
    program.chmod(0o755)
    demo = Demo(arena, "--ttl", "3s", program=program)
    assert demo.finish() == 1, demo.text
    assert "FAILS  after the clean stop" in demo.text
    assert demo.text.count(" holds ") == 3, demo.text


@pytest.mark.parametrize(
    "moment", ["private", "start, with", "stand by", "kill -9", "counter died", "took over"]
)
def test_demo_leaves_nothing_behind_after_ctrl_c(arena, moment):
    demo = Demo(arena, "--ttl", "2s")
    demo.read_until(moment)
    # A terminal sends it to the whole group; arena.spawn makes one from Python 3.11 on.
    if os.getpgid(demo.process.pid) == demo.process.pid:
        os.killpg(demo.process.pid, signal.SIGINT)
    else:
        demo.process.send_signal(signal.SIGINT)
    assert demo.finish() == 130, demo.text


@pytest.mark.parametrize("option", ["--ttl 5", "--ttl 10ms", "--ttl 1h", "--ttl", "--what", "what"])
def test_demo_refuses_a_bad_option(option):
    done = subprocess.run(
        [DEMO, *option.split()], capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert done.returncode == 64
    assert option in done.stderr and done.stdout == ""
