/* Each kind of trouble has one line, with a cause that `noise` counts. */
#include "trouble.h"

#include <stdio.h>
#include <string.h>

#include "leaderwrap/base/clock.h"
#include "leaderwrap/base/duration.h"
#include "leaderwrap/base/log.h"

#define OUTAGE_MS 60000

void trouble_init(struct trouble *trouble, const struct redis_target *target, bool once,
                  int64_t now_ns)
{
    memset(trouble, 0, sizeof *trouble);
    redis_target_show(target, trouble->server, sizeof trouble->server);
    trouble->once = once;
    outage_over(&trouble->outage, now_ns);
}

void trouble_remember(struct trouble *trouble, const char *why)
{
    snprintf(trouble->why, sizeof trouble->why, "%s", why);
}

void trouble_closed(struct trouble *trouble, const char *why)
{
    trouble_remember(trouble, why);
    trouble->closed = true;
}

char *trouble_why(const struct trouble *trouble, char *buffer, size_t size)
{
    if (trouble->why[0] != '\0')
        snprintf(buffer, size, "%s", trouble->why);
    else
        snprintf(buffer, size, "redis at %s does not answer", trouble->server);
    return buffer;
}

void trouble_opened(struct trouble *trouble)
{
    trouble->unheard = true;
    trouble->closed = false;
}

void trouble_answered(struct trouble *trouble)
{
    if (!trouble->unheard)
        return;
    log_line(trouble->told ? LOG_LEVEL_INFO : LOG_LEVEL_DEBUG, "connected",
             "connected to redis at %s", trouble->server);
    trouble->unheard = false;
    trouble->told = false;
    trouble->why[0] = '\0';
}

void trouble_over(struct trouble *trouble, int64_t now_ns)
{
    int64_t lasted_ms = (now_ns - trouble->outage.well_ns) / NS_PER_MS;
    char lasted[32];

    /* What was told as an error must not stand as the last word. */
    if (trouble->outage.told)
        log_line(LOG_LEVEL_INFO, "outage_over", "redis at %s is of use again, after %s",
                 trouble->server, duration_format(lasted, sizeof lasted, lasted_ms));
    outage_over(&trouble->outage, now_ns);
}

void trouble_unreachable(const struct trouble *trouble)
{
    char why[sizeof trouble->why];

    log_line(LOG_LEVEL_ERROR, "unreachable", "%s; the command was not run",
             trouble_why(trouble, why, sizeof why));
}

/* The level at which the same cause is told now; and, where it was kept back, a count. */
static enum log_level hear(struct trouble *trouble, const struct election *election,
                           const char *cause, char *count, size_t size)
{
    bool leads = election->state == ELECTION_LEADING || election->state == ELECTION_STOPPING ||
                 election->state == ELECTION_RELEASING;
    struct noise_word word = noise_hear(&trouble->noise, cause, election->now_ns);
    char time[32];

    count[0] = '\0';
    if (!word.tell)
        return LOG_LEVEL_DEBUG;
    if (word.times > 1)
        snprintf(count, size, " (%u times in %s)", (unsigned)word.times,
                 duration_format(time, sizeof time, word.within_ms));
    trouble->told = true;
    return trouble->once && !leads ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING;
}

static int64_t stopped_in_ms(const struct election *election)
{
    return (election->term.deadlines.stop_at_ns - election->now_ns) / NS_PER_MS;
}

/* A leader has less patience than a minute: half of the outage that it can bear. */
static void check_leader(struct trouble *trouble, const struct election *election)
{
    const struct timing *timing = &election->config.timing;
    int64_t patience_ms = timing->renew_ms + timing->tolerated_outage_ms / 2;
    int64_t lasted_ms = (election->now_ns - trouble->outage.well_ns) / NS_PER_MS;
    char lasted[32], left[32];

    if (patience_ms > OUTAGE_MS)
        patience_ms = OUTAGE_MS;
    if (outage_lasts(&trouble->outage, election->now_ns, patience_ms))
        log_line(LOG_LEVEL_ERROR, "outage",
                 "no renewal for %s: without one the command will be stopped in %s",
                 duration_format(lasted, sizeof lasted, lasted_ms),
                 duration_format(left, sizeof left, stopped_in_ms(election)));
}

static void check_candidate(struct trouble *trouble, const struct election *election)
{
    int64_t lasted_ms = (election->now_ns - trouble->outage.well_ns) / NS_PER_MS;
    char why[sizeof trouble->why], lasted[32];

    if (outage_lasts(&trouble->outage, election->now_ns, OUTAGE_MS))
        log_line(
            LOG_LEVEL_ERROR, "outage",
            "no useful answer for %s: nobody can be elected through redis at %s until there is "
            "one; last: %.100s",
            duration_format(lasted, sizeof lasted, lasted_ms), trouble->server,
            trouble_why(trouble, why, sizeof why));
}

static void check_outage(struct trouble *trouble, const struct election *election)
{
    switch (election->state) {
    case ELECTION_FOLLOWING:
    case ELECTION_ACQUIRING:
        check_candidate(trouble, election);
        break;
    case ELECTION_LEADING:
        check_leader(trouble, election);
        break;
    case ELECTION_STOPPING:
    case ELECTION_RELEASING:
    case ELECTION_DONE:
        break;
    }
}

void trouble_retry(struct trouble *trouble, const struct election *election, int64_t delay_ms)
{
    char why[sizeof trouble->why], delay[32], count[64], left[64] = "", time[32];
    enum log_level level;

    if (!trouble->closed)
        trouble->why[0] = '\0';
    trouble->closed = false;
    level = hear(trouble, election, trouble_why(trouble, why, sizeof why), count, sizeof count);
    if (election->state == ELECTION_LEADING)
        snprintf(left, sizeof left, "; the command has %s left",
                 duration_format(time, sizeof time, stopped_in_ms(election)));
    duration_format(delay, sizeof delay, delay_ms);
    log_line(level, "disconnected", "%s%s; retrying %s%s%s", why, count,
             delay_ms > 0 ? "in " : "at once", delay_ms > 0 ? delay : "", left);
    check_outage(trouble, election);
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

void trouble_failed(struct trouble *trouble, const struct election *election,
                    enum election_note_kind note, const struct lease_reply *reply)
{
    const char *why = reply == NULL ? "no answer from redis; it may have been executed all the same"
                      : reply->verdict == LEASE_FAILED
                          ? reply->text
                          : "redis answered something that fits no question";
    const char *event, *what;
    char cause[LEASE_TEXT_SIZE + 32], count[64] = "";
    enum log_level level = LOG_LEVEL_DEBUG;

    name_request(note, &event, &what);
    snprintf(cause, sizeof cause, "%s: %s", event, why);
    /* A lost connection is told by the retry. */
    if (reply != NULL || !trouble->closed)
        level = hear(trouble, election, cause, count, sizeof count);
    if (reply == NULL && !trouble->closed)
        trouble->why[0] = '\0';
    log_line(level, event, "%s failed: %s%s", what, why, count);
    check_outage(trouble, election);
}
