/*
 * A hostile server against everything that listens to one: transport, connection, store, watcher
 * and the election behind them, all of it the program's own code, on a stand-in for libuv with
 * virtual time (fake_uv.h). The target plays the supervisor, the keeper and the server; the input
 * is what the server and the world do, step by step.
 *
 * Oracle:
 *  - START and EXTEND are only ever the consequence of an answer that a second, strict reader of
 *    the bytes (answers.h) finds at the place of the request in flight, with deadlines counted from
 *    that request's send; START only with no tree alive and a token above all earlier ones; RELEASE
 *    only with no tree alive.
 *  - Each request ends in exactly one of a reply, a lost connection and a time-out that is kept.
 *  - Memory stays bounded whatever is sent; nothing spins; at the end every handle is given back.
 */
#include "fuzz.h"

#include <inttypes.h>
#include <sanitizer/allocator_interface.h>
#include <stdarg.h>

#include "answers.h"
#include "fake_uv.h"
#include "leaderwrap/base/clock.h"
#include "leaderwrap/base/log.h"
#include "leaderwrap/election/election.h"
#include "leaderwrap/redis/store.h"
#include "leaderwrap/redis/watcher.h"
#include "transcript.h"

#define KEY      "fuzz"
#define ID       "fuzz#0123456789abcdef"
#define IDENT    "0123456789012345678901234567890123456789"
#define START_NS (1000 * 1000 * NS_PER_MS)

/* 64 elements three times over are the most that a reply may have; hiredis takes some 64 bytes for
 * each, the address sanitizer as much again. */
#define MEMORY_MOST ((size_t)64 << 20)

#define SPINS_MOST 64

static struct {
    uv_loop_t loop;
    int64_t now_ns;
    struct redis_target target;
    struct election election;
    struct store *store;
    struct watcher *watcher;
    bool done;
    bool watching;

    unsigned stream; /* of the store */
    bool opening;
    bool open;
    struct transcript said;

    struct {
        bool pending;
        enum lease_request_kind kind;
        bool claim;
        uint64_t number;
        uint64_t token;
        int64_t sent_ns;
        char nonce[LEASE_NONCE_SIZE];
    } asked; /* the last request */

    bool tree_alive;
    uint32_t run;
    uint64_t token;
    int64_t kill_at_ns;
    size_t memory;
} world;

void __wrap_log_line(enum log_level level, const char *event, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

void __wrap_log_line(enum log_level level, const char *event, const char *format, ...)
{
    char line[1024];
    va_list arguments;

    ORACLE(level <= LOG_LEVEL_DEBUG && event[0] != '\0');
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    ORACLE(line[0] != '\0');
}

/* ---- the record of what was said ---- */

static void on_written(unsigned serial, const char *data, size_t length)
{
    if (serial == world.stream)
        side_append(&world.said.sent, data, length);
}

static void before_read(unsigned serial, const uint8_t *data, size_t length)
{
    if (serial == world.stream)
        side_append(&world.said.heard, data, length);
}

/* ---- the supervisor ---- */

static void step(enum election_event_kind kind, struct election_event event);

static void check_deadlines(const struct election_run *run)
{
    struct deadlines due = timing_deadlines(&world.election.config.timing, world.asked.sent_ns);

    ORACLE(memcmp(&due, &run->deadlines, sizeof due) == 0);
    ORACLE(world.now_ns < due.stop_at_ns);
}

static void begin(const struct election_run *run)
{
    bool claim = world.asked.kind == LEASE_RENEW && world.asked.claim;

    ORACLE(!world.tree_alive && run->token > world.token && world.open);
    ORACLE(claim || world.asked.kind == LEASE_ACQUIRE);
    ORACLE(strcmp(run->version, world.asked.nonce) == 0);
    ORACLE(was_answered(&world.said, ID, world.asked.nonce, claim ? "RENEWED" : "GRANTED",
                        run->token));
    check_deadlines(run);
    world.tree_alive = true;
    world.token = run->token;
    world.run = run->number;
    world.kill_at_ns = run->deadlines.kill_at_ns;
}

static void extend(const struct election_run *run)
{
    ORACLE(world.tree_alive && run->number == world.run && world.open);
    ORACLE(world.asked.kind == LEASE_RENEW && !world.asked.claim &&
           world.asked.token == world.token);
    ORACLE(was_answered(&world.said, ID, world.asked.nonce, "RENEWED", world.token));
    check_deadlines(run);
    ORACLE(run->deadlines.kill_at_ns >= world.kill_at_ns);
    world.kill_at_ns = run->deadlines.kill_at_ns;
}

static void note_request(const struct lease_request *request)
{
    const int64_t timeout_ns = world.election.config.timing.request_timeout_ms * NS_PER_MS;
    /* Who runs out of time does not wait for so long, but for a moment at least. */
    bool in_a_hurry = world.election.state == ELECTION_LEADING ||
                      world.election.state == ELECTION_STOPPING ||
                      world.election.state == ELECTION_RELEASING;
    const int64_t moment_ns = 100 * NS_PER_MS;
    const int64_t least_ns = in_a_hurry && timeout_ns > moment_ns ? moment_ns : timeout_ns;

    /* Behind one that got no answer in time, on the same connection, another one may be sent. */
    ORACLE(world.open);
    ORACLE(!world.asked.pending || world.now_ns >= world.asked.sent_ns + least_ns);
    world.asked.pending = true;
    world.asked.kind = request->kind;
    world.asked.claim = request->kind == LEASE_RENEW && request->renew.claim;
    world.asked.number = request->number;
    world.asked.token = request->kind == LEASE_RENEW ? request->renew.token : 0;
    world.asked.sent_ns = world.now_ns;
    memcpy(world.asked.nonce, request->nonce, sizeof world.asked.nonce);
}

static void send_request(const struct election_send *send)
{
    struct lease_request request = send->request;

    ORACLE(request.kind != LEASE_RELEASE || !world.tree_alive);
    if (request.kind == LEASE_RELEASE)
        request.release.reason = "fuzz";
    note_request(&request);
    store_send(world.store, &request);
}

static void open_store(void)
{
    world.asked.pending = false;
    world.open = false;
    world.opening = true;
    world.said.sent.length = 0;
    world.said.heard.length = 0;
    store_open(world.store);
    world.stream = fake_uv_stream(0);
    ORACLE(world.stream != 0);
}

static void perform(const struct election_action *action)
{
    switch (action->kind) {
    case ACTION_OPEN:
        open_store();
        break;
    case ACTION_SEND:
        send_request(&action->send);
        break;
    case ACTION_WATCH:
        world.watching = true;
        watcher_start(world.watcher);
        break;
    case ACTION_UNWATCH:
        world.watching = false;
        watcher_stop(world.watcher);
        break;
    case ACTION_START:
        begin(&action->run);
        break;
    case ACTION_EXTEND:
        extend(&action->run);
        break;
    case ACTION_EXIT:
        world.done = true;
        break;
    case ACTION_STOP_TREE:
    case ACTION_KILL_TREE:
    case ACTION_ABANDON_KEEPER:
    case ACTION_TELL:
        break;
    }
}

static void step(enum election_event_kind kind, struct election_event event)
{
    struct election_actions actions;

    event.kind = kind;
    event.now_ns = world.now_ns;
    election_step(&world.election, &event, &actions);
    for (size_t i = 0; i < actions.count; i++)
        perform(&actions.list[i]);
}

static void on_open(void *context)
{
    ORACLE(context == &world && world.opening && !world.open);
    world.opening = false;
    world.open = true;
    step(EVENT_OPENED, (struct election_event){0});
}

static void on_closed(void *context, enum lease_failure failure, const char *why)
{
    ORACLE(context == &world && (world.opening || world.open));
    ORACLE(failure != LEASE_FAILURE_NONE && why[0] != '\0');
    world.opening = false;
    world.open = false;
    world.asked.pending = false;
    step(EVENT_CLOSED, (struct election_event){.failure = failure});
}

static void on_reply(void *context, const struct lease_reply *reply)
{
    ORACLE(context == &world && world.open);
    ORACLE(reply->request <= world.asked.number);
    ORACLE(world.asked.pending || reply->request < world.asked.number);
    ORACLE(memchr(reply->text, '\0', sizeof reply->text) != NULL);
    ORACLE(memchr(reply->warning, '\0', sizeof reply->warning) != NULL);
    if (reply->request == world.asked.number)
        world.asked.pending = false;
    step(EVENT_REPLY, (struct election_event){.reply = reply});
}

static void on_listening(void *context)
{
    ORACLE(context == &world && world.watching);
    step(EVENT_LISTENING, (struct election_event){0});
}

static void on_event(void *context, const struct lease_event *push)
{
    ORACLE(context == &world && world.watching);
    step(EVENT_PUSH, (struct election_event){.push = push});
}

/* ---- time ---- */

/* Does all that is due now; the election's wake must bring it forward. */
static void settle(void)
{
    const struct timing *timing = &world.election.config.timing;

    for (int spins = 0;; spins++) {
        ORACLE(spins < SPINS_MOST);
        fake_uv_run();
        if (world.done || election_wake_at_ns(&world.election) > world.now_ns)
            break;
        step(EVENT_TICK, (struct election_event){0});
    }
    if (world.done)
        return;
    /* What is not answered in time is not waited for any more, though an answer may come yet. */
    ORACLE(world.election.session.pending.kind == REQUEST_NONE ||
           world.now_ns < world.asked.sent_ns + timing->request_timeout_ms * NS_PER_MS);
    ORACLE(!world.watching || fake_uv_wake_ms() != INT64_MAX);
    ORACLE(__sanitizer_get_current_allocated_bytes() <
           world.memory + world.said.sent.size + world.said.heard.size + MEMORY_MOST);
}

static int64_t next_wake_ns(void)
{
    int64_t uv_ms = fake_uv_wake_ms();
    int64_t uv_ns = uv_ms == INT64_MAX ? INT64_MAX : uv_ms * NS_PER_MS;
    int64_t wake_ns = election_wake_at_ns(&world.election);

    return wake_ns < uv_ns ? wake_ns : uv_ns;
}

static void advance(int64_t until_ns)
{
    while (!world.done && world.now_ns < until_ns) {
        int64_t wake_ns = next_wake_ns();

        world.now_ns = wake_ns < until_ns && wake_ns > world.now_ns ? wake_ns : until_ns;
        fake_uv_set_time(world.now_ns / NS_PER_MS);
        settle();
    }
}

/* ---- the server ---- */

static unsigned watcher_stream(void)
{
    unsigned latest = fake_uv_stream(0);

    return latest != world.stream ? latest : fake_uv_stream(1);
}

static void say(unsigned serial, const void *bytes, size_t length, size_t piece)
{
    fake_uv_feed(serial, bytes, length, piece > 0 ? piece : SIZE_MAX, before_read);
}

static void say_raw(struct input *input, unsigned serial)
{
    size_t piece = take_byte(input);
    size_t length = take_short(input);
    const uint8_t *bytes = take_bytes(input, &length);

    if (length > 0)
        say(serial, bytes, length, piece);
}

/* An answer as the scripts give it, with a detail or two of the input's choice. */
static void say_answer(struct input *input)
{
    static const char *const verdicts[] = {"GRANTED", "REFUSED",  "RENEWED",
                                           "LOST",    "RELEASED", "NOT_HELD"};
    static const char *const states[] = {"held", "free", "hold", "vacant", ""};
    static const char *const befores[] = {"held", "vacant", "hold", ""};
    static const char *const ids[] = {ID, "other#0", "", ID};
    char token[24];
    char text[1024];
    size_t used = 0;
    uint8_t kind = take_byte(input);
    uint8_t detail = take_byte(input);
    uint8_t twist = take_byte(input);

    const char *before = kind >= 30 ? befores[(kind / 30) % 4] : kind % 6 == 0 ? "free" : "";

    snprintf(token, sizeof token, "%" PRIu64, world.token + (detail >> 4) % 4);
    const char *words[ANSWER_FIELDS] = {verdicts[kind % 6],
                                        states[(kind / 6) % 5],
                                        ids[detail % 4],
                                        "name",
                                        token,
                                        (detail & 8) != 0 ? "0" : world.asked.nonce,
                                        IDENT,
                                        "15000",
                                        (detail & 4) != 0 ? "20000" : "0",
                                        "0",
                                        (detail & 0x80) != 0 ? "foreign" : "",
                                        "",
                                        before,
                                        "0123abcd",
                                        "0",
                                        (detail & 0xC0) == 0xC0 ? "paused 0 op@adm why" : ""};
    used += (size_t)sprintf(text, "*%d\r\n", ANSWER_FIELDS);
    for (int i = 0; i < ANSWER_FIELDS; i++)
        used += (size_t)sprintf(text + used, "$%zu\r\n%s\r\n", strlen(words[i]), words[i]);
    if (twist != 0)
        text[take_short(input) % used] ^= (char)twist;
    say(world.stream, text, used, 0);
}

static void say_canned(struct input *input)
{
    static const char *const texts[] = {
        "+OK\r\n",
        "-NOSCRIPT No matching script.\r\n",
        "-ERR Error compiling script (new function): user_script:1: unexpected symbol\r\n",
        "-LOADING Redis is loading the dataset in memory\r\n",
        "-READONLY You can't write against a read only replica.\r\n",
        "-NOPERM User default has no permissions to run the 'info' command\r\n",
        "-WRONGPASS invalid username-password pair or user is disabled.\r\n",
        "-NOAUTH Authentication required.\r\n",
        "-\r\n",
        ":1\r\n",
        "$-1\r\n",
        "*-1\r\n",
        "*0\r\n",
        ">2\r\n+a\r\n+b\r\n",
        "%1\r\n+a\r\n+b\r\n",
        "_\r\n",
        "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nx\r\n",
    };
    const char *text = texts[take_byte(input) % (sizeof texts / sizeof texts[0])];

    say(world.stream, text, strlen(text), 0);
}

static void say_event(struct input *input)
{
    static const char subscribed[] = "*3\r\n$9\r\nsubscribe\r\n$13\r\n{fuzz}:events\r\n:1\r\n";
    static const char pong[] = "*2\r\n$4\r\npong\r\n$0\r\n\r\n";
    static const char *const states[] = {"free", "held", "hold", "vacant"};
    char payload[256];
    char text[512];
    uint8_t kind = take_byte(input);

    if (kind % 6 == 4) {
        say(watcher_stream(), subscribed, strlen(subscribed), 0);
    } else if (kind % 6 == 5) {
        say(watcher_stream(), pong, strlen(pong), 0);
    } else {
        snprintf(payload, sizeof payload, "1|%s|" IDENT "|%d|%" PRIu64 "|15000|%d|name",
                 states[kind % 6], take_byte(input), world.token, (int)take_byte(input) - 1);
        snprintf(text, sizeof text, "*3\r\n$7\r\nmessage\r\n$13\r\n{fuzz}:events\r\n$%zu\r\n%s\r\n",
                 strlen(payload), payload);
        say(watcher_stream(), text, strlen(text), 0);
    }
}

/* A great deal of something small. */
static void say_much(struct input *input, unsigned serial)
{
    static const char *const pieces[] = {"*64\r\n",          ":1\r\n",       "*0\r\n", "$-1\r\n",
                                         "0123456789abcdef", "$1000000\r\n", "*1\r\n"};
    const char *piece = pieces[take_byte(input) % (sizeof pieces / sizeof pieces[0])];
    size_t length = strlen(piece);
    size_t size = length * 256;
    uint8_t *text = malloc(size);

    if (text == NULL)
        abort();
    for (size_t i = 0; i < size; i += length)
        memcpy(text + i, piece, length);
    for (unsigned count = take_byte(input); count > 0; count--) {
        if (fake_uv_feed(serial, text, size, SIZE_MAX, before_read) < size)
            break;
    }
    free(text);
}

/* ---- the world ---- */

static void happen(struct input *input)
{
    static const enum election_event_kind kinds[] = {EVENT_CHILD_EXIT,  EVENT_TREE_DEAD,
                                                     EVENT_NOT_STARTED, EVENT_TREE_STUCK,
                                                     EVENT_KEEPER_LOST, EVENT_STOP};
    enum election_event_kind kind = kinds[take_byte(input) % 6];
    uint32_t run = world.run + take_byte(input) % 2;

    if (kind == EVENT_TREE_DEAD && run == world.run)
        world.tree_alive = false;
    step(kind, (struct election_event){.run = run});
}

static void act(struct input *input)
{
    static const int errors[] = {UV_EOF, UV_ECONNRESET, UV_ETIMEDOUT};

    switch (take_byte(input) % 14) {
    case 0:
        say_raw(input, world.stream);
        break;
    case 1:
        say_raw(input, watcher_stream());
        break;
    case 2:
        fake_uv_connect(world.stream, 0);
        break;
    case 3:
        fake_uv_connect(watcher_stream(), 0);
        break;
    case 4:
        fake_uv_connect(take_byte(input) % 2 ? world.stream : watcher_stream(), UV_ECONNREFUSED);
        break;
    case 5:
        advance(world.now_ns + take_short(input) * NS_PER_MS);
        break;
    case 6:
        if (election_wake_at_ns(&world.election) != INT64_MAX)
            advance(election_wake_at_ns(&world.election));
        break;
    case 7:
        fake_uv_end(take_byte(input) % 2 ? watcher_stream() : world.stream,
                    errors[take_byte(input) % 3]);
        break;
    case 8:
        fake_uv_set_write((enum fake_write)(take_byte(input) % 4));
        break;
    case 9:
        happen(input);
        break;
    case 10:
        say_answer(input);
        break;
    case 11:
        say_canned(input);
        break;
    case 12:
        say_event(input);
        break;
    case 13:
        say_much(input, take_byte(input) % 2 ? watcher_stream() : world.stream);
        break;
    }
    settle();
}

/* ---- life ---- */

static void set_up_election(uint8_t choices)
{
    const struct timing_request request = timing_request_of(15000);
    struct election_config config = {
        .server_clock = (choices & 1) != 0,
        .exit_on_lost = (choices & 2) != 0,
        .no_release = (choices & 4) != 0,
        .id = ID,
        .seed = 1,
    };
    char error[256];

    ORACLE(timing_derive(&request, &config.timing, error, sizeof error) == 0);
    election_init(&world.election, &config, world.now_ns);
}

static void set_up(uint8_t choices)
{
    static const struct fake_uv_hooks hooks = {.on_written = on_written};
    char error[256];
    const char *url = (choices & 8) != 0    ? "unix://user:password@/redis.sock?db=3"
                      : (choices & 16) != 0 ? "unix:///redis.sock?db=3"
                                            : "unix:///redis.sock";
    const struct store_config store = {
        .loop = &world.loop,
        .target = &world.target,
        .key = KEY,
        .id = ID,
        .name = "fuzz",
        .ttl_ms = 15000,
        .server_clock = (choices & 1) != 0,
        .assume_fresh = (choices & 32) != 0,
        .callbacks = {.on_open = on_open, .on_closed = on_closed, .on_reply = on_reply},
        .context = &world,
    };
    const struct watcher_config watcher = {
        .loop = &world.loop,
        .target = &world.target,
        .key = KEY,
        .ping_ms = 5000,
        .timeout_ms = 2000,
        .on_listening = on_listening,
        .on_event = on_event,
        .context = &world,
    };

    memset(&world, 0, sizeof world);
    world.now_ns = START_NS;
    world.memory = __sanitizer_get_current_allocated_bytes();
    fake_uv_reset(START_NS / NS_PER_MS, &hooks);
    ORACLE(redis_url_parse(url, &world.target.url, error, sizeof error) == 0);
    ORACLE(store_new(&world.store, &store) == 0);
    ORACLE(watcher_new(&world.watcher, &watcher) == 0);
    set_up_election(choices);
}

static void tear_down(void)
{
    watcher_free(world.watcher);
    store_free(world.store);
    fake_uv_run();
    ORACLE(fake_uv_handles() == 0);
    redis_target_clear(&world.target);
    free(world.said.sent.bytes);
    free(world.said.heard.bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {.at = data, .left = size};

    set_up(take_byte(&input));
    step(EVENT_TICK, (struct election_event){0});
    settle();
    while (input.left > 0 && !world.done)
        act(&input);
    tear_down();
    return 0;
}
