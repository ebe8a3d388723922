/*
 * Health checks: processes that run beside the tree, one at a time, each with a keeper of its own.
 * Some last long enough to outlive the command.
 */
#include "world.h"

static void come_again(struct world *world, const struct process *process)
{
    queue_event(world, world->now + between(world, 0, world->plan.ttl_ns), HAPPEN_PROBE,
                process_number(world, process), process->tree.serial);
}

void probe_follow(struct world *world, struct process *process)
{
    if (world->hosts[process->host].checks_health)
        come_again(world, process);
}

void probe_begin(struct world *world, struct process *process)
{
    struct probe *probe = &process->probe;
    struct election_event event = {.kind = EVENT_CHECK_STARTED, .run = process->election.term.run};
    bool runs = process->election.state == ELECTION_LEADING && process->link.state == LINK_UP &&
                process->tree.main;

    if (runs)
        come_again(world, process);
    if (!runs || probe->known)
        return;
    int64_t most_ns = chance(world, 800000) ? 50 * NS_PER_MS : world->plan.ttl_ns / 2;
    probe->alive = probe->known = true;
    probe->run = event.run;
    probe->serial++;
    TRACE(world, process, "a health check begins");
    queue_event(world, world->now + between(world, 0, most_ns), HAPPEN_PROBE_EXIT,
                process_number(world, process), probe->serial);
    elector_feed(world, process, &event);
}

void probe_exit(struct world *world, struct process *process)
{
    struct probe *probe = &process->probe;

    TRACE(world, process, "the health check ends");
    if (!tree_alive(&process->tree))
        count_fault(world, FAULT_CHECK_OUTLIVES);
    probe->alive = false;
    queue_event(world, world->now, HAPPEN_PROBE_OVER, process_number(world, process), probe->run);
}

void probe_over(struct world *world, struct process *process, uint32_t run)
{
    struct election_event event = {.kind = EVENT_CHECK_DEAD, .run = run};

    process->probe.known = false;
    elector_feed(world, process, &event);
}

/* The elector is dead: the check's keeper sees that and kills it. */
void probe_orphan(struct world *world, struct process *process)
{
    if (process->probe.alive)
        queue_event(world, world->now + between(world, 0, 5 * NS_PER_MS), HAPPEN_PROBE_EXIT,
                    process_number(world, process), process->probe.serial);
}

/* The elector's sweep has ended it. */
void probe_swept(struct world *world, struct process *process)
{
    uint32_t run = process->probe.run;

    process->probe.alive = false;
    process->probe.serial++;
    probe_over(world, process, run);
}
