/*
 * The keeper against whatever its elector may send, do and leave undone: keeper.c (included, for
 * its loop is its own) and run.c, on a made-up system. No process is made or signalled: every call
 * that could is taken over by the linker (--wrap), and the tree is a few numbers.
 *
 * Oracle, by a second account of the protocol's promises (model_*):
 *  - whenever the keeper goes to sleep, the tree has been asked to end if stop_at has passed, and
 *    the sweep has begun if kill_at, the grace of a STOP, a KILL or the elector's death asks for
 *    it; and the keeper will wake for the next of these;
 *  - deadlines never move backwards, and once the keeper said STOPPING they do not move at all;
 *  - a request for another run, and a packet that is no request, change nothing;
 *  - each request is acknowledged once and in order; TREE_DEAD is said once, of a dead tree;
 *  - nothing is started next to a living tree, after its stop_at, or for a dead elector; the last
 *    will is for a dead elector and a dead tree.
 */
#include "fuzz.h"

#include "keeper/keeper.c"
#include "keeper_model.h"
#include "keeper_system.h"

#define START_NS     (1000 * 1000 * NS_PER_MS)
#define FD_NULL      1000003
#define FD_RESULT    1000004
#define PID_COMMAND  2000000001
#define PID_WILL     2000000002
#define PACKET_SIZE  128
#define PACKETS_MOST 16
#define ACKS_MOST    512
#define SLEEPS_MOST  20000
#define PAUSE_NS     (50 * NS_PER_MS)

struct packet {
    size_t length;
    unsigned char bytes[PACKET_SIZE];
};

static struct {
    bool inside; /* else the fuzzer itself is calling */
    struct input input;
    int64_t now_ns;
    int sleeps;
    struct keeper keeper;
    struct keeper_config config;

    struct packet packets[PACKETS_MOST];
    int queued;
    bool closed;
    int receive_error; /* of the next recv */
    bool deaf;         /* the elector does not read */
    bool was_deaf;
    bool timer_broken;
    int64_t armed_ns;

    bool spawned; /* a tree is there */
    bool spawn_fails;
    bool main_dead;
    int main_status;
    int others;
    int immortals;
    bool leave_some; /* the next reaping is not finished */
    enum {
        RESULT_NONE,
        RESULT_OPEN,
        RESULT_EXECUTED,
        RESULT_FAILED,
        RESULT_PART,
    } result;
    int result_errno;

    bool will;
    int will_patience;

    uint32_t acks[ACKS_MOST]; /* sequences that are owed */
    int acks_owed;
    bool check_unchanged;
    struct run before;
} world;

static bool tree_lives(void)
{
    return world.spawned && (!world.main_dead || world.others > 0);
}

/* ---- the model ---- */

/* What the keeper says of the run, at the moment when it says it. */
static void on_run_message(void *context, const struct keeper_message *message)
{
    ORACLE(model.active && message->run == model.run);
    switch ((enum keeper_message_kind)message->kind) {
    case KEEPER_ACK:
        ORACLE(false);
        break;
    case KEEPER_STARTED:
        ORACLE(message->value == PID_COMMAND && world.spawned);
        break;
    case KEEPER_EXEC_FAILED:
    case KEEPER_NOT_STARTED:
        ORACLE(message->value != 0);
        break;
    case KEEPER_STOPPING:
        ORACLE(!model.stopping_told && tree_lives());
        ORACLE(world.now_ns >= least(model.stop_at_ns, model.kill_at_ns));
        ORACLE((message->value == 1) == (world.now_ns >= model.kill_at_ns));
        model.stopping_told = true;
        break;
    case KEEPER_CHILD_EXIT:
        ORACLE(!model.exit_told && world.main_dead && message->value == world.main_status);
        model.exit_told = true;
        if (!model.stop_asked && !model.stopping_told)
            model.sweep_by_ns = least(
                model.sweep_by_ns, world.now_ns + least(world.config.grace_ms, 1000) * NS_PER_MS);
        break;
    case KEEPER_TREE_DEAD:
        ORACLE(!tree_lives());
        model.active = false;
        world.spawned = false;
        break;
    case KEEPER_STUCK:
        ORACLE(tree_lives() && model.swept && message->value > 0);
        break;
    }
    on_message(context, message);
}

/* The keeper has done all it can do now, and wants to sleep until `wake_ns`. */
static void check_at_rest(int64_t wake_ns)
{
    const struct run *run = &world.keeper.run;
    int64_t due_ns = least(model.kill_at_ns, model.sweep_by_ns);

    ORACLE(!model.active ||
           (run->stop_at_ns == model.stop_at_ns && run->kill_at_ns == model.kill_at_ns) ||
           model.swept);
    if (!tree_lives())
        return;
    if (model.swept) {
        ORACLE(wake_ns <= world.now_ns + PAUSE_NS);
        return;
    }
    ORACLE(!model.alone);
    if (!model.stop_asked && !model.stopping_told && !model.exit_told)
        due_ns = least(due_ns, model.stop_at_ns);
    ORACLE(world.now_ns < due_ns && wake_ns <= due_ns);
}

/* ---- what happens ---- */

static void queue_packet(const void *bytes, size_t length)
{
    if (world.queued == PACKETS_MOST || world.closed)
        return;
    world.packets[world.queued].length = length;
    memcpy(world.packets[world.queued].bytes, bytes, least((int64_t)length, PACKET_SIZE));
    world.queued++;
}

static int64_t take_moment(struct input *input)
{
    uint8_t kind = take_byte(input);
    int64_t ms = take_short(input);

    if (kind < 8) {
        static const int64_t edges[] = {INT64_MIN, INT64_MAX, 0, -1, 1, INT64_MAX - 1};
        return edges[kind % 6];
    }
    return world.now_ns + (ms - 1000) * NS_PER_MS;
}

static void queue_request(struct input *input)
{
    static uint32_t sequence;
    struct keeper_request request = {.sequence = ++sequence};
    uint8_t choice = take_byte(input);

    request.kind = choice % 8;
    request.run = model.run + (uint32_t)(choice >> 3) % 4 - 1;
    if ((choice >> 3) % 4 == 3)
        request.run = model.run;
    request.signal = (int8_t)take_byte(input);
    request.token = take_byte(input);
    request.stop_at_ns = take_moment(input);
    request.kill_at_ns = (choice & 0x20) != 0 ? take_moment(input)
                                              : least(request.stop_at_ns, INT64_MAX / 2) +
                                                    (int64_t)take_short(input) * NS_PER_MS;
    snprintf(request.version, sizeof request.version, "%016x", sequence);
    queue_packet(&request, sizeof request);
}

static void queue_raw(struct input *input)
{
    unsigned char bytes[PACKET_SIZE];
    size_t length = take_packet(input, bytes, sizeof bytes);

    queue_packet(bytes, length);
}

static void fork_more(int count, int immortals)
{
    if (!tree_lives())
        return;
    world.others = (world.others + count) % 16;
    world.immortals = world.others < immortals ? world.others : immortals;
}

static void result_comes(struct input *input)
{
    uint8_t choice = take_byte(input);

    if (world.result != RESULT_OPEN)
        return;
    world.result = choice % 4 == 1   ? RESULT_FAILED
                   : choice % 4 == 2 ? RESULT_PART
                                     : RESULT_EXECUTED;
    world.result_errno = choice % 8 == 1 ? ETIME : ENOENT;
    if (world.result == RESULT_FAILED)
        world.main_dead = true;
}

static void pass_time(int64_t wake_ns, int64_t pause_ns, bool overslept)
{
    int64_t until_ns = world.now_ns + pause_ns;

    if (!overslept && wake_ns < until_ns)
        until_ns = wake_ns;
    if (until_ns > world.now_ns)
        world.now_ns = until_ns;
}

static void happen(uint8_t what, struct input *input, int64_t wake_ns)
{
    static const int errors[] = {EINTR, ECONNRESET, ENOMEM, EAGAIN, EBADF, ENOTCONN};

    switch (what % 12) {
    case 0:
        queue_request(input);
        break;
    case 1:
        queue_raw(input);
        break;
    case 2:
        pass_time(wake_ns, take_short(input) * NS_PER_MS, false);
        break;
    case 3:
        pass_time(wake_ns, take_short(input) * 4 * NS_PER_MS, true);
        break;
    case 4:
        world.main_status = take_byte(input);
        world.main_dead = world.main_dead || (world.spawned && world.result != RESULT_OPEN);
        break;
    case 5:
        result_comes(input);
        break;
    case 6:
        fork_more(take_byte(input) % 8, take_byte(input) % 3);
        break;
    case 7:
        world.deaf = !world.deaf;
        world.was_deaf = true;
        break;
    case 8:
        world.receive_error = errors[take_byte(input) % 6];
        break;
    case 9:
        world.closed = true;
        break;
    case 10:
        world.spawn_fails = take_byte(input) % 2 == 1;
        world.timer_broken = take_byte(input) % 2 == 1;
        break;
    case 11:
        world.leave_some = true;
        world.others -= world.others > world.immortals;
        break;
    }
}

/* The end of the input is the end of the elector, and of all that could hold up the end. */
static void come_to_an_end(int64_t wake_ns)
{
    world.closed = true;
    world.deaf = false;
    world.timer_broken = false;
    world.immortals = 0;
    if (wake_ns != INT64_MAX)
        pass_time(wake_ns, INT64_C(86400000) * NS_PER_MS, false);
}

/* ---- in place of the system ---- */

int64_t __wrap_clock_boottime_ns(void)
{
    return world.now_ns;
}

int __wrap_clock_arm_timer(int fd, int64_t at_ns)
{
    ORACLE(fd == FD_TIMER);
    world.armed_ns = at_ns;
    return world.timer_broken ? -EINVAL : 0;
}

int __wrap_ppoll(struct pollfd *fds, nfds_t count, const struct timespec *pause,
                 const sigset_t *mask)
{
    int64_t wake_ns = pause != NULL
                          ? world.now_ns + pause->tv_sec * 1000 * NS_PER_MS + pause->tv_nsec
                          : world.armed_ns;
    uint8_t what;

    ORACLE(count == 5 && fds[4].fd == -1 && mask == NULL && world.sleeps++ < SLEEPS_MOST);
    ORACLE(pause != NULL || !world.timer_broken);
    ORACLE(fds[0].fd == FD_SIGNALS && fds[1].fd == FD_TIMER);
    ORACLE(fds[2].fd == (world.result != RESULT_NONE ? FD_RESULT : -1));
    ORACLE(fds[3].fd == (model.alone ? -1 : SOCKET_FD));
    ORACLE((fds[3].events & POLLOUT) != 0 || world.keeper.waiting == 0);
    if (!world.will)
        check_at_rest(pause != NULL ? least(wake_ns, world.armed_ns) : wake_ns);
    if (world.input.left == 0) {
        come_to_an_end(wake_ns);
        return 0;
    }
    do {
        what = take_byte(&world.input);
        happen(what & 0x7F, &world.input, wake_ns);
    } while ((what & 0x80) != 0);
    return 0;
}

int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout)
{
    ORACLE(count == 1 && timeout == 0 && fds[0].fd == SOCKET_FD);
    fds[0].revents = world.closed ? POLLRDHUP : 0;
    return world.closed;
}

/* What the last packet was not allowed to change. */
static void check_unchanged(void)
{
    const struct run *run = &world.keeper.run;
    const struct run *before = &world.before;

    ORACLE(run->state == before->state && run->number == before->number &&
           run->token == before->token && run->latched == before->latched &&
           run->stop_at_ns == before->stop_at_ns && run->kill_at_ns == before->kill_at_ns &&
           run->sweep_at_ns == before->sweep_at_ns &&
           memcmp(run->version, before->version, sizeof run->version) == 0);
    world.check_unchanged = false;
}

static void note_packet(const struct packet *packet)
{
    struct keeper_request request;

    if (packet->length == sizeof request) {
        memcpy(&request, packet->bytes, sizeof request);
        world.check_unchanged = request.kind != KEEPER_START && request.run != model.run;
        model_request(&request, world.now_ns, world.config.grace_ms, world.closed);
        ORACLE(world.acks_owed < ACKS_MOST);
        world.acks[world.acks_owed++] = request.sequence;
    } else if (packet->length == 0) {
        /* On such a socket that cannot be told from its end. */
        model_elector_died(world.now_ns);
    } else {
        world.check_unchanged = true;
    }
    world.before = world.keeper.run;
}

ssize_t __wrap_recv(int fd, void *buffer, size_t size, int flags)
{
    ORACLE(fd == SOCKET_FD && flags == (MSG_DONTWAIT | MSG_TRUNC) && !model.alone);
    if (world.check_unchanged)
        check_unchanged();
    if (world.receive_error != 0) {
        errno = world.receive_error;
        world.receive_error = 0;
        if (errno == EBADF || errno == ENOTCONN)
            model_elector_died(world.now_ns);
        return -1;
    }
    if (world.queued > 0) {
        const struct packet packet = world.packets[0];

        memmove(world.packets, world.packets + 1, sizeof world.packets - sizeof packet);
        world.queued--;
        memcpy(buffer, packet.bytes, packet.length < size ? packet.length : size);
        note_packet(&packet);
        return (ssize_t)packet.length;
    }
    if (world.closed) {
        model_elector_died(world.now_ns);
        return 0;
    }
    errno = EAGAIN;
    return -1;
}

static void hear_ack(uint32_t sequence)
{
    int at = 0;

    /* Some may have been dropped for an elector that did not read. */
    while (at < world.acks_owed && world.acks[at] != sequence)
        at++;
    ORACLE(at < world.acks_owed && (at == 0 || world.was_deaf));
    world.acks_owed -= at + 1;
    memmove(world.acks, world.acks + at + 1, (size_t)world.acks_owed * sizeof world.acks[0]);
}

ssize_t __wrap_send(int fd, const void *buffer, size_t size, int flags)
{
    struct keeper_message message;

    ORACLE(fd == SOCKET_FD && size == sizeof message && flags == (MSG_DONTWAIT | MSG_NOSIGNAL));
    if (world.deaf) {
        errno = EAGAIN;
        return -1;
    }
    memcpy(&message, buffer, sizeof message);
    if (message.kind == KEEPER_ACK)
        hear_ack(message.sequence);
    return (ssize_t)size;
}

ssize_t __wrap_read(int fd, void *buffer, size_t size)
{
    if (!world.inside)
        return __real_read(fd, buffer, size);
    ORACLE(fd == FD_SIGNALS || (fd == FD_RESULT && world.result != RESULT_NONE));
    if (fd == FD_RESULT && world.result == RESULT_EXECUTED)
        return 0;
    if (fd == FD_RESULT && world.result != RESULT_OPEN) {
        memcpy(buffer, &world.result_errno, size);
        return world.result == RESULT_FAILED ? (ssize_t)size : 1;
    }
    errno = EAGAIN;
    return -1;
}

int __wrap_close(int fd)
{
    if (!world.inside)
        return __real_close(fd);
    ORACLE(fd == FD_RESULT && world.result != RESULT_NONE);
    world.result = RESULT_NONE;
    return 0;
}

int __wrap_open64(const char *path, int flags, ...)
{
    if (!world.inside)
        return __real_open64(path, flags, 0600);
    ORACLE(strcmp(path, "/dev/null") == 0);
    return FD_NULL;
}

int __wrap_dup2(int from, int to)
{
    if (!world.inside)
        return __real_dup2(from, to);
    ORACLE(from == FD_NULL && to >= 0 && to < 3 && world.config.single_run);
    return to;
}

bool __wrap_cgroup_is_populated(const struct cgroup *cgroup)
{
    ORACLE(cgroup == &world.keeper.cgroup);
    return false;
}

void __wrap_cgroup_kill(const struct cgroup *cgroup)
{
    ORACLE(cgroup == &world.keeper.cgroup);
}

int __wrap_spawn_prepare(struct spawn *spawn, const struct keeper_config *config,
                         const struct cgroup *cgroup)
{
    ORACLE(spawn == &world.keeper.spawn && config == &world.config &&
           cgroup == &world.keeper.cgroup);
    return 0;
}

pid_t __wrap_spawn_child(struct spawn *spawn, const struct keeper_request *start, int *result)
{
    ORACLE(spawn == &world.keeper.spawn && start->token == world.keeper.run.token);
    ORACLE(!world.spawned && world.result == RESULT_NONE && *result == -1);
    ORACLE(model.active && start->stop_at_ns == model.stop_at_ns &&
           world.now_ns < start->stop_at_ns);
    ORACLE(!world.closed && !model.alone);
    if (world.spawn_fails)
        return -EAGAIN;
    world.spawned = true;
    world.main_dead = false;
    world.main_status = 0;
    world.others = 0;
    world.immortals = 0;
    world.result = RESULT_OPEN;
    *result = FD_RESULT;
    return PID_COMMAND;
}

/* Nobody else may be signalled, and no last will is made before its time. */
int __wrap_kill(pid_t pid, int signal)
{
    ORACLE(pid == PID_WILL && signal == SIGKILL && world.will);
    world.will_patience = 0;
    return 0;
}

pid_t __wrap_fork(void)
{
    ORACLE(!world.will && model.alone && model.orphaned && !tree_lives() && !model.active);
    ORACLE(world.keeper.run.kill_at_ns == model.kill_at_ns);
    ORACLE(memcmp(world.keeper.run.version, model.version, sizeof model.version) == 0);
    world.will = true;
    world.will_patience = take_byte(&world.input);
    return world.will_patience == 255 ? -1 : PID_WILL;
}

pid_t __wrap_waitpid(pid_t pid, int *status, int flags)
{
    ORACLE(pid == PID_WILL && status == NULL && world.will);
    ORACLE(flags == WNOHANG || world.will_patience == 0);
    return world.will_patience-- > 0 ? 0 : pid;
}

/* ---- in place of the tree ---- */

static enum tree_state look_at(struct tree *tree)
{
    tree->unfinished = world.leave_some && tree_lives();
    world.leave_some = false;
    if (!world.spawned)
        return TREE_DEAD;
    if (world.main_dead && !tree->main_exited) {
        tree->main_exited = true;
        tree->main_status = world.main_status;
    }
    if (tree_lives())
        return TREE_ALIVE;
    tree->main = 0;
    return TREE_DEAD;
}

enum tree_state __wrap_tree_reap(struct tree *tree)
{
    ORACLE(model.active);
    return look_at(tree);
}

enum tree_state __wrap_tree_sweep(struct tree *tree, struct tree_round *round)
{
    int mortal = world.others - world.immortals;
    int dying = mortal < 3 ? mortal : 3;

    ORACLE(model.active);
    model.swept = true;
    memset(round, 0, sizeof *round);
    if (world.spawned) {
        round->left = world.others + !world.main_dead;
        world.main_dead = true;
        world.others -= dying;
        round->reaped = dying;
        round->killed = dying;
        round->refused = world.immortals;
        round->error = world.immortals > 0 ? EPERM : 0;
    }
    return look_at(tree);
}

int __wrap_tree_signal(const struct tree *tree, int signal, bool main_only)
{
    ORACLE(tree == &world.keeper.run.tree && tree->main == PID_COMMAND && world.spawned);
    ORACLE(signal > 0 && signal < NSIG && !model.swept);
    ORACLE(!main_only || world.config.stop_main_only);
    return 0;
}

void __wrap_tree_signal_all(const struct tree *tree, int signal)
{
    ORACLE(tree == &world.keeper.run.tree && tree->main == PID_COMMAND && world.spawned);
    ORACLE(signal > 0 && signal < NSIG && !model.swept);
}

static void last_will(void *context, const struct keeper_term *term)
{
    (void)context;
    (void)term;
    ORACLE(false);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    memset(&world, 0, sizeof world);
    memset(&model, 0, sizeof model);
    world.input = (struct input){.at = data, .left = size};
    world.now_ns = START_NS;
    world.inside = true;

    uint8_t choices = take_byte(&world.input);
    world.config.grace_ms = take_short(&world.input);
    world.config.stop_main_only = (choices & 1) != 0;
    world.config.single_run = (choices & 2) != 0;
    world.config.last_will = last_will;
    ORACLE(set_up(&world.keeper, &world.config, getpid()) == NULL);
    world.keeper.run.on_message = on_run_message;
    serve(&world.keeper);
    ORACLE(!tree_lives() && model.alone && !model.active && world.result == RESULT_NONE);
    ORACLE(world.was_deaf || world.acks_owed == 0);
    ORACLE(world.keeper.run.number == 0 || world.keeper.run.orphaned == model.orphaned);
    /* As be_keeper ends. */
    if (world.keeper.run.number != 0 && world.keeper.run.orphaned)
        run_last_will(&world.keeper);
    world.inside = false;
    return 0;
}
