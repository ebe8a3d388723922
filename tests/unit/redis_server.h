/*
 * A real redis-server for a unit test: on a unix socket in a directory of its own, ended by its
 * pid. REDIS_SERVER names another program to run. Everything here fails the test that calls it.
 */
#ifndef LEADERWRAP_TEST_REDIS_SERVER_H
#define LEADERWRAP_TEST_REDIS_SERVER_H

#include <errno.h>
#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

struct redis_server {
    char directory[64];
    char socket[96];
    pid_t pid;
    redisContext *admin; /* as a user with all rights */
};

static inline const char *redis_server_program(void)
{
    const char *program = getenv("REDIS_SERVER");

    return program != NULL ? program : "redis-server";
}

static inline bool redis_server_is_installed(void)
{
    pid_t pid = fork();
    int status = -1;

    if (pid == 0) {
        int null = open("/dev/null", O_WRONLY);

        dup2(null, STDOUT_FILENO);
        execlp(redis_server_program(), redis_server_program(), "--version", (char *)NULL);
        _exit(127);
    }
    return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

/* In the child. */
static inline void redis_server_exec(const struct redis_server *server)
{
    int null = open("/dev/null", O_RDWR);

    /* A test that crashes takes its server along. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(null, STDIN_FILENO);
    dup2(null, STDOUT_FILENO);
    execlp(redis_server_program(), redis_server_program(), "--port", "0", "--unixsocket",
           server->socket, "--dir", server->directory, "--save", "", "--appendonly", "no",
           (char *)NULL);
    _exit(127);
}

static inline bool redis_server_connect(struct redis_server *server)
{
    redisReply *reply;
    bool ready;

    server->admin = redisConnectUnix(server->socket);
    if (server->admin == NULL)
        return false;
    reply = server->admin->err == 0 ? redisCommand(server->admin, "PING") : NULL;
    ready = reply != NULL && reply->type == REDIS_REPLY_STATUS;
    if (reply != NULL)
        freeReplyObject(reply);
    if (!ready) {
        redisFree(server->admin);
        server->admin = NULL;
    }
    return ready;
}

/* Runs the server on the data that its directory has, and waits until it answers. */
static inline void redis_server_run(struct redis_server *server)
{
    server->pid = fork();
    assert_true(server->pid >= 0);
    if (server->pid == 0)
        redis_server_exec(server);
    for (int tries = 0; tries < 3000; tries++) {
        if (access(server->socket, F_OK) == 0 && redis_server_connect(server))
            return;
        assert_int_equal(waitpid(server->pid, NULL, WNOHANG), 0);
        usleep(10000);
    }
    fail_msg("redis-server does not answer");
}

static inline void redis_server_kill(struct redis_server *server)
{
    if (server->admin != NULL)
        redisFree(server->admin);
    server->admin = NULL;
    if (server->pid > 0) {
        kill(server->pid, SIGKILL);
        waitpid(server->pid, NULL, 0);
    }
    server->pid = 0;
    unlink(server->socket);
}

static inline void redis_server_start(struct redis_server *server)
{
    memset(server, 0, sizeof *server);
    snprintf(server->directory, sizeof server->directory, "/tmp/leaderwrap-test-XXXXXX");
    assert_non_null(mkdtemp(server->directory));
    snprintf(server->socket, sizeof server->socket, "%s/s", server->directory);
    redis_server_run(server);
}

static inline void redis_server_stop(struct redis_server *server)
{
    char file[128];

    redis_server_kill(server);
    snprintf(file, sizeof file, "%s/dump.rdb", server->directory);
    unlink(file);
    rmdir(server->directory);
}

/* Writes a reply as text: strings as they are, numbers in digits, arrays with spaces between. */
static inline void redis_server_show(const redisReply *reply, char *buffer, size_t size)
{
    size_t used = 0;

    buffer[0] = '\0';
    if (reply->type == REDIS_REPLY_INTEGER) {
        snprintf(buffer, size, "%lld", reply->integer);
    } else if (reply->type == REDIS_REPLY_ARRAY) {
        for (size_t i = 0; i < reply->elements && used + 1 < size; i++) {
            if (i > 0)
                buffer[used++] = ' ';
            redis_server_show(reply->element[i], buffer + used, size - used);
            used += strlen(buffer + used);
        }
    } else if (reply->type == REDIS_REPLY_NIL) {
        snprintf(buffer, size, "(nil)");
    } else {
        snprintf(buffer, size, "%s", reply->str);
    }
}

/* Runs one command as the administrator; the answer stays until the next call. */
static inline const char *redis_server_ask(struct redis_server *server, const char *format, ...)
{
    static char answer[4096];
    redisReply *reply;
    va_list args;

    va_start(args, format);
    reply = redisvCommand(server->admin, format, args);
    va_end(args);
    if (reply == NULL)
        fail_msg("%s: %s", format, server->admin->errstr);
    redis_server_show(reply, answer, sizeof answer);
    freeReplyObject(reply);
    return answer;
}

#endif
