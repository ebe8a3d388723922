/* Polls of the witnesses, and what they are about. */
#include "leaderwrap/election/placement.h"

#include <string.h>

#include "leaderwrap/base/clock.h"

/* A fail-over goes round among the witnesses in about a second. */
#define POLL_FIRST_MS 200
#define POLL_MOST_MS  2000

void placement_init(struct placement *placement, bool needed)
{
    memset(placement, 0, sizeof *placement);
    placement->needed = needed;
}

void placement_leave(struct placement *placement)
{
    placement->here = 0;
    placement->epoch = 0;
    placement_end(placement);
}

uint64_t placement_repeat(struct placement *placement, const struct timing *timing, int64_t now_ns)
{
    int64_t most_ms = max_ns(timing->renew_retry_ms, POLL_FIRST_MS);

    placement->open = true;
    placement->electorate = 0;
    memset(placement->names, 0, sizeof placement->names);
    memset(placement->voted, 0, sizeof placement->voted);
    placement->again_at_ns = now_ns + ms_to_ns(min_ns(placement->pause_ms, most_ms));
    placement->pause_ms = min_ns(2 * placement->pause_ms, POLL_MOST_MS);
    return ++placement->number;
}

uint64_t placement_begin(struct placement *placement, const struct timing *timing, int64_t now_ns)
{
    placement->pause_ms = POLL_FIRST_MS;
    placement->begun_ns = now_ns;
    return placement_repeat(placement, timing, now_ns);
}

void placement_end(struct placement *placement)
{
    placement->open = false;
    placement->holds = false;
}

/* Whether this is the witness's first vote in this poll; it has no second one. */
static bool may_vote(struct placement *placement, const struct lease_vote *vote)
{
    if (!placement->open || vote->poll != placement->number ||
        vote->witness >= PLACEMENT_WITNESSES_MAX)
        return false;
    uint64_t *word = &placement->voted[vote->witness / 64];
    uint64_t bit = UINT64_C(1) << vote->witness % 64;
    bool voted = (*word & bit) != 0;
    *word |= bit;
    return !voted;
}

/* The entry of what `vote` names; NULL where there are too many. */
static struct placement_name *name_of(struct placement *placement, const struct lease_vote *vote)
{
    for (int i = 0; i < PLACEMENT_NAMES_MAX; i++) {
        struct placement_name *name = &placement->names[i];

        if (name->placement == 0)
            *name = (struct placement_name){
                .placement = vote->placement, .epoch = vote->epoch, .here = vote->here};
        if (name->placement == vote->placement)
            return name;
    }
    return NULL;
}

enum placement_verdict placement_vote(struct placement *placement, const struct lease_vote *vote,
                                      struct placement_name *name)
{
    if (!may_vote(placement, vote))
        return PLACEMENT_UNDECIDED;
    if (vote->electorate > placement->electorate)
        placement->electorate = vote->electorate;
    struct placement_name *named = vote->placement != 0 ? name_of(placement, vote) : NULL;
    if (named == NULL || ++named->votes <= placement->electorate / 2)
        return PLACEMENT_UNDECIDED;
    *name = *named;
    placement->open = false;
    placement->told = false;
    return named->here ? PLACEMENT_HERE : PLACEMENT_ELSEWHERE;
}

bool placement_matters(const struct placement *placement, const struct lease_reply *reply)
{
    if (!placement->needed)
        return false;
    switch (reply->verdict) {
    case LEASE_GRANTED:
    case LEASE_RENEWED:
    case LEASE_LOST:
    case LEASE_RELEASED:
    case LEASE_NOT_HELD:
        return true;
    case LEASE_REFUSED:
        /* Where it is we who made it vacant, our placement may be an old one. */
        return reply->record.state == LEASE_VACANT;
    case LEASE_FAILED:
        break;
    }
    return false;
}

bool placement_enter(struct placement *placement, const struct placement_name *name)
{
    bool another = name->placement != placement->last;

    placement->here = placement->last = name->placement;
    placement->epoch = name->epoch;
    return another;
}

bool placement_is_settled(const struct placement *placement)
{
    return !placement->needed || placement->here != 0;
}

void placement_hold(struct placement *placement, const struct lease_reply *reply)
{
    placement->holds = true;
    placement->held = *reply;
}

void placement_let_go(struct placement *placement, struct lease_reply *reply)
{
    placement->holds = false;
    *reply = placement->held;
}

unsigned placement_most_votes(const struct placement *placement)
{
    unsigned most = 0;

    for (int i = 0; i < PLACEMENT_NAMES_MAX; i++)
        most = placement->names[i].votes > most ? placement->names[i].votes : most;
    return most;
}

int64_t placement_wake_at_ns(const struct placement *placement)
{
    return placement->open ? placement->again_at_ns : INT64_MAX;
}
