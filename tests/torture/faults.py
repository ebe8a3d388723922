"""Carries out the schedule, and keeps the record of what really happened and when.

What it never does, because the promise does not cover it: it never takes elector, guard and keeper
from a tree that goes on running. So a candidate has at most one fault of its guardians at a time
(another one is skipped), elector and keeper die together only where the guard goes on (kill_both),
and where all stand still the whole tree does (freeze_host), or dies with them (power_off).
"""

import heapq
import shutil
import signal
import time

from tests.lib import RedisError, boottime_ns, processes
from tests.lib.network import run
from tests.torture.candidates import KEEPER_LOST, KEY, KILLED, POWERED_OFF, STOPPED
from tests.torture.evidence import Freeze, Strike
from tests.torture.schedule import LEADER, SERVER_SLOT

SECOND_NS = 10**9
SNAPSHOT_EVERY_S = 6
LATE_S = 5
ANSWER_S = 0.5  # patience with a server that other faults may have silenced
MORTAL = set(
    "kill_elector kill_keeper stop_keeper kill_both kill_main power_off term term_twice".split()
)
# What a candidate that must live suffers instead: enough to lose its term.
DEPOSED_S = 3.2


class Skip(Exception):
    """A fault that cannot be, or must not be, just now."""


class Faults:
    """Runs in a thread of its own (see run)."""

    def __init__(self, scene, planned, say):
        self.strikes = []
        self.freezes = []
        self.skipped = 0
        self._scene = scene
        self._say = say
        self._order = 0
        self._queue = []  # (seconds, order, callable)
        self._undo = {}  # order -> callable, of what lasts
        self._server_struck = False  # its process is stopped or away
        self._paused_until_ns = 0
        for fault in planned:
            self._at(fault.at_s, lambda fault=fault: self._strike(fault))

    def run(self, began_ns, seconds):
        """All of it; returns when everything is undone."""
        for at_s in range(SNAPSHOT_EVERY_S // 2, int(seconds), SNAPSHOT_EVERY_S):
            self._at(at_s, self._snapshot)
        while self._queue:
            at_s, _, act = heapq.heappop(self._queue)
            if at_s > seconds:
                break
            time.sleep(max(0, began_ns + at_s * SECOND_NS - boottime_ns()) / SECOND_NS)
            act()
        for undo in list(self._undo.values()):
            undo()

    def _at(self, at_s, act):
        self._order += 1
        heapq.heappush(self._queue, (at_s, self._order, act))

    def _strike(self, fault):
        strike = victim = None
        try:
            victim = None if fault.slot == SERVER_SLOT else self._victim(fault)
            kind, duration_s = fault.kind, fault.duration_s
            if victim is not None and victim.steady and kind in MORTAL:
                kind, duration_s = "stop_elector", DEPOSED_S
            strike = Strike(kind, boottime_ns(), name=victim.name if victim else None)
            self.strikes.append(strike)
            undo = self._begin(kind, victim, fault, strike)
        except Skip as why:
            if strike is not None:
                self.strikes.remove(strike)
            self.skipped += 1
            self._tell("skipped", fault.kind, victim, why)
            return
        except (RedisError, OSError) as why:
            # The server did not answer in time; it may do what it was told all the same, later.
            strike.until_ns = boottime_ns()
            self._tell("unsure", fault.kind, victim, why)
            return
        if victim is not None:
            victim.done_to_it.append(kind)
        self._tell("begin" if undo else "strike", kind, victim, "")
        if undo is None:
            strike.until_ns = boottime_ns()
        else:
            self._later(fault.at_s + duration_s, undo, strike, victim)

    def _later(self, at_s, undo, strike, victim):
        order = self._order + 1

        def end():
            if self._undo.pop(order, None) is None:
                return
            undo()
            strike.until_ns = boottime_ns()
            self._tell("end", strike.kind, victim, "")

        self._undo[order] = end
        self._at(at_s, end)

    def _tell(self, phase, kind, victim, more):
        leader = self._scene.leader()
        whom = victim.name if victim else "server"
        leads = leader.name + " leads" if leader else "nobody leads"
        self._say("%-7s %-20s %-8s [%s] %s" % (phase, kind, whom, leads, more))

    def _victim(self, fault):
        leader = self._scene.leader() if fault.slot == LEADER else None
        slot = fault.else_slot if fault.slot == LEADER else fault.slot
        victim = leader or self._scene.in_slot(slot)
        if victim is None or victim.poll() is not None:
            raise Skip("nobody there")
        if victim.frozen:
            raise Skip("frozen")
        return victim

    def _begin(self, kind, victim, fault, strike):
        """Strikes; returns what undoes it, None if nothing does."""
        act = getattr(self, "_" + kind)
        if fault.slot == SERVER_SLOT:
            return act(fault)
        if kind == "freeze_host":
            return act(victim, strike)
        if kind == "client_clock":
            return act(victim, fault)
        return act(victim)

    # Processes

    @staticmethod
    def _kill(handle, number=signal.SIGKILL):
        if handle is None or not handle.send(number):
            raise Skip("no such process")
        handle.close()

    @staticmethod
    def _spare_guardians(victim):
        if victim.guardian_struck:
            raise Skip("one of its guardians is struck already")

    def _kill_elector(self, victim):
        self._spare_guardians(victim)
        self._kill(victim.elector())
        victim.guardian_struck = True
        victim.explained |= KILLED

    def _kill_keeper(self, victim):
        self._spare_guardians(victim)
        self._kill(victim.keeper())
        victim.guardian_struck = True
        victim.explained |= KEEPER_LOST

    def _kill_both(self, victim):
        """Elector and keeper, at one instant: both stand still before either dies."""
        self._spare_guardians(victim)
        pair = [victim.elector(), victim.keeper()]
        if None in pair or not all([handle.send(signal.SIGSTOP) for handle in pair]):
            raise Skip("no such process")
        victim.guardian_struck = True
        victim.explained |= KILLED
        for handle in pair:
            handle.send(signal.SIGKILL)
            handle.close()

    def _power_off(self, victim):
        self._spare_guardians(victim)
        self._kill(victim.first())
        victim.guardian_struck = True
        victim.explained |= POWERED_OFF

    def _stop_elector(self, victim):
        self._spare_guardians(victim)
        return self._stop_guardian(victim, victim.elector())

    def _stop_keeper(self, victim):
        self._spare_guardians(victim)
        undo = self._stop_guardian(victim, victim.keeper())
        victim.explained |= KEEPER_LOST
        return undo

    def _stop_guardian(self, victim, handle):
        undo_stop = self._stop(victim, handle)
        victim.guardian_struck = True

        def undo():
            # A keeper that stood still may have been killed for it: then the elector is alone.
            victim.guardian_struck = not handle.alive()
            undo_stop()

        return undo

    def _kill_main(self, victim):
        self._kill(victim.find("pulse-main"))
        # Its end is the command's, unless the term was over at that moment.
        victim.explained |= KILLED

    def _kill_grandchild(self, victim):
        self._kill(victim.find("pulse-daemon"))

    def _stop_main(self, victim):
        return self._stop(victim, victim.find("pulse-main"))

    def _stop_grandchild(self, victim):
        return self._stop(victim, victim.find("pulse-daemon"))

    @staticmethod
    def _stop(victim, handle):
        if handle is None or not handle.send(signal.SIGSTOP):
            raise Skip("no such process")

        def undo():
            # A frozen host thaws as a whole.
            if not victim.frozen:
                handle.wake()
            handle.close()

        return undo

    def _term(self, victim):
        self._kill(victim.elector(), signal.SIGTERM)
        victim.explained |= STOPPED

    def _term_twice(self, victim):
        elector = victim.elector()
        if elector is None or not elector.send(signal.SIGTERM):
            raise Skip("no such process")
        victim.explained |= STOPPED

        def undo():
            elector.send(signal.SIGTERM)
            elector.close()

        return undo

    def _freeze_host(self, victim, strike):
        """The tree first, for it must not outrun its guardians; and again until nothing runs."""
        self._spare_guardians(victim)
        victim.guardian_struck = victim.frozen = True
        frozen = {}
        while True:
            running = [p for p in victim.processes() if p.state not in "TtZX"]
            if not running:
                break
            for process in sorted(
                running, key=lambda p: p.name in ("lw-keeper", "lw-guard", "leaderwrap")
            ):
                if process.pid not in frozen:
                    frozen[process.pid] = processes.Handle(process)
                frozen[process.pid].send(signal.SIGSTOP)
        self._scene.read_log(victim)
        freeze = Freeze(victim.name, victim.token, strike.from_ns)
        self.freezes.append(freeze)

        def undo():
            freeze.thaw_ns = boottime_ns()
            # The command first: it is to have its chance to do harm.
            for handle in frozen.values():
                handle.wake()
                handle.close()
            victim.guardian_struck = victim.frozen = False

        return undo

    # The network

    def _rules(self, host, *rules):
        for rule in rules:
            run(*host.prefix(), "iptables", "-w", "-A", *rule)

        def undo():
            for rule in rules:
                run(*host.prefix(), "iptables", "-w", "-D", *rule)

        return undo

    def _cut_in(self, victim):
        return self._rules(victim.host, ("INPUT", "-j", "DROP"))

    def _cut_out(self, victim):
        return self._rules(victim.host, ("OUTPUT", "-j", "DROP"))

    def _cut_both(self, victim):
        return self._rules(victim.host, ("INPUT", "-j", "DROP"), ("OUTPUT", "-j", "DROP"))

    def _reset(self, victim):
        return self._reject(("-s", victim.host.address))

    def _server_cut(self, _fault):
        host = self._scene.redis.host
        return self._rules(host, ("INPUT", "-j", "DROP"), ("OUTPUT", "-j", "DROP"))

    def _server_reset(self, _fault):
        return self._reject(())

    def _reject(self, match):
        rule = ("INPUT", "-p", "tcp", *match, "-j", "REJECT", "--reject-with", "tcp-reset")
        return self._rules(self._scene.redis.host, rule)

    # The server

    def _ask(self, *command):
        if self._server_struck:
            raise Skip("the server is away")
        return self._scene.redis.command(*command, timeout=ANSWER_S)

    def _snapshot(self):
        """What a server that is rolled back will find."""
        redis = self._scene.redis
        try:
            self._ask("SAVE")
            shutil.copy(redis.folder / "dump.rdb", redis.folder / "dump.older")
        except (Skip, RedisError, OSError):
            pass

    def _restart_kept(self, _fault):
        # What is written between the two is lost, as where the disk was a little behind.
        self._ask("SAVE")
        return self._restart(lambda: None)

    def _restart_lost(self, _fault):
        return self._restart(self._scene.redis.erase_data)

    def _restart_rolled_back(self, _fault):
        folder = self._scene.redis.folder
        if not (folder / "dump.older").exists():
            raise Skip("there is no older data yet")
        return self._restart(lambda: shutil.copy(folder / "dump.older", folder / "dump.rdb"))

    def _restart(self, change_data):
        self._take_server()
        self._scene.redis.kill()
        change_data()

        def undo():
            self._scene.redis.start()
            self._server_struck = False

        return undo

    def _redis_freeze(self, _fault):
        self._take_server()
        self._scene.redis.freeze()

        def undo():
            self._scene.redis.thaw()
            self._server_struck = False

        return undo

    def _take_server(self):
        if self._server_struck:
            raise Skip("the server is away")
        self._server_struck = True

    def _flushall(self, _fault):
        self._ask("FLUSHALL")

    def _del_key(self, _fault):
        self._ask("DEL", KEY)

    def _del_record(self, _fault):
        self._ask("DEL", "{%s}:term" % KEY)

    def _client_kill_normal(self, _fault):
        self._ask("CLIENT", "KILL", "TYPE", "normal")

    def _client_kill_pubsub(self, _fault):
        self._ask("CLIENT", "KILL", "TYPE", "pubsub")

    def _client_pause(self, fault):
        return self._pause(fault, "ALL")

    def _client_pause_write(self, fault):
        return self._pause(fault, "WRITE")

    def _pause(self, fault, whom):
        undo = self._busy("CLIENT", "PAUSE", round(fault.duration_s * 1000), whom)
        # A server that stands still begins with it later.
        self._paused_until_ns = boottime_ns() + (fault.duration_s + LATE_S) * SECOND_NS
        return undo

    def _debug_sleep(self, fault):
        return self._busy("DEBUG", "SLEEP", fault.duration_s)

    def _busy(self, *command):
        """Sends it without waiting for the answer; it ends by itself."""
        if self._server_struck:
            raise Skip("the server is away")
        client = self._scene.redis.connect(ANSWER_S)
        client.send(*command)
        return client.close

    # Clocks

    def _server_clock(self, fault):
        if boottime_ns() < self._paused_until_ns:
            raise Skip("by that clock a pause would last for hours")
        self._scene.redis.set_clock(fault.step_s)

    @staticmethod
    def _client_clock(victim, fault):
        victim.set_clock(fault.step_s)
