/* The hooks: one at a time below a keeper of their own, which is as good as its word. */
#include "world.h"

bool hook_acquire_lives(const struct process *process)
{
    return process->hooks.busy && process->hooks.current == HOOK_ACQUIRE;
}

static void start(struct world *world, struct process *process, enum election_hook hook)
{
    struct hooks *hooks = &process->hooks;

    hooks->busy = true;
    hooks->current = hook;
    hooks->serial++;
    hooks->end_at =
        world->now + (chance(world, 700000) ? between(world, 0, 20 * NS_PER_MS)
                                            : between(world, 0, 2 * world->plan.ttl_ns));
    queue_event(world, hooks->end_at, HAPPEN_HOOK_EXIT, process_number(world, process),
                hooks->serial);
    TRACE(world, process, "hook %d runs for %.3f s", hook,
          (double)(hooks->end_at - world->now) / 1e9);
}

void hook_run(struct world *world, struct process *process, enum election_hook hook)
{
    struct hooks *hooks = &process->hooks;

    if (process->link.state != LINK_UP) {
        queue_event(world, world->now, HAPPEN_HOOK_OVER, process_number(world, process), hook);
    } else if (!hooks->busy) {
        start(world, process, hook);
    } else {
        if (hooks->waiting)
            queue_event(world, world->now, HAPPEN_HOOK_OVER, process_number(world, process),
                        hooks->next);
        hooks->waiting = true;
        hooks->next = hook;
    }
}

static void end_soon(struct world *world, const struct process *process)
{
    queue_event(world, world->now + between(world, 0, 5 * NS_PER_MS), HAPPEN_HOOK_EXIT,
                process_number(world, process), process->hooks.serial);
}

void hook_kill(struct world *world, struct process *process)
{
    struct hooks *hooks = &process->hooks;

    if (hooks->waiting && hooks->next == HOOK_ACQUIRE) {
        hooks->waiting = false;
        queue_event(world, world->now, HAPPEN_HOOK_OVER, process_number(world, process),
                    HOOK_ACQUIRE);
    }
    if (!hook_acquire_lives(process))
        return;
    if (world->now < world->plan.quiet_at && chance(world, 100000)) {
        count_fault(world, FAULT_HOOK_STUCK);
        hooks->serial++;
        queue_event(world, until_at_most(world, 3 * world->plan.ttl_ns), HAPPEN_HOOK_EXIT,
                    process_number(world, process), hooks->serial);
    } else {
        end_soon(world, process);
    }
}

void hook_kill_all(struct world *world, struct process *process)
{
    struct hooks *hooks = &process->hooks;

    if (hooks->waiting)
        queue_event(world, world->now, HAPPEN_HOOK_OVER, process_number(world, process),
                    hooks->next);
    hooks->waiting = false;
    if (hooks->busy)
        end_soon(world, process);
}

/* Its end, for whatever reason; the elector is told, if it listens. */
void hook_exit(struct world *world, struct process *process)
{
    struct hooks *hooks = &process->hooks;

    TRACE(world, process, "hook %d ends", hooks->current);
    hooks->busy = false;
    queue_event(world, world->now, HAPPEN_HOOK_OVER, process_number(world, process),
                hooks->current);
    if (!hooks->waiting)
        return;
    hooks->waiting = false;
    start(world, process, hooks->next);
}

void hook_over(struct world *world, struct process *process, enum election_hook hook)
{
    struct election_event event = {.kind = EVENT_HOOK_OVER, .hook = hook};

    elector_feed(world, process, &event);
}

/* The elector's sweep has ended what there was. */
void hook_swept(struct world *world, struct process *process)
{
    struct hooks *hooks = &process->hooks;

    if (hooks->waiting)
        queue_event(world, world->now, HAPPEN_HOOK_OVER, process_number(world, process),
                    hooks->next);
    hooks->waiting = false;
    if (hooks->busy)
        hook_exit(world, process);
    hooks->serial++;
}
