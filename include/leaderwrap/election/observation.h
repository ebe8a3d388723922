/*
 * What is known of the record in one server: the version that its last answer has shown, since when
 * it has been there, and when a candidate that sees it unchanged may ask for the lease. Pure.
 *
 * A push is a hint. It proves nothing until a reply shows the very version that was heard of; then
 * it has been there since it was heard, for whoever forges a push cannot know a nonce before it is
 * written.
 */
#ifndef LEADERWRAP_ELECTION_OBSERVATION_H
#define LEADERWRAP_ELECTION_OBSERVATION_H

#include <stdbool.h>
#include <stdint.h>

#include "leaderwrap/base/lease.h"
#include "leaderwrap/election/timing.h"

/* A version of the record, by its two names, and since when it is known. */
struct observed_version {
    int64_t since_ns; /* CLOCK_BOOTTIME; -1: none is */
    char incarnation[LEASE_INCARNATION_SIZE];
    char version[LEASE_NONCE_SIZE];
};

struct observation {
    struct observed_version seen; /* what the last reply has shown */
    enum lease_state state;       /* of that version, as the next three */
    int64_t ttl_ms;
    int64_t hold_until_ns; /* by our own clock; past: there is none */
    struct observed_version heard;
};

/* Nothing is known. */
void observation_init(struct observation *observation);
/* No version is known any more. */
void observation_forget(struct observation *observation);

void observation_hear(struct observation *observation, const struct lease_event *push,
                      int64_t now_ns);

/* Notes the version that a reply has shown, received now. Only a change starts the observation
 * anew. Returns whether it is another one. */
bool observation_see(struct observation *observation, const struct lease_record *record,
                     int64_t now_ns);

/* Whether another version was heard of since. */
bool observation_is_overtaken(const struct observation *observation);

/* When there may be grounds to ask, according to what was seen; INT64_MAX if not by waiting. The
 * script decides; this only says when it is worth a question. */
int64_t observation_ripe_at_ns(const struct observation *observation, const struct timing *timing);

/* The same by the server's clock, for --takeover server-clock, if `record` was seen just now. */
int64_t observation_server_ripe_at_ns(const struct observation *observation,
                                      const struct timing *timing,
                                      const struct lease_record *record, int64_t now_ns);

#endif
