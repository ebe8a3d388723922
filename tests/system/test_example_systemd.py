"""The units of examples/systemd: systemd takes them without a word, and their command lines, put
together as systemd does it, behave as the settings beside them expect."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import time

import pytest

from tests.lib import PATIENCE_S, wait_until
from tests.lib.programs import ROOT

EXAMPLE = ROOT / "examples" / "systemd"
INSTALLED = "/usr/local/bin/leaderwrap"
UNITS = ["leaderwrap@.service", "leaderwrap-job@.service", "leaderwrap-job@.timer"]
SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1, "min": 60, "m": 60, "h": 3600}


def settings(unit):
    """[(name, value)] of the lines of a unit; comments and sections are left out."""
    lines = (EXAMPLE / unit).read_text().splitlines()
    return [tuple(line.split("=", 1)) for line in lines if line[:1] not in ("", "#", "[")]


def setting(unit, name):
    values = [value for other, value in settings(unit) if other == name]
    assert len(values) == 1, "%s= in %s: %s" % (name, unit, values)
    return values[0]


def seconds(span):
    number, unit = re.fullmatch(r"(\d+)([a-z]+)", span).groups()
    return int(number) * SECONDS[unit]


def statuses(name):
    """The numbers; names of signals are left out."""
    words = setting("leaderwrap@.service", name).split()
    return {int(word) for word in words if word.isdigit()}


def variables(name):
    """NAME.env as EnvironmentFile= reads it, for values that do not begin with a quote."""
    lines = (EXAMPLE / (name + ".env")).read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line[:1] not in ("", "#"))


def expand(line, instance, values):
    """The words of a command line: %i, ${X} for one word, $X for as many as its value has."""
    words = []
    for word in line.replace("%i", instance).split():
        if re.fullmatch(r"\$\w+", word):
            words += shlex.split(values.get(word[1:], ""))
        else:
            words.append(re.sub(r"\$\{(\w+)\}", lambda m: values.get(m[1], ""), word))
    return words


class Unit:
    """One start of a unit, as systemd would do it."""

    def __init__(self, arena, unit, instance, values):
        given = [value for name, value in settings(unit) if name == "Environment"]
        self.values = {**dict(value.split("=", 1) for value in given), **values}
        words = expand(setting(unit, "ExecStart"), instance, self.values)
        assert words[0] == INSTALLED
        self.command = [*arena.leaderwrap_command(), *words[1:]]
        self._arena = arena

    def start(self, **environment):
        """A Popen, with its log in a file of the test's folder."""
        with open(self._arena.folder / "journal", "ab") as journal:
            return self._arena.spawn(
                self.command, env={**self.values, **environment}, stderr=journal
            )


def reach(redis, **more):
    """What NAME.env says besides, here."""
    return {"LEADERWRAP_REDIS": redis.url(), "LEADERWRAP_ASSUME_FRESH": "1", **more}


# What systemd thinks of the units


def verify(folder, units):
    """What systemd-analyze has to say of the units in a folder."""
    assert shutil.which("systemd-analyze"), "systemd-analyze is missing (Debian's package systemd)"
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *[folder / unit for unit in units]],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    return done.returncode, done.stdout


def copy_units(folder, change=lambda text: text):
    """The units with a program that is there."""
    for unit in UNITS:
        text = (EXAMPLE / unit).read_text().replace(INSTALLED, "/bin/true")
        (folder / unit).write_text(change(text))
        (folder / unit).chmod(0o644)


def test_systemd_takes_the_units_without_a_word(arena):
    copy_units(arena.folder)
    assert verify(arena.folder, UNITS) == (0, "")


def test_systemd_would_tell_of_a_setting_that_is_none(arena):
    copy_units(arena.folder, lambda text: text.replace("KillMode", "KilMode"))
    assert "KilMode" in verify(arena.folder, UNITS)[1]


# The service


def test_the_sample_is_split_as_it_is_meant():
    values = variables("myserver")
    line = setting("leaderwrap@.service", "ExecStart")
    words = expand(line, "myserver", values)
    separator = words.index("--")
    assert words[:separator] == [INSTALLED, "--key", "leaderwrap:myserver"]
    assert words[separator + 1 :] == ["/usr/bin/myserver", "--greeting", "good morning"]


@pytest.mark.parametrize("unit", UNITS[:2])
@pytest.mark.parametrize("command, status", [("sleep 600", 0), ("", 1)])
def test_a_start_without_a_command_is_refused(unit, command, status):
    words = expand(setting(unit, "ExecStartPre"), "x", {"COMMAND": command})
    assert subprocess.run(words, check=False).returncode == status


def test_a_service_is_ready_says_who_leads_and_stops_well(arena, redis, manager):
    unit = Unit(arena, "leaderwrap@.service", "x", reach(redis, COMMAND='sleep "600"'))
    assert setting("leaderwrap@.service", "Type") == "notify"
    leader = unit.start(NOTIFY_SOCKET=manager.path, LEADERWRAP_NAME="one")
    assert manager.hear("STATUS=").startswith("leading with token ")
    manager.hear("READY=1")
    assert redis.command("EXISTS", "leaderwrap:x") == 1
    follower = unit.start(NOTIFY_SOCKET=manager.path)
    assert manager.hear("STATUS=").startswith("standing by: one leads")
    manager.hear("READY=1")
    for service in (follower, leader):
        service.send_signal(signal.SIGTERM)
        manager.hear("STOPPING=1")
        assert service.wait(PATIENCE_S) in statuses("SuccessExitStatus")
    assert redis.command("EXISTS", "leaderwrap:x") == 0


def test_the_watchdog_is_fed_in_time(arena, redis, manager):
    # A tenth of the time, so that the test is short.
    limit_s = seconds(setting("leaderwrap@.service", "WatchdogSec")) / 10
    unit = Unit(arena, "leaderwrap@.service", "x", reach(redis, COMMAND="sleep 600"))
    service = unit.start(NOTIFY_SOCKET=manager.path, WATCHDOG_USEC="%d" % (limit_s * 1e6))
    manager.hear("WATCHDOG=1")
    before = time.monotonic()
    manager.hear("WATCHDOG=1")
    assert time.monotonic() - before < limit_s
    service.terminate()
    service.wait(PATIENCE_S)


@pytest.mark.parametrize(
    "command, more, status",
    [("/nowhere", {}, 127), ("/etc/passwd", {}, 126), ("true", {"LEADERWRAP_TTL": "5"}, 64)],
)
def test_what_waiting_does_not_mend_is_not_started_again(arena, redis, command, more, status):
    unit = Unit(arena, "leaderwrap@.service", "x", reach(redis, COMMAND=command, **more))
    assert unit.start().wait(PATIENCE_S) == status
    assert status in statuses("RestartPreventExitStatus")


def test_a_refused_password_is_tried_again(arena):
    redis = arena.redis("requirepass secret")
    values = reach(redis, COMMAND="true", LEADERWRAP_REDIS=redis.url(password="wrong"))
    assert Unit(arena, "leaderwrap@.service", "x", values).start().wait(PATIENCE_S) == 125
    assert 125 not in statuses("RestartPreventExitStatus")


def test_the_stop_time_covers_a_frozen_redis_and_a_command_that_ignores_term(arena, redis):
    ready = arena.folder / "ready"
    command = "sh -c \"trap '' TERM; touch %s; while :; do sleep 600; done\"" % ready
    unit = Unit(arena, "leaderwrap@.service", "x", reach(redis, COMMAND=command))
    service = unit.start()
    wait_until(ready.exists)
    redis.freeze()
    service.terminate()
    allowed_s = seconds(setting("leaderwrap@.service", "TimeoutStopSec"))
    assert service.wait(allowed_s) == 128 + signal.SIGKILL


# The job


def test_ten_hosts_run_the_job_once(arena, redis):
    done = arena.folder / "done"
    values = reach(redis, COMMAND='sh -c "echo ran >>%s"' % done)
    unit = Unit(arena, "leaderwrap-job@.service", "x", values)
    hosts = [unit.start() for _ in range(10)]
    assert [host.wait(PATIENCE_S) for host in hosts] == [0] * 10
    assert unit.start().wait(PATIENCE_S) == 0, "a host whose clock is late"
    assert done.read_text() == "ran\n"


def test_a_job_that_fails_is_a_failure_and_not_repeated_in_its_tick(arena, redis):
    values = reach(redis, COMMAND='sh -c "exit 3"')
    unit = Unit(arena, "leaderwrap-job@.service", "x", values)
    assert unit.start().wait(PATIENCE_S) == 3
    assert unit.start().wait(PATIENCE_S) == 0


def test_the_hold_is_longer_than_the_timer_spreads_the_hosts(arena):
    timer = "leaderwrap-job@.timer"
    spread_s = sum(seconds(setting(timer, n)) for n in ("RandomizedDelaySec", "AccuracySec"))
    name, hold = setting("leaderwrap-job@.service", "Environment").split("=")
    assert name == "HOLD"
    assert spread_s < seconds(hold) < 24 * 3600 - spread_s


def test_every_sample_names_a_command():
    for name in ("myserver", "newsletter"):
        assert os.path.isabs(shlex.split(variables(name)["COMMAND"])[0])
