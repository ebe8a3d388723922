/* A survey that is kept, and the keys that it found. */
#include "board.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "leaderwrap/base/clock.h"
#include "survey.h"

#define LEASES_MOST  200
#define TERMS_MOST   200 /* of a lease */
#define DAY_MS       (INT64_C(24) * 3600 * 1000)
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

/* What was known stays where it fails. */
static int search(struct board *board, char *error, size_t size)
{
    struct read_keys keys = {0};
    int64_t from_ns = clock_boottime_ns();
    int status = survey_keys(board->survey, &keys, error, size);

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

/* Returns 0; or an exit status, with a sentence in `error`. */
static int read_all(struct board *board, json_t *leases, json_int_t *at_ms, char *error,
                    size_t size)
{
    int status = 0;

    if (board->survey == NULL)
        status = survey_open(&board->survey, board->options, error, size);
    if (status == 0 && is_search_due(board))
        status = search(board, error, size);
    return status == 0 ? read_known(board, leases, at_ms, error, size) : status;
}

/* ---- the document ---- */

static char *dump(const json_t *value)
{
    return value != NULL ? json_dumps(value, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;
}

static char *as_event(const json_t *value)
{
    char *text = dump(value);
    size_t size = text != NULL ? strlen(text) + sizeof "data: \n\n" : 0;
    char *event = text != NULL ? malloc(size) : NULL;

    if (event != NULL)
        snprintf(event, size, "data: %s\n\n", text);
    free(text);
    return event;
}

/* What is left of a lease shrinks all the time, and is no news. */
static void forget_what_is_left(json_t *leases)
{
    json_t *lease;
    size_t i;

    json_array_foreach(leases, i, lease)(void) json_object_del(lease, "left_ms");
}

void board_read(struct board *board, struct board_news *news)
{
    char error[2 * LEASE_TEXT_SIZE] = "";
    json_t *leases = json_array();
    json_int_t at_ms = clock_realtime_ms();
    int status = read_all(board, leases, &at_ms, error, sizeof error);

    news->failed = status != 0;
    if (status != 0) {
        survey_free(board->survey);
        board->survey = NULL;
        json_array_clear(leases);
    }
    forget_what_is_left(leases);
    json_t *document = json_pack("{so so}", "error", status != 0 ? json_string(error) : json_null(),
                                 "leases", leases);
    news->substance = dump(document);
    json_object_set_new(document, "at_ms", json_integer(at_ms));
    news->document = as_event(document);
    json_decref(document);
}

void board_free(struct board *board)
{
    if (board == NULL)
        return;
    survey_free(board->survey);
    read_free(&board->keys);
    free(board);
}
