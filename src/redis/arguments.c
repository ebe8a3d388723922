/* Arguments of the scripts. */
#include "arguments.h"

#include <inttypes.h>
#include <stdio.h>

#include "leaderwrap/base/check.h"
#include "scripts.h"

static void put(struct arguments *arguments, const char *text)
{
    CHECK(arguments->argc < ARGUMENTS_MAX);
    arguments->argv[arguments->argc++] = text;
}

/* No number of a request is negative. */
static void put_number(struct arguments *arguments, uint64_t number)
{
    CHECK(arguments->used < ARGUMENTS_NUMBERS);
    char *text = arguments->numbers[arguments->used++];

    snprintf(text, ARGUMENTS_NUMBER_SIZE, "%" PRIu64, number);
    put(arguments, text);
}

/* What all scripts have. */
static void put_common(struct arguments *arguments, const struct store_config *config,
                       const struct names *names, const struct lease_request *asked)
{
    put(arguments, "3");
    for (int i = 0; i < KEYS_OF_SCRIPTS; i++)
        put(arguments, names->keys[i]);
    put(arguments, names->channel);
    put(arguments, config->server_clock ? "server-clock" : "observed");
    put(arguments, config->id);
    put(arguments, config->name);
    put_number(arguments, (uint64_t)config->ttl_ms);
    put(arguments, asked->nonce);
    put(arguments, config->command != NULL ? config->command : "");
    CHECK(arguments->argc == ARGUMENTS_EPOCH);
    if (asked->epoch != 0)
        put_number(arguments, asked->epoch);
    else
        put(arguments, "");
    put(arguments, config->host != NULL ? config->host : "");
}

static void put_acquire(struct arguments *arguments, const struct store_config *config,
                        const struct lease_acquire *acquire)
{
    const bool observed =
        acquire->observed_incarnation[0] != '\0' && acquire->observed_version[0] != '\0';

    arguments->script = &script_acquire;
    arguments->of = VERDICT_OF_ACQUIRE;
    put_number(arguments, acquire->floor_token);
    put(arguments, observed ? acquire->observed_incarnation : "");
    put(arguments, observed ? acquire->observed_version : "");
    put_number(arguments, observed ? (uint64_t)acquire->observed_ms : 0);
    put_number(arguments, observed ? (uint64_t)acquire->hold_left_ms : 0);
    put(arguments, config->assume_fresh && acquire->never_saw_record ? "1" : "0");
    put(arguments, config->about != NULL ? config->about : "");
}

static void put_renew(struct arguments *arguments, const struct lease_renew *renew)
{
    arguments->script = &script_renew;
    arguments->of = VERDICT_OF_RENEW;
    put_number(arguments, renew->token);
    put(arguments, renew->claim ? "1" : "0");
    put(arguments, renew->version);
}

static void put_release(struct arguments *arguments, const struct lease_release *release)
{
    arguments->script = &script_release;
    arguments->of = VERDICT_OF_RELEASE;
    put_number(arguments, release->token);
    put_number(arguments, (uint64_t)release->hold_ms);
    put(arguments, release->reason != NULL ? release->reason : "");
    put(arguments, release->version);
}

void arguments_make(struct arguments *arguments, const struct store_config *config,
                    const struct names *names, const struct lease_request *asked)
{
    arguments->argc = arguments->used = 0;
    put_common(arguments, config, names, asked);
    switch (asked->kind) {
    case LEASE_ACQUIRE:
        put_acquire(arguments, config, &asked->acquire);
        break;
    case LEASE_RENEW:
        put_renew(arguments, &asked->renew);
        break;
    case LEASE_RELEASE:
        put_release(arguments, &asked->release);
        break;
    }
}
