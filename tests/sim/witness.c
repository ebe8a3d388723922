/*
 * Witnesses: each knows of the last fail-over, or of one before, and says so when it is asked. What
 * they know moves at different times, and never back.
 */
#include "world.h"

/* When a witness hears of a fail-over: as a rule within a second or two, but it may be cut off. */
#define NEWS_NS (1500 * NS_PER_MS)

void witnesses_reset(struct world *world)
{
    world->config_epoch = 1;
    for (int i = 0; i < WITNESSES_MAX; i++)
        world->witnesses[i] = (struct witness){.config_epoch = 1};
}

void witnesses_fail_over(struct world *world)
{
    world->config_epoch++;
    for (uint32_t i = 0; i < (uint32_t)world->plan.witnesses; i++) {
        int64_t most_ns = chance(world, 600000) ? NEWS_NS : 3 * world->plan.ttl_ns;
        uint32_t news = i | (uint32_t)world->master << 8 | (uint32_t)world->config_epoch << 16;

        queue_event(world, until_at_most(world, most_ns), HAPPEN_LEARNED, NOBODY, news);
    }
}

void witness_learned(struct world *world, uint32_t news)
{
    struct witness *witness = &world->witnesses[news & 0xFF];

    if (news >> 16 <= witness->config_epoch)
        return;
    witness->server = (uint8_t)(news >> 8);
    witness->config_epoch = news >> 16;
    TRACE(world, NULL, "witness %u names server %u, epoch %u", news & 0xFF, witness->server,
          news >> 16);
}

uint8_t witnesses_route(struct world *world)
{
    return world->witnesses[between(world, 0, world->plan.witnesses - 1)].server;
}

/* Each way of a question is a packet of its own; -1: it is lost. */
static int64_t arrival(struct world *world, struct host *host, uint8_t witness,
                       enum direction direction)
{
    struct connection connection = {0};

    if (host->unreachable_until > world->now && (host->unreachable >> witness & 1) != 0)
        return -1;
    return network_arrival(world, host, &connection, direction);
}

void witnesses_poll(struct world *world, struct process *process, uint64_t poll)
{
    for (uint8_t i = 0; i < (uint8_t)world->plan.witnesses; i++) {
        int64_t at = arrival(world, &world->hosts[process->host], i, OUT);

        if (at < 0)
            continue;
        uint16_t number = message_new(world, MESSAGE_VOTE);
        struct message *message = &world->messages[number];
        message->process = process_number(world, process);
        message->serial = process->serial;
        message->poll = poll;
        message->witness = i;
        queue_message(world, at, HAPPEN_ASKED, NOBODY, number);
    }
}

void witness_asked(struct world *world, uint16_t number)
{
    struct message *message = &world->messages[number];
    const struct process *process = &world->processes[message->process];
    const struct witness *witness = &world->witnesses[message->witness];
    bool gone = process->serial != message->serial || !process->elector;
    int64_t at = -1;

    if (!gone && witness->down_until <= world->now)
        at = arrival(world, &world->hosts[process->host], message->witness, BACK);
    if (at < 0) {
        message_free(world, number);
        return;
    }
    message->named = witness->server;
    message->config_epoch = witness->config_epoch;
    queue_message(world, at, HAPPEN_VOTE, message->process, number);
}

void witness_vote(struct world *world, struct process *process, uint16_t number)
{
    const struct message *message = &world->messages[number];
    const struct lease_vote vote = {
        .poll = message->poll,
        .witness = message->witness,
        .electorate = (unsigned)world->plan.witnesses,
        .placement = message->config_epoch << 8 | (message->named + 1U),
        .epoch = message->config_epoch,
        .here = process->connection.server == message->named,
    };
    struct election_event event = {.kind = EVENT_VOTE, .vote = &vote};

    TRACE(world, process, "witness %u votes for server %u, epoch %u, in poll %u", vote.witness,
          message->named, (unsigned)vote.epoch, (unsigned)vote.poll);
    elector_feed(world, process, &event);
}

bool witnesses_go_down(struct world *world)
{
    if (world->plan.witnesses == 0)
        return false;
    int64_t until = until_at_most(world, 2 * world->plan.ttl_ns);
    for (int i = 0; i < world->plan.witnesses; i++) {
        if (chance(world, 400000))
            world->witnesses[i].down_until = until;
    }
    return true;
}

bool witnesses_cut(struct world *world)
{
    struct host *host = &world->hosts[between(world, 0, world->plan.hosts - 1)];

    if (world->plan.witnesses == 0)
        return false;
    host->unreachable = (uint32_t)between(world, 1, (1 << world->plan.witnesses) - 1);
    host->unreachable_until = until_at_most(world, 2 * world->plan.ttl_ns);
    return true;
}
