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

#include "differential.h"
#include "redis/scripts.h"

#define START_TRIES 30000      /* of a millisecond */
#define DUMP        "dump.rdb" /* what a server loads and saves */
#define DIGITS      40         /* of run_id and replid */

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
static _Noreturn void run_server(const struct real *real)
{
    const char *program = getenv("REDIS_SERVER");
    char log[256];
    path_of(real, "log", log, sizeof log);
    int file = open(log, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    if (program == NULL)
        program = "redis-server";
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(file, STDOUT_FILENO);
    dup2(file, STDERR_FILENO);
    preload(real);
    execlp(program, program, "--port", "0", "--unixsocket", real->socket, "--dir", real->directory,
           "--save", "", "--appendonly", "no", "--dbfilename", DUMP, "--enable-debug-command",
           "yes", (char *)NULL);
    _exit(127);
}

static redisContext *try_connect(const struct real *real)
{
    redisContext *context = redisConnectUnix(real->socket);
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

static void start(struct real *real)
{
    real->pid = fork();
    if (real->pid < 0)
        give_up("fork: %s", strerror(errno));
    if (real->pid == 0)
        run_server(real);
    for (int i = 0; real->commands == NULL; i++) {
        if (i == START_TRIES || waitpid(real->pid, NULL, WNOHANG) != 0)
            give_up("the server does not answer; %s/log may say why", real->directory);
        usleep(1000);
        real->commands = try_connect(real);
    }
    load_script(real, &script_acquire);
    load_script(real, &script_renew);
    load_script(real, &script_release);
    /* What has expired goes when somebody looks at it, not at a moment that nobody can know. */
    real_do(real, "DEBUG SET-ACTIVE-EXPIRE 0");
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

void real_begin(struct real *real, const char *directory, int64_t us)
{
    char clock[256];

    *real = (struct real){.directory = directory};
    path_of(real, "socket", real->socket, sizeof real->socket);
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
    path_of(real, DUMP, from, sizeof from);
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
    char run_id[DIGITS + 1];
    char replid[DIGITS + 1];

    read_info(real, "server", "\nrun_id:", run_id);
    read_info(real, "replication", "\nmaster_replid:", replid);
    snprintf(incarnation, LEASE_INCARNATION_SIZE, "%s/%s", run_id, replid);
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
        redisContext *listener = try_connect(real);
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
