/* No memory: each allocation in turn fails, and what asked for it says so, crashes not and leaks
 * not (the leaks are for the sanitizer to find). */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "leaderwrap/keeper/keeper_link.h"
#include "leaderwrap/redis/store.h"
#include "leaderwrap/redis/url.h"
#include "leaderwrap/redis/watcher.h"
#include "redis/route.h"
#include "redis/witnesses.h"
#include "wrapper/environment.h"
#include "wrapper/options.h"

/* ---- the allocator, as leaderwrap's own objects see it (the linker's --wrap) ---- */

static long until_failure; /* allocations until the one that fails; 0: none does */
static bool failed;

static bool fails(void)
{
    if (until_failure == 0 || --until_failure > 0)
        return false;
    failed = true;
    return true;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t most);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t most);
int __wrap_asprintf(char **text, const char *format, ...) __attribute__((format(printf, 2, 3)));

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : __real_calloc(count, size);
}

char *__wrap_strdup(const char *text)
{
    return fails() ? NULL : __real_strdup(text);
}

char *__wrap_strndup(const char *text, size_t most)
{
    return fails() ? NULL : __real_strndup(text, most);
}

int __wrap_asprintf(char **text, const char *format, ...)
{
    va_list arguments;
    int length = -1;

    if (!fails()) {
        va_start(arguments, format);
        length = vasprintf(text, format, arguments);
        va_end(arguments);
    }
    return length;
}

/* Memory of the other side never runs out. */
#define malloc __real_malloc
#include "fake_sentinel.h"
#undef malloc
#include "loop_until.h"

/* Runs `attempt(context)` again and again, each time with a later allocation that fails, until none
 * is left to fail. It returns whether it was content, which it must be exactly then. Returns how
 * many allocations there were. */
static long with_each_failing(bool (*attempt)(void *), void *context)
{
    for (long count = 0;; count++) {
        until_failure = count + 1;
        failed = false;
        bool content = attempt(context);
        until_failure = 0;
        assert_true(content != failed);
        if (!failed)
            return count;
    }
}

/* ---- what is made at the start ---- */

static bool parse_url(void *context)
{
    struct redis_url url;
    char error[200] = "";
    int result = redis_url_parse(context, &url, error, sizeof error);

    if (result == 0)
        redis_url_clear(&url);
    else
        assert_non_null(strstr(error, "out of memory"));
    return result == 0;
}

static void test_url(void **state)
{
    (void)state;
    assert_true(with_each_failing(parse_url, (char *)"redis://me:secret@host:7000/3") >= 3);
    assert_true(with_each_failing(parse_url, (char *)"unix://me:secret@/run/s?db=3") >= 3);
}

/* `context` is a command line with a blank between its words. */
static bool parse_options(void *context)
{
    struct options options;
    char words[200];
    char error[200] = "";
    char *argv[16];
    int argc = 0;

    snprintf(words, sizeof words, "%s", (const char *)context);
    for (char *word = strtok(words, " "); word != NULL; word = strtok(NULL, " "))
        argv[argc++] = word;
    argv[argc] = NULL;
    int result = options_parse(&options, argc, argv, error, sizeof error);
    options_clear(&options);
    if (result != 0)
        assert_non_null(strstr(error, "out of memory"));
    return result == 0;
}

static void check_options(const char *line)
{
    assert_true(with_each_failing(parse_options, (void *)(uintptr_t)line) >= 3);
}

static void test_options(void **state)
{
    (void)state;
    assert_int_equal(setenv("LEADERWRAP_PASSWORD", "secret", 1), 0);
    check_options("leaderwrap");
    check_options("leaderwrap -- true");
    check_options("leaderwrap --key k --name n --password-file /etc/passwd -- true");
    unsetenv("LEADERWRAP_PASSWORD");
    assert_int_equal(setenv("LEADERWRAP_SENTINEL_PASSWORD", "secret", 1), 0);
    check_options("leaderwrap --redis redis+sentinel://u:p@a,b/lab/1 --sentinel-user s -- true");
    check_options("leaderwrap --redis redis://a --redis redis://b --sentinel lab -- true");
    unsetenv("LEADERWRAP_SENTINEL_PASSWORD");
}

static bool build_environment(void *context)
{
    char **environment = environment_build(context, "n#0123456789abcdef");

    if (environment != NULL)
        environment_free(environment);
    return environment != NULL;
}

static void test_environment(void **state)
{
    struct options options = {.key = (char *)"k", .name = (char *)"n", .timing.ttl_ms = 15000};

    (void)state;
    assert_true(with_each_failing(build_environment, &options) >= 5);
}

static void test_keeper_link(void **state)
{
    const struct keeper_link_callbacks callbacks = {.on_message = NULL};
    struct keeper_link *link;
    int ends[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
    until_failure = 1;
    assert_int_equal(
        keeper_link_open(&link, uv_default_loop(), ends[0], getpid(), 1000, &callbacks, NULL),
        -ENOMEM);
    until_failure = 0;
    /* The caller's still. */
    assert_int_equal(close(ends[0]), 0);
    assert_int_equal(close(ends[1]), 0);
}

/* ---- the connections ---- */

struct client {
    uv_loop_t loop;
    struct fake_server fake;
    struct redis_target target;
    struct store *store;
    bool sent;
    bool closed;
    bool answered;
};

static void on_open(void *context)
{
    struct client *client = context;
    const struct lease_request acquire = {.kind = LEASE_ACQUIRE, .number = 1, .nonce = "n1"};

    client->sent = true;
    store_send(client->store, &acquire);
}

static void on_closed(void *context, enum lease_failure failure, const char *why)
{
    struct client *client = context;

    (void)failure;
    assert_true(why[0] != '\0');
    client->closed = true;
}

static void on_reply(void *context, const struct lease_reply *reply)
{
    struct client *client = context;

    assert_int_equal(reply->verdict, LEASE_FAILED);
    client->answered = true;
}

static bool is_over(void *context)
{
    const struct client *client = context;

    return client->closed || client->answered || (client->sent && failed);
}

/* One request over a connection of its own; content if it was answered. */
static bool ask(void *context)
{
    struct client *client = context;
    const struct store_config config = {
        .loop = &client->loop,
        .target = &client->target,
        .key = "k",
        .id = "n#0123456789abcdef",
        .name = "n",
        .ttl_ms = 15000,
        .callbacks = {.on_open = on_open, .on_closed = on_closed, .on_reply = on_reply},
        .context = client,
    };

    client->sent = client->closed = client->answered = false;
    if (store_new(&client->store, &config) != 0)
        return false;
    store_open(client->store);
    loop_until(&client->loop, is_over, client);
    store_free(client->store);
    return client->answered;
}

static void on_event(void *context, const struct lease_event *event)
{
    (void)context;
    (void)event;
}

static bool make_watcher(void *context)
{
    struct client *client = context;
    const struct watcher_config config = {
        .loop = &client->loop,
        .target = &client->target,
        .key = "k",
        .ping_ms = 5000,
        .timeout_ms = 1000,
        .on_event = on_event,
        .context = client,
    };
    struct watcher *watcher;
    int result = watcher_new(&watcher, &config);

    if (result == 0)
        watcher_free(watcher);
    return result == 0;
}

static void check_connections(const char *password_file)
{
    struct client client = {0};
    char text[64];
    char error[64];

    assert_int_equal(uv_loop_init(&client.loop), 0);
    fake_server_start(&client.fake, &client.loop);
    for (int i = 0; i < FAKE_ANSWERS_MAX; i++)
        client.fake.answers[i] = "-ERR refused\r\n";
    client.fake.answers[0] = password_file != NULL ? "+OK\r\n" : client.fake.answers[1];
    snprintf(text, sizeof text, "redis://127.0.0.1:%d", client.fake.port);
    assert_int_equal(redis_url_parse(text, &client.target.url, error, sizeof error), 0);
    if (password_file != NULL)
        assert_non_null(client.target.password_file = strdup(password_file));

    assert_true(with_each_failing(ask, &client) >= 5);
    assert_true(with_each_failing(make_watcher, &client) >= 2);

    fake_server_stop(&client.fake);
    loop_end(&client.loop);
    redis_target_clear(&client.target);
}

static void test_connections(void **state)
{
    (void)state;
    check_connections(NULL);
}

static void test_connections_with_a_password(void **state)
{
    char path[] = "/tmp/leaderwrap-memory-XXXXXX";
    int file = mkstemp(path);

    (void)state;
    assert_true(file >= 0);
    assert_int_equal(write(file, "secret\n", 7), 7);
    close(file);
    check_connections(path);
    unlink(path);
}

/* ---- sentinels: whoever is out of memory for one of them asks another, or again ---- */

struct crowd {
    uv_loop_t loop;
    struct fake_sentinel sentinels[2];
    struct redis_target target;
    int ready;
    int votes;
};

static void on_route_ready(void *context)
{
    ((struct crowd *)context)->ready++;
}

static bool is_ready(void *context)
{
    return ((struct crowd *)context)->ready > 0;
}

static bool find_master(void *context)
{
    struct crowd *crowd = context;
    const struct route_config config = {.loop = &crowd->loop,
                                        .target = &crowd->target,
                                        .on_ready = on_route_ready,
                                        .context = crowd};
    struct route *route;
    struct route_hop hop;
    struct route_problem problem;

    crowd->ready = 0;
    if (route_new(&route, &config) != 0)
        return false;
    route_begin(route);
    assert_int_equal(route_next(route, &hop, &problem), ROUTE_WAITS);
    loop_until(&crowd->loop, is_ready, crowd);
    bool found = route_next(route, &hop, &problem) == ROUTE_HOP;
    route_free(route);
    return found;
}

static void on_vote(void *context, const struct lease_vote *vote)
{
    assert_true(vote->witness < vote->electorate);
    ((struct crowd *)context)->votes++;
}

static bool have_voted(void *context)
{
    return ((struct crowd *)context)->votes >= 2;
}

static bool hear_votes(void *context)
{
    struct crowd *crowd = context;
    const struct witnesses_config config = {.loop = &crowd->loop,
                                            .target = &crowd->target,
                                            .timeout_ms = 300,
                                            .on_vote = on_vote,
                                            .context = crowd};
    struct witnesses *witnesses;
    bool voted = false;

    crowd->votes = 0;
    if (witnesses_new(&witnesses, &config) != 0)
        return false;
    witnesses_start(witnesses);
    witnesses_poll(witnesses, 1);
    /* What is lost is not always asked for again before there is another poll. */
    for (int i = 0; !voted && i < (failed ? 1 : 300); i++)
        voted = loop_wait(&crowd->loop, have_voted, crowd, 100);
    witnesses_free(witnesses);
    return voted;
}

/* Tries again and again, each time with a later allocation that fails: that may be mended, but
 * where none failed all must be well. */
static void survive_each_failing(bool (*attempt)(void *), struct crowd *crowd, long least)
{
    long count = 0;

    do {
        until_failure = ++count;
        failed = false;
        bool content = attempt(crowd);
        assert_true(content || failed);
    } while (failed);
    until_failure = 0;
    assert_true(count > least);
}

static void test_sentinels(void **state)
{
    struct crowd crowd = {0};
    char text[128], error[300];

    (void)state;
    assert_int_equal(uv_loop_init(&crowd.loop), 0);
    for (int i = 0; i < 2; i++)
        fake_sentinel_start(&crowd.sentinels[i], &crowd.loop, (char)('1' + i));
    crowd.sentinels[0].peers[0] = &crowd.sentinels[1];
    crowd.sentinels[1].peers[0] = &crowd.sentinels[0];
    snprintf(text, sizeof text, "redis+sentinel://127.0.0.1:%d/lab",
             crowd.sentinels[0].server.port);
    assert_int_equal(redis_target_add(&crowd.target, text, error, sizeof error), 0);
    survive_each_failing(find_master, &crowd, 8);
    survive_each_failing(hear_votes, &crowd, 16);
    for (int i = 0; i < 2; i++)
        fake_server_stop(&crowd.sentinels[i].server);
    loop_end(&crowd.loop);
    redis_target_clear(&crowd.target);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_url),         cmocka_unit_test(test_options),
        cmocka_unit_test(test_environment), cmocka_unit_test(test_keeper_link),
        cmocka_unit_test(test_connections), cmocka_unit_test(test_connections_with_a_password),
        cmocka_unit_test(test_sentinels),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
