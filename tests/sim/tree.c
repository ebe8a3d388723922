/* Commands and their descendants: how they live, how they die, and that no two are alive at once.
 */
#include "world.h"

bool tree_alive(const struct tree *tree)
{
    return tree->main || tree->rest;
}

/* What stands still on a suspended host, or is about to be killed after it, runs in no sense that
 * could be prevented; neither does what survives KILL. */
static bool counts(const struct world *world, const struct process *process)
{
    const struct tree *tree = &process->tree;

    return process->used && tree_alive(tree) && world->now >= tree->exempt_until &&
           world->hosts[process->host].suspended_until <= world->now &&
           !(tree->stuck && tree->killed);
}

void tree_check_overlaps(struct world *world)
{
    const struct process *first = NULL;

    for (int i = 0; i < PROCESSES_MAX; i++) {
        const struct process *process = &world->processes[i];
        if (!counts(world, process))
            continue;
        if (first == NULL) {
            first = process;
        } else if (world->plan.serving_without_wait) {
            world->statistics->overlaps++;
        } else {
            VIOLATE(world, VIOLATION_OVERLAP, "the commands of c%u and c%u are both alive",
                    first->id, process->id);
        }
    }
}

static int64_t time_to_end(struct world *world, const struct process *process)
{
    const struct plan *plan = &world->plan;
    int64_t grace_ns = world->hosts[process->host].timing.grace_ms * NS_PER_MS;

    if (chance(world, plan->command_trouble_ppm)) {
        count_fault(world, FAULT_COMMAND_DEAF);
        return NEVER;
    }
    if (chance(world, plan->command_trouble_ppm)) {
        count_fault(world, FAULT_COMMAND_SLOW);
        return between(world, 0, 2 * grace_ns);
    }
    return between(world, 0, 20 * NS_PER_MS);
}

static void behave(struct world *world, struct process *process)
{
    const struct plan *plan = &world->plan;
    struct tree *tree = &process->tree;

    tree->main_term_ns = time_to_end(world, process);
    tree->rest_term_ns = NEVER;
    tree->rest = chance(world, plan->command_trouble_ppm);
    if (tree->rest) {
        count_fault(world, FAULT_COMMAND_FORKS);
        tree->rest_term_ns = time_to_end(world, process);
    }
    tree->stuck = chance(world, plan->command_trouble_ppm / 20);
    probe_follow(world, process);
    if (world->now < plan->quiet_at && world->hosts[process->host].checks_health &&
        chance(world, 500000)) {
        count_fault(world, FAULT_COMMAND_UNHEALTHY);
        queue_event(world, world->now + between(world, 0, 2 * plan->ttl_ns), HAPPEN_UNHEALTHY,
                    process_number(world, process), tree->serial);
    }
    if (world->now < plan->quiet_at && chance(world, plan->command_end_ppm)) {
        count_fault(world, FAULT_COMMAND_ENDS);
        queue_event(world, world->now + between(world, 0, 3 * plan->ttl_ns), HAPPEN_MAIN_EXIT,
                    process_number(world, process), tree->serial);
    }
}

/* A term that was granted after an unclean end waits for its own lock delay; and where nothing is
 * done to the server's clock, what is left of it when it ends early keeps everybody else waiting.
 */
static void check_delay(struct world *world, const struct process *process, uint64_t token)
{
    const struct plan *plan = &world->plan;
    bool for_all = plan->steady_clock && !plan->serving_without_wait && world->now < plan->quiet_at;

    if (token == process->delayed_token && world->now < process->delayed_until)
        VIOLATE(world, VIOLATION_DELAY, "c%u starts %.3f s before its lock delay is over",
                process->id, (double)(process->delayed_until - world->now) / 1e9);
    if (for_all && world->now < world->delayed_until)
        VIOLATE(world, VIOLATION_DELAY, "c%u starts %.3f s before somebody's lock delay is over",
                process->id, (double)(world->delayed_until - world->now) / 1e9);
}

/* Where the clock is steady it is the same hold for those who have watched it and for those who
 * have not. */
static void check_hold(struct world *world, const struct process *process)
{
    if (world->plan.steady_clock && world->now < world->held_until)
        VIOLATE(world, VIOLATION_HOLD, "c%u starts %.3f s before the end of a hold", process->id,
                (double)(world->held_until - world->now) / 1e9);
}

void tree_start(struct world *world, struct process *process, uint64_t token)
{
    struct tree *tree = &process->tree;
    uint64_t earlier = tree->token; /* a command may be started again in its own term */

    *tree = (struct tree){.main = true, .serial = tree->serial + 1, .token = token};
    TRACE(world, process, "COMMAND STARTS, token %llu", (unsigned long long)token);
    world->statistics->elections++;
    if (world->last_leader != process->id)
        world->statistics->takeovers++;
    world->last_leader = process->id;
    bool again = token == world->highest_token && token == earlier;
    if (token <= world->highest_token && !again && !world->plan.serving_without_wait)
        VIOLATE(world, VIOLATION_TOKEN, "token %llu of c%u is not above %llu",
                (unsigned long long)token, process->id, (unsigned long long)world->highest_token);
    world->highest_token = token;
    check_delay(world, process, token);
    check_hold(world, process);
    behave(world, process);
    tree_check_overlaps(world);
}

static void end_after(struct world *world, struct process *process, int64_t delay_ns,
                      enum happening kind)
{
    if (delay_ns != NEVER)
        queue_event(world, world->now + delay_ns, kind, process_number(world, process),
                    process->tree.serial);
}

void tree_term(struct world *world, struct process *process)
{
    if (process->tree.main)
        end_after(world, process, process->tree.main_term_ns, HAPPEN_MAIN_EXIT);
    if (process->tree.rest)
        end_after(world, process, process->tree.rest_term_ns, HAPPEN_REST_EXIT);
}

/* KILL reaches all of the group at once, and what has left it after some rounds. An elector that
 * has taken over a keeper's work has only what is left of the margin. */
void tree_kill(struct world *world, struct process *process, bool by_keeper)
{
    struct tree *tree = &process->tree;
    int64_t most_ns = process_margin_ns(world, process) / (by_keeper ? 2 : 10);
    int64_t takes_ns = between(world, 0, most_ns);

    tree->killed = true;
    if (tree->stuck) {
        count_fault(world, FAULT_COMMAND_STUCK);
        takes_ns += until_at_most(world, world->plan.ttl_ns) - world->now;
    }
    queue_event(world, world->now + takes_ns, HAPPEN_KILLED, process_number(world, process),
                tree->serial * 2 + by_keeper);
}

static void gone(struct world *world, struct process *process)
{
    if (!tree_alive(&process->tree))
        TRACE(world, process, "command is dead");
    if (process->keeper.alive)
        queue_event(world, world->now + between(world, 1000, 200000), HAPPEN_KEEPER_WAKE,
                    process_number(world, process), 0);
    else if (!process->elector && !tree_alive(&process->tree))
        process->used = false;
}

void tree_killed(struct world *world, struct process *process, uint32_t value)
{
    struct tree *tree = &process->tree;
    bool by_keeper = value % 2 == 1;

    if (!by_keeper && !tree_alive(tree))
        queue_event(world, world->now, HAPPEN_SWEPT, process_number(world, process), 0);
    if (value / 2 != tree->serial || !tree_alive(tree) || (by_keeper && !process->keeper.alive))
        return;
    if (!tree->stuck)
        tree->main = false;
    /* A keeper that was frozen half-way goes on with its rounds later. */
    if (by_keeper && process->keeper.ready_at > world->now && tree->rest) {
        queue_event(world, process->keeper.ready_at, HAPPEN_KILLED, process_number(world, process),
                    value);
        return;
    }
    tree->main = false;
    tree->rest = false;
    gone(world, process);
    if (!by_keeper)
        queue_event(world, world->now, HAPPEN_SWEPT, process_number(world, process), 0);
}

void tree_main_exit(struct world *world, struct process *process)
{
    if (!process->tree.main)
        return;
    TRACE(world, process, "the command's main process ends");
    process->tree.main = false;
    gone(world, process);
}

void tree_rest_exit(struct world *world, struct process *process)
{
    if (!process->tree.rest)
        return;
    process->tree.rest = false;
    gone(world, process);
}

/* With its host, or in a container that goes with its main process. */
void tree_vanish(struct world *world, struct process *process)
{
    if (tree_alive(&process->tree))
        TRACE(world, process, "command is dead with its host");
    process->tree.main = false;
    process->tree.rest = false;
}
