/* Nodes of a cluster: what they say, the way to the one that has the key, and requests on it. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake_node.h"
#include "leaderwrap/redis/store.h"
#include "loop_until.h"
#include "parsed.h"
#include "redis/cluster.h"
#include "redis/cluster_ask.h"
#include "redis/cluster_nodes.h"
#include "redis/redirection.h"
#include "redis/route.h"
#include "redis/witnesses.h"
#include "script_answer.h"

#define NODES 3
#define KEY   "job"

/* ---- what they say ---- */

static void a_redirection_names_a_node(void **state)
{
    static const struct {
        const char *error;
        enum redirection_kind kind;
        const char *host;
        const char *port;
    } cases[] = {
        {"MOVED 3999 127.0.0.1:6381", REDIRECTION_MOVED, "127.0.0.1", "6381"},
        {"ASK 3999 127.0.0.1:6381", REDIRECTION_ASK, "127.0.0.1", "6381"},
        {"MOVED 0 node-3.example:7000", REDIRECTION_MOVED, "node-3.example", "7000"},
        {"MOVED 16383 fd00::1:6379", REDIRECTION_MOVED, "fd00::1", "6379"},
        {"MOVED 3999 :6381", REDIRECTION_MOVED, "own", "6381"},
        {"ASK 3999 :6381", REDIRECTION_ASK, "own", "6381"},
        {"MOVED 3999 ?:6381", REDIRECTION_MOVED, "", ""},
        {"MOVED 3999 127.0.0.1:0", REDIRECTION_MOVED, "", ""},
        {"MOVED 3999 127.0.0.1:65536", REDIRECTION_MOVED, "", ""},
        {"MOVED 3999 127.0.0.1:", REDIRECTION_MOVED, "", ""},
        {"MOVED 3999 127.0.0.1:63x", REDIRECTION_MOVED, "", ""},
        {"MOVED 3999 127.0.0.1", REDIRECTION_MOVED, "", ""},
        {"MOVED 3999 a b:6381", REDIRECTION_MOVED, "", ""},
        {"MOVED x 127.0.0.1:6381", REDIRECTION_MOVED, "", ""},
        {"MOVED 3999", REDIRECTION_MOVED, "", ""},
        {"MOVED :1", REDIRECTION_MOVED, "", ""},
        {"ASK ", REDIRECTION_ASK, "", ""},
        {"MOVED", REDIRECTION_NONE, "", ""},
        {"MOVEDX 3999 127.0.0.1:6381", REDIRECTION_NONE, "", ""},
        {"ERR MOVED 3999 127.0.0.1:6381", REDIRECTION_NONE, "", ""},
        {"TRYAGAIN Multiple keys request during rehashing of slot", REDIRECTION_NONE, "", ""},
        {"", REDIRECTION_NONE, "", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct place place;

        memset(&place, 0x5A, sizeof place);
        assert_int_equal(redirection_parse(cases[i].error, "own", &place), cases[i].kind);
        assert_string_equal(place.host, cases[i].host);
        assert_string_equal(place.port, cases[i].port);
    }
}

static void an_answer_about_the_key_names_its_owner(void **state)
{
    static const struct {
        const char *reply;
        enum witness_says says;
        const char *host;
        enum lease_failure failure;
    } cases[] = {
        {"$-1\r\n", WITNESS_ITSELF, "", 0},
        {"$1\r\nx\r\n", WITNESS_ITSELF, "", 0},
        {"-ASK 1 10.0.0.1:1\r\n", WITNESS_ITSELF, "10.0.0.1", 0},
        {"-WRONGTYPE Operation against a key\r\n", WITNESS_ITSELF, "", 0},
        {"-MOVED 1 10.0.0.1:1\r\n", WITNESS_NAMES, "10.0.0.1", 0},
        {"-MOVED 1 :1\r\n", WITNESS_NAMES, "own", 0},
        {"-MOVED 1 ?:1\r\n", WITNESS_REFUSES, "", LEASE_FAILURE_ROLE},
        {"-CLUSTERDOWN The cluster is down\r\n", WITNESS_REFUSES, "", LEASE_FAILURE_TRANSIENT},
        {"-TRYAGAIN x\r\n", WITNESS_REFUSES, "", LEASE_FAILURE_TRANSIENT},
        {"-NOPERM this user has no permissions\r\n", WITNESS_REFUSES, "",
         LEASE_FAILURE_CONFIGURATION},
        {"*0\r\n", WITNESS_REFUSES, "", LEASE_FAILURE_TRANSIENT},
        {"+OK\r\n", WITNESS_REFUSES, "", LEASE_FAILURE_TRANSIENT},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        redisReply *reply = parsed(cases[i].reply);
        struct witness_answer answer;

        cluster_read_answer(reply, "own", &answer);
        assert_int_equal(answer.says, cases[i].says);
        assert_string_equal(answer.place.host, cases[i].host);
        assert_int_equal(answer.failure, cases[i].failure);
        assert_int_equal(answer.epoch, 0);
        freeReplyObject(reply);
    }
}

#define BULK(text, length) "$" length "\r\n" text "\r\n"

static void the_epoch_is_that_of_the_owner_who_is_named(void **state)
{
    static const char other[] = BULK("a 10.0.0.1:1@2,named master - 0 0 7 connected 0-16383", "53");
    static const char itself[] = BULK("a 10.0.0.1:1@2 myself,master - 0 0 7 connected 42", "49");
    static const struct {
        const char *nodes;
        const char *get;
        uint64_t epoch; /* 0: it is no answer */
    } cases[] = {
        {other, "-MOVED 42 10.0.0.1:1\r\n", 7},
        {other, "-MOVED 42 named:1\r\n", 7},
        {other, "-MOVED 42 :1\r\n", 7},
        {other, "-MOVED 42 10.0.0.2:1\r\n", 0},
        {other, "-MOVED 42 10.0.0.1:3\r\n", 0},
        {other, "$-1\r\n", 0},
        {itself, "$-1\r\n", 7},
        {itself, "-ASK 42 10.0.0.2:1\r\n", 7},
        {itself, "-MOVED 42 10.0.0.1:1\r\n", 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        redisReply *nodes = parsed(cases[i].nodes), *get = parsed(cases[i].get);
        struct witness_answer answer;
        struct slot_owner owner;

        assert_int_equal(cluster_read_owner(nodes, 42, &owner, &answer), 0);
        cluster_read_answer(get, "own", &answer);
        cluster_add_epoch(&owner, "own", &answer);
        assert_int_equal(answer.epoch, cases[i].epoch);
        assert_int_equal(answer.says == WITNESS_REFUSES, cases[i].epoch == 0);
        if (cases[i].epoch == 0)
            assert_int_equal(answer.failure, LEASE_FAILURE_TRANSIENT);
        freeReplyObject(nodes);
        freeReplyObject(get);
    }
}

static void without_an_epoch_there_is_no_answer(void **state)
{
    static const struct {
        const char *nodes;
        enum lease_failure failure;
    } cases[] = {
        {"-NOPERM this user has no permissions to run the 'cluster|nodes' command\r\n",
         LEASE_FAILURE_CONFIGURATION},
        {"-LOADING x\r\n", LEASE_FAILURE_TRANSIENT},
        {"*0\r\n", LEASE_FAILURE_TRANSIENT},
        {"$2\r\nno\r\n", LEASE_FAILURE_TRANSIENT},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        redisReply *reply = parsed(cases[i].nodes);
        struct witness_answer answer;
        struct slot_owner owner;

        memset(&answer, 0x5A, sizeof answer);
        assert_int_equal(cluster_read_owner(reply, 42, &owner, &answer), -1);
        assert_int_equal(answer.says, WITNESS_REFUSES);
        assert_int_equal(answer.failure, cases[i].failure);
        assert_true(answer.text[0] != '\0');
        freeReplyObject(reply);
    }
}

#define ID(digit) "$40\r\n000000000000000000000000000000000000000" digit "\r\n"

static void masters_that_own_slots_have_a_vote(void **state)
{
    static const char text[] =
        "*3\r\n"
        "*4\r\n:0\r\n:9\r\n"
        "*3\r\n$1\r\na\r\n:1\r\n" ID("1") "*3\r\n$1\r\nb\r\n:2\r\n" ID(
            "2") "*3\r\n:10\r\n:19\r\n"
                 "*4\r\n$-1\r\n:3\r\n" ID("3") "*0\r\n"
                                               "*3\r\n:20\r\n:29\r\n"
                                               "*3\r\n$1\r\na\r\n:1\r\n" ID("1");
    struct witness_peers peers = {.id = "0000000000000000000000000000000000000001"};
    redisReply *reply = parsed(text);

    (void)state;
    assert_int_equal(cluster_read_peers(reply, "own", &peers), 0);
    assert_true(peers.has_vote);
    assert_string_equal(peers.place.host, "a");
    assert_int_equal(peers.count, 2);
    assert_string_equal(peers.list[0].place.host, "own");
    assert_string_equal(peers.list[0].place.port, "3");
    assert_true(peers.list[0].has_vote);
    assert_string_equal(peers.list[1].place.host, "b");
    assert_false(peers.list[1].has_vote);
    /* Said by the replica. */
    memset(&peers, 0, sizeof peers);
    strcpy(peers.id, "0000000000000000000000000000000000000002");
    assert_int_equal(cluster_read_peers(reply, "own", &peers), 0);
    assert_false(peers.has_vote);
    assert_int_equal(peers.count, 2);
    freeReplyObject(reply);
}

static void what_is_no_list_of_nodes_is_refused(void **state)
{
    static const char *const texts[] = {
        "-ERR This instance has cluster support disabled\r\n",
        "*1\r\n:1\r\n",
        "*1\r\n*2\r\n:0\r\n:9\r\n",
        "*1\r\n*3\r\n:0\r\n:9\r\n*2\r\n$1\r\na\r\n:1\r\n",
        "*1\r\n*3\r\n:0\r\n:9\r\n*3\r\n:1\r\n:1\r\n" ID("1"),
        "*1\r\n*3\r\n:0\r\n:9\r\n*3\r\n$1\r\na\r\n$1\r\n1\r\n" ID("1"),
        "*1\r\n*3\r\n:0\r\n:9\r\n*3\r\n$1\r\na\r\n:1\r\n$3\r\nabc\r\n",
    };
    struct witness_peers peers = {0};
    char text[128 * 128];
    size_t used;

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        redisReply *reply = parsed(texts[i]);

        assert_int_equal(cluster_read_peers(reply, "own", &peers), -1);
        freeReplyObject(reply);
    }
    /* Where not all masters could be counted, no majority is one. */
    for (int masters = WITNESS_PEERS_MAX; masters <= WITNESS_PEERS_MAX + 1; masters++) {
        used = (size_t)sprintf(text, "*%d\r\n", masters);
        for (int i = 0; i < masters; i++)
            used += (size_t)sprintf(text + used,
                                    "*3\r\n:%d\r\n:%d\r\n*3\r\n$1\r\na\r\n:%d\r\n$40\r\n%040d\r\n",
                                    i, i, i + 1, i);
        redisReply *reply = parsed(text);
        assert_int_equal(cluster_read_peers(reply, "own", &peers),
                         masters == WITNESS_PEERS_MAX ? 0 : -1);
        freeReplyObject(reply);
    }
}

static void a_key_has_a_slot(void **state)
{
    (void)state;
    /* CLUSTER KEYSLOT */
    assert_int_equal(store_slot("123456789"), 12739);
    assert_int_equal(store_slot("foo"), 12182);
    assert_int_equal(store_slot("x{foo}y"), 12182);
    assert_int_equal(store_slot("{}foo"), store_slot("{}foo"));
    assert_int_equal(store_slot("{foo}:term"), 12182);
}

/* ---- the way there ---- */

struct fixture {
    uv_loop_t loop;
    struct fake_node nodes[NODES];
    struct fake_node *replica;
    struct redis_target target;
    struct route *route;
    struct route_hop hop;
    struct route_problem problem;
    int ready;
    /* The store. */
    struct store *store;
    int opened;
    int closed;
    enum lease_failure failure;
    char why[1024];
    int answers;
    struct lease_reply answer;
    uint64_t requests;
    int wait_replicas;
    /* Votes. */
    struct witnesses *witnesses;
    struct lease_vote votes[NODES];
    int count;
    int wanted;
};

static void on_ready(void *context)
{
    ((struct fixture *)context)->ready++;
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    assert_int_equal(uv_loop_init(&f->loop), 0);
    for (int i = 0; i < NODES; i++) {
        fake_node_start(&f->nodes[i], &f->loop, (char)('1' + i));
        for (int j = 0; j < NODES; j++)
            f->nodes[i].masters[j] = &f->nodes[j];
        f->nodes[i].owner = &f->nodes[2];
    }
    f->target.kind = REDIS_CLUSTER;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    route_free(f->route);
    store_free(f->store);
    witnesses_free(f->witnesses);
    for (int i = 0; i < NODES; i++)
        fake_server_stop(&f->nodes[i].server);
    loop_end(&f->loop);
    redis_target_clear(&f->target);
    free(f);
    return 0;
}

static void add_seed(struct fixture *f, int number)
{
    char text[64], error[300];

    snprintf(text, sizeof text, "redis://127.0.0.1:%d", f->nodes[number].server.port);
    assert_int_equal(redis_target_add(&f->target, text, error, sizeof error), 0);
}

static void set_out(struct fixture *f)
{
    const struct route_config config = {
        .loop = &f->loop, .target = &f->target, .key = KEY, .on_ready = on_ready, .context = f};

    assert_int_equal(route_new(&f->route, &config), 0);
}

static bool is_ready(void *context)
{
    return ((struct fixture *)context)->ready > 0;
}

static enum route_step go(struct fixture *f)
{
    enum route_step step;

    route_begin(f->route);
    while ((step = route_next(f->route, &f->hop, &f->problem)) == ROUTE_WAITS) {
        f->ready = 0;
        loop_until(&f->loop, is_ready, f);
    }
    return step;
}

static void assert_leads_to(struct fixture *f, int number)
{
    assert_int_equal(go(f), ROUTE_HOP);
    assert_int_equal(ntohs(f->hop.address.v4.sin_port), f->nodes[number].server.port);
}

static void a_node_says_where_the_key_is(void **state)
{
    struct fixture *f = *state;

    add_seed(f, 0);
    set_out(f);
    assert_leads_to(f, 2);
    assert_int_equal(route_next(f->route, &f->hop, &f->problem), ROUTE_OVER);
    assert_int_equal(f->nodes[1].questions + f->nodes[2].questions, 0);
}

static void the_owner_is_called_as_the_nodes_call_it(void **state)
{
    struct fixture *f = *state;

    f->nodes[2].host = "localhost";
    add_seed(f, 2);
    set_out(f);
    assert_leads_to(f, 2);
    assert_string_equal(f->hop.host, "localhost");
    assert_int_equal(f->nodes[2].questions, 1);
}

static void no_host_is_the_same_host(void **state)
{
    struct fixture *f = *state;

    f->nodes[2].host = NULL;
    add_seed(f, 0);
    set_out(f);
    assert_leads_to(f, 2);
    assert_string_equal(f->hop.host, "127.0.0.1");
}

static void nodes_that_are_of_no_use_are_passed_over(void **state)
{
    struct fixture *f = *state;

    f->nodes[0].mute = true;
    f->nodes[1].error = "-CLUSTERDOWN The cluster is down\r\n";
    for (int i = 0; i < NODES; i++)
        add_seed(f, i);
    set_out(f);
    assert_leads_to(f, 2);
    assert_int_equal(f->nodes[0].questions, 1);
    assert_int_equal(f->nodes[1].questions, 1);
}

static void known_nodes_are_asked_where_the_seeds_are_gone(void **state)
{
    struct fixture *f = *state;

    add_seed(f, 0);
    set_out(f);
    assert_leads_to(f, 2);
    fake_server_stop(&f->nodes[0].server);
    f->nodes[1].owner = &f->nodes[1];
    f->nodes[2].owner = &f->nodes[1];
    assert_leads_to(f, 1);
}

/* It may be one that is cut off from the others, and wrong for ever. */
static void a_round_begins_with_another_node(void **state)
{
    struct fixture *f = *state;

    f->nodes[0].owner = &f->nodes[0];
    add_seed(f, 0);
    add_seed(f, 1);
    set_out(f);
    assert_leads_to(f, 0);
    assert_leads_to(f, 2);
}

static void after_a_redirection_nobody_is_asked(void **state)
{
    struct fixture *f = *state;
    struct place place;
    char port[6];

    add_seed(f, 0);
    set_out(f);
    assert_leads_to(f, 2);
    snprintf(port, sizeof port, "%d", f->nodes[1].server.port);
    assert_int_equal(place_set(&place, "127.0.0.1", 9, port, strlen(port)), 0);
    route_moved(f->route, &place);
    assert_leads_to(f, 1);
    assert_int_equal(f->nodes[0].questions, 1);
    /* For once. */
    assert_leads_to(f, 2);
    assert_int_equal(f->nodes[0].questions + f->nodes[1].questions + f->nodes[2].questions, 2);
}

static void where_no_node_knows_there_is_no_way(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < NODES; i++)
        f->nodes[i].error = "-CLUSTERDOWN The cluster is down\r\n";
    add_seed(f, 0);
    add_seed(f, 1);
    set_out(f);
    assert_int_equal(go(f), ROUTE_LOST);
    assert_int_equal(f->problem.failure, LEASE_FAILURE_TRANSIENT);
    assert_non_null(strstr(f->problem.why, "none of 2 nodes"));
    assert_non_null(strstr(f->problem.why, "CLUSTERDOWN"));
    f->nodes[1].error = "-MOVED 42 ?:6379\r\n";
    assert_int_equal(go(f), ROUTE_LOST);
    assert_int_equal(f->problem.failure, LEASE_FAILURE_TRANSIENT);
}

static void a_server_that_is_in_no_cluster_is_a_mistake(void **state)
{
    struct fixture *f = *state;

    f->nodes[2].is_alone = true;
    add_seed(f, 2);
    set_out(f);
    for (int i = 0; i < 2; i++) {
        /* Nor is one that may not tell, whomever it names. */
        f->nodes[2].owner = &f->nodes[2 - i];
        assert_int_equal(go(f), ROUTE_LOST);
        assert_int_equal(f->problem.failure, LEASE_FAILURE_CONFIGURATION);
        assert_non_null(strstr(f->problem.why, "--cluster"));
    }
}

static void an_owner_without_an_address_is_passed_over(void **state)
{
    struct fixture *f = *state;

    f->nodes[2].host = "?";
    add_seed(f, 2);
    set_out(f);
    assert_int_equal(go(f), ROUTE_LOST);
    assert_int_equal(f->problem.failure, LEASE_FAILURE_TRANSIENT);
    assert_non_null(strstr(f->problem.why, "no address"));
}

static void a_user_who_may_not_ask_is_a_mistake(void **state)
{
    struct fixture *f = *state;

    f->nodes[0].error = "-NOPERM this user has no permissions to run the 'get' command\r\n";
    add_seed(f, 0);
    set_out(f);
    assert_int_equal(go(f), ROUTE_LOST);
    assert_int_equal(f->problem.failure, LEASE_FAILURE_CONFIGURATION);
    assert_non_null(strstr(f->problem.why, "+get"));
}

/* ---- requests ---- */

static void on_open(void *context)
{
    ((struct fixture *)context)->opened++;
}

static void on_closed(void *context, enum lease_failure failure, const char *why)
{
    struct fixture *f = context;

    f->closed++;
    f->failure = failure;
    snprintf(f->why, sizeof f->why, "%s", why);
}

static void on_reply(void *context, const struct lease_reply *answer)
{
    struct fixture *f = context;

    f->answers++;
    f->answer = *answer;
}

static bool is_settled(void *context)
{
    struct fixture *f = context;

    return f->opened + f->closed > 0;
}

static bool is_answered(void *context)
{
    struct fixture *f = context;

    return f->answers + f->closed > 0;
}

static void connect_up(struct fixture *f)
{
    const struct store_config config = {
        .loop = &f->loop,
        .target = &f->target,
        .key = KEY,
        .id = "anna#0000000000000001",
        .name = "anna",
        .ttl_ms = 1000,
        .timeout_ms = 1000,
        .wait_replicas = f->wait_replicas,
        .callbacks = {.on_open = on_open, .on_closed = on_closed, .on_reply = on_reply},
        .context = f,
    };

    if (f->store == NULL)
        assert_int_equal(store_new(&f->store, &config), 0);
    f->opened = f->closed = 0;
    store_open(f->store);
    loop_until(&f->loop, is_settled, f);
    assert_int_equal(f->opened, 1);
}

static void send_acquire(struct fixture *f)
{
    const struct lease_request request = {
        .kind = LEASE_ACQUIRE, .number = ++f->requests, .nonce = "0123456789abcdef"};

    f->answers = f->closed = 0;
    store_send(f->store, &request);
}

static void ask(struct fixture *f)
{
    send_acquire(f);
    loop_until(&f->loop, is_answered, f);
}

static void start(struct fixture *f)
{
    add_seed(f, 2);
    connect_up(f);
    f->nodes[2].script = SCRIPT_REFUSED;
    ask(f);
    assert_int_equal(f->answer.verdict, LEASE_REFUSED);
}

static void what_has_moved_is_followed_by_the_next_connection(void **state)
{
    struct fixture *f = *state;

    start(f);
    f->nodes[2].script = fake_node_lead(&f->nodes[2], "MOVED", &f->nodes[1]);
    ask(f);
    assert_int_equal(f->closed, 1);
    assert_int_equal(f->answers, 0);
    assert_int_equal(f->failure, LEASE_FAILURE_ROLE);
    assert_non_null(strstr(f->why, "says that the key is at 127.0.0.1:"));
    f->nodes[1].script = SCRIPT_REFUSED;
    connect_up(f);
    ask(f);
    assert_int_equal(f->answer.verdict, LEASE_REFUSED);
    assert_int_equal(f->nodes[1].scripts, 1);
    assert_int_equal(f->nodes[0].questions + f->nodes[1].questions, 0);
}

static void what_has_moved_nowhere_is_asked_for(void **state)
{
    struct fixture *f = *state;

    start(f);
    f->nodes[2].script = "-MOVED 42 ?:6379\r\n";
    for (int i = 0; i < NODES; i++)
        f->nodes[i].owner = &f->nodes[0];
    ask(f);
    assert_int_equal(f->failure, LEASE_FAILURE_ROLE);
    connect_up(f);
    f->nodes[0].script = SCRIPT_REFUSED;
    ask(f);
    assert_int_equal(f->nodes[0].scripts, 1);
}

static void a_key_on_its_way_is_asked_for_once_where_it_is(void **state)
{
    struct fixture *f = *state;

    start(f);
    f->nodes[2].script = fake_node_lead(&f->nodes[2], "ASK", &f->nodes[1]);
    f->nodes[1].script = SCRIPT_REFUSED;
    for (int time = 1; time <= 2; time++) {
        ask(f);
        assert_int_equal(f->answers, 1);
        assert_int_equal(f->answer.request, f->requests);
        assert_int_equal(f->answer.verdict, LEASE_REFUSED);
        /* The owner is asked first each time. */
        assert_int_equal(f->nodes[2].scripts, 1 + time);
        assert_int_equal(f->nodes[1].asking, time);
        assert_int_equal(f->nodes[1].server.accepted, 1);
    }
    /* It has stayed, after all: the detour is closed. */
    f->nodes[2].script = SCRIPT_REFUSED;
    ask(f);
    assert_int_equal(f->nodes[1].scripts, 2);
    f->nodes[2].script = fake_node_lead(&f->nodes[2], "ASK", &f->nodes[1]);
    ask(f);
    assert_int_equal(f->nodes[1].server.accepted, 2);
}

/* The replicas that have to have it are those of the node where it was written. */
static void replicas_are_waited_for_where_the_keys_are(void **state)
{
    struct fixture *f = *state;

    f->wait_replicas = 1;
    start(f);
    f->nodes[2].script = fake_node_lead(&f->nodes[2], "ASK", &f->nodes[1]);
    f->nodes[1].script = SCRIPT_REFUSED;
    ask(f);
    assert_int_equal(f->answer.verdict, LEASE_REFUSED);
    assert_int_equal(f->nodes[1].waits, 1);
    /* With ASKING in front of it, which does no harm. */
    assert_int_equal(f->nodes[1].scripts, 1);
    assert_int_equal(f->nodes[1].asking, 1);
}

static bool is_waited_for_at_both(void *context)
{
    struct fixture *f = context;

    return f->nodes[1].waits == 1 && f->nodes[2].waits == 2;
}

/* The owner's WAIT may be answered when the script has been run elsewhere. */
static void replicas_of_the_owner_do_not_count_for_another_node(void **state)
{
    struct fixture *f = *state;

    f->wait_replicas = 1;
    start(f);
    f->nodes[2].script = fake_node_lead(&f->nodes[2], "ASK", &f->nodes[1]);
    f->nodes[1].script = SCRIPT_GRANTED;
    f->nodes[1].holds_wait = f->nodes[2].holds_wait = true;
    send_acquire(f);
    loop_until(&f->loop, is_waited_for_at_both, f);
    assert_false(loop_wait(&f->loop, is_answered, f, 50));
    fake_server_say(&f->nodes[2].server, ":1\r\n");
    assert_false(loop_wait(&f->loop, is_answered, f, 50));
    fake_server_say(&f->nodes[1].server, ":0\r\n");
    loop_until(&f->loop, is_answered, f);
    assert_int_equal(f->answers, 1);
    assert_int_equal(f->answer.verdict, LEASE_FAILED);
}

static void a_script_that_is_not_known_there_is_asked_for_again(void **state)
{
    struct fixture *f = *state;

    start(f);
    f->nodes[2].script = fake_node_lead(&f->nodes[2], "ASK", &f->nodes[1]);
    f->nodes[1].script = "-NOSCRIPT No matching script\r\n";
    ask(f);
    assert_int_equal(f->answer.verdict, LEASE_FAILED);
    assert_int_equal(f->nodes[1].scripts, 2);
    assert_int_equal(f->nodes[1].asking, 2);
}

static void a_second_redirection_is_not_followed(void **state)
{
    static const char *const words[] = {"ASK", "MOVED"};
    struct fixture *f = *state;

    start(f);
    f->nodes[2].script = fake_node_lead(&f->nodes[2], "ASK", &f->nodes[1]);
    for (int i = 0; i < 2; i++) {
        f->nodes[1].script = fake_node_lead(&f->nodes[1], words[i], &f->nodes[0]);
        ask(f);
        assert_int_equal(f->answer.verdict, LEASE_FAILED);
        assert_int_equal(f->answer.failure, LEASE_FAILURE_TRANSIENT);
        assert_int_equal(f->closed, 0);
        assert_int_equal(f->nodes[0].server.accepted, 0);
    }
}

static void keys_in_two_places_are_waited_for(void **state)
{
    struct fixture *f = *state;

    start(f);
    f->nodes[2].script = "-TRYAGAIN Multiple keys request during rehashing of slot\r\n";
    ask(f);
    assert_int_equal(f->answer.verdict, LEASE_FAILED);
    assert_int_equal(f->answer.failure, LEASE_FAILURE_TRANSIENT);
    f->nodes[2].script = SCRIPT_REFUSED;
    ask(f);
    assert_int_equal(f->answer.verdict, LEASE_REFUSED);
}

static void a_node_without_a_majority_is_left(void **state)
{
    struct fixture *f = *state;

    start(f);
    f->nodes[2].script = "-CLUSTERDOWN The cluster is down\r\n";
    ask(f);
    assert_int_equal(f->closed, 1);
    assert_int_equal(f->failure, LEASE_FAILURE_TRANSIENT);
    assert_non_null(strstr(f->why, "CLUSTERDOWN"));
}

/* What was sent by it may be executed later. */
static void a_detour_that_is_lost_is_a_lost_connection(void **state)
{
    struct fixture *f = *state;

    start(f);
    f->nodes[2].script = fake_node_lead(&f->nodes[2], "ASK", &f->nodes[1]);
    f->nodes[1].script = "";
    ask(f);
    assert_int_equal(f->closed, 1);
    assert_int_equal(f->answers, 0);
    assert_int_equal(f->failure, LEASE_FAILURE_TRANSIENT);
}

static bool was_asked_twice(void *context)
{
    struct fixture *f = context;

    return f->nodes[2].scripts == 3;
}

static void what_is_given_up_makes_no_detour(void **state)
{
    struct fixture *f = *state;

    start(f);
    f->nodes[1].script = SCRIPT_REFUSED;
    f->nodes[2].script = NULL;
    send_acquire(f);
    send_acquire(f);
    loop_until(&f->loop, was_asked_twice, f);
    f->nodes[1].script = SCRIPT_REFUSED;
    fake_server_say(&f->nodes[2].server, fake_node_lead(&f->nodes[2], "ASK", &f->nodes[1]));
    loop_until(&f->loop, is_answered, f);
    assert_int_equal(f->answer.verdict, LEASE_FAILED);
    assert_int_equal(f->answer.request, f->requests - 1);
    assert_int_equal(f->nodes[1].server.accepted, 0);
}

/* ---- votes ---- */

static void on_vote(void *context, const struct lease_vote *vote)
{
    struct fixture *f = context;

    assert_true(vote->witness < vote->electorate);
    assert_true(f->count < NODES);
    f->votes[f->count++] = *vote;
}

static bool has_votes(void *context)
{
    const struct fixture *f = context;

    return f->count >= f->wanted;
}

static void poll(struct fixture *f, uint64_t number, int wanted)
{
    f->count = 0;
    f->wanted = wanted;
    witnesses_poll(f->witnesses, number);
    loop_until(&f->loop, has_votes, f);
}

static void begin_votes(struct fixture *f)
{
    const struct witnesses_config config = {.loop = &f->loop,
                                            .target = &f->target,
                                            .key = KEY,
                                            .timeout_ms = 300,
                                            .on_vote = on_vote,
                                            .context = f};

    add_seed(f, 0);
    snprintf(f->hop.host, sizeof f->hop.host, "127.0.0.1");
    snprintf(f->hop.port, sizeof f->hop.port, "%d", f->nodes[2].server.port);
    assert_int_equal(witnesses_new(&f->witnesses, &config), 0);
    witnesses_link(f->witnesses, &f->hop);
    witnesses_start(f->witnesses);
}

static void all_masters_vote(void **state)
{
    struct fixture *f = *state;
    unsigned voted = 0;

    begin_votes(f);
    poll(f, 1, NODES);
    for (int i = 0; i < NODES; i++) {
        assert_int_equal(f->votes[i].electorate, NODES);
        assert_int_equal(f->votes[i].epoch, 0);
        assert_true(f->votes[i].here);
        assert_true(f->votes[i].placement != 0);
        assert_int_equal(f->votes[i].placement, f->votes[0].placement);
        voted |= 1U << f->votes[i].witness;
    }
    assert_int_equal(voted, 7);
    poll(f, 2, NODES);
    for (int i = 0; i < NODES; i++)
        assert_int_equal(f->nodes[i].server.accepted, 1);
}

/* An owner who comes back is not who it was, and has to be told from that by its epoch. */
static void each_epoch_is_a_placement_of_its_own(void **state)
{
    struct fixture *f = *state;
    uint64_t first;

    for (int i = 0; i < NODES; i++)
        f->nodes[i].epoch = 7;
    begin_votes(f);
    poll(f, 1, NODES);
    first = f->votes[0].placement;
    f->nodes[1].epoch = 9;
    poll(f, 2, NODES);
    for (int i = 0; i < NODES; i++) {
        bool is_new = f->votes[i].epoch == 9;

        assert_true(f->votes[i].here);
        assert_true(is_new || f->votes[i].epoch == 7);
        assert_int_equal(f->votes[i].placement == first, !is_new);
    }
}

/* Between its two answers the slot went away. */
static void a_node_of_two_minds_names_nobody(void **state)
{
    struct fixture *f = *state;
    int named = 0;

    f->nodes[0].nodes = BULK("a 10.0.0.9:1@2 master - 0 0 7 connected 0-16383", "47");
    f->nodes[1].nodes = "-NOPERM no permissions\r\n";
    begin_votes(f);
    poll(f, 1, NODES);
    for (int i = 0; i < NODES; i++)
        named += f->votes[i].placement != 0;
    assert_int_equal(named, 1);
}

static void a_node_that_does_not_know_names_nobody(void **state)
{
    struct fixture *f = *state;
    int named = 0;

    f->nodes[0].error = "-CLUSTERDOWN The cluster is down\r\n";
    /* The slot is on its way, but still its own. */
    f->nodes[2].error = "-ASK 42 127.0.0.1:1\r\n";
    begin_votes(f);
    poll(f, 1, NODES);
    for (int i = 0; i < NODES; i++)
        named += f->votes[i].placement != 0 && f->votes[i].here;
    assert_int_equal(named, 2);
}

static void a_seed_without_slots_has_no_vote(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < NODES; i++) {
        f->nodes[i].masters[0] = &f->nodes[1];
        f->nodes[i].masters[1] = &f->nodes[2];
        f->nodes[i].masters[2] = NULL;
        f->nodes[i].replica = &f->nodes[0];
    }
    begin_votes(f);
    poll(f, 1, 2);
    for (int i = 0; i < 2; i++)
        assert_int_equal(f->votes[i].electorate, 2);
    poll(f, 2, 2);
    assert_int_equal(f->nodes[0].questions, 2);
    assert_int_equal(f->count, 2);
}

static bool is_down_to_two(void *context)
{
    const struct fixture *f = context;
    bool two = f->count >= 2;

    for (int i = 0; i < f->count; i++)
        two = two && f->votes[i].electorate == 2;
    return two;
}

/* A master whose slots are another's now is none, as soon as a poll has come to nothing. */
static void the_masters_are_learnt_anew(void **state)
{
    struct fixture *f = *state;

    begin_votes(f);
    poll(f, 1, NODES);
    for (int i = 0; i < NODES; i++) {
        f->nodes[i].owner = &f->nodes[1];
        f->nodes[i].masters[2] = NULL;
    }
    fake_server_stop(&f->nodes[2].server);
    for (uint64_t number = 2; !is_down_to_two(f) && number < 20; number++)
        poll(f, number, 2);
    assert_true(is_down_to_two(f));
    assert_false(f->votes[0].here);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_redirection_names_a_node),
        cmocka_unit_test(an_answer_about_the_key_names_its_owner),
        cmocka_unit_test(the_epoch_is_that_of_the_owner_who_is_named),
        cmocka_unit_test(without_an_epoch_there_is_no_answer),
        cmocka_unit_test(masters_that_own_slots_have_a_vote),
        cmocka_unit_test(what_is_no_list_of_nodes_is_refused),
        cmocka_unit_test(a_key_has_a_slot),
        TEST(a_node_says_where_the_key_is),
        TEST(the_owner_is_called_as_the_nodes_call_it),
        TEST(no_host_is_the_same_host),
        TEST(nodes_that_are_of_no_use_are_passed_over),
        TEST(known_nodes_are_asked_where_the_seeds_are_gone),
        TEST(a_round_begins_with_another_node),
        TEST(after_a_redirection_nobody_is_asked),
        TEST(where_no_node_knows_there_is_no_way),
        TEST(a_server_that_is_in_no_cluster_is_a_mistake),
        TEST(an_owner_without_an_address_is_passed_over),
        TEST(a_user_who_may_not_ask_is_a_mistake),
        TEST(what_has_moved_is_followed_by_the_next_connection),
        TEST(what_has_moved_nowhere_is_asked_for),
        TEST(a_key_on_its_way_is_asked_for_once_where_it_is),
        TEST(replicas_are_waited_for_where_the_keys_are),
        TEST(replicas_of_the_owner_do_not_count_for_another_node),
        TEST(a_script_that_is_not_known_there_is_asked_for_again),
        TEST(a_second_redirection_is_not_followed),
        TEST(keys_in_two_places_are_waited_for),
        TEST(a_node_without_a_majority_is_left),
        TEST(a_detour_that_is_lost_is_a_lost_connection),
        TEST(what_is_given_up_makes_no_detour),
        TEST(all_masters_vote),
        TEST(each_epoch_is_a_placement_of_its_own),
        TEST(a_node_of_two_minds_names_nobody),
        TEST(a_node_that_does_not_know_names_nobody),
        TEST(a_seed_without_slots_has_no_vote),
        TEST(the_masters_are_learnt_anew),
    };

    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
