/* What happens next: a binary heap of events, a pool of messages, and the random numbers. */
#include <stdio.h>
#include <stdlib.h>

#include "world.h"

/* The sizes are far above what any schedule needs. A world that outgrows them is broken. */
static _Noreturn void give_up(const char *what)
{
    fprintf(stderr, "sim: too many %s\n", what);
    abort();
}

void queue_reset(struct world *world)
{
    world->queued = 0;
    world->last_order = 0;
    world->free_message_count = MESSAGES_MAX;
    for (uint16_t i = 0; i < MESSAGES_MAX; i++)
        world->free_messages[i] = i;
}

static bool is_before(const struct event *a, const struct event *b)
{
    return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static void insert(struct world *world, const struct event *event)
{
    struct event *queue = world->queue;

    if (world->queued == QUEUE_MAX)
        give_up("events");
    uint32_t at = world->queued++;
    while (at > 0) {
        uint32_t parent = (at - 1) / 2;
        if (!is_before(event, &queue[parent]))
            break;
        queue[at] = queue[parent];
        at = parent;
    }
    queue[at] = *event;
}

bool queue_next(struct world *world, struct event *event)
{
    struct event *queue = world->queue;

    if (world->queued == 0)
        return false;
    *event = queue[0];
    const struct event last = queue[--world->queued];
    uint32_t at = 0;
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= world->queued)
            break;
        if (child + 1 < world->queued && is_before(&queue[child + 1], &queue[child]))
            child++;
        if (!is_before(&queue[child], &last))
            break;
        queue[at] = queue[child];
        at = child;
    }
    queue[at] = last;
    return true;
}

static void add(struct world *world, int64_t at, enum happening kind, uint8_t process,
                uint16_t message, uint32_t value)
{
    struct event event = {
        .at = at > world->now ? at : world->now,
        .order = ++world->last_order,
        .kind = (uint8_t)kind,
        .process = process,
        .message = message,
        .serial = process < PROCESSES_MAX ? world->processes[process].serial : 0,
        .value = value,
    };
    insert(world, &event);
}

void queue_event(struct world *world, int64_t at, enum happening kind, uint8_t process,
                 uint32_t value)
{
    add(world, at, kind, process, NO_MESSAGE, value);
}

void queue_message(struct world *world, int64_t at, enum happening kind, uint8_t process,
                   uint16_t message)
{
    add(world, at, kind, process, message, 0);
}

void queue_again(struct world *world, const struct event *event, int64_t at)
{
    struct event later = *event;

    later.at = at;
    later.order = ++world->last_order;
    insert(world, &later);
}

uint16_t message_new(struct world *world, enum message_kind kind)
{
    if (world->free_message_count == 0)
        give_up("messages");
    uint16_t message = world->free_messages[--world->free_message_count];
    world->messages[message] = (struct message){.kind = kind};
    return message;
}

void message_free(struct world *world, uint16_t message)
{
    if (message != NO_MESSAGE)
        world->free_messages[world->free_message_count++] = message;
}

/* SplitMix64 (Steele, Lea, Flood 2014). */
uint64_t draw(struct world *world)
{
    uint64_t z = world->random += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

int64_t between(struct world *world, int64_t low, int64_t high)
{
    if (high <= low)
        return low;
    return low + (int64_t)(draw(world) % ((uint64_t)(high - low) + 1));
}

bool chance(struct world *world, uint32_t ppm)
{
    return ppm > 0 && draw(world) % 1000000 < ppm;
}
