/* A connection to wherever the last ASK led. */
#include "detour.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <stdlib.h>

struct detour {
    struct detour_config config;
    struct place place;
    struct redis_target target;
    struct connection *connection; /* NULL: it leads nowhere */
};

int detour_new(struct detour **out, const struct detour_config *config)
{
    struct detour *detour = calloc(1, sizeof *detour);

    if (detour == NULL)
        return -ENOMEM;
    detour->config = *config;
    *out = detour;
    return 0;
}

void detour_close(struct detour *detour)
{
    if (detour == NULL)
        return;
    connection_free(detour->connection);
    detour->connection = NULL;
    redis_target_clear(&detour->target);
}

int detour_to(struct detour *detour, const struct place *place)
{
    const struct connection_config config = {
        .loop = detour->config.loop,
        .target = &detour->target,
        .timeout_ms = detour->config.timeout_ms,
        .callbacks = detour->config.callbacks,
        .context = detour->config.context,
    };

    if (detour->connection != NULL && place_is_same(place, &detour->place))
        return connection_is_open(detour->connection) ? 1 : 0;
    detour_close(detour);
    detour->place = *place;
    int error = redis_target_one(detour->config.target, REDIS_AS_SERVER, place->host, place->port,
                                 &detour->target);
    if (error == 0)
        error = connection_new(&detour->connection, &config);
    if (error == 0)
        connection_open(detour->connection);
    return error;
}

/* Should it fail, the command behind it does, too: it is sent on the same connection, and answered
 * with MOVED. */
static void on_asking(void *context, const redisReply *reply)
{
    (void)context;
    (void)reply;
}

int detour_send(struct detour *detour, int argc, const char *const *argv, const size_t *lengths,
                connection_reply_fn *reply, void *context)
{
    const char *const asking[] = {"ASKING"};

    if (detour->connection == NULL)
        return -ENOTCONN;
    int error = connection_send(detour->connection, 1, asking, NULL, on_asking, NULL);
    return error == 0 ? connection_send(detour->connection, argc, argv, lengths, reply, context)
                      : error;
}

void detour_free(struct detour *detour)
{
    detour_close(detour);
    free(detour);
}
