"""leaderwrap@.service under a real systemd, where something of it is killed or stands still."""

import signal

import pytest

from tests.lib import processes, wait_gone, wait_until
from units import BEAT, SERVICE, lead, tree, wait_leading, wait_restarted


def test_after_a_kill_of_the_wrapper_another_takes_over_at_once(site):
    node = site.machine()
    for times in range(1, 4):
        pids = lead(node, site) if times == 1 else tree(node)
        processes.send(pids[0], signal.SIGKILL)
        wait_restarted(node, pids, times)
        wait_leading(node)
        assert site.why_began() == "released", "the keeper was killed before it had released"
    site.wait_beats(4)
    pids = tree(node)
    other = site.candidate()
    processes.send(pids[0], signal.SIGKILL)
    other.wait_event("elected")
    assert site.why_began() == "released"
    wait_restarted(node, pids, 4)
    site.wait_beats(5)


def test_a_wrapper_that_stands_still_is_ended_by_the_watchdog(site):
    node = site.machine(service="WatchdogSec=1s\n")
    pids = lead(node, site)
    other = site.candidate()
    processes.stop(pids[0])
    other.wait_event("elected")
    assert site.why_began() == "released"
    wait_restarted(node, pids)
    assert "Watchdog timeout" in node.journal(SERVICE)
    assert node.show(SERVICE, "StatusText").startswith("standing by: w0 leads with token ")
    site.wait_beats(2)


@pytest.mark.parametrize("victim", ["guard", "keeper"])
def test_after_the_end_of_a_keeper_the_wrapper_releases_and_is_started_again(site, victim):
    node = site.machine()
    pids = lead(node, site)
    other = site.candidate()
    processes.send(pids[["wrapper", "guard", "keeper"].index(victim)], signal.SIGKILL)
    other.wait_event("elected")
    assert site.why_began() == "released"
    wait_restarted(node, pids)
    assert "status=125" in node.journal(SERVICE)
    site.wait_beats(2)


def test_what_all_guardians_left_is_ended_by_systemd(site):
    command = BEAT.replace("--every", "--daemonize --every")
    node = site.machine(command=command, LEADERWRAP_TTL="5s")
    pids = lead(node, site)
    wait_until(lambda: len(site.wait_beats()[0].pids) == 2)
    for pid in pids[:3]:
        processes.stop(pid)
    for pid in reversed(pids[:3]):
        processes.send(pid, signal.SIGKILL)
    wait_restarted(node, pids)
    wait_leading(node)
    assert site.why_began() == "expired"
    site.wait_beats(2)


def test_a_machine_that_is_shut_down_hands_over(site):
    node = site.machine()
    pids = lead(node, site)
    other = site.candidate()
    node.run("systemctl", "poweroff")
    other.wait_event("elected")
    assert site.why_began() == "released"
    assert not any(map(processes.alive, pids[3:]))
    wait_gone(node.init)
    site.wait_beats(2)
