/* The story, in words. Each line says what happened and, where it helps, what comes next. */
#include "report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "leaderwrap/base/clock.h"
#include "leaderwrap/base/duration.h"
#include "leaderwrap/base/log.h"
#include "occupant.h"
#include "wish.h"

static const char *state_word(enum lease_state state)
{
    static const char *const words[] = {
        [LEASE_ABSENT] = "absent", [LEASE_FREE] = "free",     [LEASE_HELD] = "held",
        [LEASE_CLOSED] = "closed", [LEASE_VACANT] = "vacant",
    };

    return words[state];
}

/* Whose the lease is, or was last. */
#define HOLDER_FIELDS(record)                                                                      \
    LOG_FIELDS(LOG_TEXT("state", state_word((record)->state)), LOG_TEXT("holder", (record)->name), \
               LOG_NUMBER("holder_token", (int64_t)(record)->token),                               \
               LOG_NUMBER("holder_ttl_ms", (record)->ttl_ms))

void report_init(struct report *report, const struct options *options, const char *id,
                 const struct status *status)
{
    memset(report, 0, sizeof *report);
    report->options = options;
    report->status = status;
    report->observer = (struct holder_observer){.id = id, .timing = &options->timing};
    trouble_init(&report->trouble, &options->redis, &options->timing, status, options->once);
}

static void set_doing(struct report *report, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void set_doing(struct report *report, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(report->doing, sizeof report->doing, format, arguments);
    va_end(arguments);
}

/* The parts of the first line are cut so that it has 250 bytes at most, with the longest name. */
void report_start(struct report *report)
{
    const struct timing *timing = &report->options->timing;
    char *const *command = report->options->command;
    char ttl[32], renew[32], stop[32], kill[32], outage[32], failover[32];

    duration_format(ttl, sizeof ttl, timing->ttl_ms);
    duration_format(renew, sizeof renew, timing->renew_ms);
    duration_format(stop, sizeof stop, timing->stop_after_ms);
    duration_format(kill, sizeof kill, timing->kill_after_ms);
    duration_format(outage, sizeof outage, timing->tolerated_outage_ms);
    duration_format(failover, sizeof failover,
                    timing->worst_failover_ms + report->options->lock_delay_ms);
    log_event(LOG_LEVEL_INFO, "start",
              LOG_FIELDS(LOG_TEXT("version", LEADERWRAP_VERSION),
                         LOG_TEXT("server", report->trouble.server)),
              "%.30s runs %s the lease \"%.36s\" at redis %.46s %s",
              command != NULL ? command[0] : "the built-in counter",
              report->options->once ? "once if" : "where", report->options->key,
              report->trouble.server, report->options->once ? "can be had" : "is held");
    log_event(LOG_LEVEL_INFO, "timing",
              LOG_FIELDS(LOG_NUMBER("ttl_ms", timing->ttl_ms),
                         LOG_NUMBER("renew_ms", timing->renew_ms),
                         LOG_NUMBER("outage_ms", timing->tolerated_outage_ms),
                         LOG_NUMBER("stop_after_ms", timing->stop_after_ms),
                         LOG_NUMBER("kill_after_ms", timing->kill_after_ms)),
              "ttl %s, renewed every %s: an outage of %s is ridden out, TERM after %s, KILL after "
              "%s, failover within %s",
              ttl, renew, outage, stop, kill, failover);
}

static void tell_retry(struct report *report, int64_t delay_ms, int64_t now_ns)
{
    char why[sizeof report->status->why];

    trouble_retry(&report->trouble, delay_ms, now_ns);
    set_doing(report, "%s%.200s", report->status->role == STATUS_LEADER ? "leading, but " : "",
              trouble_why(&report->trouble, why, sizeof why));
}

static void tell_elsewhere(int64_t delay_ms)
{
    char delay[32];

    duration_format(delay, sizeof delay, delay_ms);
    log_event(
        LOG_LEVEL_WARNING, "elsewhere", LOG_FIELDS(LOG_NUMBER("delay_ms", delay_ms)),
        "most witnesses name another master than this redis; asking for its address again in %s",
        delay);
}

static void tell_unplaced(const struct election_tally *tally)
{
    log_event(
        LOG_LEVEL_WARNING, "no_majority",
        LOG_FIELDS(LOG_NUMBER("votes", tally->votes), LOG_NUMBER("witnesses", tally->electorate)),
        "no majority of the witnesses names a master: %u of %u agree, %u have to; asking again",
        tally->votes, tally->electorate, tally->electorate / 2 + 1);
}

static void tell_busy(struct report *report, const struct election_note *note)
{
    const struct lease_record *record = &note->refusal.record;
    char advice[160];

    if (note->refusal.answered && record->foreign[0] == '\0' &&
        note->refusal.wish.kind != LEASE_WISH_NONE)
        wish_describe(&note->refusal.wish, report->told_waiting, sizeof report->told_waiting);
    else if (note->refusal.answered && record->foreign[0] == '\0' && record->state == LEASE_CLOSED)
        holder_describe_hold(record, report->told_waiting, sizeof report->told_waiting);
    else if (note->refusal.answered)
        holder_describe(&report->observer, record, report->told_waiting,
                        sizeof report->told_waiting);
    if (note->end == END_FOREIGN)
        log_event(LOG_LEVEL_ERROR, "foreign", LOG_FIELDS(LOG_TEXT("value", record->foreign)),
                  "not running the command: %s; %s", report->told_waiting,
                  occupant_advice(report->options, advice, sizeof advice));
    else
        /* Nothing to write mail about; but a person who has just typed it would wonder. */
        log_event(isatty(STDERR_FILENO) ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, "busy",
                  HOLDER_FIELDS(record), "not running the command: %s", report->told_waiting);
}

/* What the lease waits for, and how long for: a foreign value, a wish, or the holder. */
static void describe_obstacle(const struct report *report, int64_t now_ns, char *what,
                              size_t what_size, char *rest, size_t rest_size)
{
    const struct lease_record *record = &report->status->record;
    const struct lease_wish *wish = &report->status->wish;
    int64_t takeover_ns = report->status->next_at_ns;

    if (record->foreign[0] == '\0' && wish->kind != LEASE_WISH_NONE) {
        wish_describe(wish, what, what_size);
        wish_describe_rest(wish, rest, rest_size);
        return;
    }
    holder_describe(&report->observer, record, what, what_size);
    if (record->foreign[0] != '\0') {
        snprintf(rest, rest_size, "; ");
        occupant_advice(report->options, rest + 2, rest_size - 2);
    } else {
        holder_describe_rest(&report->observer, record,
                             takeover_ns == INT64_MAX ? INT64_MAX
                                                      : (takeover_ns - now_ns) / NS_PER_MS,
                             rest, rest_size);
    }
}

static void tell_waiting(struct report *report, int64_t now_ns)
{
    const struct lease_record *record = &report->status->record;
    const struct lease_wish *wish = &report->status->wish;
    bool foreign = record->foreign[0] != '\0';
    char holder[sizeof report->told_waiting], rest[160];

    describe_obstacle(report, now_ns, holder, sizeof holder, rest, sizeof rest);
    set_doing(report, "standing by: %s", holder);
    bool repeated = strcmp(holder, report->told_waiting) == 0;
    snprintf(report->told_waiting, sizeof report->told_waiting, "%s", holder);
    enum log_level level = repeated ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO;
    if (foreign && noise_hear(&report->noise, holder, now_ns).tell)
        level = LOG_LEVEL_WARNING;
    if (wish->kind == LEASE_WISH_NONE)
        log_event(level, "waiting", HOLDER_FIELDS(record), "standing by: %s%s", holder, rest);
    else
        log_event(level, "waiting",
                  LOG_FIELDS(LOG_TEXT("state", state_word(record->state)),
                             LOG_TEXT("holder", record->name),
                             LOG_NUMBER("holder_token", (int64_t)record->token),
                             LOG_TEXT("wish", wish_word(wish)), LOG_TEXT("by", wish->by),
                             LOG_TEXT("reason", wish->text)),
                  "standing by: %.190s%s", holder, rest);
}

/* That we lead, and how long the command is still waited for. */
static void set_leading(struct report *report)
{
    const struct status *status = report->status;
    char delay[32];

    if (status->next_at_ns == INT64_MAX) {
        set_doing(report, "leading with token %" PRIu64, status->token);
        return;
    }
    duration_format(delay, sizeof delay, (status->next_at_ns - status->news_ns) / NS_PER_MS);
    set_doing(report, "leading with token %" PRIu64 "; starting the command in %s", status->token,
              delay);
}

static void tell_elected(struct report *report, const struct election_note *note)
{
    const struct status *status = report->status;
    char delay[32];

    log_set_token(status->token);
    set_leading(report);
    report->told_waiting[0] = '\0';
    if (note->kind == NOTE_ELECTED) {
        log_event(LOG_LEVEL_INFO, "elected", LOG_FIELDS(LOG_NUMBER("delay_ms", 0)),
                  "elected: %s leads with token %" PRIu64 "; starting the command",
                  report->options->name, status->token);
        return;
    }
    int64_t delay_ms = (status->next_at_ns - status->news_ns) / NS_PER_MS;
    duration_format(delay, sizeof delay, delay_ms);
    log_event(LOG_LEVEL_INFO, "elected", LOG_FIELDS(LOG_NUMBER("delay_ms", delay_ms)),
              "elected: %s leads with token %" PRIu64
              "; the last term is not known to have ended with a release: starting the command in "
              "%s",
              report->options->name, status->token, delay);
}

static void tell_lost(const struct lease_record *record)
{
    if (record->foreign[0] != '\0')
        log_event(LOG_LEVEL_ERROR, "lost", LOG_FIELDS(LOG_TEXT("value", record->foreign)),
                  "the lease is lost: somebody wrote \"%s\" into the key; killing the command",
                  record->foreign);
    else
        log_event(LOG_LEVEL_ERROR, "lost", HOLDER_FIELDS(record),
                  "the lease is lost: %s holds it with token %" PRIu64 "; killing the command",
                  record->name[0] != '\0' ? record->name : "nobody", record->token);
}

static void tell_restart(struct report *report, const struct election_note *note)
{
    char delay[32];

    duration_format(delay, sizeof delay, note->delay_ms);
    set_doing(report,
              note->kind == NOTE_RESTART ? "leading; starting the command again in %s"
              : note->end == END_ASKED   ? "standing back for %s, or until another one leads"
                                         : "standing back for %s: the command fails",
              delay);
    if (note->kind == NOTE_RESTART)
        log_event(LOG_LEVEL_WARNING, "restart", LOG_FIELDS(LOG_NUMBER("delay_ms", note->delay_ms)),
                  "starting the command again in %s", delay);
    else if (note->end == END_ASKED)
        log_event(
            LOG_LEVEL_INFO, "stand_back",
            LOG_FIELDS(LOG_NUMBER("delay_ms", note->delay_ms), LOG_TEXT("reason", "step-down")),
            "standing back for %s, or until another one leads", delay);
    else if (note->end == END_UNHEALTHY)
        log_event(
            LOG_LEVEL_ERROR, "stand_back",
            LOG_FIELDS(LOG_NUMBER("delay_ms", note->delay_ms), LOG_TEXT("reason", "unhealthy")),
            "the command was unhealthy; standing back for %s so that another node may try", delay);
    else
        log_event(LOG_LEVEL_ERROR, "stand_back",
                  LOG_FIELDS(LOG_NUMBER("delay_ms", note->delay_ms), LOG_TEXT("reason", "failed")),
                  "the command failed %" PRId64
                  " times in a row; standing back for %s so that another node may try",
                  report->options->max_restarts, delay);
}

static void tell_ending(const struct report *report, const struct election_note *note)
{
    switch (note->end) {
    case END_DEADLINE:
        log_line(LOG_LEVEL_ERROR, "deadline",
                 "no renewal came through in time%s; stopping the command before the lease can "
                 "expire",
                 trouble_blame(&report->trouble));
        break;
    case END_LOST:
        tell_lost(&note->record);
        break;
    case END_STOPPED:
        log_line(LOG_LEVEL_INFO, "stopping", "asked to stop; stopping the command");
        break;
    case END_RUNTIME:
        log_line(LOG_LEVEL_ERROR, "max_runtime", "the command took too long; stopping it");
        break;
    case END_PAUSED:
    case END_CORDONED:
    case END_ASKED:
        wish_tell_ending(&note->wish);
        break;
    /* Told by those who saw it happen. */
    case END_NONE:
    case END_COMMAND:
    case END_KEEPER:
    case END_NOT_STARTED:
    case END_CONFIGURATION:
    case END_UNHEALTHY:
    case END_FAILED:
    case END_BUSY:
    case END_FOREIGN:
    case END_UNREACHABLE:
    case END_KILLED:
        break;
    }
}

/* The lease was given back, or not. */
static void tell_release(const struct election_note *note)
{
    switch (note->kind) {
    case NOTE_RELEASED:
        log_line(LOG_LEVEL_INFO, "released", "lease released; another may lead now");
        log_set_token(0);
        break;
    case NOTE_NOT_HELD:
        log_line(LOG_LEVEL_INFO, "not_held", "the lease is not ours any more; nothing to release");
        log_set_token(0);
        break;
    case NOTE_LEFT:
        log_line(LOG_LEVEL_WARNING, "left", "the lease is not released; it ends with its TTL");
        log_set_token(0);
        break;
    default:
        break;
    }
}

static void tell_hook_alive(const struct report *report)
{
    if (report->status->role == STATUS_LEADER)
        log_line(LOG_LEVEL_WARNING, "hook_alive",
                 "the on-acquire hook of an earlier term is still alive beside this one");
    else
        log_line(LOG_LEVEL_ERROR, "hook_alive",
                 "the on-acquire hook cannot be killed; another term may begin beside it");
}

/* Two jobs that share a lease by mistake: one of them is not run, which nobody would notice. */
static void tell_other_command(struct report *report, const struct lease_record *record)
{
    if ((record->state != LEASE_HELD && record->state != LEASE_CLOSED) ||
        record->command[0] == '\0' || strcmp(record->command, report->options->fingerprint) == 0 ||
        strcmp(record->id, report->observer.id) == 0 ||
        strcmp(record->id, report->told_command_of) == 0)
        return;
    snprintf(report->told_command_of, sizeof report->told_command_of, "%s", record->id);
    log_event(LOG_LEVEL_WARNING, "other_command", HOLDER_FIELDS(record),
              "%s holds the lease \"%.80s\" with another command line than ours; two jobs need two "
              "leases (--key)",
              record->name, report->options->key);
}

/* What another candidate of this lease does differently, told at growing intervals. Only who stands
 * by can see that: a leader's answers are about nobody but itself. */
static void tell_differences(struct report *report, const struct lease_record *record,
                             int64_t now_ns)
{
    int64_t ttl_ms = report->options->timing.ttl_ms;
    char cause[LEASE_ID_SIZE + 32], his[32], ours[32];

    if (record->state != LEASE_HELD || record->foreign[0] != '\0' ||
        strcmp(record->id, report->observer.id) == 0)
        return;
    snprintf(cause, sizeof cause, "ttl %s", record->id);
    if (record->ttl_ms != ttl_ms && noise_hear(&report->noise, cause, now_ns).tell)
        log_event(
            LOG_LEVEL_WARNING, "other_ttl", HOLDER_FIELDS(record),
            "%s leads with a TTL of %s and ours is %s: give all candidates of a lease the same",
            record->name, duration_format(his, sizeof his, record->ttl_ms),
            duration_format(ours, sizeof ours, ttl_ms));
    snprintf(cause, sizeof cause, "name %s", record->id);
    if (strcmp(record->name, report->options->name) == 0 &&
        noise_hear(&report->noise, cause, now_ns).tell)
        log_event(
            LOG_LEVEL_WARNING, "same_name", HOLDER_FIELDS(record),
            "the leader is another process with our own name, %s: give each candidate a --name "
            "of its own",
            record->name);
}

void report_answer(struct report *report, const struct lease_reply *reply, bool first,
                   int64_t now_ns)
{
    if (first)
        trouble_connected(&report->trouble);
    if (reply->warning[0] != '\0' && noise_hear(&report->noise, reply->warning, now_ns).tell)
        log_event(LOG_LEVEL_WARNING, "side_effect", LOG_FIELDS(LOG_TEXT("reason", reply->warning)),
                  "the lease works, but %s", reply->warning);
}

void report_stall(struct report *report, int64_t now_ns)
{
    trouble_stalled(&report->trouble, now_ns);
}

/* The record that comes with `note`; NULL: none does. */
static const struct lease_record *record_of(const struct election_note *note)
{
    switch (note->kind) {
    case NOTE_WAITING:
    case NOTE_BUSY:
        return note->refusal.answered ? &note->refusal.record : NULL;
    case NOTE_TERM_ENDING:
        return note->end == END_LOST ? &note->record : NULL;
    case NOTE_NOT_HELD:
        return &note->record;
    default:
        return NULL;
    }
}

static void tell_renewed(struct report *report)
{
    char ttl[32];

    duration_format(ttl, sizeof ttl, report->options->timing.ttl_ms);
    set_leading(report);
    log_event(LOG_LEVEL_DEBUG, "renewed",
              LOG_FIELDS(LOG_NUMBER("ttl_ms", report->options->timing.ttl_ms)),
              "leading: lease renewed for another %s", ttl);
}

void report_note(struct report *report, const struct election_note *note, int64_t now_ns)
{
    const struct lease_record *record = record_of(note);

    if (status_is_well(note))
        trouble_over(&report->trouble);
    if (record != NULL) {
        tell_other_command(report, record);
        tell_differences(report, record, now_ns);
    }
    switch (note->kind) {
    case NOTE_WAITING:
        tell_waiting(report, now_ns);
        break;
    case NOTE_BUSY:
        tell_busy(report, note);
        break;
    case NOTE_ELECTED:
    case NOTE_LOCK_DELAY:
        tell_elected(report, note);
        break;
    case NOTE_RENEWED:
        tell_renewed(report);
        break;
    case NOTE_RENEWAL_FAILED:
    case NOTE_ASK_FAILED:
    case NOTE_RELEASE_FAILED:
        trouble_failed(&report->trouble, note, now_ns);
        break;
    case NOTE_RETRY:
        tell_retry(report, note->delay_ms, now_ns);
        break;
    case NOTE_ELSEWHERE:
        tell_elsewhere(note->delay_ms);
        break;
    case NOTE_UNPLACED:
        tell_unplaced(&note->tally);
        break;
    case NOTE_RESTART:
    case NOTE_STAND_BACK:
        tell_restart(report, note);
        break;
    case NOTE_TERM_ENDING:
        tell_ending(report, note);
        break;
    case NOTE_TERM_OVER:
        log_line(LOG_LEVEL_INFO, "tree_dead", "the command and all it started are gone");
        break;
    case NOTE_HOOK_ALIVE:
        tell_hook_alive(report);
        break;
    case NOTE_RELEASED:
    case NOTE_NOT_HELD:
    case NOTE_LEFT:
        tell_release(note);
        break;
    }
}

void report_end(const struct report *report, enum election_end end, int exit_status)
{
    if (end == END_CONFIGURATION)
        log_event(LOG_LEVEL_ERROR, "refused", LOG_FIELDS(LOG_TEXT("reason", report->status->why)),
                  "%s", report->status->why);
    if (end == END_UNREACHABLE)
        trouble_unreachable(&report->trouble);
    log_event(LOG_LEVEL_INFO, "exit", LOG_FIELDS(LOG_NUMBER("exit_status", exit_status)),
              "leaving with status %d", exit_status);
}

char *report_wait_status(int wait_status, char *buffer, size_t size)
{
    if (WIFEXITED(wait_status))
        snprintf(buffer, size, "exited with %d", WEXITSTATUS(wait_status));
    else if (WIFSIGNALED(wait_status))
        snprintf(buffer, size, "was ended by signal %d (%s)%s", WTERMSIG(wait_status),
                 strsignal(WTERMSIG(wait_status)), WCOREDUMP(wait_status) ? ", core dumped" : "");
    else
        snprintf(buffer, size, "ended with wait status 0x%x", (unsigned)wait_status);
    return buffer;
}

static void tell_child_exit(const struct keeper_message *message)
{
    int wait_status = message->value;
    bool signalled = WIFSIGNALED(wait_status);
    bool ours = signalled && message->error == KEEPER_ENDED_BY_US;
    const struct log_field exited[] = {LOG_NUMBER("exit_status", WEXITSTATUS(wait_status)),
                                       {.name = NULL}};
    const struct log_field ended[] = {LOG_NUMBER("signal", WTERMSIG(wait_status)),
                                      LOG_TEXT("reason", ours ? "stopped" : "killed"),
                                      {.name = NULL}};
    char status[128];

    log_event(LOG_LEVEL_INFO, "child_exit", signalled ? ended : exited, "the command %s%s",
              report_wait_status(wait_status, status, sizeof status),
              !signalled ? ""
              : ours     ? "; leaderwrap sent it"
                         : "; leaderwrap did not send it");
}

void report_keeper(struct report *report, const struct keeper_message *message)
{
    const char *command =
        report->options->command != NULL ? report->options->command[0] : "the counter";

    switch ((enum keeper_message_kind)message->kind) {
    case KEEPER_STARTED:
        log_event(LOG_LEVEL_INFO, "started", LOG_FIELDS(LOG_NUMBER("process", message->value)),
                  "command started as process %" PRId32, message->value);
        break;
    case KEEPER_EXEC_FAILED:
        log_event(LOG_LEVEL_ERROR, "exec_failed",
                  LOG_FIELDS(LOG_TEXT("reason", strerror(message->value))),
                  "cannot start %.200s: %s", command, strerror(message->value));
        break;
    case KEEPER_NOT_STARTED:
        log_line(LOG_LEVEL_ERROR, "not_started",
                 "cannot make a process for the command: %s; giving the lease back and standing by",
                 message->value == ETIME ? "its deadline had passed" : strerror(message->value));
        break;
    case KEEPER_STOPPING:
        log_line(LOG_LEVEL_DEBUG, "keeper_stopping", "the keeper's deadline passed: TERM was sent");
        break;
    case KEEPER_CHILD_EXIT:
        tell_child_exit(message);
        break;
    case KEEPER_STUCK:
        log_event(LOG_LEVEL_ERROR, "stuck", LOG_FIELDS(LOG_NUMBER("count", message->value)),
                  "%" PRId32
                  " processes of the command do not die%s%s; the lease is left to run out",
                  message->value, message->error != 0 ? ": " : "",
                  message->error != 0 ? strerror(message->error) : "");
        break;
    case KEEPER_ACK:
    case KEEPER_TREE_DEAD:
        break;
    }
}
