/*
 * A command that tells which signals it gets: one line "main 15" on standard output for each. With
 * --member a second process of its group tells "member 15", with --daemon one that has left the
 * family tells "daemon 15". TERM, INT and QUIT end them, with --exit-code, or by the very signal
 * with --die; with --stay nothing does but KILL.
 *
 * With --lines N it writes N lines to standard error instead, each in one write, and ends.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

struct options {
    bool member;
    bool daemon;
    bool stay;
    bool die;
    int exit_code;
    long lines;
};

/* One write, so that lines of several processes do not mix. */
static void say(int fd, const char *who, const char *what, long number)
{
    char line[128];
    int length = number < 0 ? snprintf(line, sizeof line, "%s %s\n", who, what)
                            : snprintf(line, sizeof line, "%s %s%ld\n", who, what, number);

    if (write(fd, line, (size_t)length) != length && errno != EIO)
        _exit(98);
}

static void end(const struct options *options, int number)
{
    sigset_t set;

    if (options->die) {
        sigemptyset(&set);
        sigaddset(&set, number);
        signal(number, SIG_DFL);
        kill(getpid(), number);
        sigprocmask(SIG_UNBLOCK, &set, NULL);
    }
    _exit(options->exit_code);
}

static void watch(const struct options *options, const char *who, int gate)
{
    sigset_t all;
    int number;

    if (gate >= 0)
        close(gate);
    sigfillset(&all);
    while (sigwait(&all, &number) == 0) {
        if (number == SIGCHLD)
            continue;
        say(STDOUT_FILENO, who, "", number);
        if (!options->stay && (number == SIGTERM || number == SIGINT || number == SIGQUIT))
            end(options, number);
    }
    _exit(97);
}

static void fork_witness(const struct options *options, const char *who, bool away, int gate)
{
    pid_t pid = fork();

    if (pid != 0)
        return;
    if (away && (setsid() < 0 || fork() > 0))
        _exit(0);
    watch(options, who, gate);
}

static void write_lines(long count)
{
    char filler[64];

    memset(filler, 'x', sizeof filler - 1);
    filler[sizeof filler - 1] = '\0';
    for (long i = 0; i < count; i++)
        say(STDERR_FILENO, filler, "line ", i);
}

int main(int argc, char **argv)
{
    static const struct option known[] = {
        {"member", no_argument, NULL, 'm'},
        {"daemon", no_argument, NULL, 'd'},
        {"stay", no_argument, NULL, 's'},
        {"die", no_argument, NULL, 'e'},
        {"exit-code", required_argument, NULL, 'c'},
        {"lines", required_argument, NULL, 'l'},
        {NULL, 0, NULL, 0},
    };
    struct options options = {.lines = -1};
    struct rlimit no_core = {0, 0};
    sigset_t all;
    int gate[2];
    char byte;
    int option;

    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        switch (option) {
        case 'm':
            options.member = true;
            break;
        case 'd':
            options.daemon = true;
            break;
        case 's':
            options.stay = true;
            break;
        case 'e':
            options.die = true;
            break;
        case 'c':
            options.exit_code = (int)strtol(optarg, NULL, 10);
            break;
        case 'l':
            options.lines = strtol(optarg, NULL, 10);
            break;
        default:
            return 64;
        }
    }
    if (options.lines >= 0) {
        write_lines(options.lines);
        return options.exit_code;
    }
    setrlimit(RLIMIT_CORE, &no_core);
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    /* Whoever is forked holds the gate open until it watches. */
    if (pipe(gate) != 0)
        return 99;
    if (options.member)
        fork_witness(&options, "member", false, gate[1]);
    if (options.daemon)
        fork_witness(&options, "daemon", true, gate[1]);
    close(gate[1]);
    while (read(gate[0], &byte, 1) < 0 && errno == EINTR)
        ;
    close(gate[0]);
    say(STDOUT_FILENO, "main", "ready", -1);
    watch(&options, "main", -1);
}
