"""Carries out the schedule, and keeps the record of what really happened and when.

What it never does, because the promise does not cover it: it never takes elector, guard and keeper
from a tree that goes on running. So a candidate has at most one fault of its guardians at a time
(another one is skipped), elector and keeper die together only where the guard goes on (kill_both),
and where all stand still the whole tree does (freeze_host), or dies with them (power_off).
"""

import heapq
import signal
import time

from tests.lib import RedisError, boottime_ns, processes, wait_until
from tests.torture.candidates import KEEPER_LOST, KILLED, POWERED_OFF, STOPPED
from tests.torture.deployment import Skip, drop
from tests.torture.evidence import Freeze, Strike
from tests.torture.schedule import LEADER, OF_SERVERS, SERVER_SLOT

SECOND_NS = 10**9
SNAPSHOT_EVERY_S = 6
SETTLE_EVERY_S = 0.3
SETTLE_S = 60
MORTAL = set(
    "kill_elector kill_keeper stop_keeper kill_both kill_main power_off term term_twice".split()
)
# What a candidate that must live suffers instead: enough to lose its term.
DEPOSED_S = 3.2


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
        self._deployment = scene.deployment
        self._unsettled = []  # strikes that are undone and not over
        for fault in planned:
            self._at(fault.at_s, lambda fault=fault: self._strike(fault))

    def run(self, began_ns, seconds):
        """All of it; returns when everything is undone."""
        for at_s in range(SNAPSHOT_EVERY_S // 2, int(seconds), SNAPSHOT_EVERY_S):
            self._at(at_s, self._deployment.snapshot)
        while self._queue:
            at_s, _, act = heapq.heappop(self._queue)
            if at_s > seconds:
                break
            time.sleep(max(0, began_ns + at_s * SECOND_NS - boottime_ns()) / SECOND_NS)
            act()
        for undo in list(self._undo.values()):
            undo()
        wait_until(self._settle, timeout=SETTLE_S, what="all servers to find together again")

    def _settle(self):
        """Ends the strikes that are over. Whether there is none left."""
        if self._unsettled and self._deployment.is_settled():
            for strike in self._unsettled:
                strike.until_ns = boottime_ns()
                self._tell("settled", strike.kind, None, "")
            self._unsettled = []
        return not self._unsettled

    def _look_whether_settled(self, at_s):
        if not self._settle():
            next_s = at_s + SETTLE_EVERY_S
            self._at(next_s, lambda: self._look_whether_settled(next_s))

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
            # What strikes the servers strikes all.
            alone = victim is not None and kind not in OF_SERVERS
            strike = Strike(kind, boottime_ns(), name=victim.name if alone else None)
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
            self._tell("end", strike.kind, victim, "")
            if strike.name is not None or self._deployment.is_settled():
                strike.until_ns = boottime_ns()
                return
            self._unsettled.append(strike)
            self._look_whether_settled(at_s)

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
        if fault.slot == SERVER_SLOT:
            return getattr(self._deployment, kind)(fault)
        act = getattr(self, "_" + kind)
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

    def _cut_in(self, victim):
        return drop(victim.host, ("INPUT", "-j", "DROP"))

    def _cut_out(self, victim):
        return drop(victim.host, ("OUTPUT", "-j", "DROP"))

    def _cut_both(self, victim):
        return drop(victim.host, ("INPUT", "-j", "DROP"), ("OUTPUT", "-j", "DROP"))

    def _reset(self, victim):
        return self._deployment.reject(("-s", victim.host.address))

    def _cut_off(self, victim):
        return self._deployment.cut_off(victim)

    # Clocks

    @staticmethod
    def _client_clock(victim, fault):
        victim.set_clock(fault.step_s)
