/* The loop that joins the parts. It decides nothing but the exit status. */
#include "supervisor.h"

#include <stdio.h>
#include <string.h>
#include <uv.h>

#include "candidacy.h"
#include "check.h"
#include "executable.h"
#include "leaderwrap/base/clock.h"
#include "leaderwrap/base/log.h"
#include "leaderwrap/base/loop.h"
#include "leaderwrap/election/election.h"
#include "leaderwrap/keeper/keeper_link.h"
#include "leaderwrap/redis/store.h"
#include "leaderwrap/redis/watcher.h"
#include "notify.h"
#include "outcome.h"
#include "presence.h"
#include "report.h"
#include "serving.h"
#include "signals.h"
#include "waker.h"

struct supervisor {
    const struct supervisor_config *config;
    uv_loop_t loop;
    struct election election;
    struct store *store;
    struct watcher *watcher;
    struct keeper_link *keeper;
    struct hooks *hooks;
    struct checks *checks;
    struct signals signals;
    struct status status;
    struct report report;
    struct notify notify;
    struct serving serving;
    uv_timer_t watchdog;
    struct waker waker;
    struct outcome outcome;
    struct presence presence;
    bool asked_replicas;
    bool leaving; /* all is done but a hook */
};

static void ask_keeper(struct supervisor *supervisor, enum keeper_request_kind kind, uint32_t run,
                       int number)
{
    struct keeper_request request = {.kind = kind, .run = run, .signal = number};
    keeper_link_send(supervisor->keeper, &request);
}

static void start_tree(struct supervisor *supervisor, const struct election_action *action)
{
    bool start = action->kind == ACTION_START;
    const struct election_run *run = &action->run;
    struct keeper_request request = {
        .kind = start ? KEEPER_START : KEEPER_EXTEND,
        .run = run->number,
        .token = run->token,
        .stop_at_ns = run->deadlines.stop_at_ns,
        .kill_at_ns = run->deadlines.kill_at_ns,
    };
    memcpy(request.version, run->version, sizeof request.version);
    if (start) {
        supervisor->outcome.child_status = -1;
        supervisor->outcome.child_signal = 0;
    }
    keeper_link_send(supervisor->keeper, &request);
}

static void stop_tree(struct supervisor *supervisor, const struct election_action *action)
{
    bool kill = action->kind == ACTION_KILL_TREE;
    int number = supervisor->outcome.stop_signal != 0 ? supervisor->outcome.stop_signal : SIGTERM;

    checks_end(supervisor->checks);
    ask_keeper(supervisor, kill ? KEEPER_KILL : KEEPER_STOP, action->run.number,
               kill ? SIGKILL : number);
}

static void run_hook(struct supervisor *supervisor, const struct election_hook_run *run)
{
    const char *reason =
        run->hook == HOOK_LOSE ? outcome_reason(run->end) : outcome_grounds(run->before);

    hooks_run(supervisor->hooks, run, reason, clock_boottime_ns());
}

static void leave_when_done(struct supervisor *supervisor)
{
    if (supervisor->leaving && !hooks_are_busy(supervisor->hooks) &&
        !checks_are_busy(supervisor->checks))
        uv_stop(&supervisor->loop);
}

static void send_request(struct supervisor *supervisor, const struct election_send *send)
{
    char reason[OUTCOME_REASON_SIZE];
    struct lease_request request = send->request;

    if (request.kind == LEASE_RELEASE)
        request.release.reason =
            outcome_history(&supervisor->outcome, send->end, reason, sizeof reason);
    store_send(supervisor->store, &request);
}

/* Once, and not in the mail of each run of a job. */
static void ask_replicas(struct supervisor *supervisor)
{
    const struct options *options = supervisor->config->options;

    if (supervisor->asked_replicas || options->once || redis_target_has_witnesses(&options->redis))
        return;
    supervisor->asked_replicas = true;
    store_ask_replicas(supervisor->store);
}

static void tell(struct supervisor *supervisor, const struct election_note *note, int64_t now_ns)
{
    if (note->kind == NOTE_TERM_OVER)
        outcome_note_end(&supervisor->outcome, note->end);
    if (note->kind == NOTE_ELECTED)
        ask_replicas(supervisor);
    status_note(&supervisor->status, note, now_ns);
    report_note(&supervisor->report, note, now_ns);
    serving_note(&supervisor->serving, note, now_ns);
    notify_status(&supervisor->notify, supervisor->report.doing);
    if (note->kind == NOTE_WAITING || note->kind == NOTE_ELECTED || note->kind == NOTE_LOCK_DELAY)
        notify_ready(&supervisor->notify);
}

static void perform(struct supervisor *supervisor, const struct election_action *action,
                    int64_t now_ns)
{
    switch (action->kind) {
    case ACTION_OPEN:
        store_open(supervisor->store);
        break;
    case ACTION_SEND:
        send_request(supervisor, &action->send);
        break;
    case ACTION_POLL:
        store_poll(supervisor->store, action->poll);
        break;
    case ACTION_WATCH:
        watcher_start(supervisor->watcher);
        break;
    case ACTION_UNWATCH:
        watcher_stop(supervisor->watcher);
        break;
    case ACTION_START:
    case ACTION_EXTEND:
        start_tree(supervisor, action);
        hooks_extend(supervisor->hooks, &action->run.deadlines);
        checks_extend(supervisor->checks, &action->run.deadlines);
        break;
    case ACTION_STOP_TREE:
    case ACTION_KILL_TREE:
        stop_tree(supervisor, action);
        break;
    case ACTION_ABANDON_KEEPER:
        keeper_link_abandon(supervisor->keeper, "the keeper did not end the command in time");
        break;
    case ACTION_RUN_HOOK:
        run_hook(supervisor, &action->hook);
        break;
    case ACTION_KILL_HOOK:
        hooks_kill_acquire(supervisor->hooks);
        break;
    case ACTION_KILL_HOOKS:
        hooks_kill(supervisor->hooks);
        break;
    case ACTION_TELL:
        tell(supervisor, &action->note, now_ns);
        break;
    case ACTION_EXIT:
        supervisor->outcome.end = action->end;
        status_exit(&supervisor->status, now_ns);
        supervisor->leaving = true;
        hooks_kill_acquire(supervisor->hooks);
        leave_when_done(supervisor);
        break;
    }
}

static void arm(struct supervisor *supervisor)
{
    int64_t wake_ns =
        min_ns(hooks_wake_at_ns(supervisor->hooks), checks_wake_at_ns(supervisor->checks));

    waker_set(&supervisor->waker, min_ns(wake_ns, election_wake_at_ns(&supervisor->election)));
}

static void feed_one(struct supervisor *supervisor, struct election_event *event)
{
    struct election_actions actions;

    event->now_ns = clock_boottime_ns();
    election_step(&supervisor->election, event, &actions);
    for (size_t i = 0; i < actions.count; i++) {
        page_before(supervisor->config->page, &actions.list[i]);
        perform(supervisor, &actions.list[i], event->now_ns);
        page_after(supervisor->config->page, &actions.list[i]);
    }
}

/* To be called before anything is told. */
static void begin_step(struct supervisor *supervisor)
{
    int64_t now_ns = clock_boottime_ns();

    if (status_begin_step(&supervisor->status, supervisor->waker.at_ns, now_ns))
        report_stall(&supervisor->report, now_ns);
}

static void feed(struct supervisor *supervisor, struct election_event *event)
{
    struct election_event over = {.kind = EVENT_HOOK_OVER};

    begin_step(supervisor);
    feed_one(supervisor, event);
    /* One that cannot be run is over as soon as it is asked for. */
    while (hooks_take_over(supervisor->hooks, &over.hook))
        feed_one(supervisor, &over);
    status_end_step(&supervisor->status);
    arm(supervisor);
}

static void feed_kind(struct supervisor *supervisor, enum election_event_kind kind)
{
    struct election_event event = {.kind = kind, .run = supervisor->election.term.run};
    feed(supervisor, &event);
}

static void on_wake(void *context)
{
    struct supervisor *supervisor = context;

    /* The election first: what it ends needs no check any more. */
    feed_kind(supervisor, EVENT_TICK);
    hooks_tick(supervisor->hooks, clock_boottime_ns());
    checks_tick(supervisor->checks, clock_boottime_ns());
    arm(supervisor);
}

static void on_open(void *context)
{
    struct supervisor *supervisor = context;

    if (redis_target_has_witnesses(&supervisor->config->options->redis))
        watcher_follow(supervisor->watcher, store_hop(supervisor->store));
    status_opened(&supervisor->status);
    feed_kind(supervisor, EVENT_OPENED);
}

static void on_closed(void *context, enum lease_failure failure, const char *why)
{
    struct supervisor *supervisor = context;
    struct election_event event = {.kind = EVENT_CLOSED, .failure = failure};

    /* A server that refuses us hangs up as well; the refusal is the reason to tell. */
    if (supervisor->election.state == ELECTION_DONE)
        return;
    status_closed(&supervisor->status, why);
    feed(supervisor, &event);
}

static void on_reply(void *context, const struct lease_reply *reply)
{
    struct supervisor *supervisor = context;
    struct election_event event = {.kind = EVENT_REPLY, .reply = reply};

    bool first = status_answered(&supervisor->status, reply);
    report_answer(&supervisor->report, reply, first, clock_boottime_ns());
    presence_hear(&supervisor->presence, reply, clock_boottime_ns());
    feed(supervisor, &event);
}

static void on_vote(void *context, const struct lease_vote *vote)
{
    struct supervisor *supervisor = context;
    struct election_event event = {.kind = EVENT_VOTE, .vote = vote};

    feed(supervisor, &event);
}

static void on_replicas(void *context, int64_t count)
{
    (void)context;
    if (count > 0)
        log_line(LOG_LEVEL_WARNING, "unwatched", "%s", check_unwatched);
}

static void on_listening(void *context)
{
    feed_kind(context, EVENT_LISTENING);
}

static void on_event(void *context, const struct lease_event *push)
{
    struct supervisor *supervisor = context;
    struct election_event event = {.kind = EVENT_PUSH, .push = push};

    feed(supervisor, &event);
}

/* The health checks' part in what the keeper says. */
static void tell_checks(struct supervisor *supervisor, const struct keeper_message *message)
{
    switch ((enum keeper_message_kind)message->kind) {
    case KEEPER_STARTED:
        checks_begin(supervisor->checks, supervisor->election.term.token, clock_boottime_ns());
        break;
    case KEEPER_STOPPING:
    case KEEPER_CHILD_EXIT:
    case KEEPER_TREE_DEAD:
        checks_end(supervisor->checks);
        break;
    case KEEPER_ACK:
    case KEEPER_EXEC_FAILED:
    case KEEPER_NOT_STARTED:
    case KEEPER_STUCK:
        break;
    }
}

static void on_message(void *context, const struct keeper_message *message)
{
    struct supervisor *supervisor = context;
    struct election_event event = {.run = message->run};

    begin_step(supervisor);
    tell_checks(supervisor, message);
    switch ((enum keeper_message_kind)message->kind) {
    case KEEPER_EXEC_FAILED:
        supervisor->outcome.child_status = executable_exit_status(message->value);
        serving_exit(&supervisor->serving, supervisor->outcome.child_status);
        event.kind = EVENT_CHILD_EXIT;
        event.failed = true;
        break;
    case KEEPER_CHILD_EXIT:
        outcome_note_exit(&supervisor->outcome, supervisor->election.end, message->value);
        serving_exit(&supervisor->serving, supervisor->outcome.child_status);
        event.kind = EVENT_CHILD_EXIT;
        event.failed = message->value != 0;
        break;
    case KEEPER_NOT_STARTED:
        event.kind = EVENT_NOT_STARTED;
        break;
    case KEEPER_TREE_DEAD:
        event.kind = EVENT_TREE_DEAD;
        break;
    case KEEPER_STUCK:
        event.kind = EVENT_TREE_STUCK;
        break;
    case KEEPER_ACK:
    case KEEPER_STARTED:
    case KEEPER_STOPPING:
        event.kind = EVENT_TICK;
        break;
    }
    status_keeper(&supervisor->status, message);
    report_keeper(&supervisor->report, message);
    feed(supervisor, &event);
}

static void surrender_companions(struct supervisor *supervisor)
{
    hooks_surrender(supervisor->hooks, supervisor->keeper);
    checks_surrender(supervisor->checks, supervisor->keeper);
}

static void on_keeper_lost(void *context, const char *why)
{
    struct supervisor *supervisor = context;

    log_line(LOG_LEVEL_ERROR, "keeper_lost", "%s; killing the command and giving up", why);
    supervisor->serving.keeper_lost = true;
    surrender_companions(supervisor);
    feed_kind(supervisor, EVENT_KEEPER_LOST);
}

static void on_swept(void *context)
{
    struct supervisor *supervisor = context;

    hooks_swept(supervisor->hooks);
    checks_swept(supervisor->checks);
    feed_kind(supervisor, EVENT_CHECK_DEAD);
    feed_kind(supervisor, EVENT_TREE_DEAD);
    leave_when_done(supervisor);
}

static void on_hook_over(void *context)
{
    struct supervisor *supervisor = context;

    /* Which one it is follows: see feed. */
    feed_kind(supervisor, EVENT_TICK);
    leave_when_done(supervisor);
}

static void on_check_started(void *context)
{
    feed_kind(context, EVENT_CHECK_STARTED);
}

static void on_check_over(void *context)
{
    struct supervisor *supervisor = context;

    feed_kind(supervisor, EVENT_CHECK_DEAD);
    leave_when_done(supervisor);
}

static void on_check_stuck(void *context)
{
    feed_kind(context, EVENT_CHECK_STUCK);
}

static void on_unhealthy(void *context, int64_t well_until_ns)
{
    struct supervisor *supervisor = context;
    struct election_event event = {.kind = EVENT_UNHEALTHY,
                                   .run = supervisor->election.term.run,
                                   .well_until_ns = well_until_ns};

    feed(supervisor, &event);
}

/* With a companion out of control the tree is, too: one sweep for all of it. */
static void on_companion_lost(void *context, const char *why)
{
    struct supervisor *supervisor = context;

    surrender_companions(supervisor);
    keeper_link_abandon(supervisor->keeper, why);
    leave_when_done(supervisor);
}

static void on_stop(void *context, int number)
{
    struct supervisor *supervisor = context;

    if (supervisor->outcome.stop_signal == 0)
        supervisor->outcome.stop_signal = number;
    notify_stopping(&supervisor->notify);
    feed_kind(supervisor, EVENT_STOP);
}

static void on_forward(void *context, int number)
{
    struct supervisor *supervisor = context;

    if (supervisor->election.state == ELECTION_LEADING)
        ask_keeper(supervisor, KEEPER_SIGNAL, supervisor->election.term.run, number);
    /* SIGCONT may have ended a stop of ours that outlived the lease. */
    feed_kind(supervisor, EVENT_TICK);
}

static void on_child(void *context)
{
    struct supervisor *supervisor = context;
    keeper_link_reap(supervisor->keeper);
}

static void on_watchdog(uv_timer_t *timer)
{
    const struct supervisor *supervisor = timer->data;
    notify_watchdog(&supervisor->notify);
}

static int open_notify(struct supervisor *supervisor)
{
    uint64_t every_ms = supervisor->notify.watchdog_ms;
    int result = uv_timer_init(&supervisor->loop, &supervisor->watchdog);

    supervisor->watchdog.data = supervisor;
    return result == 0 && every_ms > 0
               ? uv_timer_start(&supervisor->watchdog, on_watchdog, 0, every_ms)
               : result;
}

static int open_keeper(struct supervisor *supervisor)
{
    static const struct keeper_link_callbacks callbacks = {
        .on_message = on_message, .on_lost = on_keeper_lost, .on_swept = on_swept};
    const struct supervisor_config *config = supervisor->config;
    int64_t patience_ms = candidacy_ack_patience_ms(config->options);

    return keeper_link_open(&supervisor->keeper, &supervisor->loop, config->keeper_fd,
                            config->keeper, patience_ms, &callbacks, supervisor);
}

static int open_companions(struct supervisor *supervisor)
{
    static const struct hooks_callbacks hooks = {.on_over = on_hook_over,
                                                 .on_lost = on_companion_lost};
    static const struct checks_callbacks checks = {.on_started = on_check_started,
                                                   .on_over = on_check_over,
                                                   .on_stuck = on_check_stuck,
                                                   .on_unhealthy = on_unhealthy,
                                                   .on_lost = on_companion_lost};
    int64_t patience_ms = candidacy_ack_patience_ms(supervisor->config->options);
    int result = hooks_open(supervisor->hooks, &supervisor->loop, patience_ms, &hooks, supervisor);

    return result == 0 ? checks_open(supervisor->checks, &supervisor->loop, patience_ms, &checks,
                                     supervisor)
                       : result;
}

static int open_redis(struct supervisor *supervisor)
{
    const struct options *options = supervisor->config->options;
    struct store_config store = candidacy_store(options, supervisor->config->id);
    struct watcher_config watcher = candidacy_watcher(options);

    store.loop = watcher.loop = &supervisor->loop;
    store.context = watcher.context = supervisor;
    store.callbacks = (struct store_callbacks){.on_open = on_open,
                                               .on_closed = on_closed,
                                               .on_reply = on_reply,
                                               .on_vote = on_vote,
                                               .on_replicas = on_replicas};
    watcher.on_listening = on_listening;
    watcher.on_event = on_event;
    int result = store_new(&supervisor->store, &store);
    if (result != 0)
        return result;
    presence_begin(&supervisor->presence, supervisor->store, &options->about);
    return watcher_new(&supervisor->watcher, &watcher);
}

static int open_all(struct supervisor *supervisor)
{
    static const struct signals_callbacks callbacks = {
        .on_stop = on_stop, .on_forward = on_forward, .on_child = on_child};
    int result = signals_open(&supervisor->signals, &supervisor->loop,
                              supervisor->config->inherited, &callbacks, supervisor);

    if (result == 0)
        result = open_keeper(supervisor);
    if (result == 0)
        result = open_companions(supervisor);
    if (result == 0)
        result = waker_open(&supervisor->waker, &supervisor->loop, on_wake, supervisor);
    if (result == 0)
        result = open_notify(supervisor);
    if (result == 0)
        result = open_redis(supervisor);
    return result;
}

/* Lets every handle go, and the loop. */
static void close_all(struct supervisor *supervisor, int status)
{
    signals_close(&supervisor->signals);
    if (supervisor->keeper != NULL)
        keeper_link_close(supervisor->keeper);
    hooks_close(supervisor->hooks);
    checks_close(supervisor->checks);
    store_free(supervisor->store);
    watcher_free(supervisor->watcher);
    waker_close(&supervisor->waker);
    if (supervisor->watchdog.data != NULL)
        uv_close((uv_handle_t *)&supervisor->watchdog, NULL);
    notify_close(&supervisor->notify);
    serving_close(&supervisor->serving);
    presence_end(&supervisor->presence);
    loop_finish(&supervisor->loop, status);
}

int supervisor_run(const struct supervisor_config *config)
{
    struct supervisor supervisor = {
        .config = config,
        .hooks = config->hooks,
        .checks = config->checks,
        .waker = WAKER_CLOSED,
        .outcome = {.child_status = -1, .conflict_exit_code = config->options->conflict_exit_code},
    };
    const struct options *options = config->options;
    struct election_config election = candidacy_config(options);
    int status;
    int result = uv_loop_init(&supervisor.loop);

    if (result != 0) {
        log_line(LOG_LEVEL_ERROR, "start_failed", "cannot make an event loop: %s",
                 strerror(-result));
        return EXIT_OWN_FAILURE;
    }
    log_unblock();
    snprintf(election.id, sizeof election.id, "%s", config->id);
    election.seed = config->seed;
    memcpy(election.nonce_key, config->nonce_key, sizeof election.nonce_key);
    status_init(&supervisor.status, &options->timing, clock_boottime_ns());
    report_init(&supervisor.report, options, config->id, &supervisor.status);
    notify_open(&supervisor.notify);
    supervisor.serving = (struct serving){.options = options,
                                          .id = config->id,
                                          .page = config->page,
                                          .status = &supervisor.status,
                                          .health = &supervisor.checks->health};
    result = open_all(&supervisor);
    if (result == 0 && !serving_open(&supervisor.serving, &supervisor.loop)) {
        status = EXIT_OWN_FAILURE;
    } else if (result != 0) {
        log_line(LOG_LEVEL_ERROR, "start_failed", "cannot start: %s", strerror(-result));
        status = EXIT_OWN_FAILURE;
    } else {
        election_init(&supervisor.election, &election, clock_boottime_ns());
        feed_kind(&supervisor, EVENT_TICK);
        /* After the first step, so that the line is written while the connection is being made. */
        report_start(&supervisor.report);
        uv_run(&supervisor.loop, UV_RUN_DEFAULT);
        status = outcome_status(&supervisor.outcome);
        report_end(&supervisor.report, supervisor.outcome.end, status);
    }
    close_all(&supervisor, status);
    return status;
}
