/* One INFO, a few PINGs, and the lease itself. */
#include "doctor.h"

#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "leaderwrap/base/clock.h"
#include "read.h"
#include "session.h"
#include "show.h"

#define PINGS         5
#define HISTORY       20
#define SLOW_MS       100 /* of a round trip, whatever the TTL */
#define TTL_PARTS     20  /* a round trip may take one of so many of the TTL */
#define VERSION_LEAST 602 /* 6.2 */
#define VALUE_SIZE    64
#define PAUSE_LONG_MS (INT64_C(24) * 3600 * 1000)

static void add(struct findings *findings, bool bad, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void add(struct findings *findings, bool bad, const char *format, ...)
{
    va_list arguments;
    char text[DOCTOR_TEXT_SIZE];

    if (findings->count == DOCTOR_MOST)
        return;
    struct finding *finding = &findings->list[findings->count++];
    finding->bad = bad;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    show_text(text, finding->text, sizeof finding->text);
}

/* The value behind "name:" at the beginning of a line; "" if there is none. */
static const char *value_of(const char *info, const char *name, char value[VALUE_SIZE])
{
    size_t length = strlen(name);

    value[0] = '\0';
    for (const char *line = info; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, name, length) == 0 && line[length] == ':') {
            snprintf(value, VALUE_SIZE, "%.*s", (int)strcspn(line + length + 1, "\r\n"),
                     line + length + 1);
            break;
        }
    }
    return value;
}

static void judge_version(const char *info, struct findings *findings)
{
    char value[VALUE_SIZE], valkey[VALUE_SIZE];
    char *end;

    value_of(info, "redis_version", value);
    value_of(info, "valkey_version", valkey);
    long major = strtol(value, &end, 10);
    long minor = *end == '.' ? strtol(end + 1, &end, 10) : 0;
    if (major <= 0)
        return;
    if (major * 100 + minor < VERSION_LEAST)
        add(findings, true, "redis %s is older than 6.2, which nobody has tried", value);
    else
        add(findings, false, "%s %s", valkey[0] != '\0' ? "valkey" : "redis",
            valkey[0] != '\0' ? valkey : value);
}

static void judge_memory(const char *info, struct findings *findings)
{
    char most[VALUE_SIZE], policy[VALUE_SIZE];

    value_of(info, "maxmemory", most);
    value_of(info, "maxmemory_policy", policy);
    if (policy[0] == '\0' || strcmp(policy, "noeviction") == 0)
        add(findings, false, "no eviction: a full server deletes no lease");
    else if (strcmp(most, "0") == 0)
        add(findings, false, "maxmemory-policy %s, but no maxmemory: nothing is evicted", policy);
    else
        add(findings, true,
            "maxmemory-policy %s: a full server may delete the lease, and its leader stops; choose "
            "noeviction",
            policy);
}

static void judge_persistence(const char *info, struct findings *findings)
{
    char appends[VALUE_SIZE];

    if (strcmp(value_of(info, "aof_enabled", appends), "0") == 0)
        add(findings, true,
            "appendonly is off: a Redis that crashes forgets leases, holds and pauses; candidates "
            "wait a TTL then, and a job may run again (appendonly yes, appendfsync always)");
    else if (appends[0] != '\0')
        add(findings, false, "appendonly is on");
}

static void judge_replication(const struct patient *patient, struct findings *findings)
{
    char role[VALUE_SIZE], replicas[VALUE_SIZE];

    value_of(patient->info, "role", role);
    value_of(patient->info, "connected_slaves", replicas);
    if (role[0] != '\0' && strcmp(role, "master") != 0)
        add(findings, true, "this server is a replica: name its master, or the sentinels");
    else if (!patient->has_witnesses && replicas[0] != '\0' && strcmp(replicas, "0") != 0)
        add(findings, true,
            "%s replicas, and nobody is asked who is the master: after a fail-over two may lead; "
            "name the sentinels (--sentinel) or use --cluster",
            replicas);
    else
        add(findings, false, "a master%s", patient->has_witnesses ? ", and witnesses say so" : "");
}

static void judge_way(const struct patient *patient, struct findings *findings)
{
    int64_t ttl_ms = patient->lease != NULL ? patient->lease->ttl_ms : 0;
    int64_t most_ms = ttl_ms > 0 && ttl_ms / TTL_PARTS < SLOW_MS ? ttl_ms / TTL_PARTS : SLOW_MS;

    if (patient->is_local)
        add(findings, true,
            "the address leads to this host alone: candidates on other hosts do not share it");
    if (patient->slowest_ms > most_ms)
        add(findings, true,
            "a round trip took %" PRId64 " ms: look at the network, at SLOWLOG and at the disk, or "
            "choose a longer TTL",
            patient->slowest_ms);
    else
        add(findings, false, "a round trip takes %" PRId64 " ms at most", patient->slowest_ms);
}

static bool has_other_version(const struct ctl_lease *lease)
{
    for (size_t i = 1; i < lease->candidate_count; i++)
        if (strcmp(lease->candidates[i].version, lease->candidates[0].version) != 0)
            return true;
    return false;
}

static void judge_lease(const struct ctl_lease *lease, struct findings *findings)
{
    const char *warnings[LEASE_WARNINGS];
    size_t count = ctl_warnings(lease, warnings);
    char span[24];

    add(findings, false, "the lease is %s, with %zu standing by", ctl_state_word(lease->state),
        lease->candidate_count);
    for (size_t i = 0; i < count; i++)
        add(findings, true, "%s", warnings[i]);
    if (!lease->candidates_are_known)
        add(findings, true, "who stands by may not be read: grant +hgetall");
    if (has_other_version(lease))
        add(findings, true, "candidates differ in their version: upgrade all of them");
    if (lease->pause.there && lease->now_ms - lease->pause.at_ms > PAUSE_LONG_MS)
        add(findings, true, "paused by %s for %s: was it forgotten? leaderctl resume",
            lease->pause.by, show_span(lease->now_ms - lease->pause.at_ms, span, sizeof span));
    for (size_t i = 0; i < lease->cordon_count; i++)
        add(findings, true, "%s is cordoned by %s, since %s ago", lease->cordons[i].text,
            lease->cordons[i].by,
            show_span(lease->now_ms - lease->cordons[i].at_ms, span, sizeof span));
}

void doctor_judge(const struct patient *patient, struct findings *findings)
{
    if (patient->info == NULL) {
        add(findings, true, "INFO is refused, which leaderwrap needs as well: grant +info");
    } else {
        judge_version(patient->info, findings);
        judge_memory(patient->info, findings);
        judge_persistence(patient->info, findings);
        judge_replication(patient, findings);
    }
    judge_way(patient, findings);
    if (patient->lease != NULL)
        judge_lease(patient->lease, findings);
}

/* ---- asking ---- */

static int keep_info(void *context, const redisReply *reply)
{
    char **info = context;

    if (reply->type != REDIS_REPLY_STRING)
        return -1;
    *info = strdup(reply->str);
    return 0;
}

static int time_pings(struct session *session, int64_t *slowest_ms, char *error, size_t size)
{
    for (int i = 0; i < PINGS; i++) {
        int64_t began_ns = clock_boottime_ns();
        int status = session_ping(session, error, size);
        int64_t took_ms = (clock_boottime_ns() - began_ns) / NS_PER_MS;
        if (status != 0)
            return status;
        if (took_ms > *slowest_ms)
            *slowest_ms = took_ms;
    }
    return 0;
}

static bool is_local(const struct redis_target *target)
{
    return target->kind == REDIS_SERVER &&
           (target->url.is_unix || strcmp(target->url.host, "localhost") == 0 ||
            strcmp(target->url.host, "::1") == 0 || strncmp(target->url.host, "127.", 4) == 0);
}

static int examine(const struct ctl_options *options, struct session *session,
                   struct ctl_lease *lease, struct findings *findings, char *error, size_t size)
{
    const char *const ask_info[] = {"INFO"};
    char *info = NULL;
    struct patient patient = {
        .is_local = is_local(&options->redis),
        .has_witnesses = redis_target_has_witnesses(&options->redis),
        .lease = options->key != NULL ? lease : NULL,
    };
    int status = session_ask(session, 1, ask_info, keep_info, &info, error, size);

    /* What is refused is a finding. */
    if (status == EXIT_REFUSED) {
        error[0] = '\0';
        status = 0;
    }
    if (status == 0)
        status = time_pings(session, &patient.slowest_ms, error, size);
    if (status == 0 && options->key != NULL)
        status = read_lease(session, options->key, HISTORY, lease, error, size);
    patient.info = info;
    if (status == 0)
        doctor_judge(&patient, findings);
    free(info);
    return status;
}

/* ---- telling ---- */

static int print_json(const struct findings *findings)
{
    json_t *list = json_array();

    for (size_t i = 0; i < findings->count; i++)
        json_array_append_new(list, json_pack("{sb ss}", "ok", !findings->list[i].bad, "text",
                                              findings->list[i].text));
    return ctl_json_print(list, JSON_INDENT(2)) == 0 ? 0 : EXIT_OWN_FAILURE;
}

static void print_text(const struct findings *findings)
{
    for (size_t i = 0; i < findings->count; i++)
        printf("%s  %s\n", findings->list[i].bad ? "LOOK" : "ok  ", findings->list[i].text);
}

int doctor_run(const struct ctl_options *options, char *error, size_t size)
{
    struct ctl_lease *lease = calloc(1, sizeof *lease);
    struct findings *findings = calloc(1, sizeof *findings);
    struct session *session;
    int status = EXIT_OWN_FAILURE;
    bool bad = false;

    if (lease == NULL || findings == NULL)
        snprintf(error, size, "out of memory");
    else
        status =
            session_open(&session, &options->redis, options->key, options->timeout_ms, error, size);
    if (status == 0) {
        status = examine(options, session, lease, findings, error, size);
        session_free(session);
    }
    for (size_t i = 0; status == 0 && i < findings->count; i++)
        bad = bad || findings->list[i].bad;
    if (status == 0 && options->json)
        status = print_json(findings);
    else if (status == 0)
        print_text(findings);
    free(lease);
    free(findings);
    return status == 0 && bad ? EXIT_NOT_DONE : status;
}
