"""What candidates of one major version tell each other: the record, the key, the events and the
history have the forms that 1.0 gave them, and what a later one adds is left alone.

LEADERWRAP_OTHER names the leaderwrap of another release: then one of each shares a lease."""

import os
import re

import pytest

from tests.lib import check_terms
from pair import (
    ALONE,
    EVENTS,
    HISTORY,
    KEY,
    RECORD,
    SECOND_NS,
    history,
    record,
    wait_subscribed,
    wait_tree,
)

ID = r"[^|#]{1,64}#[0-9a-f]{16}"
NONCE = r"[0-9a-f]{16}"
IDENT = r"[0-9a-f]{40}(/.{1,20})?"
NUMBER = r"0|[1-9]\d{0,15}"
FIELDS = {
    "st": r"held|free|hold|vacant",
    "id": ID,
    "name": r".{1,64}",
    "tok": NUMBER,
    "ver": NONCE,
    "ident": IDENT,
    "ttl": NUMBER,
    "at": NUMBER,
    "until": NUMBER,
    "hold": NUMBER,
    "cmd": r"[0-9a-f]{8}|",
    "base": r"[0-9a-f]{16}|",
    "term": r"\d+ \d+ \d+",
}
EVENT = r"1\|(held|free|hold|vacant)\|%s\|%s\|\d+\|\d+\|(-1|\d+)\|.{0,64}" % (IDENT, NONCE)
TERM_ENTRY = {
    "event": r"begin|end",
    "token": NUMBER,
    "name": r".{1,64}",
    "id": ID,
    "at": NUMBER,
    "reason": r".+",
    "term": NUMBER,
}
SPANS = {"begin": "gap", "end": "lasted"}
LATER = ("later", "what a later version keeps here")


def check_fields(said, forms):
    assert set(said) == set(forms)
    for name, form in forms.items():
        assert re.fullmatch(form, said[name]), (name, said[name])


def check_record(redis, state, **expected):
    said = record(redis)
    check_fields(said, FIELDS)
    assert said["st"] == state
    for name, value in expected.items():
        assert said[name] == value
    return said


def check_history(redis):
    for entry in history(redis):
        check_fields(entry, {**TERM_ENTRY, SPANS[entry["event"]]: r"\d*"})


def start(arena, redis, *options, **more):
    return arena.worker(
        *options, command=arena.beat(*ALONE), redis=redis, key=KEY, **{"ttl": "60s", **more}
    )


def test_the_forms_of_a_term(arena, redis):
    with redis.connect() as listening:
        listening.command("SUBSCRIBE", EVENTS)
        worker = start(arena, redis, "--assume-fresh", "--lock-delay", "30s", ttl="5s")
        worker.wait_event("renewed")
        # By the renewal or the next one: `base` may be either.
        said = check_record(redis, "held", ttl="5000", until="0", hold="0", name=worker.name)
        assert said["id"] == redis.command("GET", KEY)
        worker.stop()
        check_record(redis, "free", tok=said["tok"], id=said["id"])
        check_history(redis)
        assert [entry["event"] for entry in history(redis)] == ["begin", "end"]
        events = []
        while not events or "|free|" not in events[-1]:
            events.append(listening.reply()[2])
    assert len(events) >= 3
    for event in events:
        assert re.fullmatch(EVENT, event), event


def test_the_form_of_a_vacancy(arena, redis):
    worker = start(arena, redis)
    worker.wait_event("waiting")
    said = record(redis)
    check_fields(said, {**{name: FIELDS[name] for name in said}, "id": "|" + ID, "name": ".{0,64}"})
    assert set(FIELDS) - set(said) <= {"term"}
    assert (said["st"], said["ttl"], said["until"]) == ("vacant", "60000", "0")


def written(redis, state, **more):
    """A record as 1.0 has left it on this server, and one field of a later version."""
    at_ms = redis.command("TIME")[0] + "000"
    fields = {
        "st": state,
        "id": "old#0123456789abcdef",
        "name": "old",
        "tok": "1700000000000000",
        "ver": "00112233445566aa",
        "ident": redis.info("replication")["master_replid"],
        "ttl": "3000",
        "at": at_ms,
        "until": "0",
        "hold": "0",
        "cmd": "89abcdef",
        "base": "",
        "term": "7 1700000000000000 " + at_ms,
        LATER[0]: LATER[1],
    }
    fields.update(more)
    redis.command("HSET", RECORD, *[word for pair in fields.items() for word in pair])
    return fields


def take_over(arena, redis, *options):
    """A candidate of today takes it over; returns its worker."""
    worker = start(arena, redis, *options, ttl="3s")
    won = worker.wait_event("elected")
    assert won["token"] > 1700000000000000
    wait_tree(arena, won["token"], ALONE)
    said = record(redis)
    assert said.pop(LATER[0]) == LATER[1]
    check_fields(said, FIELDS)
    assert (said["st"], said["term"].split()[0]) == ("held", "8")
    return worker


def waited_ns(worker):
    return worker.wait_event("elected").told_ns - worker.wait_event("waiting").told_ns


def test_a_released_record_is_taken_at_once(arena, redis):
    written(redis, "free")
    worker = take_over(arena, redis)
    assert not worker.find("waiting")
    assert history(redis)[-1]["reason"] == "released"


def test_a_held_record_is_watched_for_its_ttl(arena, redis):
    written(redis, "held")
    redis.command("SET", KEY, "old#0123456789abcdef", "PX", 3000)
    worker = take_over(arena, redis)
    assert waited_ns(worker) >= 3 * SECOND_NS * 0.99
    assert [entry["reason"] for entry in history(redis)] == ["expired", "expired"]


def test_a_hold_is_counted_out(arena, redis):
    seconds = int(redis.command("TIME")[0])
    written(redis, "hold", hold="3000", until="%d000" % (seconds + 3))
    worker = take_over(arena, redis)
    assert waited_ns(worker) >= SECOND_NS


def test_a_vacant_record_is_watched_for_its_ttl(arena, redis):
    written(redis, "vacant")
    worker = take_over(arena, redis)
    assert waited_ns(worker) >= 3 * SECOND_NS * 0.99


def test_news_in_the_form_of_1_0_is_understood(arena, redis):
    """A release is taken up at once, and not at the next question."""
    fields = written(redis, "held", ttl="60000")
    worker = start(arena, redis, "--retry", "60s")
    worker.wait_event("waiting")
    wait_subscribed(redis)
    fields = written(redis, "free", ver="ffeeddccbbaa0099")
    news = (fields["ident"], fields["ver"], fields["tok"], fields["ttl"])
    redis.command("PUBLISH", EVENTS, "1|free|%s|%s|%s|%s|1|old" % news)
    worker.wait_event("elected", timeout=20)


@pytest.fixture
def other():
    """The program of another release."""
    path = os.environ.get("LEADERWRAP_OTHER")
    if not path:
        pytest.skip("LEADERWRAP_OTHER names no program of another release")
    return path


@pytest.mark.parametrize("first", ["other", "today"])
@pytest.mark.parametrize("end", ["stop", "kill9", "crash"])
def test_two_releases_share_a_lease(arena, redis, other, monkeypatch, first, end):
    def begin(who, *options):
        with monkeypatch.context() as patch:
            if who == "other":
                patch.setenv("LEADERWRAP_TOOLS", str(arena.built("beat").parent))
                patch.setenv("LEADERWRAP", other)
            return start(arena, redis, *options, ttl="3s")

    leader = begin(first, "--assume-fresh")
    won = leader.wait_event("elected")
    wait_tree(arena, won["token"], ALONE)
    follower = begin("today" if first == "other" else "other")
    follower.wait_event("waiting")
    wait_subscribed(redis)
    leader.wait_event("renewed")
    getattr(leader, end)()
    taken = follower.wait_event("elected")
    wait_tree(arena, taken["token"], ALONE)
    assert [term.token for term in check_terms(arena.beats())] == [won["token"], taken["token"]]
    assert int(taken["token"]) > int(won["token"])
    assert redis.command("EXISTS", HISTORY) == 1
