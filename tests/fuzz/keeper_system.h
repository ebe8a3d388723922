/*
 * The names that the linker gives to what the keeper calls (--wrap), and to what it would have
 * called.
 */
#ifndef LEADERWRAP_TEST_KEEPER_SYSTEM_H
#define LEADERWRAP_TEST_KEEPER_SYSTEM_H

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "keeper/cgroup.h"
#include "keeper/priority.h"
#include "keeper/spawn.h"
#include "leaderwrap/keeper/keeper.h"
#include "leaderwrap/keeper/tree.h"

/* The descriptors that it gets then. */
#define FD_SIGNALS 1000001
#define FD_TIMER   1000002

int64_t __wrap_clock_boottime_ns(void);
int __wrap_clock_arm_timer(int fd, int64_t at_ns);
int __wrap_ppoll(struct pollfd *fds, nfds_t count, const struct timespec *pause,
                 const sigset_t *mask);
int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout);
ssize_t __wrap_recv(int fd, void *buffer, size_t size, int flags);
ssize_t __wrap_send(int fd, const void *buffer, size_t size, int flags);
ssize_t __wrap_read(int fd, void *buffer, size_t size);
int __wrap_close(int fd);
int __wrap_open64(const char *path, int flags, ...);
int __wrap_dup2(int from, int to);
pid_t __wrap_setsid(void);
int __wrap_prctl(int option, ...);
sighandler_t __wrap_signal(int number, sighandler_t handler);
int __wrap_signalfd(int fd, const sigset_t *mask, int flags);
int __wrap_timerfd_create(clockid_t clock, int flags);
int __wrap_mlockall(int flags);
void __wrap_priority_raise(struct priority *before);
bool __wrap_cgroup_create(struct cgroup *cgroup, pid_t keeper);
void __wrap_cgroup_close(struct cgroup *cgroup);
bool __wrap_cgroup_is_populated(const struct cgroup *cgroup);
void __wrap_cgroup_kill(const struct cgroup *cgroup);
int __wrap_spawn_prepare(struct spawn *spawn, const struct keeper_config *config,
                         const struct cgroup *cgroup);
pid_t __wrap_spawn_child(struct spawn *spawn, const struct keeper_request *start, int *result);
int __wrap_kill(pid_t pid, int signal);
pid_t __wrap_fork(void);
pid_t __wrap_waitpid(pid_t pid, int *status, int flags);
enum tree_state __wrap_tree_reap(struct tree *tree);
enum tree_state __wrap_tree_sweep(struct tree *tree, struct tree_round *round);
int __wrap_tree_signal(const struct tree *tree, int signal, bool main_only);
void __wrap_tree_signal_all(const struct tree *tree, int signal);

ssize_t __real_read(int fd, void *buffer, size_t size);
int __real_close(int fd);
int __real_open64(const char *path, int flags, ...);
int __real_dup2(int from, int to);

#endif
