/* The elector's end of the keeper, after src/keeper/keeper_link.c. */
#include "leaderwrap/keeper/protocol.h"
#include "world.h"

#define PASSING_NS INT64_C(100000) /* through the socket, one way */

static void await_ack(struct world *world, struct process *process)
{
    const struct host *host = &world->hosts[process->host];
    int64_t due_ns = process->link.waiting_since_ns + host->timing.renew_ms * NS_PER_MS;

    queue_event(world, host_when(world, host, due_ns), HAPPEN_ACK_DUE,
                process_number(world, process), process->link.sent);
}

void link_send(struct world *world, struct process *process, uint32_t kind,
               const struct election_action *action)
{
    struct keeper_end *link = &process->link;
    bool at_once =
        link->in_flight == 0 && process->keeper.ready_at <= world->now && chance(world, 900000);

    if (link->state != LINK_UP)
        return;
    if (!process->keeper.alive) {
        link_lose(world, process);
        return;
    }
    if (link->acknowledged == link->sent)
        link->waiting_since_ns = host_clock(world, &world->hosts[process->host]);
    uint16_t number = message_new(world, MESSAGE_KEEPER);
    struct message *message = &world->messages[number];
    message->keeper_kind = kind;
    message->run = action->run.number;
    message->token = action->run.token;
    message->version = read_hex(action->run.version);
    message->sequence = ++link->sent;
    message->stop_at_ns = action->run.deadlines.stop_at_ns;
    message->kill_at_ns = action->run.deadlines.kill_at_ns;
    link->in_flight++;
    /* Mostly the keeper is quicker than anything else that could happen. */
    if (at_once) {
        keeper_request(world, process, number);
        message_free(world, number);
        return;
    }
    queue_message(world, world->now + PASSING_NS, HAPPEN_REQUEST, process_number(world, process),
                  number);
    await_ack(world, process);
}

void link_acknowledge(struct world *world, struct process *process, uint32_t sequence)
{
    process->link.acknowledged = sequence;
    process->link.waiting_since_ns = host_clock(world, &world->hosts[process->host]);
}

void link_check_ack(struct world *world, struct process *process)
{
    const struct host *host = &world->hosts[process->host];
    const struct keeper_end *link = &process->link;
    int64_t waited_ns = host_clock(world, host) - link->waiting_since_ns;

    if (link->state != LINK_UP || link->acknowledged == link->sent)
        return;
    if (waited_ns >= host->timing.renew_ms * NS_PER_MS)
        link_lose(world, process);
    else
        await_ack(world, process);
}

/* Ends the trust in the keeper: it is killed, and with it its direct child (PDEATHSIG). */
void link_lose(struct world *world, struct process *process)
{
    if (process->link.state != LINK_UP)
        return;
    TRACE(world, process, "gives its keeper up");
    process->link.state = LINK_LOST;
    keeper_kill(world, process);
    queue_event(world, world->now + PASSING_NS, HAPPEN_KEEPER_LOST, process_number(world, process),
                0);
}

void link_lost(struct world *world, struct process *process)
{
    struct election_event event = {.kind = EVENT_KEEPER_LOST};

    if (process->link.state != LINK_LOST)
        return;
    process->link.state = LINK_SWEEP;
    elector_feed(world, process, &event);
    if (!process->elector)
        return;
    if (tree_alive(&process->tree))
        tree_kill(world, process, false);
    else
        queue_event(world, world->now, HAPPEN_SWEPT, process_number(world, process), 0);
}

void link_swept(struct world *world, struct process *process)
{
    struct election_event event = {.kind = EVENT_TREE_DEAD, .run = process->election.term.run};

    if (process->link.state != LINK_SWEEP)
        return;
    process->link.state = LINK_SWEPT;
    TRACE(world, process, "elector has swept the tree");
    hook_swept(world, process);
    probe_swept(world, process);
    elector_feed(world, process, &event);
}

static void hear(struct world *world, struct process *process, enum election_event_kind kind,
                 uint32_t run)
{
    struct election_event event = {.kind = kind, .run = run};

    if (kind == EVENT_CHILD_EXIT)
        event.failed = chance(world, 600000);
    elector_feed(world, process, &event);
}

/* `value` is the kind and the run, as keeper.c packs them. */
void link_report(struct world *world, struct process *process, uint32_t kind, uint32_t run)
{
    if (process->link.state != LINK_UP && process->link.state != LINK_LOST)
        return;
    switch (kind) {
    case KEEPER_ACK:
        link_acknowledge(world, process, run);
        break;
    case KEEPER_CHILD_EXIT:
    case KEEPER_EXEC_FAILED:
        hear(world, process, EVENT_CHILD_EXIT, run);
        break;
    case KEEPER_NOT_STARTED:
        hear(world, process, EVENT_NOT_STARTED, run);
        break;
    case KEEPER_TREE_DEAD:
        hear(world, process, EVENT_TREE_DEAD, run);
        break;
    case KEEPER_STUCK:
        hear(world, process, EVENT_TREE_STUCK, run);
        break;
    default:
        hear(world, process, EVENT_TICK, run);
        break;
    }
}
