/*
 * Who is whose child, read from /proc (proc(5)) without allocating anything.
 */
#ifndef LEADERWRAP_KEEPER_PROC_H
#define LEADERWRAP_KEEPER_PROC_H

#include <stdbool.h>
#include <sys/types.h>

/* Called for each child found; false ends the walk. */
typedef bool proc_visit_fn(void *context, pid_t pid);

enum proc_walk {
    /* Every child there was at the end of the walk has been visited, provided that `visit` reaped
     * none. */
    PROC_EXACT,
    /* Children may have been missed. */
    PROC_LOOSE,
    /* /proc is missing or belongs to another PID namespace: nothing was visited. */
    PROC_NONE,
};

/* Visits the children of the calling thread (processes reparented to it included), zombies too.
 *
 * Exact with CONFIG_PROC_CHILDREN: the kernel adds children at the end of the list only, and none
 * leaves it before it is reaped, so the list read to its end is the list as it is at that instant.
 * Without that option all of /proc is searched for our pid as the parent, which is loose. */
enum proc_walk proc_own_children(proc_visit_fn *visit, void *context);

/* The same by searching all of /proc; for kernels without CONFIG_PROC_CHILDREN. */
enum proc_walk proc_search_children(pid_t parent, proc_visit_fn *visit, void *context);

/* Visits the children of all threads of `parent`. Loose: they come and go meanwhile. */
enum proc_walk proc_children_of(pid_t parent, proc_visit_fn *visit, void *context);

/* The parent of `pid`, 0 if it cannot be read (or has none here). */
pid_t proc_parent(pid_t pid);

#endif
