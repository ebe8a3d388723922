/* What is known of the lease, from notes, events and messages alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "leaderwrap/base/clock.h"
#include "notes.h"
#include "wrapper/status.h"

#define BEGAN_NS  (INT64_C(1000000) * NS_PER_MS)
#define SECOND_NS (1000 * NS_PER_MS)

static struct status fresh(void)
{
    static const struct timing timing = {.renew_ms = 400};
    struct status status;

    status_init(&status, &timing, BEGAN_NS);
    return status;
}

static void is_refused(struct status *status, const char *id, uint64_t token, int64_t now_ns)
{
    struct election_note note = note_of(NOTE_WAITING, ELECTION_FOLLOWING);

    note.refusal.answered = true;
    note.refusal.record.state = LEASE_HELD;
    note.refusal.record.token = token;
    note.refusal.record.age_ms = 2000;
    snprintf(note.refusal.record.id, sizeof note.refusal.record.id, "%s", id);
    note.refusal.takeover_at_ns = now_ns + 15 * SECOND_NS;
    status_note(status, &note, now_ns);
}

static void is_granted(struct status *status, enum election_note_kind kind, int64_t start_at_ns,
                       int64_t now_ns)
{
    struct election_note note = note_of(kind, ELECTION_LEADING);

    note.grant = (struct election_grant){
        .token = 7, .deadlines = {now_ns + 1, now_ns + 2, now_ns + 3}, .start_at_ns = start_at_ns};
    status_note(status, &note, now_ns);
}

static void is_told(struct status *status, enum election_note_kind kind, enum election_state state,
                    int64_t now_ns)
{
    const struct election_note note = note_of(kind, state);

    status_note(status, &note, now_ns);
}

static void says(struct status *status, enum keeper_message_kind kind, int32_t value)
{
    status_keeper(status, &(struct keeper_message){.kind = kind, .value = value});
}

static void who_leads_and_since_when(void **state)
{
    struct status status = fresh();

    (void)state;
    assert_int_equal(status.role, STATUS_CANDIDATE);
    assert_int_equal(status.record.token, 0);
    is_refused(&status, "a#1", 7, BEGAN_NS + SECOND_NS);
    is_refused(&status, "a#1", 7, BEGAN_NS + 2 * SECOND_NS);
    assert_int_equal(status.news, STATUS_WAITING);
    assert_string_equal(status.record.id, "a#1");
    assert_int_equal(status.record_ns, BEGAN_NS + 2 * SECOND_NS);
    assert_int_equal(status.holder_since_ns, BEGAN_NS + SECOND_NS);
    assert_int_equal(status.next_at_ns, BEGAN_NS + 17 * SECOND_NS);
    assert_false(status_has_term(&status));
    /* The same one in another term, and another one in a later one. */
    is_refused(&status, "a#1", 8, BEGAN_NS + 3 * SECOND_NS);
    assert_int_equal(status.holder_since_ns, BEGAN_NS + 3 * SECOND_NS);
    is_refused(&status, "b#2", 9, BEGAN_NS + 4 * SECOND_NS);
    assert_int_equal(status.holder_since_ns, BEGAN_NS + 4 * SECOND_NS);
}

static void our_own_term_from_its_grant_to_its_release(void **state)
{
    struct status status = fresh();

    (void)state;
    is_granted(&status, NOTE_ELECTED, INT64_MAX, BEGAN_NS + SECOND_NS);
    is_granted(&status, NOTE_RENEWED, INT64_MAX, BEGAN_NS + 6 * SECOND_NS);
    assert_int_equal(status.role, STATUS_LEADER);
    assert_int_equal(status.role_since_ns, BEGAN_NS + SECOND_NS);
    assert_int_equal(status.token, 7);
    assert_int_equal(status.deadlines.stop_at_ns, BEGAN_NS + 6 * SECOND_NS + 1);
    assert_int_equal(status.next_at_ns, INT64_MAX);
    is_told(&status, NOTE_TERM_ENDING, ELECTION_STOPPING, BEGAN_NS + 7 * SECOND_NS);
    assert_int_equal(status.role, STATUS_STOPPING);
    assert_true(status_has_term(&status));
    is_told(&status, NOTE_TERM_OVER, ELECTION_RELEASING, BEGAN_NS + 8 * SECOND_NS);
    assert_int_equal(status.role, STATUS_RELEASING);
    assert_int_equal(status.token, 7);
    is_told(&status, NOTE_RELEASED, ELECTION_FOLLOWING, BEGAN_NS + 9 * SECOND_NS);
    assert_int_equal(status.role, STATUS_CANDIDATE);
    assert_int_equal(status.role_since_ns, BEGAN_NS + 9 * SECOND_NS);
    assert_int_equal(status.token, 0);
    assert_int_equal(status.deadlines.expires_at_ns, 0);
    status_exit(&status, BEGAN_NS + 10 * SECOND_NS);
    assert_int_equal(status.role, STATUS_GONE);
}

static void what_comes_next(void **state)
{
    struct status status = fresh();
    struct election_note restart = note_of(NOTE_RESTART, ELECTION_LEADING);
    struct election_note back = note_of(NOTE_STAND_BACK, ELECTION_FOLLOWING);

    (void)state;
    assert_int_equal(status.next_at_ns, INT64_MAX);
    is_granted(&status, NOTE_LOCK_DELAY, BEGAN_NS + 9 * SECOND_NS, BEGAN_NS);
    assert_int_equal(status.news, STATUS_LEADING);
    assert_int_equal(status.next_at_ns, BEGAN_NS + 9 * SECOND_NS);
    /* The renewal at which it is started, in the same step. */
    is_granted(&status, NOTE_RENEWED, BEGAN_NS + 9 * SECOND_NS, BEGAN_NS + 9 * SECOND_NS);
    assert_int_equal(status.next_at_ns, INT64_MAX);
    restart.delay_ms = 1000;
    status_note(&status, &restart, BEGAN_NS + 10 * SECOND_NS);
    assert_int_equal(status.news, STATUS_RESTARTING);
    assert_int_equal(status.next_at_ns, BEGAN_NS + 11 * SECOND_NS);
    back.delay_ms = 30000;
    status_note(&status, &back, BEGAN_NS + 12 * SECOND_NS);
    assert_int_equal(status.news, STATUS_STANDING_BACK);
    assert_int_equal(status.next_at_ns, BEGAN_NS + 42 * SECOND_NS);
}

static void who_has_taken_the_lease_away(void **state)
{
    struct status status = fresh();
    struct election_note lost = note_of(NOTE_TERM_ENDING, ELECTION_STOPPING);

    (void)state;
    is_granted(&status, NOTE_ELECTED, INT64_MAX, BEGAN_NS);
    lost.end = END_LOST;
    lost.record.token = 8;
    status_note(&status, &lost, BEGAN_NS + SECOND_NS);
    assert_int_equal(status.record.token, 8);
    assert_int_equal(status.well_since_ns, BEGAN_NS + SECOND_NS);
    /* Other ends say nothing of that. */
    is_told(&status, NOTE_TERM_ENDING, ELECTION_STOPPING, BEGAN_NS + 2 * SECOND_NS);
    assert_int_equal(status.record.token, 8);
    assert_int_equal(status.well_since_ns, BEGAN_NS + SECOND_NS);
}

static void what_is_wrong_and_for_how_long(void **state)
{
    struct status status = fresh();
    struct election_note retry = note_of(NOTE_RETRY, ELECTION_FOLLOWING);
    const struct lease_reply refusal = {.verdict = LEASE_REFUSED};
    struct lease_reply error = {.verdict = LEASE_FAILED, .text = "busy"};

    (void)state;
    status_closed(&status, "connection refused");
    retry.delay_ms = 500;
    status_note(&status, &retry, BEGAN_NS + SECOND_NS);
    assert_int_equal(status.news, STATUS_CUT_OFF);
    assert_int_equal(status.next_at_ns, BEGAN_NS + SECOND_NS + 500 * NS_PER_MS);
    assert_string_equal(status.why, "connection refused");
    /* One that is mute has another reason. */
    status_opened(&status);
    status_note(&status, &retry, BEGAN_NS + 2 * SECOND_NS);
    assert_string_equal(status.why, "");
    status_opened(&status);
    assert_true(status_answered(&status, &error));
    assert_string_equal(status.why, "busy");
    assert_int_equal(status.well_since_ns, BEGAN_NS);
    assert_false(status_answered(&status, &refusal));
    is_refused(&status, "a#1", 7, BEGAN_NS + 5 * SECOND_NS);
    assert_int_equal(status.outage_ns, 5 * SECOND_NS);
    assert_int_equal(status.well_since_ns, BEGAN_NS + 5 * SECOND_NS);
}

/* A job that gives up says nothing new, unless it has just been refused. */
static void giving_up_keeps_what_was_known(void **state)
{
    struct status status = fresh();
    struct election_note busy = note_of(NOTE_BUSY, ELECTION_DONE);

    (void)state;
    is_refused(&status, "a#1", 7, BEGAN_NS + SECOND_NS);
    status_note(&status, &busy, BEGAN_NS + 2 * SECOND_NS);
    assert_int_equal(status.role, STATUS_GONE);
    assert_int_equal(status.record.token, 7);
    assert_int_equal(status.well_since_ns, BEGAN_NS + SECOND_NS);
    busy.refusal.answered = true;
    busy.refusal.record.token = 8;
    status_note(&status, &busy, BEGAN_NS + 3 * SECOND_NS);
    assert_int_equal(status.record.token, 8);
    assert_int_equal(status.well_since_ns, BEGAN_NS + 3 * SECOND_NS);
}

static void what_becomes_of_the_command(void **state)
{
    struct status status = fresh();

    (void)state;
    assert_int_equal(status.command, COMMAND_NONE);
    says(&status, KEEPER_STARTED, 4242);
    says(&status, KEEPER_STOPPING, 0);
    assert_int_equal(status.command, COMMAND_RUNNING);
    assert_int_equal(status.pid, 4242);
    says(&status, KEEPER_CHILD_EXIT, 0);
    assert_int_equal(status.command, COMMAND_ENDED);
    assert_int_equal(status.pid, 0);
    says(&status, KEEPER_STUCK, 2);
    assert_int_equal(status.command, COMMAND_STUCK);
    says(&status, KEEPER_TREE_DEAD, 0);
    assert_int_equal(status.command, COMMAND_NONE);
}

static void when_this_process_stood_still(void **state)
{
    static const struct timing slow = {.renew_ms = 5000};
    const int64_t late_ns = BEGAN_NS + 400 * NS_PER_MS;
    struct status status = fresh();

    (void)state;
    assert_false(status_begin_step(&status, INT64_MAX, late_ns));
    assert_false(status_begin_step(&status, BEGAN_NS, late_ns - 1));
    assert_int_equal(status.stalled_ns, 0);
    assert_true(status_begin_step(&status, BEGAN_NS, late_ns));
    /* It is no news twice, but true until all has been told. */
    assert_false(status_begin_step(&status, BEGAN_NS, late_ns + 1));
    assert_int_equal(status.stalled_ns, 400 * NS_PER_MS);
    assert_int_equal(status.well_since_ns, late_ns);
    status_end_step(&status);
    assert_int_equal(status.stalled_ns, 0);
    status_init(&status, &slow, BEGAN_NS);
    assert_false(status_begin_step(&status, BEGAN_NS, BEGAN_NS + SECOND_NS - 1));
    assert_true(status_begin_step(&status, BEGAN_NS, BEGAN_NS + SECOND_NS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_leads_and_since_when),
        cmocka_unit_test(our_own_term_from_its_grant_to_its_release),
        cmocka_unit_test(what_comes_next),
        cmocka_unit_test(who_has_taken_the_lease_away),
        cmocka_unit_test(what_is_wrong_and_for_how_long),
        cmocka_unit_test(giving_up_keeps_what_was_known),
        cmocka_unit_test(what_becomes_of_the_command),
        cmocka_unit_test(when_this_process_stood_still),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
