/*
 * The command line and the environment: options_parse, with all that it reads.
 *
 * Input: lines; those before the first empty one are the environment (NAME=VALUE), those behind it
 * the arguments. The environment is a private one, so nothing of the fuzzer's own is touched, and
 * the only file that can be opened is a harmless one.
 *
 * Oracle: status 0 with a configuration that keeps every promise of its headers (the order of the
 * deadlines above all), or 64 with a sentence that the log shows in one printable line. A long
 * option that is not exactly one of the table's is refused, and nothing behind its name is told.
 */
#include "fuzz.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "leaderwrap/base/lease.h"
#include "leaderwrap/base/log.h"
#include "leaderwrap/redis/store.h"
#include "redis/tls_filter.h"
#include "wrapper/option_table.h"
#include "wrapper/options.h"

#define WORDS_MAX 64
#define SECRET    "zqSecretqz"

int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);
int __wrap_gethostname(char *name, size_t size);
char *__wrap_getcwd(char *buffer, size_t size);
pid_t __wrap_getpid(void);
int __wrap_tls_load(const struct tls_backend **backend, char *error, size_t error_size);
int __wrap_tls_check_files(const struct tls_files *files, char *error, size_t error_size);

/* Not even opening a device is without effect everywhere. */
int __wrap_open64(const char *path, int flags, ...)
{
    ORACLE(path[0] == '/' && (flags & O_ACCMODE) == O_RDONLY && (flags & O_NONBLOCK) != 0);
    if (strstr(path, "secret") != NULL)
        return __real_open64("/dev/null", flags);
    errno = ENOENT;
    return -1;
}

int __wrap_gethostname(char *name, size_t size)
{
    memset(name, 'h', size);
    errno = ENAMETOOLONG;
    return -1;
}

char *__wrap_getcwd(char *buffer, size_t size)
{
    ORACLE(buffer == NULL && size == 0);
    return strdup("/work");
}

pid_t __wrap_getpid(void)
{
    return 4194304;
}

int __wrap_tls_load(const struct tls_backend **backend, char *error, size_t error_size)
{
    static const struct tls_backend loaded;

    (void)error;
    (void)error_size;
    *backend = &loaded;
    return 0;
}

static bool is_absolute(const char *path)
{
    return path == NULL || path[0] == '/';
}

int __wrap_tls_check_files(const struct tls_files *files, char *error, size_t error_size)
{
    ORACLE(files->backend != NULL && is_absolute(files->authorities) &&
           is_absolute(files->certificate) && is_absolute(files->key));
    ORACLE(files->key == NULL || files->certificate != NULL);
    if (files->authorities == NULL || strstr(files->authorities, "secret") == NULL)
        return 0;
    snprintf(error, error_size, "no authorities");
    return -1;
}

/* Splits off lines up to an empty one. Returns where the rest begins. */
static char *split_lines(char *text, char **words, int *count)
{
    while (*text != '\0' && *text != '\n') {
        char *end = strchrnul(text, '\n');
        bool last = *end == '\0';

        *end = '\0';
        if (*count < WORDS_MAX)
            words[(*count)++] = text;
        text = last ? end : end + 1;
    }
    return *text == '\n' ? text + 1 : text;
}

static void check_timing(const struct timing *timing)
{
    ORACLE(timing->ttl_ms >= 1 && timing->renew_ms >= 1 && timing->retry_ms >= 1);
    ORACLE(timing->renew_retry_ms >= 1 && timing->request_timeout_ms >= 10);
    ORACLE(timing->grace_ms >= 0 && timing->margin_ms >= 10 && timing->drift_ms > 0);
    ORACLE(timing->renew_ms < timing->stop_after_ms);
    ORACLE(timing->stop_after_ms + timing->grace_ms == timing->kill_after_ms);
    ORACLE(timing->kill_after_ms + timing->margin_ms == timing->expire_after_ms);
    ORACLE(timing->expire_after_ms + timing->drift_ms == timing->ttl_ms);
    ORACLE(timing->drift_ms * 100 >= timing->ttl_ms);
    ORACLE(timing->tolerated_outage_ms >= timing->request_timeout_ms);
    ORACLE(timing->worst_failover_ms > timing->ttl_ms);

    const struct deadlines deadlines = timing_deadlines(timing, 1);
    ORACLE(deadlines.stop_at_ns > 1 && deadlines.stop_at_ns <= deadlines.kill_at_ns &&
           deadlines.kill_at_ns <= deadlines.expires_at_ns);
}

static void check_options(const struct options *options, int argc, char **argv)
{
    if (options->command != NULL)
        ORACLE(options->command > argv && options->command < argv + argc &&
               options->command[0] != NULL);
    if (options->mode == MODE_HELP || options->mode == MODE_VERSION)
        return;
    ORACLE(options->key != NULL && store_check_key(options->key) == NULL);
    ORACLE(options->name != NULL && options->name[0] != '\0');
    ORACLE(strlen(options->name) <= LEASE_NAME_MAX && strchr(options->name, '#') == NULL &&
           is_printable(options->name));
    ORACLE(options->counter_key != NULL);
    ORACLE(strspn(options->fingerprint, "0123456789abcdef") == 8 &&
           options->fingerprint[8] == '\0');
    ORACLE(options->hold_ms >= 0 &&
           (options->hold_ms == 0 || options->once || options->mode == MODE_CHECK));
    ORACLE(options->redis.password_file == NULL || options->redis.password_file[0] == '/');
    ORACLE(options->penalty_ms > 0 && options->hook_timeout_ms > 0 && options->lock_delay_ms >= 0);
    ORACLE(options->health.interval_ms > 0 && options->health.timeout_ms > 0);
    ORACLE(options->health.retries > 0 && options->health.start_period_ms >= 0);
    if (options->once && options->mode == MODE_RUN)
        ORACLE(options->command != NULL && options->exit_on_lost && options->health_cmd == NULL &&
               options->restart == RESTART_NO);
    ORACLE(options->redis.url.is_unix ? options->redis.url.path != NULL
                                      : options->redis.url.host != NULL);
    ORACLE(options->redis.url.is_tls == (options->redis.tls.backend != NULL));
    ORACLE(options->redis.url.is_tls ||
           (!options->redis.tls.insecure && options->redis.tls.authorities == NULL &&
            options->redis.tls.certificate == NULL && options->redis.tls.server_name == NULL));
    ORACLE(options->redis.kind == REDIS_SERVER ? options->redis.seed_count <= 1
                                               : options->redis.seed_count >= 1);
    ORACLE((options->redis.kind == REDIS_SENTINELS) == (options->redis.service != NULL));
    ORACLE(options->redis.kind != REDIS_CLUSTER || options->redis.url.database == 0);
    ORACLE(options->redis.sentinel_password_file == NULL ||
           options->redis.sentinel_password_file[0] == '/');
    ORACLE(options->log_level <= LOG_LEVEL_DEBUG && options->log_format <= LOG_FORMAT_JSON);
    check_timing(&options->timing);
}

static void check_error(int status, const char *error, size_t size)
{
    char shown[2048];

    ORACLE(status == EXIT_USAGE);
    ORACLE(memchr(error, '\0', size) != NULL && error[0] != '\0');
    log_sanitize(shown, sizeof shown, error);
    ORACLE(is_printable(shown));
}

static bool is_name(const char *name, size_t length)
{
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        const char *known = options_table.options[i].name;
        if (strncmp(known, name, length) == 0 && known[length] == '\0')
            return true;
    }
    return false;
}

/* A word of our own is put behind the = of a name that no option has. */
static void check_secrecy(char *word)
{
    char *none[] = {NULL};
    char **own = environ;
    char program[] = "leaderwrap";
    size_t length = strcspn(word, "=");
    char error[512] = "";
    struct options options;
    char *marked;

    if (strncmp(word, "--", 2) != 0 || length < 3 || is_name(word + 2, length - 2) ||
        strstr(word, SECRET) != NULL)
        return;
    if (asprintf(&marked, "%.*s=" SECRET, (int)length, word) < 0)
        abort();
    environ = none;
    int status = options_parse(&options, 2, (char *[]){program, marked, NULL}, error, sizeof error);
    environ = own;
    ORACLE(status == EXIT_USAGE && strstr(error, SECRET) == NULL);
    options_clear(&options);
    free(marked);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = input_text(data, size);
    char *environment[WORDS_MAX + 1] = {0};
    char program[] = "leaderwrap";
    char *argv[WORDS_MAX + 2] = {program};
    char **own = environ;
    char error[512] = "";
    struct options options;
    int variables = 0;
    int arguments = 0;

    split_lines(split_lines(text, environment, &variables), argv + 1, &arguments);
    environ = environment;
    int status = options_parse(&options, arguments + 1, argv, error, sizeof error);
    environ = own;
    if (status == 0)
        check_options(&options, arguments + 1, argv);
    else
        check_error(status, error, sizeof error);
    options_clear(&options);
    for (int i = 1; i <= arguments; i++)
        check_secrecy(argv[i]);
    free(text);
    return 0;
}
