/* Each kind of trouble has one line, with a cause that `noise` counts. */
#include "trouble.h"

#include <stdio.h>
#include <string.h>

#include "leaderwrap/base/clock.h"
#include "leaderwrap/base/duration.h"
#include "leaderwrap/base/log.h"

#define OUTAGE_MS 60000

void trouble_init(struct trouble *trouble, const struct redis_target *target,
                  const struct timing *timing, const struct status *status, bool once)
{
    memset(trouble, 0, sizeof *trouble);
    redis_target_show(target, trouble->server, sizeof trouble->server);
    trouble->timing = timing;
    trouble->status = status;
    trouble->once = once;
    /* A Redis without TLS says nothing to a handshake. */
    trouble->doubt = target->url.is_tls ? ": is that a port for TLS, rediss://?" : "";
}

char *trouble_why(const struct trouble *trouble, char *buffer, size_t size)
{
    if (trouble->status->why[0] != '\0')
        snprintf(buffer, size, "%s", trouble->status->why);
    else if (trouble->status->stalled_ns > 0)
        snprintf(buffer, size, "leaderwrap stood still while it connected to redis at %s",
                 trouble->server);
    else
        snprintf(buffer, size, "redis at %s does not answer%s", trouble->server, trouble->doubt);
    return buffer;
}

const char *trouble_blame(const struct trouble *trouble)
{
    return trouble->status->stalled_ns > 0 ? ", for leaderwrap stood still" : "";
}

void trouble_connected(struct trouble *trouble)
{
    log_event(trouble->told ? LOG_LEVEL_INFO : LOG_LEVEL_DEBUG, "connected",
              LOG_FIELDS(LOG_TEXT("server", trouble->server)), "connected to redis at %s",
              trouble->server);
    trouble->told = false;
    trouble->doubt = "";
}

void trouble_over(struct trouble *trouble)
{
    int64_t lasted_ms = trouble->status->outage_ns / NS_PER_MS;
    char lasted[32];

    /* What was told as an error must not stand as the last word. */
    if (trouble->outage_told)
        log_event(
            LOG_LEVEL_INFO, "outage_over",
            LOG_FIELDS(LOG_TEXT("server", trouble->server), LOG_NUMBER("lasted_ms", lasted_ms)),
            "redis at %s is of use again, after %s", trouble->server,
            duration_format(lasted, sizeof lasted, lasted_ms));
    trouble->outage_told = false;
}

void trouble_unreachable(const struct trouble *trouble)
{
    char why[sizeof trouble->status->why];

    trouble_why(trouble, why, sizeof why);
    log_event(LOG_LEVEL_ERROR, "unreachable", LOG_FIELDS(LOG_TEXT("reason", why)),
              "%s; the command was not run", why);
}

/* The level at which the same cause is told now; and, where it was kept back, a count. */
static enum log_level hear(struct trouble *trouble, const char *cause, int64_t now_ns, char *count,
                           size_t size)
{
    struct noise_word word = noise_hear(&trouble->noise, cause, now_ns);
    char time[32];

    count[0] = '\0';
    if (!word.tell)
        return LOG_LEVEL_DEBUG;
    if (word.times > 1)
        snprintf(count, size, " (%u times in %s)", (unsigned)word.times,
                 duration_format(time, sizeof time, word.within_ms));
    trouble->told = true;
    return trouble->once && !status_has_term(trouble->status) ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING;
}

void trouble_stalled(struct trouble *trouble, int64_t now_ns)
{
    char count[64], lasted[32];
    enum log_level level = hear(trouble, "stalled", now_ns, count, sizeof count);

    duration_format(lasted, sizeof lasted, trouble->status->stalled_ns / NS_PER_MS);
    log_event(
        level, "stalled",
        LOG_FIELDS(LOG_NUMBER("lasted_ms", trouble->status->stalled_ns / NS_PER_MS)),
        "leaderwrap itself stood still for at least %s%s: it was stopped or suspended, or had no "
        "processor",
        lasted, count);
}

static int64_t stopped_in_ms(const struct trouble *trouble, int64_t now_ns)
{
    return (trouble->status->deadlines.stop_at_ns - now_ns) / NS_PER_MS;
}

/* True once in an outage: when it has lasted for `patience_ms`. */
static bool outage_lasts(struct trouble *trouble, int64_t lasted_ms, int64_t patience_ms)
{
    if (trouble->outage_told || lasted_ms < patience_ms)
        return false;
    trouble->outage_told = true;
    return true;
}

/* A leader has less patience than a minute: half of the outage that it can bear. */
static void check_leader(struct trouble *trouble, int64_t lasted_ms, int64_t now_ns)
{
    const struct timing *timing = trouble->timing;
    int64_t patience_ms = timing->renew_ms + timing->tolerated_outage_ms / 2;
    char lasted[32], left[32];

    if (patience_ms > OUTAGE_MS)
        patience_ms = OUTAGE_MS;
    if (outage_lasts(trouble, lasted_ms, patience_ms))
        log_event(LOG_LEVEL_ERROR, "outage",
                  LOG_FIELDS(LOG_NUMBER("lasted_ms", lasted_ms),
                             LOG_NUMBER("left_ms", stopped_in_ms(trouble, now_ns))),
                  "no renewal for %s: without one the command will be stopped in %s",
                  duration_format(lasted, sizeof lasted, lasted_ms),
                  duration_format(left, sizeof left, stopped_in_ms(trouble, now_ns)));
}

static void check_candidate(struct trouble *trouble, int64_t lasted_ms)
{
    char why[sizeof trouble->status->why], lasted[32];

    if (outage_lasts(trouble, lasted_ms, OUTAGE_MS))
        log_event(
            LOG_LEVEL_ERROR, "outage", LOG_FIELDS(LOG_NUMBER("lasted_ms", lasted_ms)),
            "no useful answer for %s: nobody can be elected through redis at %s until there is "
            "one; last: %.100s",
            duration_format(lasted, sizeof lasted, lasted_ms), trouble->server,
            trouble_why(trouble, why, sizeof why));
}

static void check_outage(struct trouble *trouble, int64_t now_ns)
{
    int64_t lasted_ms = (now_ns - trouble->status->well_since_ns) / NS_PER_MS;

    switch (trouble->status->role) {
    case STATUS_CANDIDATE:
        check_candidate(trouble, lasted_ms);
        break;
    case STATUS_LEADER:
        check_leader(trouble, lasted_ms, now_ns);
        break;
    case STATUS_STOPPING:
    case STATUS_RELEASING:
    case STATUS_GONE:
        break;
    }
}

void trouble_retry(struct trouble *trouble, int64_t delay_ms, int64_t now_ns)
{
    char why[sizeof trouble->status->why], delay[32], count[64], left[64] = "", time[32];
    enum log_level level =
        hear(trouble, trouble_why(trouble, why, sizeof why), now_ns, count, sizeof count);

    if (trouble->status->role == STATUS_LEADER)
        snprintf(left, sizeof left, "; the command has %s left",
                 duration_format(time, sizeof time, stopped_in_ms(trouble, now_ns)));
    duration_format(delay, sizeof delay, delay_ms);
    log_event(level, "disconnected",
              LOG_FIELDS(LOG_TEXT("reason", why), LOG_TEXT("server", trouble->server),
                         LOG_NUMBER("delay_ms", delay_ms)),
              "%s%s; retrying %s%s%s", why, count, delay_ms > 0 ? "in " : "at once",
              delay_ms > 0 ? delay : "", left);
    check_outage(trouble, now_ns);
}

/* What failed, in a word for machines and in words for people. */
static void name_request(enum election_note_kind note, const char **event, const char **what)
{
    *event = note == NOTE_RENEWAL_FAILED   ? "renew_failed"
             : note == NOTE_RELEASE_FAILED ? "release_failed"
                                           : "ask_failed";
    *what = note == NOTE_RENEWAL_FAILED   ? "the renewal"
            : note == NOTE_RELEASE_FAILED ? "the release"
                                          : "asking for the lease";
}

static void explain(const struct trouble *trouble, const struct election_failure *failure,
                    char *why, size_t size)
{
    if (failure->unconfirmed)
        snprintf(why, size,
                 "redis answered, but no majority of the witnesses says in time that it is the "
                 "master");
    else if (!failure->answered && trouble->status->closed)
        snprintf(why, size, "the connection ended before an answer; it may have been executed");
    else if (!failure->answered)
        snprintf(why, size, "no answer from redis%s; it may have been executed all the same",
                 trouble_blame(trouble));
    else
        snprintf(why, size, "%s",
                 failure->text[0] != '\0' ? failure->text
                                          : "redis answered something that fits no question");
}

void trouble_failed(struct trouble *trouble, const struct election_note *note, int64_t now_ns)
{
    const struct election_failure *failure = &note->failure;
    const char *event, *what;
    char why[LEASE_TEXT_SIZE], cause[LEASE_TEXT_SIZE + 32], count[64] = "";
    enum log_level level = LOG_LEVEL_DEBUG;

    explain(trouble, failure, why, sizeof why);
    name_request(note->kind, &event, &what);
    snprintf(cause, sizeof cause, "%s: %s", event, why);
    /* A lost connection is told by the retry. */
    if (failure->answered || !trouble->status->closed)
        level = hear(trouble, cause, now_ns, count, sizeof count);
    log_event(level, event, LOG_FIELDS(LOG_TEXT("reason", why)), "%s failed: %s%s", what, why,
              count);
    check_outage(trouble, now_ns);
}
