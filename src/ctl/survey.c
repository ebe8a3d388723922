/* One session for each server. */
#include "survey.h"

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "leaderwrap/redis/masters.h"
#include "leaderwrap/redis/store.h"

struct server {
    struct redis_target node;          /* of a cluster */
    const struct redis_target *target; /* that, or the one of the options */
    struct session *session;           /* NULL: not connected */
};

struct survey {
    const struct ctl_options *options;
    bool is_cluster;
    struct masters masters;
    size_t count;
    struct server servers[MASTERS_MAX]; /* of a cluster: as in `masters` */
};

static int out_of_memory(char *error, size_t size)
{
    snprintf(error, size, "out of memory");
    return EXIT_OWN_FAILURE;
}

/* ---- the masters of a cluster ---- */

struct told {
    const char *host; /* of the node that tells */
    struct masters *masters;
};

static int hear_masters(void *context, const redisReply *reply)
{
    const struct told *told = context;

    return masters_read(reply, told->host, told->masters);
}

/* A node that has not met all others yet, or lost some, does not know of all leases. */
static int check_masters(const struct masters *masters, char *error, size_t size)
{
    for (size_t i = 0; i < masters->count; i++)
        if (masters->list[i].host[0] == '\0') {
            snprintf(error, size, "where the master %s is, is not known there; give another node",
                     masters->list[i].id);
            return EXIT_UNREACHABLE;
        }
    for (unsigned slot = 0; slot < MASTERS_SLOTS; slot++)
        if (masters_of(masters, slot) == NULL) {
            snprintf(error, size,
                     "no node owns slot %u, whose leases nobody can see; look with `redis-cli "
                     "--cluster check`",
                     slot);
            return EXIT_UNREACHABLE;
        }
    return 0;
}

static int ask_seed(struct survey *survey, const struct redis_seed *seed, char *error, size_t size)
{
    static const char *const question[] = {"CLUSTER", "SLOTS"};
    const struct ctl_options *options = survey->options;
    struct told told = {seed->host, &survey->masters};
    struct session *session = NULL;
    struct redis_target node;
    int status = EXIT_OWN_FAILURE;

    if (redis_target_one(&options->redis, REDIS_AS_SERVER, seed->host, seed->port, &node) != 0)
        snprintf(error, size, "out of memory");
    else
        status = session_open(&session, &node, NULL, options->timeout_ms, error, size);
    if (status == 0)
        status = session_ask(session, 2, question, hear_masters, &told, error, size);
    if (status == 0)
        status = check_masters(&survey->masters, error, size);
    session_free(session);
    redis_target_clear(&node);
    return status;
}

/* The first seed that knows them is enough. */
static int find_masters(struct survey *survey, char *error, size_t size)
{
    const struct redis_target *target = &survey->options->redis;
    char why[LEASE_TEXT_SIZE] = "";
    size_t refused = 0;

    for (size_t i = 0; i < target->seed_count; i++) {
        int status = ask_seed(survey, &target->seeds[i], why, sizeof why);
        if (status == 0)
            return 0;
        refused += status == EXIT_REFUSED;
    }
    snprintf(error, size, "none of %zu nodes of the cluster tells where its masters are: %s",
             target->seed_count, why);
    return refused == target->seed_count ? EXIT_REFUSED : EXIT_UNREACHABLE;
}

static int take_masters(struct survey *survey, char *error, size_t size)
{
    for (size_t i = 0; i < survey->masters.count; i++) {
        const struct master *master = &survey->masters.list[i];
        struct server *server = &survey->servers[survey->count++];
        server->target = &server->node;
        if (redis_target_one(&survey->options->redis, REDIS_AS_SERVER, master->host, master->port,
                             &server->node) != 0)
            return out_of_memory(error, size);
    }
    return 0;
}

/* ---- sessions ---- */

/* Of one server alone nobody asks which. */
static int blame(const struct survey *survey, const struct server *server, int status,
                 const char *why, char *error, size_t size)
{
    char where[REDIS_SHOWN_SIZE];

    if (survey->is_cluster)
        snprintf(error, size, "the leases of the master at %.100s cannot be read: %s",
                 redis_target_show(server->target, where, sizeof where), why);
    else
        snprintf(error, size, "%s", why);
    return status;
}

static int connect_to(const struct survey *survey, struct server *server, char *error, size_t size)
{
    const struct ctl_options *options = survey->options;
    char why[LEASE_TEXT_SIZE];

    if (server->session != NULL)
        return 0;
    int status =
        session_open(&server->session, server->target, NULL, options->timeout_ms, why, sizeof why);
    return status == 0 ? 0 : blame(survey, server, status, why, error, size);
}

static int start(struct survey *survey, char *error, size_t size)
{
    if (!survey->is_cluster) {
        survey->count = 1;
        survey->servers[0].target = &survey->options->redis;
        return connect_to(survey, &survey->servers[0], error, size);
    }
    int status = find_masters(survey, error, size);
    return status == 0 ? take_masters(survey, error, size) : status;
}

int survey_open(struct survey **out, const struct ctl_options *options, char *error, size_t size)
{
    struct survey *survey = calloc(1, sizeof *survey);

    if (survey == NULL)
        return out_of_memory(error, size);
    survey->options = options;
    survey->is_cluster = options->redis.kind == REDIS_CLUSTER;
    int status = start(survey, error, size);
    if (status != 0)
        survey_free(survey);
    else
        *out = survey;
    return status;
}

int survey_keys(struct survey *survey, struct read_keys *keys, char *error, size_t size)
{
    char why[LEASE_TEXT_SIZE];

    for (size_t i = 0; i < survey->count; i++) {
        struct server *server = &survey->servers[i];
        int status = connect_to(survey, server, error, size);
        if (status != 0)
            return status;
        status = read_keys(server->session, keys, why, sizeof why);
        if (status != 0)
            return blame(survey, server, status, why, error, size);
    }
    return 0;
}

int survey_session(struct survey *survey, const char *key, struct session **session, char *error,
                   size_t size)
{
    struct server *server = &survey->servers[0];

    /* Each slot has a master: check_masters. */
    if (survey->is_cluster)
        server += masters_of(&survey->masters, store_slot(key)) - survey->masters.list;
    int status = connect_to(survey, server, error, size);
    if (status != 0)
        return status;
    if (survey->is_cluster)
        session_about(server->session, key);
    *session = server->session;
    return 0;
}

int survey_lease(struct survey *survey, const char *key, size_t entries, struct ctl_lease *lease,
                 char *error, size_t size)
{
    struct session *session;
    int status = survey_session(survey, key, &session, error, size);

    memset(lease, 0, sizeof *lease);
    return status == 0 ? read_lease(session, key, entries, lease, error, size) : status;
}

void survey_free(struct survey *survey)
{
    if (survey == NULL)
        return;
    for (size_t i = 0; i < survey->count; i++) {
        session_free(survey->servers[i].session);
        redis_target_clear(&survey->servers[i].node);
    }
    free(survey);
}
