"""What doc/REDIS.md says a user of Redis needs, by the reason for it."""

NEEDED = "evalsha eval info time get set del hmget hset".split()
NEEDED_FOR_HISTORY_AND_EVENTS = "xadd publish".split()
NEEDED_TO_LISTEN = "subscribe ping".split()
RIGHTS = NEEDED + NEEDED_FOR_HISTORY_AND_EVENTS + NEEDED_TO_LISTEN

OF_NODES = "cluster|slots cluster|nodes cluster|myid asking".split()
OF_SENTINELS = (
    "sentinel|get-master-addr-by-name sentinel|master sentinel|sentinels sentinel|myid".split()
)


def granted(rights):
    """As ACL SETUSER takes them."""
    return ["+" + right for right in rights]
