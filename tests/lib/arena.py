"""Everything one test starts, and its orderly end."""

import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

from . import network, processes, programs
from .cluster import Cluster
from .network import Network
from .redis import RedisServer
from .sentinel import Replication, Sentinel
from .waiting import PATIENCE_S, wait_until
from .worker import Worker

# No origins, no leak checks of what is still reachable: a process that ends at once is normal here.
VALGRIND = [
    "valgrind",
    "--quiet",
    "--leak-check=full",
    "--show-leak-kinds=definite,indirect",
    "--errors-for-leak-kinds=definite,indirect",
    "--track-fds=no",
    "--error-exitcode=96",
]


class Arena:
    """Factory and owner of a test's processes. Tests get one as the fixture `arena`."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        # Names of Unix sockets must be short.
        self.short_folder = pathlib.Path(tempfile.mkdtemp(prefix="lw-"))
        self.mark = processes.new_mark()
        self.workers = []
        self.servers = []
        self._spawned = []
        self._told = []  # standard error of what run() ran
        self._network = None
        self._leftovers_expected = False

    # Making things

    def redis(self, *config, name=None, fake_clock=False, host=None, program=None):
        """A running RedisServer with these lines in its configuration."""
        name = name or "redis%d" % len(self.servers)
        server = RedisServer(self, name, config, fake_clock, host, program)
        self.servers.append(server)
        return server

    def sentinel(self, *config, name=None, host=None):
        """A running Sentinel with these lines in its configuration."""
        server = Sentinel(self, name or "sentinel%d" % len(self.servers), config, host=host)
        self.servers.append(server)
        return server

    def replication(self, **settings):
        """A Replication, on three hosts where there can be any."""
        return Replication(self, self._three_hosts(), **settings)

    def cluster(self, **settings):
        """A Cluster, on three hosts where there can be any."""
        return Cluster(self, self._three_hosts(), **settings)

    def _three_hosts(self):
        if network.obstacle() is not None:
            return [None] * 3
        return [self.network().host("host%d" % number) for number in range(3)]

    def worker(
        self,
        *options,
        command=None,
        redis=None,
        name=None,
        key="test",
        ttl="3s",
        url=None,
        host=None,
        env=None,
        cwd=None,
        prefix=(),
    ):
        """Starts leaderwrap, logging JSON at level debug, and returns its Worker.

        `options` are more options; `command` the command with its arguments (None: the built-in
        counter); `redis` a RedisServer (or else a `url`), by TCP if there is a `host`; key and ttl
        may be None to be left out. `prefix` is put before the program's name ("nice", "-n5").
        """
        name = name or "w%d" % len(self.workers)
        if url is None and redis is not None:
            url = redis.url("tcp" if host else "unix")
        arguments = ["--log-format", "json", "--log-level", "debug", "--name", name]
        for option, value in (("--redis", url), ("--key", key), ("--ttl", ttl)):
            arguments += [option, value] if value is not None else []
        arguments += options
        if command is not None:
            arguments += ["--", *map(str, command)]
        worker = Worker(self, arguments, name, host, env, cwd, prefix)
        self.workers.append(worker)
        return worker

    def run(self, *arguments, env=None, input=None, timeout=PATIENCE_S):
        """Runs leaderwrap with exactly these arguments to its end; a CompletedProcess with text."""
        done = subprocess.run(
            [*self.leaderwrap_command(), *map(str, arguments)],
            env=self.environment(env),
            cwd=self.folder,
            input=input,
            stdin=subprocess.DEVNULL if input is None else None,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        self._told += done.stderr.splitlines()
        return done

    def beat(self, *options, file="beats"):
        """The command line of a `beat` (see beat.c) that writes into `file` of the test's folder."""
        return [str(self.built("beat")), *map(str, options), str(self.beats(file))]

    @staticmethod
    def built(name):
        """The path of a program of tests/helpers."""
        return programs.helper(name)

    def beats(self, file="beats"):
        """The path of that file, for check_terms."""
        return self.folder / file

    def network(self):
        """The test's Network; skips the test where there can be none."""
        if self._network is None:
            why = network.obstacle()
            if why is not None:
                raise unittest.SkipTest(why)
            self._network = Network(self.mark[:6])
        return self._network

    def spawn(self, command, host=None, env=None, cwd=None, **streams):
        """A process of any kind (a Popen), that is ended with the test."""
        streams.setdefault("stdin", subprocess.DEVNULL)
        if sys.version_info >= (3, 11):
            # A ctrl-C of the person who runs the tests is for pytest alone.
            streams.setdefault("process_group", 0)
        process = subprocess.Popen(
            [*(host.prefix() if host else []), *map(str, command)],
            env=self.environment(env),
            cwd=cwd or self.folder,
            **streams,
        )
        self._spawned.append(process)
        return process

    def environment(self, more=None):
        """What processes of this test are started with. A variable that is None is taken out."""
        reports = self.folder / "reports"
        reports.mkdir(exist_ok=True)
        sanitizers = "log_path=%s:exitcode=97:print_stacktrace=1:halt_on_error=1" % (
            reports / "sanitizer"
        )
        inherited = {
            name: value
            for name, value in os.environ.items()
            # Settings of the person who runs the tests are not for the programs under test.
            if name != "REDIS_URL" and not name.startswith("LEADERWRAP")
        }
        values = {
            **inherited,
            processes.TEST_MARK: self.mark,
            "ASAN_OPTIONS": sanitizers,
            "UBSAN_OPTIONS": sanitizers,
            **(more or {}),
        }
        return {name: value for name, value in values.items() if value is not None}

    def leaderwrap_command(self):
        """How to start leaderwrap: the program, behind valgrind if that is asked for."""
        binary = str(programs.leaderwrap_binary())
        if not os.environ.get("LEADERWRAP_VALGRIND"):
            return [binary]
        reports = self.folder / "reports"
        reports.mkdir(exist_ok=True)
        return [*VALGRIND, "--log-file=%s" % (reports / "valgrind.%p"), binary]

    # The end

    def expect_leftovers(self):
        """The test leaves processes behind by design (both guardians were killed)."""
        self._leftovers_expected = True

    def leftovers(self):
        """The pids of all living processes that the test has started, directly or not."""
        return processes.marked(self.mark)

    def close(self, patience=PATIENCE_S):
        """Ends everything politely and returns what was wrong, as sentences."""
        problems = []
        for server in self.servers:
            if server.running:
                server.thaw()
        self._end_workers(problems)
        for process in self._spawned:
            if process.poll() is None:
                processes.wake(process.pid)
                processes.send(process.pid, signal.SIGTERM)
                self._await_end(process, problems)
        self._look_for_leftovers(problems, patience)
        self._look_for_reports(problems)
        if self._network is not None:
            self._network.close()
        shutil.rmtree(self.short_folder, ignore_errors=True)
        return problems

    def logs(self):
        """(title, text) of everything that may explain a failure."""
        found = [("log of " + w.name, w.log()) for w in self.workers]
        return found + [("log of " + s.name, s.log()) for s in self.servers]

    def _end_workers(self, problems):
        for worker in self.workers:
            if worker.running:
                keeper = worker.keeper
                if keeper:
                    processes.wake(keeper)
                processes.wake(worker.pid)
                worker.send(signal.SIGTERM)
        for worker in self.workers:
            self._await_end(worker._process, problems)

    @staticmethod
    def _await_end(process, problems):
        try:
            process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            problems.append("did not end on TERM: %s" % processes.describe([process.pid]))
            process.kill()
            process.wait()

    def _look_for_leftovers(self, problems, patience):
        if not self._leftovers_expected:
            try:
                wait_until(lambda: not self.leftovers(), timeout=patience)
            except AssertionError:
                problems.append("left over: %s" % processes.describe(self.leftovers()))
        processes.kill_marked(self.mark)

    def _look_for_reports(self, problems):
        for path in sorted((self.folder / "reports").glob("*")):
            lines = path.read_text(errors="replace").splitlines()
            # Lines that begin with "--" are valgrind's remarks on itself.
            lines = [line for line in lines if not line.startswith("--")]
            if any(lines):
                problems.append("\n".join([path.name + ":", *lines]))
        # The undefined behaviour sanitizer of gcc knows no file to write to.
        told = self._told + [line for worker in self.workers for line in worker.lines]
        problems += [line for line in told if "runtime error:" in line]
