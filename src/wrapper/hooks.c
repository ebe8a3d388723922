/* Hooks: one runs, one waits at most. */
#include "hooks.h"

#include <stdio.h>

#include "leaderwrap/base/log.h"

static const char *const names[] = {[HOOK_ACQUIRE] = "on-acquire", [HOOK_LOSE] = "on-lose"};
static const char *const events[] = {[HOOK_ACQUIRE] = "acquire", [HOOK_LOSE] = "lose"};

/* A keeper has one command. */
int hooks_fork(struct hooks *hooks, const struct options *options,
               const struct keeper_config *pattern)
{
    static const char choose[] =
        "exec >&2; "
        "if [ \"$LEADERWRAP_EVENT\" = acquire ]; then eval \"$1\"; else eval \"$2\"; fi";
    const char *acquire = options->hooks[HOOK_ACQUIRE];
    const char *lose = options->hooks[HOOK_LOSE];
    const char *const command[] = {"/bin/sh",
                                   "-c",
                                   choose,
                                   "leaderwrap",
                                   acquire != NULL ? acquire : "",
                                   lose != NULL ? lose : "",
                                   NULL};
    bool some = acquire != NULL || lose != NULL;

    *hooks = (struct hooks){.options = options};
    return companion_fork(&hooks->companion, "the hook", options->timing.margin_ms, pattern,
                          some ? (char *const *)command : NULL);
}

static void start(struct hooks *hooks, const struct hook_call *call, int64_t now_ns)
{
    const struct companion_run run = {
        .timeout_ms = hooks->options->hook_timeout_ms,
        .bound = call->hook == HOOK_ACQUIRE,
        .token = call->token,
        .event = events[call->hook],
        .reason = call->reason,
    };

    hooks->current = *call;
    log_event(LOG_LEVEL_DEBUG, "hook", LOG_FIELDS(LOG_TEXT("hook", names[call->hook])),
              "running the %s hook", names[call->hook]);
    companion_start(&hooks->companion, &run, now_ns);
}

/* The one that waits will not be run. */
static void forget_next(struct hooks *hooks)
{
    if (hooks->waiting)
        hooks->over[hooks->next.hook]++;
    hooks->waiting = false;
}

static void on_over(void *context, int64_t now_ns)
{
    struct hooks *hooks = context;
    char words[160];
    bool success = companion_judge(&hooks->companion, now_ns, words, sizeof words);

    log_event(success ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARNING, "hook",
              LOG_FIELDS(LOG_TEXT("hook", names[hooks->current.hook])), "the %s hook %s",
              names[hooks->current.hook], words);
    hooks->over[hooks->current.hook]++;
    if (hooks->waiting) {
        hooks->waiting = false;
        start(hooks, &hooks->next, now_ns);
    }
    hooks->callbacks.on_over(hooks->context);
}

/* The election has its own patience with a hook that does not die. */
static void on_stuck(void *context, int64_t now_ns)
{
    (void)context;
    (void)now_ns;
}

static void on_lost(void *context, const char *why)
{
    const struct hooks *hooks = context;

    hooks->callbacks.on_lost(hooks->context, why);
}

int hooks_open(struct hooks *hooks, uv_loop_t *loop, int64_t ack_timeout_ms,
               const struct hooks_callbacks *callbacks, void *context)
{
    static const struct companion_callbacks companion_callbacks = {
        .on_over = on_over, .on_stuck = on_stuck, .on_lost = on_lost};

    hooks->callbacks = *callbacks;
    hooks->context = context;
    return companion_open(&hooks->companion, loop, ack_timeout_ms, &companion_callbacks, hooks);
}

void hooks_close(struct hooks *hooks)
{
    companion_close(&hooks->companion);
}

void hooks_run(struct hooks *hooks, const struct election_hook_run *run, const char *reason,
               int64_t now_ns)
{
    struct hook_call call = {.hook = run->hook, .token = run->token};

    snprintf(call.reason, sizeof call.reason, "%s", reason);
    hooks->companion.kill_at_ns = run->deadlines.kill_at_ns;
    if (!companion_can_run(&hooks->companion)) {
        hooks->over[call.hook]++;
        return;
    }
    if (!companion_is_busy(&hooks->companion)) {
        start(hooks, &call, now_ns);
        return;
    }
    forget_next(hooks);
    hooks->next = call;
    hooks->waiting = true;
}

void hooks_kill(struct hooks *hooks)
{
    forget_next(hooks);
    companion_kill(&hooks->companion);
}

void hooks_kill_acquire(struct hooks *hooks)
{
    if (hooks->current.hook == HOOK_ACQUIRE)
        companion_kill(&hooks->companion);
}

bool hooks_take_over(struct hooks *hooks, enum election_hook *hook)
{
    for (int i = 0; i < ELECTION_HOOKS; i++) {
        if (hooks->over[i] > 0) {
            hooks->over[i]--;
            *hook = (enum election_hook)i;
            return true;
        }
    }
    return false;
}

void hooks_extend(struct hooks *hooks, const struct deadlines *deadlines)
{
    companion_extend(&hooks->companion, deadlines->kill_at_ns);
}

bool hooks_are_busy(const struct hooks *hooks)
{
    return companion_is_busy(&hooks->companion);
}

void hooks_tick(struct hooks *hooks, int64_t now_ns)
{
    companion_tick(&hooks->companion, now_ns);
}

int64_t hooks_wake_at_ns(const struct hooks *hooks)
{
    return companion_wake_at_ns(&hooks->companion);
}

void hooks_surrender(struct hooks *hooks, struct keeper_link *link)
{
    companion_surrender(&hooks->companion, link);
    forget_next(hooks);
}

void hooks_swept(struct hooks *hooks)
{
    if (companion_swept(&hooks->companion))
        hooks->over[hooks->current.hook]++;
}
