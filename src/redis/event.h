/*
 * From the payload of a message on the events channel to what it says. Pure, and fit for whatever
 * anybody may publish.
 */
#ifndef LEADERWRAP_REDIS_EVENT_H
#define LEADERWRAP_REDIS_EVENT_H

#include <stddef.h>

#include "leaderwrap/base/lease.h"

/* Returns 0 and fills `*event`, or -1 for a payload that is not ours. */
int event_parse(const char *payload, size_t length, struct lease_event *event);

#endif
