/* Redis servers: when they execute, what they remember, and who they are. */
#include "world.h"

int64_t server_us(const struct world *world, const struct server *server)
{
    int64_t now_us = world->now / 1000;
    return server->wall_us + now_us + now_us * server->rate_ppm / 1000000;
}

/* A server process, new or the same, begins to be a master. Its data are the caller's business. */
void server_start(struct world *world, struct server *server, bool same_process)
{
    server->incarnation = ++world->last_replid;
    server->up = true;
    server->detached = false;
    if (!same_process) {
        server->instance = ++world->last_instance;
        server->frozen_until = 0;
        server->errors_until = 0;
        server->hangs_up_until = 0;
    }
}

struct server *server_of(struct world *world, uint32_t instance)
{
    for (int i = 0; i < 2; i++) {
        if (world->servers[i].up && world->servers[i].instance == instance)
            return &world->servers[i];
    }
    return NULL;
}

/* Only what happened on the line of masters counts: a detached one's writes reach no replica. */
void server_note_write(struct world *world, const struct server *server)
{
    if (server->detached)
        return;
    world->snapshots[world->snapshot_count++ % SNAPSHOTS] =
        (struct snapshot){.at = world->now, .data = server->data};
}

struct data server_data_before(const struct world *world, int64_t lag_ns)
{
    struct data data = {.record.missing = true};
    uint32_t known = world->snapshot_count < SNAPSHOTS ? world->snapshot_count : SNAPSHOTS;

    for (uint32_t i = 1; i <= known; i++) {
        const struct snapshot *snapshot =
            &world->snapshots[(world->snapshot_count - i) % SNAPSHOTS];
        if (snapshot->at <= world->now - lag_ns)
            return snapshot->data;
    }
    return data;
}

/* ---- executing ---- */

bool server_hangs_up(struct world *world, uint32_t instance)
{
    const struct server *server = server_of(world, instance);

    return server != NULL && server->hangs_up_until > world->now;
}

/* Sends the answer in message `number` back, or drops it. */
static void send_answer(struct world *world, uint16_t number)
{
    const struct message *message = &world->messages[number];
    struct process *process = &world->processes[message->process];
    bool gone = process->serial != message->serial || !process->elector;

    if (!gone && message->epoch == process->connection.epoch) {
        int64_t at =
            network_arrival(world, &world->hosts[process->host], &process->connection, BACK);
        if (at >= 0) {
            queue_message(world, at, HAPPEN_REPLY, message->process, number);
            if (server_hangs_up(world, message->instance))
                queue_event(world, at, HAPPEN_CLOSED, message->process, message->epoch);
            return;
        }
    } else if (!gone && world->plan.stale_replies && world->now < world->plan.quiet_at) {
        queue_message(world, world->now + between(world, 0, world->plan.ttl_ns), HAPPEN_REPLY,
                      message->process, number);
        return;
    }
    message_free(world, number);
}

static void answer_error(struct message *message, enum lease_failure failure)
{
    message->verdict = LEASE_FAILED;
    message->failure = failure;
}

/* Notes a grant that the last term did not release: by any two clocks the lock delay is not over
 * before 99 % of it. What is written to a detached server is lost, and counts for its own term. */
static void note_grant(struct world *world, const struct server *server,
                       const struct message *message)
{
    struct process *process = &world->processes[message->process];
    int64_t delay_ns = world->hosts[process->host].lock_delay_ms * NS_PER_MS;
    int64_t until = world->now + delay_ns / 100 * 99;

    if (message->verdict != LEASE_GRANTED || message->serial != process->serial ||
        (message->before != LEASE_HELD && message->before != LEASE_VACANT))
        return;
    process->delayed_token = message->record.token;
    process->delayed_until = until;
    /* A grant that no majority confirms delays nobody else. */
    if (!server->detached && world->plan.witnesses == 0 && until > world->delayed_until)
        world->delayed_until = until;
}

/* Notes a hold that everybody can know of, as long as the data are kept. Where two terms overlap,
 * as they may outside the promise, the newer one ends the older one's hold. */
static void note_hold(struct world *world, const struct server *server,
                      const struct message *message)
{
    int64_t until = world->now + message->hold_ms * NS_PER_MS / 100 * 99;

    /* The one way in which a hold may be lost, see doc/ARCHITECTURE.md: the term's last renewal
     * comes late, and finds what a new incarnation of the server has left of the record. */
    if (message->verdict == LEASE_RENEWED && message->record.token == world->held_token)
        world->held_until = 0;
    if (message->verdict == LEASE_RELEASED && message->hold_ms > 0 && !server->detached &&
        !world->plan.serving_without_wait && world->plan.witnesses == 0) {
        world->held_until = until;
        world->held_token = message->token;
    }
}

static void execute(struct world *world, struct server *server, struct message *message)
{
    enum error_kind errors = server->errors_until > world->now ? server->errors : ERROR_KINDS;

    switch (errors) {
    case ERROR_REFUSED:
        answer_error(message, LEASE_FAILURE_TRANSIENT);
        break;
    case ERROR_ROLE:
        answer_error(message, LEASE_FAILURE_ROLE);
        break;
    case ERROR_CONFIGURATION:
        answer_error(message, LEASE_FAILURE_CONFIGURATION);
        break;
    case ERROR_EXECUTED:
        script_run(world, server, message);
        note_grant(world, server, message);
        note_hold(world, server, message);
        answer_error(message, LEASE_FAILURE_TRANSIENT);
        break;
    case ERROR_SET_REFUSED:
    case ERROR_KINDS:
        script_run(world, server, message);
        note_grant(world, server, message);
        note_hold(world, server, message);
        break;
    }
    if (world->tracing)
        trace_answer(world, message);
}

void server_execute(struct world *world, const struct event *event)
{
    struct message *message = &world->messages[event->message];
    struct server *server = server_of(world, message->instance);

    if (server != NULL && server->frozen_until > world->now) {
        queue_again(world, event, server->frozen_until);
        return;
    }
    if (server == NULL)
        answer_error(message, LEASE_FAILURE_TRANSIENT);
    else
        execute(world, server, message);
    if (server == NULL)
        message_free(world, event->message);
    else if (world->plan.wait_replicas)
        queue_message(world, world->now + world->plan.replica_lag_ns, HAPPEN_ACKNOWLEDGED, NOBODY,
                      event->message);
    else
        send_answer(world, event->message);
}

/* With WAIT an answer counts only once the replica has the write, which it never gets from a master
 * that is not its own any more. */
void server_acknowledged(struct world *world, uint16_t number)
{
    struct message *message = &world->messages[number];
    const struct server *server = server_of(world, message->instance);

    bool wrote = message->verdict != LEASE_REFUSED && message->verdict != LEASE_LOST;

    if (server != NULL && server->detached && wrote)
        answer_error(message, LEASE_FAILURE_TRANSIENT);
    if (server == NULL)
        message_free(world, number);
    else
        send_answer(world, number);
}
