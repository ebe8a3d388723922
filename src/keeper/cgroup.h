/*
 * cgroup.kill, where a cgroup v2 is delegated to us: the one kill that no fork can outrun.
 *
 * The tree gets a leaf of its own below the cgroup leaderwrap runs in. Everything here is best
 * effort: without it the sweep does the same work by itself, and ECHILD is the only proof that a
 * tree is gone. With it the leaf must be empty, too: a process that has entered a PID namespace
 * from elsewhere (nsenter(1)) leaves its orphans to the first process of that, and not to us.
 * (https://docs.kernel.org/admin-guide/cgroup-v2.html; https://systemd.io/CGROUP_DELEGATION/)
 */
#ifndef LEADERWRAP_KEEPER_CGROUP_H
#define LEADERWRAP_KEEPER_CGROUP_H

#include <stdbool.h>
#include <sys/types.h>

struct cgroup {
    int parent; /* our own cgroup's directory; -1: no cgroup, and nothing below does anything */
    int procs;  /* the leaf's cgroup.procs */
    int kill;   /* the leaf's cgroup.kill; -1 before Linux 5.14 */
    int events; /* the leaf's cgroup.events: POLLPRI when what it says has changed since it was read
                 */
    char leaf[48];
};

/* Makes the leaf `leaderwrap-<PID namespace>-<keeper>` if our cgroup is delegated to us: marked so
 * by the manager (user.delegate or trusted.delegate), or owned by our own non-root user and
 * writable. Returns whether there is one. Close with cgroup_close either way. */
bool cgroup_create(struct cgroup *cgroup, pid_t keeper);

/* Finds the leaf that a keeper made; for the process that sweeps after the keeper's death. */
bool cgroup_adopt(struct cgroup *cgroup, pid_t keeper);

/* Moves the calling process into the leaf. Async-signal-safe. */
void cgroup_enter(const struct cgroup *cgroup);

/* Kills everything in the leaf. */
void cgroup_kill(const struct cgroup *cgroup);

/* Whether the leaf is known to have a living process in it. */
bool cgroup_is_populated(const struct cgroup *cgroup);

/* Removes the leaf, if it is empty, and closes the descriptors. */
void cgroup_close(struct cgroup *cgroup);

#endif
