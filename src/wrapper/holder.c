/* Each state of the record has its words. */
#include "holder.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "leaderwrap/base/duration.h"

/* Whether a renewal of the holder is overdue, as far as our own numbers are like his. */
static bool is_silent(const struct timing *timing, const struct lease_record *record)
{
    int64_t late_ms = timing->renew_ms + timing->request_timeout_ms;

    return record->state == LEASE_HELD && record->age_ms > late_ms &&
           record->age_ms > record->ttl_ms / 2;
}

/* Who stands by does not lead: it is the record of a term that is over. */
static bool is_our_own(const struct holder_observer *observer, const struct lease_record *record)
{
    return record->state == LEASE_HELD && strcmp(record->id, observer->id) == 0;
}

char *holder_describe(const struct holder_observer *observer, const struct lease_record *record,
                      char *buffer, size_t size)
{
    if (record->foreign[0] != '\0')
        snprintf(buffer, size, "the key holds \"%.*s%s\", which no leaderwrap wrote",
                 HOLDER_FOREIGN_SHOWN, record->foreign,
                 strlen(record->foreign) > HOLDER_FOREIGN_SHOWN ? "..." : "");
    else if (record->state == LEASE_VACANT && record->token == 0)
        snprintf(buffer, size, "redis has no record of any leader");
    else if (record->state == LEASE_VACANT)
        snprintf(buffer, size,
                 "redis was restarted or has lost data, and an earlier leader may still run");
    else if (record->state == LEASE_CLOSED)
        snprintf(buffer, size, "%s has left and keeps the lease closed", record->name);
    else if (is_our_own(observer, record))
        snprintf(buffer, size, "a term of our own that is over still has the lease");
    else if (is_silent(observer->timing, record))
        snprintf(buffer, size, "%s does not renew any more", record->name);
    else if (record->state == LEASE_HELD)
        snprintf(buffer, size, "%s leads with token %" PRIu64, record->name, record->token);
    else
        snprintf(buffer, size, "the lease was free a moment ago");
    return buffer;
}

char *holder_describe_rest(const struct holder_observer *observer,
                           const struct lease_record *record, int64_t left_ms, char *buffer,
                           size_t size)
{
    bool own = is_our_own(observer, record);
    char heard[64] = "", time[32];
    size_t used;

    if (record->state == LEASE_HELD && !own && !is_silent(observer->timing, record)) {
        duration_format(time, sizeof time, record->ttl_ms - record->age_ms);
        snprintf(buffer, size, "; its lease has %s left", time);
        return buffer;
    }
    if (record->state == LEASE_CLOSED) {
        duration_format(time, sizeof time, record->hold_left_ms);
        snprintf(buffer, size, " for another %s", time);
        return buffer;
    }
    if (record->state == LEASE_HELD && !own) {
        duration_format(time, sizeof time, record->age_ms);
        snprintf(heard, sizeof heard, " (last heard %s ago)", time);
    }
    snprintf(buffer, size, "%s", heard);
    used = strlen(buffer);
    if (left_ms != INT64_MAX && left_ms > 0)
        snprintf(buffer + used, size - used, "; taking over in %s",
                 duration_format(time, sizeof time, left_ms));
    return buffer;
}

char *holder_describe_hold(const struct lease_record *record, char *buffer, size_t size)
{
    char ago[32], left[32];

    duration_format(ago, sizeof ago, record->age_ms);
    duration_format(left, sizeof left, record->hold_left_ms);
    snprintf(buffer, size, "%s ran it %s ago; closed for %s more (--hold)", record->name, ago,
             left);
    return buffer;
}
