/* The model: a simulated world with one server, processes that listen to it and one that asks. */
#include <string.h>

#include "differential.h"

void model_begin(struct test *test)
{
    struct world *world = test->world;

    memset(world, 0, sizeof *world);
    queue_reset(world);
    world->random = test->seed;
    world->statistics = &test->statistics;
    /* No trouble in the network, and no end of the schedule. */
    world->plan.quiet_at = NEVER / 2;
    test->server = &world->servers[0];
    test->server->wall_us = SIM_WALL_US;
    test->server->data.record.missing = true;
    server_start(world, test->server, false);
    for (int i = 0; i <= ASKER; i++) {
        world->processes[i].used = true;
        world->processes[i].elector = true;
    }
}

int64_t model_now_us(const struct test *test)
{
    return server_us(test->world, test->server);
}

void model_show_clock(struct test *test)
{
    *test->real.clock_us = model_now_us(test);
}

void model_go_to(struct test *test, int64_t us)
{
    int64_t left_us = us - model_now_us(test);

    if (left_us >= 0)
        test->world->now += left_us * 1000;
    else
        test->server->wall_us += left_us;
    model_show_clock(test);
}

void model_expire(struct test *test)
{
    struct data *data = &test->server->data;

    if (!test->demoted && data->holder != 0 && model_now_us(test) / 1000 > data->holder_expires_ms)
        data->holder = 0;
}

void model_listen(struct test *test, int listeners)
{
    for (int i = 0; i < LISTENERS_MAX; i++)
        test->world->processes[i].subscribed = i < listeners ? test->server->instance : 0;
}

void model_new_ident(struct test *test, bool same_process)
{
    server_start(test->world, test->server, same_process);
}

void model_execute(struct test *test, struct message *request, char heard[LISTENERS_MAX][TEXT_SIZE])
{
    struct world *world = test->world;
    uint16_t number = message_new(world, request->kind);
    struct event event = {.kind = HAPPEN_EXECUTE, .message = number};

    request->process = ASKER;
    request->instance = test->server->instance;
    world->messages[number] = *request;
    for (int i = 0; i < LISTENERS_MAX; i++)
        heard[i][0] = '\0';
    server_execute(world, &event);
    while (queue_next(world, &event)) {
        const struct message *message = &world->messages[event.message];
        if (event.kind == HAPPEN_REPLY) {
            *request = *message;
        } else if (event.kind == HAPPEN_PUSH) {
            append_event_text(test, message, heard[event.process]);
        }
        message_free(world, event.message);
    }
}
