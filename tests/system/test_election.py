"""One whole election: the plainest story there is, told on every build."""

import pytest

from tests.lib import check_terms, wait_until


@pytest.mark.smoke
@pytest.mark.valgrind
def test_one_leads_and_hands_over_when_it_stops(arena, redis):
    first = arena.worker("--assume-fresh", command=arena.beat(), redis=redis)
    won = first.wait_event("elected")
    second = arena.worker("--assume-fresh", command=arena.beat(), redis=redis)
    second.wait_event("waiting")
    first.wait_event("renewed", after=won)

    assert first.stop() == 0
    took_over = second.wait_event("elected")
    assert took_over["token"] > won["token"]
    second.wait_event("renewed")
    wait_until(lambda: len(check_terms(arena.beats())) == 2)
    assert second.stop() == 0

    assert [term.name for term in check_terms(arena.beats())] == ["w0", "w1"]
    assert redis.command("GET", "test") is None
