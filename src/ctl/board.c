/* A survey that is kept, and the keys that it found. */
#include "board.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "act.h"
#include "json.h"
#include "leaderwrap/base/clock.h"
#include "show.h"
#include "survey.h"

#define LEASES_MOST  200
#define TERMS_MOST   200 /* of a lease */
#define DAY_MS       (INT64_C(24) * 3600 * 1000)
#define COUNTER_SIZE 64
#define SEARCH_SHARE 100 /* of all time 1/100 */
/* A round is a second, or a bit less: where it is cheap each one is to search. */
#define SEARCH_EVERY_NS (900 * NS_PER_MS)

struct board {
    const struct ctl_options *options;
    struct survey *survey; /* NULL: not connected */
    struct read_keys keys; /* of the last search, without those that are gone */
    bool has_keys;
    int64_t searched_ns; /* when that ended */
    int64_t search_ns;   /* how long it took */
    struct ctl_lease lease;
    struct ctl_term terms[TERMS_MOST];
    char counter[COUNTER_SIZE]; /* its value; empty: there is none, or it may not be read */
};

int board_new(struct board **out, const struct ctl_options *options)
{
    struct board *board = calloc(1, sizeof *board);

    if (board == NULL)
        return -ENOMEM;
    board->options = options;
    *out = board;
    return 0;
}

/* ---- keys ---- */

static bool is_search_due(const struct board *board)
{
    int64_t since_ns = clock_boottime_ns() - board->searched_ns;

    return !board->has_keys || since_ns >= max_ns(SEARCH_EVERY_NS, SEARCH_SHARE * board->search_ns);
}

static int connect_survey(struct board *board, char *error, size_t size)
{
    return board->survey != NULL ? 0 : survey_open(&board->survey, board->options, error, size);
}

/* After any failure. */
static void disconnect(struct board *board)
{
    survey_free(board->survey);
    board->survey = NULL;
}

/* What was known stays where it fails. A master that a cluster has got since is in no survey of
 * before, and would take its leases out of sight. */
static int search(struct board *board, char *error, size_t size)
{
    struct read_keys keys = {0};
    int64_t from_ns = clock_boottime_ns();

    if (board->has_keys && board->options->redis.kind == REDIS_CLUSTER)
        disconnect(board);
    int status = connect_survey(board, error, size);
    if (status == 0)
        status = survey_keys(board->survey, &keys, error, size);
    if (status != 0) {
        read_free(&keys);
        return status;
    }
    read_free(&board->keys);
    board->keys = keys;
    board->has_keys = true;
    board->searched_ns = clock_boottime_ns();
    board->search_ns = board->searched_ns - from_ns;
    return 0;
}

/* ---- leases ---- */

static json_t *recent_terms(struct board *board)
{
    const struct ctl_lease *lease = &board->lease;
    size_t count = ctl_terms(lease, board->terms, TERMS_MOST);
    json_t *list = json_array();

    for (size_t i = 0; i < count; i++)
        if (board->terms[i].to_ms == 0 || lease->now_ms - board->terms[i].to_ms <= DAY_MS)
            json_array_append_new(list, ctl_json_term(&board->terms[i]));
    return list;
}

static void add_lease(struct board *board, const char *key, json_t *leases)
{
    json_t *lease = ctl_json_lease(key, &board->lease);

    json_object_set_new(lease, "terms", recent_terms(board));
    json_array_append_new(leases, lease);
}

/* Reads those that are known. One that is gone comes back with a search, if it does. */
static int read_known(struct board *board, json_t *leases, json_int_t *at_ms, char *error,
                      size_t size)
{
    size_t at = 0;

    while (at < board->keys.count && at < LEASES_MOST) {
        const char *key = board->keys.list[at];
        int status = survey_lease(board->survey, key, LEASE_ENTRIES, &board->lease, error, size);
        if (status != 0)
            return status;
        *at_ms = board->lease.now_ms;
        if (ctl_is_nothing(&board->lease)) {
            read_drop(&board->keys, at);
        } else {
            add_lease(board, key, leases);
            at++;
        }
    }
    return 0;
}

static int hear_counter(void *context, const redisReply *reply)
{
    struct board *board = context;

    if (reply->type == REDIS_REPLY_STRING)
        snprintf(board->counter, sizeof board->counter, "%s", reply->str);
    return 0;
}

/* One that may not be read, or is no counter, is shown as none. */
static int read_counter(struct board *board, char *error, size_t size)
{
    const char *key = board->options->counter_key;
    const char *const question[] = {"GET", key};
    struct session *session;

    board->counter[0] = '\0';
    if (key == NULL)
        return 0;
    int status = survey_session(board->survey, key, &session, error, size);
    if (status == 0)
        status = session_ask(session, 2, question, hear_counter, board, error, size);
    return status == EXIT_REFUSED ? 0 : status;
}

/* Returns 0; or an exit status, with a sentence in `error`. */
static int read_all(struct board *board, json_t *leases, json_int_t *at_ms, char *error,
                    size_t size)
{
    int status = connect_survey(board, error, size);

    if (status == 0 && is_search_due(board))
        status = search(board, error, size);
    if (status == 0)
        status = read_known(board, leases, at_ms, error, size);
    return status == 0 ? read_counter(board, error, size) : status;
}

/* ---- the document ---- */

static char *dump(const json_t *value)
{
    return value != NULL ? json_dumps(value, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;
}

/* `name` is its kind, with what stands in front and behind it; or empty. */
static char *as_event(const char *name, const json_t *value)
{
    char *text = dump(value);
    char *event = NULL;

    if (text != NULL && asprintf(&event, "%sdata: %s\n\n", name, text) < 0)
        event = NULL;
    free(text);
    return event;
}

/* What is left of a lease, or of a wish, shrinks all the time, and is no news. */
static void forget_what_is_left(json_t *leases)
{
    json_t *lease;
    size_t i;

    json_array_foreach(leases, i, lease)
    {
        (void)json_object_del(lease, "left_ms");
        /* These do nothing to a null. */
        (void)json_object_del(json_object_get(lease, "paused"), "left_ms");
        (void)json_object_del(json_object_get(lease, "asked"), "left_ms");
    }
}

static json_t *counter_json(const struct board *board)
{
    const char *key = board->options->counter_key;
    char name[4 * STORE_KEY_SIZE], value[4 * COUNTER_SIZE];

    if (key == NULL)
        return json_null();
    return json_pack("{ss so}", "key", show_text(key, name, sizeof name), "value",
                     board->counter[0] != '\0'
                         ? json_string(show_text(board->counter, value, sizeof value))
                         : json_null());
}

void board_read(struct board *board, struct board_news *news)
{
    char error[2 * LEASE_TEXT_SIZE] = "";
    char shown[4 * sizeof error];
    json_t *leases = json_array();
    json_int_t at_ms = clock_realtime_ms();
    int status = read_all(board, leases, &at_ms, error, sizeof error);

    news->failed = status != 0;
    if (status != 0) {
        disconnect(board);
        json_array_clear(leases);
    }
    forget_what_is_left(leases);
    json_t *document = json_pack(
        "{so so so sb}", "error",
        status != 0 ? json_string(show_text(error, shown, sizeof shown)) : json_null(), "leases",
        leases, "counter", counter_json(board), "control", board->options->allow_control);
    news->substance = dump(document);
    json_object_set_new(document, "at_ms", json_integer(at_ms));
    news->document = as_event("", document);
    json_decref(document);
}

/* ---- acts ---- */

static struct ctl_options options_of(const struct board *board, const struct control_wish *wish)
{
    struct ctl_options options = *board->options;

    options.command = wish->command;
    options.key = wish->key;
    options.span_ms = wish->span_ms;
    options.reason = wish->text[0] != '\0' && wish->command == CTL_PAUSE ? wish->text : NULL;
    options.to = wish->text[0] != '\0' && wish->command == CTL_STEP_DOWN ? wish->text : NULL;
    return options;
}

/* Returns as act_on; what was done is in `text` then. */
static int act(struct board *board, const struct control_wish *wish, char *text, size_t size)
{
    const struct ctl_options options = options_of(board, wish);
    struct act_answer answer = {0};
    struct session *session;
    int status = connect_survey(board, text, size);

    if (status == 0)
        status = survey_session(board->survey, wish->key, &session, text, size);
    if (status == 0)
        status = act_on(session, &options, wish->key, &answer, text, size);
    if (status == 0)
        act_describe(&options, &answer, text, size);
    else
        disconnect(board);
    return status;
}

char *board_act(struct board *board, const struct control_wish *wish)
{
    char text[ACT_TEXT_SIZE];
    char shown[4 * ACT_TEXT_SIZE];
    bool done = act(board, wish, text, sizeof text) == 0;
    json_t *outcome = json_pack("{ss sb ss}", "id", wish->id, "done", done, "text",
                                show_text(text, shown, sizeof shown));
    char *event = as_event("event: act\n", outcome);

    json_decref(outcome);
    return event;
}

void board_free(struct board *board)
{
    if (board == NULL)
        return;
    survey_free(board->survey);
    read_free(&board->keys);
    free(board);
}
