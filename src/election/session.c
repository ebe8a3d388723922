/* The link, its one request, and their pauses. */
#include "leaderwrap/election/session.h"

#include <stdio.h>
#include <string.h>

#include "leaderwrap/base/clock.h"

#define BACKOFF_FIRST_MS 100
#define BACKOFF_MOST_MS  5000
/* Only a link that was good for so long is made again at once when it is lost. */
#define LINK_PROVEN_MS 2000

/* Whatever makes us ask: so many requests in a row, then one each time. */
#define REQUESTS_IN_A_ROW 10
#define REQUEST_EVERY_MS  100

/* A link is given up at so many time-outs in a row, at the latest: it may be merely slow. */
#define UNANSWERED_MOST 2

void session_init(struct session *session, int64_t now_ns)
{
    memset(session, 0, sizeof *session);
    session->link = LINK_DOWN;
    session->open_at_ns = now_ns;
    session->retry_at_ns = now_ns;
    session->paid_until_ns = now_ns;
}

void session_open(struct session *session, int64_t now_ns)
{
    session->link = LINK_OPENING;
    session->good = false;
    session->unanswered = 0;
    session->open_since_ns = now_ns;
}

void session_opened(struct session *session, int64_t now_ns)
{
    session->link = LINK_OPEN;
    session->opened_ns = now_ns;
    session->opening_ns = now_ns - session->open_since_ns;
}

void session_drop(struct session *session, int64_t now_ns, int64_t delay_ms)
{
    session->pending.kind = REQUEST_NONE;
    session->link = LINK_DOWN;
    session->open_at_ns = now_ns + ms_to_ns(delay_ms);
}

static void forgive_if_proven(struct session *session, int64_t now_ns)
{
    if (session->link == LINK_OPEN && session->good &&
        now_ns - session->opened_ns >= ms_to_ns(LINK_PROVEN_MS))
        session->backoff_ms = 0;
}

int64_t session_backoff_ms(struct session *session, const struct timing *timing, bool urgent,
                           struct jitter *jitter, int64_t now_ns)
{
    /* A server that is back must not stay unnoticed for longer than a short lease lasts. */
    int64_t patient_ms = min_ns(timing->ttl_ms / 2, BACKOFF_MOST_MS);
    int64_t most_ms = urgent ? timing->renew_retry_ms : patient_ms;

    forgive_if_proven(session, now_ns);
    int64_t delay_ms = session->backoff_ms;
    session->backoff_ms = min_ns(delay_ms == 0 ? BACKOFF_FIRST_MS : delay_ms * 2, BACKOFF_MOST_MS);
    delay_ms = min_ns(delay_ms, most_ms);
    if (!urgent)
        delay_ms += (int64_t)jitter_below(jitter, (uint64_t)delay_ms / 10 + 1);
    return delay_ms;
}

/* How long a failure that a person must mend is left alone. */
static int64_t patience_ms(const struct timing *timing)
{
    return min_ns(timing->retry_ms, timing->ttl_ms);
}

void session_pause(struct session *session, const struct timing *timing, bool urgent,
                   enum lease_failure failure, struct jitter *jitter, int64_t now_ns)
{
    int64_t pause_ms = timing->renew_retry_ms;

    session->good = false;
    if (!urgent) {
        int64_t backoff_ms = session_backoff_ms(session, timing, urgent, jitter, now_ns);
        pause_ms = failure == LEASE_FAILURE_CONFIGURATION ? patience_ms(timing)
                                                          : max_ns(pause_ms, backoff_ms);
    }
    session->retry_at_ns = now_ns + ms_to_ns(pause_ms);
}

void session_retry_at(struct session *session, int64_t at_ns)
{
    session->retry_at_ns = at_ns;
}

static int64_t request_every_ns(const struct timing *timing)
{
    return min_ns(ms_to_ns(REQUEST_EVERY_MS), ms_to_ns(timing->renew_retry_ms));
}

int64_t session_may_send_at_ns(const struct session *session, const struct timing *timing)
{
    int64_t allowed_ns =
        session->paid_until_ns - (REQUESTS_IN_A_ROW - 1) * request_every_ns(timing);

    return max_ns(session->retry_at_ns, allowed_ns);
}

bool session_can_send(const struct session *session, const struct timing *timing, int64_t now_ns)
{
    return session->link == LINK_OPEN && session->pending.kind == REQUEST_NONE &&
           now_ns >= session_may_send_at_ns(session, timing);
}

uint64_t session_send(struct session *session, const struct timing *timing,
                      enum session_request kind, const char *nonce, int64_t now_ns)
{
    session->pending.kind = kind;
    session->pending.number = ++session->last_request;
    session->pending.sent_ns = now_ns;
    snprintf(session->pending.nonce, sizeof session->pending.nonce, "%s", nonce);
    session->paid_until_ns = max_ns(session->paid_until_ns, now_ns) + request_every_ns(timing);
    return session->pending.number;
}

bool session_awaits(const struct session *session, const struct lease_reply *reply)
{
    return session->pending.kind != REQUEST_NONE && reply->request == session->pending.number;
}

enum session_request session_take_reply(struct session *session, const struct lease_reply *reply,
                                        int64_t now_ns)
{
    enum session_request kind = session->pending.kind;

    session->pending.kind = REQUEST_NONE;
    session->unanswered = 0;
    session->answering_ns = now_ns - session->pending.sent_ns;
    session->good = reply->verdict != LEASE_FAILED;
    session->answered = session->answered || session->good;
    forgive_if_proven(session, now_ns);
    return kind;
}

enum session_request session_give_up(struct session *session)
{
    enum session_request kind = session->pending.kind;

    session->pending.kind = REQUEST_NONE;
    return kind;
}

/* How long an answer, or a connection, may well take, as far as the last ones tell. */
static int64_t usual_ns(const struct session *session)
{
    return 4 * max_ns(session->opening_ns, session->answering_ns);
}

/* What begins at `from_ns` may take as long as any request; but where time runs out, no more than
 * one part in `parts` of what is left, so that there is time for a fresh connection, or several. A
 * link that is known to be slow is given its time all the same. */
static int64_t given_up_ns(const struct session *session, const struct timing *timing,
                           const struct session_need *need, int64_t from_ns, int64_t parts)
{
    int64_t limit_ns = ms_to_ns(timing->request_timeout_ms);
    int64_t least_ns = max_ns(ms_to_ns(REQUEST_EVERY_MS), usual_ns(session));

    if (need->before_ns != INT64_MAX)
        limit_ns = min_ns(limit_ns, max_ns(least_ns, (need->before_ns - from_ns) / parts));
    return from_ns + limit_ns;
}

/* When an attempt to connect is given up. Where packets are lost the kernel tries again ever more
 * seldom, so whoever is near a deadline begins anew himself, the nearer the more often. */
static int64_t opening_ends_ns(const struct session *session, const struct timing *timing,
                               const struct session_need *need)
{
    return given_up_ns(session, timing, need, session->open_since_ns, 4);
}

static int64_t pending_ends_ns(const struct session *session, const struct timing *timing,
                               const struct session_need *need)
{
    return given_up_ns(session, timing, need, session->pending.sent_ns, need->last ? 3 : 2);
}

/* Whether a link that owes an answer is asked once more: it may be merely slow. But it may be dead
 * as well, as after a router that has forgotten it; so there has to be time for another one. */
static bool is_asked_once_more(const struct session *session, const struct timing *timing,
                               const struct session_need *need, int64_t now_ns)
{
    int64_t connect_ns = max_ns(ms_to_ns(timing->renew_retry_ms), usual_ns(session));

    if (session->unanswered >= UNANSWERED_MOST)
        return false;
    if (need->before_ns == INT64_MAX)
        return true;
    return !need->last &&
           now_ns + ms_to_ns(timing->request_timeout_ms) + connect_ns <= need->before_ns;
}

int64_t session_reopen_ms(const struct session *session, const struct timing *timing,
                          int64_t now_ns)
{
    int64_t wait_ns = max_ns(0, session->open_since_ns + request_every_ns(timing) - now_ns);

    return (wait_ns + NS_PER_MS - 1) / NS_PER_MS;
}

enum session_event session_check(struct session *session, const struct timing *timing,
                                 const struct session_need *need, int64_t now_ns)
{
    if (session->pending.kind != REQUEST_NONE) {
        if (now_ns < pending_ends_ns(session, timing, need))
            return SESSION_NOTHING;
        session->unanswered++;
        return is_asked_once_more(session, timing, need, now_ns) ? SESSION_UNANSWERED
                                                                 : SESSION_DEAD;
    }
    switch (session->link) {
    case LINK_OPEN:
        break;
    case LINK_OPENING:
        return now_ns >= opening_ends_ns(session, timing, need) ? SESSION_OPEN_LATE
                                                                : SESSION_NOTHING;
    case LINK_DOWN:
        return now_ns >= session->open_at_ns ? SESSION_OPEN_DUE : SESSION_NOTHING;
    }
    return SESSION_NOTHING;
}

int64_t session_patience_ms(const struct session *session, const struct timing *timing,
                            const struct session_need *need)
{
    return (pending_ends_ns(session, timing, need) - session->pending.sent_ns) / NS_PER_MS;
}

int64_t session_wake_at_ns(const struct session *session, const struct timing *timing,
                           const struct session_need *need, int64_t due_ns)
{
    if (session->pending.kind != REQUEST_NONE)
        return pending_ends_ns(session, timing, need);
    switch (session->link) {
    case LINK_OPENING:
        return opening_ends_ns(session, timing, need);
    case LINK_DOWN:
        return session->open_at_ns;
    case LINK_OPEN:
        break;
    }
    return due_ns == INT64_MAX ? INT64_MAX
                               : max_ns(due_ns, session_may_send_at_ns(session, timing));
}
