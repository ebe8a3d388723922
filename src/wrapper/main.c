/*
 * leaderwrap: runs a command on exactly one of many machines.
 *
 * main puts the processes in their places: this one becomes the elector; the keeper, which is the
 * command's parent, is forked before libuv and its threads exist.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <unistd.h>

#include "advice.h"
#include "check.h"
#include "environment.h"
#include "executable.h"
#include "leaderwrap/base/disposition.h"
#include "leaderwrap/base/inherited.h"
#include "leaderwrap/base/lease.h"
#include "leaderwrap/base/log.h"
#include "leaderwrap/base/siphash.h"
#include "leaderwrap/counter/counter.h"
#include "leaderwrap/keeper/keeper.h"
#include "leaderwrap/keeper/tree.h"
#include "options.h"
#include "supervisor.h"
#include "will.h"

/* What the keeper's callbacks need. */
struct candidate {
    struct options options;
    struct inherited inherited;
    char id[LEASE_ID_SIZE];
    uint64_t seed;
    uint8_t nonce_key[SIPHASH_KEY_SIZE];
};

static int fail(int status, const char *message)
{
    char shown[1024];

    /* A value that is quoted in it may hold anything. */
    log_sanitize(shown, sizeof shown, message);
    fprintf(stderr, "leaderwrap: %s\n", shown);
    return status;
}

static int fail_errno(const char *what, int error)
{
    fprintf(stderr, "leaderwrap: %s: %s\n", what, strerror(error));
    return EXIT_OWN_FAILURE;
}

static int run_counter(void *context)
{
    const struct candidate *candidate = context;
    const struct counter_config config = {
        .target = &candidate->options.redis,
        .lease_key = candidate->options.key,
        .counter_key = candidate->options.counter_key,
        .name = candidate->options.name,
    };
    return counter_run(&config);
}

static void run_will(void *context, const struct keeper_term *term)
{
    const struct candidate *candidate = context;
    will_execute(&candidate->options, candidate->id, term);
}

/* The id must differ from that of every other process there is or was. Everybody may know it, and
 * nobody what is drawn beside it. */
static int make_identity(struct candidate *candidate)
{
    struct {
        uint64_t id;
        uint64_t seed;
        uint8_t nonce_key[SIPHASH_KEY_SIZE];
    } random;
    ssize_t size = getrandom(&random, sizeof random, 0);

    if (size < 0)
        return -errno;
    /* Never so for 256 bytes and less (getrandom(2)). */
    if (size != (ssize_t)sizeof random)
        return -EIO;
    snprintf(candidate->id, sizeof candidate->id, "%s#%016" PRIx64, candidate->options.name,
             random.id);
    candidate->seed = random.seed;
    memcpy(candidate->nonce_key, random.nonce_key, sizeof candidate->nonce_key);
    return 0;
}

/* In the background of a shell with job control the keystrokes are the shell's. A command there
 * would be stopped at its first read (termios(3), SIGTTIN); ours, in a session of its own, would
 * get them. Elsewhere tcgetpgrp(3) fails, or is our own group. */
static int leave_keystrokes_to_shell(void)
{
    pid_t foreground = tcgetpgrp(STDIN_FILENO);

    if (foreground <= 0 || foreground == getpgrp())
        return 0;
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (null < 0)
        return -errno;
    int result = dup2(null, STDIN_FILENO) < 0 ? -errno : 0;
    close(null);
    log_line(LOG_LEVEL_INFO, "background",
             "in the background of a terminal: the command reads from /dev/null");
    return result;
}

/* From here on the command's streams are the command's: only standard error is ours as well. */
static int let_streams_go(void)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (null < 0)
        return -errno;
    int result = dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0 ? -errno : 0;
    if (null > STDERR_FILENO)
        close(null);
    return result;
}

static int check_command(const struct options *options)
{
    char text[EXECUTABLE_TEXT_SIZE];
    int status = executable_problem(options->command, text, sizeof text);

    return status == 0 ? 0 : fail(status, text);
}

/* A command that could not be ended for certain is not started. */
static int check_tree(void)
{
    enum tree_reach reach = tree_reach();

    if (reach == TREE_REACH_NONE)
        return fail(EXIT_OWN_FAILURE, check_reach(reach));
    if (reach == TREE_REACH_SLOW)
        log_line(LOG_LEVEL_WARNING, "no_proc", "%s", check_reach(reach));
    return 0;
}

/* Forks all keepers: that of the command has our streams, those of hooks and health checks have
 * standard error alone. The pipe tells the first of the others' end. */
static int fork_keepers(struct candidate *candidate, char **environment,
                        struct supervisor_config *supervisor)
{
    const struct options *options = &candidate->options;
    struct inherited plain = candidate->inherited;
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) != 0)
        return -errno;
    struct keeper_config config = {
        .inherited = &candidate->inherited,
        .command = options->command,
        .builtin = run_counter,
        .environment = environment,
        .grace_ms = options->timing.grace_ms,
        .stop_main_only = options->stop_main_only,
        .guarded = true,
        .single_run =
            options->exit_on_lost && options->restart == RESTART_NO && options->health_cmd == NULL,
        .last_will = options->no_release ? NULL : run_will,
        .context = candidate,
        .pipe = ends[0],
        .lease_page = options->lease_page ? supervisor->page->fd : 0,
    };
    int result = leave_keystrokes_to_shell();
    if (result == 0)
        result = supervisor->keeper = keeper_fork(&config, &supervisor->keeper_fd);
    if (result > 0)
        result = let_streams_go();
    /* Where leaderwrap had none, /dev/null is their standard stream. */
    memset(plain.closed, 0, sizeof plain.closed);
    config.inherited = &plain;
    config.last_will = NULL;
    config.single_run = false;
    config.guarded = false;
    config.pipe = ends[1];
    if (result == 0)
        result = hooks_fork(supervisor->hooks, options, &config);
    if (result == 0)
        result = checks_fork(supervisor->checks, options, &config);
    close(ends[0]);
    close(ends[1]);
    return result;
}

static int run(struct candidate *candidate, const struct page *page)
{
    struct hooks hooks;
    struct checks checks;
    struct supervisor_config supervisor = {
        .options = &candidate->options,
        .inherited = &candidate->inherited,
        .id = candidate->id,
        .seed = candidate->seed,
        .nonce_key = candidate->nonce_key,
        .page = page,
        .hooks = &hooks,
        .checks = &checks,
    };
    char **environment = environment_build(&candidate->options, candidate->id);

    if (environment == NULL)
        return fail(EXIT_OWN_FAILURE, "out of memory");
    int result = fork_keepers(candidate, environment, &supervisor);
    environment_free(environment);
    if (result != 0)
        return fail_errno("cannot start the keeper", -result);
    /* Should a keeper die, its tree comes to us. */
    if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0)
        return fail_errno("cannot become a subreaper", errno);
    return supervisor_run(&supervisor);
}

static int run_with_page(struct candidate *candidate)
{
    struct page page = {.fd = -1};
    int result = 0;

    if (candidate->options.lease_page || candidate->options.http != NULL ||
        candidate->options.metrics_file != NULL)
        result = page_open(&page, &candidate->options.timing);
    if (result != 0)
        return fail_errno("cannot make the lease page", -result);
    int status = run(candidate, &page);
    page_close(&page);
    return status;
}

static int act(struct candidate *candidate)
{
    int result;

    switch (candidate->options.mode) {
    case MODE_HELP:
        return options_print_help() == 0 ? EXIT_SUCCESS : EXIT_OWN_FAILURE;
    case MODE_VERSION:
        return puts("leaderwrap " LEADERWRAP_VERSION) >= 0 && fflush(stdout) == 0
                   ? EXIT_SUCCESS
                   : EXIT_OWN_FAILURE;
    case MODE_CHECK:
    case MODE_RUN:
        break;
    }
    result = make_identity(candidate);
    if (result != 0)
        return fail_errno("cannot get random numbers", -result);
    if (candidate->options.mode == MODE_CHECK)
        return check_run(&candidate->options, candidate->id);
    result = check_command(&candidate->options);
    if (result == 0)
        result = check_tree();
    return result != 0 ? result : run_with_page(candidate);
}

int main(int argc, char **argv)
{
    struct candidate candidate = {0};
    char error[512];
    int result = inherited_capture(&candidate.inherited);

    if (result != 0)
        return fail_errno("cannot read the signal state", -result);
    /* A connection that breaks, or a log that is full, is an error like any other. The command gets
     * back what we inherited. */
    disposition_ignore_strays();
    int status = options_parse(&candidate.options, argc, argv, error, sizeof error);
    if (status != 0) {
        status = fail(status, error);
    } else {
        const struct log_config log = {.level = candidate.options.log_level,
                                       .format = candidate.options.log_format,
                                       .name = candidate.options.name,
                                       .key = candidate.options.key};
        options_mask_line(argc, argv);
        log_configure(&log);
        if (candidate.options.mode == MODE_RUN || candidate.options.mode == MODE_CHECK)
            advice_give(&candidate.options);
        status = act(&candidate);
    }
    options_clear(&candidate.options);
    return status;
}
