/*
 * Connections to all witnesses, and their votes. What kind of witness it is shows in two questions
 * only: who it is and who else there is, and where the master is.
 */
#include "witnesses.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cluster_ask.h"
#include "leaderwrap/base/clock.h"
#include "leaderwrap/base/log.h"
#include "leaderwrap/base/noise.h"
#include "leaderwrap/redis/connection.h"
#include "placements.h"
#include "sentinel_ask.h"
#include "switch.h"

#define IDS_MAX          256
#define PATIENCE_MIN_MS  300
#define PATIENCE_MAX_MS  2000
#define BACKOFF_MIN_MS   100
#define BACKOFF_MAX_MS   2000
#define PEERS_REFRESH_MS 60000

/* What is asked of one kind of witness. */
struct witness_kind {
    enum redis_role role; /* whose user and password it takes */
    /* Who has a vote is what the others say who can be reached; those that are configured are but
     * the first who are asked for them. Else all have one who are configured or were told of. */
    bool by_others;
    int (*ask)(struct connection *connection, const char *about, witness_answer_fn *function,
               void *context);
    int (*ask_peers)(struct connection *connection, const char *about, witness_peers_fn *function,
                     void *context);
};

static const struct witness_kind sentinels = {
    .role = REDIS_AS_SENTINEL, .ask = sentinel_ask, .ask_peers = sentinel_ask_peers};
static const struct witness_kind masters = {
    .role = REDIS_AS_SERVER, .by_others = true, .ask = cluster_ask, .ask_peers = cluster_ask_peers};

enum witness_state {
    WITNESS_WAITING, /* to be connected to again */
    WITNESS_CONNECTING,
    WITNESS_GREETED, /* asked who it is */
    WITNESS_KNOWN,
};

struct witness {
    struct witness *next;
    struct witnesses *owner;
    bool configured;
    struct place place; /* where it is, as it was configured or told */
    struct redis_target target;
    struct connection *connection;
    uv_timer_t timer; /* bounds an answer, or ends a back-off */
    enum witness_state state;
    int64_t backoff_ms;
    struct noise noise;
    uint64_t asked; /* the poll of the question that is on its way; 0: none is */
    bool is_asked_peers;
    uint64_t peers_ms;          /* when it told them, by the loop's clock */
    char id[WITNESS_ID_SIZE];   /* as it, or else whoever told of it, says; may be empty */
    struct witness_peers peers; /* as it told them last; its id is empty where it never did */
};

struct witnesses {
    struct witnesses_config config;
    const struct witness_kind *kind;
    const char *about; /* what the questions are about */
    struct witness *first;
    bool started;
    uint64_t poll;   /* the latest; 0: none yet */
    unsigned agreed; /* votes in it for where the connection goes */
    const struct route_hop *link;
    struct switch_listener *listener; /* NULL: there is no such hint */
    struct placements placements;
    /* Who has a vote, in this poll. */
    size_t count;
    char ids[IDS_MAX][WITNESS_ID_SIZE];
};

static void on_timer(uv_timer_t *timer);

static void set_timer(struct witness *witness, int64_t ms)
{
    /* A timer counts from the loop's idea of now, which is stale inside a callback. */
    uv_update_time(witness->owner->config.loop);
    uv_timer_start(&witness->timer, on_timer, (uint64_t)ms, 0);
}

static void await_answer(struct witness *witness)
{
    int64_t ms = witness->owner->config.timeout_ms;

    set_timer(witness, max_ns(PATIENCE_MIN_MS, min_ns(ms, PATIENCE_MAX_MS)));
}

/* Drops the connection, to try again later. */
static void back_off(struct witness *witness)
{
    connection_close(witness->connection);
    witness->asked = 0;
    witness->is_asked_peers = false;
    witness->state = WITNESS_WAITING;
    set_timer(witness, witness->backoff_ms);
    witness->backoff_ms = min_ns(2 * witness->backoff_ms, BACKOFF_MAX_MS);
}

/* ---- the electorate ---- */

/* The place of `id` among those who have a vote; it is added where it is new. IDS_MAX: there is no
 * room for it. */
static size_t index_of(struct witnesses *witnesses, const char *id)
{
    size_t at = 0;

    while (at < witnesses->count && strcmp(witnesses->ids[at], id) != 0)
        at++;
    if (at == witnesses->count && at < IDS_MAX)
        memcpy(witnesses->ids[witnesses->count++], id, WITNESS_ID_SIZE);
    return at;
}

static void count_peers(struct witnesses *witnesses, const struct witness *witness)
{
    if (witness->peers.id[0] == '\0' ||
        (witnesses->kind->by_others && witness->state != WITNESS_KNOWN))
        return;
    if (witness->peers.has_vote)
        index_of(witnesses, witness->peers.id);
    for (size_t i = 0; i < witness->peers.count; i++)
        if (witness->peers.list[i].has_vote)
            index_of(witnesses, witness->peers.list[i].id);
}

/* Whether an earlier one in the list has the same id, by another address. */
static bool is_repeated(const struct witnesses *witnesses, const struct witness *witness)
{
    const struct witness *at = witnesses->first;

    for (; at != witness; at = at->next)
        if (at->configured && at->id[0] != '\0' && strcmp(at->id, witness->id) == 0)
            return true;
    return false;
}

/* How many there are: those that are known, and never fewer than are configured. */
static unsigned electorate(const struct witnesses *witnesses)
{
    size_t configured = 0;

    if (witnesses->kind->by_others)
        return (unsigned)witnesses->count;
    for (const struct witness *at = witnesses->first; at != NULL; at = at->next)
        configured += at->configured && !is_repeated(witnesses, at);
    return (unsigned)(configured > witnesses->count ? configured : witnesses->count);
}

/* Whether it is in the electorate, or belongs there because it says who it is. */
static bool has_vote(const struct witnesses *witnesses, const struct witness *witness)
{
    if (!witnesses->kind->by_others)
        return true;
    for (size_t i = 0; i < witnesses->count; i++)
        if (strcmp(witnesses->ids[i], witness->id) == 0)
            return true;
    return false;
}

/* ---- polls ---- */

static bool is_here(const struct witnesses *witnesses, const struct place *place)
{
    const struct route_hop *hop = witnesses->link;
    struct place link, number;

    if (hop == NULL)
        return false;
    if (place_set(&link, hop->host, strlen(hop->host), hop->port, strlen(hop->port)) == 0 &&
        place_is_same(&link, place))
        return true;
    return place_set(&number, hop->number, strlen(hop->number), hop->port, strlen(hop->port)) ==
               0 &&
           place_is_same(&number, place);
}

/* Where the master is, as it says; nowhere where it does not. */
static struct place named_by(const struct witness *witness, const struct witness_answer *answer)
{
    switch (answer->says) {
    case WITNESS_NAMES:
        return answer->place;
    case WITNESS_ITSELF:
        return witness->peers.place;
    case WITNESS_UNAWARE:
    case WITNESS_REFUSES:
        break;
    }
    return (struct place){0};
}

static void vote(struct witness *witness, const struct witness_answer *answer)
{
    struct witnesses *witnesses = witness->owner;
    struct place place = named_by(witness, answer);

    if (!has_vote(witnesses, witness))
        return;
    struct lease_vote vote = {
        .poll = witnesses->poll,
        .witness = (unsigned)index_of(witnesses, witness->id),
        .electorate = electorate(witnesses),
    };
    if (vote.witness == IDS_MAX)
        return;
    if (place.host[0] != '\0') {
        vote.placement = placements_number(&witnesses->placements, &place, answer->epoch);
        vote.epoch = answer->epoch;
        vote.here = is_here(witnesses, &place);
    }
    witnesses->agreed += vote.here;
    witnesses->config.on_vote(witnesses->config.context, &vote);
}

static void on_answer(void *context, const struct witness_answer *answer);
static void on_peers(void *context, const struct witness_peers *peers);

/* What cannot be sent is not answered, and the timer finds that. */
static void ask(struct witness *witness)
{
    struct witnesses *witnesses = witness->owner;

    if (witnesses->poll == 0 || witness->asked != 0)
        return;
    witness->asked = witnesses->poll;
    await_answer(witness);
    (void)witnesses->kind->ask(witness->connection, witnesses->about, on_answer, witness);
}

static void ask_peers(struct witness *witness)
{
    const struct witnesses *witnesses = witness->owner;

    if (witness->is_asked_peers)
        return;
    witness->is_asked_peers = true;
    await_answer(witness);
    (void)witnesses->kind->ask_peers(witness->connection, witnesses->about, on_peers, witness);
}

static void on_answer(void *context, const struct witness_answer *answer)
{
    struct witness *witness = context;
    bool late = witness->asked != witness->owner->poll;

    witness->asked = 0;
    if (!witness->is_asked_peers)
        uv_timer_stop(&witness->timer);
    if (answer->says == WITNESS_REFUSES)
        log_line(LOG_LEVEL_DEBUG, "witness", "a witness refuses: %s", answer->text);
    if (late)
        ask(witness);
    else
        vote(witness, answer);
}

/* ---- who there is ---- */

static struct witness *find(const struct witnesses *witnesses, const char *id)
{
    struct witness *at = witnesses->first;

    while (at != NULL && strcmp(at->id, id) != 0)
        at = at->next;
    return at;
}

static void on_freed(uv_handle_t *handle)
{
    free(handle->data);
}

static void witness_free(struct witness *witness)
{
    connection_free(witness->connection);
    redis_target_clear(&witness->target);
    uv_close((uv_handle_t *)&witness->timer, on_freed);
}

static void forget(struct witnesses *witnesses, struct witness *witness)
{
    struct witness **at = &witnesses->first;

    while (*at != witness)
        at = &(*at)->next;
    *at = witness->next;
    witness_free(witness);
}

static void connect_to(struct witness *witness)
{
    witness->state = WITNESS_CONNECTING;
    await_answer(witness);
    connection_open(witness->connection);
}

static void on_open(void *context)
{
    struct witness *witness = context;

    witness->state = WITNESS_GREETED;
    ask_peers(witness);
    ask(witness);
}

static void on_closed(void *context, enum lease_failure failure, const char *why)
{
    struct witness *witness = context;
    bool refused = failure == LEASE_FAILURE_CONFIGURATION;

    if (refused && noise_hear(&witness->noise, why, clock_boottime_ns()).tell)
        log_line(LOG_LEVEL_WARNING, "witness", "a witness has no vote: %s", why);
    else
        log_line(LOG_LEVEL_DEBUG, "witness", "%s", why);
    back_off(witness);
}

/* Adds one at the end. Returns 0 or -errno. */
static int add(struct witnesses *witnesses, const char *host, const char *port,
               struct witness **out)
{
    struct witness *witness = calloc(1, sizeof *witness);
    struct witness **last = &witnesses->first;
    const struct connection_config connection = {
        .loop = witnesses->config.loop,
        .target = witness != NULL ? &witness->target : NULL,
        .timeout_ms = witnesses->config.timeout_ms,
        .callbacks = {.on_open = on_open, .on_closed = on_closed},
        .context = witness,
    };

    if (witness == NULL)
        return -ENOMEM;
    int error = redis_target_one(witnesses->config.target, witnesses->kind->role, host, port,
                                 &witness->target);
    if (error == 0)
        error = connection_new(&witness->connection, &connection);
    if (error != 0) {
        redis_target_clear(&witness->target);
        free(witness);
        return error;
    }
    witness->owner = witnesses;
    (void)place_set(&witness->place, host, strlen(host), port, strlen(port));
    witness->backoff_ms = BACKOFF_MIN_MS;
    /* Cannot fail (uv_timer_init). */
    uv_timer_init(witnesses->config.loop, &witness->timer);
    witness->timer.data = witness;
    while (*last != NULL)
        last = &(*last)->next;
    *last = witness;
    *out = witness;
    return 0;
}

/* Whether one that did not say yet who it is has this address. */
static bool is_awaited(const struct witnesses *witnesses, const struct place *place)
{
    for (const struct witness *at = witnesses->first; at != NULL; at = at->next)
        if (at->id[0] == '\0' && place_is_same(&at->place, place))
            return true;
    return false;
}

/* One that was told of, perhaps by another address than before. A lack of memory mends itself: it
 * is told of again. */
static void meet(struct witnesses *witnesses, const struct witness_peer *peer)
{
    struct witness *witness = find(witnesses, peer->id);

    if (!peer->has_vote || peer->place.host[0] == '\0')
        return;
    if (witness != NULL && !witness->configured && witness->state == WITNESS_WAITING &&
        !place_is_same(&witness->place, &peer->place)) {
        forget(witnesses, witness);
        witness = NULL;
    }
    if (witness != NULL || is_awaited(witnesses, &peer->place) ||
        add(witnesses, peer->place.host, peer->place.port, &witness) != 0)
        return;
    memcpy(witness->id, peer->id, sizeof witness->id);
    connect_to(witness);
}

/* It said who it is, which may be somebody whom we know by another address. */
static void recognise(struct witness *witness, const char *id)
{
    struct witnesses *witnesses = witness->owner;
    struct witness *other;

    witness->id[0] = '\0';
    while ((other = find(witnesses, id)) != NULL && !other->configured)
        forget(witnesses, other);
    memcpy(witness->id, id, sizeof witness->id);
}

static void on_peers(void *context, const struct witness_peers *peers)
{
    struct witness *witness = context;
    struct witnesses *witnesses = witness->owner;

    witness->is_asked_peers = false;
    if (peers == NULL) {
        log_line(LOG_LEVEL_DEBUG, "witness", "a witness does not say who it is, and has no vote");
        back_off(witness);
        return;
    }
    if (witness->asked == 0)
        uv_timer_stop(&witness->timer);
    witness->state = WITNESS_KNOWN;
    witness->backoff_ms = BACKOFF_MIN_MS;
    witness->peers_ms = uv_now(witnesses->config.loop);
    witness->peers = *peers;
    recognise(witness, peers->id);
    count_peers(witnesses, witness);
    for (size_t i = 0; i < peers->count; i++)
        meet(witnesses, &peers->list[i]);
}

/* Whether somebody who can be asked still tells of it, or nobody can be asked. */
static bool is_told_of(const struct witnesses *witnesses, const struct witness *witness)
{
    bool somebody = false;

    for (const struct witness *at = witnesses->first; at != NULL; at = at->next) {
        if (at->state != WITNESS_KNOWN)
            continue;
        somebody = true;
        for (size_t i = 0; i < at->peers.count; i++)
            if (at->peers.list[i].has_vote && strcmp(at->peers.list[i].id, witness->id) == 0)
                return true;
    }
    return !somebody;
}

/* Lets those go that cannot be reached and that nobody knows any more. */
static void prune(struct witnesses *witnesses)
{
    struct witness *next;

    for (struct witness *at = witnesses->first; at != NULL; at = next) {
        next = at->next;
        if (!at->configured && at->state == WITNESS_WAITING && !is_told_of(witnesses, at))
            forget(witnesses, at);
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct witness *witness = timer->data;
    char where[REDIS_SHOWN_SIZE];

    if (witness->state == WITNESS_WAITING) {
        connect_to(witness);
        return;
    }
    log_line(LOG_LEVEL_DEBUG, "witness", "the witness at %s does not answer in time",
             redis_target_show(&witness->target, where, sizeof where));
    back_off(witness);
}

/* ---- for the owner ---- */

static void on_switch(void *context, const struct place *place)
{
    struct witnesses *witnesses = context;

    if (witnesses->link != NULL && !is_here(witnesses, place))
        witnesses->config.on_hint(witnesses->config.context);
}

static int make_listener(struct witnesses *witnesses)
{
    const struct switch_config config = {.loop = witnesses->config.loop,
                                         .target = witnesses->config.target,
                                         .timeout_ms = PATIENCE_MAX_MS,
                                         .on_switch = on_switch,
                                         .context = witnesses};

    if (witnesses->config.target->kind != REDIS_SENTINELS || witnesses->config.on_hint == NULL)
        return 0;
    return switch_new(&witnesses->listener, &config);
}

int witnesses_new(struct witnesses **out, const struct witnesses_config *config)
{
    struct witnesses *witnesses = calloc(1, sizeof *witnesses);
    int error = 0;

    if (witnesses == NULL)
        return -ENOMEM;
    witnesses->config = *config;
    bool cluster = config->target->kind == REDIS_CLUSTER;
    witnesses->kind = cluster ? &masters : &sentinels;
    witnesses->about = cluster ? config->key : config->target->service;
    for (size_t i = 0; i < config->target->seed_count && error == 0; i++) {
        const struct redis_seed *seed = &config->target->seeds[i];
        struct witness *witness;

        error = add(witnesses, seed->host, seed->port, &witness);
        if (error == 0)
            witness->configured = true;
    }
    if (error == 0)
        error = make_listener(witnesses);
    if (error != 0) {
        witnesses_free(witnesses);
        return error;
    }
    *out = witnesses;
    return 0;
}

void witnesses_start(struct witnesses *witnesses)
{
    if (witnesses->started)
        return;
    witnesses->started = true;
    if (witnesses->listener != NULL)
        switch_start(witnesses->listener);
    for (struct witness *at = witnesses->first; at != NULL; at = at->next)
        connect_to(at);
}

void witnesses_link(struct witnesses *witnesses, const struct route_hop *hop)
{
    witnesses->link = hop;
}

void witnesses_poll(struct witnesses *witnesses, uint64_t poll)
{
    uint64_t now_ms = uv_now(witnesses->config.loop);
    /* The last one came to nothing, perhaps because others are the masters now. */
    bool anew = witnesses->kind->by_others && witnesses->agreed <= witnesses->count / 2;

    witnesses->poll = poll;
    witnesses->agreed = 0;
    prune(witnesses);
    witnesses->count = 0;
    for (struct witness *at = witnesses->first; at != NULL; at = at->next)
        count_peers(witnesses, at);
    for (struct witness *at = witnesses->first; at != NULL; at = at->next) {
        if (at->state != WITNESS_KNOWN && at->state != WITNESS_GREETED)
            continue;
        if (anew || now_ms - at->peers_ms >= PEERS_REFRESH_MS)
            ask_peers(at);
        ask(at);
    }
}

void witnesses_free(struct witnesses *witnesses)
{
    struct witness *next;

    if (witnesses == NULL)
        return;
    switch_free(witnesses->listener);
    for (struct witness *at = witnesses->first; at != NULL; at = next) {
        next = at->next;
        witness_free(at);
    }
    free(witnesses);
}
