/*
 * From the reply of a script to a verdict. Pure, and fit for whatever a server may send.
 */
#ifndef LEADERWRAP_REDIS_VERDICT_H
#define LEADERWRAP_REDIS_VERDICT_H

#include "leaderwrap/base/lease.h"

struct redisReply;

enum verdict_of {
    VERDICT_OF_ACQUIRE,
    VERDICT_OF_RENEW,
    VERDICT_OF_RELEASE,
};

/* Fills verdict, record, before and warning of `*answer` from what the script of `of` answered.
 * Returns 0, or -1 for a reply that no such script makes (an error reply too); then `*answer` is
 * untouched. */
int verdict_parse(const struct redisReply *reply, enum verdict_of of, struct lease_reply *answer);

#endif
