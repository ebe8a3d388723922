/* Versions of the record, and since when they are there. */
#include "leaderwrap/election/observation.h"

#include <stdio.h>
#include <string.h>

#include "leaderwrap/base/clock.h"
#include "leaderwrap/base/duration.h"

#define SERVER_CLOCK_MARGIN_MS 10

static bool is_version(const struct observed_version *known, const char *incarnation,
                       const char *version)
{
    return known->since_ns >= 0 && strcmp(known->incarnation, incarnation) == 0 &&
           strcmp(known->version, version) == 0;
}

static void note_version(struct observed_version *known, const char *incarnation,
                         const char *version, int64_t since_ns)
{
    known->since_ns = since_ns;
    snprintf(known->incarnation, sizeof known->incarnation, "%s", incarnation);
    snprintf(known->version, sizeof known->version, "%s", version);
}

void observation_init(struct observation *observation)
{
    memset(observation, 0, sizeof *observation);
    observation_forget(observation);
}

void observation_forget(struct observation *observation)
{
    observation->seen.since_ns = -1;
    observation->heard.since_ns = -1;
}

void observation_hear(struct observation *observation, const struct lease_event *push,
                      int64_t now_ns)
{
    if (!is_version(&observation->heard, push->incarnation, push->version))
        note_version(&observation->heard, push->incarnation, push->version, now_ns);
}

/* When the hold of a version that is new to us ends, by our own clock: whole if we heard of it as
 * it began, else what the server says is left. From here on no step of the server's clock matters.
 */
static int64_t hold_until_ns(const struct observation *observation,
                             const struct lease_record *record, bool heard, int64_t now_ns)
{
    int64_t left_ms = min_ns(record->hold_left_ms, DURATION_MAX_MS);

    return heard ? observation->heard.since_ns + ms_to_ns(record->hold_ms)
                 : now_ns + ms_to_ns(left_ms);
}

bool observation_see(struct observation *observation, const struct lease_record *record,
                     int64_t now_ns)
{
    const char *incarnation = record->incarnation;
    const char *version = record->version;
    bool heard = is_version(&observation->heard, incarnation, version);
    int64_t watched_ns = observation->hold_until_ns;

    observation->state = record->state;
    observation->ttl_ms = record->ttl_ms;
    if (is_version(&observation->seen, incarnation, version))
        return false;
    note_version(&observation->seen, incarnation, version,
                 heard ? observation->heard.since_ns : now_ns);
    observation->hold_until_ns = hold_until_ns(observation, record, heard, now_ns);
    /* A vacancy ends no hold, and what it says is left of one is by the server's clock, which may
     * have been set on meanwhile: who has watched it knows better. */
    if (record->state == LEASE_VACANT)
        observation->hold_until_ns = max_ns(observation->hold_until_ns, watched_ns);
    return true;
}

bool observation_is_overtaken(const struct observation *observation)
{
    const struct observed_version *heard = &observation->heard;

    return observation->seen.since_ns >= 0 && heard->since_ns > observation->seen.since_ns &&
           !is_version(&observation->seen, heard->incarnation, heard->version);
}

int64_t observation_ripe_at_ns(const struct observation *observation, const struct timing *timing)
{
    int64_t since_ns = observation->seen.since_ns;

    if (since_ns < 0)
        return INT64_MAX;
    switch (observation->state) {
    case LEASE_HELD:
    case LEASE_VACANT:
        return max_ns(since_ns + ms_to_ns(timing_observation_ms(timing, observation->ttl_ms)),
                      observation->hold_until_ns);
    case LEASE_CLOSED:
        return observation->hold_until_ns;
    case LEASE_FREE:
    case LEASE_ABSENT:
        break;
    }
    return INT64_MAX;
}

int64_t observation_server_ripe_at_ns(const struct observation *observation,
                                      const struct timing *timing,
                                      const struct lease_record *record, int64_t now_ns)
{
    int64_t ttl_ms = timing_observation_ms(timing, record->ttl_ms);
    int64_t left_ms = ttl_ms + ttl_ms / 100 + SERVER_CLOCK_MARGIN_MS + 1 - record->age_ms;

    if ((record->state != LEASE_HELD && record->state != LEASE_VACANT) || left_ms < 0)
        return INT64_MAX;
    return max_ns(now_ns + ms_to_ns(left_ms), observation->hold_until_ns);
}
