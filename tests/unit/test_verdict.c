/* Replies of the scripts, good ones and all the others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <hiredis/hiredis.h>

#include "leaderwrap/base/duration.h"
#include "redis/verdict.h"

#define FIELDS 16
#define IDENT  "0123456789012345678901234567890123456789/18446744073709551615"

static const char ident[] = IDENT;

static const char *const sample[FIELDS] = {
    "REFUSED",
    "held",
    "web-1#0123456789abcdef",
    "web-1",
    "9007199254740991",
    "0123456789abcdef",
    ident,
    "15000",
    "1200",
    "0",
    "",
    "",
    "",
    "0123abcd",
    "0",
    "",
};

/* Makes a reply of `fields` as hiredis would, reading it from the wire form. */
static redisReply *make(const char *const *fields, size_t count)
{
    redisReader *reader = redisReaderCreate();
    char head[64];
    void *reply = NULL;

    assert_non_null(reader);
    snprintf(head, sizeof head, "*%zu\r\n", count);
    redisReaderFeed(reader, head, strlen(head));
    for (size_t i = 0; i < count; i++) {
        snprintf(head, sizeof head, "$%zu\r\n", strlen(fields[i]));
        redisReaderFeed(reader, head, strlen(head));
        redisReaderFeed(reader, fields[i], strlen(fields[i]));
        redisReaderFeed(reader, "\r\n", 2);
    }
    assert_int_equal(redisReaderGetReply(reader, &reply), REDIS_OK);
    assert_non_null(reply);
    redisReaderFree(reader);
    return reply;
}

/* Parses the sample with one field replaced. */
static int parse_with(int field, const char *value, enum verdict_of of, struct lease_reply *answer)
{
    const char *fields[FIELDS];
    redisReply *reply;
    int result;

    memcpy(fields, sample, sizeof fields);
    if (field >= 0)
        fields[field] = value;
    reply = make(fields, FIELDS);
    memset(answer, 0, sizeof *answer);
    result = verdict_parse(reply, of, answer);
    freeReplyObject(reply);
    return result;
}

/* The same with another verdict and what a grant has ended. */
static int parse_verdict(const char *verdict, const char *before, enum verdict_of of,
                         struct lease_reply *answer)
{
    const char *fields[FIELDS];
    redisReply *reply;
    int result;

    memcpy(fields, sample, sizeof fields);
    fields[0] = verdict;
    fields[12] = before;
    reply = make(fields, FIELDS);
    memset(answer, 0, sizeof *answer);
    result = verdict_parse(reply, of, answer);
    freeReplyObject(reply);
    return result;
}

static void reads_every_field(void **state)
{
    static const char *const fields[FIELDS] = {
        "REFUSED", "hold", "id",    "name",     "7", "v",    "-", "1",
        "2",       "3",    "other", "OOM full", "",  "feed", "4", "paused 5 op@adm two words",
    };
    redisReply *reply = make(fields, FIELDS);
    struct lease_reply answer = {.request = 5};

    (void)state;
    assert_int_equal(verdict_parse(reply, VERDICT_OF_ACQUIRE, &answer), 0);
    assert_int_equal(answer.request, 5);
    assert_int_equal(answer.verdict, LEASE_REFUSED);
    assert_int_equal(answer.record.state, LEASE_CLOSED);
    assert_string_equal(answer.record.id, "id");
    assert_string_equal(answer.record.name, "name");
    assert_int_equal(answer.record.token, 7);
    assert_string_equal(answer.record.version, "v");
    assert_string_equal(answer.record.incarnation, "-");
    assert_int_equal(answer.record.ttl_ms, 1);
    assert_int_equal(answer.record.age_ms, 2);
    assert_int_equal(answer.record.hold_left_ms, 3);
    assert_int_equal(answer.record.hold_ms, 4);
    assert_string_equal(answer.record.command, "feed");
    assert_string_equal(answer.record.foreign, "other");
    assert_non_null(strstr(answer.warning, "OOM full"));
    assert_int_equal(answer.before, LEASE_ABSENT);
    assert_int_equal(answer.wish.kind, LEASE_WISH_PAUSED);
    assert_int_equal(answer.wish.left_ms, 5);
    assert_string_equal(answer.wish.by, "op@adm");
    assert_string_equal(answer.wish.text, "two words");
    freeReplyObject(reply);
}

static void reads_each_wish(void **state)
{
    struct lease_reply answer;

    (void)state;
    assert_int_equal(parse_with(15, "cordoned 0 op@adm ", VERDICT_OF_ACQUIRE, &answer), 0);
    assert_int_equal(answer.wish.kind, LEASE_WISH_CORDONED);
    assert_string_equal(answer.wish.by, "op@adm");
    assert_string_equal(answer.wish.text, "");
    assert_int_equal(parse_with(15, "step-down 30000 op web 2", VERDICT_OF_ACQUIRE, &answer), 0);
    assert_int_equal(answer.wish.kind, LEASE_WISH_STEP_DOWN);
    assert_int_equal(answer.wish.left_ms, 30000);
    assert_string_equal(answer.wish.text, "web 2");
    assert_int_equal(parse_with(15, "", VERDICT_OF_ACQUIRE, &answer), 0);
    assert_int_equal(answer.wish.kind, LEASE_WISH_NONE);
}

static void a_broken_wish_breaks_the_answer(void **state)
{
    static const char *const broken[] = {
        "paused",      "paused 1",        "paused 1 ",
        "paused x op", "paused -1 op",    "paused 2592000001 op",
        "pause 1 op",  " paused 1 op",    "paused  1 op",
        "cordoned op", "step-down 1  op",
    };
    struct lease_reply answer;

    (void)state;
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++)
        assert_int_equal(parse_with(15, broken[i], VERDICT_OF_ACQUIRE, &answer), -1);
}

static void only_who_asks_or_renews_hears_a_wish(void **state)
{
    static const struct {
        const char *verdict;
        const char *before;
        enum verdict_of of;
        int result;
    } cases[] = {
        {"REFUSED", "", VERDICT_OF_ACQUIRE, 0},   {"GRANTED", "free", VERDICT_OF_ACQUIRE, -1},
        {"RENEWED", "", VERDICT_OF_RENEW, 0},     {"LOST", "", VERDICT_OF_RENEW, -1},
        {"RELEASED", "", VERDICT_OF_RELEASE, -1},
    };
    const char *fields[FIELDS];
    struct lease_reply answer = {0};

    (void)state;
    memcpy(fields, sample, sizeof fields);
    fields[15] = "paused 0 op@adm ";
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        fields[0] = cases[i].verdict;
        fields[12] = cases[i].before;
        redisReply *reply = make(fields, FIELDS);
        assert_int_equal(verdict_parse(reply, cases[i].of, &answer), cases[i].result);
        freeReplyObject(reply);
    }
}

static void keeps_the_largest_token_exact(void **state)
{
    struct lease_reply answer;

    (void)state;
    assert_int_equal(parse_with(-1, NULL, VERDICT_OF_ACQUIRE, &answer), 0);
    assert_true(answer.record.token == UINT64_C(9007199254740991));
    assert_string_equal(answer.record.incarnation, IDENT);
    assert_string_equal(answer.warning, "");
}

static void knows_each_verdict_of_its_own_script_only(void **state)
{
    static const struct {
        const char *word;
        enum verdict_of of;
        enum lease_verdict verdict;
    } words[] = {
        {"GRANTED", VERDICT_OF_ACQUIRE, LEASE_GRANTED},
        {"REFUSED", VERDICT_OF_ACQUIRE, LEASE_REFUSED},
        {"RENEWED", VERDICT_OF_RENEW, LEASE_RENEWED},
        {"LOST", VERDICT_OF_RENEW, LEASE_LOST},
        {"RELEASED", VERDICT_OF_RELEASE, LEASE_RELEASED},
        {"NOT_HELD", VERDICT_OF_RELEASE, LEASE_NOT_HELD},
    };
    struct lease_reply answer;

    (void)state;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        const char *before = words[i].verdict == LEASE_GRANTED ? "free" : "";

        for (int of = VERDICT_OF_ACQUIRE; of <= VERDICT_OF_RELEASE; of++) {
            int result = parse_verdict(words[i].word, before, (enum verdict_of)of, &answer);

            assert_int_equal(result, of == (int)words[i].of ? 0 : -1);
            if (result == 0)
                assert_int_equal(answer.verdict, words[i].verdict);
        }
    }
}

static void knows_each_state(void **state)
{
    static const char *const words[] = {"", "free", "held", "hold", "vacant"};
    struct lease_reply answer;

    (void)state;
    for (int i = LEASE_ABSENT; i <= LEASE_VACANT; i++) {
        assert_int_equal(parse_with(1, words[i], VERDICT_OF_ACQUIRE, &answer), 0);
        assert_int_equal(answer.record.state, i);
    }
}

static void refuses_broken_fields(void **state)
{
    static const struct {
        int field;
        const char *value;
    } broken[] = {
        {0, ""},
        {0, "GRANT"},
        {0, "GRANTEDX"},
        {0, "granted"},
        {1, "HELD"},
        {1, "helds"},
        {4, ""},
        {4, "-1"},
        {4, "1.0"},
        {4, "1e3"},
        {4, "9007199254740992"},
        {4, "99999999999999999999999"},
        {4, " 1"},
        {4, "1x"},
        {5, "0123456789abcdef0"},
        {6, IDENT "0"},
        {7, "-1"},
        {7, "nan"},
        {7, "2592000001"},
        {8, ""},
        {8, "-5"},
        {8, "9223372036855"},
        {9, "9223372036855"},
        {12, "held"},
        {12, "absent"},
    };
    struct lease_reply answer;

    (void)state;
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        if (parse_with(broken[i].field, broken[i].value, VERDICT_OF_ACQUIRE, &answer) != -1)
            fail_msg("field %d: %s", broken[i].field, broken[i].value);
    }
}

static void knows_what_a_grant_has_ended(void **state)
{
    static const char *const words[] = {"", "free", "held", "hold", "vacant"};
    struct lease_reply answer;

    (void)state;
    for (int i = LEASE_FREE; i <= LEASE_VACANT; i++) {
        assert_int_equal(parse_verdict("GRANTED", words[i], VERDICT_OF_ACQUIRE, &answer), 0);
        assert_int_equal(answer.before, i);
        assert_int_equal(answer.record.state, LEASE_HELD);
    }
    assert_int_equal(parse_verdict("GRANTED", "", VERDICT_OF_ACQUIRE, &answer), -1);
    assert_int_equal(parse_verdict("GRANTED", "HELD", VERDICT_OF_ACQUIRE, &answer), -1);
    assert_int_equal(parse_verdict("RENEWED", "held", VERDICT_OF_RENEW, &answer), -1);
    assert_int_equal(parse_verdict("RELEASED", "held", VERDICT_OF_RELEASE, &answer), -1);
}

static void refuses_a_term_without_a_token(void **state)
{
    const char *fields[FIELDS];
    struct lease_reply answer = {0};
    redisReply *reply;

    (void)state;
    memcpy(fields, sample, sizeof fields);
    fields[0] = "GRANTED";
    fields[4] = "0";
    fields[12] = "free";
    reply = make(fields, FIELDS);
    assert_int_equal(verdict_parse(reply, VERDICT_OF_ACQUIRE, &answer), -1);
    freeReplyObject(reply);
    fields[4] = "1";
    fields[1] = "vacant";
    reply = make(fields, FIELDS);
    assert_int_equal(verdict_parse(reply, VERDICT_OF_ACQUIRE, &answer), -1);
    freeReplyObject(reply);
}

static void cuts_long_texts(void **state)
{
    char text[1000];
    struct lease_reply answer;

    (void)state;
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    assert_int_equal(parse_with(2, text, VERDICT_OF_ACQUIRE, &answer), 0);
    assert_int_equal(strlen(answer.record.id), LEASE_ID_SIZE - 1);
    assert_int_equal(parse_with(3, text, VERDICT_OF_ACQUIRE, &answer), 0);
    assert_int_equal(strlen(answer.record.name), LEASE_NAME_MAX);
    assert_int_equal(parse_with(10, text, VERDICT_OF_ACQUIRE, &answer), 0);
    assert_int_equal(strlen(answer.record.foreign), LEASE_ID_SIZE - 1);
    assert_int_equal(parse_with(11, text, VERDICT_OF_ACQUIRE, &answer), 0);
    assert_int_equal(strlen(answer.warning), LEASE_TEXT_SIZE - 1);
}

/* Reads one reply in wire form and parses it. */
static int parse_wire(const char *wire, size_t length)
{
    redisReader *reader = redisReaderCreate();
    struct lease_reply answer = {0};
    void *reply = NULL;
    int result = -2;

    redisReaderFeed(reader, wire, length);
    if (redisReaderGetReply(reader, &reply) == REDIS_OK && reply != NULL) {
        result = verdict_parse(reply, VERDICT_OF_ACQUIRE, &answer);
        freeReplyObject(reply);
    }
    redisReaderFree(reader);
    return result;
}

#define FOUR(text)    text text text text
#define SIXTEEN(text) FOUR(text) FOUR(text) FOUR(text) FOUR(text)

static void refuses_other_shapes(void **state)
{
    static const char *const wires[] = {
        "+OK\r\n",
        ":1\r\n",
        "$-1\r\n",
        "$0\r\n\r\n",
        "-ERR x\r\n",
        "*0\r\n",
        "*-1\r\n",
        "*1\r\n$7\r\nREFUSED\r\n",
        "*16\r\n" SIXTEEN(":1\r\n"),
        "*16\r\n" SIXTEEN("$-1\r\n"),
        "*16\r\n" SIXTEEN("*0\r\n"),
    };
    const char *many[FIELDS + 1];
    struct lease_reply answer = {0};
    redisReply *reply;

    (void)state;
    for (size_t i = 0; i < sizeof wires / sizeof wires[0]; i++)
        assert_int_equal(parse_wire(wires[i], strlen(wires[i])), -1);
    memcpy(many, sample, sizeof sample);
    many[FIELDS] = "";
    reply = make(many, FIELDS + 1);
    assert_int_equal(verdict_parse(reply, VERDICT_OF_ACQUIRE, &answer), -1);
    freeReplyObject(reply);
    reply = make(sample, FIELDS - 1);
    assert_int_equal(verdict_parse(reply, VERDICT_OF_ACQUIRE, &answer), -1);
    freeReplyObject(reply);
}

static void survives_random_bytes(void **state)
{
    unsigned seed = 1;

    (void)state;
    for (int round = 0; round < 20000; round++) {
        const char *fields[FIELDS];
        char noise[FIELDS][24];
        redisReply *reply;
        struct lease_reply answer = {0};

        for (int i = 0; i < FIELDS; i++) {
            int length = rand_r(&seed) % 20;

            for (int k = 0; k < length; k++)
                noise[i][k] = (char)(1 + rand_r(&seed) % 255);
            noise[i][length] = '\0';
            fields[i] = rand_r(&seed) % 3 == 0 ? noise[i] : sample[i];
        }
        reply = make(fields, FIELDS);
        if (verdict_parse(reply, VERDICT_OF_ACQUIRE, &answer) == 0) {
            assert_in_range(answer.record.state, LEASE_ABSENT, LEASE_VACANT);
            assert_true(answer.record.ttl_ms >= 0 && answer.record.ttl_ms <= DURATION_MAX_MS);
        }
        freeReplyObject(reply);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_every_field),
        cmocka_unit_test(keeps_the_largest_token_exact),
        cmocka_unit_test(knows_each_verdict_of_its_own_script_only),
        cmocka_unit_test(knows_each_state),
        cmocka_unit_test(refuses_broken_fields),
        cmocka_unit_test(reads_each_wish),
        cmocka_unit_test(a_broken_wish_breaks_the_answer),
        cmocka_unit_test(only_who_asks_or_renews_hears_a_wish),
        cmocka_unit_test(knows_what_a_grant_has_ended),
        cmocka_unit_test(refuses_a_term_without_a_token),
        cmocka_unit_test(cuts_long_texts),
        cmocka_unit_test(refuses_other_shapes),
        cmocka_unit_test(survives_random_bytes),
    };

    return cmocka_run_group_tests_name("verdict", tests, NULL, NULL);
}
