/*
 * The TLS filter (redis/openssl_*.c) against whatever may come from a server, in whatever pieces.
 * The first byte says who that is:
 *
 * - somebody: the bytes of the input. Nobody is believed who never had a key.
 * - the right server, whose every so many bytes are changed on the way, after which the input says.
 *   What is read is a prefix of what it wrote; where nothing was changed, all of it.
 * - a server with the certificate of another authority, or for another name: is never believed.
 *
 * And always: a filter that has failed says why, in a phrase that can be shown, and stays so.
 */
#include "fuzz.h"
#include "unit/tls_peer.h"

#include "redis/openssl.h"

#define HOST       "redis.example"
#define PIECE_MOST 700 /* bytes */
#define ROUNDS     60
#define TEXT_SIZE  600

enum peer {
    PEER_SOMEBODY,
    PEER_RIGHT,
    PEER_OTHER_AUTHORITY,
    PEER_OTHER_NAME,
    PEERS
};

static struct {
    bool made;
    struct tls_identity authority, right, other_authority, other, other_name;
} world;

static void make_world(void)
{
    long year = 365 * TLS_PEER_DAY;

    world.authority = tls_peer_identity("authority", NULL, NULL, -TLS_PEER_DAY, year);
    world.right = tls_peer_identity("redis", "DNS:" HOST, &world.authority, -TLS_PEER_DAY, year);
    world.other_authority = tls_peer_identity("authority", NULL, NULL, -TLS_PEER_DAY, year);
    world.other =
        tls_peer_identity("redis", "DNS:" HOST, &world.other_authority, -TLS_PEER_DAY, year);
    world.other_name =
        tls_peer_identity("redis", "DNS:other.example", &world.authority, -TLS_PEER_DAY, year);
    world.made = true;
}

struct meeting {
    struct input *input;
    enum peer peer;
    struct tls_server server;
    struct tls_memory *memory;
    struct tls *client;
    bool changed; /* something of what the server said */
    bool failed;
    char text[TEXT_SIZE]; /* what the server says */
    size_t heard;         /* so much of that */
};

static void check_failure(struct meeting *meeting, const struct tls_problem *problem)
{
    struct tls_problem again = {0};
    char buffer[16];

    ORACLE(problem->why[0] != '\0' && strlen(problem->why) < sizeof problem->why);
    ORACLE(is_printable(problem->why));
    ORACLE(problem->failure != LEASE_FAILURE_NONE);
    ORACLE(leaderwrap_tls_backend.read(meeting->client, buffer, sizeof buffer, &again) < 0);
    ORACLE(strcmp(again.why, problem->why) == 0);
    meeting->failed = true;
}

/* Reads all that there is. */
static void hear(struct meeting *meeting)
{
    struct tls_problem problem = {0};
    char buffer[256];
    int length;

    while ((length = leaderwrap_tls_backend.read(meeting->client, buffer, sizeof buffer,
                                                 &problem)) > 0) {
        ORACLE(meeting->peer == PEER_RIGHT && leaderwrap_tls_backend.is_open(meeting->client));
        ORACLE(meeting->heard + (size_t)length <= sizeof meeting->text);
        ORACLE(memcmp(buffer, meeting->text + meeting->heard, (size_t)length) == 0);
        meeting->heard += (size_t)length;
    }
    if (length < 0)
        check_failure(meeting, &problem);
    else
        ORACLE(meeting->peer == PEER_RIGHT || !leaderwrap_tls_backend.is_open(meeting->client));
}

static void feed(struct meeting *meeting, const char *bytes, size_t length)
{
    /* On the heap, so that a read behind the end is seen. */
    char *copy = malloc(length + 1);

    if (copy == NULL)
        abort();
    memcpy(copy, bytes, length);
    leaderwrap_tls_backend.feed(meeting->client, copy, length);
    free(copy);
    hear(meeting);
}

static void meet_somebody(struct meeting *meeting)
{
    char buffer[512];

    while (meeting->input->left > 0 && !meeting->failed) {
        size_t length = (size_t)take_byte(meeting->input) * 3;
        const uint8_t *bytes = take_bytes(meeting->input, &length);

        if (length > 0)
            feed(meeting, (const char *)bytes, length);
        while (leaderwrap_tls_backend.take(meeting->client, buffer, sizeof buffer) > 0)
            continue;
    }
}

/* Hands on a piece of what the server says, perhaps changed. Returns whether there was any. */
static bool hand_on(struct meeting *meeting)
{
    char bytes[PIECE_MOST];
    int most = 1 + (int)(take_short(meeting->input) % PIECE_MOST);
    int length = tls_server_take(&meeting->server, bytes, most);
    uint8_t change = take_byte(meeting->input);

    if (length <= 0)
        return false;
    if (change >= 0x80) {
        uint8_t bits = take_byte(meeting->input);

        bytes[take_short(meeting->input) % (uint32_t)length] ^= (char)bits;
        meeting->changed = meeting->changed || bits != 0;
    }
    feed(meeting, bytes, (size_t)length);
    return true;
}

/* As far as both get in so many rounds. */
static void meet_server(struct meeting *meeting)
{
    bool written = false;
    char buffer[64];

    for (int round = 0; round < ROUNDS && !meeting->failed; round++) {
        hear(meeting);
        if (meeting->failed)
            return;
        (void)tls_server_hear(&meeting->server, meeting->client, buffer, sizeof buffer);
        if (!written && SSL_is_init_finished(meeting->server.ssl) == 1) {
            written = true;
            tls_peer_must(SSL_write(meeting->server.ssl, meeting->text, TEXT_SIZE) == TEXT_SIZE);
        }
        while (!meeting->failed && hand_on(meeting))
            continue;
        if (leaderwrap_tls_backend.is_open(meeting->client) && round == ROUNDS / 2)
            ORACLE(leaderwrap_tls_backend.write(meeting->client, "PING\r\n", 6) == 0);
    }
    if (meeting->peer == PEER_RIGHT && !meeting->changed)
        ORACLE(!meeting->failed && meeting->heard == TEXT_SIZE);
    if (meeting->peer != PEER_RIGHT)
        ORACLE(meeting->failed || meeting->changed);
}

static const struct tls_identity *identity_of(enum peer peer)
{
    switch (peer) {
    case PEER_OTHER_AUTHORITY:
        return &world.other;
    case PEER_OTHER_NAME:
        return &world.other_name;
    default:
        return &world.right;
    }
}

static void begin(struct meeting *meeting)
{
    static char name[] = "ca.crt";
    static const struct tls_files files = {.backend = &leaderwrap_tls_backend, .authorities = name};
    const struct tls_material material = {
        .files = &files,
        .authorities = {.bytes = world.authority.pem, .length = strlen(world.authority.pem)},
    };
    static const int versions[] = {0, TLS1_2_VERSION, TLS1_3_VERSION};
    struct tls_problem problem;

    ORACLE(leaderwrap_tls_backend.make(&meeting->client, &material, HOST, &meeting->memory,
                                       &problem) == 0);
    if (meeting->peer == PEER_SOMEBODY)
        return;
    tls_server_begin(&meeting->server, identity_of(meeting->peer), NULL,
                     versions[take_byte(meeting->input) % 3]);
    tls_server_accept(&meeting->server);
    for (size_t i = 0; i < sizeof meeting->text; i++)
        meeting->text[i] = (char)(i % 251);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {.at = data, .left = size};
    struct meeting meeting = {.input = &input};

    if (!world.made)
        make_world();
    meeting.peer = (enum peer)(take_byte(&input) % PEERS);
    begin(&meeting);
    if (meeting.peer == PEER_SOMEBODY)
        meet_somebody(&meeting);
    else
        meet_server(&meeting);
    leaderwrap_tls_backend.close(meeting.client);
    leaderwrap_tls_backend.free(meeting.client);
    if (meeting.memory != NULL)
        leaderwrap_tls_backend.forget(meeting.memory);
    if (meeting.peer != PEER_SOMEBODY)
        tls_server_end(&meeting.server);
    return 0;
}
