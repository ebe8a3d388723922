"""A Docker engine for the tests, the images they build on, and the two kinds of compose."""

import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

from tests.lib.programs import ROOT

HERE = pathlib.Path(__file__).resolve().parent
PULL_S = 20  # an image that cannot be pulled in this time is made here
START_S = 60
OFFICIAL_BASE = "debian:trixie-slim"
OFFICIAL_REDIS = "redis:8"

# What goes from one port of a bridge to another passes: an engine that once ran here may have left
# a chain that drops it, and adds its exceptions to that only with --iptables.
PASS_BRIDGED = ["FORWARD", "--match", "physdev", "--physdev-is-bridged", "--jump", "ACCEPT"]


class Skip(Exception):
    """Why something cannot be tested here."""


def run(command, timeout_s=900, **more):
    """Runs it to its end; returns its output, or raises RuntimeError with it."""
    done = subprocess.run(
        list(map(str, command)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=timeout_s,
        check=False,
        **more,
    )
    if done.returncode != 0:
        raise RuntimeError("%s:\n%s" % (" ".join(map(str, command)), done.stdout.strip()))
    return done.stdout.strip()


def succeeds(command, timeout_s=60):
    try:
        run(command, timeout_s)
    except (RuntimeError, subprocess.TimeoutExpired, FileNotFoundError):
        return False
    return True


def find(program):
    """Where a program of the administrator's is; None where it is not."""
    return shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def iptables(*arguments):
    """Whether it is there and did it."""
    program = find("iptables")
    return program is not None and succeeds([program, "--wait", *arguments])


class Engine:
    """The machine's running engine, or one of our own in a temporary folder.

    An engine of our own makes no bridge but those of the tests, and its containers reach nothing
    outside; only builds do, through the host's network. Of the machine's firewall it changes one
    thing while it runs: PASS_BRIDGED.
    """

    def __init__(self):
        self.own = False
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="lw-docker-"))
        self._daemon = None
        self._passes = False
        self._cgroup = self.folder.name

    def __enter__(self):
        try:
            if shutil.which("docker") is None:
                raise Skip("docker is not installed")
            if not succeeds(["docker", "version"]):
                self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_exception):
        if self._daemon is not None:
            self._stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def build_files(self):
        """What compose needs to know for building."""
        return [str(HERE / "host-network.yaml")] if self.own else []

    @property
    def build_options(self):
        return ["--network", "host"] if self.own else []

    def _start(self):
        program = find("dockerd")
        if os.geteuid() != 0:
            raise Skip("no Docker engine answers, and starting one needs root")
        if program is None:
            raise Skip("no Docker engine answers, and there is no dockerd to start")
        socket = "unix://%s/socket" % self.folder
        log = self.folder / "log"
        with open(log, "wb") as output:
            self._daemon = subprocess.Popen(
                [program, "--host", socket, "--pidfile", self.folder / "pid"]
                + ["--data-root", self.folder / "data", "--exec-root", self.folder / "exec"]
                + ["--bridge", "none", "--iptables=false", "--ip6tables=false"]
                + ["--ip-masq=false", "--ip-forward=false", "--cgroup-parent", self._cgroup],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        os.environ["DOCKER_HOST"] = socket
        self.own = True
        until = time.monotonic() + START_S
        while not succeeds(["docker", "version"]):
            if self._daemon.poll() is not None or time.monotonic() > until:
                last = (log.read_text(errors="replace").strip().splitlines() or [""])[-1]
                raise Skip("no Docker engine can be started here: %s" % last)
            time.sleep(0.2)
        self._passes = iptables("--insert", *PASS_BRIDGED)

    def _stop(self):
        if self._daemon.poll() is None:
            containers = run(["docker", "ps", "--all", "--quiet"]).split()
            if containers:
                run(["docker", "rm", "--force", "--volumes", *containers])
            listed = run(["docker", "network", "ls", "--quiet", "--filter", "type=custom"])
            networks = listed.split()
            if networks:
                run(["docker", "network", "rm", *networks])
            self._daemon.send_signal(signal.SIGTERM)
            try:
                self._daemon.wait(30)
            except subprocess.TimeoutExpired:
                self._daemon.kill()
                self._daemon.wait()
        if self._passes:
            iptables("--delete", *PASS_BRIDGED)
        self._unmount()
        # Docker's containers and BuildKit's had groups below ours, in each hierarchy.
        groups = [top for top, _, _ in os.walk("/sys/fs/cgroup") if "/" + self._cgroup in top]
        for group in sorted(groups, key=len, reverse=True):
            with contextlib.suppress(OSError):
                os.rmdir(group)

    def _unmount(self):
        """What the daemon left mounted below our folder, the deepest first."""
        with open("/proc/self/mounts", encoding="utf-8") as mounts:
            below = [line.split()[1] for line in mounts]
        for point in sorted(below, key=len, reverse=True):
            if point.startswith(str(self.folder) + "/"):
                subprocess.run(["umount", "--lazy", point], check=False)


# ---- images ----


def is_here(image):
    return succeeds(["docker", "image", "inspect", image])


def have_image(name):
    """Whether it is there, or can be had."""
    return is_here(name) or succeeds(["docker", "pull", name], PULL_S)


def prepare_base():
    """Sets BASE in the environment where there is no official one; returns what was made."""
    if "BASE" in os.environ or have_image(OFFICIAL_BASE):
        return []
    name = "leaderwrap-test-base"
    run(["docker", "import", make_rootfs(), name])
    os.environ["BASE"] = name
    return [name]


def prepare_redis(engine):
    """The same for REDIS_IMAGE; after prepare_base()."""
    if "REDIS_IMAGE" in os.environ or have_image(OFFICIAL_REDIS):
        return []
    name = "leaderwrap-test-redis"
    build(engine, HERE / "Dockerfile.redis", name)
    os.environ["REDIS_IMAGE"] = name
    return [name]


def make_rootfs():
    if os.geteuid() != 0 or not shutil.which("debootstrap", path="/usr/sbin:/usr/bin"):
        raise Skip("%s cannot be pulled; making it needs root and debootstrap" % OFFICIAL_BASE)
    try:
        # What debootstrap and apt say is for nobody but those who look for a fault.
        return run([HERE / "slim-rootfs"], 2000).splitlines()[-1]
    except RuntimeError as error:
        last = str(error).strip().splitlines()[-1]
        raise Skip("%s can be neither pulled nor made: %s" % (OFFICIAL_BASE, last)) from error


def build(engine, dockerfile, tag, *options):
    """docker build from the root of the checkout."""
    arguments = []
    for name in ("BASE", "APT_CONF", "APT_SOURCES"):
        arguments += ["--build-arg", "%s=%s" % (name, os.environ.get(name, ""))]
    if "BASE" not in os.environ:
        arguments[1] = "BASE=" + OFFICIAL_BASE
    command = ["docker", "build", *engine.build_options, "--file", dockerfile, "--tag", tag]
    return run([*command, *arguments, *options, ROOT])


# ---- compose ----


def find_composes(engine):
    """{name: command} of the implementations that are there or can be had, and {name: why not}."""
    found, missing = {}, {}
    if shutil.which("docker-compose"):
        version = run(["docker-compose", "version", "--short"]).lstrip("v")
        found["docker-compose " + version] = ["docker-compose"]
    else:
        missing["docker-compose"] = "it is not installed"
    try:
        if not succeeds(["docker", "compose", "version"]):
            fetch_compose_plugin(engine)
        version = run(["docker", "compose", "version", "--short"])
        found["docker compose " + version] = ["docker", "compose"]
    except Skip as error:
        missing["docker compose"] = str(error)
    return found, missing


FETCH = """set -e
cd /fetched
apt-get -q update
apt-get -q -o APT::Sandbox::User=root download docker-compose
dpkg-deb -x docker-compose_*.deb .
"""


def fetch_compose_plugin(engine):
    """Takes Debian 13's package apart, and has the docker command find what is in it."""
    if "BASE" not in os.environ:
        raise Skip("it is not installed")
    fetched = engine.folder / "fetched"
    fetched.mkdir()
    container = ["docker", "run", "--rm", "--volume", "%s:/fetched" % fetched]
    try:
        run([*container, *engine.build_options, os.environ["BASE"], "sh", "-c", FETCH])
    except RuntimeError as error:
        raise Skip("it is not installed, nor could it be fetched") from error
    config = engine.folder / "config"
    plugins = config / "cli-plugins"
    plugins.mkdir(parents=True)
    plugin = fetched / "usr/libexec/docker/cli-plugins/docker-compose"
    (plugins / "docker-compose").symlink_to(plugin)
    os.environ["DOCKER_CONFIG"] = str(config)
    if not succeeds(["docker", "compose", "version"]):
        raise Skip("Debian 13's does not run here")
