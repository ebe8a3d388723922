/* One run at a time below a keeper of its own. */
#include "companion.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "leaderwrap/base/clock.h"
#include "leaderwrap/base/duration.h"
#include "leaderwrap/base/log.h"
#include "report.h"

/* A keeper that was told to kill is believed to be at it for so long. */
#define KEEPER_PATIENCE_MS 5000

int companion_fork(struct companion *companion, const char *name, int64_t margin_ms,
                   const struct keeper_config *pattern, char *const *command)
{
    struct keeper_config config = *pattern;

    *companion = (struct companion){.name = name, .margin_ms = margin_ms, .fd = -1};
    if (command == NULL)
        return 0;
    config.command = command;
    pid_t keeper = keeper_fork(&config, &companion->fd);
    if (keeper < 0)
        return keeper;
    companion->keeper = keeper;
    return 0;
}

/* Whether there is a run that we can still do something about. */
static bool has_run(const struct companion *companion)
{
    switch (companion->state) {
    case COMPANION_RUNNING:
    case COMPANION_REMINDED:
    case COMPANION_STUCK:
        return true;
    case COMPANION_ABSENT:
    case COMPANION_IDLE:
    case COMPANION_SURRENDERED:
        break;
    }
    return false;
}

bool companion_can_run(const struct companion *companion)
{
    return companion->state == COMPANION_IDLE || has_run(companion);
}

bool companion_is_busy(const struct companion *companion)
{
    return companion->state == COMPANION_SURRENDERED || has_run(companion);
}

/* When the present run has to be over, whether it belongs to the term or not. */
static int64_t end_of(const struct companion *companion)
{
    return companion->bound ? min_ns(companion->over_at_ns, companion->kill_at_ns)
                            : companion->over_at_ns;
}

static void ask(struct companion *companion, enum keeper_request_kind kind, int64_t end_ns)
{
    struct keeper_request request = {
        .kind = kind, .run = companion->run, .stop_at_ns = end_ns, .kill_at_ns = end_ns};

    keeper_link_send(companion->link, &request);
}

void companion_start(struct companion *companion, const struct companion_run *run, int64_t now_ns)
{
    companion->state = COMPANION_RUNNING;
    companion->run++;
    companion->cut = COMPANION_UNCUT;
    companion->bound = run->bound;
    companion->timeout_ms = run->timeout_ms;
    companion->over_at_ns = now_ns + run->timeout_ms * NS_PER_MS;
    companion->wait_status = 0;
    companion->error = 0;

    struct keeper_request request = {
        .kind = KEEPER_START,
        .run = companion->run,
        .token = run->token,
        .stop_at_ns = end_of(companion),
        .kill_at_ns = end_of(companion),
    };
    snprintf(request.event, sizeof request.event, "%s", run->event);
    snprintf(request.reason, sizeof request.reason, "%s", run->reason);
    keeper_link_send(companion->link, &request);
}

void companion_kill(struct companion *companion)
{
    if (!has_run(companion) || companion->cut != COMPANION_UNCUT)
        return;
    companion->cut = COMPANION_KILLED;
    ask(companion, KEEPER_KILL, 0);
}

void companion_extend(struct companion *companion, int64_t kill_at_ns)
{
    companion->kill_at_ns = kill_at_ns;
    if (has_run(companion) && companion->bound)
        ask(companion, KEEPER_EXTEND, end_of(companion));
}

/* When its keeper is to be taken for hung: what belongs to the term has to be swept before the
 * lease is out. Counted from when its being late was noticed, for this process may have been
 * stopped, and its keeper's word lie unread. */
static int64_t give_up_at_ns(const struct companion *companion)
{
    int64_t patience_ns = companion->reminded_ns + KEEPER_PATIENCE_MS * NS_PER_MS;
    int64_t from_ns = max_ns(companion->reminded_ns, companion->kill_at_ns);

    if (!companion->bound)
        return patience_ns;
    return min_ns(patience_ns, from_ns + companion->margin_ms * NS_PER_MS * 3 / 4);
}

int64_t companion_wake_at_ns(const struct companion *companion)
{
    switch (companion->state) {
    case COMPANION_RUNNING:
        return end_of(companion);
    case COMPANION_REMINDED:
        return give_up_at_ns(companion);
    case COMPANION_ABSENT:
    case COMPANION_IDLE:
    case COMPANION_STUCK:
    case COMPANION_SURRENDERED:
        break;
    }
    return INT64_MAX;
}

static void lose(const struct companion *companion, const char *why)
{
    char text[256];

    snprintf(text, sizeof text, "%s: %s", companion->name, why);
    companion->callbacks.on_lost(companion->context, text);
}

void companion_tick(struct companion *companion, int64_t now_ns)
{
    if (now_ns < companion_wake_at_ns(companion))
        return;
    if (companion->state == COMPANION_REMINDED) {
        lose(companion, "its keeper does not end it");
        return;
    }
    companion->state = COMPANION_REMINDED;
    companion->reminded_ns = now_ns;
    ask(companion, KEEPER_KILL, 0);
}

bool companion_judge(const struct companion *companion, int64_t now_ns, char *words, size_t size)
{
    char time[32];

    if (companion->error != 0) {
        snprintf(words, size, "could not be started: %s", strerror(companion->error));
    } else if (companion->cut == COMPANION_OVERDUE && now_ns >= companion->over_at_ns) {
        duration_format(time, sizeof time, companion->timeout_ms);
        snprintf(words, size, "took longer than %s and was killed", time);
    } else if (companion->cut != COMPANION_UNCUT) {
        snprintf(words, size, "was killed with the term");
    } else {
        report_wait_status(companion->wait_status, words, size);
        return companion->wait_status == 0;
    }
    return false;
}

static void on_message(void *context, const struct keeper_message *message)
{
    struct companion *companion = context;
    int64_t now_ns = clock_boottime_ns();

    if (message->run != companion->run || !has_run(companion))
        return;
    switch ((enum keeper_message_kind)message->kind) {
    case KEEPER_EXEC_FAILED:
    case KEEPER_NOT_STARTED:
        companion->error = message->value;
        break;
    case KEEPER_CHILD_EXIT:
        companion->wait_status = message->value;
        break;
    case KEEPER_STOPPING:
        companion->cut = COMPANION_OVERDUE;
        break;
    case KEEPER_TREE_DEAD:
        companion->state = COMPANION_IDLE;
        companion->callbacks.on_over(companion->context, now_ns);
        break;
    case KEEPER_STUCK:
        log_line(LOG_LEVEL_ERROR, "stuck", "%" PRId32 " processes of %s do not die", message->value,
                 companion->name);
        companion->state = COMPANION_STUCK;
        companion->callbacks.on_stuck(companion->context, now_ns);
        break;
    case KEEPER_ACK:
    case KEEPER_STARTED:
        break;
    }
}

static void on_link_lost(void *context, const char *why)
{
    lose(context, why);
}

int companion_open(struct companion *companion, uv_loop_t *loop, int64_t ack_timeout_ms,
                   const struct companion_callbacks *callbacks, void *context)
{
    static const struct keeper_link_callbacks link_callbacks = {.on_message = on_message,
                                                                .on_lost = on_link_lost};

    companion->callbacks = *callbacks;
    companion->context = context;
    if (companion->keeper == 0)
        return 0;
    int result = keeper_link_open_companion(&companion->link, loop, companion->fd, ack_timeout_ms,
                                            &link_callbacks, companion);
    if (result == 0)
        companion->state = COMPANION_IDLE;
    return result;
}

void companion_close(struct companion *companion)
{
    keeper_link_close(companion->link);
    companion->link = NULL;
}

void companion_surrender(struct companion *companion, struct keeper_link *link)
{
    if (!companion_can_run(companion))
        return;
    /* One that is stopped would not end by itself. */
    if (keeper_link_unspare(link, companion->keeper))
        (void)kill(companion->keeper, SIGKILL);
    companion_close(companion);
    companion->state = has_run(companion) ? COMPANION_SURRENDERED : COMPANION_ABSENT;
}

bool companion_swept(struct companion *companion)
{
    if (companion->state != COMPANION_SURRENDERED)
        return false;
    companion->state = COMPANION_ABSENT;
    return true;
}
