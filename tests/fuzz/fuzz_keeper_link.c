/*
 * The elector's end of the keeper, fed by a keeper that has lost its mind: keeper_link.c on a
 * stand-in for libuv with virtual time (fake_uv.h); the socket, the processes and the tree are made
 * up, so nothing real is signalled or reaped.
 *
 * Oracle: every well-formed message, and nothing else, is handed on, once and in order, up to
 * on_lost; a request that is not acknowledged in time ends in on_lost, whatever else is said
 * meanwhile; on_lost comes once, after the keeper (and nobody else, and only while it is not
 * reaped) was killed; on_swept comes once, after on_lost, with nothing left of the tree; callbacks
 * come from the loop only, and none after the close.
 */
#include "fuzz.h"

#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "fake_uv.h"
#include "keeper/cgroup.h"
#include "keeper/priority.h"
#include "keeper/proc.h"
#include "leaderwrap/base/clock.h"
#include "leaderwrap/keeper/keeper_link.h"
#include "leaderwrap/keeper/tree.h"

#define START_MS     INT64_C(1000000)
#define FD_SOCKET    1000001
#define FD_PIDFD     1000002
#define PID_KEEPER   2000000001
#define PID_OTHER    2000000002 /* the first of those that were inherited */
#define ACK_MS       250
#define PACKET_SIZE  64
#define PACKETS_MOST 16
#define SPARE_MOST   64
#define SPINS_MOST   256

struct packet {
    size_t length;
    unsigned char bytes[PACKET_SIZE];
};

static struct {
    bool inside;  /* else the fuzzer itself is calling */
    bool calling; /* into the link: no callback may come */
    uv_loop_t loop;
    int64_t now_ms;
    struct keeper_link *link;
    bool has_pidfd;
    bool closed;

    struct packet packets[PACKETS_MOST];
    int queued;
    bool end_of_file;
    int receive_error;
    int send_error;

    bool keeper_dead; /* a zombie until it is reaped */
    bool keeper_reaped;
    bool keeper_killed;
    int keeper_status;
    int inherited;
    int others; /* what is left of the tree */
    int strays; /* looks at the cgroup that find somebody in it */

    uint32_t sent;
    uint32_t acknowledged;
    int64_t waiting_since_ms;

    bool owed; /* the record that was read last is to be handed on */
    struct keeper_message message;
    bool lost;
    bool swept;
} world;

/* ---- callbacks ---- */

static void on_message(void *context, const struct keeper_message *message)
{
    ORACLE(context == &world && !world.calling && !world.closed && !world.lost);
    ORACLE(world.owed && message->kind != KEEPER_ACK);
    ORACLE(memcmp(message, &world.message, sizeof *message) == 0);
    world.owed = false;
}

static void on_lost(void *context, const char *why)
{
    ORACLE(context == &world && !world.calling && !world.closed && !world.lost);
    ORACLE(why[0] != '\0' && is_printable(why));
    ORACLE(world.keeper_killed || world.keeper_reaped);
    ORACLE(!world.owed);
    world.lost = true;
}

static void on_swept(void *context)
{
    ORACLE(context == &world && !world.calling && !world.closed && world.lost && !world.swept);
    ORACLE(world.others == 0 && world.strays == 0 && world.keeper_reaped);
    world.swept = true;
}

/* ---- in place of the system ---- */

int64_t __wrap_clock_boottime_ns(void);
int64_t __wrap_clock_boottime_ns(void)
{
    return world.now_ms * NS_PER_MS;
}

static void note_packet(const struct packet *packet)
{
    struct keeper_message message;

    if (packet->length != sizeof message)
        return;
    memcpy(&message, packet->bytes, sizeof message);
    if (message.kind != KEEPER_ACK) {
        world.owed = true;
        world.message = message;
        return;
    }
    /* Only a number that was sent and not yet acknowledged means something. */
    if (message.sequence > world.acknowledged && message.sequence <= world.sent) {
        world.acknowledged = message.sequence;
        world.waiting_since_ms = world.now_ms;
    }
}

ssize_t __wrap_recv(int fd, void *buffer, size_t size, int flags);
ssize_t __wrap_recv(int fd, void *buffer, size_t size, int flags)
{
    ORACLE(fd == FD_SOCKET && flags == (MSG_DONTWAIT | MSG_TRUNC) && !world.closed && !world.lost);
    ORACLE(!world.owed);
    if (world.receive_error != 0) {
        errno = world.receive_error;
        world.receive_error = 0;
        return -1;
    }
    if (world.queued > 0) {
        const struct packet packet = world.packets[0];

        world.queued--;
        memmove(world.packets, world.packets + 1, sizeof world.packets - sizeof packet);
        memcpy(buffer, packet.bytes, packet.length < size ? packet.length : size);
        note_packet(&packet);
        return (ssize_t)packet.length;
    }
    if (world.end_of_file)
        return 0;
    errno = EAGAIN;
    return -1;
}

ssize_t __wrap_send(int fd, const void *buffer, size_t size, int flags);
ssize_t __wrap_send(int fd, const void *buffer, size_t size, int flags)
{
    struct keeper_request request;

    ORACLE(fd == FD_SOCKET && flags == (MSG_DONTWAIT | MSG_NOSIGNAL) && !world.closed);
    ORACLE(size == sizeof request);
    memcpy(&request, buffer, sizeof request);
    if (world.send_error != 0) {
        errno = world.send_error;
        world.send_error = 0;
        return -1;
    }
    ORACLE(request.sequence == world.sent + 1 && request.sequence > 0);
    if (world.acknowledged == world.sent)
        world.waiting_since_ms = world.now_ms;
    world.sent++;
    return (ssize_t)size;
}

int __real_close(int fd);
int __wrap_close(int fd);
int __wrap_close(int fd)
{
    if (!world.inside)
        return __real_close(fd);
    ORACLE(fd == FD_SOCKET || (fd == FD_PIDFD && world.has_pidfd));
    return 0;
}

long __wrap_syscall(long number, ...);
long __wrap_syscall(long number, ...)
{
    ORACLE(world.inside && number != 0);
    return world.has_pidfd ? FD_PIDFD : -1;
}

int __wrap_kill(pid_t pid, int signal);
int __wrap_kill(pid_t pid, int signal)
{
    ORACLE(pid == PID_KEEPER && signal == SIGKILL && !world.keeper_reaped);
    world.keeper_killed = true;
    world.keeper_dead = true;
    return 0;
}

pid_t __wrap_waitpid(pid_t pid, int *status, int flags);
pid_t __wrap_waitpid(pid_t pid, int *status, int flags)
{
    ORACLE(flags == WNOHANG && !world.closed);
    if (pid != PID_KEEPER) {
        ORACLE(pid >= PID_OTHER && pid < PID_OTHER + SPARE_MOST);
        return 0;
    }
    ORACLE(!world.keeper_reaped);
    if (!world.keeper_dead)
        return 0;
    world.keeper_reaped = true;
    *status = world.keeper_status;
    return pid;
}

enum proc_walk __wrap_proc_own_children(proc_visit_fn *visit, void *context);
enum proc_walk __wrap_proc_own_children(proc_visit_fn *visit, void *context)
{
    bool more = visit(context, PID_KEEPER);

    for (int i = 0; more && i < world.inherited; i++)
        more = visit(context, PID_OTHER + i);
    return PROC_EXACT;
}

bool __wrap_cgroup_adopt(struct cgroup *cgroup, pid_t keeper);
bool __wrap_cgroup_adopt(struct cgroup *cgroup, pid_t keeper)
{
    ORACLE(cgroup != NULL && keeper == PID_KEEPER);
    return false;
}

bool __wrap_cgroup_is_populated(const struct cgroup *cgroup);
bool __wrap_cgroup_is_populated(const struct cgroup *cgroup)
{
    ORACLE(cgroup != NULL && world.lost && world.others == 0);
    return world.strays > 0 && world.strays-- > 0;
}

void __wrap_cgroup_kill(const struct cgroup *cgroup);
void __wrap_cgroup_kill(const struct cgroup *cgroup)
{
    ORACLE(cgroup != NULL && world.lost);
}

void __wrap_cgroup_close(struct cgroup *cgroup);
void __wrap_cgroup_close(struct cgroup *cgroup)
{
    ORACLE(cgroup != NULL);
}

void __wrap_priority_raise(struct priority *before);
void __wrap_priority_raise(struct priority *before)
{
    ORACLE(before != NULL);
}

void __wrap_priority_restore(const struct priority *before);
void __wrap_priority_restore(const struct priority *before)
{
    ORACLE(before != NULL);
}

enum tree_state __wrap_tree_reap(struct tree *tree);
enum tree_state __wrap_tree_reap(struct tree *tree)
{
    ORACLE(tree->main == 0 && tree->spare_count >= 0 && tree->spare_count <= SPARE_MOST);
    return world.others > 0 ? TREE_ALIVE : TREE_DEAD;
}

enum tree_state __wrap_tree_sweep(struct tree *tree, struct tree_round *round);
enum tree_state __wrap_tree_sweep(struct tree *tree, struct tree_round *round)
{
    ORACLE(world.lost && !world.swept && !world.closed);
    for (int i = 0; i < tree->spare_count; i++)
        ORACLE(tree->spare[i] != PID_KEEPER);
    memset(round, 0, sizeof *round);
    if (world.others > 0)
        world.others--;
    world.keeper_reaped = true;
    round->reaped = world.others > 0;
    return world.others > 0 ? TREE_ALIVE : TREE_DEAD;
}

/* ---- what happens ---- */

static void queue_packet(const void *bytes, size_t length)
{
    struct packet *packet = &world.packets[world.queued];

    if (world.queued == PACKETS_MOST)
        return;
    packet->length = length;
    memcpy(packet->bytes, bytes, length < PACKET_SIZE ? length : PACKET_SIZE);
    world.queued++;
}

static void queue_message(struct input *input)
{
    struct keeper_message message = {.kind = take_byte(input) % 10, .run = take_byte(input)};
    uint8_t which = take_byte(input);

    message.sequence = world.acknowledged + 1;
    if (which % 4 == 1)
        message.sequence = world.sent;
    else if (which % 4 == 2)
        message.sequence = world.sent + (int8_t)take_byte(input);
    else if (which % 4 == 3)
        message.sequence = take_short(input) << 16;
    message.value = (int8_t)take_byte(input);
    queue_packet(&message, sizeof message);
}

static void queue_raw(struct input *input)
{
    unsigned char bytes[PACKET_SIZE];
    size_t length = take_packet(input, bytes, sizeof bytes);

    queue_packet(bytes, length);
}

/* Whatever was asked must be acknowledged in time, or else the keeper is given up. */
static void check(void)
{
    bool overdue =
        world.acknowledged != world.sent && world.now_ms > world.waiting_since_ms + ACK_MS + 1;

    ORACLE(!overdue || world.lost);
    ORACLE(!world.owed);
    if (world.lost && !world.swept)
        ORACLE(fake_uv_wake_ms() <= world.now_ms + 50);
}

static void advance(int64_t ms)
{
    int64_t until_ms = world.now_ms + ms;

    for (int spins = 0; world.now_ms < until_ms && spins < SPINS_MOST; spins++) {
        int64_t wake_ms = fake_uv_wake_ms();

        world.now_ms = wake_ms > world.now_ms && wake_ms < until_ms ? wake_ms : until_ms;
        fake_uv_set_time(world.now_ms);
        fake_uv_run();
        if (!world.closed)
            check();
    }
}

static void send_request(void)
{
    const struct keeper_request request = {.kind = KEEPER_EXTEND, .run = 1};

    keeper_link_send(world.link, &request);
}

/* A call into the link, from where no callback may come. */
static void call(struct input *input)
{
    uint8_t which = take_byte(input) % 8;
    pid_t pid = PID_OTHER + take_byte(input) % SPARE_MOST;

    world.calling = true;
    if (which < 3)
        send_request();
    else if (which == 3)
        keeper_link_reap(world.link);
    else if (which == 4)
        keeper_link_abandon(world.link, "the fuzzer says so");
    else if (which < 7)
        keeper_link_unspare(world.link, pid);
    world.calling = false;
}

static void act(struct input *input)
{
    static const int errors[] = {EINTR, ECONNRESET, EAGAIN, EBADF, ENOMEM, EPIPE};

    switch (take_byte(input) % 10) {
    case 0:
        queue_message(input);
        break;
    case 1:
        queue_raw(input);
        break;
    case 2:
        call(input);
        break;
    case 3:
        fake_uv_poll(take_byte(input) % 2, take_byte(input) % 2 ? UV_EBADF : 0, UV_READABLE);
        break;
    case 4:
        advance(take_byte(input));
        break;
    case 5:
        advance(take_short(input));
        break;
    case 6:
        world.receive_error = errors[take_byte(input) % 6];
        break;
    case 7:
        world.send_error = errors[take_byte(input) % 6];
        break;
    case 8:
        world.keeper_dead = true;
        world.keeper_status = take_byte(input) % 2 ? SIGSEGV : 125 << 8;
        world.end_of_file = take_byte(input) % 2;
        break;
    case 9:
        world.others = take_byte(input) % 8;
        world.strays = world.others % 3;
        break;
    }
    fake_uv_run();
    check();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct keeper_link_callbacks callbacks = {
        .on_message = on_message, .on_lost = on_lost, .on_swept = on_swept};
    struct input input = {.at = data, .left = size};

    memset(&world, 0, sizeof world);
    world.inside = true;
    world.now_ms = START_MS;
    uint8_t choices = take_byte(&input);
    world.has_pidfd = (choices & 1) != 0;
    world.inherited = (choices & 2) != 0 ? choices >> 2 : 0;
    fake_uv_reset(world.now_ms, NULL);
    ORACLE(keeper_link_open(&world.link, &world.loop, FD_SOCKET, PID_KEEPER, ACK_MS, &callbacks,
                            &world) == 0);
    while (input.left > 0)
        act(&input);
    keeper_link_close(world.link);
    world.closed = true;
    fake_uv_run();
    ORACLE(fake_uv_handles() == 0);
    world.inside = false;
    return 0;
}
