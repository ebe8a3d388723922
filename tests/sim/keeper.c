/* The keeper, after src/keeper/run.c and keeper.c: its deadlines, its reports, the last will. */
#include "leaderwrap/keeper/protocol.h"
#include "world.h"

#define PASSING_NS   INT64_C(100000)
#define LEFTOVERS_NS (1000 * NS_PER_MS)
#define STUCK_NS     (1000 * NS_PER_MS)
#define KIND_SHIFT   24

static const struct host *host_of(const struct world *world, const struct process *process)
{
    return &world->hosts[process->host];
}

static int64_t clock_of(const struct world *world, const struct process *process)
{
    return host_clock(world, host_of(world, process));
}

static void report_at(struct world *world, struct process *process, int64_t at, uint32_t kind,
                      uint32_t value)
{
    queue_event(world, at, HAPPEN_REPORT, process_number(world, process),
                kind << KIND_SHIFT | value);
}

static void report(struct world *world, struct process *process, uint32_t kind)
{
    report_at(world, process, world->now + PASSING_NS, kind, process->keeper.run);
}

static int64_t grace_ns(const struct world *world, const struct process *process)
{
    return host_of(world, process)->timing.grace_ms * NS_PER_MS;
}

/* ---- what the keeper does ---- */

static void begin_sweep(struct world *world, struct process *process)
{
    struct keeper *keeper = &process->keeper;

    if (keeper->state == RUN_IDLE || keeper->state == RUN_SWEEPING)
        return;
    TRACE(world, process, "keeper kills the tree");
    keeper->state = RUN_SWEEPING;
    tree_kill(world, process, true);
    if (process->tree.stuck)
        report_at(world, process, world->now + STUCK_NS, KEEPER_STUCK, keeper->run);
}

static void stop(struct world *world, struct process *process)
{
    struct keeper *keeper = &process->keeper;

    if (keeper->state == RUN_RUNNING) {
        keeper->state = RUN_STOPPING;
        keeper->sweep_at_ns = clock_of(world, process) + grace_ns(world, process);
    }
    if (keeper->state == RUN_STOPPING)
        tree_term(world, process);
}

/* No extension came in time. */
static void expire(struct world *world, struct process *process)
{
    struct keeper *keeper = &process->keeper;

    keeper->latched = true;
    if (clock_of(world, process) >= keeper->kill_at_ns) {
        begin_sweep(world, process);
        return;
    }
    TRACE(world, process, "keeper: no extension came, TERM");
    keeper->state = RUN_STOPPING;
    keeper->sweep_at_ns = keeper->kill_at_ns;
    tree_term(world, process);
    report(world, process, KEEPER_STOPPING);
}

static void leftovers(struct world *world, struct process *process)
{
    struct keeper *keeper = &process->keeper;
    int64_t left_ns = min_ns(grace_ns(world, process), LEFTOVERS_NS);

    keeper->state = RUN_LEFTOVERS;
    keeper->sweep_at_ns = clock_of(world, process) + left_ns;
    tree_term(world, process);
}

/* Nothing is left to guard: what follows a dead tree and a dead elector is the last will. */
static void end(struct world *world, struct process *process)
{
    struct keeper *keeper = &process->keeper;
    bool inherits = keeper->orphaned && !host_of(world, process)->no_release;

    keeper->alive = false;
    if (inherits)
        queue_event(world, world->now + between(world, 1, 5) * NS_PER_MS, HAPPEN_WILL,
                    process_number(world, process), 0);
    else
        process->used = false;
}

static void finish(struct world *world, struct process *process)
{
    process->keeper.state = RUN_IDLE;
    report(world, process, KEEPER_TREE_DEAD);
    if (process->keeper.alone)
        end(world, process);
}

/* ---- its loop ---- */

static int64_t deadline(const struct keeper *keeper)
{
    switch (keeper->state) {
    case RUN_RUNNING:
        return min_ns(keeper->stop_at_ns, keeper->kill_at_ns);
    case RUN_STOPPING:
    case RUN_LEFTOVERS:
        return min_ns(keeper->sweep_at_ns, keeper->kill_at_ns);
    default:
        return NEVER;
    }
}

static void arm(struct world *world, struct process *process)
{
    struct keeper *keeper = &process->keeper;
    int64_t due_ns = deadline(keeper);

    if (due_ns == NEVER || !keeper->alive)
        return;
    int64_t at = host_when(world, host_of(world, process), due_ns);
    if (keeper->armed_at <= at)
        return;
    at += between(world, 1000, process_margin_ns(world, process) / 8);
    keeper->armed_at = at;
    queue_event(world, at, HAPPEN_KEEPER_WAKE, process_number(world, process), 1);
}

static void notice_exit(struct world *world, struct process *process)
{
    struct keeper *keeper = &process->keeper;

    if (process->tree.main || keeper->exit_told)
        return;
    keeper->exit_told = true;
    report(world, process, KEEPER_CHILD_EXIT);
    if (keeper->state == RUN_RUNNING && tree_alive(&process->tree))
        leftovers(world, process);
}

static void step(struct world *world, struct process *process)
{
    struct keeper *keeper = &process->keeper;

    if (keeper->state != RUN_IDLE) {
        notice_exit(world, process);
        if (!tree_alive(&process->tree)) {
            finish(world, process);
            return;
        }
    }
    while (clock_of(world, process) >= deadline(keeper)) {
        if (keeper->state == RUN_RUNNING)
            expire(world, process);
        else
            begin_sweep(world, process);
    }
    arm(world, process);
}

void keeper_wake(struct world *world, struct process *process)
{
    if (process->keeper.alive)
        step(world, process);
}

static void begin(struct world *world, struct process *process, const struct message *message)
{
    struct keeper *keeper = &process->keeper;

    keeper->run = message->run;
    keeper->begun_ns = clock_of(world, process);
    keeper->token = message->token;
    keeper->version = message->version;
    keeper->stop_at_ns = message->stop_at_ns;
    keeper->kill_at_ns = message->kill_at_ns;
    keeper->latched = false;
    keeper->exit_told = false;
    bool too_late = clock_of(world, process) >= keeper->stop_at_ns;
    uint32_t trouble_ppm =
        world->now < world->plan.quiet_at ? world->plan.command_trouble_ppm / 10 : 0;
    bool fails = chance(world, trouble_ppm);
    bool no_process = !fails && chance(world, trouble_ppm);
    if (fails && !too_late) {
        count_fault(world, FAULT_EXEC_FAILS);
        report(world, process, KEEPER_EXEC_FAILED);
    } else if (no_process || too_late) {
        if (no_process)
            count_fault(world, FAULT_FORK_FAILS);
        report(world, process, KEEPER_NOT_STARTED);
    }
    if (fails || no_process || too_late || !process->elector) {
        TRACE(world, process, "keeper does not start the command");
        keeper->orphaned = keeper->orphaned || !process->elector;
        report(world, process, KEEPER_TREE_DEAD);
        return;
    }
    keeper->state = RUN_RUNNING;
    tree_start(world, process, message->token);
}

static void accept(struct world *world, struct process *process, const struct message *message)
{
    struct keeper *keeper = &process->keeper;

    if (message->keeper_kind == KEEPER_START) {
        if (keeper->state == RUN_IDLE)
            begin(world, process, message);
        return;
    }
    if (message->run != keeper->run)
        return;
    switch (message->keeper_kind) {
    case KEEPER_EXTEND:
        if (keeper->state == RUN_SWEEPING)
            break;
        keeper->version = message->version;
        if (keeper->latched)
            break;
        if (message->stop_at_ns > keeper->stop_at_ns)
            keeper->stop_at_ns = message->stop_at_ns;
        if (message->kill_at_ns > keeper->kill_at_ns)
            keeper->kill_at_ns = message->kill_at_ns;
        break;
    case KEEPER_STOP:
        stop(world, process);
        break;
    case KEEPER_KILL:
        begin_sweep(world, process);
        break;
    default:
        break;
    }
}

void keeper_request(struct world *world, struct process *process, uint16_t number)
{
    const struct message *message = &world->messages[number];

    process->link.in_flight--;
    if (!process->keeper.alive)
        return;
    accept(world, process, message);
    if (process->link.in_flight == 0 && message->sequence == process->link.acknowledged + 1)
        link_acknowledge(world, process, message->sequence);
    else
        report_at(world, process, world->now + PASSING_NS, KEEPER_ACK, message->sequence);
    step(world, process);
}

void keeper_hangup(struct world *world, struct process *process)
{
    struct keeper *keeper = &process->keeper;

    if (!keeper->alive)
        return;
    keeper->alone = true;
    keeper->orphaned = keeper->orphaned || keeper->state != RUN_IDLE;
    begin_sweep(world, process);
    if (keeper->state == RUN_IDLE)
        end(world, process);
    else
        step(world, process);
}

void keeper_kill(struct world *world, struct process *process)
{
    if (!process->keeper.alive)
        return;
    process->keeper.alive = false;
    if (process->tree.main)
        queue_event(world, world->now + between(world, 0, NS_PER_MS), HAPPEN_MAIN_EXIT,
                    process_number(world, process), process->tree.serial);
}
