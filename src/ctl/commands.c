/* ls, status and history. */
#include "commands.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "act.h"
#include "doctor.h"
#include "holding.h"
#include "json.h"
#include "leaderwrap/redis/store.h"
#include "lease.h"
#include "read.h"
#include "serve.h"
#include "session.h"
#include "show.h"
#include "survey.h"
#include "watch.h"

#define LS_ENTRIES     20  /* of the history: enough to find when the term began */
#define STATUS_ENTRIES 200 /* and when a job was last done */
#define LINE_SIZE      ((SHOW_CELL_SIZE + 2) * SHOW_COLUMNS)
#define LS_COLUMNS     8
#define TERM_COLUMNS   7

static int out_of_memory(char *error, size_t size)
{
    snprintf(error, size, "out of memory");
    return EXIT_OWN_FAILURE;
}

/* 0 where standard output is no terminal, or does not tell. */
static size_t terminal_width(void)
{
    struct winsize window;

    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) == 0 ? window.ws_col : 0;
}

/* ---- JSON ---- */

/* Takes `value` over. */
static int print_json(json_t *value, char *error, size_t size)
{
    return ctl_json_print(value, JSON_INDENT(2)) == 0 ? 0 : out_of_memory(error, size);
}

/* ---- text ---- */

static void set_cells(struct show_row *row, const char *const *texts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        snprintf(row->cells[i], SHOW_CELL_SIZE, "%s", texts[i]);
}

static void print_rows(const struct show_row *rows, size_t count, size_t columns)
{
    size_t widths[SHOW_COLUMNS];
    char line[LINE_SIZE];

    show_fit(rows, count, columns, terminal_width(), widths);
    for (size_t i = 0; i < count; i++)
        puts(show_row(&rows[i], columns, widths, line, sizeof line));
}

static const char *number_text(uint64_t number, const char *before, char *buffer, size_t size)
{
    if (number != 0)
        snprintf(buffer, size, "%s%" PRIu64, before, number);
    else
        snprintf(buffer, size, "-");
    return buffer;
}

/* Who leads; or who did the job, or wishes that nobody does. */
static void show_leader(const struct ctl_lease *lease, char *cell, size_t size)
{
    char text[2 * LEASE_CELL_SIZE + 16] = "-";

    switch (lease->state) {
    case CTL_LED:
    case CTL_EXPIRED:
        snprintf(text, sizeof text, "%s", lease->name);
        break;
    case CTL_CLOSED:
        snprintf(text, sizeof text, "(done: %s)", lease->name);
        break;
    case CTL_PAUSED:
        snprintf(text, sizeof text, "(by %s%s%s)", lease->pause.by,
                 lease->pause.text[0] != '\0' ? ": " : "", lease->pause.text);
        break;
    case CTL_NONE:
    case CTL_FREE:
    case CTL_VACANT:
        break;
    }
    show_text(text, cell, size);
}

static void lease_row(const char *key, const struct ctl_lease *lease, struct show_row *row)
{
    char number[24];
    char age[24];

    show_text(key, row->cells[0], SHOW_CELL_SIZE);
    snprintf(row->cells[1], SHOW_CELL_SIZE, "%s", ctl_state_word(lease->state));
    show_leader(lease, row->cells[2], SHOW_CELL_SIZE);
    snprintf(row->cells[3], SHOW_CELL_SIZE, "%s",
             number_text((uint64_t)lease->number, "#", number, sizeof number));
    show_time(lease->since_ms, row->cells[4], SHOW_CELL_SIZE);
    int64_t age_ms = lease->renewed_ms != 0 ? lease->now_ms - lease->renewed_ms : -1;
    snprintf(row->cells[5], SHOW_CELL_SIZE, "%s%s", show_span(age_ms, age, sizeof age),
             age_ms >= 0 ? " ago" : "");
    show_span(lease->ttl_ms > 0 ? lease->ttl_ms : -1, row->cells[6], SHOW_CELL_SIZE);
    if (lease->candidates_are_known)
        snprintf(row->cells[7], SHOW_CELL_SIZE, "%zu",
                 lease->candidate_count + (lease->state == CTL_LED));
    else
        snprintf(row->cells[7], SHOW_CELL_SIZE, "-");
}

static void print_line(const char *name, const char *text)
{
    char shown[4 * STORE_KEY_SIZE];

    printf("%-9s %s\n", name, show_text(text, shown, sizeof shown));
}

static void print_wish(const char *name, const struct ctl_wish *wish, const char *before)
{
    char when[32], left[24], line[3 * LEASE_CELL_SIZE];

    if (!wish->there)
        return;
    snprintf(line, sizeof line, "%s%sby %s at %s%s%s", wish->text,
             wish->text[0] != '\0' ? ", " : "", wish->by, show_time(wish->at_ms, when, sizeof when),
             wish->left_ms > 0 ? "; over in " : before,
             wish->left_ms > 0 ? show_span(wish->left_ms, left, sizeof left) : "");
    print_line(name, line);
}

static void print_candidate(const struct ctl_lease *lease, const struct ctl_candidate *candidate)
{
    char ttl[24], seen[24], since[32], line[4 * CANDIDATE_CELL_SIZE + 128];

    snprintf(line, sizeof line, "%s (host %s, pid %" PRId64 ", %s, ttl %s), since %s, seen %s ago",
             candidate->name, candidate->host[0] != '\0' ? candidate->host : "?", candidate->pid,
             candidate->version[0] != '\0' ? candidate->version : "?",
             show_span(candidate->ttl_ms, ttl, sizeof ttl),
             show_time(candidate->since_ms, since, sizeof since),
             show_span(lease->now_ms - candidate->seen_ms, seen, sizeof seen));
    print_line("standby", line);
}

static void print_lease(const char *key, const struct ctl_lease *lease)
{
    const char *warnings[LEASE_WARNINGS];
    size_t count = ctl_warnings(lease, warnings);
    bool has_leader = lease->state == CTL_LED || lease->state == CTL_EXPIRED;
    char text[24];
    char line[96];

    print_line("lease", key);
    print_line("state", ctl_state_word(lease->state));
    print_line(has_leader ? "leader" : "last", lease->name[0] != '\0' ? lease->name : "-");
    print_line("term", number_text((uint64_t)lease->number, "#", text, sizeof text));
    print_line("token", number_text(lease->token, "", text, sizeof text));
    print_line("since", show_time(lease->since_ms, line, sizeof line));
    print_line("renewed", show_time(lease->renewed_ms, line, sizeof line));
    print_line("ttl", show_span(lease->ttl_ms > 0 ? lease->ttl_ms : -1, text, sizeof text));
    print_line("left", lease->left_ms > 0 ? show_span(lease->left_ms, text, sizeof text) : "-");
    if (lease->last_success_ms != 0)
        print_line("done", show_time(lease->last_success_ms, line, sizeof line));
    if (lease->foreign[0] != '\0')
        print_line("foreign", lease->foreign);
    print_wish("paused", &lease->pause, "; until `leaderctl resume`");
    print_wish("lost", &lease->lost_pause, "; a pause that the server forgot");
    print_wish("asked", &lease->ask, "");
    for (size_t i = 0; i < lease->cordon_count; i++)
        print_wish("cordoned", &lease->cordons[i], "; until `leaderctl uncordon`");
    for (size_t i = 0; i < lease->candidate_count; i++)
        print_candidate(lease, &lease->candidates[i]);
    for (size_t i = 0; i < count; i++)
        print_line("warning", warnings[i]);
}

static void term_row(const struct ctl_term *term, struct show_row *row)
{
    char number[24];

    snprintf(row->cells[0], SHOW_CELL_SIZE, "%s",
             number_text((uint64_t)term->number, "#", number, sizeof number));
    show_text(term->name, row->cells[1], SHOW_CELL_SIZE);
    show_time(term->from_ms, row->cells[2], SHOW_CELL_SIZE);
    show_time(term->to_ms, row->cells[3], SHOW_CELL_SIZE);
    show_span(term->to_ms != 0 ? term->to_ms - term->from_ms : -1, row->cells[4], SHOW_CELL_SIZE);
    show_span(term->gap_ms, row->cells[5], SHOW_CELL_SIZE);
    show_text(term->reason[0] != '\0' ? term->reason : "-", row->cells[6], SHOW_CELL_SIZE);
}

/* ---- commands ---- */

struct listing {
    struct read_keys keys;
    struct show_row *rows; /* the first is the heading */
    json_t *json;
    size_t led;
    struct ctl_lease lease; /* the one that is looked at */
};

static int list_leases(struct survey *survey, struct listing *listing, char *error, size_t size)
{
    static const char *const heading[] = {"LEASE", "STATE",   "LEADER", "TERM",
                                          "SINCE", "RENEWED", "TTL",    "CANDIDATES"};
    int status = survey_keys(survey, &listing->keys, error, size);

    if (status != 0)
        return status;
    listing->rows = calloc(listing->keys.count + 1, sizeof *listing->rows);
    listing->json = json_array();
    if (listing->rows == NULL || listing->json == NULL)
        return out_of_memory(error, size);
    set_cells(&listing->rows[0], heading, LS_COLUMNS);
    for (size_t i = 0; i < listing->keys.count; i++) {
        const char *key = listing->keys.list[i];
        status = survey_lease(survey, key, LS_ENTRIES, &listing->lease, error, size);
        if (status != 0)
            return status;
        listing->led += listing->lease.state == CTL_LED;
        lease_row(key, &listing->lease, &listing->rows[i + 1]);
        json_array_append_new(listing->json, ctl_json_lease(key, &listing->lease));
    }
    return 0;
}

static int run_ls(const struct ctl_options *options, char *error, size_t size)
{
    struct survey *survey = NULL;
    struct listing *listing = calloc(1, sizeof *listing);

    if (listing == NULL)
        return out_of_memory(error, size);
    int status = survey_open(&survey, options, error, size);
    if (status == 0)
        status = list_leases(survey, listing, error, size);
    if (status == 0 && options->json)
        status = print_json(json_incref(listing->json), error, size);
    else if (status == 0)
        print_rows(listing->rows, listing->keys.count + 1, LS_COLUMNS);
    if (status == 0 && listing->led == 0)
        status = EXIT_NOBODY_LEADS;
    read_free(&listing->keys);
    json_decref(listing->json);
    free(listing->rows);
    free(listing);
    survey_free(survey);
    return status;
}

/* Nothing has the name that was asked for. It may be that of a command, and the key the usual one
 * for it; where that is in another node of a cluster, only a session of its own can tell. */
static void tell_missing(const struct ctl_options *options, struct ctl_lease *lease)
{
    char key[STORE_KEY_SIZE];
    char shown[4 * STORE_KEY_SIZE];
    char ignored[LEASE_CELL_SIZE];

    snprintf(key, sizeof key, "leaderwrap:%s", options->key);
    bool found = store_check_key(key) == NULL &&
                 read_lease_alone(options, key, 1, lease, ignored, sizeof ignored) == 0 &&
                 !ctl_is_nothing(lease);
    fprintf(stderr, "leaderctl: no lease \"%s\"", show_text(options->key, shown, sizeof shown));
    if (found)
        fprintf(stderr, "; did you mean \"%s\"?", show_text(key, shown, sizeof shown));
    fputc('\n', stderr);
}

static int show_history(const struct ctl_options *options, const struct ctl_lease *lease,
                        char *error, size_t size)
{
    static const char *const heading[] = {"TERM", "LEADER", "FROM", "TO", "LASTED", "GAP", "ENDED"};
    static struct ctl_term terms[OPTIONS_LAST_MOST];
    static struct show_row rows[OPTIONS_LAST_MOST + 1];
    size_t count = ctl_terms(lease, terms, (size_t)options->last);

    if (options->json) {
        json_t *list = json_array();
        for (size_t i = 0; i < count; i++)
            json_array_append_new(list, ctl_json_term(&terms[i]));
        return print_json(list, error, size);
    }
    set_cells(&rows[0], heading, TERM_COLUMNS);
    for (size_t i = 0; i < count; i++)
        term_row(&terms[i], &rows[i + 1]);
    print_rows(rows, count + 1, TERM_COLUMNS);
    return 0;
}

static int show_status(const struct ctl_options *options, const struct ctl_lease *lease,
                       char *error, size_t size)
{
    int status = 0;

    if (options->json)
        status = print_json(ctl_json_lease(options->key, lease), error, size);
    else
        print_lease(options->key, lease);
    return status == 0 && lease->state != CTL_LED ? EXIT_NOBODY_LEADS : status;
}

static int run_of_lease(const struct ctl_options *options, struct session *session, char *error,
                        size_t size)
{
    bool history = options->command == CTL_HISTORY;
    struct ctl_lease *lease = calloc(1, sizeof *lease);

    if (lease == NULL)
        return out_of_memory(error, size);
    int status = read_lease(session, options->key, history ? LEASE_ENTRIES : STATUS_ENTRIES, lease,
                            error, size);
    if (status == 0 && ctl_is_nothing(lease)) {
        tell_missing(options, lease);
        status = EXIT_NOBODY_LEADS;
    } else if (status == 0) {
        status = history ? show_history(options, lease, error, size)
                         : show_status(options, lease, error, size);
    }
    free(lease);
    return status;
}

static int flush(int status, char *error, size_t size)
{
    if (status > EXIT_NOBODY_LEADS || (fflush(stdout) == 0 && !ferror(stdout)))
        return status;
    snprintf(error, size, "cannot write to standard output");
    return EXIT_OWN_FAILURE;
}

int ctl_run(const struct ctl_options *options, char *error, size_t size)
{
    struct session *session;

    if (options->command == CTL_WATCH)
        return watch_run(options, error, size);
    if (options->command == CTL_SERVE)
        return serve_run(options, error, size);
    if (options->command == CTL_DOCTOR)
        return flush(doctor_run(options, error, size), error, size);
    if (options->command >= CTL_PAUSE)
        return flush(act_run(options, error, size), error, size);
    if (options->command == CTL_HOLDING)
        return flush(holding_run(options, error, size), error, size);
    if (options->command == CTL_LS)
        return flush(run_ls(options, error, size), error, size);
    int status =
        session_open(&session, &options->redis, options->key, options->timeout_ms, error, size);

    if (status != 0)
        return status;
    status = run_of_lease(options, session, error, size);
    session_free(session);
    return flush(status, error, size);
}
