/*
 * A real server under a clock that stands still. REDIS_SERVER names another program than
 * redis-server.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "differential.h"
#include "redis/scripts.h"

#define START_TRIES 30000      /* of a millisecond */
#define DUMP        "dump.rdb" /* what a server loads and saves */
#define DIGITS      40         /* of a replid */
#define REPLICATED  "got.rdb"  /* the same, of one that gets its data from another */
#define COMMANDS    "commands" /* its socket */
#define SOURCE      "source"   /* that of the other one */

#define PORT_FIRST 20000
#define PORTS      2000
#define BUS        10000 /* from a node's port to that of its bus */

/* A node takes writes so long after its start, by its own clock (CLUSTER_WRITABLE_DELAY). */
#define NODE_DELAY_US INT64_C(3000000)

static void path_of(const struct real *real, const char *name, char *path, size_t size)
{
    if ((size_t)snprintf(path, size, "%s/%s", real->directory, name) >= size)
        give_up("%s: this path is too long", real->directory);
}

/* ---- the process ---- */

/* The library is beside this program. */
static void preload(const struct real *real)
{
    char library[256];
    char clock[256];
    ssize_t length = readlink("/proc/self/exe", library, sizeof library - 1);

    if (length < 0)
        _exit(126);
    library[length] = '\0';
    char *name = strrchr(library, '/') + 1;
    snprintf(name, sizeof library - (size_t)(name - library), "libfrozen.so");
    path_of(real, "clock", clock, sizeof clock);
    setenv("LD_PRELOAD", library, 1);
    setenv("FROZEN_CLOCK_FILE", clock, 1);
}

/* In the child. */
static _Noreturn void run_server(const struct real *real, const char *name, int port,
                                 const char *dump)
{
    const char *program = getenv("REDIS_SERVER");
    bool node = real->kind == REAL_CLUSTER;
    char log[256], socket[256], number[16];
    path_of(real, "log", log, sizeof log);
    path_of(real, name, socket, sizeof socket);
    int file = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);

    snprintf(number, sizeof number, "%d", port);
    if (program == NULL)
        program = "redis-server";
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(file, STDOUT_FILENO);
    dup2(file, STDERR_FILENO);
    preload(real);
    /* Who has had no replica for that long takes a new replid, at a moment that nobody can know. */
    execlp(program, program, "--repl-backlog-ttl", "0", "--bind", "127.0.0.1", "--port", number,
           "--unixsocket", socket, "--dir", real->directory, "--save", "", "--appendonly", "no",
           "--dbfilename", dump, "--enable-debug-command", "yes", "--repl-diskless-sync-delay", "0",
           "--cluster-enabled", node ? "yes" : "no", (char *)NULL);
    _exit(127);
}

static redisContext *try_connect(const char *socket)
{
    redisContext *context = redisConnectUnix(socket);
    redisReply *reply;

    if (context == NULL)
        give_up("no memory");
    reply = context->err == 0 ? redisCommand(context, "PING") : NULL;
    bool ready = reply != NULL && reply->type == REDIS_REPLY_STATUS;
    freeReplyObject(reply);
    if (ready)
        return context;
    redisFree(context);
    return NULL;
}

static void load_script(struct real *real, const struct script *script)
{
    redisReply *reply = real_ask(real, "SCRIPT LOAD %s", script->text);

    if (strcmp(reply->str, script->flagged_sha1) != 0)
        give_up("the server's sum of a script is not ours");
    freeReplyObject(reply);
}

static bool is_free(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int file = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (file < 0)
        give_up("no socket: %s", strerror(errno));
    int result = bind(file, (struct sockaddr *)&address, sizeof address);
    close(file);
    return result == 0;
}

/* One that is free now, and so is that of a cluster's bus; below those that the kernel gives out.
 */
static int find_port(void)
{
    static int next;

    if (next == 0)
        next = (int)getpid();
    for (int i = 0; i < PORTS; i++) {
        int port = PORT_FIRST + next++ % PORTS;

        if (is_free(port) && is_free(port + BUS))
            return port;
    }
    give_up("no port is free");
}

/* Starts a server that loads `dump`, with its socket and its log of that name, and connects to it.
 */
static redisContext *start_server(struct real *real, const char *name, int port, const char *dump,
                                  pid_t *pid)
{
    redisContext *context = NULL;
    char socket[256];

    path_of(real, name, socket, sizeof socket);
    unlink(socket);
    *pid = fork();
    if (*pid < 0)
        give_up("fork: %s", strerror(errno));
    if (*pid == 0)
        run_server(real, name, port, dump);
    for (int i = 0; context == NULL; i++) {
        if (i == START_TRIES || waitpid(*pid, NULL, WNOHANG) != 0)
            give_up("the server does not answer; %s/log may say why", real->directory);
        usleep(1000);
        context = try_connect(socket);
    }
    return context;
}

/* Whether the answer to a command has `text` in it. */
static bool says(struct real *real, const char *command, const char *text)
{
    redisReply *reply = real_ask(real, command);
    bool has = strstr(reply->str, text) != NULL;

    freeReplyObject(reply);
    return has;
}

/* Waits until it has. Each time in vain takes the server's clock on by `step_us`. */
static void await(struct real *real, const char *command, const char *text, int64_t step_us)
{
    for (int i = 0; !says(real, command, text); i++) {
        if (i == START_TRIES)
            give_up("%s does not say %s; %s/log may say why", command, text, real->directory);
        *real->clock_us += step_us;
        usleep(1000);
    }
}

/* It counts the delay from its first look at its own state, whenever that is: the clock goes on
 * until it is over. */
static void start_node(struct real *real)
{
    int64_t began_us = *real->clock_us;

    if (says(real, "CLUSTER INFO", "cluster_slots_assigned:0"))
        real_do(real, "CLUSTER ADDSLOTSRANGE 0 16383");
    await(real, "CLUSTER INFO", "cluster_state:ok", NODE_DELAY_US / 100);
    *real->clock_us = began_us;
}

/* Another server loads the data and hands them on. */
static void be_promoted(struct real *real)
{
    int port = find_port();
    pid_t source;

    redisFree(start_server(real, SOURCE, port, DUMP, &source));
    real_do(real, "REPLICAOF 127.0.0.1 %d", port);
    await(real, "INFO replication", "master_link_status:up", 0);
    real_do(real, "REPLICAOF NO ONE");
    kill(source, SIGKILL);
    waitpid(source, NULL, 0);
}

static const char *dump_of(const struct real *real)
{
    return real->kind == REAL_PROMOTED ? REPLICATED : DUMP;
}

static void start(struct real *real)
{
    char got[256];

    if (real->kind == REAL_PROMOTED) {
        path_of(real, REPLICATED, got, sizeof got);
        unlink(got);
    }
    real->commands = start_server(real, COMMANDS, real->kind == REAL_CLUSTER ? find_port() : 0,
                                  dump_of(real), &real->pid);
    /* What has expired goes when somebody looks at it, not at a moment that nobody can know. */
    real_do(real, "DEBUG SET-ACTIVE-EXPIRE 0");
    if (real->kind == REAL_CLUSTER)
        start_node(real);
    else if (real->kind == REAL_PROMOTED)
        be_promoted(real);
    load_script(real, &script_acquire);
    load_script(real, &script_renew);
    load_script(real, &script_release);
}

static void stop(struct real *real)
{
    real_listen(real, 0);
    redisFree(real->commands);
    real->commands = NULL;
    kill(real->pid, SIGKILL);
    waitpid(real->pid, NULL, 0);
    unlink(real->socket);
}

void real_begin(struct real *real, enum real_kind kind, const char *directory, int64_t us)
{
    char clock[256];

    *real = (struct real){.kind = kind, .directory = directory};
    path_of(real, COMMANDS, real->socket, sizeof real->socket);
    path_of(real, "clock", clock, sizeof clock);
    int file = open(clock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0 || ftruncate(file, sizeof *real->clock_us) != 0)
        give_up("%s: %s", clock, strerror(errno));
    void *map = mmap(NULL, sizeof *real->clock_us, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (map == MAP_FAILED)
        give_up("mmap: %s", strerror(errno));
    close(file);
    real->clock_us = map;
    *real->clock_us = us;
    start(real);
}

void real_end(struct real *real)
{
    stop(real);
    munmap((void *)(uintptr_t)real->clock_us, sizeof *real->clock_us);
}

void real_restart(struct real *real, const char *dump)
{
    char from[256];
    char to[256];

    stop(real);
    path_of(real, DUMP, to, sizeof to);
    unlink(to);
    if (dump != NULL) {
        path_of(real, dump, from, sizeof from);
        /* A server replaces its dump and never writes into it. */
        if (link(from, to) != 0)
            give_up("%s: %s", from, strerror(errno));
    }
    start(real);
}

/* ---- commands ---- */

static redisReply *ask(struct real *real, const char *format, va_list arguments)
{
    redisReply *reply = redisvCommand(real->commands, format, arguments);

    if (reply == NULL)
        give_up("%s: %s; %s/log may say why", format, real->commands->errstr, real->directory);
    if (reply->type == REDIS_REPLY_ERROR)
        give_up("%s: %s", format, reply->str);
    return reply;
}

redisReply *real_ask(struct real *real, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    redisReply *reply = ask(real, format, arguments);
    va_end(arguments);
    return reply;
}

void real_do(struct real *real, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    freeReplyObject(ask(real, format, arguments));
    va_end(arguments);
}

void real_dump(struct real *real, const char *name)
{
    char from[256];
    char to[256];

    real_do(real, "SAVE");
    path_of(real, dump_of(real), from, sizeof from);
    path_of(real, name, to, sizeof to);
    if (rename(from, to) != 0)
        give_up("%s: %s", from, strerror(errno));
}

/* Writes what follows `label` in the server's INFO, 40 hexadecimal digits. */
static void read_info(struct real *real, const char *section, const char *label,
                      char value[DIGITS + 1])
{
    redisReply *reply = real_ask(real, "INFO %s", section);
    const char *found = strstr(reply->str, label);

    if (found == NULL)
        give_up("there is no %s in INFO", label);
    snprintf(value, DIGITS + 1, "%s", found + strlen(label));
    freeReplyObject(reply);
}

void real_ident(struct real *real, char incarnation[LEASE_INCARNATION_SIZE])
{
    char replid[DIGITS + 1];

    read_info(real, "replication", "\nmaster_replid:", replid);
    snprintf(incarnation, LEASE_INCARNATION_SIZE, "%s", replid);
}

/* ---- listeners ---- */

void real_listen(struct real *real, int listeners)
{
    while (real->listening > listeners) {
        redisFree(real->listeners[--real->listening]);
        /* It counts as a listener until the server has seen its connection close. */
        int64_t count = listeners + 1;
        while (real->commands != NULL && count > real->listening) {
            redisReply *reply = real_ask(real, "PUBSUB NUMSUB %s", REAL_CHANNEL);
            count = reply->element[1]->integer;
            freeReplyObject(reply);
        }
    }
    while (real->listening < listeners) {
        redisContext *listener = try_connect(real->socket);
        redisReply *reply =
            listener != NULL ? redisCommand(listener, "SUBSCRIBE %s", REAL_CHANNEL) : NULL;
        if (reply == NULL || reply->type != REDIS_REPLY_ARRAY)
            give_up("cannot subscribe");
        freeReplyObject(reply);
        real->listeners[real->listening++] = listener;
    }
}

/* What was published before a PING is delivered before its answer: no waiting for what may not
 * come. */
void real_heard(struct real *real, int listener, char *text)
{
    redisContext *context = real->listeners[listener];
    redisReply *reply = redisCommand(context, "PING");
    size_t used = 0;

    text[0] = '\0';
    while (reply != NULL && reply->type == REDIS_REPLY_ARRAY && reply->elements == 3) {
        used += (size_t)snprintf(text + used, TEXT_SIZE - used, "%s\n", reply->element[2]->str);
        freeReplyObject(reply);
        reply = NULL;
        if (used >= TEXT_SIZE || redisGetReply(context, (void **)&reply) != REDIS_OK)
            break;
    }
    if (reply == NULL || reply->type != REDIS_REPLY_ARRAY || reply->elements != 2)
        give_up("a listener got no answer to PING: %s", context->errstr);
    freeReplyObject(reply);
}
