/* One script does each of them, and a sentence says what it came to. */
#include "act.h"

#include <ctype.h>
#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "handover.h"
#include "json.h"
#include "leaderwrap/base/duration.h"
#include "leaderwrap/redis/script.h"
#include "leaderwrap/redis/store.h"
#include "read.h"
#include "show.h"
#include "survey.h"

#define HOST_SIZE 64

extern const struct script script_act;

static const char *const results[] = {
    [ACT_DONE] = "done", [ACT_NOTHING] = "nothing", [ACT_LED] = "led"};

/* Such a word stands between blanks. */
static void keep_plain(char *text)
{
    for (; *text != '\0'; text++)
        if (!isalnum((unsigned char)*text) && strchr("._-@", *text) == NULL)
            *text = '_';
}

char *act_by(char *buffer, size_t size)
{
    static const char *const variables[] = {"SUDO_USER", "USER", "LOGNAME"};
    const char *user = NULL;
    char host[HOST_SIZE];
    char number[24];

    for (size_t i = 0; i < sizeof variables / sizeof variables[0] && user == NULL; i++) {
        user = getenv(variables[i]);
        if (user != NULL && user[0] == '\0')
            user = NULL;
    }
    snprintf(number, sizeof number, "uid-%u", (unsigned)getuid());
    if (gethostname(host, sizeof host) != 0)
        snprintf(host, sizeof host, "localhost");
    host[sizeof host - 1] = '\0';
    snprintf(buffer, size, "%.30s@%.32s", user != NULL ? user : number, host);
    keep_plain(buffer);
    return buffer;
}

int act_read_reply(void *context, const redisReply *reply)
{
    struct act_answer *answer = context;

    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 3)
        return -1;
    for (size_t i = 0; i < 3; i++)
        if (reply->element[i]->type != REDIS_REPLY_STRING)
            return -1;
    ctl_copy(answer->name, reply->element[1]->str);
    answer->token = (uint64_t)ctl_number(reply->element[2]->str);
    for (size_t i = 0; i < sizeof results / sizeof results[0]; i++)
        if (strcmp(reply->element[0]->str, results[i]) == 0) {
            answer->result = (enum act_result)i;
            return 0;
        }
    return -1;
}

static int make_version(char version[LEASE_NONCE_SIZE], char *error, size_t size)
{
    uint64_t random;

    if (getrandom(&random, sizeof random, 0) != sizeof random) {
        snprintf(error, size, "the system has no random numbers");
        return EXIT_OWN_FAILURE;
    }
    snprintf(version, LEASE_NONCE_SIZE, "%016" PRIx64, random);
    return 0;
}

static const char *or_empty(const char *text)
{
    return text != NULL ? text : "";
}

int act_on(struct session *session, const struct ctl_options *options, const char *key,
           struct act_answer *answer, char *error, size_t size)
{
    bool breaks = options->command == CTL_RELEASE && options->force;
    bool names = options->command == CTL_CORDON || options->command == CTL_UNCORDON;
    char term[STORE_KEY_SIZE], history[STORE_KEY_SIZE], candidates[STORE_KEY_SIZE];
    char channel[STORE_KEY_SIZE], by[LEASE_BY_SIZE], span[24], version[LEASE_NONCE_SIZE];
    const char *const arguments[] = {
        "EVAL",
        script_act.text + script_act.flags_length,
        "4",
        key,
        store_term_key(key, term, sizeof term),
        store_sibling(key, "history", history, sizeof history),
        store_sibling(key, "candidates", candidates, sizeof candidates),
        store_channel(key, options->redis.url.database, channel, sizeof channel),
        breaks ? "break" : ctl_command_word(options->command),
        act_by(by, sizeof by),
        version,
        names ? options->name : span,
        or_empty(options->command == CTL_STEP_DOWN ? options->to : options->reason),
    };

    snprintf(span, sizeof span, "%" PRId64, options->span_ms);
    if (make_version(version, error, size) != 0)
        return EXIT_OWN_FAILURE;
    return session_ask(session, sizeof arguments / sizeof arguments[0], arguments, act_read_reply,
                       answer, error, size);
}

/* ---- what is said of it ---- */

static void describe_pause(const struct ctl_options *options, char *text, size_t size)
{
    char span[32];

    if (options->span_ms > 0)
        snprintf(text, size, "paused for %s; a leader ends its term with its next renewal",
                 duration_format(span, sizeof span, options->span_ms));
    else
        snprintf(text, size,
                 "paused until `leaderctl resume`; a leader ends its term with its next "
                 "renewal");
}

static void describe_done(const struct ctl_options *options, const struct act_answer *answer,
                          char *text, size_t size)
{
    switch (options->command) {
    case CTL_PAUSE:
        describe_pause(options, text, size);
        break;
    case CTL_RESUME:
        snprintf(text, size, "resumed");
        break;
    case CTL_STEP_DOWN:
        snprintf(text, size, "%s, with token %" PRIu64 ", is asked to step down%s%s", answer->name,
                 answer->token, options->to != NULL ? " for " : "", or_empty(options->to));
        break;
    case CTL_CORDON:
        snprintf(text, size, "%s does not lead until `leaderctl uncordon`", options->name);
        break;
    case CTL_UNCORDON:
        snprintf(text, size, "%s may lead again", options->name);
        break;
    case CTL_RELEASE:
        snprintf(text, size,
                 options->force ? "broken: anybody may have it now"
                                : "the hold is over: anybody may have it now");
        break;
    default:
        snprintf(text, size, "deleted");
        break;
    }
}

static void describe_nothing(const struct ctl_options *options, char *text, size_t size)
{
    switch (options->command) {
    case CTL_RESUME:
        snprintf(text, size, "is not paused");
        break;
    case CTL_STEP_DOWN:
        snprintf(text, size, "nobody leads");
        break;
    case CTL_UNCORDON:
        snprintf(text, size, "%s is not cordoned", options->name);
        break;
    case CTL_RELEASE:
        snprintf(text, size, options->force ? "there is no such lease" : "there is no hold to end");
        break;
    default:
        snprintf(text, size, "there is no such lease");
        break;
    }
}

static int print_json(const char *key, const struct act_answer *answer, const char *text)
{
    char shown[3][4 * STORE_KEY_SIZE];
    json_t *line = json_pack(
        "{ss ss ss sI ss}", "key", show_text(key, shown[0], sizeof shown[0]), "result",
        results[answer->result], "leader", show_text(answer->name, shown[1], sizeof shown[1]),
        "token", (json_int_t)answer->token, "text", show_text(text, shown[2], sizeof shown[2]));

    return ctl_json_print(line, 0) == 0 ? 0 : EXIT_OWN_FAILURE;
}

static int status_of(const struct ctl_options *options, enum act_result result)
{
    switch (result) {
    case ACT_DONE:
        break;
    case ACT_NOTHING:
        return options->command == CTL_STEP_DOWN ? EXIT_NOBODY_LEADS : 0;
    case ACT_LED:
        return EXIT_NOT_DONE;
    }
    return 0;
}

char *act_describe(const struct ctl_options *options, const struct act_answer *answer, char *text,
                   size_t size)
{
    switch (answer->result) {
    case ACT_DONE:
        describe_done(options, answer, text, size);
        break;
    case ACT_NOTHING:
        describe_nothing(options, text, size);
        break;
    case ACT_LED:
        snprintf(text, size, "is held by %.100s: not while somebody leads%s", answer->name,
                 options->command == CTL_RELEASE ? " (step-down ends a term)" : "");
        break;
    }
    return text;
}

/* Prints what became of one lease. Returns an exit status. */
static int tell(const struct ctl_options *options, const char *key, const struct act_answer *answer)
{
    char text[ACT_TEXT_SIZE];
    char shown[4 * STORE_KEY_SIZE];

    act_describe(options, answer, text, sizeof text);
    if (options->json && print_json(key, answer, text) != 0)
        return EXIT_OWN_FAILURE;
    if (!options->json) {
        printf("%s: ", show_text(key, shown, sizeof shown));
        puts(show_text(text, shown, sizeof shown));
    }
    return status_of(options, answer->result);
}

/* ---- the question before a lease is broken ---- */

static int confirm(const struct ctl_options *options, char *error, size_t size)
{
    char line[16];

    if (!options->force || options->yes)
        return 0;
    if (!isatty(STDIN_FILENO)) {
        snprintf(error, size, "--force asks first: say --yes where nobody can answer");
        return EXIT_USAGE;
    }
    printf(
        "Another candidate may lead at once. A leader that still runs, and cannot be reached, goes "
        "on\nuntil its deadline: for up to its TTL two commands may run. Is it dead, or does that "
        "do no harm?\nType \"yes\" to break the lease: ");
    fflush(stdout);
    if (fgets(line, sizeof line, stdin) != NULL && strcmp(line, "yes\n") == 0)
        return 0;
    snprintf(error, size, "nothing was done");
    return EXIT_NOT_DONE;
}

/* ---- commands ---- */

static int act_once(struct session *session, const struct ctl_options *options, const char *key,
                    char *error, size_t size)
{
    struct act_answer answer = {0};
    int status = act_on(session, options, key, &answer, error, size);

    return status != 0 ? status : tell(options, key, &answer);
}

/* The first failure of Redis ends it; where one lease is left as it was, the others are not. */
static int act_on_each(struct survey *survey, const struct ctl_options *options,
                       const struct read_keys *keys, char *error, size_t size)
{
    struct session *session;
    int worst = 0;

    for (size_t i = 0; i < keys->count; i++) {
        int status = survey_session(survey, keys->list[i], &session, error, size);
        if (status == 0)
            status = act_once(session, options, keys->list[i], error, size);
        if (error[0] != '\0')
            return status;
        if (status > worst)
            worst = status;
    }
    return worst;
}

static int act_on_all(const struct ctl_options *options, char *error, size_t size)
{
    struct read_keys keys = {0};
    struct survey *survey = NULL;
    int status = survey_open(&survey, options, error, size);

    if (status == 0)
        status = survey_keys(survey, &keys, error, size);
    if (status == 0)
        status = act_on_each(survey, options, &keys, error, size);
    read_free(&keys);
    survey_free(survey);
    return status;
}

int act_run(const struct ctl_options *options, char *error, size_t size)
{
    struct session *session;
    int status = confirm(options, error, size);

    if (status == 0 && options->command == CTL_STEP_DOWN && options->wait)
        return handover_run(options, error, size);
    if (status == 0 && options->all)
        return act_on_all(options, error, size);
    if (status == 0)
        status =
            session_open(&session, &options->redis, options->key, options->timeout_ms, error, size);
    if (status != 0)
        return status;
    status = act_once(session, options, options->key, error, size);
    session_free(session);
    return status;
}
