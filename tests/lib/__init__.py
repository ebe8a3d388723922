"""What tests are made of: real Redis servers, real leaderwrap processes, networks.

A test takes the fixture `arena` and asks it for what it needs; the arena takes everything down
afterwards and fails the test if any process is left over.
"""

from .arena import Arena
from .beats import beat_problems, check_terms, read_beats
from .network import Host, Network
from .processes import wait_gone
from .redis import RedisServer
from .resp import RedisError
from .waiting import PATIENCE_S, boottime_ns, boottime_of, wait_until
from .worker import Event, Worker

__all__ = [
    "Arena",
    "Event",
    "Host",
    "Network",
    "PATIENCE_S",
    "RedisError",
    "RedisServer",
    "Worker",
    "beat_problems",
    "boottime_ns",
    "boottime_of",
    "check_terms",
    "read_beats",
    "wait_gone",
    "wait_until",
]
