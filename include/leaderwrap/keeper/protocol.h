/*
 * What elector and keeper say to each other: fixed records over a SOCK_SEQPACKET socket pair, one
 * record per packet, both sides forks of one binary (so no byte order, no versions).
 *
 * A run is one start of the command, numbered from 1. A request for another run than the current
 * one is acknowledged and otherwise ignored: it was sent before its sender knew of the end.
 */
#ifndef LEADERWRAP_KEEPER_PROTOCOL_H
#define LEADERWRAP_KEEPER_PROTOCOL_H

#include <stddef.h>
#include <stdint.h>

#include "leaderwrap/base/lease.h"

#define KEEPER_WORD_SIZE 24

enum keeper_request_kind {
    KEEPER_START = 1, /* start the command as `run`; token, version, event, stop_at, kill_at */
    KEEPER_EXTEND,    /* move the deadlines of `run`, which never move backwards; version */
    KEEPER_SIGNAL,    /* pass `signal` on to the command's group */
    KEEPER_STOP, /* `signal` to the tree, then KILL after the grace, at the latest at kill_at */
    KEEPER_KILL, /* KILL the tree now */
};

struct keeper_request {
    uint32_t kind;
    uint32_t run;
    uint32_t sequence; /* echoed in the ACK; > 0 */
    int32_t signal;
    uint64_t token;
    int64_t stop_at_ns; /* CLOCK_BOOTTIME */
    int64_t kill_at_ns;
    char version[LEASE_NONCE_SIZE]; /* what the last will may release */
    /* For the environment of a hook; empty: none. */
    char event[KEEPER_WORD_SIZE];
    char reason[KEEPER_WORD_SIZE];
};

enum keeper_message_kind {
    KEEPER_ACK = 1,     /* `sequence` was read and acted upon */
    KEEPER_STARTED,     /* the command was executed; value = its pid */
    KEEPER_EXEC_FAILED, /* it could not be; value = errno; TREE_DEAD follows */
    KEEPER_NOT_STARTED, /* no process could be made for it (value = errno), or its deadline had
                           passed (ETIME); TREE_DEAD follows */
    KEEPER_STOPPING, /* the keeper's own deadline passed: TERM was sent; value = 0, or 1 if kill_at
                        had passed too and the tree is killed instead */
    KEEPER_CHILD_EXIT, /* the command's own process ended; value = wait status as of waitpid(2),
                          error = KEEPER_ENDED_BY_US where a signal did it that the keeper sent */
    KEEPER_TREE_DEAD,  /* nothing of `run` is left: wait(2) said ECHILD */
    KEEPER_STUCK,      /* value = processes that do not die, error = why the last kill failed (0 if
                          it did not fail); repeated at most once a second while it lasts */
};

#define KEEPER_ENDED_BY_US 1

struct keeper_message {
    uint32_t kind;
    uint32_t run;
    uint32_t sequence;
    int32_t value;
    int32_t error;
};

#endif
