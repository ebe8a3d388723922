/*
 * The keeper: a dead man's switch around one process tree.
 *
 * A fork of the same binary, made before libuv exists, and the command's parent. It needs neither
 * Redis nor the elector's event loop to keep a deadline: without an extension it sends TERM at
 * stop_at and kills the whole tree at kill_at, and when the elector dies it kills the tree and then
 * runs the last will, which releases the lease. One ppoll, no allocation after the start, fatal
 * errors only before its loop: a guardian's death kills what it guards.
 */
#ifndef LEADERWRAP_KEEPER_KEEPER_H
#define LEADERWRAP_KEEPER_KEEPER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "leaderwrap/base/inherited.h"

/* Where the command finds the lease page: beyond the numbers that scripts take for themselves. */
#define KEEPER_LEASE_FD 20

/* The term that a last will is about. */
struct keeper_term {
    uint64_t token;
    const char *version;    /* of the record, as last known to the elector */
    int64_t begun_ns;       /* CLOCK_BOOTTIME; when the command was to be started */
    int64_t valid_until_ns; /* until then nobody else can have led */
};

struct keeper_config {
    const struct inherited *inherited;
    char *const *command; /* argv, NULL-terminated; NULL runs `builtin` instead of an exec */
    int (*builtin)(void *context); /* its result is the child's exit status */
    /* Environment of the command, NULL-terminated, without LEADERWRAP_TOKEN: the keeper adds it. */
    char *const *environment;
    int64_t
        grace_ms; /* from a STOP's signal to the KILL, and for leftovers of a command that ended */
    bool stop_main_only; /* --stop-to main */
    bool guarded;        /* see keeper_fork */
    bool single_run; /* no second START will come: the standard streams are let go once the command
                        has them */
    /* Releases the lease of `term` after the elector's death, in a process of its own that ends
     * when it returns. The tree is dead by then. NULL: the lease is left to its TTL. */
    void (*last_will)(void *context, const struct keeper_term *term);
    /* One end of a pipe, kept until the keeper's death; 0: none. The keepers of hooks and health
     * commands keep the write end. The keeper that has a last will keeps the read end, and first
     * waits for its end of file: then nothing is left of their trees either. */
    int pipe;
    /* Handed to the command as KEEPER_LEASE_FD; 0: none. */
    int lease_page;
    void *context; /* for builtin and last_will */
};

/* Forks the keeper. A guarded one is not our child, but that of a process between, which sweeps the
 * tree should the keeper die, and is to be treated as the keeper itself: it ends when that does,
 * and the way that does; it may be killed in its place, and what is below it then comes to us, a
 * subreaper. So of the three any two can be killed at one instant, and nothing of the tree
 * survives.
 *
 * The calling process must be single-threaded. Returns the keeper's pid (or the other's) and puts
 * our end of the socket pair (close-on-exec, non-blocking) into `*fd`; or -errno. In the keeper
 * itself it never returns. All that `config` points to must stay as it is until the fork; the
 * keeper has its copy. */
pid_t keeper_fork(const struct keeper_config *config, int *fd);

#endif
