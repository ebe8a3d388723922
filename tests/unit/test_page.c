/* The lease page: what it says after which action, whole at any moment, and to be read only. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "leaderwrap/base/clock.h"
#include "leaderwrap/election/timing.h"
#include "wrapper/page.h"

#define TOKEN        41
#define FUTURE_WRITE 0x10 /* F_SEAL_FUTURE_WRITE, which not every C library knows */

static struct timing timing_of_15s(void)
{
    const struct timing_request request = timing_request_of(15000);
    struct timing timing;
    char error[400];

    assert_int_equal(timing_derive(&request, &timing, error, sizeof error), 0);
    return timing;
}

static int open_page(void **state)
{
    static struct page page;
    struct timing timing = timing_of_15s();

    assert_int_equal(page_open(&page, &timing), 0);
    *state = &page;
    return 0;
}

static int close_page(void **state)
{
    page_close(*state);
    return 0;
}

static void perform(const struct page *page, const struct election_action *action)
{
    page_before(page, action);
    page_after(page, action);
}

static struct election_action run_of(enum election_action_kind kind, int64_t sent_ns)
{
    struct timing timing = timing_of_15s();

    return (struct election_action){
        .kind = kind,
        .run = {.number = 1, .token = TOKEN, .deadlines = timing_deadlines(&timing, sent_ns)}};
}

static struct election_action note_of(enum election_note_kind kind)
{
    return (struct election_action){.kind = ACTION_TELL, .note = {.kind = kind}};
}

static struct leaderwrap_lease said(const struct page *page)
{
    struct leaderwrap_lease lease;

    leaderwrap_lease_read(page->memory, &lease);
    return lease;
}

static void there_is_no_term_at_first(void **state)
{
    const struct page *page = *state;

    assert_int_equal(said(page).state, LEADERWRAP_LEASE_NONE);
    assert_int_equal(leaderwrap_lease_left_ns(page->memory, 0), 0);
    assert_int_equal(leaderwrap_lease_left_ns(NULL, TOKEN), 0);
}

static void a_start_and_an_extension_say_until_when(void **state)
{
    struct page *page = *state;
    struct timing timing = timing_of_15s();
    int64_t sent_ns = clock_boottime_ns() - ms_to_ns(1000);
    struct election_action start = run_of(ACTION_START, sent_ns);
    struct election_action extend = run_of(ACTION_EXTEND, sent_ns + ms_to_ns(500));

    /* Before the command can look. */
    page_before(page, &start);
    assert_int_equal(said(page).state, LEADERWRAP_LEASE_HELD);
    assert_int_equal(said(page).token, TOKEN);
    assert_int_equal(said(page).renewed_ns, sent_ns);
    assert_int_equal(said(page).stop_at_ns, sent_ns + ms_to_ns(timing.stop_after_ms));
    assert_int_equal(said(page).kill_at_ns, sent_ns + ms_to_ns(timing.kill_after_ms));
    int64_t left_ns = leaderwrap_lease_left_ns(page->memory, TOKEN);
    assert_in_range(left_ns, 1, ms_to_ns(timing.stop_after_ms - 1000));
    assert_int_equal(leaderwrap_lease_left_ns(page->memory, TOKEN + 1), 0);

    /* Not before the keeper was told. */
    page_before(page, &extend);
    assert_int_equal(said(page).renewed_ns, sent_ns);
    page_after(page, &extend);
    assert_int_equal(said(page).renewed_ns, sent_ns + ms_to_ns(500));
}

static void the_time_runs_out_by_itself(void **state)
{
    struct page *page = *state;
    struct timing timing = timing_of_15s();
    struct election_action start =
        run_of(ACTION_START, clock_boottime_ns() - ms_to_ns(timing.stop_after_ms));

    perform(page, &start);
    assert_int_equal(said(page).state, LEADERWRAP_LEASE_HELD);
    assert_int_equal(leaderwrap_lease_left_ns(page->memory, TOKEN), 0);
}

static void each_end_of_a_term_is_said_at_once(void **state)
{
    static const struct {
        struct election_action action;
        uint64_t state;
    } ends[] = {
        {{.kind = ACTION_STOP_TREE}, LEADERWRAP_LEASE_ENDING},
        {{.kind = ACTION_KILL_TREE}, LEADERWRAP_LEASE_ENDING},
        {{.kind = ACTION_ABANDON_KEEPER}, LEADERWRAP_LEASE_ENDING},
        {{.kind = ACTION_TELL, .note = {.kind = NOTE_TERM_ENDING}}, LEADERWRAP_LEASE_ENDING},
        {{.kind = ACTION_TELL, .note = {.kind = NOTE_TERM_OVER}}, LEADERWRAP_LEASE_NONE},
        {{.kind = ACTION_EXIT}, LEADERWRAP_LEASE_NONE},
    };
    struct page *page = *state;

    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        int64_t now_ns = clock_boottime_ns();
        struct election_action start = run_of(ACTION_START, now_ns);
        struct election_action late = run_of(ACTION_EXTEND, now_ns);
        perform(page, &start);
        assert_true(leaderwrap_lease_left_ns(page->memory, TOKEN) > 0);
        page_before(page, &ends[i].action);
        assert_int_equal(said(page).state, ends[i].state);
        assert_int_equal(said(page).token, TOKEN);
        assert_int_equal(leaderwrap_lease_left_ns(page->memory, TOKEN), 0);
        /* What is being ended is not revived, and what is over not ended again. */
        perform(page, &late);
        struct election_action stop = {.kind = ACTION_STOP_TREE};
        perform(page, &stop);
        assert_int_equal(said(page).state, ends[i].state);
    }
}

static void other_news_change_nothing(void **state)
{
    struct page *page = *state;
    struct election_action start = run_of(ACTION_START, clock_boottime_ns());
    struct election_action note = note_of(NOTE_RENEWAL_FAILED);

    perform(page, &start);
    perform(page, &note);
    assert_int_equal(said(page).state, LEADERWRAP_LEASE_HELD);
}

static void without_a_page_nothing_is_done(void **state)
{
    const struct page none = {.fd = -1};
    struct election_action start = run_of(ACTION_START, 0);
    struct election_action extend = run_of(ACTION_EXTEND, 0);

    (void)state;
    perform(&none, &start);
    perform(&none, &extend);
}

struct writer {
    struct leaderwrap_lease_page *memory;
    uint64_t writes;
    int done;
};

static void *write_on(void *argument)
{
    struct writer *writer = argument;

    while (!__atomic_load_n(&writer->done, __ATOMIC_RELAXED)) {
        int64_t n = (int64_t)++writer->writes;
        const struct leaderwrap_lease lease = {(uint64_t)n, (uint64_t)n, n, n, n};
        page_write(writer->memory, &lease);
    }
    return NULL;
}

static void no_read_is_torn_and_none_goes_back(void **state)
{
    const struct page *page = *state;
    struct writer writer = {.memory = page->memory};
    uint64_t last = 0;
    uint64_t seen = 0;
    pthread_t thread;

    assert_int_equal(pthread_create(&thread, NULL, write_on, &writer), 0);
    int64_t end_ns = clock_boottime_ns() + ms_to_ns(300);
    /* On one processor the other thread may take a while to come. */
    while (clock_boottime_ns() < end_ns || (seen < 100 && clock_boottime_ns() < end_ns * 2)) {
        struct leaderwrap_lease lease = said(page);
        bool whole = lease.token == lease.state && lease.renewed_ns == (int64_t)lease.state &&
                     lease.stop_at_ns == (int64_t)lease.state &&
                     lease.kill_at_ns == (int64_t)lease.state;
        if (!whole || lease.state < last)
            fail_msg("torn or older: %llu after %llu", (unsigned long long)lease.state,
                     (unsigned long long)last);
        seen += lease.state != last;
        last = lease.state;
    }
    __atomic_store_n(&writer.done, 1, __ATOMIC_RELAXED);
    pthread_join(thread, NULL);
    assert_true(seen >= 100);
    assert_int_equal(said(page).state, writer.writes);
}

/* As a writer that is stopped between two of its stores leaves it. */
static void a_writer_stopped_in_the_middle_delays_no_reader(void **state)
{
    struct page *page = *state;
    const struct leaderwrap_lease lease = {LEADERWRAP_LEASE_HELD, TOKEN, 1, 2, 3};

    page_write(page->memory, &lease);
    uint64_t whole = page->memory->sequence;
    page->memory->sequence = whole + 1;
    page->memory->copies[0].token = 0;
    assert_int_equal(said(page).token, TOKEN);
    page->memory->copies[0] = lease;
    page->memory->sequence = whole + 2;
    page->memory->copies[1].token = 0;
    assert_int_equal(said(page).token, TOKEN);
}

static bool kernel_has_the_seal(void)
{
    int fd = memfd_create("probe", MFD_ALLOW_SEALING);
    bool has = fcntl(fd, F_ADD_SEALS, FUTURE_WRITE) == 0;

    assert_true(fd >= 0);
    close(fd);
    return has;
}

static void whoever_has_the_descriptor_may_only_read(void **state)
{
    const struct page *page = *state;
    size_t size = sizeof *page->memory;
    char path[32];
    uint64_t zero = 0;

    assert_int_equal(pwrite(page->fd, &zero, sizeof zero, 0), -1);
    assert_true(mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, page->fd, 0) == MAP_FAILED);
    assert_int_equal(ftruncate(page->fd, 0), -1);
    assert_int_equal(fcntl(page->fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
    int seals = fcntl(page->fd, F_GET_SEALS);
    assert_true((seals & F_SEAL_SHRINK) != 0 && (seals & F_SEAL_SEAL) != 0);
    assert_int_equal((seals & FUTURE_WRITE) != 0, kernel_has_the_seal());
    /* root may open it again for writing, and can do no more with it. */
    snprintf(path, sizeof path, "/proc/self/fd/%d", page->fd);
    int again = open(path, O_RDWR);
    if (again < 0)
        return;
    if ((seals & FUTURE_WRITE) != 0) {
        assert_int_equal(pwrite(again, &zero, sizeof zero, 0), -1);
        assert_true(mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, again, 0) == MAP_FAILED);
    }
    close(again);
}

static void a_fork_does_not_have_the_memory(void **state)
{
    const struct page *page = *state;
    unsigned char resident;
    int status;

    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(mincore(page->memory, 1, &resident) == -1 && errno == ENOMEM ? 0 : 1);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void the_reader_finds_the_page_by_its_variable(void **state)
{
    const struct page *page = *state;
    struct election_action start = run_of(ACTION_START, clock_boottime_ns());
    char path[32];

    snprintf(path, sizeof path, "/proc/self/fd/%d", page->fd);
    setenv("LEADERWRAP_LEASE", path, 1);
    const struct leaderwrap_lease_page *found = leaderwrap_lease_open();
    assert_non_null(found);
    perform(page, &start);
    assert_true(leaderwrap_lease_left_ns(found, TOKEN) > 0);
    munmap((void *)found, sizeof *found);
}

static void what_is_no_page_is_refused(void **state)
{
    struct page *page = *state;
    char path[32];

    unsetenv("LEADERWRAP_LEASE");
    assert_null(leaderwrap_lease_open());
    assert_int_equal(errno, ENOENT);
    setenv("LEADERWRAP_LEASE", "/nowhere", 1);
    assert_null(leaderwrap_lease_open());
    assert_int_equal(errno, ENOENT);
    /* Too short. */
    setenv("LEADERWRAP_LEASE", "/dev/null", 1);
    assert_null(leaderwrap_lease_open());
    assert_int_equal(errno, EPROTO);
    /* Of another layout. */
    snprintf(path, sizeof path, "/proc/self/fd/%d", page->fd);
    setenv("LEADERWRAP_LEASE", path, 1);
    page->memory->magic++;
    assert_null(leaderwrap_lease_open());
    assert_int_equal(errno, EPROTO);
}

int main(void)
{
#define WITH_PAGE(test) cmocka_unit_test_setup_teardown(test, open_page, close_page)
    const struct CMUnitTest tests[] = {
        WITH_PAGE(there_is_no_term_at_first),
        WITH_PAGE(a_start_and_an_extension_say_until_when),
        WITH_PAGE(the_time_runs_out_by_itself),
        WITH_PAGE(each_end_of_a_term_is_said_at_once),
        WITH_PAGE(other_news_change_nothing),
        cmocka_unit_test(without_a_page_nothing_is_done),
        WITH_PAGE(no_read_is_torn_and_none_goes_back),
        WITH_PAGE(a_writer_stopped_in_the_middle_delays_no_reader),
        WITH_PAGE(whoever_has_the_descriptor_may_only_read),
        WITH_PAGE(a_fork_does_not_have_the_memory),
        WITH_PAGE(the_reader_finds_the_page_by_its_variable),
        WITH_PAGE(what_is_no_page_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
