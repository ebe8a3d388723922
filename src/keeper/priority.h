/* Ahead of whatever keeps the machine busy, first of all of the tree that is to be killed. */
#ifndef LEADERWRAP_KEEPER_PRIORITY_H
#define LEADERWRAP_KEEPER_PRIORITY_H

struct priority {
    int policy; /* as of sched_getscheduler(2); -1: nothing was changed */
    int nice;
};

/* Raises the calling thread as far as it is allowed to: nice -20, and the lowest real-time
 * priority. Nice alone does not help against a tree whose processes start sessions of their own:
 * with autogroups (sched(7)) each of them weighs as much as we do, and a hundred that fork as fast
 * as they can held up a keeper for seconds. Processes forked meanwhile are ordinary ones again, but
 * for their nice value (SCHED_RESET_ON_FORK). `before` is for priority_restore; NULL is fine. */
void priority_raise(struct priority *before);

void priority_restore(const struct priority *before);

#endif
