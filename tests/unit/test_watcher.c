/* The events connection: what it hears, and how it looks after itself. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "fake_server.h"
#include "leaderwrap/base/log.h"
#include "leaderwrap/redis/store.h"
#include "leaderwrap/redis/watcher.h"
#include "loop_until.h"
#include "redis/event.h"
#include "redis_server.h"

#define KEY   "job"
#define IDENT "run/repl"

static struct redis_server server;
static bool has_server;

struct fixture {
    uv_loop_t loop;
    struct fake_server fake;
    struct redis_target target;
    struct watcher_config config;
    struct watcher *watcher;
    int events;
    struct lease_event event;
    char keys[64]; /* of which there were events */
    int listening;
    bool free_on_event;
    /* a store that makes the events */
    struct redis_target store_target;
    struct store *store;
    bool store_open;
    int answers;
    struct lease_reply answer;
};

static void on_event(void *context, const struct lease_event *event)
{
    struct fixture *f = context;

    f->events++;
    f->event = *event;
    if (f->free_on_event) {
        watcher_free(f->watcher);
        f->watcher = NULL;
    }
}

static void on_listening(void *context)
{
    ((struct fixture *)context)->listening++;
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    assert_int_equal(uv_loop_init(&f->loop), 0);
    fake_server_start(&f->fake, &f->loop);
    f->config = (struct watcher_config){
        .loop = &f->loop,
        .target = &f->target,
        .key = KEY,
        .ping_ms = 10000,
        .timeout_ms = 10000,
        .on_listening = on_listening,
        .on_event = on_event,
        .context = f,
    };
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    watcher_free(f->watcher);
    store_free(f->store);
    fake_server_stop(&f->fake);
    loop_end(&f->loop);
    redis_target_clear(&f->target);
    redis_target_clear(&f->store_target);
    free(f);
    return 0;
}

static void watch_fake(struct fixture *f)
{
    f->target.url.host = strdup("127.0.0.1");
    snprintf(f->target.url.port, sizeof f->target.url.port, "%hu", (unsigned short)f->fake.port);
    assert_int_equal(watcher_new(&f->watcher, &f->config), 0);
}

static bool has_event(void *context)
{
    return ((struct fixture *)context)->events > 0;
}

static bool never(void *context)
{
    (void)context;
    return false;
}

/* ---- the payload ---- */

static int parse(const char *text, struct lease_event *event)
{
    return event_parse(text, strlen(text), event);
}

static void reads_a_payload(void **state)
{
    struct lease_event event;

    (void)state;
    assert_int_equal(parse("1|held|" IDENT "|00ff|1795412446120502|15000|7|web|1", &event), 0);
    assert_int_equal(event.state, LEASE_HELD);
    assert_string_equal(event.incarnation, IDENT);
    assert_string_equal(event.version, "00ff");
    assert_true(event.token == UINT64_C(1795412446120502));
    assert_int_equal(event.ttl_ms, 15000);
    assert_int_equal(event.listeners, 7);
    assert_string_equal(event.name, "web|1");
    assert_int_equal(parse("1|free|-|0|0|0|-1|", &event), 0);
    assert_int_equal(event.state, LEASE_FREE);
    assert_int_equal(event.listeners, -1);
    assert_string_equal(event.name, "");
    assert_int_equal(parse("1|hold|-|0|0|0|-1|", &event), 0);
    assert_int_equal(event.state, LEASE_CLOSED);
    assert_int_equal(parse("1|vacant|-|0|0|0|-1|", &event), 0);
    assert_int_equal(event.state, LEASE_VACANT);
}

#define TEN "iiiiiiiiii"

static void refuses_other_payloads(void **state)
{
    static const char *const bad[] = {
        "",
        "hello",
        "2|held|i|v|1|1|0|n",
        "11|held|i|v|1|1|0|n",
        "|held|i|v|1|1|0|n",
        "1||i|v|1|1|0|n",
        "1|absent|i|v|1|1|0|n",
        "1|held|i|v|1|1|0",
        "1|held|i|v||1|0|n",
        "1|held|i|v|x|1|0|n",
        "1|held|i|v|-1|1|0|n",
        "1|held|i|v|9007199254740992|1|0|n",
        "1|held|i|v|1|2592000001|0|n",
        "1|held|i|v|1|1|-2|n",
        "1|held|i|v|1|1||n",
        "1|held|i|v|1|1|99999999999|n",
        "1|held|i|00000000000000000|1|1|0|n",
        "1|held|" TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN "iii|v|1|1|0|n",
        "1|held|i|v|1|1|0|nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn",
        "||||||||||",
    };
    struct lease_event event = {.token = 77};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (parse(bad[i], &event) != -1)
            fail_msg("accepted: %s", bad[i]);
    }
    assert_int_equal(event_parse("1|held|i|v|1|1|0|a\0b", 20, &event), -1);
    assert_int_equal(event.token, 77);
}

static void random_payloads_never_crash(void **state)
{
    static const char alphabet[] = "|||||1-0heldfrvacnt\0x";
    unsigned seed = 3;

    (void)state;
    for (int round = 0; round < 200000; round++) {
        size_t length = (size_t)rand_r(&seed) % 40;
        /* Of its exact size, so that a read past the end is seen. */
        char *payload = malloc(length > 0 ? length : 1);
        struct lease_event event;

        for (size_t i = 0; i < length; i++)
            payload[i] = alphabet[(size_t)rand_r(&seed) % sizeof alphabet];
        event_parse(payload, length, &event);
        free(payload);
    }
}

/* ---- the connection ---- */

#define CONFIRMED        "*3\r\n$9\r\nsubscribe\r\n$12\r\n{job}:events\r\n:1\r\n"
#define MESSAGE(n, text) "*3\r\n$7\r\nmessage\r\n$12\r\n{job}:events\r\n$" #n "\r\n" text "\r\n"
#define TOO_SHORT        "*2\r\n$7\r\nmessage\r\n$1\r\nx\r\n"
#define NO_TEXT          "*3\r\n$7\r\nmessage\r\n$1\r\nx\r\n:1\r\n"
#define PONG             "*2\r\n$4\r\npong\r\n$0\r\n\r\n"

static void hears_messages_and_ignores_others(void **state)
{
    struct fixture *f = *state;

    f->fake.answers[0] =
        CONFIRMED MESSAGE(5, "hello") TOO_SHORT NO_TEXT MESSAGE(19, "1|free|i|v|1|1|0|me");
    watch_fake(f);
    watcher_start(f->watcher);
    watcher_start(f->watcher);
    loop_until(&f->loop, has_event, f);
    assert_int_equal(f->events, 1);
    assert_string_equal(f->event.name, "me");
    assert_int_equal(f->fake.accepted, 1);
    assert_string_equal(f->fake.last, "SUBSCRIBE {job}:events");
}

#define ALL_CONFIRMED "*3\r\n$10\r\npsubscribe\r\n$10\r\n*:events:3\r\n:1\r\n"
#define OF(n, channel)                                                                             \
    "*4\r\n$8\r\npmessage\r\n$10\r\n*:events:3\r\n$" #n "\r\n" channel "\r\n$19\r\n"               \
    "1|free|i|v|1|1|0|me\r\n"

static void on_event_of(void *context, const char *key, const struct lease_event *event)
{
    struct fixture *f = context;

    snprintf(f->keys + strlen(f->keys), sizeof f->keys - strlen(f->keys), "%s ", key);
    on_event(f, event);
}

static bool has_both_events(void *context)
{
    return ((struct fixture *)context)->events > 1;
}

static void without_a_key_it_hears_of_all_leases_of_its_database(void **state)
{
    struct fixture *f = *state;

    f->config.key = NULL;
    f->config.on_event_of = on_event_of;
    f->target.url.database = 3;
    f->fake.answers[0] = "+OK\r\n";
    f->fake.answers[1] =
        ALL_CONFIRMED OF(12, "{job}:events") OF(10, "x:events:3") OF(14, "{job}:events:3")
            MESSAGE(19, "1|free|i|v|1|1|0|me") OF(14, "{a}b::events:4") OF(14, "{a}b::events:3");
    watch_fake(f);
    watcher_start(f->watcher);
    loop_until(&f->loop, has_both_events, f);
    assert_string_equal(f->fake.last, "PSUBSCRIBE *:events:3");
    assert_string_equal(f->keys, "job {a}b ");
    assert_int_equal(f->listening, 1);
    assert_int_equal(f->fake.accepted, 1);
}

static bool has_three_commands(void *context)
{
    return ((struct fixture *)context)->fake.commands >= 3;
}

static bool was_accepted_three_times(void *context)
{
    return ((struct fixture *)context)->fake.accepted >= 3;
}

static void pings_while_it_listens(void **state)
{
    struct fixture *f = *state;

    f->config.ping_ms = 5;
    f->fake.answers[0] = CONFIRMED;
    f->fake.answers[1] = PONG;
    f->fake.answers[2] = PONG;
    watch_fake(f);
    watcher_start(f->watcher);
    loop_until(&f->loop, has_three_commands, f);
    assert_string_equal(f->fake.last, "PING");
    assert_int_equal(f->fake.accepted, 1);
}

static bool has_two_commands(void *context)
{
    return ((struct fixture *)context)->fake.commands >= 2;
}

static void what_it_hears_takes_the_place_of_a_ping(void **state)
{
    struct fixture *f = *state;

    f->config.ping_ms = 1000;
    f->fake.answers[0] = CONFIRMED;
    watch_fake(f);
    watcher_start(f->watcher);
    loop_wait(&f->loop, never, f, 50);
    fake_server_say(&f->fake, MESSAGE(19, "1|free|i|v|1|1|0|me"));
    loop_until(&f->loop, has_event, f);
    uint64_t heard_ms = uv_now(&f->loop);
    loop_until(&f->loop, has_two_commands, f);
    uv_update_time(&f->loop);
    assert_true(uv_now(&f->loop) - heard_ms >= 1000);
    assert_string_equal(f->fake.last, "PING");
}

static void reconnects_when_a_ping_is_not_answered(void **state)
{
    struct fixture *f = *state;

    f->config.ping_ms = 5;
    f->config.timeout_ms = 50;
    f->fake.answers[0] = CONFIRMED;
    watch_fake(f);
    watcher_start(f->watcher);
    loop_until(&f->loop, was_accepted_three_times, f);
}

static void reconnects_when_the_server_is_mute(void **state)
{
    struct fixture *f = *state;

    f->config.timeout_ms = 20;
    watch_fake(f);
    watcher_start(f->watcher);
    loop_until(&f->loop, was_accepted_three_times, f);
}

static void reconnects_when_it_is_cut_off(void **state)
{
    struct fixture *f = *state;

    f->fake.answers[0] = "";
    watch_fake(f);
    watcher_start(f->watcher);
    loop_until(&f->loop, was_accepted_three_times, f);
}

static void backs_off(void **state)
{
    struct fixture *f = *state;

    f->fake.greeting = "-ERR max number of clients reached\r\n";
    watch_fake(f);
    watcher_start(f->watcher);
    loop_wait(&f->loop, never, f, 1000);
    /* at 0, 100, 300, 700 ms, or later where the machine is slow */
    assert_in_range(f->fake.accepted, 1, 4);
}

static void backs_off_from_a_server_that_confirms_and_hangs_up(void **state)
{
    struct fixture *f = *state;

    f->fake.answers[0] = CONFIRMED;
    f->fake.hangs_up = true;
    watch_fake(f);
    watcher_start(f->watcher);
    loop_wait(&f->loop, never, f, 1000);
    assert_in_range(f->fake.accepted, 1, 4);
    assert_in_range(f->listening, 1, 4);
}

static void stops_and_starts_again(void **state)
{
    struct fixture *f = *state;

    watch_fake(f);
    watcher_stop(f->watcher);
    watcher_start(f->watcher);
    watcher_stop(f->watcher);
    loop_wait(&f->loop, never, f, 20);
    assert_int_equal(f->fake.commands, 0);
    f->fake.answers[0] = CONFIRMED MESSAGE(19, "1|free|i|v|1|1|0|me");
    watcher_start(f->watcher);
    loop_until(&f->loop, has_event, f);
    watcher_stop(f->watcher);
    f->events = 0;
    loop_wait(&f->loop, never, f, 20);
    assert_int_equal(f->events, 0);
    watcher_free(NULL);
}

static void may_be_freed_by_what_it_tells(void **state)
{
    struct fixture *f = *state;

    f->free_on_event = true;
    f->fake.answers[0] =
        CONFIRMED MESSAGE(19, "1|free|i|v|1|1|0|me") MESSAGE(19, "1|free|i|v|1|1|0|me");
    watch_fake(f);
    watcher_start(f->watcher);
    loop_until(&f->loop, has_event, f);
    loop_wait(&f->loop, never, f, 20);
    assert_int_equal(f->events, 1);
}

/* Lets the watcher run with standard error in a file, and returns how often `word` is in there. */
static int count_in_log(struct fixture *f, const char *word, bool (*condition)(void *))
{
    char path[] = "/tmp/leaderwrap-test-XXXXXX";
    static char text[65536];
    int saved = dup(STDERR_FILENO);
    int fd = mkstemp(path);
    int count = 0;
    ssize_t length;

    assert_true(saved >= 0 && fd >= 0);
    unlink(path);
    dup2(fd, STDERR_FILENO);
    watcher_start(f->watcher);
    loop_until(&f->loop, condition, f);
    dup2(saved, STDERR_FILENO);
    close(saved);
    length = pread(fd, text, sizeof text - 1, 0);
    close(fd);
    assert_true(length >= 0);
    text[length] = '\0';
    for (const char *line = text; *line != '\0'; line += strcspn(line, "\n") + 1)
        assert_true(strcspn(line, "\n") < 250);
    for (const char *place = text; (place = strstr(place, word)) != NULL; place++)
        count++;
    return count;
}

static void complains_once_about_a_missing_right(void **state)
{
    struct fixture *f = *state;

    f->fake.answers[0] = "-NOPERM this user has no permissions to run the 'subscribe' command\r\n";
    watch_fake(f);
    assert_int_equal(count_in_log(f, "+subscribe", was_accepted_three_times), 1);
}

static void complains_once_about_a_missing_command(void **state)
{
    struct fixture *f = *state;

    f->fake.answers[0] =
        "-ERR unknown command 'SUBSCRIBE', with args beginning with: '{k}:events' \r\n";
    watch_fake(f);
    assert_int_equal(
        count_in_log(f, "no events, so a release is noticed later: ", was_accepted_three_times), 1);
}

static bool has_two_events(void *context)
{
    return ((struct fixture *)context)->events >= 2;
}

static void on_enough(uv_timer_t *timer)
{
    *(bool *)timer->data = true;
}

static bool is_true(void *context)
{
    return *(bool *)context;
}

/* A server without PING is listened to all the same, and not hung up on again and again. */
static void does_without_ping_where_it_is_refused(void **state)
{
    struct fixture *f = *state;
    uv_timer_t timer;
    bool enough = false;

    f->config.ping_ms = 1;
    f->fake.answers[0] = CONFIRMED MESSAGE(19, "1|free|i|v|1|1|0|me");
    f->fake.answers[1] = "-ERR unknown command 'PING', with args beginning with: \r\n";
    watch_fake(f);
    assert_int_equal(count_in_log(f, "cannot ping", has_two_events), 1);
    /* Time for a hundred pings. */
    uv_timer_init(&f->loop, &timer);
    timer.data = &enough;
    uv_timer_start(&timer, on_enough, 100, 0);
    loop_until(&f->loop, is_true, &enough);
    uv_close((uv_handle_t *)&timer, NULL);
    uv_run(&f->loop, UV_RUN_NOWAIT);
    assert_int_equal(f->fake.accepted, 2);
    assert_int_equal(f->fake.commands, 1);
}

static void is_silent_about_an_outage(void **state)
{
    struct fixture *f = *state;

    f->fake.answers[0] = "";
    watch_fake(f);
    assert_int_equal(count_in_log(f, "\n", was_accepted_three_times), 0);
}

/* ---- with a real server ---- */

static void on_store_open(void *context)
{
    ((struct fixture *)context)->store_open = true;
}

static void on_store_closed(void *context, enum lease_failure failure, const char *why)
{
    (void)context;
    (void)failure;
    fail_msg("%s", why);
}

static void on_store_reply(void *context, const struct lease_reply *answer)
{
    struct fixture *f = context;

    f->answers++;
    f->answer = *answer;
}

static bool store_is_open(void *context)
{
    return ((struct fixture *)context)->store_open;
}

static bool has_answer_and_event(void *context)
{
    struct fixture *f = context;

    return f->answers > 0 && f->events > 0;
}

static bool somebody_listens(void *context)
{
    (void)context;
    return strcmp(redis_server_ask(&server, "PUBSUB NUMSUB {job}:events"), "{job}:events 1") == 0;
}

static bool hears_a_test_message(void *context)
{
    struct fixture *f = context;

    if (f->events == 0)
        redis_server_ask(&server, "PUBLISH {job}:events %s", "1|free|i|v|1|1|0|test");
    return f->events > 0;
}

static void watch_real(struct fixture *f)
{
    if (!has_server)
        skip();
    f->target.url.is_unix = true;
    f->target.url.path = strdup(server.socket);
    assert_int_equal(watcher_new(&f->watcher, &f->config), 0);
    watcher_start(f->watcher);
    /* The loop must turn for the subscription to be made. */
    while (!somebody_listens(f))
        loop_wait(&f->loop, never, f, 2);
}

static void open_store(struct fixture *f)
{
    const struct store_config config = {
        .loop = &f->loop,
        .target = &f->store_target,
        .key = KEY,
        .id = "an|na#1",
        .name = "an|na",
        .ttl_ms = 10000,
        .callbacks = {.on_open = on_store_open,
                      .on_closed = on_store_closed,
                      .on_reply = on_store_reply},
        .context = f,
    };

    f->store_target.url.is_unix = true;
    f->store_target.url.path = strdup(server.socket);
    assert_int_equal(store_new(&f->store, &config), 0);
    store_open(f->store);
    loop_until(&f->loop, store_is_open, f);
}

/* Waits for the answer to a request and its event, and checks that both tell the same. */
static void await_event(struct fixture *f, enum lease_state state)
{
    loop_until(&f->loop, has_answer_and_event, f);
    assert_int_equal(f->answers, 1);
    assert_int_equal(f->events, 1);
    assert_int_equal(f->event.state, state);
    assert_int_equal(f->answer.record.state, state);
    assert_true(f->event.token == f->answer.record.token);
    assert_string_equal(f->event.incarnation, f->answer.record.incarnation);
    assert_string_equal(f->event.version, f->answer.record.version);
    assert_int_equal(f->event.ttl_ms, f->answer.record.ttl_ms);
    assert_string_equal(f->event.name, f->answer.record.name);
    f->answers = f->events = 0;
}

static void hears_what_the_scripts_do(void **state)
{
    struct fixture *f = *state;
    struct lease_request acquire = {.kind = LEASE_ACQUIRE, .number = 1, .nonce = "a1"};
    struct lease_request renew = {.kind = LEASE_RENEW, .number = 3, .nonce = "a3"};
    struct lease_request release = {.kind = LEASE_RELEASE, .number = 4, .nonce = "a4"};

    watch_real(f);
    redis_server_ask(&server, "FLUSHALL");
    open_store(f);
    store_send(f->store, &acquire);
    await_event(f, LEASE_VACANT);
    acquire = (struct lease_request){.kind = LEASE_ACQUIRE, .number = 2, .nonce = "a2"};
    memcpy(acquire.acquire.observed_incarnation, f->answer.record.incarnation,
           sizeof acquire.acquire.observed_incarnation);
    memcpy(acquire.acquire.observed_version, "a1", sizeof "a1");
    acquire.acquire.observed_ms = 15000;
    store_send(f->store, &acquire);
    await_event(f, LEASE_HELD);
    assert_int_equal(f->event.listeners, -1);
    assert_string_equal(f->event.name, "an|na");
    renew.renew.token = f->answer.record.token;
    store_send(f->store, &renew);
    await_event(f, LEASE_HELD);
    release.release.token = f->answer.record.token;
    release.release.reason = "stopped";
    memcpy(release.release.version, "a3", sizeof "a3");
    store_send(f->store, &release);
    await_event(f, LEASE_FREE);
    assert_int_equal(f->event.listeners, 1);
    acquire = (struct lease_request){.kind = LEASE_ACQUIRE, .number = 5, .nonce = "a5"};
    store_send(f->store, &acquire);
    await_event(f, LEASE_HELD);
    release = (struct lease_request){.kind = LEASE_RELEASE, .number = 6, .nonce = "a6"};
    release.release.token = f->answer.record.token;
    release.release.reason = "stopped";
    release.release.hold_ms = 60000;
    memcpy(release.release.version, "a5", sizeof "a5");
    store_send(f->store, &release);
    await_event(f, LEASE_CLOSED);
}

static bool server_counted_three_pings(void *context)
{
    (void)context;
    return strstr(redis_server_ask(&server, "INFO commandstats"), "cmdstat_ping:calls=3,") != NULL;
}

static void pings_a_real_server(void **state)
{
    struct fixture *f = *state;

    f->config.ping_ms = 20;
    watch_real(f);
    redis_server_ask(&server, "CONFIG RESETSTAT");
    loop_until(&f->loop, server_counted_three_pings, f);
    f->events = 0;
    loop_until(&f->loop, hears_a_test_message, f);
}

static void is_back_after_a_kill(void **state)
{
    struct fixture *f = *state;

    watch_real(f);
    redis_server_ask(&server, "CLIENT KILL TYPE pubsub");
    while (!somebody_listens(f))
        loop_wait(&f->loop, never, f, 5);
    loop_until(&f->loop, hears_a_test_message, f);
}

static void is_back_after_a_restart(void **state)
{
    struct fixture *f = *state;

    watch_real(f);
    redis_server_kill(&server);
    loop_wait(&f->loop, never, f, 20);
    redis_server_run(&server);
    while (!somebody_listens(f))
        loop_wait(&f->loop, never, f, 5);
    loop_until(&f->loop, hears_a_test_message, f);
}

static int start_server(void **state)
{
    (void)state;
    /* As the program does: a write to a peer that is gone is an error, no end. */
    signal(SIGPIPE, SIG_IGN);
    has_server = redis_server_is_installed();
    if (has_server)
        redis_server_start(&server);
    return 0;
}

static int stop_server(void **state)
{
    (void)state;
    if (has_server)
        redis_server_stop(&server);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_a_payload),
        cmocka_unit_test(refuses_other_payloads),
        cmocka_unit_test(random_payloads_never_crash),
        TEST(hears_messages_and_ignores_others),
        TEST(without_a_key_it_hears_of_all_leases_of_its_database),
        TEST(pings_while_it_listens),
        TEST(what_it_hears_takes_the_place_of_a_ping),
        TEST(reconnects_when_a_ping_is_not_answered),
        TEST(reconnects_when_the_server_is_mute),
        TEST(reconnects_when_it_is_cut_off),
        TEST(backs_off),
        TEST(backs_off_from_a_server_that_confirms_and_hangs_up),
        TEST(stops_and_starts_again),
        TEST(may_be_freed_by_what_it_tells),
        TEST(complains_once_about_a_missing_right),
        TEST(complains_once_about_a_missing_command),
        TEST(does_without_ping_where_it_is_refused),
        TEST(is_silent_about_an_outage),
        TEST(hears_what_the_scripts_do),
        TEST(pings_a_real_server),
        TEST(is_back_after_a_kill),
        TEST(is_back_after_a_restart),
    };

    return cmocka_run_group_tests_name("watcher", tests, start_server, stop_server);
}
