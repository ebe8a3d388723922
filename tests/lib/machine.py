"""A machine whose first process is a real systemd, on a host of the test's network; see
tests/systemd/machine for what it consists of."""

import os
import shutil
import subprocess
import typing

from . import processes
from .programs import ROOT, leaderwrap_binary
from .waiting import PATIENCE_S, wait_until

SCRIPT = ROOT / "tests" / "systemd" / "machine"
UNITS = "etc/systemd/system"
SYSTEMD = "/lib/systemd/systemd"


class Answer(typing.NamedTuple):
    status: int
    output: str


def obstacle():
    """Why there can be no machine here, beside what forbids a network; None if there can."""
    if not os.path.exists(SYSTEMD):
        return "there is no systemd"
    namespaces = ["--mount", "--pid", "--fork", "--cgroup", "--uts", "--ipc"]
    mount = "mount -t cgroup2 cgroup2 /mnt && rmdir $(mktemp -d /mnt/lw-try-XXXXXX)"
    done = subprocess.run(
        ["unshare", *namespaces, "sh", "-c", mount], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        return "this machine allows no cgroup v2 of one's own: %s" % done.stderr.strip()
    # For PrivateUsers=. In a chroot the kernel makes none.
    if subprocess.run(["unshare", "--user", "true"], capture_output=True, check=False).returncode:
        return "this machine allows no user namespaces"
    return None


class Machine:
    """Boots as it is made. `files` is {path: content, or a pathlib.Path to copy}, without the first
    slash; leaderwrap is in /usr/local/bin, and the test's folder `shared` is seen as /shared."""

    def __init__(self, arena, host, files):
        self.host = host
        self.shared = arena.folder / "shared"
        self.shared.mkdir(exist_ok=True)
        self.shared.chmod(0o777)
        folder = arena.folder / (host.name + ".files")
        self._fill(folder, {"usr/local/bin/leaderwrap": leaderwrap_binary(), **files})
        with open(arena.folder / (host.name + ".console"), "wb") as console:
            self._script = arena.spawn(
                [SCRIPT, host.name, folder, self.shared],
                host=host,
                stdout=console,
                stderr=console,
            )
        self.init = wait_until(self._find_init, what=host.name + " to have a systemd")
        wait_until(self._is_up, what=host.name + " to be up")

    @staticmethod
    def _fill(folder, files):
        for path, content in files.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, str):
                target.write_text(content, encoding="utf-8")
            else:
                shutil.copy(content, target)

    def _find_init(self):
        assert self._script.poll() is None, "%s did not boot; see its console" % self.host.name
        found = processes.descendants(self._script.pid)
        return next((p for p in found if processes.command_line(p).startswith(SYSTEMD)), None)

    def _is_up(self):
        return self.run("systemctl", "is-system-running").output in ("running", "degraded")

    # In it

    def run(self, *command, timeout=PATIENCE_S):
        """Runs it inside, as root; an Answer."""
        done = subprocess.run(
            ["nsenter", "--target", str(self.init), "--all", "--root", "--wd", "--", *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
        )
        return Answer(done.returncode, done.stdout.strip())

    def systemctl(self, *words):
        """What it prints; fails if it does."""
        answer = self.run("systemctl", *words)
        if answer.status != 0:
            said = (" ".join(words), answer.output, self.journal())
            raise AssertionError("systemctl %s: %s\n%s" % said)
        return answer.output

    def write(self, path, content):
        """A file of the running machine, with the folders to it."""
        self._fill(self._root(), {path: content})

    def _root(self):
        return type(self.shared)("/proc/%d/root" % self.init)

    def journal(self, unit=None):
        """What was logged, for people and tests."""
        which = ["--unit", unit] if unit else []
        return self.run("journalctl", "--no-pager", "--output", "short-precise", *which).output

    # Its units

    def show(self, unit, name):
        """A property, as text."""
        return self.systemctl("show", "--value", "--property", name, unit)

    def wait_show(self, unit, name, wanted):
        """Until the property is, or where it is a function satisfies, `wanted`; returns it."""
        seen = None

        def reached():
            nonlocal seen
            seen = self.show(unit, name)
            return wanted(seen) if callable(wanted) else seen == wanted

        wait_until(
            reached, what=lambda: "%s= of %s is %r\n%s" % (name, unit, seen, self.journal(unit))
        )
        return seen

    def outer(self, inner):
        """The pid out here of one in there."""

        def numbers(pid):
            try:
                with open("/proc/%d/status" % pid, encoding="utf-8", errors="replace") as file:
                    return next(line.split()[1:] for line in file if line.startswith("NSpid:"))
            except (OSError, StopIteration):
                return []

        below = [self.init, *processes.descendants(self.init)]
        return next(pid for pid in below if numbers(pid)[-1:] == [str(inner)])

    def main(self, unit):
        """The pid out here of a unit's main process."""
        return self.outer(int(self.wait_show(unit, "MainPID", lambda pid: pid != "0")))

    def group(self, unit):
        """The cgroup of a unit, as a path out here."""
        return self._root() / "sys/fs/cgroup" / self.show(unit, "ControlGroup").lstrip("/")
