"""The experiments of docker/README.md as tests. Each has a lab of its own, in which the workers run
`command`: heartbeats (tests/helpers/beat.c) in a shared file beside a fenced counter.

In each: no two terms' heartbeats overlap, the counter has no gap, double or step back, and the
recovery keeps within its bound.
"""

import os
import pathlib
import shutil
import tempfile
import time

import labkit

from tests.lib import beats as heartbeats
from tests.lib import boottime_of
from tests.lib.programs import ROOT

HERE = pathlib.Path(__file__).resolve().parent
TTL_S = 3
# What a busy machine may add to any time: each command of Docker's alone can take a second there.
LATE_NS = 2 * 10**9
BOUND_NS = TTL_S * 10**9 + LATE_NS
VALUES = 2
HEALTHY = "healthy: leaderwrap and its keeper are at work"
THAWED_NS = 10**9  # a stale command is dead this long after its container was thawed
HAND_OVER_NS = 15 * 10**8  # without a word from the server it would be a --retry: 3 s
# Followers ask again after at most --retry, which is the TTL here, give or take a tenth; then one
# TTL is waited out, because nobody can know what the restarted Redis has forgotten.
REDIS_BACK_NS = int((TTL_S * 1.1 + TTL_S) * 1e9) + LATE_NS


def expect(condition, sentence):
    if not condition:
        raise AssertionError(sentence)


class Scene:
    """A lab with three workers, one of which leads and has counted."""

    def __init__(self, name, compose, beat, **settings):
        self.name = name
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="lw-scene-"))
        for source in (beat, HERE / "command"):
            shutil.copy(source, self.folder / source.name)
        self.folder.chmod(0o777)
        self.lab = labkit.Lab(
            "lwtest%d-%s" % (os.getpid(), name),
            compose,
            {"LEADERWRAP_TTL": "%ds" % TTL_S, "LAB_SHARED": str(self.folder), **settings},
            [str(HERE / "beat.yaml")],
        )
        self.follower = None
        self.cuts = []

    def __enter__(self):
        try:
            self.follower = labkit.Follower(self.lab)
            self.lab.compose("up", "--detach", "--no-build")
            self.follower.wait_term()
            self.settle()
        except BaseException as error:
            self.__exit__(type(error))
            raise
        return self

    def __exit__(self, kind=None, *_more):
        log = self.lab.compose("logs", "--no-color", check=False) if kind else ""
        self.follower.close()
        self.lab.remove()
        shutil.rmtree(self.folder)
        if log:
            print("---- what %s said\n%s" % (self.name, log), flush=True)

    def settle(self):
        for worker in labkit.WORKERS:
            if worker != self.follower.term.worker:
                self.follower.wait_standing_by(worker)
        self.follower.wait_values(VALUES)

    def next_term(self, old, since_ns, bound_ns=BOUND_NS):
        """The next leader, which counts; it came within the bound. Returns the seconds it took."""
        new = self.follower.wait_term(old.token)
        self.follower.wait_values(VALUES)
        took_ns = new.begin_ns - since_ns
        expect(took_ns <= bound_ns, "a new leader only after %s" % labkit.seconds(took_ns))
        return took_ns / 1e9

    def beats(self):
        return heartbeats.read_beats(self.folder / "beats")

    def check(self, stale=None, asked_ns=0, thawed_ns=0):
        """Everything that must hold; of the term `stale` not what it did once its thaw was asked
        for."""
        beats = self.beats()
        late = [
            b
            for b in beats
            if stale and b.token == stale.token and b.at_ns >= boottime_of(asked_ns)
        ]
        for beat in late:
            beats.remove(beat)
        problems = heartbeats.beat_problems(beats)
        expect(not problems, "\n".join(problems))
        stored = int(self.lab.redis("GET", "global_counter"))
        problems, _ = labkit.counter_problems(self.follower.terms, None, self.cuts)
        problems += self.follower.strays()
        expect(not problems, "\n".join(problems))
        newest = self.follower.term.values[-1][0]
        expect(newest <= stored <= newest + 2, "Redis has %d, not %d" % (stored, newest))
        if stale:
            over_ns = boottime_of(thawed_ns) + THAWED_NS
            expect_silence(late, over_ns, "the stale command lived on in the thawed container")
        else:
            problems = labkit.leader_problems(self.follower.terms)
            expect(not problems, "\n".join(problems))


def expect_silence(beats, after_ns, sentence):
    """That none of these heartbeats is later."""
    late_ns = max((beat.at_ns for beat in beats), default=after_ns) - after_ns
    expect(late_ns <= 0, "%s: %s too late" % (sentence, labkit.seconds(late_ns)))


def take_away(scene, action):
    old = scene.follower.term
    scene.lab.act(action, old.worker)
    gone_ns = scene.follower.wait_event("kill", old.worker, old.begin_ns)
    took_s = scene.next_term(old, gone_ns)
    container = scene.lab.container(old.worker)
    state = scene.lab.docker("inspect", "--format", "{{.State.Status}}", container)
    expect(state == "exited", "what a person ended is %s again" % state)
    scene.lab.act("start", old.worker)
    scene.follower.wait_event("start", old.worker, gone_ns)
    scene.settle()
    scene.check()
    return took_s


def docker_stop(scene):
    """docker stop of the leader"""
    return take_away(scene, "stop")


def docker_kill(scene):
    """docker kill of the leader"""
    return take_away(scene, "kill")


def redis_stop(scene):
    """Redis stopped for longer than the TTL, then started"""
    old = scene.follower.term
    scene.lab.act("stop", "redis")
    gone_ns = scene.follower.wait_event("die", "redis", old.begin_ns)
    # Nothing but its own deadline ends the command now: no Redis tells it of another leader.
    scene.follower.wait_event("deadline", old.worker, old.begin_ns)
    scene.follower.wait_event("tree_dead", old.worker, old.begin_ns)
    # The heartbeats' own word: that of the log is late where the log is.
    out_ns = boottime_of(gone_ns) + TTL_S * 10**9
    own = [beat for beat in scene.beats() if beat.token == old.token]
    expect_silence(own, out_ns + LATE_NS, "the command outlived the lease")
    scene.follower.listen(1)
    scene.lab.act("start", "redis")
    back_ns = scene.follower.wait_event("start", "redis", gone_ns)
    scene.cuts.append(gone_ns)
    took_s = scene.next_term(old, back_ns, REDIS_BACK_NS)
    scene.check()
    return took_s


def freeze(scene, worker):
    """Again where runc gives up: a freezer of cgroup v1 can miss a process that is just made."""
    for attempt in range(5):
        try:
            return scene.lab.act("pause", worker)
        except labkit.Trouble as trouble:
            if attempt == 4 or "unable to freeze" not in str(trouble):
                raise


def docker_pause(scene):
    """docker pause of the leader, past its TTL"""
    old = scene.follower.term
    freeze(scene, old.worker)
    paused_ns = scene.follower.wait_event("pause", old.worker, old.begin_ns)
    took_s = scene.next_term(old, paused_ns)
    asked_ns = time.time_ns()
    scene.lab.act("unpause", old.worker)
    thawed_ns = scene.follower.wait_event("unpause", old.worker, paused_ns)
    # The keeper kills it; then its container stands by like any other.
    scene.follower.wait_event("tree_dead", old.worker, paused_ns)
    scene.follower.wait_event("waiting", old.worker, paused_ns)
    scene.follower.wait_values(VALUES + 2)
    scene.check(old, asked_ns, thawed_ns)
    return took_s


def network_disconnect(scene):
    """docker network disconnect of the leader, then connect"""
    old = scene.follower.term
    container = scene.lab.container(old.worker)
    cut_ns = time.time_ns()
    scene.cuts.append(cut_ns)
    scene.lab.docker("network", "disconnect", scene.lab.network, container)
    took_s = scene.next_term(old, time.time_ns())
    dead_ns = scene.follower.wait_event("tree_dead", old.worker, cut_ns)
    expect(dead_ns <= scene.follower.term.begin_ns, "the old command outlived its term")
    back_ns = time.time_ns()
    scene.lab.docker("network", "connect", scene.lab.network, container)
    scene.follower.wait_event("waiting", old.worker, back_ns)
    scene.check()
    return took_s


def hand_over(scene):
    """docker stop with the lease given back"""
    old = scene.follower.term
    scene.lab.act("stop", old.worker)
    scene.follower.wait_event("die", old.worker, old.begin_ns)
    took_s = scene.next_term(old, old.end_ns, HAND_OVER_NS)
    scene.check()
    return took_s


def wait_health(scene, worker, words):
    """Until the worker's health check says so."""
    name = scene.lab.container(worker)
    until = time.monotonic() + labkit.PATIENCE_S
    while words not in (said := scene.lab.docker("exec", name, "healthcheck", check=False)):
        expect(time.monotonic() < until, "%s is not %s, but %s" % (worker, words, said))
        time.sleep(1)


def health(scene):
    """health of a worker that hangs, or has no Redis; one without keeper restarts"""
    leader = scene.follower.term.worker
    other = next(worker for worker in labkit.WORKERS if worker != leader)
    for worker in (leader, other):
        wait_health(scene, worker, HEALTHY)
    scene.lab.docker("kill", "--signal", "STOP", scene.lab.container(leader))
    wait_health(scene, leader, "unhealthy: leaderwrap is stopped")
    scene.lab.docker("kill", "--signal", "CONT", scene.lab.container(leader))
    wait_health(scene, leader, HEALTHY)
    scene.lab.act("stop", "redis")
    wait_health(scene, other, "unhealthy: no answer from Redis")
    scene.lab.act("start", "redis")
    wait_health(scene, other, HEALTHY)
    died_ns = time.time_ns()
    first = "$(cut -d' ' -f1 /proc/%s/task/*/children)"
    kill = "kill -9 " + first % (first % 1)
    scene.lab.docker("exec", scene.lab.container(other), "sh", "-c", kill)
    scene.follower.wait_event("die", other, died_ns)
    scene.follower.wait_event("start", other, died_ns)
    wait_health(scene, other, HEALTHY)


# ---- examples/sentinel ----


class Sentinels:
    """The containers of examples/sentinel, one of whose workers leads and has counted."""

    def __init__(self, compose):
        project = "lwtest%d-sentinel" % os.getpid()
        self.lab = labkit.Lab(project, compose, file=ROOT / "examples/sentinel/compose.yaml")
        self.follower = labkit.Follower(self.lab)

    def __enter__(self):
        try:
            self.lab.compose("up", "--detach", "--no-build")
            leader = self.follower.wait_term().worker
            for worker in labkit.WORKERS:
                if worker != leader:
                    self.follower.wait_standing_by(worker)
            self.follower.wait_values(VALUES)
        except BaseException as error:
            self.__exit__(type(error))
            raise
        return self

    def __exit__(self, kind=None, *_more):
        log = self.lab.compose("logs", "--no-color", check=False) if kind else ""
        self.follower.close()
        for number in (1, 2, 3):
            self.lab.docker("unpause", self.lab.prefix + "redis-%d" % number, check=False)
        self.lab.remove()
        if log:
            print("---- what examples/sentinel said\n%s" % log, flush=True)

    def cli(self, container, *words):
        return self.lab.docker("exec", self.lab.prefix + container, "redis-cli", *words)

    def master(self):
        """The container that a sentinel names; redis-1 has the address that ends with 11."""
        ask = ("-p", "26379", "sentinel", "get-master-addr-by-name", "lease")
        return "redis-" + self.cli("sentinel-1", *ask).split()[0][-1]

    def replace(self, action, back):
        """Takes the master away until there is another, and gives it back; the leader renews its
        lease on the new one. Returns the old one."""
        old = self.master()
        self.lab.docker(action, self.lab.prefix + old)
        self.follower.wait("another master", lambda: self.master() != old)
        self.lab.docker(back, self.lab.prefix + old)
        seen_ns = time.time_ns()
        for _ in range(2):
            seen_ns = self.follower.wait_event("renewed", self.follower.term.worker, seen_ns)
        return old

    def is_replica(self, container):
        return self.cli(container, "role").startswith("slave")


def sentinel(compose):
    """examples/sentinel: its leader outlasts the death and the pause of a master"""
    with Sentinels(compose) as scene:
        follower = scene.follower
        term = follower.term
        killed = scene.replace("kill", "start")
        follower.wait("the old master to follow", lambda: scene.is_replica(killed))
        scene.replace("pause", "unpause")
        expect(follower.terms == [term], "there was more than one term: %s" % follower.terms)
        scene.lab.docker("kill", scene.lab.prefix + term.worker)
        follower.wait_term(term.token)
        follower.wait_values(VALUES)
        problems = labkit.leader_problems(follower.terms) + follower.strays()
        expect(not problems, "\n".join(problems))


EXPERIMENTS = (docker_stop, docker_kill, redis_stop, docker_pause, network_disconnect)
OTHERS = (hand_over, health)
