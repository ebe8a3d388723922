"""Real candidates, a real Redis, random faults from a seed for a given time; then the checker."""

import argparse
import pathlib
import random
import shutil
import signal
import sys
import tempfile
import threading
import traceback

from tests.lib import Arena, boottime_ns
from tests.lib.network import obstacle
from tests.torture import checker, report, schedule, selfcheck
from tests.torture.candidates import STOPPED, TTL_S
from tests.torture.faults import Faults
from tests.torture.scene import Scene

SLOTS = 10
STEADY = 2
SECOND_NS = 10**9

# Connections of hosts that were cut off are gone by then, and a leader has shown that it stays.
QUIET_S = 7
SETTLE_S = 15
LATE_S = 120
SHOWN = 10  # problems of one property
# From TERM to the end: grace, two time-outs of a request, and a sanitizer's leak check.
END_S = 6
# How much more memory may be resident in the end; a sanitizer's own heap fills slowly.
SANITIZED_GROWTH = 4.0


class Run:
    def __init__(self, seed, seconds, folder):
        self.seed = seed
        self.seconds = seconds
        self.arena = Arena(folder)
        self.timeline = open(folder / "timeline", "w", encoding="utf-8")
        self.began_ns = boottime_ns()
        self.scene = None

    def say(self, text):
        since_s = (boottime_ns() - self.began_ns) / SECOND_NS
        self.timeline.write("%10.3f %9.3f  %s\n" % (boottime_ns() / SECOND_NS, since_s, text))
        self.timeline.flush()

    def torture(self):
        """The whole run; returns (evidence, faults, scene)."""
        scene = self.scene = Scene(self.arena, SLOTS, STEADY)
        scene.start()
        scene.watch_until(scene.leader, SETTLE_S, "a first leader")
        self._rest(scene, 2)
        usage = scene.usage()
        faults = self._strike(scene)
        healed_ns = boottime_ns()
        self.say("healed")
        self._rest(scene, QUIET_S)
        quiet_ns = boottime_ns()
        evidence = scene.evidence(faults, healed_ns, quiet_ns)
        evidence.usage_before = usage
        self._look(scene, evidence)
        self._end(scene, evidence)
        return evidence, faults, scene

    @staticmethod
    def _rest(scene, seconds):
        until_ns = boottime_ns() + seconds * SECOND_NS
        scene.watch_until(lambda: boottime_ns() > until_ns, seconds + 30, "a rest")

    def _strike(self, scene):
        planned = schedule.draw(self.seed, self.seconds, SLOTS)
        self.began_ns = boottime_ns()
        faults = Faults(scene, planned, self.say)
        broken = []

        def work():
            try:
                faults.run(self.began_ns, self.seconds)
            except BaseException as error:  # of the test itself: to be told by the main thread
                broken.append(error)

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        limit_s = self.seconds + LATE_S
        if not scene.watch_until(lambda: not thread.is_alive(), limit_s, "the end of the faults"):
            raise AssertionError("the faults do not come to their end")
        if broken:
            raise broken[0]
        return faults

    def _look(self, scene, evidence):
        """What there is, while everything is at rest."""
        # A leader has one connection, a follower listens on another.
        expected = 2 * SLOTS - 1
        scene.watch_until(lambda: scene.connections() == expected, SETTLE_S, "connections")
        evidence.connections = (expected, scene.connections())
        zombies = scene.zombies()
        self._rest(scene, 0.3)
        lasting = set(zombies) & set(scene.zombies())
        evidence.zombies = [zombies[key] for key in lasting]
        evidence.usage_after = scene.usage()
        if scene.sanitized():
            evidence.rss_growth = SANITIZED_GROWTH

    def _end(self, scene, evidence):
        """TERM to all of them at once, to the leader last."""
        scene.replace = False
        scene.watch()
        leader = scene.leader()
        for candidate in sorted(scene.living(), key=lambda candidate: candidate is leader):
            candidate.explained |= STOPPED
            candidate.done_to_it.append("stopped in the end")
            elector = candidate.elector()
            if elector is not None:
                elector.send(signal.SIGTERM)
        asked_ns = boottime_ns()
        scene.watch_until(lambda: not scene.living(), 5 * END_S, "the end of all")
        bound_ns = END_S * SECOND_NS
        bound_ns += checker.CHAIN * scene.lateness.worst_ns(asked_ns, boottime_ns())
        took_ns = boottime_ns() - asked_ns
        if scene.living() or took_ns > bound_ns:
            evidence.slow_ends = [
                "%s did not end after %.1f s" % (c.name, took_ns / SECOND_NS)
                for c in scene.living()
            ] or ["all ended, but only after %.1f s" % (took_ns / SECOND_NS)]
        evidence.leftovers = scene.leftovers()
        count = scene.proofs.count
        self._rest(scene, 0.2)
        if scene.proofs.count != count:
            evidence.leftovers.append("something that goes on leaving proofs of life")


def wrong_wrapper(folder):
    """Two wrappers that lead at the same time: what the checker says of them."""
    arena = Arena(folder)
    scene = Scene(arena, 2, 0)
    try:
        scene.start_wrong(["one", "two"])

        def caught():
            evidence = scene.evidence(None, 0, boottime_ns())
            found = checker.check(evidence)
            return found["one tree at a time"] and found["only frozen hosts are fenced off"]

        scene.replace = False
        return scene.watch_until(caught, 4 * TTL_S, "two leaders")
    finally:
        scene.power_off()
        arena.close()


def arguments():
    parser = argparse.ArgumentParser(prog="tests/torture/run", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="of faults (default 60)")
    parser.add_argument("--seed", type=int, help="default: a new one")
    parser.add_argument("--binary", type=pathlib.Path, help="leaderwrap; default: it is built")
    parser.add_argument("--keep", action="store_true", help="keep the folder in any case")
    parser.add_argument("--plan", action="store_true", help="only print the schedule")
    return parser.parse_args()


def close(run, results):
    """Takes everything down; what is still there or was reported counts against the run."""
    if run.scene is not None:
        run.scene.power_off()
    run.timeline.close()
    results["taken down in order"] = run.arena.close()


def torture(seed, seconds, folder):
    """{property: what is wrong} of a whole run; prints its summary."""
    for name in ("wrong", "run"):
        (folder / name).mkdir()
    noticed = wrong_wrapper(folder / "wrong")
    results = {"two leaders at once are noticed": [] if noticed else ["they were not"]}
    run = Run(seed, seconds, folder / "run")
    try:
        evidence, faults, scene = run.torture()
        results.update(checker.check(evidence))
        (folder / "run" / "terms").write_text(report.story(evidence), encoding="utf-8")
        print(report.summary(evidence, scene.started, faults.skipped))
    except (AssertionError, OSError) as error:
        traceback.print_exc()
        results["the run came to its end"] = [str(error)]
    finally:
        close(run, results)
    return results


def print_results(results):
    """Returns how many failed."""
    failed = 0
    for name, problems in results.items():
        failed += bool(problems)
        print("%-4s %s" % ("FAIL" if problems else "ok", name))
        for problem in problems[:SHOWN]:
            print("       " + problem)
        if len(problems) > SHOWN:
            print("       ... and %d more" % (len(problems) - SHOWN))
    return failed


def leave(number, _frame):
    """A run that is stopped takes down what it has started."""
    sys.exit(128 + number)


def main():
    options = arguments()
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(10**6)
    if options.plan:
        for fault in schedule.draw(seed, options.seconds, SLOTS):
            print(fault)
        return 0
    signal.signal(signal.SIGTERM, leave)
    results = {"the checker: " + title: wrong for title, wrong in selfcheck.results().items()}
    why = obstacle()
    if why is None:
        folder = pathlib.Path(tempfile.mkdtemp(prefix="torture-"))
        print("seed %d, %g s, in %s" % (seed, options.seconds, folder), flush=True)
        results.update(torture(seed, options.seconds, folder))
    failed = print_results(results)
    if why is not None:
        print("skip the torture itself: " + why)
    elif failed:
        print("timeline, terms and logs: %s" % (folder / "run"))
        print("again: tests/torture/run --seed %d --seconds %g" % (seed, options.seconds))
    elif not options.keep:
        shutil.rmtree(folder)
    skipped = ", 1 skipped" if why is not None else ""
    print("torture: %d passed, %d failed%s" % (len(results) - failed, failed, skipped))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
