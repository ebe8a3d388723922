"""leaderwrap@.service under a real systemd: how it starts, stops and goes on."""

from tests.lib import processes, wait_until
from units import BEAT, SERVICE, lead, tree, wait_leading


def test_a_service_is_started_when_redis_has_answered_and_says_who_leads(site):
    site.redis.freeze()
    node = site.machine()
    node.systemctl("start", "--no-block", SERVICE)
    node.main(SERVICE)
    assert node.show(SERVICE, "ActiveState") == "activating"
    site.redis.thaw()
    node.wait_show(SERVICE, "ActiveState", "active")
    wait_leading(node)
    token = site.wait_beats()[0].token
    shown = node.run("systemctl", "status", SERVICE)
    assert shown.status == 0 and 'Status: "leading with token %d"' % token in shown.output
    second = site.machine("two")
    second.systemctl("start", SERVICE)
    standing_by = "standing by: one:%s leads with token %d" % (node.show(SERVICE, "MainPID"), token)
    assert second.show(SERVICE, "StatusText") == standing_by


def test_a_stop_is_a_clean_hand_over(site):
    node = site.machine()
    pids = lead(node, site)
    other = site.candidate()
    node.systemctl("stop", SERVICE)
    assert not any(map(processes.alive, pids))
    assert node.show(SERVICE, "ActiveState") == "inactive"
    assert node.show(SERVICE, "Result") == "success"
    other.wait_event("elected")
    assert site.why_began() == "released"
    first, _ = site.wait_beats(2)
    assert first.ended == first.pids, "the command had no TERM"


def test_a_stop_takes_what_ignores_term_and_what_went_away(site):
    node = site.machine(
        command=BEAT.replace("--every", "--ignore-term --daemonize --fork 3 --every")
    )
    pids = lead(node, site)
    wait_until(lambda: len(site.wait_beats()[0].pids) == 5)
    leaf = [path.name for path in node.group(SERVICE).iterdir() if path.is_dir()]
    assert len(leaf) == 1 and leaf[0].startswith("leaderwrap-"), "the tree has no cgroup of its own"
    inside = (node.group(SERVICE) / leaf[0] / "cgroup.procs").read_text().split()
    assert len(inside) == 5
    node.systemctl("stop", SERVICE)
    assert not any(map(processes.alive, pids))
    # It is worth knowing of.
    assert node.show(SERVICE, "ExecMainStatus") == "137"
    assert node.show(SERVICE, "ActiveState") == "failed"
    other = site.candidate(waits=False)
    other.wait_event("elected")
    assert site.why_began() == "released"
    site.wait_beats(2)


def test_a_service_outlasts_a_reexecution_of_systemd(site):
    node = site.machine(service="WatchdogSec=1s\n")
    pids = lead(node, site)
    before = node.show(SERVICE, "WatchdogTimestampMonotonic")
    node.systemctl("daemon-reexec")
    node.systemctl("daemon-reload")
    assert node.show(SERVICE, "StatusText").startswith("leading with token ")
    # It is fed after as before, and heard.
    node.wait_show(SERVICE, "WatchdogTimestampMonotonic", lambda now: int(now) > int(before) + 2e6)
    assert tree(node) == pids and node.show(SERVICE, "NRestarts") == "0"
    node.systemctl("stop", SERVICE)
    assert not any(map(processes.alive, pids))
    assert node.show(SERVICE, "Result") == "success"


def test_a_reload_reaches_the_command(site):
    command = "/bin/sh -c \"trap 'echo reloaded >>/shared/reloads' HUP; echo - >>/shared/reloads; while :; do sleep 0.1; done\""
    node = site.machine(command=command, service="ExecReload=/bin/kill -HUP $MAINPID\n")
    reloads = node.shared / "reloads"
    node.systemctl("start", SERVICE)
    wait_until(reloads.exists)
    node.systemctl("reload", SERVICE)
    wait_until(lambda: reloads.read_text() == "-\nreloaded\n")
    assert node.show(SERVICE, "NRestarts") == "0"


def test_what_waiting_does_not_mend_is_not_started_again(site):
    instances = {
        "usage": (site.environment("/bin/true", LEADERWRAP_TTL="5"), "64"),
        "forbidden": (site.environment("/etc/passwd"), "126"),
        "missing": (site.environment("/nowhere"), "127"),
    }
    files = {"etc/leaderwrap/%s.env" % name: text for name, (text, _) in instances.items()}
    files["etc/leaderwrap/fails.env"] = site.environment('/bin/sh -c "exit 3"')
    files["etc/leaderwrap/nothing.env"] = site.environment("")
    node = site.machine(files=files)
    for name, (_, status) in instances.items():
        unit = "leaderwrap@" + name
        node.run("systemctl", "start", unit)
        node.wait_show(unit, "ActiveState", "failed")
        assert node.show(unit, "ExecMainStatus") == status
        assert node.show(unit, "NRestarts") == "0"
    node.systemctl("start", "--no-block", "leaderwrap@fails", "leaderwrap@nothing")
    node.wait_show("leaderwrap@fails", "NRestarts", lambda times: int(times) >= 3)
    assert "status=3" in node.journal("leaderwrap@fails")
    # It may be given a command later. What leaderwrap does without one, it has not done.
    node.wait_show("leaderwrap@nothing", "NRestarts", lambda times: int(times) >= 3)
    assert site.redis.command("EXISTS", "{leaderwrap:nothing}:term") == 0
