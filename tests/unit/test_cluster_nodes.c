/* The owner of a slot, in answers to CLUSTER NODES. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "redis/cluster_nodes.h"

#define ID " 0 1426238316232 "

static const char nodes[] =
    "07c3 10.0.0.4:30004@31004,hostname4 slave e7d1" ID "4 connected\n"
    "67ed 10.0.0.2:30002@31002,hostname2,shard-id=x master -" ID "2 connected 5461-10921\n"
    "292f [::1]:1@2 master -" ID "0 disconnected 10922 10924-16382\n"
    "6ec2 fd00::3:30005@31005, master,fail -" ID "9223372036854775807 connected 16383\n"
    "e7d1 10.0.0.1:30001@31001 myself,master -" ID "7 connected 0-99 101-5460 [93->-292f] "
    "[10923-<-292f]\n"
    "8888 :0@0 master,noaddr -" ID "5 disconnected 100\n";

static struct slot_owner owner_of(unsigned slot)
{
    struct slot_owner owner;

    memset(&owner, 0x5A, sizeof owner);
    assert_int_equal(slot_owner_read(nodes, strlen(nodes), slot, &owner), 0);
    return owner;
}

static void each_slot_has_its_owner(void **state)
{
    static const struct {
        unsigned slot;
        uint64_t epoch;
        const char *port;
    } cases[] = {
        {0, 7, "30001"},
        {93, 7, "30001"},
        {99, 7, "30001"},
        {101, 7, "30001"},
        {5460, 7, "30001"},
        {5461, 2, "30002"},
        {10921, 2, "30002"},
        {10922, 0, "1"},
        {10924, 0, "1"},
        {16382, 0, "1"},
        {16383, INT64_MAX, "30005"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct slot_owner owner = owner_of(cases[i].slot);

        assert_true(owner.found);
        assert_int_equal(owner.epoch, cases[i].epoch);
        assert_int_equal(owner.myself, cases[i].epoch == 7);
        if (cases[i].slot < 10922)
            assert_string_equal(owner.place.port, cases[i].port);
    }
    /* On its way to the node that answered, and nobody's. */
    assert_false(owner_of(10923).found);
    /* A node that is known by its id alone. */
    assert_true(owner_of(100).found);
    assert_string_equal(owner_of(100).place.host, "");
}

static bool is_at(const struct slot_owner *owner, const char *host, const char *port)
{
    struct place place;

    assert_int_equal(place_set(&place, host, strlen(host), port, strlen(port)), 0);
    return slot_owner_is_at(owner, &place, "own");
}

static void an_owner_has_two_names(void **state)
{
    struct slot_owner owner = owner_of(5461);

    (void)state;
    assert_true(is_at(&owner, "10.0.0.2", "30002"));
    assert_true(is_at(&owner, "HOSTNAME2", "30002"));
    assert_true(is_at(&owner, "own", "30002"));
    assert_false(is_at(&owner, "own", "30001"));
    assert_false(is_at(&owner, "10.0.0.2", "31002"));
    assert_false(is_at(&owner, "10.0.0.1", "30002"));
    assert_false(is_at(&owner, "shard-id=x", "30002"));
    owner = owner_of(16383);
    assert_true(is_at(&owner, "fd00:0::3", "30005"));
    assert_string_equal(owner.named.host, "");
    owner = owner_of(100);
    assert_false(is_at(&owner, "own", "30002"));
}

static void what_is_no_answer_is_refused(void **state)
{
    static const char *const texts[] = {
        "",
        "\n",
        "OK",
        "e7d1 10.0.0.1:30001@31001 myself,master - 0 0 7",
        "e7d1 10.0.0.1:30001@31001 myself,master - 0 0 x connected 0-16383",
        "e7d1 10.0.0.1:30001@31001 myself,master - 0 0 -1 connected 0-16383",
        "e7d1 10.0.0.1:30001@31001 myself,master - 0 0 9223372036854775808 connected 0-16383",
        "e7d1 10.0.0.1:30001@31001 myself,master - 0 0 7 connected 0-16384",
        "e7d1 10.0.0.1:30001@31001 myself,master - 0 0 7 connected 0-",
        "e7d1 10.0.0.1:30001@31001 myself,master - 0 0 7 connected -9",
        "e7d1 10.0.0.1:30001@31001 myself,master - 0 0 7 connected x",
    };

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct slot_owner owner;

        assert_int_equal(slot_owner_read(texts[i], strlen(texts[i]), 42, &owner), -1);
        assert_false(owner.found);
    }
}

/* Nothing behind what was given is looked at, wherever it ends. */
static void an_answer_may_end_anywhere(void **state)
{
    (void)state;
    for (size_t length = 0; length < strlen(nodes); length++) {
        char *copy = test_malloc(length + 1);
        struct slot_owner owner;

        memcpy(copy, nodes, length);
        int error = slot_owner_read(copy, length, 16383, &owner);
        assert_true(error == 0 || !owner.found);
        test_free(copy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_slot_has_its_owner),
        cmocka_unit_test(an_owner_has_two_names),
        cmocka_unit_test(what_is_no_answer_is_refused),
        cmocka_unit_test(an_answer_may_end_anywhere),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
