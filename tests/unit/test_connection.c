/* One connection against servers of every sort: good, hostile, absent. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "fake_server.h"
#include "leaderwrap/redis/connection.h"
#include "loop_until.h"

struct fixture {
    uv_loop_t loop;
    struct fake_server fake;
    struct redis_target target;
    struct connection *connection;
    int64_t timeout_ms;
    const char *client_name;
    bool wants_messages;
    int opened;
    int closed;
    enum lease_failure failure;
    char why[1024];
    int replies;
    int dropped; /* requests without an answer */
    char reply[256];
    int messages;
    /* what to do inside a callback */
    bool ping_on_open;
    bool close_on_reply;
    bool free_on_reply;
    bool free_on_closed;
    bool free_on_open;
    bool reopen_on_reply;
    int reopens_on_closed;
};

static void on_reply(void *context, const redisReply *reply)
{
    struct fixture *f = context;

    if (reply == NULL) {
        f->dropped++;
        return;
    }
    f->replies++;
    snprintf(f->reply, sizeof f->reply, "%d %s", reply->type, reply->str != NULL ? reply->str : "");
    if (f->close_on_reply)
        connection_close(f->connection);
    if (f->reopen_on_reply)
        connection_open(f->connection);
    if (f->free_on_reply) {
        connection_free(f->connection);
        f->connection = NULL;
    }
}

static int ping(struct fixture *f)
{
    static const char *const argv[] = {"PING"};
    static const size_t lengths[] = {4};

    return connection_send(f->connection, 1, argv, lengths, on_reply, f);
}

static void on_open(void *context)
{
    struct fixture *f = context;

    f->opened++;
    assert_true(connection_is_open(f->connection));
    if (f->ping_on_open)
        assert_int_equal(ping(f), 0);
    if (f->free_on_open) {
        connection_free(f->connection);
        f->connection = NULL;
    }
}

static void on_closed(void *context, enum lease_failure failure, const char *why)
{
    struct fixture *f = context;

    f->closed++;
    f->failure = failure;
    snprintf(f->why, sizeof f->why, "%s", why);
    assert_false(connection_is_open(f->connection));
    if (f->free_on_closed) {
        connection_free(f->connection);
        f->connection = NULL;
    } else if (f->reopens_on_closed > 0) {
        f->reopens_on_closed--;
        connection_open(f->connection);
    }
}

static void on_message(void *context, const redisReply *message)
{
    struct fixture *f = context;

    assert_int_equal(message->type, REDIS_REPLY_ARRAY);
    f->messages++;
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    assert_int_equal(uv_loop_init(&f->loop), 0);
    fake_server_start(&f->fake, &f->loop);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    connection_free(f->connection);
    fake_server_stop(&f->fake);
    loop_end(&f->loop);
    redis_target_clear(&f->target);
    free(f);
    return 0;
}

static void make(struct fixture *f, const char *address)
{
    struct connection_config config = {
        .loop = &f->loop,
        .target = &f->target,
        .timeout_ms = f->timeout_ms,
        .client_name = f->client_name,
        .callbacks = {.on_open = on_open, .on_closed = on_closed},
        .context = f,
    };
    char error[256];

    if (f->wants_messages)
        config.callbacks.on_message = on_message;
    if (redis_url_parse(address, &f->target.url, error, sizeof error) != 0)
        fail_msg("%s: %s", address, error);
    assert_int_equal(connection_new(&f->connection, &config), 0);
}

/* `format` with the fake server's port in it. */
static void make_fake(struct fixture *f, const char *format)
{
    char address[128];

    snprintf(address, sizeof address, format, f->fake.port);
    make(f, address);
}

static bool is_open(void *context)
{
    return ((struct fixture *)context)->opened > 0;
}

static bool is_closed(void *context)
{
    return ((struct fixture *)context)->closed > 0;
}

static bool has_reply(void *context)
{
    return ((struct fixture *)context)->replies > 0;
}

static bool never(void *context)
{
    (void)context;
    return false;
}

static void assert_why(const struct fixture *f, enum lease_failure failure, const char *part)
{
    if (strstr(f->why, part) == NULL)
        fail_msg("\"%s\" lacks \"%s\"", f->why, part);
    assert_int_equal(f->failure, failure);
    assert_int_equal(f->closed, 1);
}

/* Opens, sends a PING, and waits for the end of the connection. */
static void expect_end(struct fixture *f, enum lease_failure failure, const char *part)
{
    f->ping_on_open = true;
    make_fake(f, "redis://127.0.0.1:%d");
    connection_open(f->connection);
    loop_until(&f->loop, is_closed, f);
    assert_why(f, failure, part);
}

/* ---- the normal course ---- */

static void sends_and_receives(void **state)
{
    struct fixture *f = *state;

    f->fake.answers[0] = "+PONG\r\n";
    make_fake(f, "redis://127.0.0.1:%d");
    assert_int_equal(ping(f), -ENOTCONN);
    connection_open(f->connection);
    assert_int_equal(f->opened, 0);
    loop_until(&f->loop, is_open, f);
    assert_int_equal(ping(f), 0);
    loop_until(&f->loop, has_reply, f);
    assert_string_equal(f->reply, "5 PONG");
    assert_int_equal(f->closed, 0);
}

static bool has_heard_two(void *context)
{
    const struct fixture *f = context;
    return f->fake.commands == 2;
}

static void nothing_is_sent_before_the_handshake_is_answered(void **state)
{
    struct fixture *f = *state;

    f->ping_on_open = true;
    f->fake.answers[2] = "+PONG\r\n";
    make_fake(f, "redis://me:secret@127.0.0.1:%d/3");
    connection_open(f->connection);
    loop_until(&f->loop, has_heard_two, f);
    assert_string_equal(f->fake.last, "SELECT 3");
    fake_server_say(&f->fake, "+OK\r\n");
    assert_false(loop_wait(&f->loop, is_open, f, 20));
    assert_int_equal(ping(f), -ENOTCONN);
    assert_int_equal(f->fake.commands, 2);
    fake_server_say(&f->fake, "+OK\r\n");
    loop_until(&f->loop, has_reply, f);
    assert_int_equal(f->fake.commands, 3);
    assert_int_equal(f->opened, 1);
    assert_int_equal(f->replies, 1);
    assert_string_equal(f->reply, "5 PONG");
}

/* Whatever else the handshake brings, the one behind it has to be answered as well. */
static void a_refused_part_of_the_handshake_lets_nothing_run(void **state)
{
    struct fixture *f = *state;

    f->ping_on_open = true;
    f->fake.answers[0] = "+OK\r\n";
    f->fake.answers[1] = "-ERR DB index is out of range\r\n";
    make_fake(f, "redis://me:secret@127.0.0.1:%d/99");
    connection_open(f->connection);
    loop_until(&f->loop, is_closed, f);
    loop_wait(&f->loop, never, f, 20);
    assert_int_equal(f->fake.commands, 2);
    assert_int_equal(f->opened, 0);
}

static void authenticates_without_a_user_name(void **state)
{
    struct fixture *f = *state;

    f->fake.answers[0] = "+OK\r\n";
    make_fake(f, "redis://:p%%20w@127.0.0.1:%d");
    connection_open(f->connection);
    loop_until(&f->loop, is_open, f);
    assert_string_equal(f->fake.last, "AUTH p w");
}

static void answers_are_in_order_when_they_come_in_bytes(void **state)
{
    struct fixture *f = *state;
    const char *reply = "$5\r\nhello\r\n";

    make_fake(f, "redis://127.0.0.1:%d");
    connection_open(f->connection);
    loop_until(&f->loop, is_open, f);
    assert_int_equal(ping(f), 0);
    for (; *reply != '\0'; reply++) {
        while (f->fake.client == NULL)
            uv_run(&f->loop, UV_RUN_ONCE);
        assert_int_equal(f->replies, 0);
        fake_server_say_bytes(&f->fake, reply, 1);
        loop_wait(&f->loop, has_reply, f, 2);
    }
    loop_until(&f->loop, has_reply, f);
    assert_string_equal(f->reply, "1 hello");
}

#define MANY 400

static bool all_commands_came(void *context)
{
    struct fixture *f = context;

    return f->fake.commands >= MANY || f->closed > 0;
}

static void keeps_the_order_when_the_socket_is_full(void **state)
{
    struct fixture *f = *state;
    static char text[20000];
    const char *argv[] = {"ECHO", text};
    const size_t lengths[] = {4, sizeof text};

    memset(text, 'x', sizeof text);
    make_fake(f, "redis://127.0.0.1:%d");
    /* Where the machine does not let us run for five seconds the kernel gives the full socket up,
     * as it was told to; then again. */
    do {
        f->opened = f->closed = f->fake.commands = 0;
        connection_open(f->connection);
        loop_until(&f->loop, is_open, f);
        for (int i = 0; i < MANY; i++)
            connection_send(f->connection, 2, argv, lengths, on_reply, f);
        loop_until(&f->loop, all_commands_came, f);
    } while (f->closed > 0 && strstr(f->why, "timed out") != NULL);
    assert_int_equal(f->closed, 0);
    assert_int_equal(f->fake.commands, MANY);
}

/* ---- hostile and broken servers ---- */

static void unsolicited_reply_closes(void **state)
{
    struct fixture *f = *state;

    f->fake.greeting = "+HELLO\r\n";
    make_fake(f, "redis://127.0.0.1:%d");
    connection_open(f->connection);
    loop_until(&f->loop, is_closed, f);
    assert_why(f, LEASE_FAILURE_TRANSIENT, "nobody had asked for");
}

static void unsolicited_error_is_the_reason(void **state)
{
    struct fixture *f = *state;

    f->fake.greeting = "-ERR max number of clients reached\r\n";
    make_fake(f, "redis://127.0.0.1:%d");
    connection_open(f->connection);
    loop_until(&f->loop, is_closed, f);
    assert_why(f, LEASE_FAILURE_TRANSIENT, "max number of clients reached");
}

static void one_reply_too_many_closes(void **state)
{
    struct fixture *f = *state;

    f->fake.answers[0] = "+PONG\r\n+PONG\r\n";
    expect_end(f, LEASE_FAILURE_TRANSIENT, "nobody had asked for");
    assert_int_equal(f->replies, 1);
}

static void huge_bulk_closes_before_it_fills_the_memory(void **state)
{
    struct fixture *f = *state;
    static char block[65536];
    int sent = 0;

    memset(block, 'x', sizeof block);
    f->fake.answers[0] = "$536870911\r\n";
    f->ping_on_open = true;
    make_fake(f, "redis://127.0.0.1:%d");
    connection_open(f->connection);
    loop_until(&f->loop, is_open, f);
    while (f->closed == 0 && sent < 200) {
        uv_run(&f->loop, UV_RUN_ONCE);
        if (f->fake.client != NULL && f->fake.commands > 0 &&
            uv_stream_get_write_queue_size((uv_stream_t *)f->fake.client) == 0) {
            fake_server_say_bytes(&f->fake, block, sizeof block);
            sent++;
        }
    }
    assert_why(f, LEASE_FAILURE_TRANSIENT, "larger than any that was asked for");
    assert_true(sent < 100);
    assert_int_equal(f->replies, 0);
}

static void huge_array_closes(void **state)
{
    struct fixture *f = *state;

    f->fake.answers[0] = "*2147483647\r\n";
    expect_end(f, LEASE_FAILURE_TRANSIENT, "larger than any");
}

static void an_array_that_is_too_large_closes(void **state)
{
    struct fixture *f = *state;

    f->fake.answers[0] = "*131073\r\n";
    expect_end(f, LEASE_FAILURE_TRANSIENT, "larger than any");
}

static void impossible_lengths_close(void **state)
{
    struct fixture *f = *state;

    f->fake.answers[0] = "*9223372036854775807\r\n";
    expect_end(f, LEASE_FAILURE_TRANSIENT, "");
    assert_int_equal(f->replies, 0);
}

static void negative_bulk_closes(void **state)
{
    struct fixture *f = *state;

    f->fake.answers[0] = "$-2\r\n";
    expect_end(f, LEASE_FAILURE_TRANSIENT, "redis at 127.0.0.1:");
    assert_int_equal(f->replies, 0);
}

static void deep_nesting_closes(void **state)
{
    struct fixture *f = *state;

    f->fake.answers[0] = "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n";
    expect_end(f, LEASE_FAILURE_TRANSIENT, "larger than any");
}

static void other_types_close(void **state)
{
    struct fixture *f = *state;

    f->fake.answers[0] = "%2147483647\r\n";
    expect_end(f, LEASE_FAILURE_TRANSIENT, "redis at 127.0.0.1:");
    assert_int_equal(f->replies, 0);
}

static void http_closes(void **state)
{
    struct fixture *f = *state;

    f->fake.answers[0] = "HTTP/1.1 400 Bad Request\r\n\r\n";
    expect_end(f, LEASE_FAILURE_TRANSIENT,
               ": that is no Redis: it says \"HTTP/1.1 400 Bad Request\"");
}

/* As far as it is fit to be seen: this is TLS. */
static void what_is_no_redis_is_shown(void **state)
{
    struct fixture *f = *state;

    f->fake.greeting = "\x15\x03\x01 0123456789012345678901234567890123456789";
    expect_end(f, LEASE_FAILURE_TRANSIENT,
               ": that is no Redis: it says \"... 012345678901234567890123456\"");
}

static void nonsense_behind_an_answer_is_a_protocol_error(void **state)
{
    struct fixture *f = *state;

    f->fake.answers[0] = "+OK\r\nHTTP/1.1 400 Bad Request\r\n";
    expect_end(f, LEASE_FAILURE_TRANSIENT, "Protocol error, got \"H\"");
    assert_int_equal(f->replies, 1);
}

static void close_in_the_middle_of_a_reply(void **state)
{
    struct fixture *f = *state;

    f->fake.answers[0] = "*3\r\n$5\r\nhel";
    f->ping_on_open = true;
    make_fake(f, "redis://127.0.0.1:%d");
    connection_open(f->connection);
    while (f->fake.commands == 0)
        uv_run(&f->loop, UV_RUN_ONCE);
    loop_wait(&f->loop, never, f, 20);
    fake_server_hang_up(&f->fake);
    loop_until(&f->loop, is_closed, f);
    assert_why(f, LEASE_FAILURE_TRANSIENT, "the server closed it");
    assert_int_equal(f->replies, 0);
}

static void close_instead_of_a_reply(void **state)
{
    struct fixture *f = *state;

    f->fake.answers[0] = "";
    expect_end(f, LEASE_FAILURE_TRANSIENT, "lost the connection to redis at 127.0.0.1:");
    assert_int_equal(f->replies, 0);
}

static bool has_two_commands(void *context)
{
    return ((struct fixture *)context)->fake.commands == 2;
}

/* However the connection ends: each request is heard of once, and whoever has it can let it go. */
static void requests_without_an_answer_are_told_so(void **state)
{
    struct fixture *f = *state;

    make_fake(f, "redis://127.0.0.1:%d");
    for (int end = 0; end < 4; end++) {
        f->opened = f->closed = f->dropped = f->fake.commands = 0;
        connection_open(f->connection);
        loop_until(&f->loop, is_open, f);
        assert_int_equal(ping(f), 0);
        assert_int_equal(ping(f), 0);
        loop_until(&f->loop, has_two_commands, f);
        if (end == 0)
            connection_close(f->connection);
        else if (end == 1)
            connection_open(f->connection);
        else if (end == 2)
            fake_server_hang_up(&f->fake);
        else
            connection_free(f->connection);
        if (end == 2)
            loop_until(&f->loop, is_closed, f);
        assert_int_equal(f->dropped, 2);
    }
    f->connection = NULL;
    assert_int_equal(f->replies, 0);
}

static void random_bytes_never_crash(void **state)
{
    static const char alphabet[] = "*$+-:%~>0123456789\r\n\r\n\r\nabc-1";
    struct fixture *f = *state;
    unsigned seed = 7;

    f->reopens_on_closed = 1000000;
    f->ping_on_open = true;
    make_fake(f, "redis://127.0.0.1:%d");
    connection_open(f->connection);
    for (int round = 0; round < 300; round++) {
        char noise[64];

        while (f->fake.client == NULL)
            uv_run(&f->loop, UV_RUN_ONCE);
        for (size_t i = 0; i < sizeof noise; i++)
            noise[i] = alphabet[(size_t)rand_r(&seed) % (sizeof alphabet - 1)];
        fake_server_say_bytes(&f->fake, noise, sizeof noise);
        f->closed = 0;
        if (!loop_wait(&f->loop, is_closed, f, 5))
            connection_open(f->connection);
    }
    f->reopens_on_closed = 0;
}

/* ---- refusals ---- */

static void wrong_password_is_configuration(void **state)
{
    struct fixture *f = *state;

    f->ping_on_open = true;
    f->fake.answers[0] = "-WRONGPASS invalid username-password pair or user is disabled.\r\n";
    make_fake(f, "redis://me:s3cr3t@127.0.0.1:%d");
    connection_open(f->connection);
    loop_until(&f->loop, is_closed, f);
    assert_why(f, LEASE_FAILURE_CONFIGURATION, "refused the password: WRONGPASS");
    assert_null(strstr(f->why, "s3cr3t"));
    assert_int_equal(f->opened, 0);
    assert_int_equal(f->fake.commands, 1);
}

static void full_server_is_no_password_trouble(void **state)
{
    struct fixture *f = *state;

    f->fake.greeting = "-ERR max number of clients reached\r\n";
    make_fake(f, "redis://me:s3cr3t@127.0.0.1:%d");
    connection_open(f->connection);
    loop_until(&f->loop, is_closed, f);
    assert_why(f, LEASE_FAILURE_TRANSIENT, "refused the connection: ERR max number of clients");
}

/* It is no answer to the request that was on its way. */
static void full_server_refuses_the_connection_and_no_request(void **state)
{
    struct fixture *f = *state;

    f->fake.answers[0] = "-ERR max number of clients reached\r\n";
    f->fake.hangs_up = true;
    expect_end(f, LEASE_FAILURE_TRANSIENT,
               "refused the connection: ERR max number of clients reached; raise maxclients");
    assert_int_equal(f->replies, 0);
}

/* Connects to somebody who says something and has hung up before the request is sent. */
static void expect_end_behind(struct fixture *f, const char *said, const char *why)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char name[] = "/tmp/leaderwrap-test-XXXXXX", url[128];
    int listener = socket(AF_UNIX, SOCK_STREAM, 0), client;

    assert_non_null(mkdtemp(name));
    snprintf(address.sun_path, sizeof address.sun_path, "%s/s", name);
    snprintf(url, sizeof url, "unix://%s", address.sun_path);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listener, 1), 0);
    f->ping_on_open = true;
    make(f, url);
    /* The kernel connects at once; the loop hears of it when all is over. */
    connection_open(f->connection);
    client = accept(listener, NULL, NULL);
    assert_true(client >= 0);
    assert_int_equal(write(client, said, strlen(said)), strlen(said));
    close(client);
    loop_until(&f->loop, is_closed, f);
    assert_why(f, LEASE_FAILURE_TRANSIENT, why);
    assert_int_equal(f->opened, 1);
    assert_int_equal(f->replies, 0);
    assert_int_equal(f->dropped, 1);
    close(listener);
    unlink(address.sun_path);
    rmdir(name);
}

/* What was said counts, not the broken pipe. */
static void who_hung_up_before_the_request_has_said_why(void **state)
{
    expect_end_behind(*state, "-ERR max number of clients reached\r\n",
                      "refused the connection: ERR max number of clients");
}

static void what_was_said_before_a_request_does_not_answer_it(void **state)
{
    expect_end_behind(*state, "+PONG\r\n", "lost the connection to redis at /tmp/");
}

static void wrong_database_is_configuration(void **state)
{
    struct fixture *f = *state;

    f->fake.answers[0] = "-ERR DB index is out of range\r\n";
    make_fake(f, "redis://127.0.0.1:%d/99");
    connection_open(f->connection);
    loop_until(&f->loop, is_closed, f);
    assert_why(f, LEASE_FAILURE_CONFIGURATION, "refused the database: ERR DB index");
}

static void strange_answer_to_auth_closes(void **state)
{
    struct fixture *f = *state;

    f->fake.answers[0] = ":1\r\n";
    make_fake(f, "redis://:x@127.0.0.1:%d");
    connection_open(f->connection);
    loop_until(&f->loop, is_closed, f);
    assert_why(f, LEASE_FAILURE_TRANSIENT, "something else than OK");
}

/* ---- the password file ---- */

static void write_file(char path[64], const char *text, size_t length)
{
    static const char pattern[] = "/tmp/leaderwrap-test-XXXXXX";
    int fd;

    memcpy(path, pattern, sizeof pattern);
    fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, length), (ssize_t)length);
    close(fd);
}

static void password_file_is_read_at_each_connect(void **state)
{
    struct fixture *f = *state;
    char path[64];
    FILE *file;

    write_file(path, "first\r\nsecond line\n", 19);
    f->target.password_file = strdup(path);
    f->fake.answers[0] = "+OK\r\n";
    make_fake(f, "redis://:unused@127.0.0.1:%d");
    connection_open(f->connection);
    while (f->fake.commands < 1)
        uv_run(&f->loop, UV_RUN_ONCE);
    assert_string_equal(f->fake.last, "AUTH first");
    file = fopen(path, "w");
    fputs("rotated", file);
    fclose(file);
    connection_open(f->connection);
    while (f->fake.accepted < 2 || f->fake.commands < 1)
        uv_run(&f->loop, UV_RUN_ONCE);
    assert_string_equal(f->fake.last, "AUTH rotated");
    unlink(path);
}

static void expect_bad_password_file(struct fixture *f, const char *path, const char *part)
{
    f->target.password_file = strdup(path);
    make_fake(f, "redis://127.0.0.1:%d");
    connection_open(f->connection);
    loop_until(&f->loop, is_closed, f);
    assert_int_equal(f->opened, 0);
    assert_why(f, LEASE_FAILURE_CONFIGURATION, part);
    assert_non_null(strstr(f->why, path));
}

static void missing_password_file_is_configuration(void **state)
{
    expect_bad_password_file(*state, "/nonexistent/password", "No such file");
}

static void directory_as_password_file_is_configuration(void **state)
{
    expect_bad_password_file(*state, "/tmp", "directory");
}

static void empty_password_file_is_configuration(void **state)
{
    char path[64];

    write_file(path, "\nsecond\n", 8);
    expect_bad_password_file(*state, path, "empty");
    unlink(path);
}

static void endless_password_file_is_configuration(void **state)
{
    char path[64];
    static char text[100000];

    memset(text, 'x', sizeof text);
    write_file(path, text, sizeof text);
    expect_bad_password_file(*state, path, "64 KiB");
    unlink(path);
}

static void binary_password_file_is_configuration(void **state)
{
    char path[64];

    write_file(path, "a\0b\n", 4);
    expect_bad_password_file(*state, path, "no text file");
    unlink(path);
}

static void pipe_as_password_file_does_not_block(void **state)
{
    char path[64];

    write_file(path, "", 0);
    unlink(path);
    assert_int_equal(mkfifo(path, 0600), 0);
    expect_bad_password_file(*state, path, "empty");
    unlink(path);
}

/* ---- addresses ---- */

static void refused_connection_names_the_address(void **state)
{
    struct fixture *f = *state;
    int port = f->fake.port;
    char part[64];

    make_fake(f, "redis://127.0.0.1:%d");
    uv_close((uv_handle_t *)&f->fake.listener, NULL);
    uv_run(&f->loop, UV_RUN_NOWAIT);
    connection_open(f->connection);
    assert_int_equal(f->closed, 0);
    loop_until(&f->loop, is_closed, f);
    snprintf(part, sizeof part, "cannot connect to redis at 127.0.0.1:%d: ", port);
    assert_why(f, LEASE_FAILURE_TRANSIENT, part);
    assert_non_null(strstr(f->why, "refused"));
}

static void refused_name_is_told_with_its_address(void **state)
{
    struct fixture *f = *state;

    make_fake(f, "redis://localhost:%d");
    uv_close((uv_handle_t *)&f->fake.listener, NULL);
    uv_run(&f->loop, UV_RUN_NOWAIT);
    connection_open(f->connection);
    loop_until(&f->loop, is_closed, f);
    assert_why(f, LEASE_FAILURE_TRANSIENT, "cannot connect to redis at localhost:");
    assert_true(strstr(f->why, " (127.0.0.1): ") != NULL || strstr(f->why, " (::1): ") != NULL);
}

static void write_to_a_peer_that_is_gone(void **state)
{
    struct fixture *f = *state;

    make_fake(f, "redis://127.0.0.1:%d");
    connection_open(f->connection);
    while (f->opened == 0 || f->fake.client == NULL)
        uv_run(&f->loop, UV_RUN_ONCE);
    fake_server_hang_up(&f->fake);
    /* The first is answered by a reset, the second finds it. */
    assert_int_equal(ping(f), 0);
    assert_int_equal(ping(f), 0);
    assert_int_equal(f->closed, 0);
    assert_false(connection_is_open(f->connection));
    assert_int_equal(ping(f), -ENOTCONN);
    loop_until(&f->loop, is_closed, f);
    assert_why(f, LEASE_FAILURE_TRANSIENT, "lost the connection to redis at 127.0.0.1:");
    assert_int_equal(f->replies, 0);
}

static void names_are_looked_up_and_all_addresses_tried(void **state)
{
    struct fixture *f = *state;

    /* localhost may be ::1 as well, where nobody listens. */
    f->fake.answers[0] = "+PONG\r\n";
    make_fake(f, "redis://localhost:%d");
    for (int i = 1; i <= 4; i++) {
        connection_open(f->connection);
        while (f->opened < i && f->closed == 0)
            uv_run(&f->loop, UV_RUN_ONCE);
        assert_int_equal(f->closed, 0);
    }
}

static void unknown_name_is_transient(void **state)
{
    struct fixture *f = *state;

    /* A name that cannot exist (RFC 6761), and where there is no resolver fails all the same. */
    make(f, "redis://no-such-host.invalid");
    connection_open(f->connection);
    loop_until(&f->loop, is_closed, f);
    assert_why(f, LEASE_FAILURE_TRANSIENT,
               "cannot find the address of redis at no-such-host.invalid:6379: ");
}

static void look_up_in_flight_is_shared_and_survives_a_close(void **state)
{
    struct fixture *f = *state;

    make_fake(f, "redis://localhost:%d");
    connection_open(f->connection);
    connection_open(f->connection);
    connection_close(f->connection);
    connection_open(f->connection);
    loop_until(&f->loop, is_open, f);
    assert_int_equal(f->opened, 1);
    assert_int_equal(f->closed, 0);
}

static void free_with_a_look_up_in_flight(void **state)
{
    struct fixture *f = *state;

    make_fake(f, "redis://localhost:%d");
    connection_open(f->connection);
    connection_free(f->connection);
    f->connection = NULL;
    loop_wait(&f->loop, never, f, 20);
    assert_int_equal(f->opened + f->closed, 0);
}

static void unix_socket_path_too_long(void **state)
{
    struct fixture *f = *state;
    char address[300] = "unix:///tmp/";

    memset(address + strlen(address), 'x', 150);
    make(f, address);
    connection_open(f->connection);
    assert_int_equal(f->closed, 0);
    loop_until(&f->loop, is_closed, f);
    assert_why(f, LEASE_FAILURE_CONFIGURATION, "too long");
}

static void unix_socket_missing(void **state)
{
    struct fixture *f = *state;

    make(f, "unix:///nonexistent/redis.sock");
    connection_open(f->connection);
    loop_until(&f->loop, is_closed, f);
    assert_why(f, LEASE_FAILURE_TRANSIENT, "cannot connect to redis at /nonexistent/redis.sock: ");
}

/* ---- a name for people ---- */

/* Opens one with a name, to which the server answers, and asks something. */
static void ask_under_a_name(struct fixture *f, const char *answer)
{
    f->client_name = "leaderwrap:db1";
    f->ping_on_open = true;
    f->fake.answers[0] = answer;
    f->fake.answers[1] = "+PONG\r\n";
    make_fake(f, "redis://127.0.0.1:%d");
    connection_open(f->connection);
    loop_until(&f->loop, has_reply, f);
    assert_string_equal(f->reply, "5 PONG");
    assert_int_equal(f->fake.commands, 2);
}

static void a_name_is_told_in_front_of_the_first_request(void **state)
{
    struct fixture *f = *state;

    ask_under_a_name(f, "+OK\r\n");
    connection_open(f->connection);
    f->replies = 0;
    loop_until(&f->loop, has_reply, f);
    assert_int_equal(f->fake.commands, 2);
}

static void a_name_that_is_refused_is_told_once(void **state)
{
    struct fixture *f = *state;

    ask_under_a_name(f, "-NOPERM this user has no permissions to run 'client|setname'\r\n");
    f->fake.answers[0] = "+PONG\r\n";
    f->replies = 0;
    connection_open(f->connection);
    loop_until(&f->loop, has_reply, f);
    assert_string_equal(f->fake.last, "PING");
    assert_int_equal(f->fake.commands, 1);
    assert_int_equal(f->closed, 0);
}

/* ---- being closed and freed at every moment ---- */

static void close_while_connecting_is_silent(void **state)
{
    struct fixture *f = *state;

    make_fake(f, "redis://127.0.0.1:%d");
    connection_open(f->connection);
    connection_close(f->connection);
    loop_wait(&f->loop, never, f, 20);
    assert_int_equal(f->opened + f->closed, 0);
}

static void close_after_a_failed_open_is_silent(void **state)
{
    struct fixture *f = *state;
    char address[300] = "unix:///tmp/";

    memset(address + strlen(address), 'x', 150);
    make(f, address);
    connection_open(f->connection);
    connection_close(f->connection);
    loop_wait(&f->loop, never, f, 20);
    assert_int_equal(f->closed, 0);
}

static void close_in_a_reply_drops_the_rest(void **state)
{
    struct fixture *f = *state;

    f->close_on_reply = true;
    make_fake(f, "redis://127.0.0.1:%d");
    connection_open(f->connection);
    loop_until(&f->loop, is_open, f);
    ping(f);
    ping(f);
    while (f->fake.commands < 2)
        uv_run(&f->loop, UV_RUN_ONCE);
    fake_server_say(&f->fake, "+PONG\r\n+PONG\r\n");
    loop_until(&f->loop, has_reply, f);
    loop_wait(&f->loop, never, f, 20);
    assert_int_equal(f->replies, 1);
    assert_int_equal(f->closed, 0);
}

static void free_in_a_reply(void **state)
{
    struct fixture *f = *state;

    f->free_on_reply = true;
    f->ping_on_open = true;
    f->fake.answers[0] = "+PONG\r\n+PONG\r\n";
    make_fake(f, "redis://127.0.0.1:%d");
    connection_open(f->connection);
    loop_until(&f->loop, has_reply, f);
    loop_wait(&f->loop, never, f, 20);
    assert_int_equal(f->closed, 0);
}

static void free_in_on_open(void **state)
{
    struct fixture *f = *state;

    f->free_on_open = true;
    f->ping_on_open = true;
    f->fake.answers[0] = "+OK\r\n+OK\r\n";
    make_fake(f, "redis://:x@127.0.0.1:%d");
    connection_open(f->connection);
    loop_until(&f->loop, is_open, f);
    loop_wait(&f->loop, never, f, 20);
    assert_int_equal(f->closed, 0);
}

static void free_in_on_closed(void **state)
{
    struct fixture *f = *state;

    f->free_on_closed = true;
    f->fake.answers[0] = "+PONG\r\n+PONG\r\n";
    f->ping_on_open = true;
    make_fake(f, "redis://127.0.0.1:%d");
    connection_open(f->connection);
    loop_until(&f->loop, is_closed, f);
    loop_wait(&f->loop, never, f, 20);
    assert_int_equal(f->closed, 1);
}

static void reopen_in_on_closed(void **state)
{
    struct fixture *f = *state;

    f->reopens_on_closed = 3;
    f->fake.greeting = "+x\r\n";
    make_fake(f, "redis://127.0.0.1:%d");
    connection_open(f->connection);
    while (f->closed < 4)
        uv_run(&f->loop, UV_RUN_ONCE);
    assert_int_equal(f->opened, 4);
    assert_int_equal(f->fake.accepted, 4);
}

static void reopen_drops_what_was_pending(void **state)
{
    struct fixture *f = *state;

    make_fake(f, "redis://127.0.0.1:%d");
    connection_open(f->connection);
    loop_until(&f->loop, is_open, f);
    ping(f);
    while (f->fake.commands < 1)
        uv_run(&f->loop, UV_RUN_ONCE);
    connection_open(f->connection);
    fake_server_say(&f->fake, "+LATE\r\n");
    while (f->opened < 2)
        uv_run(&f->loop, UV_RUN_ONCE);
    loop_wait(&f->loop, never, f, 20);
    assert_int_equal(f->replies, 0);
    assert_int_equal(f->closed, 0);
}

static void reopen_in_a_reply(void **state)
{
    struct fixture *f = *state;

    f->reopen_on_reply = true;
    f->fake.answers[0] = "+PONG\r\n+LEFT\r\n";
    make_fake(f, "redis://127.0.0.1:%d");
    connection_open(f->connection);
    loop_until(&f->loop, is_open, f);
    ping(f);
    while (f->opened < 2)
        uv_run(&f->loop, UV_RUN_ONCE);
    assert_int_equal(f->replies, 1);
    assert_int_equal(f->closed, 0);
}

static void free_of_nothing(void **state)
{
    (void)state;
    connection_free(NULL);
}

/* ---- messages ---- */

static bool has_messages(void *context)
{
    return ((struct fixture *)context)->messages == 3;
}

static void messages_need_no_request(void **state)
{
    struct fixture *f = *state;

    f->wants_messages = true;
    f->fake.greeting = "*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n"
                       "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$2\r\nhi\r\n"
                       "*2\r\n$4\r\npong\r\n$0\r\n\r\n";
    make_fake(f, "redis://127.0.0.1:%d");
    connection_open(f->connection);
    loop_until(&f->loop, has_messages, f);
    assert_int_equal(f->closed, 0);
}

static void messages_are_strays_where_none_are_expected(void **state)
{
    struct fixture *f = *state;

    f->fake.greeting = "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$2\r\nhi\r\n";
    make_fake(f, "redis://127.0.0.1:%d");
    connection_open(f->connection);
    loop_until(&f->loop, is_closed, f);
    assert_why(f, LEASE_FAILURE_TRANSIENT, "nobody had asked for");
}

static void array_without_a_kind_is_no_message(void **state)
{
    struct fixture *f = *state;

    f->wants_messages = true;
    f->fake.greeting = "*1\r\n:7\r\n";
    make_fake(f, "redis://127.0.0.1:%d");
    connection_open(f->connection);
    loop_until(&f->loop, is_closed, f);
    assert_int_equal(f->messages, 0);
}

/* ---- the socket itself ---- */

static void socket_is_close_on_exec(void **state)
{
    struct fixture *f = *state;
    int sockets = 0;

    make_fake(f, "redis://127.0.0.1:%d");
    connection_open(f->connection);
    loop_until(&f->loop, is_open, f);
    for (int fd = 3; fd < 256; fd++) {
        struct sockaddr_in peer = {0};
        socklen_t size = sizeof peer;

        if (getpeername(fd, (struct sockaddr *)&peer, &size) != 0 || peer.sin_family != AF_INET)
            continue;
        sockets++;
        assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    }
    assert_true(sockets > 0);
}

/* A slow peer is not to be given up by the kernel before it is by us. */
static void the_kernel_is_as_patient_as_its_owner(void **state)
{
    static const struct {
        int64_t timeout_ms;
        unsigned patience_ms;
    } rows[] = {{0, 5000}, {500, 5000}, {10000, 20000}, {INT64_MAX, 3600000}};
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int found = 0;

        connection_free(f->connection);
        redis_target_clear(&f->target);
        f->timeout_ms = rows[i].timeout_ms;
        f->opened = 0;
        make_fake(f, "redis://127.0.0.1:%d");
        connection_open(f->connection);
        loop_until(&f->loop, is_open, f);
        for (int fd = 3; fd < 256; fd++) {
            unsigned patience_ms = 0;
            socklen_t size = sizeof patience_ms;

            if (getsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &patience_ms, &size) == 0)
                found += patience_ms == rows[i].patience_ms;
        }
        assert_int_equal(found, 1);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(sends_and_receives),
        TEST(nothing_is_sent_before_the_handshake_is_answered),
        TEST(a_refused_part_of_the_handshake_lets_nothing_run),
        TEST(authenticates_without_a_user_name),
        TEST(answers_are_in_order_when_they_come_in_bytes),
        TEST(keeps_the_order_when_the_socket_is_full),
        TEST(unsolicited_reply_closes),
        TEST(unsolicited_error_is_the_reason),
        TEST(one_reply_too_many_closes),
        TEST(huge_bulk_closes_before_it_fills_the_memory),
        TEST(huge_array_closes),
        TEST(an_array_that_is_too_large_closes),
        TEST(impossible_lengths_close),
        TEST(negative_bulk_closes),
        TEST(deep_nesting_closes),
        TEST(other_types_close),
        TEST(http_closes),
        TEST(what_is_no_redis_is_shown),
        TEST(nonsense_behind_an_answer_is_a_protocol_error),
        TEST(close_in_the_middle_of_a_reply),
        TEST(close_instead_of_a_reply),
        TEST(requests_without_an_answer_are_told_so),
        TEST(random_bytes_never_crash),
        TEST(wrong_password_is_configuration),
        TEST(full_server_is_no_password_trouble),
        TEST(full_server_refuses_the_connection_and_no_request),
        TEST(who_hung_up_before_the_request_has_said_why),
        TEST(what_was_said_before_a_request_does_not_answer_it),
        TEST(wrong_database_is_configuration),
        TEST(strange_answer_to_auth_closes),
        TEST(password_file_is_read_at_each_connect),
        TEST(missing_password_file_is_configuration),
        TEST(directory_as_password_file_is_configuration),
        TEST(empty_password_file_is_configuration),
        TEST(endless_password_file_is_configuration),
        TEST(binary_password_file_is_configuration),
        TEST(pipe_as_password_file_does_not_block),
        TEST(refused_connection_names_the_address),
        TEST(refused_name_is_told_with_its_address),
        TEST(write_to_a_peer_that_is_gone),
        TEST(names_are_looked_up_and_all_addresses_tried),
        TEST(unknown_name_is_transient),
        TEST(look_up_in_flight_is_shared_and_survives_a_close),
        TEST(free_with_a_look_up_in_flight),
        TEST(unix_socket_path_too_long),
        TEST(unix_socket_missing),
        TEST(a_name_is_told_in_front_of_the_first_request),
        TEST(a_name_that_is_refused_is_told_once),
        TEST(close_while_connecting_is_silent),
        TEST(close_after_a_failed_open_is_silent),
        TEST(close_in_a_reply_drops_the_rest),
        TEST(free_in_a_reply),
        TEST(free_in_on_open),
        TEST(free_in_on_closed),
        TEST(reopen_in_on_closed),
        TEST(reopen_drops_what_was_pending),
        TEST(reopen_in_a_reply),
        cmocka_unit_test(free_of_nothing),
        TEST(messages_need_no_request),
        TEST(messages_are_strays_where_none_are_expected),
        TEST(array_without_a_kind_is_no_message),
        TEST(socket_is_close_on_exec),
        TEST(the_kernel_is_as_patient_as_its_owner),
    };

    /* As the program does: a write to a peer that is gone is an error, no end. */
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests_name("connection", tests, NULL, NULL);
}
