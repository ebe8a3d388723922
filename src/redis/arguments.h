/*
 * From a request to the words of a script call. Pure; the order is that of the scripts' heads.
 */
#ifndef LEADERWRAP_REDIS_ARGUMENTS_H
#define LEADERWRAP_REDIS_ARGUMENTS_H

#include "leaderwrap/base/lease.h"
#include "leaderwrap/redis/store.h"
#include "names.h"
#include "verdict.h"

#define ARGUMENTS_MAX         20
#define ARGUMENTS_EPOCH       11 /* the index of the epoch's word */
#define ARGUMENTS_NUMBER_SIZE 24
#define ARGUMENTS_NUMBERS     5

struct script;

struct arguments {
    const struct script *script;
    enum verdict_of of;
    int argc;
    const char *argv[ARGUMENTS_MAX]; /* from EVALSHA's third word on; borrowed, or in `numbers` */
    int used;
    char numbers[ARGUMENTS_NUMBERS][ARGUMENTS_NUMBER_SIZE];
};

/* Fills `*arguments`, which may not be moved afterwards. */
void arguments_make(struct arguments *arguments, const struct store_config *config,
                    const struct names *names, const struct lease_request *asked);

#endif
