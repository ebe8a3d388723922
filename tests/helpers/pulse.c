/*
 * The command that candidates of the torture run: a main process, a second one of its group, and a
 * daemon in a session of its own. Each of them, every EVERY_MS:
 *
 * - leaves proof of life in the file PROOFS: "<CLOCK_BOOTTIME ns> <name> <token> <role>", in one
 *   write to a file that is open for appending;
 * - increments a counter that is fenced: the resource outside of Redis that a lease is there to
 *   protect. It remembers the highest token it has seen and refuses a lower one.
 *
 * The counter is the file COUNTER under flock. Each attempt appends one record
 *
 *     <CLOCK_BOOTTIME ns> <token that asks> <highest token> <value> <+ or ->
 *
 * of RECORD_SIZE bytes, so the last record is the state. One write of so few bytes inside one page
 * happens or does not: a kill at any moment leaves no half of it.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_SEC  INT64_C(1000000000)
#define NS_PER_MS   INT64_C(1000000)
#define EVERY_MS    20
#define RECORD_SIZE 128

/* In every third term the daemon pays no heed to TERM and has to be killed. */
#define STUBBORN_EACH 3

struct files {
    const char *proofs;
    const char *counter;
};

static volatile sig_atomic_t term_seen;

static void on_term(int number)
{
    (void)number;
    term_seen = 1;
}

static int64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_BOOTTIME, &now);
    return now.tv_sec * NS_PER_SEC + now.tv_nsec;
}

static uint64_t token(void)
{
    const char *value = getenv("LEADERWRAP_TOKEN");
    return value != NULL ? strtoull(value, NULL, 10) : 0;
}

static int open_log(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666);

    if (fd < 0) {
        perror(path);
        _exit(99);
    }
    return fd;
}

static void append(int fd, const char *text, size_t length)
{
    if (write(fd, text, length) != (ssize_t)length)
        _exit(98);
}

static void prove(int fd, const char *role)
{
    const char *name = getenv("LEADERWRAP_NAME");
    char line[256];
    int length = snprintf(line, sizeof line, "%lld %s %llu %s\n", (long long)now_ns(),
                          name != NULL ? name : "-", (unsigned long long)token(), role);

    if (length > 0 && (size_t)length < sizeof line)
        append(fd, line, (size_t)length);
}

/* Takes the state from the last record; without one it is left as it is. */
static void read_state(int fd, unsigned long long *highest, unsigned long long *value)
{
    char record[RECORD_SIZE + 1] = "";
    struct stat status;
    char *rest;

    if (fstat(fd, &status) != 0)
        _exit(98);
    if (status.st_size < RECORD_SIZE)
        return;
    if (pread(fd, record, RECORD_SIZE, status.st_size - RECORD_SIZE) != RECORD_SIZE)
        _exit(98);
    (void)strtoull(record, &rest, 10);
    (void)strtoull(rest, &rest, 10);
    *highest = strtoull(rest, &rest, 10);
    *value = strtoull(rest, NULL, 10);
}

static void increment_locked(int fd)
{
    unsigned long long mine = token(), highest = 0, value = 0;
    char record[RECORD_SIZE + 1];

    read_state(fd, &highest, &value);
    bool allowed = mine >= highest;
    if (allowed) {
        highest = mine;
        value++;
    }
    int length = snprintf(record, sizeof record, "%lld %llu %llu %llu %c", (long long)now_ns(),
                          mine, highest, value, allowed ? '+' : '-');
    if (length < 0 || length >= RECORD_SIZE)
        _exit(98);
    memset(record + length, ' ', (size_t)(RECORD_SIZE - 1 - length));
    record[RECORD_SIZE - 1] = '\n';
    append(fd, record, RECORD_SIZE);
}

/* Who finds the lock taken tries again at the next beat: its holder may be frozen. */
static void increment(int fd)
{
    if (flock(fd, LOCK_EX | LOCK_NB) != 0)
        return;
    increment_locked(fd);
    flock(fd, LOCK_UN);
}

static _Noreturn void beat(const struct files *files, const char *role)
{
    /* Opened by each process by itself: a lock belongs to the opening, not to the process. */
    int proofs = open_log(files->proofs);
    int counter = open_log(files->counter);
    const struct timespec pause = {0, EVERY_MS * NS_PER_MS};
    char name[16];

    snprintf(name, sizeof name, "pulse-%s", role);
    prctl(PR_SET_NAME, name);
    while (!term_seen) {
        prove(proofs, role);
        increment(counter);
        nanosleep(&pause, NULL);
    }
    _exit(0);
}

int main(int argc, char **argv)
{
    struct sigaction action = {.sa_handler = on_term};

    if (argc != 3) {
        fputs("usage: pulse PROOFS COUNTER\n", stderr);
        return 64;
    }
    const struct files files = {.proofs = argv[1], .counter = argv[2]};
    sigaction(SIGTERM, &action, NULL);
    pid_t member = fork();
    if (member == 0)
        beat(&files, "member");
    pid_t daemon = fork();
    if (daemon == 0) {
        if (setsid() < 0 || fork() != 0)
            _exit(0);
        if (token() % STUBBORN_EACH == 0)
            signal(SIGTERM, SIG_IGN);
        beat(&files, "daemon");
    }
    if (member < 0 || daemon < 0 || waitpid(daemon, NULL, 0) != daemon) {
        perror("fork");
        return 99;
    }
    beat(&files, "main");
}
