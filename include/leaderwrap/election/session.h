/*
 * A candidate's conversation with one server: the link, the one request that may be under way, and
 * the pauses and allowances that bound both. Pure; it decides when something may be sent, never
 * what.
 *
 * Whatever fails, connections and requests have a bound per second: ten and a few, or one in each
 * renew_retry_ms where that is shorter. An answer alone earns nothing: a server that answers and
 * hangs up each time is as good as one that hangs up at once.
 */
#ifndef LEADERWRAP_ELECTION_SESSION_H
#define LEADERWRAP_ELECTION_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "leaderwrap/base/lease.h"
#include "leaderwrap/election/jitter.h"
#include "leaderwrap/election/timing.h"

enum session_link {
    LINK_DOWN,
    LINK_OPENING,
    LINK_OPEN,
};

enum session_request {
    REQUEST_NONE,
    REQUEST_ACQUIRE,
    REQUEST_CLAIM, /* a renewal that takes up a grant whose answer was lost */
    REQUEST_RENEW,
    REQUEST_RELEASE,
};

/* How pressing an answer is. */
struct session_need {
    bool urgent;       /* a deadline is to be met, or others wait for us */
    int64_t before_ns; /* after this it is of no use any more; INT64_MAX: nothing depends on it */
    bool last;         /* there is nothing to do after it: a link that owes it gets no second try */
};

struct session {
    enum session_link link;
    int64_t open_since_ns; /* when the attempt in progress began */
    int64_t open_at_ns;    /* when the next one is due, while the link is down */
    int64_t opened_ns;     /* when the present link came up */
    int64_t opening_ns;    /* how long it took to come up, once one did; else 0 */
    int64_t answering_ns;  /* how long the last answer took; 0: there was none */
    bool good;             /* its last answer was a verdict */
    int unanswered;        /* requests that timed out on the present link, in a row */
    int64_t backoff_ms;    /* the pause after the next failure */
    bool answered;         /* the server has answered a request once */
    struct {
        enum session_request kind;
        uint64_t number;
        int64_t sent_ns;
        char nonce[LEASE_NONCE_SIZE];
    } pending;
    uint64_t last_request;
    int64_t retry_at_ns;   /* no request before this: what a failure sets, nothing else shortens */
    int64_t paid_until_ns; /* what the requests so far have used up of their allowance */
};

/* What the passing of time has brought. */
enum session_event {
    SESSION_NOTHING,
    SESSION_OPEN_DUE,   /* the pause is over: session_open */
    SESSION_OPEN_LATE,  /* the attempt to connect takes too long */
    SESSION_UNANSWERED, /* the request does; the link may be merely slow */
    SESSION_DEAD,       /* it does, and was the last that the link may leave unanswered */
};

/* Every `now_ns` is CLOCK_BOOTTIME and never less than in an earlier call. */
void session_init(struct session *session, int64_t now_ns);

/* An attempt to connect begins. */
void session_open(struct session *session, int64_t now_ns);
void session_opened(struct session *session, int64_t now_ns);
/* The link is gone, and with it the request; the next attempt is due `delay_ms` from now. */
void session_drop(struct session *session, int64_t now_ns, int64_t delay_ms);

/* The pause after one more failure, in milliseconds: none after the first, then doubled each time,
 * short where it is urgent, spread by a tenth where it is not. */
int64_t session_backoff_ms(struct session *session, const struct timing *timing, bool urgent,
                           struct jitter *jitter, int64_t now_ns);

/* No request leaves for a while after `failure`; where nothing is urgent the while grows, and a
 * person has time to mend the configuration. */
void session_pause(struct session *session, const struct timing *timing, bool urgent,
                   enum lease_failure failure, struct jitter *jitter, int64_t now_ns);

/* The same until `at_ns`, whatever was the pause before. */
void session_retry_at(struct session *session, int64_t at_ns);

/* Whether a request may leave now, and when one may at the earliest while the link is up. */
bool session_can_send(const struct session *session, const struct timing *timing, int64_t now_ns);
int64_t session_may_send_at_ns(const struct session *session, const struct timing *timing);

/* Notes a request of `kind` with `nonce`; returns its number. */
uint64_t session_send(struct session *session, const struct timing *timing,
                      enum session_request kind, const char *nonce, int64_t now_ns);

/* Whether `reply` answers the request under way. An answer to something given up long ago proves
 * nothing about now. */
bool session_awaits(const struct session *session, const struct lease_reply *reply);
/* Notes that it did. Returns what was asked. */
enum session_request session_take_reply(struct session *session, const struct lease_reply *reply,
                                        int64_t now_ns);
/* The request under way, if any, will have no answer: it may have been executed all the same.
 * Returns what was asked. */
enum session_request session_give_up(struct session *session);

/* For how long a connection that was not made, or not answered, in time is left alone: the last
 * attempt is a moment old at least. In milliseconds. */
int64_t session_reopen_ms(const struct session *session, const struct timing *timing,
                          int64_t now_ns);

enum session_event session_check(struct session *session, const struct timing *timing,
                                 const struct session_need *need, int64_t now_ns);

/* For how long the request under way, sent just now, may go without an answer, in milliseconds. */
int64_t session_patience_ms(const struct session *session, const struct timing *timing,
                            const struct session_need *need);

/* When session_check is due, or (`due_ns`, INT64_MAX for never) the next request may leave. */
int64_t session_wake_at_ns(const struct session *session, const struct timing *timing,
                           const struct session_need *need, int64_t due_ns);

#endif
