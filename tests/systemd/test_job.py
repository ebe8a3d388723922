"""leaderwrap-job@ under a real systemd, and what the hardening comes to."""

import re
import signal

from tests.lib import processes, wait_until
from tests.lib.machine import UNITS
from units import HARDENING, JOB, SERVICE, Site, lead, tree


TICK = "[Timer]\nOnCalendar=\nOnActiveSec=500ms\nRandomizedDelaySec=0\nAccuracySec=1ms\n"


def start_timers(nodes):
    for node in nodes:
        node.systemctl("start", JOB + ".timer")


def wait_done(node):
    node.wait_show(JOB, "InactiveEnterTimestampMonotonic", lambda at: at != "0")


def test_of_two_machines_one_runs_the_job_of_a_tick(site):
    files = {UNITS + "/leaderwrap-job@.timer.d/test.conf": TICK}
    command = '/bin/sh -c "echo ran >>/shared/done; sleep 1"'
    nodes = [site.machine(name, command=command, files=files) for name in ("one", "two")]
    (nodes[0].shared / "done").touch()
    (nodes[0].shared / "done").chmod(0o666)
    start_timers(nodes)
    for node in nodes:
        wait_done(node)
        assert node.show(JOB, "Result") == "success"
    assert (nodes[0].shared / "done").read_text() == "ran\n"


def test_a_job_that_is_stopped_or_killed_has_failed_and_left_nothing(site):
    node = site.machine(command="/bin/sleep 600")
    for act, result in (("stop", "exit-code"), ("kill", "signal")):
        node.systemctl("start", "--no-block", JOB)
        node.main(JOB)
        wait_until(lambda: len(tree(node, JOB)) == 4)
        pids = tree(node, JOB)
        if act == "stop":
            node.systemctl("stop", JOB)
        else:
            processes.send(pids[0], signal.SIGKILL)
        node.wait_show(JOB, "ActiveState", "failed")
        assert node.show(JOB, "Result") == result
        assert not any(map(processes.alive, pids))
        site.redis.flushall()


def exposure(node, unit):
    text = node.run("systemd-analyze", "security", "--no-pager", unit).output
    return float(re.search(r"Overall exposure level for .*: ([0-9.]+)", text)[1])


def test_the_hardening_closes_what_it_says(site, hardened):
    node = site.machine(command="/bin/sleep 600")
    node.systemctl("start", SERVICE)
    scores = [exposure(node, unit + ".service") for unit in (SERVICE, JOB)]
    assert all((score <= 2.0) == hardened for score in scores), scores


def test_a_password_reaches_a_user_of_its_own_as_a_credential(arena, hardened):
    site = Site(arena, hardened, "requirepass secret")
    text = HARDENING.read_text(encoding="utf-8")
    lines = re.findall("^#((?:LoadCredential|Environment)=.*)$", text, re.MULTILINE)
    assert len(lines) == 2, "the sample in hardening.conf"
    node = site.machine(
        files={"etc/leaderwrap/x.password": "secret\n"},
        service="\n".join(lines) + "\n",
        LEADERWRAP_REDIS="redis://%s:%d" % (site.redis.address, site.redis.port),
    )
    node.run("chmod", "600", "/etc/leaderwrap/x.password")
    lead(node, site)
    assert "secret" not in node.journal()
