/*
 * A keeper that says what the test tells it to, at the time that the test says it is, in the place
 * of the real one and of the link to it (the linker's --wrap).
 */
#ifndef LEADERWRAP_TEST_FAKE_KEEPER_H
#define LEADERWRAP_TEST_FAKE_KEEPER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "leaderwrap/base/clock.h"
#include "leaderwrap/keeper/keeper.h"
#include "leaderwrap/keeper/keeper_link.h"

#define FAKE_PID       4711
#define FAKE_FD        42
#define FAKE_BEGAN_NS  (1000000 * NS_PER_MS)
#define FAKE_COMMAND   8
#define FAKE_WORD_SIZE 256

struct keeper_link {
    struct keeper_link_callbacks callbacks;
    void *context;
    bool closed;
};

static struct {
    int64_t now_ns;
    int fork_error; /* of the next fork, as of the next opening: -errno */
    int open_error;
    int forks;
    char command[FAKE_COMMAND][FAKE_WORD_SIZE]; /* what was forked last */
    struct keeper_link link;                    /* of the companion */
    int sent;                                   /* requests that were not looked at yet */
    struct keeper_request request;              /* the last one */
    bool spared;                                /* the keeper is still to be reaped */
    int killed;                                 /* what was sent by kill(2) */
} fake;

pid_t __wrap_keeper_fork(const struct keeper_config *config, int *fd);
int __wrap_keeper_link_open_companion(struct keeper_link **link, uv_loop_t *loop, int fd,
                                      int64_t ack_timeout_ms,
                                      const struct keeper_link_callbacks *callbacks, void *context);
void __wrap_keeper_link_send(struct keeper_link *link, const struct keeper_request *request);
void __wrap_keeper_link_close(struct keeper_link *link);
bool __wrap_keeper_link_unspare(struct keeper_link *link, pid_t pid);
int __wrap_kill(pid_t pid, int number);
int64_t __wrap_clock_boottime_ns(void);

pid_t __wrap_keeper_fork(const struct keeper_config *config, int *fd)
{
    if (fake.fork_error != 0)
        return fake.fork_error;
    memset(fake.command, 0, sizeof fake.command);
    for (int i = 0; config->command[i] != NULL; i++)
        snprintf(fake.command[i], FAKE_WORD_SIZE, "%s", config->command[i]);
    fake.forks++;
    *fd = FAKE_FD;
    return FAKE_PID;
}

int __wrap_keeper_link_open_companion(struct keeper_link **link, uv_loop_t *loop, int fd,
                                      int64_t ack_timeout_ms,
                                      const struct keeper_link_callbacks *callbacks, void *context)
{
    (void)loop;
    assert_int_equal(fd, FAKE_FD);
    assert_int_equal(ack_timeout_ms, 1234);
    if (fake.open_error != 0)
        return fake.open_error;
    fake.link = (struct keeper_link){.callbacks = *callbacks, .context = context};
    *link = &fake.link;
    return 0;
}

void __wrap_keeper_link_send(struct keeper_link *link, const struct keeper_request *request)
{
    assert_ptr_equal(link, &fake.link);
    assert_false(link->closed);
    fake.request = *request;
    fake.sent++;
}

void __wrap_keeper_link_close(struct keeper_link *link)
{
    if (link != NULL)
        link->closed = true;
}

bool __wrap_keeper_link_unspare(struct keeper_link *link, pid_t pid)
{
    assert_ptr_not_equal(link, &fake.link);
    assert_int_equal(pid, FAKE_PID);
    return fake.spared;
}

int __wrap_kill(pid_t pid, int number)
{
    assert_int_equal(pid, FAKE_PID);
    fake.killed = number;
    return 0;
}

int64_t __wrap_clock_boottime_ns(void)
{
    return fake.now_ns;
}

static inline void fake_begin(void)
{
    memset(&fake, 0, sizeof fake);
    fake.now_ns = FAKE_BEGAN_NS;
    fake.spared = true;
}

/* The keeper has a word to say about `run`. */
static inline void fake_says_of(uint32_t run, enum keeper_message_kind kind, int value)
{
    const struct keeper_message message = {.kind = kind, .run = run, .value = value};

    fake.link.callbacks.on_message(fake.link.context, &message);
}

/* The same about the run that it was asked for last. */
static inline void fake_says(enum keeper_message_kind kind, int value)
{
    fake_says_of(fake.request.run, kind, value);
}

/* The run ends by itself, with this wait status. */
static inline void fake_ends(int wait_status)
{
    fake_says(KEEPER_STARTED, 1);
    fake_says(KEEPER_CHILD_EXIT, wait_status);
    fake_says(KEEPER_TREE_DEAD, 0);
}

/* The one request that came since this was last asked. */
static inline struct keeper_request fake_asked(enum keeper_request_kind kind)
{
    assert_int_equal(fake.sent, 1);
    assert_int_equal(fake.request.kind, kind);
    fake.sent = 0;
    return fake.request;
}

static inline void fake_asked_nothing(void)
{
    assert_int_equal(fake.sent, 0);
}

/* It is so long after the beginning of the test. */
static inline void fake_at(int64_t ms)
{
    fake.now_ns = FAKE_BEGAN_NS + ms * NS_PER_MS;
}

static inline int64_t fake_ns(int64_t ms)
{
    return FAKE_BEGAN_NS + ms * NS_PER_MS;
}

/* The command's own link, which only has an address here. */
static inline struct keeper_link *fake_other_link(void)
{
    static struct keeper_link other;

    return &other;
}

#endif
