/* Asks nodes for the owner of a key's slot, and hands its address to a resolver. */
#include "cluster.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cluster_ask.h"
#include "inquiry.h"
#include "leaderwrap/redis/connection.h"

/* Nodes that are remembered: the seeds, and those that the last answer told of. */
#define NODES_MAX (REDIS_SEEDS_MAX + WITNESS_PEERS_MAX + 1)

struct cluster {
    struct inquiry inquiry;
    size_t turn;      /* who is asked, or answered last; over all rounds */
    size_t left;      /* to be asked in this round */
    unsigned refused; /* in this round: those that answered, and will do so again */
    unsigned asked;   /* in this round */
    /* The node that is asked. It is connected to only for that. */
    struct redis_target node;
    struct connection *connection;
    bool told;         /* it told the nodes that there are */
    struct place self; /* where it is itself, as it told */
    bool is_hinted;
    struct place hint; /* of route_moved */
    size_t seeds;
    size_t count;
    struct place nodes[NODES_MAX];
};

static void give_up(struct cluster *cluster)
{
    char none[ROUTE_WHY_SIZE];

    snprintf(none, sizeof none, "none of %u nodes of the cluster says where the key is",
             cluster->asked);
    inquiry_lost(&cluster->inquiry, cluster->refused == cluster->asked, none);
}

static void on_patience(uv_timer_t *timer);
static void on_open(void *context);
static void on_closed(void *context, enum lease_failure failure, const char *why);

static void hang_up(struct cluster *cluster)
{
    connection_free(cluster->connection);
    cluster->connection = NULL;
}

/* Returns 0 or -errno. */
static int ask(struct cluster *cluster, const struct place *place)
{
    const struct connection_config config = {
        .loop = cluster->inquiry.config.loop,
        .target = &cluster->node,
        .timeout_ms = CLUSTER_PATIENCE_MS,
        .callbacks = {.on_open = on_open, .on_closed = on_closed},
        .context = cluster,
    };

    redis_target_clear(&cluster->node);
    cluster->told = false;
    memset(&cluster->self, 0, sizeof cluster->self);
    int error = redis_target_one(cluster->inquiry.config.target, REDIS_AS_SERVER, place->host,
                                 place->port, &cluster->node);
    if (error == 0)
        error = connection_new(&cluster->connection, &config);
    if (error != 0)
        return error;
    inquiry_await(&cluster->inquiry, on_patience, CLUSTER_PATIENCE_MS);
    connection_open(cluster->connection);
    return 0;
}

static void ask_next(struct cluster *cluster)
{
    while (cluster->left > 0) {
        cluster->left--;
        cluster->asked++;
        int error = ask(cluster, &cluster->nodes[cluster->turn % cluster->count]);
        if (error == 0)
            return;
        inquiry_note(&cluster->inquiry, "%s", strerror(-error));
        cluster->turn++;
    }
    give_up(cluster);
}

/* The present one is of no use: on to the next. */
static void pass_on(struct cluster *cluster)
{
    hang_up(cluster);
    cluster->turn++;
    ask_next(cluster);
}

static void on_patience(uv_timer_t *timer)
{
    struct cluster *cluster = timer->data;
    char where[REDIS_SHOWN_SIZE];

    inquiry_note(&cluster->inquiry, "the node at %s does not answer within %d ms",
                 redis_target_show(&cluster->node, where, sizeof where), CLUSTER_PATIENCE_MS);
    pass_on(cluster);
}

static void on_closed(void *context, enum lease_failure failure, const char *why)
{
    struct cluster *cluster = context;

    cluster->refused += failure == LEASE_FAILURE_CONFIGURATION;
    inquiry_note(&cluster->inquiry, "asking a node: %.400s", why);
    pass_on(cluster);
}

/* ---- the answer ---- */

static bool is_known(const struct cluster *cluster, const struct place *place)
{
    for (size_t i = 0; i < cluster->count; i++)
        if (place_is_same(&cluster->nodes[i], place))
            return true;
    return false;
}

static void learn(struct cluster *cluster, const struct place *place)
{
    if (place->host[0] != '\0' && cluster->count < NODES_MAX && !is_known(cluster, place))
        cluster->nodes[cluster->count++] = *place;
}

/* The nodes that there are now take the place of those that there were. The one that told of them
 * stays the first to be asked. */
static void on_peers(void *context, const struct witness_peers *peers)
{
    struct cluster *cluster = context;
    struct place present = cluster->nodes[cluster->turn % cluster->count];

    if (peers == NULL)
        return;
    cluster->told = true;
    cluster->self = peers->place;
    cluster->count = cluster->seeds;
    learn(cluster, &present);
    learn(cluster, &peers->place);
    for (size_t i = 0; i < peers->count; i++)
        learn(cluster, &peers->list[i].place);
    for (cluster->turn = 0; !place_is_same(&cluster->nodes[cluster->turn], &present);)
        cluster->turn++;
}

/* Returns whether the way there could be made. */
static bool found(struct cluster *cluster, const struct place *place)
{
    hang_up(cluster);
    int error = inquiry_found(&cluster->inquiry, place);
    if (error != 0)
        inquiry_note(&cluster->inquiry, "%s", strerror(-error));
    return error == 0;
}

/* A node that does not tell the others is of no use: there would be no witnesses. */
static void note_reticence(struct cluster *cluster, const char *where)
{
    cluster->refused++;
    inquiry_note(
        &cluster->inquiry,
        "redis at %s does not tell the nodes of its cluster, if it is in one: allow CLUSTER MYID, "
        "NODES and SLOTS, or leave out --cluster",
        where);
}

static void note_refusal(struct cluster *cluster, const struct witness_answer *answer,
                         const char *where)
{
    bool for_good = answer->failure == LEASE_FAILURE_CONFIGURATION;

    if (for_good && !cluster->told) {
        note_reticence(cluster, where);
        return;
    }
    cluster->refused += for_good;
    inquiry_note(&cluster->inquiry, "redis at %.200s: %s", where, answer->text);
}

static void on_answer(void *context, const struct witness_answer *answer)
{
    struct cluster *cluster = context;
    bool itself = answer->says == WITNESS_ITSELF;
    const struct place *place = itself ? &cluster->self : &answer->place;
    char where[REDIS_SHOWN_SIZE];

    redis_target_show(&cluster->node, where, sizeof where);
    switch (answer->says) {
    case WITNESS_NAMES:
    case WITNESS_ITSELF:
        if (!cluster->told)
            note_reticence(cluster, where);
        else if (place->host[0] == '\0')
            inquiry_note(&cluster->inquiry,
                         "redis at %s has the key, and no address (cluster-announce-hostname)",
                         where);
        else if (found(cluster, place))
            return;
        break;
    case WITNESS_UNAWARE: /* no node says so */
    case WITNESS_REFUSES:
        note_refusal(cluster, answer, where);
        break;
    }
    pass_on(cluster);
}

/* Where it cannot be asked no answer comes either, and the timer finds that. */
static void on_open(void *context)
{
    struct cluster *cluster = context;

    if (cluster->inquiry.config.key == NULL) {
        if (!found(cluster, &cluster->nodes[cluster->turn % cluster->count]))
            pass_on(cluster);
        return;
    }
    if (cluster_ask_peers(cluster->connection, cluster->inquiry.config.key, on_peers, cluster) == 0)
        (void)cluster_ask(cluster->connection, cluster->inquiry.config.key, on_answer, cluster);
}

/* ---- for the connection ---- */

static void begin(struct route *base)
{
    struct cluster *cluster = (struct cluster *)base;
    bool hinted = cluster->is_hinted;

    /* Whoever was not heard out in the last round would not be in this one either, and whoever was
     * has led to where nobody stays: its view may be an old one. */
    cluster->turn += cluster->inquiry.state != INQUIRY_LOST;
    hang_up(cluster);
    inquiry_begin(&cluster->inquiry);
    cluster->is_hinted = false;
    if (hinted && inquiry_found(&cluster->inquiry, &cluster->hint) == 0)
        return;
    cluster->left = cluster->count;
    cluster->refused = cluster->asked = 0;
    ask_next(cluster);
}

static void moved(struct route *base, const struct place *place)
{
    struct cluster *cluster = (struct cluster *)base;

    cluster->is_hinted = true;
    cluster->hint = *place;
}

static void cluster_free(struct route *base)
{
    struct cluster *cluster = (struct cluster *)base;

    hang_up(cluster);
    redis_target_clear(&cluster->node);
    inquiry_free(&cluster->inquiry);
}

int cluster_new(struct route **out, const struct route_config *config)
{
    static const struct route_functions functions = {
        .begin = begin, .next = inquiry_next, .free = cluster_free, .moved = moved};
    const struct redis_target *target = config->target;
    struct cluster *cluster = calloc(1, sizeof *cluster);

    if (cluster == NULL)
        return -ENOMEM;
    inquiry_init(&cluster->inquiry, &functions, config);
    for (; cluster->seeds < target->seed_count; cluster->seeds++) {
        const struct redis_seed *seed = &target->seeds[cluster->seeds];

        (void)place_set(&cluster->nodes[cluster->seeds], seed->host, strlen(seed->host), seed->port,
                        strlen(seed->port));
    }
    cluster->count = cluster->seeds;
    *out = &cluster->inquiry.route;
    return 0;
}
