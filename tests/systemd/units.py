"""A Redis, and machines that have the units of examples/systemd."""

from tests.lib import processes, wait_until
from tests.lib.beats import check_terms
from tests.lib.machine import UNITS, Machine
from tests.lib.programs import ROOT

EXAMPLE = ROOT / "examples" / "systemd"
SERVICE = "leaderwrap@x"
JOB = "leaderwrap-job@x"
KEY = "leaderwrap:x"
BEAT = "/usr/local/bin/beat --every 50 /shared/beats"
HARDENING = EXAMPLE / "leaderwrap@.service.d" / "hardening.conf"
# Of the hardening: tests write where no service would. A restart need not be waited for.
SERVICE_HERE = "[Service]\nRestartSec=100ms\nReadWritePaths=/shared\n"
JOB_HERE = "[Service]\nReadWritePaths=/shared\n"


class Site:
    """A Redis, machines that have the units, and candidates that have not."""

    def __init__(self, arena, hardened, *redis):
        self.arena = arena
        self.network = arena.network()
        self.redis = arena.redis(*redis, host=self.network.host("redis"))
        self.beats = arena.folder / "shared" / "beats"
        self._hardened = hardened

    def environment(self, command, **more):
        """NAME.env"""
        values = {"LEADERWRAP_REDIS": self.redis.url("tcp"), "LEADERWRAP_ASSUME_FRESH": "1", **more}
        return "".join("%s=%s\n" % pair for pair in [("COMMAND", command), *values.items()])

    def machine(self, name="one", command=BEAT, files=(), service="", **more):
        """One with the environment of the instance x, and these lines for the service."""
        found = {
            "usr/local/bin/beat": self.arena.built("beat"),
            "etc/leaderwrap/x.env": self.environment(command, **more),
            **dict(files),
        }
        for unit, here in (
            ("leaderwrap@.service", SERVICE_HERE + service),
            ("leaderwrap-job@.service", JOB_HERE),
        ):
            found["%s/%s" % (UNITS, unit)] = EXAMPLE / unit
            found["%s/%s.d/test.conf" % (UNITS, unit)] = here
            if self._hardened:
                found["%s/%s.d/hardening.conf" % (UNITS, unit)] = HARDENING
        found[UNITS + "/leaderwrap-job@.timer"] = EXAMPLE / "leaderwrap-job@.timer"
        made = Machine(self.arena, self.network.host(name), found)
        (made.shared / "beats").touch()
        (made.shared / "beats").chmod(0o666)
        return made

    def candidate(self, waits=True):
        """One more, which stands by where somebody leads, on a host without systemd, with heartbeats in the same file."""
        worker = self.arena.worker(
            command=[self.arena.built("beat"), "--every", "50", self.beats],
            redis=self.redis,
            host=self.network.host("other"),
            key=KEY,
            ttl="15s",
        )
        if waits:
            worker.wait_event("waiting")
        return worker

    def wait_beats(self, count=1):
        """Until so many terms have had heartbeats; returns these terms."""
        wait_until(lambda: len(check_terms(self.beats)) >= count, what="%d terms" % count)
        return check_terms(self.beats)

    def why_began(self):
        """Why the present term could begin: how the one before it ended."""
        entries = self.redis.command("XRANGE", "{%s}:history" % KEY, "-", "+")
        begins = [dict(zip(e[1][::2], e[1][1::2])) for e in entries]
        return [each["reason"] for each in begins if each["event"] == "begin"][-1]


def tree(node, unit=SERVICE):
    """The processes of a unit: wrapper, guard, keeper and the command's."""
    main = node.main(unit)
    return [main, *processes.descendants(main)]


def wait_leading(node, unit=SERVICE):
    node.wait_show(unit, "StatusText", lambda text: text.startswith("leading with token "))


def lead(node, site):
    """Starts the service, which leads; returns its processes, with the command's at the end."""
    node.systemctl("start", SERVICE)
    assert node.show(SERVICE, "ActiveState") == "active"
    wait_leading(node)
    site.wait_beats()
    return tree(node)


def wait_restarted(node, old, times=1):
    """Until systemd has started it again, and nothing of the old tree is there."""
    node.wait_show(SERVICE, "NRestarts", str(times))
    assert not any(map(processes.alive, old)), processes.describe(old)
    node.wait_show(SERVICE, "ActiveState", "active")
