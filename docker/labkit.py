"""What docker/lab and tests/docker are made of: compose, the workers' output as it comes, and the
terms of office that can be read from it. All times are the engine's clock, in nanoseconds."""

import dataclasses
import datetime
import json
import os
import queue
import re
import shutil
import subprocess
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
COMPOSE_FILE = os.path.join(HERE, "compose.yaml")
WORKERS = ("worker-1", "worker-2", "worker-3")
COUNTER_LINE = re.compile(r"global_counter = (\d+) \((\S+), token (\d+)\)$")
PATIENCE_S = 60  # for what takes moments, but on a busy machine


class Trouble(Exception):
    """Something that a person should know, in one sentence."""


def ns_from_text(text):
    """Nanoseconds since 1970 from 2026-01-31T12:00:00.123456789Z, of which any digits may lack."""
    seconds, _, fraction = text.rstrip("Z").partition(".")
    whole = datetime.datetime.fromisoformat(seconds + "+00:00").timestamp()
    return int(whole) * 10**9 + int(fraction.ljust(9, "0")[:9] or 0)


def seconds(ns):
    """As people read it."""
    return "%d ms" % (ns / 1e6) if ns < 10**9 else "%.2f s" % (ns / 1e9)


# ---- the engine ----


def run(command, env=None, patience_s=600):
    """Runs it to its end. A session of its own keeps a ctrl-C, which is for us, away from it."""
    process = subprocess.Popen(
        command,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=patience_s)
    except subprocess.TimeoutExpired as error:
        raise Trouble("%s took longer than %d s" % (" ".join(command), patience_s)) from error
    finally:
        if process.poll() is None:
            process.terminate()
            process.communicate()
    return process.returncode, output


def require_engine():
    """Raises Trouble unless a Docker engine answers."""
    if shutil.which("docker") is None:
        raise Trouble("there is no docker here (Debian: apt-get install docker.io docker-compose)")
    status, output = run(["docker", "version", "--format", "{{.Server.Version}}"], patience_s=60)
    if status == 0:
        return
    words = (output.strip().splitlines() or ["no reason given"])[-1]
    if "permission denied" in output.lower():
        raise Trouble("the Docker engine lets root and the group docker in, but not you: try sudo")
    raise Trouble("no Docker engine answers; is it started? Docker says: %s" % words)


def find_compose():
    """The command of the compose that is there, version 2 before 1.29."""
    if run(["docker", "compose", "version"])[0] == 0:
        return ["docker", "compose"]
    if shutil.which("docker-compose") is not None:
        return ["docker-compose"]
    raise Trouble(
        "there is neither 'docker compose' nor 'docker-compose' (Debian: apt-get install"
        " docker-compose)"
    )


def projects():
    """The names of all compose projects that have a container."""
    label = '{{.Label "com.docker.compose.project"}}'
    return sorted(set(run(["docker", "ps", "--all", "--format", label])[1].split()))


class Lab:
    """The containers, network and volume of one project, and the commands for them.

    `settings` are variables of the compose file, the lab's own or `file`. Whatever the person has set for leaderwrap or compose
    has no influence; what is needed to build (BASE, REDIS_IMAGE, a proxy) has.
    """

    def __init__(self, project, compose, settings=None, files=(), file=COMPOSE_FILE):
        self.project = project
        self.prefix = project + "-"
        self.settings = dict(settings or {})
        self.network = project + "_default"
        self._compose = [*compose, "--project-name", project]
        for each in (file, *files):
            self._compose += ["--file", str(each)]

    def environment(self):
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("LEADERWRAP_", "COMPOSE_"))
        }
        return {
            **kept,
            "LAB_PREFIX": self.prefix,
            "LEADERWRAP_LOG_FORMAT": "json",
            "LAB_PORT": "0",
            **self.settings,
        }

    def compose(self, *arguments, check=True):
        status, output = run([*self._compose, *arguments], self.environment())
        if check and status != 0:
            raise Trouble("compose %s failed:\n%s" % (arguments[0], output.strip()))
        return output

    def docker(self, *arguments, check=True):
        status, output = run(["docker", *arguments])
        if check and status != 0:
            raise Trouble("docker %s failed: %s" % (" ".join(arguments), output.strip()))
        return output.strip()

    def container(self, service):
        return self.prefix + ("lab-redis" if service == "redis" else service)

    def act(self, action, service):
        """docker stop, kill, start, pause or unpause."""
        self.docker(action, self.container(service))

    def redis(self, *command):
        return self.docker("exec", self.container("redis"), "redis-cli", *command)

    def remove(self):
        """Everything that up() made, but not images."""
        # A paused container cannot be stopped by every engine.
        for service in WORKERS:
            self.docker("unpause", self.container(service), check=False)
        self.compose("down", "--volumes", "--remove-orphans", "--timeout", "5")


# ---- what happens ----


@dataclasses.dataclass
class Term:
    """One leader's time in office."""

    token: int
    worker: str
    begin_ns: int
    end_ns: int = None  # its command is dead
    values: list = dataclasses.field(default_factory=list)  # (value, when it was heard)


class Follower:
    """Listens to the engine's events and to every worker's output, and keeps the terms.

    `on_news(ns, kind, worker, text)` is told of what a person may want to see.
    """

    def __init__(self, lab, on_news=lambda ns, kind, worker, text: None):
        self.terms = []
        self.values = {}  # by (worker, token)
        self.events = []  # (ns, worker, event, text), from the engine and from leaderwrap's log
        self._lab = lab
        self._on_news = on_news
        self._heard = queue.Queue()
        self._processes = []
        self._ended = False
        self._follow(
            ["events", "--since", "%d" % (time.time() - 5), "--filter", "type=container"]
            + ["--filter", "label=com.docker.compose.project=" + lab.project]
            + ["--format", "{{json .}}"],
            self._take_engine_line,
        )

    def close(self):
        self._ended = True
        for process in self._processes:
            if process.poll() is None:
                process.terminate()
            process.wait()

    def _follow(self, arguments, take, *more):
        process = subprocess.Popen(
            ["docker", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        self._processes.append(process)

        def listen():
            with process.stdout as lines:
                for line in lines:
                    self._heard.put((take, line.rstrip("\n"), more))

        threading.Thread(target=listen, daemon=True).start()

    # Each line is taken by the thread that waits, so nothing here is shared.

    def wait(self, what, condition, patience_s=PATIENCE_S):
        """Listens until condition() is true, and returns its value."""
        until = time.monotonic() + patience_s
        while True:
            value = condition()
            if value:
                return value
            left_s = until - time.monotonic()
            try:
                take, line, more = self._heard.get(timeout=max(0, min(left_s, 1)))
                take(line, *more)
            except queue.Empty:
                if left_s <= 0:
                    raise Trouble("waited %d s in vain: %s" % (patience_s, what)) from None

    def listen(self, duration_s):
        """Takes what comes for so long."""
        until = time.monotonic() + duration_s
        self.wait("time to pass", lambda: time.monotonic() >= until, duration_s + PATIENCE_S)

    def _note(self, ns, worker, event, text=""):
        self.events.append((ns, worker, event, text))

    def _take_engine_line(self, line):
        if not line.startswith("{"):
            return
        event = json.loads(line)
        attributes = event["Actor"]["Attributes"]
        worker = attributes.get("com.docker.compose.service", "")
        ns, action = event["timeNano"], event["Action"]
        if action.startswith(("exec_", "health_status")):
            return
        self._note(ns, worker, action, attributes.get("signal", ""))
        if worker not in WORKERS:
            return
        if action == "start":
            # It may have spoken before the engine told of its start; what is heard twice is known.
            since = "%d.%09d" % divmod(ns - 10**9, 10**9)
            arguments = ["logs", "--follow", "--timestamps", "--since", since, event["id"]]
            self._follow(arguments, self._take_worker_line, worker)
        elif action == "die":
            self._end_term(worker, ns)

    def _take_worker_line(self, line, worker):
        stamp, _, text = line.partition(" ")
        counted = COUNTER_LINE.match(text)
        if counted:
            self._take_value(ns_from_text(stamp), worker, int(counted[1]), int(counted[3]))
        elif text.startswith("{"):
            said = json.loads(text)
            self._take_log(ns_from_text(said["time"]), worker, said)

    def _take_value(self, ns, worker, value, token):
        # Docker keeps no order between standard output and standard error, the log: a value can be
        # heard before its leader's election.
        values = self.values.setdefault((worker, token), [])
        if (value, ns) not in values:
            values.append((value, ns))
            self._on_news(ns, "value", worker, str(value))

    def _take_log(self, ns, worker, said):
        event = said["event"]
        if (ns, worker, event, said["message"]) in self.events:
            return
        self._note(ns, worker, event, said["message"])
        if event == "elected":
            values = self.values.setdefault((worker, said["token"]), [])
            self.terms.append(Term(said["token"], worker, ns, values=values))
            self._on_news(ns, "elected", worker, "token %d" % said["token"])
        elif event == "tree_dead":
            self._end_term(worker, ns)
            self._on_news(ns, "dead", worker, said["message"])
        elif event in ("renewed", "waiting", "released") or said["level"] in ("warning", "error"):
            self._on_news(ns, event, worker, said["message"])

    def _end_term(self, worker, ns):
        for term in self.terms:
            if term.worker == worker and term.end_ns is None and term.begin_ns <= ns:
                term.end_ns = ns

    def strays(self):
        """A sentence for each worker that counted with a token it was not elected with."""
        elected = {(term.worker, term.token) for term in self.terms}
        return [
            "%s counted with token %d, but was not elected" % key
            for key in self.values
            if key not in elected
        ]

    # What tests and the lab wait for

    @property
    def term(self):
        """The newest term, or None."""
        return max(self.terms, key=lambda term: term.token) if self.terms else None

    def when(self, event, worker, after_ns=0):
        """When this was seen first after that time; None if it was not."""
        times = [ns for ns, w, e, _ in self.events if (w, e) == (worker, event) and ns > after_ns]
        return min(times) if times else None

    def wait_term(self, after_token=0, patience_s=PATIENCE_S):
        """The next term after that token, once it has begun."""
        self.wait("a new leader", lambda: self.term and self.term.token > after_token, patience_s)
        return self.term

    def wait_values(self, count):
        """Waits until the newest term has counted so often."""
        self.wait("the leader counts", lambda: len(self.term.values) >= count)

    def wait_event(self, event, worker, after_ns=0, patience_s=PATIENCE_S):
        """When it happened."""
        return self.wait(
            "%s of %s" % (event, worker), lambda: self.when(event, worker, after_ns), patience_s
        )

    def wait_standing_by(self, worker):
        """Waits until it has said so in the present life of its container."""
        # Its log can be older than the engine's word for its start.
        ends = [ns for ns, w, event, _ in self.events if (w, event) == (worker, "die")]
        return self.wait_event("waiting", worker, max(ends, default=0))


# ---- what must hold ----


def leader_problems(terms):
    """A sentence for each moment with two leaders, and for each token that does not grow."""
    problems = []
    terms = sorted(terms, key=lambda term: term.begin_ns)
    for earlier, later in zip(terms, terms[1:]):
        if later.token <= earlier.token:
            problems.append("token %d follows token %d" % (later.token, earlier.token))
        if earlier.end_ns is None or earlier.end_ns > later.begin_ns:
            problems.append("%s was elected while %s led" % (later.worker, earlier.worker))
    return problems


def counter_problems(terms, stored=None, cuts=()):
    """(problems, remarks) about the sequence of all values in the order of the terms.

    A leader that was cut off between the increment and the line that tells of it leaves out one
    value: at the end of a term, or where a fault (its time is among `cuts`) hit Redis. That is a
    remark. Everything else must be 1, 2, 3 and so on, up to what Redis has `stored`.
    """
    problems, remarks = [], []
    last, last_ns = 0, 0
    for term in sorted(terms, key=lambda term: term.token):
        for index, (value, ns) in enumerate(term.values):
            cut = index == 0 or any(last_ns <= at <= ns for at in cuts)
            if value == last + 2 and cut and last > 0:
                remarks.append("%d was counted by a leader that could not say so" % (last + 1))
            elif value != last + 1:
                problems.append("%d came after %d" % (value, last))
            last, last_ns = value, ns
    if stored is not None and stored not in (last, last + 1):
        problems.append("Redis has %d, and the last that was said is %d" % (stored, last))
    return problems, remarks
