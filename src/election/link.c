/*
 * The link to the server: made, made again, and placed by the witnesses. What is asked on it is
 * the parts' matter, and what becomes of that the frame's.
 */
#include "internal.h"

/* Whoever has a deadline to meet, or something that others wait for, does not wait for long. */
struct session_need link_need(const struct election *election)
{
    struct session_need need = {.urgent = true, .before_ns = INT64_MAX};

    switch (election->state) {
    case ELECTION_FOLLOWING:
    case ELECTION_ACQUIRING:
    case ELECTION_DONE:
        need.urgent = false;
        break;
    case ELECTION_LEADING:
        need.before_ns = election->term.deadlines.stop_at_ns;
        break;
    case ELECTION_STOPPING:
        break;
    case ELECTION_RELEASING:
        need.before_ns = election->release.until_ns;
        need.last = true;
        break;
    }
    return need;
}

void link_open(struct election *election, struct election_actions *actions)
{
    session_open(&election->session, election->now_ns);
    action_add(actions, ACTION_OPEN);
}

/* Drops the connection and makes a new one at `delay_ms` from now. */
void link_reopen(struct election *election, struct election_actions *actions, int64_t delay_ms)
{
    session_drop(&election->session, election->now_ns, delay_ms);
    placement_leave(&election->placement);
    if (delay_ms == 0)
        link_open(election, actions);
}

/* A fresh connection resolves the name and reads the password again. */
void link_reopen_after_failure(struct election *election, struct election_actions *actions)
{
    int64_t least_ms = election->config.timing.renew_retry_ms;
    int64_t pause_ms = (election->session.retry_at_ns - election->now_ns) / NS_PER_MS;

    link_reopen(election, actions, max_ns(pause_ms, least_ms));
}

/* Not sooner than the last attempt is a moment old. */
void link_reopen_soon(struct election *election, struct election_actions *actions)
{
    link_reopen(election, actions,
                session_reopen_ms(&election->session, &election->config.timing, election->now_ns));
}

/* Asks the witnesses where the master is. */
void link_poll(struct election *election, struct election_actions *actions)
{
    action_add(actions, ACTION_POLL)->poll =
        placement_begin(&election->placement, &election->config.timing, election->now_ns);
}

/* The link goes to the master under `name`. What was observed under another one may be of another
 * server, or of a time before another server's. */
void link_place(struct election *election, const struct placement_name *name)
{
    if (placement_enter(&election->placement, name))
        observation_forget(&election->observation);
}

/* A poll without a majority is repeated: witnesses come back, and learn of a fail-over. */
void link_check_poll(struct election *election, struct election_actions *actions)
{
    struct placement *placement = &election->placement;
    const struct timing *timing = &election->config.timing;
    int64_t patience_ns = ms_to_ns(timing->request_timeout_ms) / 2;

    if (election->now_ns < placement_wake_at_ns(placement))
        return;
    if (!placement->told && election->now_ns - placement->begun_ns >= patience_ns) {
        placement->told = true;
        action_tell(actions, NOTE_UNPLACED)->tally = (struct election_tally){
            .votes = placement_most_votes(placement), .electorate = placement->electorate};
    }
    action_add(actions, ACTION_POLL)->poll = placement_repeat(placement, timing, election->now_ns);
}
