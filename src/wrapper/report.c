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

#define FOREIGN_SHOWN 40

void report_init(struct report *report, const struct options *options, int64_t now_ns)
{
    memset(report, 0, sizeof *report);
    report->options = options;
    trouble_init(&report->trouble, &options->redis, options->once, now_ns);
}

static void set_status(struct report *report, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void set_status(struct report *report, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(report->status, sizeof report->status, format, arguments);
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
    log_line(LOG_LEVEL_INFO, "start", "%.30s runs %s the lease \"%.36s\" at redis %.46s %s",
             command != NULL ? command[0] : "the built-in counter",
             report->options->once ? "once if" : "where", report->options->key,
             report->trouble.server, report->options->once ? "can be had" : "is held");
    log_line(LOG_LEVEL_INFO, "timing",
             "ttl %s, renewed every %s: an outage of %s is ridden out, TERM after %s, KILL after "
             "%s, failover within %s",
             ttl, renew, outage, stop, kill, failover);
}

static void tell_retry(struct report *report, const struct election *election, int64_t delay_ms)
{
    char why[sizeof report->trouble.why];

    trouble_retry(&report->trouble, election, delay_ms);
    set_status(report, "%s%.200s", election->state == ELECTION_LEADING ? "leading, but " : "",
               trouble_why(&report->trouble, why, sizeof why));
}

static void tell_elsewhere(int64_t delay_ms)
{
    char delay[32];

    duration_format(delay, sizeof delay, delay_ms);
    log_line(
        LOG_LEVEL_WARNING, "elsewhere",
        "most witnesses name another master than this redis; asking for its address again in %s",
        delay);
}

static void tell_unplaced(const struct election_note *note)
{
    log_line(
        LOG_LEVEL_WARNING, "no_majority",
        "no majority of the witnesses names a master: %u of %u agree, %u have to; asking again",
        note->votes, note->electorate, note->electorate / 2 + 1);
}

/* Whether a renewal of the holder is overdue, as far as our own numbers are like his. */
static bool is_silent(const struct report *report, const struct lease_record *record)
{
    const struct timing *timing = &report->options->timing;
    int64_t late_ms = timing->renew_ms + timing->request_timeout_ms;

    return record->state == LEASE_HELD && record->age_ms > late_ms &&
           record->age_ms > record->ttl_ms / 2;
}

/* Who stands by does not lead: it is the record of a term that is over. */
static bool is_our_own(const struct election *election, const struct lease_record *record)
{
    return record->state == LEASE_HELD && strcmp(record->id, election->config.id) == 0;
}

/* Who keeps us waiting, without the numbers that change at each look. */
static void describe_holder(const struct report *report, const struct election *election,
                            const struct lease_record *record, char *buffer, size_t size)
{
    if (record->foreign[0] != '\0')
        snprintf(buffer, size, "the key holds \"%.*s%s\", which no leaderwrap wrote", FOREIGN_SHOWN,
                 record->foreign, strlen(record->foreign) > FOREIGN_SHOWN ? "..." : "");
    else if (record->state == LEASE_VACANT && record->token == 0)
        snprintf(buffer, size, "redis has no record of any leader");
    else if (record->state == LEASE_VACANT)
        snprintf(buffer, size,
                 "redis was restarted or has lost data, and an earlier leader may still run");
    else if (record->state == LEASE_CLOSED)
        snprintf(buffer, size, "%s has left and keeps the lease closed", record->name);
    else if (is_our_own(election, record))
        snprintf(buffer, size, "a term of our own that is over still has the lease");
    else if (is_silent(report, record))
        snprintf(buffer, size, "%s does not renew any more", record->name);
    else if (record->state == LEASE_HELD)
        snprintf(buffer, size, "%s leads with token %" PRIu64, record->name, record->token);
    else
        snprintf(buffer, size, "the lease was free a moment ago");
}

/* A job that was done already, as the one who asks in vain wants to know it. */
static void describe_hold(const struct lease_record *record, char *buffer, size_t size)
{
    char ago[32], left[32];

    duration_format(ago, sizeof ago, record->age_ms);
    duration_format(left, sizeof left, record->hold_left_ms);
    snprintf(buffer, size, "%s ran it %s ago; closed for %s more (--hold)", record->name, ago,
             left);
}

static void tell_busy(struct report *report, const struct election *election,
                      const struct election_note *note, const struct lease_reply *reply)
{
    char advice[160];

    if (reply != NULL && reply->record.foreign[0] == '\0' && reply->record.state == LEASE_CLOSED)
        describe_hold(&reply->record, report->told_waiting, sizeof report->told_waiting);
    else if (reply != NULL)
        describe_holder(report, election, &reply->record, report->told_waiting,
                        sizeof report->told_waiting);
    if (note->end == END_FOREIGN)
        log_line(LOG_LEVEL_ERROR, "foreign", "not running the command: %s; %s",
                 report->told_waiting, occupant_advice(report->options, advice, sizeof advice));
    else
        /* Nothing to write mail about; but a person who has just typed it would wonder. */
        log_line(isatty(STDERR_FILENO) ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, "busy",
                 "not running the command: %s", report->told_waiting);
}

/* What changes at each look: for how long yet, as far as that is known. */
static void describe_rest(const struct report *report, const struct election *election,
                          const struct lease_record *record, char *buffer, size_t size)
{
    int64_t takeover_ns = election_takeover_at_ns(election, record);
    int64_t left_ms = (takeover_ns - election->now_ns) / NS_PER_MS;
    char heard[64] = "", time[32];
    size_t used;

    bool own = is_our_own(election, record);

    if (record->state == LEASE_HELD && !own && !is_silent(report, record)) {
        duration_format(time, sizeof time, record->ttl_ms - record->age_ms);
        snprintf(buffer, size, "; its lease has %s left", time);
        return;
    }
    if (record->state == LEASE_CLOSED) {
        duration_format(time, sizeof time, record->hold_left_ms);
        snprintf(buffer, size, " for another %s", time);
        return;
    }
    if (record->state == LEASE_HELD && !own) {
        duration_format(time, sizeof time, record->age_ms);
        snprintf(heard, sizeof heard, " (last heard %s ago)", time);
    }
    snprintf(buffer, size, "%s", heard);
    used = strlen(buffer);
    if (takeover_ns != INT64_MAX && left_ms > 0)
        snprintf(buffer + used, size - used, "; taking over in %s",
                 duration_format(time, sizeof time, left_ms));
}

static void tell_waiting(struct report *report, const struct election *election,
                         const struct lease_record *record)
{
    bool foreign = record->foreign[0] != '\0';
    char holder[sizeof report->told_waiting], rest[160] = "; ";

    describe_holder(report, election, record, holder, sizeof holder);
    if (foreign)
        occupant_advice(report->options, rest + 2, sizeof rest - 2);
    else
        describe_rest(report, election, record, rest, sizeof rest);
    set_status(report, "standing by: %s", holder);
    bool repeated = strcmp(holder, report->told_waiting) == 0;
    snprintf(report->told_waiting, sizeof report->told_waiting, "%s", holder);
    enum log_level level = repeated ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO;
    if (foreign && noise_hear(&report->noise, holder, election->now_ns).tell)
        level = LOG_LEVEL_WARNING;
    log_line(level, "waiting", "standing by: %s%s", holder, rest);
}

/* That we lead, and how long the command is still waited for. */
static void set_leading(struct report *report, const struct election *election)
{
    char delay[32];

    if (election->term.restart_at_ns == INT64_MAX) {
        set_status(report, "leading with token %" PRIu64, election->term.token);
        return;
    }
    duration_format(delay, sizeof delay,
                    (election->term.restart_at_ns - election->now_ns) / NS_PER_MS);
    set_status(report, "leading with token %" PRIu64 "; starting the command in %s",
               election->term.token, delay);
}

static void tell_elected(struct report *report, const struct election *election,
                         const struct election_note *note)
{
    char delay[32];

    log_set_token(note->token);
    set_leading(report, election);
    report->told_waiting[0] = '\0';
    if (note->kind == NOTE_ELECTED) {
        log_line(LOG_LEVEL_INFO, "elected",
                 "elected: %s leads with token %" PRIu64 "; starting the command",
                 report->options->name, note->token);
        return;
    }
    duration_format(delay, sizeof delay, note->delay_ms);
    log_line(LOG_LEVEL_INFO, "elected",
             "elected: %s leads with token %" PRIu64
             "; the last term is not known to have ended with a release: starting the command in "
             "%s",
             report->options->name, note->token, delay);
}

static void tell_lost(const struct lease_reply *reply)
{
    const struct lease_record *record = reply != NULL ? &reply->record : NULL;

    if (record == NULL)
        log_line(LOG_LEVEL_ERROR, "lost", "the lease is lost; killing the command");
    else if (record->foreign[0] != '\0')
        log_line(LOG_LEVEL_ERROR, "lost",
                 "the lease is lost: somebody wrote \"%s\" into the key; killing the command",
                 record->foreign);
    else
        log_line(LOG_LEVEL_ERROR, "lost",
                 "the lease is lost: %s holds it with token %" PRIu64 "; killing the command",
                 record->name[0] != '\0' ? record->name : "nobody", record->token);
}

static void tell_restart(struct report *report, const struct election_note *note)
{
    char delay[32];

    duration_format(delay, sizeof delay, note->delay_ms);
    set_status(report,
               note->kind == NOTE_RESTART ? "leading; starting the command again in %s"
                                          : "standing back for %s: the command fails",
               delay);
    if (note->kind == NOTE_RESTART)
        log_line(LOG_LEVEL_WARNING, "restart", "starting the command again in %s", delay);
    else if (note->end == END_UNHEALTHY)
        log_line(LOG_LEVEL_ERROR, "stand_back",
                 "the command was unhealthy; standing back for %s so that another node may try",
                 delay);
    else
        log_line(LOG_LEVEL_ERROR, "stand_back",
                 "the command failed %" PRId64
                 " times in a row; standing back for %s so that another node may try",
                 report->options->max_restarts, delay);
}

static void tell_ending(enum election_end end, const struct lease_reply *reply)
{
    switch (end) {
    case END_DEADLINE:
        log_line(
            LOG_LEVEL_ERROR, "deadline",
            "no renewal came through in time; stopping the command before the lease can expire");
        break;
    case END_LOST:
        tell_lost(reply);
        break;
    case END_STOPPED:
        log_line(LOG_LEVEL_INFO, "stopping", "asked to stop; stopping the command");
        break;
    case END_RUNTIME:
        log_line(LOG_LEVEL_ERROR, "max_runtime", "the command took too long; stopping it");
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

static void tell_hook_alive(const struct election *election)
{
    if (election->state == ELECTION_LEADING)
        log_line(LOG_LEVEL_WARNING, "hook_alive",
                 "the on-acquire hook of an earlier term is still alive beside this one");
    else
        log_line(LOG_LEVEL_ERROR, "hook_alive",
                 "the on-acquire hook cannot be killed; another term may begin beside it");
}

/* Two jobs that share a lease by mistake: one of them is not run, which nobody would notice. */
static void tell_other_command(struct report *report, const struct election *election,
                               const struct lease_record *record)
{
    if ((record->state != LEASE_HELD && record->state != LEASE_CLOSED) ||
        record->command[0] == '\0' || strcmp(record->command, report->options->fingerprint) == 0 ||
        strcmp(record->id, election->config.id) == 0 ||
        strcmp(record->id, report->told_command_of) == 0)
        return;
    snprintf(report->told_command_of, sizeof report->told_command_of, "%s", record->id);
    log_line(LOG_LEVEL_WARNING, "other_command",
             "%s holds the lease \"%.80s\" with another command line than ours; two jobs need two "
             "leases (--key)",
             record->name, report->options->key);
}

/* What another candidate of this lease does differently, told at growing intervals. Only who stands
 * by can see that: a leader's answers are about nobody but itself. */
static void tell_differences(struct report *report, const struct election *election,
                             const struct lease_record *record)
{
    int64_t ttl_ms = report->options->timing.ttl_ms;
    char cause[LEASE_ID_SIZE + 32], his[32], ours[32];

    if (record->state != LEASE_HELD || record->foreign[0] != '\0' ||
        strcmp(record->id, election->config.id) == 0)
        return;
    snprintf(cause, sizeof cause, "ttl %s", record->id);
    if (record->ttl_ms != ttl_ms && noise_hear(&report->noise, cause, election->now_ns).tell)
        log_line(
            LOG_LEVEL_WARNING, "other_ttl",
            "%s leads with a TTL of %s and ours is %s: give all candidates of a lease the same",
            record->name, duration_format(his, sizeof his, record->ttl_ms),
            duration_format(ours, sizeof ours, ttl_ms));
    snprintf(cause, sizeof cause, "name %s", record->id);
    if (strcmp(record->name, report->options->name) == 0 &&
        noise_hear(&report->noise, cause, election->now_ns).tell)
        log_line(
            LOG_LEVEL_WARNING, "same_name",
            "the leader is another process with our own name, %s: give each candidate a --name "
            "of its own",
            record->name);
}

/* What an answer says whatever came of it. */
static void hear_reply(struct report *report, const struct election *election,
                       const struct lease_reply *reply)
{
    if (reply->verdict != LEASE_FAILED)
        trouble_over(&report->trouble, election->now_ns);
    if (reply->warning[0] != '\0' &&
        noise_hear(&report->noise, reply->warning, election->now_ns).tell)
        log_line(LOG_LEVEL_WARNING, "side_effect", "the lease works, but %s", reply->warning);
    tell_other_command(report, election, &reply->record);
    tell_differences(report, election, &reply->record);
}

void report_note(struct report *report, const struct election *election,
                 const struct election_note *note, const struct lease_reply *reply)
{
    if (reply != NULL)
        hear_reply(report, election, reply);
    switch (note->kind) {
    case NOTE_WAITING:
        if (reply != NULL)
            tell_waiting(report, election, &reply->record);
        break;
    case NOTE_BUSY:
        tell_busy(report, election, note, reply);
        break;
    case NOTE_ELECTED:
    case NOTE_LOCK_DELAY:
        tell_elected(report, election, note);
        break;
    case NOTE_RENEWED: {
        char ttl[32];
        duration_format(ttl, sizeof ttl, election->config.timing.ttl_ms);
        set_leading(report, election);
        log_line(LOG_LEVEL_DEBUG, "renewed", "leading: lease renewed for another %s", ttl);
        break;
    }
    case NOTE_RENEWAL_FAILED:
    case NOTE_ASK_FAILED:
    case NOTE_RELEASE_FAILED:
        trouble_failed(&report->trouble, election, note->kind, reply);
        break;
    case NOTE_RETRY:
        tell_retry(report, election, note->delay_ms);
        break;
    case NOTE_ELSEWHERE:
        tell_elsewhere(note->delay_ms);
        break;
    case NOTE_UNPLACED:
        tell_unplaced(note);
        break;
    case NOTE_RESTART:
    case NOTE_STAND_BACK:
        tell_restart(report, note);
        break;
    case NOTE_TERM_ENDING:
        tell_ending(note->end, reply);
        break;
    case NOTE_TERM_OVER:
        log_line(LOG_LEVEL_INFO, "tree_dead", "the command and all it started are gone");
        break;
    case NOTE_HOOK_ALIVE:
        tell_hook_alive(election);
        break;
    default:
        tell_release(note);
        break;
    }
}

char *report_status(int wait_status, char *buffer, size_t size)
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

void report_keeper(struct report *report, const struct keeper_message *keeper)
{
    char status[128];
    const char *command =
        report->options->command != NULL ? report->options->command[0] : "the counter";

    switch ((enum keeper_message_kind)keeper->kind) {
    case KEEPER_STARTED:
        log_line(LOG_LEVEL_INFO, "started", "command started as process %" PRId32, keeper->value);
        break;
    case KEEPER_EXEC_FAILED:
        log_line(LOG_LEVEL_ERROR, "exec_failed", "cannot start %.200s: %s", command,
                 strerror(keeper->value));
        break;
    case KEEPER_NOT_STARTED:
        log_line(LOG_LEVEL_ERROR, "not_started",
                 "cannot make a process for the command: %s; giving the lease back and standing by",
                 keeper->value == ETIME ? "its deadline had passed" : strerror(keeper->value));
        break;
    case KEEPER_STOPPING:
        log_line(LOG_LEVEL_DEBUG, "keeper_stopping", "the keeper's deadline passed: TERM was sent");
        break;
    case KEEPER_CHILD_EXIT:
        log_line(LOG_LEVEL_INFO, "child_exit", "the command %s%s",
                 report_status(keeper->value, status, sizeof status),
                 !WIFSIGNALED(keeper->value)           ? ""
                 : keeper->error == KEEPER_ENDED_BY_US ? "; leaderwrap sent it"
                                                       : "; leaderwrap did not send it");
        break;
    case KEEPER_STUCK:
        log_line(LOG_LEVEL_ERROR, "stuck",
                 "%" PRId32
                 " processes of the command do not die%s%s; the lease is left to run out",
                 keeper->value, keeper->error != 0 ? ": " : "",
                 keeper->error != 0 ? strerror(keeper->error) : "");
        break;
    case KEEPER_ACK:
    case KEEPER_TREE_DEAD:
        break;
    }
}
