/* What holds after every step, whatever was fed. A machine of which it does not is not trusted with
 * a lease any longer: see check.h. */
#include "internal.h"
#include "leaderwrap/base/check.h"

static void check_request(const struct election *election)
{
    enum session_request kind = election->session.pending.kind;

    CHECK(kind == REQUEST_NONE || election->session.link == LINK_OPEN);
    CHECK(kind == REQUEST_NONE || placement_is_settled(&election->placement));
    CHECK(kind != REQUEST_NONE || !election->placement.holds);
    switch (election->state) {
    case ELECTION_FOLLOWING:
    case ELECTION_DONE:
        CHECK(kind == REQUEST_NONE);
        break;
    case ELECTION_ACQUIRING:
        CHECK(kind == REQUEST_ACQUIRE || kind == REQUEST_CLAIM);
        break;
    case ELECTION_LEADING:
    case ELECTION_STOPPING:
        CHECK(kind == REQUEST_NONE || kind == REQUEST_RENEW);
        break;
    case ELECTION_RELEASING:
        CHECK(kind == REQUEST_NONE || kind == REQUEST_RENEW || kind == REQUEST_RELEASE);
        break;
    }
}

static void check_term(const struct election *election)
{
    const struct deadlines *deadlines = &election->term.deadlines;

    switch (election->state) {
    case ELECTION_FOLLOWING:
    case ELECTION_ACQUIRING:
    case ELECTION_RELEASING:
    case ELECTION_DONE:
        CHECK(!election->term.tree && !election->term.check);
        break;
    case ELECTION_LEADING:
        CHECK(election->now_ns < deadlines->stop_at_ns);
        CHECK(election->term.tree || election->term.check ||
              election->term.restart_at_ns != INT64_MAX);
        /* fall through */
    case ELECTION_STOPPING:
        CHECK(election->term.token != 0 && election->term.token == election->follow.used_token);
        CHECK(deadlines->stop_at_ns <= deadlines->kill_at_ns);
        CHECK(deadlines->kill_at_ns < deadlines->expires_at_ns);
        break;
    }
}

void invariants_check(const struct election *election, const struct election_actions *actions)
{
    int starts = 0;

    for (size_t i = 0; i < actions->count; i++)
        starts += actions->list[i].kind == ACTION_START;
    CHECK(starts <= 1);
    CHECK(starts == 0 || election->state == ELECTION_LEADING);
    check_request(election);
    check_term(election);
}
