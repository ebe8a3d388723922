/*
 * A record of the lease in words, as those who stand by are told of it. Pure.
 */
#ifndef LEADERWRAP_WRAPPER_HOLDER_H
#define LEADERWRAP_WRAPPER_HOLDER_H

#include <stddef.h>
#include <stdint.h>

#include "leaderwrap/base/lease.h"
#include "leaderwrap/election/timing.h"

/* How much of a foreign value is shown. */
#define HOLDER_FOREIGN_SHOWN 40

/* Who looks: the id and the numbers of this process. Borrowed. */
struct holder_observer {
    const char *id;
    const struct timing *timing;
};

/* Who keeps us waiting, without the numbers that change at each look. Returns `buffer`. */
char *holder_describe(const struct holder_observer *observer, const struct lease_record *record,
                      char *buffer, size_t size);

/* What changes at each look, to be put behind that: for how long yet, as far as that is known.
 * `left_ms` is the time until the lease may be had, if the record stays as it is; 0 or less, or
 * INT64_MAX, where that is not known. Returns `buffer`. */
char *holder_describe_rest(const struct holder_observer *observer,
                           const struct lease_record *record, int64_t left_ms, char *buffer,
                           size_t size);

/* The same two of a closed lease (--hold), as the one who asks in vain wants to know it: the job
 * was done already. Returns `buffer`. */
char *holder_describe_hold(const struct lease_record *record, char *buffer, size_t size);

#endif
