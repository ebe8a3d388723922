/*
 * The elector's end of the keeper.
 *
 * A uv_poll on the socket, one on a pidfd of the keeper where there is such a thing, and one timer
 * that has three uses, never two at a time: the ACK that is due, the callbacks that must come from
 * the loop, and the pause between two rounds of the sweep.
 */
#include "leaderwrap/keeper/keeper_link.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cgroup.h"
#include "leaderwrap/base/clock.h"
#include "leaderwrap/keeper/tree.h"
#include "priority.h"
#include "proc.h"

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

#define PAUSE_MAX_MS 50

enum link_state {
    LINK_UP,
    LINK_LOST,  /* the keeper was killed, on_lost is to come */
    LINK_SWEEP, /* on_lost was called, something is left of the tree */
    LINK_SWEPT, /* on_swept was called */
    LINK_CLOSED,
};

struct keeper_link {
    struct keeper_link_callbacks callbacks;
    void *context;
    enum link_state state;
    bool companion; /* neither reaps nor sweeps */
    int fd;
    int pidfd;    /* -1 on a kernel without, and for a companion */
    pid_t keeper; /* 0 for a companion */
    uv_poll_t socket_poll;
    uv_poll_t pid_poll;
    uv_timer_t timer;
    int open_handles; /* a handle that was opened has its `data` set */

    int64_t ack_timeout_ns;
    uint32_t sent;            /* sequence of the last request */
    uint32_t acknowledged;    /* of the last ACK */
    int64_t waiting_since_ns; /* for the next ACK */

    char why[160];
    pid_t
        *spare; /* children that are no part of the tree, sorted; the keeper while it is trusted */
    int spare_room;
    uint64_t pause_ms;
    struct tree tree;
    struct cgroup cgroup;
    struct priority priority; /* before the sweep */
};

static void on_timer(uv_timer_t *timer);

static void set_timer(struct keeper_link *link, int64_t delay_ms)
{
    uv_update_time(link->timer.loop);
    /* It fails only for a handle that is being closed. */
    (void)uv_timer_start(&link->timer, on_timer, delay_ms < 0 ? 0 : (uint64_t)delay_ms, 0);
}

static int find_spare(const struct keeper_link *link, pid_t pid)
{
    int at = tree_find_spare(&link->tree, pid);
    return at < link->tree.spare_count && link->spare[at] == pid ? at : -1;
}

static void remove_spare(struct keeper_link *link, int at)
{
    int behind = --link->tree.spare_count - at;
    memmove(link->spare + at, link->spare + at + 1, (size_t)behind * sizeof link->spare[0]);
}

static int add_spare(struct keeper_link *link, pid_t pid)
{
    int count = link->tree.spare_count;

    if (count == link->spare_room) {
        int room = count == 0 ? 8 : 2 * count;
        pid_t *larger = realloc(link->spare, (size_t)room * sizeof larger[0]);
        if (larger == NULL)
            return -ENOMEM;
        link->tree.spare = link->spare = larger;
        link->spare_room = room;
    }
    int at = tree_find_spare(&link->tree, pid);
    memmove(link->spare + at + 1, link->spare + at, (size_t)(count - at) * sizeof link->spare[0]);
    link->spare[at] = pid;
    link->tree.spare_count++;
    return 0;
}

/* Takes the keeper for one more child to be swept: what comes back to us from below it is the tree.
 */
static void prepare_sweep(struct keeper_link *link)
{
    /* It has not been reaped if it is still among the spared, so the number is its own. */
    int at = find_spare(link, link->keeper);

    if (at >= 0) {
        (void)kill(link->keeper, SIGKILL);
        remove_spare(link, at);
    }
    (void)cgroup_adopt(&link->cgroup, link->keeper);
    priority_raise(&link->priority);
}

/* Ends the trust in the keeper. */
static void lose(struct keeper_link *link, const char *why)
{
    if (link->state != LINK_UP)
        return;
    link->state = LINK_LOST;
    snprintf(link->why, sizeof link->why, "%s", why);
    (void)uv_poll_stop(&link->socket_poll);
    if (link->pidfd >= 0)
        (void)uv_poll_stop(&link->pid_poll);
    if (!link->companion)
        prepare_sweep(link);
    set_timer(link, 0);
}

static void lose_by_errno(struct keeper_link *link, const char *what, int error)
{
    char why[sizeof link->why];

    snprintf(why, sizeof why, "%s: %s", what, strerror(error));
    lose(link, why);
}

static void lose_by_exit(struct keeper_link *link, int status)
{
    char why[sizeof link->why];

    if (WIFSIGNALED(status))
        snprintf(why, sizeof why, "keeper or guard was killed by signal %d", WTERMSIG(status));
    else
        snprintf(why, sizeof why, "keeper or guard ended with status %d", WEXITSTATUS(status));
    lose(link, why);
}

/* Sets the timer for the ACK that is due next. */
static void await_ack(struct keeper_link *link)
{
    if (link->acknowledged == link->sent) {
        (void)uv_timer_stop(&link->timer);
        return;
    }
    int64_t left_ns = link->waiting_since_ns + link->ack_timeout_ns - clock_boottime_ns();
    /* Rounded up, or the timer fires in the millisecond before. */
    set_timer(link, left_ns / NS_PER_MS + 1);
}

static void accept_ack(struct keeper_link *link, uint32_t sequence)
{
    /* Any number outside what was sent and not yet answered means nothing. */
    if (link->sent - sequence >= link->sent - link->acknowledged)
        return;
    link->acknowledged = sequence;
    link->waiting_since_ns = clock_boottime_ns();
}

/* Hands on what the keeper has said; records are still there after its death. Returns 0 when no
 * more is there now, -EPIPE at the end of file, -EPROTO or another error. The link may have been
 * closed meanwhile. */
static int drain(struct keeper_link *link)
{
    struct keeper_message message;

    while (link->state == LINK_UP || link->state == LINK_LOST) {
        ssize_t length = recv(link->fd, &message, sizeof message, MSG_DONTWAIT | MSG_TRUNC);

        if (length == (ssize_t)sizeof message) {
            if (message.kind == KEEPER_ACK)
                accept_ack(link, message.sequence);
            else
                link->callbacks.on_message(link->context, &message);
        } else if (length >= 0) {
            return length == 0 ? -EPIPE : -EPROTO;
        } else if (errno == EAGAIN) {
            return 0;
        } else if (errno != EINTR && errno != ECONNRESET) {
            /* ECONNRESET is said once, before the queued records, where the keeper died without
             * reading all our requests. */
            return -errno;
        }
    }
    return 0;
}

/* The keeper's status, if it has ended. */
static bool reap_keeper(struct keeper_link *link, int *status)
{
    int at = find_spare(link, link->keeper);

    if (at < 0 || waitpid(link->keeper, status, WNOHANG) != link->keeper)
        return false;
    remove_spare(link, at);
    return true;
}

/* Reads all there is and judges the keeper by it. */
static void look(struct keeper_link *link)
{
    int status = 0;

    if (link->state != LINK_UP)
        return;
    int error = drain(link);
    if (link->state != LINK_UP)
        return;
    if (reap_keeper(link, &status)) {
        lose_by_exit(link, status);
    } else if (error == -EPIPE) {
        lose(link, "the keeper is gone");
    } else if (error != 0) {
        lose_by_errno(link, "the keeper's messages cannot be read", -error);
    } else if (link->acknowledged != link->sent &&
               clock_boottime_ns() - link->waiting_since_ns >= link->ack_timeout_ns) {
        lose(link, "the keeper does not answer");
    } else {
        await_ack(link);
    }
}

static void on_socket(uv_poll_t *poll, int status, int events)
{
    /* Whatever it is, reading tells. libuv gives an error for what may be a mere hang-up. */
    (void)status;
    (void)events;
    look(poll->data);
}

/* The callbacks that on_lost stands for: first what the keeper had still to say. */
static void tell_lost(struct keeper_link *link)
{
    (void)drain(link);
    if (link->state != LINK_LOST)
        return;
    link->state = link->companion ? LINK_SWEPT : LINK_SWEEP;
    link->callbacks.on_lost(link->context, link->why);
}

static void reap_inherited(struct keeper_link *link)
{
    for (int i = link->tree.spare_count - 1; i >= 0; i--) {
        pid_t pid = link->spare[i];
        if (pid != link->keeper && waitpid(pid, NULL, WNOHANG) == pid)
            remove_spare(link, i);
    }
}

static void end_sweep(struct keeper_link *link)
{
    cgroup_close(&link->cgroup);
    priority_restore(&link->priority);
    link->priority.policy = -1;
}

static void sweep(struct keeper_link *link)
{
    struct tree_round round;

    reap_inherited(link);
    cgroup_kill(&link->cgroup);
    if (tree_sweep(&link->tree, &round) == TREE_DEAD && !cgroup_is_populated(&link->cgroup)) {
        link->state = LINK_SWEPT;
        end_sweep(link);
        link->callbacks.on_swept(link->context);
        return;
    }
    if (round.reaped > 0 || link->tree.unfinished)
        link->pause_ms = 0;
    set_timer(link, (int64_t)link->pause_ms);
    link->pause_ms = link->pause_ms == 0 ? 1 : link->pause_ms * 2;
    if (link->pause_ms > PAUSE_MAX_MS)
        link->pause_ms = PAUSE_MAX_MS;
}

static void on_timer(uv_timer_t *timer)
{
    struct keeper_link *link = timer->data;

    if (!link->companion && (link->state == LINK_UP || link->state == LINK_SWEPT)) {
        reap_inherited(link);
        (void)tree_reap(&link->tree);
    }
    if (link->state == LINK_UP)
        look(link);
    else if (link->state == LINK_LOST)
        tell_lost(link);
    if (link->state == LINK_SWEEP)
        sweep(link);
}

struct snapshot {
    struct keeper_link *link;
    int error;
};

static bool note_inherited(void *context, pid_t pid)
{
    struct snapshot *snapshot = context;

    if (pid != snapshot->link->keeper)
        snapshot->error = add_spare(snapshot->link, pid);
    return snapshot->error == 0;
}

static void free_link(struct keeper_link *link)
{
    free(link->spare);
    free(link);
}

static void on_closed(uv_handle_t *handle)
{
    struct keeper_link *link = handle->data;

    if (--link->open_handles == 0)
        free_link(link);
}

static void close_handle(const struct keeper_link *link, uv_handle_t *handle)
{
    if (handle->data == link)
        uv_close(handle, on_closed);
}

/* Closes what was opened. The descriptors may go as soon as their handles are told to. */
static void close_all(struct keeper_link *link)
{
    link->state = LINK_CLOSED;
    close_handle(link, (uv_handle_t *)&link->timer);
    close_handle(link, (uv_handle_t *)&link->socket_poll);
    close_handle(link, (uv_handle_t *)&link->pid_poll);
    if (link->fd >= 0)
        close(link->fd);
    if (link->pidfd >= 0)
        close(link->pidfd);
    end_sweep(link);
    if (link->open_handles == 0)
        free_link(link);
}

static int start_polls(struct keeper_link *link, uv_loop_t *loop)
{
    int error = uv_timer_init(loop, &link->timer);

    if (error != 0)
        return error;
    link->timer.data = link;
    link->open_handles++;
    error = uv_poll_init(loop, &link->socket_poll, link->fd);
    if (error != 0)
        return error;
    link->socket_poll.data = link;
    link->open_handles++;

    /* Without it SIGCHLD and the end of file do; it only sees a keeper whose child still holds
     * their socket. */
    if (link->pidfd >= 0 && uv_poll_init(loop, &link->pid_poll, link->pidfd) == 0) {
        link->pid_poll.data = link;
        link->open_handles++;
        (void)uv_poll_start(&link->pid_poll, UV_READABLE, on_socket);
    }
    return uv_poll_start(&link->socket_poll, UV_READABLE | UV_DISCONNECT, on_socket);
}

static int remember_children(struct keeper_link *link)
{
    struct snapshot snapshot = {.link = link, .error = add_spare(link, link->keeper)};

    if (snapshot.error == 0)
        (void)proc_own_children(note_inherited, &snapshot);
    return snapshot.error;
}

/* `pid`: 0 for a companion. */
static int open_link(struct keeper_link **link, uv_loop_t *loop, int fd, pid_t pid,
                     int64_t ack_timeout_ms, const struct keeper_link_callbacks *callbacks,
                     void *context)
{
    struct keeper_link *made = calloc(1, sizeof *made);

    if (made == NULL)
        return -ENOMEM;
    made->companion = pid == 0;
    made->callbacks = *callbacks;
    made->context = context;
    made->fd = fd;
    made->keeper = pid;
    made->ack_timeout_ns = ack_timeout_ms * NS_PER_MS;
    made->priority.policy = -1;
    made->cgroup = (struct cgroup){.parent = -1, .procs = -1, .kill = -1, .events = -1};
    made->pidfd = made->companion ? -1 : (int)syscall(SYS_pidfd_open, pid, 0);

    int error = made->companion ? 0 : remember_children(made);
    if (error == 0)
        error = start_polls(made, loop);
    if (error != 0) {
        made->fd = -1;
        close_all(made);
        return error;
    }
    *link = made;
    return 0;
}

int keeper_link_open(struct keeper_link **link, uv_loop_t *loop, int fd, pid_t pid,
                     int64_t ack_timeout_ms, const struct keeper_link_callbacks *callbacks,
                     void *context)
{
    return open_link(link, loop, fd, pid, ack_timeout_ms, callbacks, context);
}

int keeper_link_open_companion(struct keeper_link **link, uv_loop_t *loop, int fd,
                               int64_t ack_timeout_ms,
                               const struct keeper_link_callbacks *callbacks, void *context)
{
    return open_link(link, loop, fd, 0, ack_timeout_ms, callbacks, context);
}

bool keeper_link_unspare(struct keeper_link *link, pid_t pid)
{
    int at = find_spare(link, pid);

    if (at < 0 || pid == link->keeper)
        return false;
    remove_spare(link, at);
    return true;
}

void keeper_link_send(struct keeper_link *link, const struct keeper_request *request)
{
    struct keeper_request record = *request;
    ssize_t length;

    if (link->state != LINK_UP)
        return;
    if (link->acknowledged == link->sent)
        link->waiting_since_ns = clock_boottime_ns();
    record.sequence = ++link->sent;
    do {
        length = send(link->fd, &record, sizeof record, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (length < 0 && (errno == EINTR || errno == ECONNRESET));
    if (length < 0)
        lose_by_errno(link, "the keeper cannot be told anything", errno);
    else
        await_ack(link);
}

void keeper_link_abandon(struct keeper_link *link, const char *why)
{
    lose(link, why);
}

void keeper_link_reap(struct keeper_link *link)
{
    /* Once for all signals that are there: where the keeper was killed, the tree's orphans come to
     * us and may die faster than they can be reaped one signal at a time. It may also call back,
     * which must happen from the loop. */
    if (link->state != LINK_LOST && link->state != LINK_CLOSED)
        set_timer(link, 0);
}

void keeper_link_close(struct keeper_link *link)
{
    if (link != NULL && link->state != LINK_CLOSED)
        close_all(link);
}
