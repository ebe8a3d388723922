/*
 * The keeper process: its making, its loop, and its end.
 *
 * What can fail for good fails in set_up. After that there are only warnings, and the one thing
 * that ends the loop is the elector's death with no tree left.
 */
#include "leaderwrap/keeper/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cgroup.h"
#include "guard.h"
#include "leaderwrap/base/clock.h"
#include "leaderwrap/base/disposition.h"
#include "leaderwrap/base/log.h"
#include "leaderwrap/keeper/protocol.h"
#include "priority.h"
#include "run.h"
#include "spawn.h"

#ifndef MCL_ONFAULT
#define MCL_ONFAULT 4
#endif

/* Our end of the socket pair, and of config.pipe, after everything else has been closed. The lease
 * page stands where the command is to find it. */
#define SOCKET_FD 3
#define PIPE_FD   4

/* Messages that wait for an elector that does not read. ACKs get half of the room, which leaves
 * more than one run can fill. */
#define OUTBOX_SIZE 32

/* The last will may take this long before it is killed. */
#define LAST_WILL_NS (10000 * NS_PER_MS)

/* More than the deepest walk of /proc needs. */
#define STACK_BYTES (256 * 1024)

#define EXIT_FAILED 125

struct keeper {
    const struct keeper_config *config;
    int signals; /* signalfd: SIGCHLD */
    int timer;   /* timerfd: run_wake_at */
    int null;    /* /dev/null; -1 if there is none */
    bool alone;  /* the elector is dead */
    struct cgroup cgroup;
    struct spawn spawn;
    struct run run;
    struct keeper_message outbox[OUTBOX_SIZE];
    int waiting; /* in the outbox */
};

/* Returns false if the elector does not read at the moment. */
static bool send_message(const struct keeper_message *message)
{
    ssize_t length;

    do {
        length = send(SOCKET_FD, message, sizeof *message, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (length < 0 && (errno == EINTR || errno == ECONNRESET));
    /* Any other failure is the elector's death, which recv tells too. */
    return length >= 0 || (errno != EAGAIN && errno != ENOBUFS);
}

static void flush_outbox(struct keeper *keeper)
{
    int sent = 0;

    while (sent < keeper->waiting && send_message(&keeper->outbox[sent]))
        sent++;
    keeper->waiting -= sent;
    memmove(keeper->outbox, keeper->outbox + sent,
            (size_t)keeper->waiting * sizeof keeper->outbox[0]);
}

static void post(struct keeper *keeper, const struct keeper_message *message)
{
    flush_outbox(keeper);
    if (keeper->waiting == 0 && send_message(message))
        return;
    /* STUCK repeats itself; what became of the run must not be lost. */
    int room = message->kind == KEEPER_ACK ? OUTBOX_SIZE / 2 : OUTBOX_SIZE;
    if (message->kind != KEEPER_STUCK && keeper->waiting < room)
        keeper->outbox[keeper->waiting++] = *message;
}

/* The command has its standard streams: whoever reads them is to see their end when it ends. */
static void release_streams(const struct keeper *keeper)
{
    for (int fd = 0; keeper->null >= 0 && fd < 3; fd++)
        (void)dup2(keeper->null, fd);
}

static void on_message(void *context, const struct keeper_message *message)
{
    struct keeper *keeper = context;

    if (message->kind == KEEPER_STARTED && keeper->config->single_run)
        release_streams(keeper);
    post(keeper, message);
}

/* Whether the elector's end is closed, though requests of before may still be queued. */
static bool is_hung_up(void)
{
    struct pollfd socket = {.fd = SOCKET_FD, .events = POLLRDHUP};

    return poll(&socket, 1, 0) > 0 && (socket.revents & (POLLRDHUP | POLLHUP)) != 0;
}

static void accept_request(struct keeper *keeper, const struct keeper_request *request)
{
    struct keeper_message ack = {
        .kind = KEEPER_ACK, .run = request->run, .sequence = request->sequence};

    run_request(&keeper->run, request, request->kind == KEEPER_START && is_hung_up());
    post(keeper, &ack);
}

static void drain_socket(struct keeper *keeper)
{
    struct keeper_request request;

    while (!keeper->alone) {
        ssize_t length = recv(SOCKET_FD, &request, sizeof request, MSG_DONTWAIT | MSG_TRUNC);

        if (length == (ssize_t)sizeof request) {
            accept_request(keeper, &request);
        } else if (length == 0 || (length < 0 && errno != EINTR && errno != EAGAIN &&
                                   errno != ECONNRESET && errno != ENOMEM)) {
            keeper->alone = true;
            run_orphaned(&keeper->run);
        } else if (length < 0 && errno != EINTR && errno != ECONNRESET) {
            /* ECONNRESET is said once, before the queued requests, by an elector that died without
             * reading all our messages. */
            return;
        }
    }
}

static void drain_signals(const struct keeper *keeper)
{
    struct signalfd_siginfo info[8];
    ssize_t length;

    /* SIGCHLD says only that something happened; the reaping finds out what. */
    do {
        length = read(keeper->signals, info, sizeof info);
    } while (length == (ssize_t)sizeof info);
}

/* Waits for a request, a dead child, the result of an exec, or the time `at_ns`. */
static void wait_until(struct keeper *keeper, int64_t at_ns)
{
    struct timespec pause = {0};
    short events = keeper->waiting > 0 ? POLLIN | POLLOUT : POLLIN;
    struct pollfd wait_for[] = {
        {.fd = keeper->signals, .events = POLLIN},
        {.fd = keeper->timer, .events = POLLIN},
        {.fd = keeper->run.result, .events = POLLIN},
        {.fd = keeper->alone ? -1 : SOCKET_FD, .events = events},
        {.fd = keeper->run.strayed ? keeper->cgroup.events : -1, .events = POLLPRI},
    };

    /* A timer that cannot be armed must not turn into a deadline that never comes. */
    bool armed = clock_arm_timer(keeper->timer, at_ns) == 0;
    bool due = clock_boottime_ns() >= at_ns;
    pause.tv_nsec = due || armed ? 0 : NS_PER_MS;
    (void)ppoll(wait_for, sizeof wait_for / sizeof wait_for[0], due || !armed ? &pause : NULL,
                NULL);
    drain_signals(keeper);
}

/* Ends when the elector and the tree are both dead. */
static void serve(struct keeper *keeper)
{
    for (;;) {
        flush_outbox(keeper);
        drain_socket(keeper);
        run_step(&keeper->run);
        if (keeper->alone && keeper->run.state == RUN_IDLE)
            return;
        wait_until(keeper, run_wake_at(&keeper->run));
    }
}

/* Whoever ends what the wrapper has left behind must not end this. */
static void ignore_all_but_faults(struct inherited *inherited)
{
    sigemptyset(&inherited->ignored);
    inherited->reserved_ignored = 0;
    for (int number = 1; number < NSIG; number++) {
        enum fate fate = disposition_fate(number);
        if (fate != FATE_FATAL && fate != FATE_CHILD)
            inherited_ignore(inherited, number);
    }
}

/* An ordinary process again, in the directory that paths in the configuration are relative to. */
static _Noreturn void be_last_will(const struct keeper *keeper)
{
    struct inherited ordinary = *keeper->config->inherited;
    const struct keeper_term term = {.token = keeper->run.token,
                                     .version = keeper->run.version,
                                     .begun_ns = keeper->run.begun_ns,
                                     .valid_until_ns = keeper->run.kill_at_ns};

    memset(ordinary.closed, 0, sizeof ordinary.closed);
    sigemptyset(&ordinary.mask);
    ignore_all_but_faults(&ordinary);
    spawn_undo(&keeper->spawn);
    if (keeper->null >= 0) {
        (void)dup2(keeper->null, 0);
        (void)dup2(keeper->null, 1);
    }
    spawn_close_from(3);
    inherited_restore(&ordinary);
    keeper->config->last_will(keeper->config->context, &term);
    _exit(0);
}

/* Until the other end of config.pipe is closed. Returns whether it is. */
static bool wait_for_companions(const struct keeper *keeper, int64_t give_up_ns)
{
    struct pollfd pipe = {.fd = PIPE_FD};

    while (keeper->config->pipe > 0 && poll(&pipe, 1, 0) <= 0) {
        int64_t left_ns = give_up_ns - clock_boottime_ns();
        if (left_ns <= 0)
            return false;
        (void)poll(&pipe, 1, (int)(left_ns / NS_PER_MS) + 1);
    }
    return true;
}

/* Releases the lease of the run that the elector did not live to see the end of. */
static void run_last_will(struct keeper *keeper)
{
    int64_t give_up_ns = clock_boottime_ns() + LAST_WILL_NS;

    if (keeper->config->last_will == NULL || !wait_for_companions(keeper, give_up_ns))
        return;
    pid_t pid = fork();
    if (pid < 0)
        return;
    if (pid == 0)
        be_last_will(keeper);
    while (waitpid(pid, NULL, WNOHANG) == 0) {
        if (clock_boottime_ns() >= give_up_ns) {
            (void)kill(pid, SIGKILL);
            (void)waitpid(pid, NULL, 0);
            return;
        }
        wait_until(keeper, give_up_ns);
    }
}

/* A locked stack that grows beyond RLIMIT_MEMLOCK is a segmentation fault: it grows before.
 * Touching the far end does it; what lies between takes no memory until it is used. */
static void grow_stack(void)
{
    volatile char stack[STACK_BYTES];

    stack[0] = 0;
    (void)stack[0];
}

/* Nice to have: neither paged out nor behind a busy machine's other work. Both may need a
 * privilege, and neither passes on to the command. */
static void ask_for_favours(void)
{
    grow_stack();
    (void)mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT);
    priority_raise(NULL);
}

/* `number` is the pid that the elector knows. Returns NULL, or what failed, with errno. */
static const char *set_up(struct keeper *keeper, const struct keeper_config *config, pid_t number)
{
    sigset_t child;

    keeper->config = config;
    /* The group of the elector's terminal gets its signals without us. */
    if (setsid() < 0)
        return "setsid";
    if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0)
        return "PR_SET_CHILD_SUBREAPER";
    /* Ignored, it would make the kernel reap by itself. */
    if (signal(SIGCHLD, SIG_DFL) == SIG_ERR)
        return "SIGCHLD";
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    keeper->signals = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
    if (keeper->signals < 0)
        return "signalfd";
    keeper->timer = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
    if (keeper->timer < 0)
        return "timerfd";

    keeper->null = open("/dev/null", O_RDWR | O_CLOEXEC);
    (void)cgroup_create(&keeper->cgroup, number);
    int error = spawn_prepare(&keeper->spawn, config, &keeper->cgroup);
    if (error != 0) {
        errno = -error;
        return "the environment of the command";
    }
    keeper->run = (struct run){.config = config,
                               .cgroup = &keeper->cgroup,
                               .spawn = &keeper->spawn,
                               .on_message = on_message,
                               .context = keeper,
                               .result = -1};
    (void)prctl(PR_SET_NAME, "lw-keeper");
    ask_for_favours();
    return NULL;
}

/* Closes all but the standard streams and the three that we need. A copy of the elector's end, or
 * of anybody else's, would hide its end of file. Returns NULL, or what failed, with errno. */
static const char *arrange_descriptors(int socket, const struct keeper_config *config)
{
    const int given[] = {socket, config->pipe, config->lease_page};
    static const int wanted[] = {SOCKET_FD, PIPE_FD, KEEPER_LEASE_FD};
    int copies[3] = {0};
    int next = 3;

    /* Out of each other's way first. */
    for (int i = 0; i < 3; i++) {
        if (given[i] > 0)
            copies[i] = fcntl(given[i], F_DUPFD_CLOEXEC, KEEPER_LEASE_FD + 1);
        if (copies[i] < 0)
            return "fcntl";
    }
    for (int i = 0; i < 3; i++) {
        if (given[i] <= 0)
            continue;
        spawn_close_between(next, wanted[i]);
        if (dup3(copies[i], wanted[i], O_CLOEXEC) < 0)
            return "dup3";
        next = wanted[i] + 1;
    }
    spawn_close_from(next);
    return NULL;
}

static _Noreturn void be_keeper(const struct keeper_config *config, int socket, pid_t number)
{
    struct keeper *keeper = calloc(1, sizeof *keeper);
    const char *failed = arrange_descriptors(socket, config);

    if (failed == NULL)
        failed = keeper == NULL ? "memory" : set_up(keeper, config, number);
    if (failed != NULL) {
        log_line(LOG_LEVEL_ERROR, "keeper", "the keeper cannot start: %s: %s", failed,
                 strerror(errno));
        _exit(EXIT_FAILED);
    }

    serve(keeper);
    if (keeper->run.number != 0 && keeper->run.orphaned)
        run_last_will(keeper);
    cgroup_close(&keeper->cgroup);
    _exit(0);
}

/* The process between elector and keeper: the elector takes it for the keeper. */
static _Noreturn void be_guard(const struct keeper_config *config, int socket, pid_t elector)
{
    pid_t number = getpid();

    /* Without a guard it goes as well, but for a case that needs two kills at once. */
    if (!guard_prepare())
        be_keeper(config, socket, number);
    pid_t keeper = fork();
    if (keeper <= 0)
        be_keeper(config, socket, number);
    guard_watch(keeper, elector);
}

pid_t keeper_fork(const struct keeper_config *config, int *fd)
{
    pid_t elector = getpid();
    int ends[2];
    sigset_t all;
    sigset_t before;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0)
        return -errno;

    /* The keeper has everything blocked from its first instruction on. */
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    pid_t pid = fork();
    if (pid == 0 && config->guarded)
        be_guard(config, ends[1], elector);
    if (pid == 0)
        be_keeper(config, ends[1], getpid());
    if (pid < 0)
        pid = -errno;
    sigprocmask(SIG_SETMASK, &before, NULL);
    close(ends[1]);
    if (pid < 0)
        close(ends[0]);
    else
        *fd = ends[0];
    return pid;
}
