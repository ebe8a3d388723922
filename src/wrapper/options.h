/*
 * The command line and its environment variables.
 */
#ifndef LEADERWRAP_WRAPPER_OPTIONS_H
#define LEADERWRAP_WRAPPER_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "about.h"
#include "leaderwrap/access/redis_options.h"
#include "leaderwrap/base/log.h"
#include "leaderwrap/election/election.h"
#include "leaderwrap/election/health.h"
#include "leaderwrap/election/timing.h"
#include "leaderwrap/http/http.h"
#include "leaderwrap/redis/target.h"

/* Further exit statuses of leaderwrap's own (sysexits.h, and timeout(1) for 12x). */
#define EXIT_LEASE_LOST     79
#define EXIT_MAX_RUNTIME    124
#define EXIT_NOT_EXECUTABLE 126
#define EXIT_NOT_FOUND      127
#define EXIT_SIGNAL_BASE    128

enum options_mode {
    MODE_RUN,
    MODE_CHECK,
    MODE_HELP,
    MODE_VERSION,
};

struct options {
    enum options_mode mode;
    char *const *command;                 /* NULL: the built-in counter */
    char fingerprint[LEASE_COMMAND_SIZE]; /* of the command */
    char *key;
    char *name;
    char host[LEASE_NAME_MAX - 11]; /* of this machine, cut so that a colon and a pid fit behind */
    struct about about;
    char *client; /* as of about_client */
    struct timing timing;
    struct redis_target redis;
    const char *counter_key;
    char *made_counter_key; /* where it is none that was given; NULL: it is */
    int wait_replicas;      /* 0: none are waited for */
    bool server_clock;
    bool assume_fresh;
    bool exit_on_lost;
    bool stop_main_only;
    bool no_release;
    enum restart_policy restart;
    int64_t max_restarts; /* 0: no limit */
    int64_t penalty_ms;
    int64_t lock_delay_ms; /* 0: none */
    bool once;
    int64_t wait_ms;        /* INT64_MAX: for ever */
    int64_t hold_ms;        /* 0: none */
    int64_t max_runtime_ms; /* 0: no limit */
    int conflict_exit_code;
    const char *hooks[ELECTION_HOOKS]; /* for the shell; NULL: none */
    int64_t hook_timeout_ms;
    const char *health_cmd; /* for the shell; NULL: none */
    struct health_config health;
    bool lease_page;
    const char *http; /* NULL: none */
    struct http_address http_address;
    const char *metrics_file; /* NULL: none */
    bool pass_notify;
    enum log_level log_level;
    enum log_format log_format;
};

/* Reads the environment, then the command line, which wins, and checks everything that can be
 * checked without Redis. Returns 0; or an exit status, with a sentence in `error`. The strings
 * belong to `options` (options_clear) or to argv and the environment. */
int options_parse(struct options *options, int argc, char **argv, char *error, size_t error_size);

void options_clear(struct options *options);

/* Overwrites with stars, in place, the password of each address among the options in `argv`, which
 * options_parse took and of which a copy has been taken: everybody on the host can read it there.
 */
void options_mask_line(int argc, char **argv);

/* Writes the help text to standard output. Returns 0 or -errno. */
int options_print_help(void);

#endif
