"""Which faults when, all of it drawn from the seed: nothing in here looks at the world."""

import dataclasses
import random

# A round of SCHEDULE: a storm of overlapping faults, a rest, then faults that strike the leader
# alone, each with time to be over before the next.
STORM_S = 7.0
STORM_MEAN_S = 0.35
REST_S = 3.0
PROMPT_LULL_S = 2.2
SLOW_LULL_S = 5.5

START_S = 2.0  # the first election

# kind: least and most seconds that it lasts
PROCESS = {
    "kill_elector": (0, 0),
    "stop_elector": (0.3, 6),
    "kill_keeper": (0, 0),
    "stop_keeper": (0.2, 5),
    "kill_both": (0, 0),
    "kill_main": (0, 0),
    "stop_main": (0.2, 4),
    "kill_grandchild": (0, 0),
    "stop_grandchild": (0.2, 4),
    "power_off": (0, 0),
    "freeze_host": (4, 7),
    "term": (0, 0),
    "term_twice": (0, 0.1),
    "cut_in": (0.2, 5),
    "cut_out": (0.2, 5),
    "cut_both": (0.2, 5),
    "reset": (0.2, 4),
    "client_clock": (0, 0),
}
SERVER = {
    "restart_kept": (0.05, 2),
    "restart_lost": (0.05, 2),
    "restart_rolled_back": (0.05, 2),
    "redis_freeze": (0.2, 3.5),
    "flushall": (0, 0),
    "del_key": (0, 0),
    "del_record": (0, 0),
    "client_kill_normal": (0, 0),
    "client_kill_pubsub": (0, 0),
    "client_pause": (0.2, 2.5),
    "client_pause_write": (0.2, 2.5),
    "debug_sleep": (0.2, 2.5),
    "server_cut": (0.2, 3.5),
    "server_reset": (0.2, 3),
    "server_clock": (0, 0),
    "paused": (0.3, 2),
    "step_down": (0, 0),
}
# Of servers on several hosts, one after the other.
WATCHED = {
    "master_kill": (0.2, 6),
    "master_freeze": (0.3, 20),
    "witness_kill": (0.2, 4),
    "witness_freeze": (0.2, 4),
    "fail_over": (0, 0),
    "flushall": (0, 0),
    "del_record": (0, 0),
    "client_kill_normal": (0, 0),
    # A candidate and the old master with it.
    "cut_off": (1, 9),
}
NODES = {
    **WATCHED,
    "fail_over_force": (0, 0),
    "fail_over_takeover": (0, 0),
    "new_epoch": (0, 0),
}
OF_SERVERS = {"cut_off"}  # those that strike a candidate as well
SERVERS = {"single": SERVER, "sentinel": WATCHED, "cluster": NODES}
WATCHED_EVERY_S = (4, 8)

ALONE_PROMPT = ["term", "term_twice", "kill_elector", "kill_keeper", "kill_main"]
ALONE_SLOW = [
    "power_off",
    "kill_both",
    "stop_elector",
    "freeze_host",
    "cut_both",
    "cut_in",
    "cut_out",
]
CLOCK_STEPS_S = [-3600, -5, 0, 5, 3600]
SLOW_ALONE_S = 4.2

LEADER = -1
SERVER_SLOT = -2


@dataclasses.dataclass(frozen=True)
class Fault:
    at_s: float
    kind: str
    slot: int  # of the candidate; LEADER: whoever leads then; SERVER_SLOT
    else_slot: int  # where nobody leads
    duration_s: float
    step_s: int  # of a clock


class Deck:
    """Deals all kinds before any comes again, as often as it lies in the deck."""

    def __init__(self, rng, cards):
        self._rng = rng
        self._cards = list(cards)
        self._left = []

    def deal(self):
        if not self._left:
            self._left = list(self._cards)
            self._rng.shuffle(self._left)
        return self._left.pop()


def draw(seed, seconds, slots, mode="single"):
    """All faults of a run in order of time; none lasts beyond `seconds`."""
    rng = random.Random(seed)
    servers = SERVERS[mode]
    # Faults of the server strike all; more of them would leave nobody to lead.
    storm = Deck(rng, [*PROCESS, *PROCESS, *(servers if mode == "single" else [])])
    prompt = Deck(rng, ALONE_PROMPT)
    slow = Deck(rng, ALONE_SLOW)
    faults = []

    def add(at_s, kind, leader_chance, longest_s, duration_s=None):
        low, high = PROCESS.get(kind) or servers[kind]
        drawn_s = rng.uniform(low, high) if duration_s is None else duration_s
        slot = LEADER if rng.random() < leader_chance else rng.randrange(slots)
        faults.append(
            Fault(
                at_s,
                kind,
                SERVER_SLOT if kind in servers and kind not in OF_SERVERS else slot,
                rng.randrange(slots),
                round(min(drawn_s, longest_s), 3),
                rng.choice(CLOCK_STEPS_S),
            )
        )

    now_s = START_S
    while now_s < seconds:
        end_s = min(now_s + STORM_S, seconds)
        at_s = now_s
        while (at_s := at_s + rng.expovariate(1 / STORM_MEAN_S)) < end_s:
            # What lasts may outlast the storm by a little, so that late faults get their time, too.
            add(at_s, storm.deal(), 0.7, min(end_s + 1, seconds) - at_s)
        now_s = end_s + REST_S
        for deck, lull_s in ((prompt, PROMPT_LULL_S), (prompt, PROMPT_LULL_S), (slow, SLOW_LULL_S)):
            if now_s + lull_s > seconds:
                break
            kind = deck.deal()
            lasts_s = SLOW_ALONE_S if PROCESS[kind][1] > 1 else None
            add(now_s, kind, 1, lull_s, lasts_s)
            now_s += lull_s
    if mode != "single":
        deck = Deck(rng, servers)
        at_s = START_S
        while (at_s := at_s + rng.uniform(*WATCHED_EVERY_S)) < seconds:
            add(at_s, deck.deal(), 1, seconds - at_s)
    return sorted(faults, key=lambda fault: fault.at_s)
