/*
 * A command that leaves proof of every moment it is alive: it appends lines
 *
 *     <CLOCK_BOOTTIME ns> <pid> <name> <token> start|beat|end
 *
 * to a file, each in one write, so that lines of all processes stand in the order they happened.
 * Options make it as badly behaved as commands can be.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_SEC INT64_C(1000000000)
#define NS_PER_MS  INT64_C(1000000)

struct options {
    int64_t every_ms;
    int64_t exit_after_ms; /* -1: never */
    int64_t term_delay_ms; /* goes on for so long after a TERM */
    int64_t forks;
    int64_t exit_code;
    bool ignore_term;
    bool daemonize;
    bool orphan; /* with --daemonize: the first process ends */
    const char *path;
};

static volatile sig_atomic_t term_seen;

static void on_term(int signal)
{
    (void)signal;
    term_seen = 1;
}

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return now.tv_sec * NS_PER_SEC + now.tv_nsec;
}

static const char *environment(const char *name)
{
    const char *value = getenv(name);
    return value != NULL && *value != '\0' ? value : "-";
}

static void record(int fd, const char *what)
{
    char line[256];
    int length =
        snprintf(line, sizeof line, "%lld %d %s %s %s\n", (long long)now_ns(), (int)getpid(),
                 environment("LEADERWRAP_NAME"), environment("LEADERWRAP_TOKEN"), what);
    if (length < 0 || (size_t)length >= sizeof line || write(fd, line, (size_t)length) != length)
        _exit(98);
}

static void pause_ms(int64_t ms)
{
    struct timespec left = {ms / 1000, ms % 1000 * NS_PER_MS};
    /* A signal cuts the pause short: the loop then looks at what to do. */
    nanosleep(&left, NULL);
}

static void set_signals(const struct options *options)
{
    struct sigaction action = {.sa_handler = options->ignore_term ? SIG_IGN : on_term};
    sigaction(SIGTERM, &action, NULL);
}

/* Beats until told to stop. Returns the exit status. */
static int beat(const struct options *options, int fd)
{
    int64_t end_ns =
        options->exit_after_ms < 0 ? INT64_MAX : now_ns() + options->exit_after_ms * NS_PER_MS;
    bool stopping = false;

    record(fd, "start");
    while (now_ns() < end_ns) {
        if (term_seen && !stopping) {
            stopping = true;
            end_ns = now_ns() + options->term_delay_ms * NS_PER_MS;
            continue;
        }
        pause_ms(options->every_ms);
        record(fd, "beat");
    }
    record(fd, "end");
    return stopping ? 0 : (int)options->exit_code;
}

/* Forks `count` more processes that beat; with `away` each in a session of its own, its parent
 * gone. */
static bool fork_beats(const struct options *options, int fd, int64_t count, bool away)
{
    for (int64_t i = 0; i < count; i++) {
        pid_t pid = fork();
        if (pid < 0)
            return false;
        if (pid > 0)
            continue;
        if (away && (setsid() < 0 || fork() != 0))
            _exit(0);
        _exit(beat(options, fd));
    }
    return true;
}

static bool parse(struct options *options, int argc, char **argv)
{
    static const struct option known[] = {
        {"every", required_argument, NULL, 'e'},
        {"exit-after", required_argument, NULL, 'a'},
        {"exit-code", required_argument, NULL, 'c'},
        {"fork", required_argument, NULL, 'f'},
        {"term-delay", required_argument, NULL, 't'},
        {"ignore-term", no_argument, NULL, 'i'},
        {"daemonize", no_argument, NULL, 'd'},
        {"orphan", no_argument, NULL, 'o'},
        {NULL, 0, NULL, 0},
    };
    int option;
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        int64_t number = optarg != NULL ? strtoll(optarg, NULL, 10) : 0;
        switch (option) {
        case 'e':
            options->every_ms = number;
            break;
        case 'a':
            options->exit_after_ms = number;
            break;
        case 'c':
            options->exit_code = number;
            break;
        case 'f':
            options->forks = number;
            break;
        case 't':
            options->term_delay_ms = number;
            break;
        case 'i':
            options->ignore_term = true;
            break;
        case 'd':
            options->daemonize = true;
            break;
        case 'o':
            options->orphan = true;
            break;
        default:
            return false;
        }
    }
    options->path = argv[optind];
    return options->path != NULL;
}

int main(int argc, char **argv)
{
    struct options options = {.every_ms = 5, .exit_after_ms = -1};
    if (!parse(&options, argc, argv)) {
        fputs("usage: beat [--every MS] [--exit-after MS] [--exit-code N] [--fork N]\n"
              "            [--term-delay MS] [--ignore-term] [--daemonize [--orphan]] FILE\n",
              stderr);
        return 64;
    }
    int fd = open(options.path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (fd < 0) {
        perror(options.path);
        return 99;
    }
    set_signals(&options);
    if (!fork_beats(&options, fd, options.forks, false) ||
        (options.daemonize && !fork_beats(&options, fd, 1, true))) {
        perror("fork");
        return 99;
    }
    if (options.orphan)
        return (int)options.exit_code;
    return beat(&options, fd);
}
