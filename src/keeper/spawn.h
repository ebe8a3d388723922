/* Starting the command: everything between fork(2) and exec(3). */
#ifndef LEADERWRAP_KEEPER_SPAWN_H
#define LEADERWRAP_KEEPER_SPAWN_H

#include <stdint.h>
#include <sys/types.h>

#include "cgroup.h"
#include "leaderwrap/keeper/keeper.h"
#include "leaderwrap/keeper/protocol.h"

struct spawn {
    const struct keeper_config *config;
    const struct cgroup *cgroup;
    pid_t keeper;       /* us, as the child is to see its parent */
    int directory;      /* the command's working directory; -1: the current one */
    char name[16];      /* what the process was called before it became the keeper */
    char **environment; /* config's, with slots for the words of the run */
    char **words;       /* the first of those slots */
    char token[40];
    char event[24 + KEEPER_WORD_SIZE];
    char reason[24 + KEEPER_WORD_SIZE];
};

/* Prepares everything that needs memory. Returns 0 or -errno. What `config` and `cgroup` point to
 * must live on. */
int spawn_prepare(struct spawn *spawn, const struct keeper_config *config,
                  const struct cgroup *cgroup);

/* Forks the command as leader of a group of its own, as `start`, a KEEPER_START, asks for it.
 * Returns its pid or -errno. `*result` becomes the read end of a pipe, non-blocking: end of file
 * says that the command was executed, an int is the errno of why it was not (ETIME: stop_at had
 * passed). */
pid_t spawn_child(struct spawn *spawn, const struct keeper_request *start, int *result);

/* Closes all descriptors from `first` on; from `first` to before `end`. Async-signal-safe. */
void spawn_close_from(int first);
void spawn_close_between(int first, int end);

/* In a fork of the keeper that is to be an ordinary process again: name and working directory. */
void spawn_undo(const struct spawn *spawn);

#endif
