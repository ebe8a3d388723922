/* Counting, and the text format. */
#include "metrics.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "leaderwrap/base/clock.h"
#include "outcome.h"

#define NS_PER_S 1e9

/* Upper bounds in seconds; beyond the last one is +Inf. */
static const double bounds[METRICS_BUCKETS] = {0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3};

void metrics_init(struct metrics *metrics)
{
    *metrics = (struct metrics){.takeover = -1, .exit_status = -1};
}

static void count_renewal(struct metrics *metrics, double seconds)
{
    metrics->renewals++;
    metrics->renewal_sum += seconds;
    for (size_t i = 0; i < METRICS_BUCKETS; i++) {
        if (seconds <= bounds[i]) {
            metrics->renewal_buckets[i]++;
            return;
        }
    }
}

static int64_t sent_ns(const struct election_grant *grant, const struct timing *timing)
{
    return grant->deadlines.expires_at_ns - ms_to_ns(timing->expire_after_ms);
}

static void see_record(struct metrics *metrics, const struct lease_record *record, int64_t now_ns)
{
    if (strcmp(record->version, metrics->version) == 0)
        return;
    memcpy(metrics->version, record->version, sizeof metrics->version);
    metrics->version_ns = now_ns;
}

static void begin_term(struct metrics *metrics, int64_t now_ns, double unix_s)
{
    metrics->elected++;
    metrics->term_start = metrics->last_renewal = unix_s;
    metrics->takeover =
        metrics->version_ns > 0 ? (double)(now_ns - metrics->version_ns) / NS_PER_S : -1;
    metrics->version_ns = 0;
    metrics->version[0] = '\0';
}

void metrics_note(struct metrics *metrics, const struct election_note *note,
                  const struct timing *timing, int64_t now_ns, double unix_s)
{
    if (status_is_well(note)) {
        metrics->answered = true;
        metrics->answered_ns = now_ns;
    }
    switch (note->kind) {
    case NOTE_WAITING:
    case NOTE_BUSY:
        if (note->refusal.answered)
            see_record(metrics, &note->refusal.record, now_ns);
        break;
    case NOTE_ELECTED:
    case NOTE_LOCK_DELAY:
        begin_term(metrics, now_ns, unix_s);
        break;
    case NOTE_RENEWED:
        metrics->last_renewal = unix_s;
        count_renewal(metrics, (double)(now_ns - sent_ns(&note->grant, timing)) / NS_PER_S);
        break;
    case NOTE_RENEWAL_FAILED:
        metrics->renewal_failures++;
        break;
    case NOTE_RESTART:
        metrics->restarts++;
        break;
    case NOTE_TERM_OVER:
        if ((unsigned)note->end < ELECTION_ENDS)
            metrics->ended[note->end]++;
        break;
    case NOTE_ASK_FAILED:
    case NOTE_RELEASE_FAILED:
    case NOTE_RETRY:
    case NOTE_ELSEWHERE:
    case NOTE_UNPLACED:
    case NOTE_TERM_ENDING:
    case NOTE_STAND_BACK:
    case NOTE_RELEASED:
    case NOTE_NOT_HELD:
    case NOTE_LEFT:
    case NOTE_HOOK_ALIVE:
        break;
    }
}

void metrics_exit(struct metrics *metrics, int exit_status, double unix_s)
{
    metrics->exit_status = exit_status;
    if (exit_status == 0)
        metrics->last_success = unix_s;
}

bool metrics_redis_is_up(const struct metrics *metrics, const struct timing *timing, int64_t now_ns)
{
    /* A follower's pace has a jitter of a tenth; one that hears the renewals asks once in a TTL. */
    int64_t pace_ms = timing->retry_ms + timing->retry_ms / 10;
    int64_t due_ms = timing->ttl_ms > pace_ms ? timing->ttl_ms : pace_ms;
    int64_t patience_ms = due_ms + timing->request_timeout_ms;

    return metrics->answered && now_ns - metrics->answered_ns < ms_to_ns(patience_ms);
}

/* Where the lines go, and the label that all of them have. */
struct text {
    FILE *file;
    const char *key;
};

static void write_label(const struct text *text, const char *name, const char *value)
{
    fprintf(text->file, "%s=\"", name);
    for (const char *at = value; *at != '\0'; at++) {
        if (*at == '\n')
            fputs("\\n", text->file);
        else if (*at == '"' || *at == '\\')
            fprintf(text->file, "\\%c", *at);
        else
            fputc(*at, text->file);
    }
    fputc('"', text->file);
}

static void head(const struct text *text, const char *name, const char *type, const char *help)
{
    fprintf(text->file, "# HELP leaderwrap_%s %s\n# TYPE leaderwrap_%s %s\n", name, help, name,
            type);
}

/* A further label where `label` is not NULL. */
static void sample(const struct text *text, const char *name, const char *label, const char *value,
                   double number)
{
    fprintf(text->file, "leaderwrap_%s{", name);
    write_label(text, "key", text->key);
    if (label != NULL) {
        fputc(',', text->file);
        write_label(text, label, value);
    }
    fprintf(text->file, "} %.17g\n", number);
}

static void gauge(const struct text *text, const char *name, double number, const char *help)
{
    head(text, name, "gauge", help);
    sample(text, name, NULL, NULL, number);
}

static void counter(const struct text *text, const char *name, uint64_t number, const char *help)
{
    head(text, name, "counter", help);
    sample(text, name, NULL, NULL, (double)number);
}

/* Ends that are called alike are one reason. */
static void transitions(const struct text *text, const struct metrics *metrics)
{
    head(text, "transitions_total", "counter",
         "Terms that this candidate began (elected) and ended, by the reason.");
    sample(text, "transitions_total", "reason", "elected", (double)metrics->elected);
    for (int i = 0; i < ELECTION_ENDS; i++) {
        const char *reason = outcome_reason((enum election_end)i);
        if (strcmp(reason, outcome_reason(END_NONE)) != 0)
            sample(text, "transitions_total", "reason", reason, (double)metrics->ended[i]);
    }
}

static void renewals(const struct text *text, const struct metrics *metrics)
{
    uint64_t count = 0;

    head(text, "renewal_duration_seconds", "histogram",
         "From the send of a renewal to its answer.");
    for (size_t i = 0; i < METRICS_BUCKETS; i++) {
        char bound[24];
        snprintf(bound, sizeof bound, "%g", bounds[i]);
        count += metrics->renewal_buckets[i];
        sample(text, "renewal_duration_seconds_bucket", "le", bound, (double)count);
    }
    sample(text, "renewal_duration_seconds_bucket", "le", "+Inf", (double)metrics->renewals);
    sample(text, "renewal_duration_seconds_sum", NULL, NULL, metrics->renewal_sum);
    sample(text, "renewal_duration_seconds_count", NULL, NULL, (double)metrics->renewals);
}

static void lease(const struct text *text, const struct metrics *metrics,
                  const struct metrics_view *view)
{
    gauge(text, "leader", view->left_ns > 0, "Whether this candidate leads.");
    gauge(text, "lease_remaining_seconds", (double)view->left_ns / NS_PER_S,
          "How long the command may run without another renewal.");
    if (metrics->elected > 0) {
        gauge(text, "term_start_time_seconds", metrics->term_start,
              "When the last term of this candidate began.");
        gauge(text, "last_renewal_timestamp_seconds", metrics->last_renewal,
              "When its lease was granted or renewed last.");
    }
    if (metrics->takeover >= 0)
        gauge(text, "takeover_seconds", metrics->takeover,
              "From when the last holder's last write was first seen to that term.");
    transitions(text, metrics);
    counter(text, "renewal_failures_total", metrics->renewal_failures,
            "Renewals without a useful answer.");
    renewals(text, metrics);
    gauge(text, "redis_up", metrics_redis_is_up(metrics, &view->options->timing, view->now_ns),
          "Whether Redis has answered when it was last due to.");
}

static void command(const struct text *text, const struct metrics *metrics,
                    const struct metrics_view *view)
{
    gauge(text, "command_up", view->status->command == COMMAND_RUNNING,
          "Whether the command runs here.");
    counter(text, "command_restarts_total", metrics->restarts,
            "Times that the command was started again in its term.");
    if (view->healthy >= 0)
        gauge(text, "command_healthy", view->healthy,
              "Whether the command runs and its health check has succeeded.");
    if (metrics->last_success > 0)
        gauge(text, "job_last_success_timestamp_seconds", metrics->last_success,
              "When the command ended with 0 last.");
    if (metrics->exit_status >= 0)
        gauge(text, "job_last_exit_status", metrics->exit_status,
              "The exit status of the command that ended last; 128+n for signal n.");
}

char *metrics_text(const struct metrics *metrics, const struct metrics_view *view)
{
    char *bytes = NULL;
    size_t size = 0;
    struct text text = {.file = open_memstream(&bytes, &size), .key = view->options->key};

    if (text.file == NULL)
        return NULL;
    head(&text, "build_info", "gauge", "The version of leaderwrap.");
    sample(&text, "build_info", "version", LEADERWRAP_VERSION, 1);
    lease(&text, metrics, view);
    command(&text, metrics, view);
    bool whole = ferror(text.file) == 0;
    if (fclose(text.file) != 0 || !whole) {
        free(bytes);
        return NULL;
    }
    return bytes;
}
