/* leaderctl's pure parts: what a record and a history say, what a person sees, and the words of its
 * command line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/act.h"
#include "ctl/doctor.h"
#include "ctl/lease.h"
#include "ctl/options.h"
#include "ctl/read.h"
#include "ctl/serve.h"
#include "ctl/show.h"
#include "parsed.h"

#define NOW 1000000

static struct ctl_lease judged(const char *state, const char *at, const char *until,
                               const char *hold, const char *value)
{
    struct ctl_lease lease = {.now_ms = NOW};
    const char *fields[LEASE_KEPT_FIELDS] = {state, "db1#1", "db1", "7",         "15000",
                                             at,    until,   hold,  "3 7 980000"};

    ctl_judge(&lease, fields, value);
    return lease;
}

static void a_state_goes_by_the_servers_clock(void **state)
{
    static const struct {
        const char *st, *at, *until, *hold;
        enum ctl_state is;
        int64_t left_ms;
    } cases[] = {
        {"held", "990000", "0", "0", CTL_LED, 5000},
        {"held", "985000", "0", "0", CTL_EXPIRED, 0},
        /* The clock was set back: never more than the whole of it. */
        {"held", "2000000", "0", "0", CTL_LED, 15000},
        {"free", "990000", "0", "0", CTL_FREE, 0},
        {"hold", "990000", "1003000", "30000", CTL_CLOSED, 3000},
        {"hold", "990000", "5000000", "30000", CTL_CLOSED, 30000},
        {"hold", "990000", "1000000", "30000", CTL_FREE, 0},
        {"vacant", "990000", "1003000", "30000", CTL_CLOSED, 3000},
        {"vacant", "990000", "0", "0", CTL_VACANT, 0},
        {"nonsense", "990000", "0", "0", CTL_VACANT, 0},
        {NULL, "-5", "x", "99999999999999999999", CTL_VACANT, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ctl_lease lease =
            judged(cases[i].st, cases[i].at, cases[i].until, cases[i].hold, "db1#1");
        if (lease.state != cases[i].is || lease.left_ms != cases[i].left_ms)
            fail_msg("case %zu: %s, %lld ms left", i, ctl_state_word(lease.state),
                     (long long)lease.left_ms);
    }
}

static void a_term_has_a_number_and_a_begin(void **state)
{
    static const char *const bad[] = {NULL, "", "3 8 980000", "3 7", "3 7 980000 1", "x 7 1"};
    struct ctl_lease lease = judged("held", "990000", "0", "0", "db1#1");

    (void)state;
    assert_int_equal(lease.number, 3);
    assert_int_equal(lease.since_ms, 980000);
    lease = judged("free", "990000", "0", "0", NULL);
    assert_int_equal(lease.number, 3);
    assert_int_equal(lease.since_ms, 0);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const char *fields[LEASE_KEPT_FIELDS] = {"held", "a", "a", "7", "9", "9", "0", "0", bad[i]};
        lease = (struct ctl_lease){.now_ms = 10};
        ctl_judge(&lease, fields, NULL);
        assert_int_equal(lease.number, 0);
        assert_int_equal(lease.since_ms, 0);
    }
}

static void no_field_is_no_lease(void **state)
{
    struct ctl_lease lease = {.now_ms = NOW};
    const char *fields[LEASE_KEPT_FIELDS] = {NULL};

    (void)state;
    ctl_judge(&lease, fields, NULL);
    assert_int_equal(lease.state, CTL_NONE);
    assert_string_equal(lease.foreign, "");
    ctl_judge(&lease, fields, "somebody");
    assert_int_equal(lease.state, CTL_NONE);
    assert_string_equal(lease.foreign, "somebody");
}

static void numbers_are_whole_and_below_2_to_53(void **state)
{
    (void)state;
    assert_int_equal(ctl_number("1795412446120502"), 1795412446120502);
    assert_int_equal(ctl_number("9007199254740993"), 0);
    assert_int_equal(ctl_number("99999999999999999999"), 0);
    assert_int_equal(ctl_number("-1"), 0);
    assert_int_equal(ctl_number("1e3"), 0);
    assert_int_equal(ctl_number(""), 0);
    assert_int_equal(ctl_number(NULL), 0);
}

static size_t warnings_of(const char *st, const char *at, const char *value, const char *word)
{
    struct ctl_lease lease = judged(st, at, "0", "0", value);
    const char *warnings[LEASE_WARNINGS];
    size_t count = ctl_warnings(&lease, warnings);

    if (count > 0)
        assert_non_null(strstr(warnings[0], word));
    return count;
}

static void what_is_odd_is_a_warning(void **state)
{
    (void)state;
    assert_int_equal(warnings_of("held", "990000", "db1#1", ""), 0);
    assert_int_equal(warnings_of("held", "990000", "other", "no leaderwrap"), 1);
    assert_int_equal(warnings_of("held", "990000", "", "no leaderwrap"), 1);
    assert_int_equal(warnings_of("held", "990000", NULL, "gone"), 1);
    assert_int_equal(warnings_of("held", "900000", NULL, "not renewed"), 1);
    assert_int_equal(warnings_of("vacant", "990000", NULL, "nobody knows"), 1);
    assert_int_equal(warnings_of("free", "990000", NULL, ""), 0);
}

static void entry(struct ctl_lease *lease, bool begins, uint64_t token, int64_t at_ms,
                  const char *reason)
{
    struct ctl_entry *made = &lease->entries[lease->entry_count++];

    *made = (struct ctl_entry){.begins = begins, .token = token, .at_ms = at_ms, .span_ms = -1};
    ctl_copy(made->name, "db1");
    ctl_copy(made->reason, reason);
}

static void a_history_becomes_terms(void **state)
{
    struct ctl_lease lease = {0};
    struct ctl_term terms[4];

    (void)state;
    entry(&lease, true, 30, 9000, "");
    entry(&lease, false, 20, 8000, "expired");
    /* Its begin is not there any more. */
    entry(&lease, false, 15, 7500, "stopped");
    entry(&lease, true, 20, 7000, "");
    entry(&lease, true, 10, 5000, "");
    assert_int_equal(ctl_terms(&lease, terms, 4), 3);
    assert_int_equal(terms[0].token, 30);
    assert_int_equal(terms[0].to_ms, 0);
    assert_int_equal(terms[0].gap_ms, 1000);
    assert_int_equal(terms[1].to_ms, 8000);
    assert_string_equal(terms[1].reason, "expired");
    assert_int_equal(terms[1].gap_ms, -1);
    assert_int_equal(terms[2].to_ms, 0);
    assert_int_equal(ctl_terms(&lease, terms, 1), 1);
    assert_int_equal(terms[0].gap_ms, 1000);
    /* What the entries tell themselves. */
    lease.entries[0].span_ms = 400;
    lease.entries[0].number = 3;
    lease.entries[1].span_ms = 600;
    assert_int_equal(ctl_terms(&lease, terms, 2), 2);
    assert_int_equal(terms[0].gap_ms, 400);
    assert_int_equal(terms[0].number, 3);
    assert_int_equal(terms[1].to_ms, 7600);
    lease.entries[0].span_ms = -1;
    /* The clock was set back in between: no gap is known. */
    lease.entries[0].at_ms = 7900;
    assert_int_equal(ctl_terms(&lease, terms, 1), 1);
    assert_int_equal(terms[0].gap_ms, -1);
}

static void no_text_moves_a_terminal(void **state)
{
    char buffer[64];
    char small[7];

    (void)state;
    assert_string_equal(show_text("db1", buffer, sizeof buffer), "db1");
    assert_string_equal(show_text("a\x1b[31m\n\x7f\x9b\\", buffer, sizeof buffer),
                        "a\\x1b[31m\\x0a\\x7f\\x9b\\\\");
    assert_string_equal(show_text("abcd\x1b", small, sizeof small), "abcd");
    assert_string_equal(show_text("abcdefghi", small, sizeof small), "abcdef");
}

static void spans_and_times_are_short(void **state)
{
    char buffer[32];

    (void)state;
    assert_string_equal(show_span(-1, buffer, sizeof buffer), "-");
    assert_string_equal(show_span(1290, buffer, sizeof buffer), "1.2s");
    assert_string_equal(show_span(45000, buffer, sizeof buffer), "45s");
    assert_string_equal(show_span(720000, buffer, sizeof buffer), "12m");
    assert_string_equal(show_span(32400000, buffer, sizeof buffer), "9h");
    assert_string_equal(show_span(259200000, buffer, sizeof buffer), "3d");
    assert_string_equal(show_time(1795729487203, buffer, sizeof buffer), "2026-11-26 21:44:47Z");
    assert_string_equal(show_time(0, buffer, sizeof buffer), "-");
    assert_string_equal(show_time(INT64_MAX, buffer, sizeof buffer), "-");
}

static void a_table_fits(void **state)
{
    static struct show_row rows[2] = {{{"LEASE", "LEADER"}},
                                      {{"leaderwrap:server-of-many", "db1"}}};
    size_t widths[SHOW_COLUMNS];
    char line[(SHOW_CELL_SIZE + 2) * SHOW_COLUMNS];

    (void)state;
    show_fit(rows, 2, 2, 0, widths);
    assert_string_equal(show_row(&rows[0], 2, widths, line, sizeof line),
                        "LEASE                      LEADER");
    assert_string_equal(show_row(&rows[1], 2, widths, line, sizeof line),
                        "leaderwrap:server-of-many  db1");
    show_fit(rows, 2, 2, 20, widths);
    assert_string_equal(show_row(&rows[1], 2, widths, line, sizeof line), "leaderwrap:~  db1");
    show_fit(rows, 2, 2, 3, widths);
    assert_string_equal(show_row(&rows[1], 2, widths, line, sizeof line), "leaderw~  db1");
}

#define RECORD                                                                                     \
    "*12\r\n$4\r\nheld\r\n$1\r\ni\r\n$1\r\nn\r\n$1\r\n7\r\n$4\r\n9000\r\n$4\r\n1000\r\n$-1\r\n"    \
    "$-1\r\n$-1\r\n$-1\r\n$-1\r\n$-1\r\n"
#define TIME "*2\r\n$1\r\n2\r\n$4\r\n5000\r\n"
#define ENTRY(token)                                                                               \
    "*2\r\n$3\r\n1-1\r\n*10\r\n$5\r\nevent\r\n$5\r\nbegin\r\n$5\r\ntoken\r\n$1\r\n" token          \
    "\r\n$2\r\nat\r\n$3\r\n990\r\n$4\r\nterm\r\n$1\r\n5\r\n$3\r\ngap\r\n$2\r\n12\r\n"

/* One that stands by, and a count. */
#define CANDIDATES                                                                                 \
    "*4\r\n$1\r\n#\r\n$1\r\n1\r\n$5\r\nweb#1\r\n$30\r\n1500 9000 {\"host\":\"h\",\"pid\":5}\r\n"

static void an_answer_is_taken_apart(void **state)
{
    struct ctl_lease *lease = calloc(1, sizeof *lease);
    redisReply *reply = parsed("*5\r\n" RECORD "$1\r\ni\r\n" TIME
                               "*4\r\n" ENTRY("8") "*2\r\n$1\r\n1\r\n*2\r\n:1\r\n:2\r\n"
                                                   "$1\r\nx\r\n" ENTRY("7") CANDIDATES);

    (void)state;
    assert_non_null(lease);
    assert_int_equal(read_lease_reply(lease, reply), 0);
    assert_int_equal(lease->now_ms, 2005);
    assert_int_equal(lease->state, CTL_LED);
    assert_int_equal(lease->left_ms, 7995);
    assert_int_equal(lease->entry_count, 2);
    assert_int_equal(lease->since_ms, 990);
    assert_int_equal(lease->entries[0].number, 5);
    assert_int_equal(lease->entries[0].span_ms, 12);
    assert_true(lease->candidates_are_known);
    assert_int_equal(lease->candidate_count, 1);
    assert_string_equal(lease->candidates[0].name, "web");
    assert_string_equal(lease->candidates[0].host, "h");
    assert_int_equal(lease->candidates[0].pid, 5);
    assert_int_equal(lease->candidates[0].ttl_ms, 9000);
    assert_int_equal(lease->candidates[0].seen_ms, 1500);
    freeReplyObject(reply);
    free(lease);
}

static void what_may_not_be_read_is_said(void **state)
{
    struct ctl_lease *lease = calloc(1, sizeof *lease);
    redisReply *reply =
        parsed("*5\r\n" RECORD "-WRONGTYPE it is a list\r\n" TIME "-NOPERM no xrevrange\r\n"
               "-NOPERM no hgetall\r\n");

    (void)state;
    assert_non_null(lease);
    assert_int_equal(read_lease_reply(lease, reply), 0);
    assert_string_equal(lease->foreign, "(cannot be read)");
    assert_false(lease->candidates_are_known);
    assert_int_equal(lease->entry_count, 0);
    freeReplyObject(reply);
    free(lease);
}

static void what_is_no_answer_is_refused(void **state)
{
    static const char *const texts[] = {"+OK\r\n",
                                        "*0\r\n",
                                        "*1\r\n$1\r\nx\r\n",
                                        "*4\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n",
                                        "*2\r\n:1\r\n*0\r\n",
                                        "*2\r\n$1\r\n0\r\n$1\r\nx\r\n"};
    struct ctl_lease *lease = calloc(1, sizeof *lease);
    struct read_keys keys = {0};

    (void)state;
    assert_non_null(lease);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        redisReply *reply = parsed(texts[i]);
        assert_int_equal(read_lease_reply(lease, reply), -1);
        assert_int_equal(read_scan_reply(&keys, reply), -1);
        freeReplyObject(reply);
    }
    free(lease);
}

static void names_of_records_become_keys(void **state)
{
    struct read_keys keys = {0};
    redisReply *reply =
        parsed("*2\r\n$2\r\n17\r\n*8\r\n$8\r\n{b}:term\r\n$9\r\n{a}::term\r\n$8\r\n{b}:term\r\n"
               "$5\r\n:term\r\n$9\r\nxxxx:term\r\n$7\r\n{}:term\r\n:5\r\n$3\r\nabc\r\n");

    (void)state;
    assert_int_equal(read_scan_reply(&keys, reply), 0);
    assert_string_equal(keys.cursor, "17");
    assert_int_equal(keys.count, 2);
    assert_string_equal(keys.list[0], "b");
    assert_string_equal(keys.list[1], "{a}");
    read_drop(&keys, 0);
    assert_int_equal(keys.count, 1);
    assert_string_equal(keys.list[0], "{a}");
    read_drop(&keys, 0);
    assert_int_equal(keys.count, 0);
    /* What came back is found again. */
    assert_int_equal(read_scan_reply(&keys, reply), 0);
    assert_int_equal(keys.count, 2);
    freeReplyObject(reply);
    read_free(&keys);
}

static void a_lease_is_nothing_without_a_trace(void **state)
{
    static struct ctl_lease lease;

    (void)state;
    assert_true(ctl_is_nothing(&lease));
    lease.entry_count = 1;
    assert_false(ctl_is_nothing(&lease));
    lease = (struct ctl_lease){.foreign = "x"};
    assert_false(ctl_is_nothing(&lease));
    lease = (struct ctl_lease){.state = CTL_FREE};
    assert_false(ctl_is_nothing(&lease));
}

/* `words` has blanks between them. Returns how many there are. */
static int split(char *words, char **argv, int most)
{
    int argc = 0;

    for (char *word = strtok(words, " "); word != NULL && argc < most; word = strtok(NULL, " "))
        argv[argc++] = word;
    return argc;
}

static void expect_usage(const char *sentence, const char *words)
{
    struct ctl_options options;
    char error[256] = "";
    char line[128];
    char *argv[9] = {NULL};

    snprintf(line, sizeof line, "%s", words);
    int argc = split(line, argv, 8);
    assert_int_equal(ctl_options_parse(&options, argc, argv, error, sizeof error), EXIT_USAGE);
    if (strstr(error, sentence) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", sentence, error);
    ctl_options_clear(&options);
}

static void bad_words_are_refused(void **state)
{
    (void)state;
    expect_usage("a command is missing", "ctl");
    expect_usage("no command \"lls\"", "ctl lls");
    expect_usage("no command of that name", "ctl redis://:secret@h");
    expect_usage("key of the lease is missing", "ctl status");
    expect_usage("one key at a time", "ctl status a b");
    expect_usage("no further word", "ctl ls a");
    expect_usage("can be no lease key", "ctl status a{");
    expect_usage("--at-least is for holding", "ctl --at-least 3s ls");
    expect_usage("no further word", "ctl holding a");
    expect_usage("key of the lease is missing", "ctl history");
    expect_usage("--token-file is for serve --allow-control", "ctl --token-file t serve");
    expect_usage("--token-file is for serve --allow-control", "ctl --token-file t ls");
    expect_usage("--allow-control is for serve", "ctl --allow-control ls");
    expect_usage("--counter-key is for serve", "ctl --counter-key c ls");
    expect_usage("--last is for history", "ctl --last 3 ls");
    expect_usage("--last", "ctl --last 0 history a");
    expect_usage("--all is for pause, resume", "ctl status k --all");
    expect_usage("--reason is for pause", "ctl resume k --reason x");
    expect_usage("--to is for step-down", "ctl pause k --to x");
    expect_usage("--force is for release", "ctl rm k --force");
    expect_usage("--to is empty", "ctl step-down k --to=");
    expect_usage("whose name", "ctl cordon");
    expect_usage("key of the lease is missing", "ctl cordon web1");
    expect_usage("may not contain #", "ctl cordon web#1 k");
    expect_usage("pause takes no further word", "ctl pause --all k");
    expect_usage("too many words", "ctl a b c d e");
    expect_usage("--for", "ctl pause k --for 0s");
    expect_usage("rediss://", "ctl --cacert /x ls");
    expect_usage("--jso", "ctl --jso ls");
}

static void good_words_are_taken(void **state)
{
    struct ctl_options options;
    char line[] = "ctl --redis redis://u:secret@127.0.0.1:7000/3 -j --last 5 history k";
    char *argv[9] = {NULL};
    int argc = split(line, argv, 8);
    char error[256];

    (void)state;
    assert_int_equal(ctl_options_parse(&options, argc, argv, error, sizeof error), 0);
    assert_int_equal(options.command, CTL_HISTORY);
    assert_string_equal(options.key, "k");
    assert_int_equal(options.last, 5);
    assert_true(options.json);
    assert_int_equal(options.redis.url.database, 3);
    ctl_options_mask_line(&options, argc, argv);
    assert_null(strstr(argv[2], "secret"));
    ctl_options_clear(&options);
}

/* Passwords are masked wherever they stand. */
static void options_may_stand_behind_words(void **state)
{
    struct ctl_options options;
    char line[] = "ctl cordon --redis redis://u:secret@127.0.0.1:7000 web-1 -j k";
    char *argv[10] = {NULL};
    int argc = split(line, argv, 9);
    char error[256];

    (void)state;
    assert_int_equal(ctl_options_parse(&options, argc, argv, error, sizeof error), 0);
    assert_int_equal(options.command, CTL_CORDON);
    assert_string_equal(options.name, "web-1");
    assert_string_equal(options.key, "k");
    assert_true(options.json);
    ctl_options_mask_line(&options, argc, argv);
    for (int i = 0; i < argc; i++)
        assert_null(strstr(argv[i], "secret"));
    ctl_options_clear(&options);
}

static void behind_two_dashes_there_are_words_alone(void **state)
{
    struct ctl_options options;
    char line[] = "ctl -- cordon -j k";
    char *argv[6] = {NULL};
    int argc = split(line, argv, 5);
    char error[256];

    (void)state;
    assert_int_equal(ctl_options_parse(&options, argc, argv, error, sizeof error), 0);
    assert_string_equal(options.name, "-j");
    assert_false(options.json);
    ctl_options_clear(&options);
}

static struct ctl_lease wished(const char *pause, const char *ask, const char *cordon,
                               const char *value)
{
    struct ctl_lease lease = {.now_ms = NOW};
    const char *fields[LEASE_KEPT_FIELDS] = {
        "free", "db1#1", "db1", "7", "15000", "990000", "0", "0", "3 7 980000", pause, ask, cordon};

    ctl_judge(&lease, fields, value);
    return lease;
}

static void wishes_are_seen(void **state)
{
    (void)state;
    struct ctl_lease lease =
        wished("990000 0 op@adm two words", "7 990000 60000 op@adm web 2",
               "990000 op@adm web-1\nnonsense\n990000 op web 3\n", "paused by op@adm: two words");
    assert_int_equal(lease.state, CTL_PAUSED);
    assert_string_equal(ctl_state_word(lease.state), "paused");
    assert_string_equal(lease.pause.text, "two words");
    assert_string_equal(lease.pause.by, "op@adm");
    assert_string_equal(lease.foreign, "");
    assert_true(lease.ask.there);
    assert_string_equal(lease.ask.text, "web 2");
    assert_int_equal(lease.ask.left_ms, 50000);
    assert_int_equal(lease.cordon_count, 2);
    assert_string_equal(lease.cordons[1].text, "web 3");
    /* Over, of another term, of another form. */
    lease = wished("980000 20000 op@adm", "8 990000 60000 op@adm web2", "x", "paused by op@adm");
    assert_int_equal(lease.state, CTL_FREE);
    assert_false(lease.pause.there || lease.ask.there);
    assert_int_equal(lease.cordon_count, 0);
    assert_string_equal(lease.foreign, "");
    lease = wished("nonsense", "7 990000 5000 op@adm", NULL, "paused by op@adm");
    assert_int_equal(lease.state, CTL_FREE);
    assert_false(lease.ask.there);
    assert_string_equal(lease.foreign, "paused by op@adm");
}

static void add_candidate(struct ctl_lease *lease, const char *name, int64_t ttl_ms)
{
    struct ctl_candidate *candidate = &lease->candidates[lease->candidate_count++];

    snprintf(candidate->name, sizeof candidate->name, "%s", name);
    candidate->ttl_ms = ttl_ms;
    candidate->seen_ms = lease->now_ms;
}

static void candidates_that_differ_are_a_warning(void **state)
{
    const char *warnings[LEASE_WARNINGS];

    (void)state;
    struct ctl_lease lease = judged("held", "990000", "0", "0", "db1#1");
    assert_int_equal(ctl_warnings(&lease, warnings), 0);
    lease.candidates_are_known = true;
    assert_int_equal(ctl_warnings(&lease, warnings), 1);
    assert_non_null(strstr(warnings[0], "nobody stands by"));
    add_candidate(&lease, "db2", 15000);
    assert_int_equal(ctl_warnings(&lease, warnings), 0);
    add_candidate(&lease, "db1", 10000);
    assert_int_equal(ctl_warnings(&lease, warnings), 2);
    assert_non_null(strstr(warnings[0], "TTL"));
    assert_non_null(strstr(warnings[1], "same name"));
    /* It was started anew, and the leader is it. */
    lease.candidates[1].seen_ms -= 12001;
    assert_int_equal(ctl_warnings(&lease, warnings), 1);
}

static void a_candidate_tells_what_it_likes(void **state)
{
    static const char *const none[][2] = {
        {"#", "5"},        {"web", "1 2 {}"},   {"#1", "1 2 {}"},
        {"web#1", "1 {}"}, {"web#1", "x 2 {}"}, {"web#1", ""},
    };
    struct ctl_candidate candidate;

    (void)state;
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
        assert_false(candidate_read(&candidate, none[i][0], none[i][1]));
    assert_true(candidate_read(&candidate, "web#1", "1000 2000 not json"));
    assert_string_equal(candidate.host, "");
    assert_true(candidate_read(&candidate, "web#1", "1000 2000 {\"pid\":-3,\"host\":7}"));
    assert_int_equal(candidate.pid, 0);
    assert_true(candidate_is_there(&candidate, 11000));
    assert_false(candidate_is_there(&candidate, 11001));
    assert_true(candidate_read(&candidate, "web#1", "1000 2000 {\"retry_ms\":100000}"));
    assert_true(candidate_is_there(&candidate, 301000));
    assert_false(candidate_is_there(&candidate, 301001));
}

static void a_pause_that_was_lost_is_told_for_a_day_or_its_time(void **state)
{
    static const char about[] =
        "7000 1000 {\"pause_lost\":{\"at_ms\":%lld,\"over_ms\":%lld,\"by\":\"ann\"}}";
    const long long now_ms = 1700000000000LL;
    const long long day_ms = 24LL * 3600 * 1000;
    const struct {
        long long at_ms, over_ms;
    } told[] = {{now_ms - 1000, now_ms - 1}, {now_ms - day_ms - 1, 0}, {now_ms - 1000, now_ms + 1}};
    struct ctl_candidate candidate;
    char text[200];

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct ctl_lease *lease = calloc(1, sizeof *lease);

        snprintf(text, sizeof text, about, told[i].at_ms, told[i].over_ms);
        assert_true(candidate_read(&candidate, "db1#1", text));
        lease->now_ms = now_ms;
        lease->candidate_count = 1;
        lease->candidates[0] = candidate;
        read_lost_pause(lease);
        assert_int_equal(lease->lost_pause.there, i == 2);
        free(lease);
    }
}

static void only_numbers_and_localhost_are_its_own_name(void **state)
{
    static const char *const own[] = {"localhost",   "LOCALHOST:8080", "127.0.0.1",
                                      "10.1.2.3:80", "[::1]",          "[fe80::1]:8080"};
    static const char *const others[] = {"",
                                         "evil.example",
                                         "localhost.evil.example",
                                         "127.0.0.1.evil.example:80",
                                         "127.0.0.1:evil",
                                         "[::1]evil",
                                         "[::1",
                                         "[evil]:80",
                                         "::1",
                                         "127.0.0.1 evil",
                                         "0:1:2"};

    (void)state;
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
        if (!serve_knows_host(own[i]))
            fail_msg("%s", own[i]);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (serve_knows_host(others[i]))
            fail_msg("%s", others[i]);
}

static void who_acts_is_one_word(void **state)
{
    char by[LEASE_BY_SIZE];

    (void)state;
    setenv("SUDO_USER", "a b\n|c", 1);
    act_by(by, sizeof by);
    assert_int_equal(strncmp(by, "a_b__c@", 7), 0);
    unsetenv("SUDO_USER");
    unsetenv("USER");
    unsetenv("LOGNAME");
    act_by(by, sizeof by);
    assert_int_equal(strncmp(by, "uid-", 4), 0);
    assert_null(strpbrk(by, " |\n"));
}

static void an_act_is_answered_in_three_texts(void **state)
{
    static const char *const bad[] = {"+OK\r\n", "*0\r\n", "*3\r\n:1\r\n:2\r\n:3\r\n",
                                      "*3\r\n$4\r\nwhat\r\n$1\r\na\r\n$1\r\n7\r\n"};
    struct act_answer answer;
    redisReply *reply = parsed("*3\r\n$3\r\nled\r\n$2\r\nme\r\n$1\r\n7\r\n");

    (void)state;
    assert_int_equal(act_read_reply(&answer, reply), 0);
    assert_int_equal(answer.result, ACT_LED);
    assert_string_equal(answer.name, "me");
    assert_int_equal(answer.token, 7);
    freeReplyObject(reply);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        reply = parsed(bad[i]);
        assert_int_equal(act_read_reply(&answer, reply), -1);
        freeReplyObject(reply);
    }
}

#define HEALTHY                                                                                    \
    "# Server\r\nredis_version:7.0.15\r\nmaxmemory:0\r\nmaxmemory_policy:noeviction\r\n"           \
    "aof_enabled:1\r\nrole:master\r\nconnected_slaves:0\r\n"

/* Whether something bad is found that says so. */
static bool is_found(const struct patient *patient, const char *text)
{
    static struct findings findings;
    bool found = false;

    memset(&findings, 0, sizeof findings);
    doctor_judge(patient, &findings);
    for (size_t i = 0; i < findings.count; i++)
        found = found || (findings.list[i].bad && strstr(findings.list[i].text, text) != NULL);
    return found;
}

static void what_could_hurt_is_found(void **state)
{
    static const struct {
        struct patient patient;
        const char *text;
    } cases[] = {
        {{.info = NULL}, "INFO is refused"},
        {{.info = "redis_version:6.0.16\r\n"}, "older than 6.2"},
        {{.info = "maxmemory:100\r\nmaxmemory_policy:allkeys-lru\r\n"}, "noeviction"},
        {{.info = "aof_enabled:0\r\n"}, "appendonly is off"},
        {{.info = "role:slave\r\n"}, "is a replica"},
        {{.info = "role:master\r\nconnected_slaves:2\r\n"}, "2 replicas"},
        {{.info = HEALTHY, .is_local = true}, "this host alone"},
        {{.info = HEALTHY, .slowest_ms = 101}, "101 ms"},
    };
    const struct patient healthy = {.info = HEALTHY, .slowest_ms = 100};
    const struct patient watched = {.info = "role:master\r\nconnected_slaves:2\r\n",
                                    .has_witnesses = true};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (!is_found(&cases[i].patient, cases[i].text))
            fail_msg("\"%s\" is not found", cases[i].text);
    assert_false(is_found(&healthy, ""));
    assert_false(is_found(&watched, ""));
}

static void what_could_hurt_a_lease_is_found(void **state)
{
    static struct ctl_lease lease;
    const struct patient patient = {.info = HEALTHY, .slowest_ms = 51, .lease = &lease};

    (void)state;
    lease = wished("990000 0 op@adm", NULL, "990000 op@adm web-1\n", NULL);
    lease.ttl_ms = 1000;
    assert_true(is_found(&patient, "51 ms"));
    assert_true(is_found(&patient, "web-1 is cordoned by op@adm"));
    assert_true(is_found(&patient, "+hgetall"));
    assert_false(is_found(&patient, "forgotten"));
    lease.now_ms += INT64_C(90000000);
    assert_true(is_found(&patient, "forgotten"));
    lease.candidates_are_known = true;
    add_candidate(&lease, "a", 1000);
    add_candidate(&lease, "b", 1000);
    assert_false(is_found(&patient, "version"));
    snprintf(lease.candidates[1].version, sizeof lease.candidates[1].version, "2");
    assert_true(is_found(&patient, "differ in their version"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_state_goes_by_the_servers_clock),
        cmocka_unit_test(a_term_has_a_number_and_a_begin),
        cmocka_unit_test(no_field_is_no_lease),
        cmocka_unit_test(numbers_are_whole_and_below_2_to_53),
        cmocka_unit_test(what_is_odd_is_a_warning),
        cmocka_unit_test(a_history_becomes_terms),
        cmocka_unit_test(no_text_moves_a_terminal),
        cmocka_unit_test(spans_and_times_are_short),
        cmocka_unit_test(a_table_fits),
        cmocka_unit_test(an_answer_is_taken_apart),
        cmocka_unit_test(what_may_not_be_read_is_said),
        cmocka_unit_test(what_is_no_answer_is_refused),
        cmocka_unit_test(names_of_records_become_keys),
        cmocka_unit_test(a_lease_is_nothing_without_a_trace),
        cmocka_unit_test(bad_words_are_refused),
        cmocka_unit_test(good_words_are_taken),
        cmocka_unit_test(options_may_stand_behind_words),
        cmocka_unit_test(behind_two_dashes_there_are_words_alone),
        cmocka_unit_test(wishes_are_seen),
        cmocka_unit_test(candidates_that_differ_are_a_warning),
        cmocka_unit_test(a_candidate_tells_what_it_likes),
        cmocka_unit_test(a_pause_that_was_lost_is_told_for_a_day_or_its_time),
        cmocka_unit_test(only_numbers_and_localhost_are_its_own_name),
        cmocka_unit_test(who_acts_is_one_word),
        cmocka_unit_test(an_act_is_answered_in_three_texts),
        cmocka_unit_test(what_could_hurt_is_found),
        cmocka_unit_test(what_could_hurt_a_lease_is_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
