/* An operator who pauses, cordons and asks leaders to go, as leaderctl does it: by writing beside
 * the record of whoever is the master. */
#include "world.h"

static struct server *master_of(struct world *world)
{
    return &world->servers[world->master];
}

static int64_t now_ms(const struct world *world, const struct server *server)
{
    return server_us(world, server) / 1000;
}

/* Nobody can know whether it is heard. */
static void announce(struct world *world, const struct server *server)
{
    struct message push = {.record = server->data.record, .listeners = -1};

    if (!server->data.record.missing && chance(world, 500000))
        network_publish(world, server, &push);
}

static void resume(struct world *world, struct server *server)
{
    server->data.wishes.pause = false;
    if (server->data.holder == PAUSE_SIGN)
        server->data.holder = 0;
    announce(world, server);
}

static void pause(struct world *world, struct server *server, int64_t span_ms)
{
    server->data.wishes.pause = true;
    server->data.wishes.pause_at_ms = now_ms(world, server);
    server->data.wishes.pause_ms = span_ms;
}

/* Now and then a term that is over already. */
static bool ask(struct world *world, struct server *server)
{
    struct wishes *wishes = &server->data.wishes;

    if (server->data.record.state != LEASE_HELD || server->data.record.token == 0)
        return false;
    wishes->ask_token = server->data.record.token - chance(world, 200000);
    wishes->ask_at_ms = now_ms(world, server);
    wishes->ask_ms = between(world, 1, world->plan.ttl_ns / NS_PER_MS);
    wishes->ask_to =
        chance(world, 500000) ? NO_NAME : (uint8_t)between(world, 0, world->plan.hosts - 1);
    world->asked[world->asked_count++ % ASKED_MAX] = wishes->ask_token;
    return true;
}

bool operator_acts(struct world *world, enum fault fault)
{
    struct server *server = master_of(world);
    int64_t ttl_ms = world->plan.ttl_ns / NS_PER_MS;
    bool done = true;

    if (!server->up)
        return false;
    if (fault == FAULT_STEP_DOWN)
        done = ask(world, server);
    else if (fault == FAULT_CORDON)
        server->data.wishes.cordons ^= UINT32_C(1) << between(world, 0, world->plan.hosts - 1);
    else if (server->data.wishes.pause)
        resume(world, server);
    else
        pause(world, server, chance(world, 500000) ? 0 : between(world, 1, 2 * ttl_ms));
    if (done)
        server_note_write(world, server);
    return done;
}

void operator_ends(struct world *world)
{
    struct server *server = master_of(world);

    server->data.wishes = (struct wishes){0};
    if (server->data.holder == PAUSE_SIGN)
        server->data.holder = 0;
    if (world->plan.last_pause) {
        pause(world, server, 0);
        queue_event(world, world->plan.led_from, HAPPEN_LIFTED, NOBODY, 0);
    } else {
        announce(world, server);
    }
}

void operator_lifts(struct world *world)
{
    struct server *server = master_of(world);

    for (int i = 0; i < PROCESSES_MAX; i++)
        if (world->processes[i].used && tree_alive(&world->processes[i].tree))
            VIOLATE(world, VIOLATION_ASKED, "c%u runs its command, though the lease is paused",
                    world->processes[i].id);
    TRACE(world, NULL, "the pause ends");
    resume(world, server);
}

void operator_check_end(struct world *world, const struct process *process,
                        const struct election_note *note)
{
    if (note->kind != NOTE_TERM_ENDING || note->end != END_ASKED)
        return;
    for (uint32_t i = 0; i < ASKED_MAX && i < world->asked_count; i++)
        if (world->asked[i] == process->election.term.token)
            return;
    VIOLATE(world, VIOLATION_ASKED, "c%u steps down, which nobody has asked for", process->id);
}
