/* One run of the command as a state machine: what to do when something happens in a state. */
#ifndef LEADERWRAP_KEEPER_RUN_H
#define LEADERWRAP_KEEPER_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include "cgroup.h"
#include "leaderwrap/keeper/protocol.h"
#include "leaderwrap/keeper/tree.h"
#include "spawn.h"

enum run_state {
    RUN_IDLE,      /* no tree */
    RUN_STARTING,  /* forked, not known to have executed */
    RUN_RUNNING,   /* executed */
    RUN_STOPPING,  /* the stop signal was sent; the grace runs */
    RUN_LEFTOVERS, /* the command ended, what it left got TERM; a short grace runs */
    RUN_SWEEPING,  /* KILL, until nothing is left */
};

struct run {
    const struct keeper_config *config;
    const struct cgroup *cgroup;
    struct spawn *spawn;
    void (*on_message)(void *context, const struct keeper_message *message);
    void *context;

    enum run_state state;
    struct tree tree;
    pid_t command;   /* the child's pid, still known when it has been reaped */
    uint32_t number; /* of the current run, or of the last one */
    uint64_t token;
    char version[LEASE_NONCE_SIZE]; /* of the record, for the last will */
    bool latched;                   /* its own deadline passed: no extension counts any more */
    bool exit_told;                 /* CHILD_EXIT was sent, or is not to be */
    bool orphaned;                  /* the elector died before the tree did */
    uint64_t sent;                  /* signals that we sent to it: 1 << number */
    bool strayed; /* no child is left, but the cgroup is not empty: its events are worth a wake */
    int result;   /* the pipe that tells of the exec; -1 once it has */

    int64_t begun_ns;
    /* CLOCK_BOOTTIME; the state says which of them is waited for. */
    int64_t stop_at_ns;
    int64_t kill_at_ns;
    int64_t sweep_at_ns; /* end of a grace; in SWEEPING the next round */

    int64_t pause_ns;
    int64_t progress_ns; /* when a sweep round last reaped something */
    int64_t stuck_ns;    /* when STUCK was last sent */
};

/* Acts upon one request. `alone`: its sender is known to be dead. */
void run_request(struct run *run, const struct keeper_request *request, bool alone);

/* The elector is dead: ends the tree, if there is one, at once. */
void run_orphaned(struct run *run);

/* Looks at everything that may have changed: the exec pipe, dead children, the clock. */
void run_step(struct run *run);

/* When run_step is to be called next at the latest; INT64_MAX: not before something happens. */
int64_t run_wake_at(const struct run *run);

#endif
