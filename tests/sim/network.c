/*
 * The network: packets are lost, delayed and, within one connection, kept in order.
 *
 * A packet that is lost for good takes its connection with it: nothing sent on it later arrives.
 * What arrives after its sender has given the connection up is executed all the same.
 */
#include <string.h>

#include "splitmix.h"
#include "world.h"

#define NOTICE_NS (200 * NS_PER_MS) /* until a lost connection is noticed, at most */

static int64_t latency(struct world *world, const struct host *host)
{
    return host->latency_ns + between(world, 0, host->latency_ns);
}

/* All that is under way when the faults end arrives then. */
static int64_t no_later_than_quiet(struct world *world, const struct host *host, int64_t at)
{
    int64_t quiet_at = world->plan.quiet_at > world->now ? world->plan.quiet_at : world->now;
    int64_t most = quiet_at + latency(world, host);
    return at < most ? at : most;
}

static int64_t random_delay(struct world *world, enum direction direction)
{
    int64_t timeouts_ns = world->plan.ttl_ns / 2;

    count_fault(world, direction == OUT ? FAULT_REQUEST_DELAYED : FAULT_REPLY_DELAYED);
    return between(world, 0, chance(world, 700000) ? timeouts_ns : world->plan.ttl_ns * 5 / 2);
}

int64_t network_arrival(struct world *world, struct host *host, struct connection *connection,
                        enum direction direction)
{
    bool quiet = world->now >= world->plan.quiet_at;
    int64_t at = world->now + latency(world, host);

    if (connection->broken)
        return -1;
    if (!quiet && chance(world, world->plan.loss_ppm)) {
        count_fault(world, direction == OUT ? FAULT_REQUEST_LOST : FAULT_REPLY_LOST);
        connection->broken = true;
        return -1;
    }
    if (!quiet && chance(world, world->plan.delay_ppm))
        at += random_delay(world, direction);
    if (host->blocked_until[direction] > world->now) {
        if (host->drops) {
            connection->broken = true;
            return -1;
        }
        at += host->blocked_until[direction] - world->now;
    }
    at = no_later_than_quiet(world, host, at);
    if (at < connection->last[direction])
        at = connection->last[direction];
    connection->last[direction] = at;
    return at;
}

void network_open(struct world *world, struct process *process)
{
    struct connection *connection = &process->connection;
    struct host *host = &world->hosts[process->host];
    const struct server *other = &world->servers[1 - world->master];
    bool stale = other->up && chance(world, 300000);

    connection->epoch++;
    connection->open = false;
    connection->broken = false;
    connection->last[OUT] = connection->last[BACK] = 0;
    connection->server = (uint8_t)(stale ? 1 - world->master : world->master);
    if (world->plan.witnesses > 0 && chance(world, 900000))
        connection->server = witnesses_route(world);
    connection->instance = world->servers[connection->server].instance;
    int64_t there = network_arrival(world, host, connection, OUT);
    int64_t back = there < 0 ? -1 : network_arrival(world, host, connection, BACK);
    /* No answer at all: the elector's own time-out finds that. */
    if (back < 0)
        return;
    queue_event(world, there + back - world->now, HAPPEN_OPENED, process_number(world, process),
                connection->epoch);
}

void network_opened(struct world *world, struct process *process, uint32_t epoch)
{
    struct connection *connection = &process->connection;
    struct election_event event = {.kind = EVENT_OPENED};
    const struct server *server = &world->servers[connection->server];

    if (epoch != connection->epoch)
        return;
    if (!server->up || server->instance != connection->instance) {
        TRACE(world, process, "connection refused");
        event.kind = EVENT_CLOSED;
        event.failure = LEASE_FAILURE_TRANSIENT;
    } else {
        connection->open = true;
        if (server_hangs_up(world, server->instance) && server->hangs_up_at_once)
            queue_event(world, world->now + latency(world, &world->hosts[process->host]),
                        HAPPEN_CLOSED, process_number(world, process), epoch);
    }
    elector_feed(world, process, &event);
}

static int64_t retry_ns(struct world *world)
{
    return world->now + between(world, 100 * NS_PER_MS, 1000 * NS_PER_MS);
}

void network_server_gone(struct world *world, uint32_t instance)
{
    for (uint8_t i = 0; i < PROCESSES_MAX; i++) {
        struct process *process = &world->processes[i];
        if (!process->used || !process->elector)
            continue;
        const struct host *host = &world->hosts[process->host];
        bool unheard = host->drops && host->blocked_until[BACK] > world->now;
        if (process->connection.instance == instance && !unheard)
            queue_event(world, world->now + between(world, 0, NOTICE_NS), HAPPEN_CLOSED, i,
                        process->connection.epoch);
        if (process->subscribed == instance) {
            process->subscribed = 0;
            queue_event(world, retry_ns(world), HAPPEN_SUBSCRIBE, i, 0);
        }
    }
}

/* The watcher's connection: it comes back by itself. */
void network_subscribe(struct world *world, struct process *process)
{
    const struct host *host = &world->hosts[process->host];
    const struct server *server = &world->servers[world->master];

    if (!process->watching || process->subscribed == server->instance)
        return;
    if (server->up && host->blocked_until[OUT] <= world->now &&
        host->blocked_until[BACK] <= world->now) {
        struct election_event event = {.kind = EVENT_LISTENING};
        process->subscribed = server->instance;
        elector_feed(world, process, &event);
    } else {
        queue_event(world, retry_ns(world), HAPPEN_SUBSCRIBE, process_number(world, process), 0);
    }
}

static void push_to(struct world *world, uint8_t number, const struct message *push)
{
    struct host *host = &world->hosts[world->processes[number].host];
    struct process *process = &world->processes[number];
    bool trouble = world->now < world->plan.quiet_at && chance(world, world->plan.push_trouble_ppm);
    int64_t at = world->now + latency(world, host);

    if (host->blocked_until[BACK] > world->now && host->drops)
        return;
    if (trouble && chance(world, 400000)) {
        count_fault(world, FAULT_PUSH_LOST);
        return;
    }
    if (trouble) {
        count_fault(world, FAULT_PUSH_DELAYED);
        at += between(world, 0, 2 * world->plan.ttl_ns);
    } else if (at < process->last_push) {
        at = process->last_push;
    }
    if (host->blocked_until[BACK] > world->now)
        at += host->blocked_until[BACK] - world->now;
    at = no_later_than_quiet(world, host, at);
    if (!trouble)
        process->last_push = at;
    uint16_t copy = message_new(world, MESSAGE_PUSH);
    world->messages[copy] = *push;
    world->messages[copy].kind = MESSAGE_PUSH;
    queue_message(world, at, HAPPEN_PUSH, number, copy);
}

void network_publish(struct world *world, const struct server *server, const struct message *push)
{
    for (uint8_t i = 0; i < PROCESSES_MAX; i++) {
        const struct process *process = &world->processes[i];
        if (!process->used || !process->elector || process->subscribed != server->instance)
            continue;
        push_to(world, i, push);
        if (world->now < world->plan.quiet_at && chance(world, world->plan.push_trouble_ppm / 2)) {
            count_fault(world, FAULT_PUSH_REPEATED);
            push_to(world, i, push);
        }
    }
}

/* A stray or hostile message: any of it may be true. Whoever guesses says of each version what the
 * next one would be, were nonces what a generator of good random numbers gives. */
static void forge(struct world *world, struct message *push)
{
    static const enum lease_state states[] = {LEASE_HELD,   LEASE_HELD,   LEASE_HELD,
                                              LEASE_CLOSED, LEASE_VACANT, LEASE_FREE};
    const struct server *server = &world->servers[world->master];
    const struct record *truth = &server->data.record;

    memset(push, 0, sizeof *push);
    if (world->plan.stranger_guesses) {
        push->record = *truth;
        push->record.version = splitmix_next(truth->version);
        push->listeners = -1;
        return;
    }
    push->record.state = states[between(world, 0, world->plan.stranger_renews ? 2 : 5)];
    push->record.incarnation = chance(world, 800000) ? server->incarnation : draw(world);
    push->record.version = chance(world, 200000) ? truth->version : draw(world);
    push->record.ttl_ms = between(world, 1, 2 * world->plan.ttl_ns / NS_PER_MS);
    push->record.token = truth->token + (uint64_t)between(world, 0, 1000);
    push->listeners = between(world, -1, 100);
}

void network_publish_forged(struct world *world)
{
    /* It goes on after the last fault, but not so often that little else is simulated. */
    int64_t least_ns = world->plan.ttl_ns / 40;
    int64_t pause_ns = between(world, 1, world->plan.stranger_every_ns);
    struct message push;

    forge(world, &push);
    count_fault(world, FAULT_PUSH_FORGED);
    network_publish(world, &world->servers[world->master], &push);
    queue_event(world, world->now + (pause_ns > least_ns ? pause_ns : least_ns), HAPPEN_STRANGER,
                NOBODY, 0);
}
