/* The life of one run: a table of states and events, and the small functions at their crossings. */
#include "run.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "leaderwrap/base/clock.h"

/* For what a command that ended by itself has left behind, if the grace is not shorter. */
#define LEFTOVERS_GRACE_MS 1000

/* The pause between two sweep rounds that reaped nothing. SIGCHLD cuts it short. */
#define PAUSE_MIN_NS (1 * NS_PER_MS)
#define PAUSE_MAX_NS (50 * NS_PER_MS)

/* Without progress for this long the tree is stuck; also the time between two such messages. */
#define STUCK_NS (1000 * NS_PER_MS)

enum event {
    EVENT_STOP,     /* asked to stop */
    EVENT_KILL,     /* asked to kill */
    EVENT_EXTEND,   /* later deadlines */
    EVENT_SIGNAL,   /* asked to pass a signal on */
    EVENT_DUE,      /* the deadline has come */
    EVENT_EXECUTED, /* the pipe says so */
    EVENT_NOT_EXECUTED,
    EVENT_MAIN_EXIT, /* the command's own process ended, something is left */
    EVENT_DEAD,      /* nothing is left */
    EVENT_COUNT,
};

typedef void action_fn(struct run *run, const struct keeper_request *request);

static void post(struct run *run, enum keeper_message_kind kind, int value, int error)
{
    struct keeper_message message = {
        .kind = kind, .run = run->number, .value = value, .error = error};

    run->on_message(run->context, &message);
}

static void end_result(struct run *run)
{
    if (run->result >= 0)
        close(run->result);
    run->result = -1;
}

static bool is_signal(int number)
{
    return number > 0 && number < NSIG;
}

static void note_sent(struct run *run, int signal)
{
    run->sent |= UINT64_C(1) << (signal - 1);
}

static bool was_sent(const struct run *run, int signal)
{
    return is_signal(signal) && (run->sent >> (signal - 1) & 1) != 0;
}

static void begin_sweep(struct run *run, const struct keeper_request *request)
{
    (void)request;
    note_sent(run, SIGKILL);
    run->state = RUN_SWEEPING;
    run->progress_ns = clock_boottime_ns();
    run->stuck_ns = run->progress_ns;
    run->sweep_at_ns = run->progress_ns;
    run->pause_ns = PAUSE_MIN_NS;
    run->tree.fruitless = 0;
}

/* A stopped process cannot act on a signal: CONT follows. Who gets it is --stop-to's choice, unless
 * the command itself has ended and only its leftovers can be meant. */
static void ask_to_end(struct run *run, int signal, bool main_only)
{
    note_sent(run, signal);
    if (main_only) {
        (void)tree_signal(&run->tree, signal, true);
        (void)tree_signal(&run->tree, SIGCONT, true);
    } else {
        tree_signal_all(&run->tree, signal);
        tree_signal_all(&run->tree, SIGCONT);
    }
}

static int stop_signal(const struct keeper_request *request)
{
    return is_signal(request->signal) ? request->signal : SIGTERM;
}

static void stop(struct run *run, const struct keeper_request *request)
{
    run->state = RUN_STOPPING;
    run->sweep_at_ns = clock_boottime_ns() + run->config->grace_ms * NS_PER_MS;
    ask_to_end(run, stop_signal(request), run->config->stop_main_only);
}

static void extend(struct run *run, const struct keeper_request *request)
{
    /* Deadlines are latched; what the record is like is a fact. */
    memcpy(run->version, request->version, sizeof run->version);
    if (run->latched)
        return;
    if (request->stop_at_ns > run->stop_at_ns)
        run->stop_at_ns = request->stop_at_ns;
    if (request->kill_at_ns > run->kill_at_ns)
        run->kill_at_ns = request->kill_at_ns;
}

static void pass_on(struct run *run, const struct keeper_request *request)
{
    if (!is_signal(request->signal))
        return;
    note_sent(run, request->signal);
    (void)tree_signal(&run->tree, request->signal, false);
}

/* No extension came in time. */
static void expire(struct run *run, const struct keeper_request *request)
{
    run->latched = true;
    if (clock_boottime_ns() >= run->kill_at_ns) {
        begin_sweep(run, request);
        post(run, KEEPER_STOPPING, 1, 0);
        return;
    }
    run->state = RUN_STOPPING;
    run->sweep_at_ns = run->kill_at_ns;
    ask_to_end(run, SIGTERM, run->config->stop_main_only);
    post(run, KEEPER_STOPPING, 0, 0);
}

static void executed(struct run *run, const struct keeper_request *request)
{
    (void)request;
    run->state = RUN_RUNNING;
}

static void leftovers(struct run *run, const struct keeper_request *request)
{
    int64_t grace_ms = min_ns(run->config->grace_ms, LEFTOVERS_GRACE_MS);

    (void)request;
    run->state = RUN_LEFTOVERS;
    run->sweep_at_ns = min_ns(run->sweep_at_ns, clock_boottime_ns() + grace_ms * NS_PER_MS);
    ask_to_end(run, SIGTERM, false);
}

/* Everybody was asked with the command, and has the rest of its grace; unless it alone was. */
static void leftovers_of_stop(struct run *run, const struct keeper_request *request)
{
    if (run->config->stop_main_only)
        leftovers(run, request);
}

static void finish(struct run *run, const struct keeper_request *request)
{
    (void)request;
    end_result(run);
    run->state = RUN_IDLE;
    post(run, KEEPER_TREE_DEAD, 0, 0);
}

/* Nothing at a crossing: the event changes nothing in that state. So a STOP while STOPPING sends no
 * second TERM, which many programs take for an order to drop everything. */
static action_fn *const actions[][EVENT_COUNT] = {
    [RUN_IDLE] = {0},
    [RUN_STARTING] =
        {
            [EVENT_STOP] = stop,
            [EVENT_KILL] = begin_sweep,
            [EVENT_EXTEND] = extend,
            [EVENT_SIGNAL] = pass_on,
            [EVENT_DUE] = expire,
            [EVENT_EXECUTED] = executed,
            [EVENT_NOT_EXECUTED] = begin_sweep,
            [EVENT_MAIN_EXIT] = leftovers,
            [EVENT_DEAD] = finish,
        },
    [RUN_RUNNING] =
        {
            [EVENT_STOP] = stop,
            [EVENT_KILL] = begin_sweep,
            [EVENT_EXTEND] = extend,
            [EVENT_SIGNAL] = pass_on,
            [EVENT_DUE] = expire,
            [EVENT_MAIN_EXIT] = leftovers,
            [EVENT_DEAD] = finish,
        },
    [RUN_STOPPING] =
        {
            [EVENT_KILL] = begin_sweep,
            [EVENT_EXTEND] = extend,
            [EVENT_SIGNAL] = pass_on,
            [EVENT_DUE] = begin_sweep,
            [EVENT_NOT_EXECUTED] = begin_sweep,
            [EVENT_MAIN_EXIT] = leftovers_of_stop,
            [EVENT_DEAD] = finish,
        },
    [RUN_LEFTOVERS] =
        {
            [EVENT_KILL] = begin_sweep,
            [EVENT_EXTEND] = extend,
            [EVENT_SIGNAL] = pass_on,
            [EVENT_DUE] = begin_sweep,
            [EVENT_DEAD] = finish,
        },
    [RUN_SWEEPING] =
        {
            /* The lease is kept meanwhile, and the last will must know its record. */
            [EVENT_EXTEND] = extend,
            [EVENT_DEAD] = finish,
        },
};

static void happen(struct run *run, enum event event, const struct keeper_request *request)
{
    action_fn *action = actions[run->state][event];

    if (action != NULL)
        action(run, request);
}

/* The one moment that the current state waits for. */
static int64_t deadline(const struct run *run)
{
    switch (run->state) {
    case RUN_STARTING:
    case RUN_RUNNING:
        return min_ns(run->stop_at_ns, run->kill_at_ns);
    case RUN_STOPPING:
    case RUN_LEFTOVERS:
        return min_ns(run->sweep_at_ns, run->kill_at_ns);
    case RUN_SWEEPING:
        return run->sweep_at_ns;
    case RUN_IDLE:
        break;
    }
    return INT64_MAX;
}

int64_t run_wake_at(const struct run *run)
{
    return run->state != RUN_IDLE && run->tree.unfinished ? 0 : deadline(run);
}

static void begin(struct run *run, const struct keeper_request *request, bool alone)
{
    run->number = request->run;
    run->token = request->token;
    memcpy(run->version, request->version, sizeof run->version);
    run->stop_at_ns = request->stop_at_ns;
    run->kill_at_ns = request->kill_at_ns;
    run->sweep_at_ns = INT64_MAX;
    run->begun_ns = clock_boottime_ns();
    run->latched = false;
    run->exit_told = false;
    run->sent = 0;
    run->strayed = false;
    run->tree = (struct tree){0};

    /* Nobody is left who could extend this run. Its tree is as good as dead, and what follows a
     * dead tree and a dead elector is the last will. */
    if (alone) {
        begin_sweep(run, request);
        return;
    }

    pid_t pid = -ETIME;
    if (clock_boottime_ns() < run->stop_at_ns)
        pid = spawn_child(run->spawn, request, &run->result);
    if (pid < 0) {
        post(run, KEEPER_NOT_STARTED, -pid, 0);
        post(run, KEEPER_TREE_DEAD, 0, 0);
        return;
    }
    run->tree.main = pid;
    run->command = pid;
    run->state = RUN_STARTING;
}

void run_request(struct run *run, const struct keeper_request *request, bool alone)
{
    if (request->kind == KEEPER_START) {
        if (run->state == RUN_IDLE)
            begin(run, request, alone);
        return;
    }
    if (request->run != run->number)
        return;
    switch (request->kind) {
    case KEEPER_EXTEND:
        happen(run, EVENT_EXTEND, request);
        break;
    case KEEPER_SIGNAL:
        happen(run, EVENT_SIGNAL, request);
        break;
    case KEEPER_STOP:
        happen(run, EVENT_STOP, request);
        break;
    case KEEPER_KILL:
        happen(run, EVENT_KILL, request);
        break;
    default:
        break;
    }
}

void run_orphaned(struct run *run)
{
    run->orphaned = run->state != RUN_IDLE;
    happen(run, EVENT_KILL, NULL);
}

/* Hears what became of the exec. */
static void check_result(struct run *run)
{
    int error = 0;

    if (run->result < 0)
        return;
    ssize_t length = read(run->result, &error, sizeof error);
    if (length < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    end_result(run);
    if (length == (ssize_t)sizeof error) {
        /* The end of that process is no end of the command. */
        run->exit_told = true;
        post(run, error == ETIME ? KEEPER_NOT_STARTED : KEEPER_EXEC_FAILED, error, 0);
        happen(run, EVENT_NOT_EXECUTED, NULL);
        return;
    }
    post(run, KEEPER_STARTED, (int)run->command, 0);
    happen(run, EVENT_EXECUTED, NULL);
}

/* One round of the sweep, and when the next is due. */
static enum tree_state sweep_round(struct run *run)
{
    struct tree_round round;

    cgroup_kill(run->cgroup);
    enum tree_state tree = tree_sweep(&run->tree, &round);
    int64_t now = clock_boottime_ns();

    if (round.reaped > 0) {
        run->progress_ns = now;
        run->pause_ns = PAUSE_MIN_NS;
        run->sweep_at_ns = now;
        return tree;
    }
    run->sweep_at_ns = now + run->pause_ns;
    run->pause_ns = min_ns(run->pause_ns * 2, PAUSE_MAX_NS);
    if (now - run->progress_ns >= STUCK_NS && now - run->stuck_ns >= STUCK_NS &&
        (tree == TREE_ALIVE || run->strayed)) {
        run->stuck_ns = now;
        post(run, KEEPER_STUCK, round.left > 0 ? round.left : 1, round.error);
    }
    return tree;
}

/* A cgroup that is not empty overrules ECHILD. */
static enum tree_state look_at_tree(struct run *run)
{
    /* In a sweep every wake is a round: what woke us may be a death that set others free. */
    enum tree_state tree = run->state == RUN_SWEEPING ? sweep_round(run) : tree_reap(&run->tree);

    run->strayed = tree == TREE_DEAD && cgroup_is_populated(run->cgroup);
    return run->strayed ? TREE_ALIVE : tree;
}

static void notice_exit(struct run *run, enum tree_state tree)
{
    if (!run->tree.main_exited || run->exit_told)
        return;

    /* It may have executed and ended since we looked; STARTED comes first. */
    check_result(run);
    if (run->exit_told)
        return;
    run->exit_told = true;
    int status = run->tree.main_status;
    post(run, KEEPER_CHILD_EXIT, status,
         WIFSIGNALED(status) && was_sent(run, WTERMSIG(status)) ? KEEPER_ENDED_BY_US : 0);
    if (tree == TREE_ALIVE)
        happen(run, EVENT_MAIN_EXIT, NULL);
}

void run_step(struct run *run)
{
    bool again = true;

    while (again && run->state != RUN_IDLE) {
        check_result(run);
        enum tree_state tree = look_at_tree(run);
        notice_exit(run, tree);
        if (tree == TREE_DEAD)
            happen(run, EVENT_DEAD, NULL);
        again = run->state != RUN_SWEEPING && clock_boottime_ns() >= deadline(run);
        if (again)
            happen(run, EVENT_DUE, NULL);
    }
}
