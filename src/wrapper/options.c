/*
 * One table describes every option: its name, its environment variable (LEADERWRAP_ and the name in
 * capitals), how its value is read, and its line of help.
 */
#include "leaderwrap/options.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "leaderwrap/duration.h"
#include "leaderwrap/lease.h"
#include "leaderwrap/store.h"

#define DEFAULT_REDIS       "redis://127.0.0.1:6379/0"
#define DEFAULT_TTL_MS      15000
#define DEFAULT_COUNTER_KEY "global_counter"
#define COUNTER_LEASE_KEY   "leaderwrap:counter"
#define HELP_INDENT         26
#define HELP_WIDTH          96
#define SHOWN_VALUE         80 /* of a bad value, in an error message */

/* What the options say before anything is derived from it. */
struct raw {
    const char *key;
    const char *name;
    const char *redis;
    const char *password_file;
    bool redis_from_line;
    struct timing_request timing;
};

enum option_kind {
    OPTION_TEXT,
    OPTION_DURATION,
    OPTION_CHOICE, /* one of two words; the second one sets the flag */
    OPTION_FLAG,
    OPTION_LEVEL,
    OPTION_FORMAT,
    OPTION_MODE,
    OPTION_REDIS,
};

struct option_spec {
    const char *section; /* first of a section: its title */
    const char *name;
    char letter;
    enum option_kind kind;
    const char *argument; /* as help shows it; NULL: takes none */
    const char *help;
    size_t offset; /* of the value: in struct raw for those marked `raw`, else in struct options */
    bool raw;
    const char *choices[2];
    enum options_mode mode;
};

#define IN_RAW(field)     .offset = offsetof(struct raw, field), .raw = true
#define IN_OPTIONS(field) .offset = offsetof(struct options, field)

static const struct option_spec specs[] = {
    {"Lease", "key", 'k', OPTION_TEXT, "KEY",
     "the lease's key in Redis; default leaderwrap:<basename of COMMAND>", IN_RAW(key)},
    {NULL, "name", 'n', OPTION_TEXT, "NAME", "who we are, shown to people; default host:pid",
     IN_RAW(name)},
    {NULL, "ttl", 't', OPTION_DURATION, "TIME",
     "how long the lease lives without a renewal; default 15s", IN_RAW(timing.ttl_ms)},
    {NULL, "renew", 'r', OPTION_DURATION, "TIME", "from one renewal to the next; default ttl/3",
     IN_RAW(timing.renew_ms)},
    {NULL, "grace", 'g', OPTION_DURATION, "TIME", "from TERM to KILL; default ttl/5, at most 10s",
     IN_RAW(timing.grace_ms)},
    {NULL, "margin", 0, OPTION_DURATION, "TIME",
     "the tree is dead this long before the lease can expire; default ttl/30, 50ms to 500ms",
     IN_RAW(timing.margin_ms)},
    {NULL, "retry", 0, OPTION_DURATION, "TIME",
     "a follower asks at least this often; default 5s, or ttl if that is shorter",
     IN_RAW(timing.retry_ms)},

    {"Service", "on-lost", 0, OPTION_CHOICE, "wait|exit",
     "after a lost lease: stand by again (default), or exit with 79", IN_OPTIONS(exit_on_lost),
     .choices = {"wait", "exit"}},
    {NULL, "stop-to", 0, OPTION_CHOICE, "group|main",
     "who gets TERM: the whole tree (default) or the command's own process; KILL is for the tree",
     IN_OPTIONS(stop_main_only), .choices = {"group", "main"}},
    {NULL, "no-release", 0, OPTION_FLAG, NULL,
     "leave the lease to its TTL on a stop, as a crash would; for experiments",
     IN_OPTIONS(no_release)},
    {NULL, "counter-key", 0, OPTION_TEXT, "KEY",
     "what the built-in counter increments; default global_counter", IN_OPTIONS(counter_key)},

    {"Redis", "redis", 'u', OPTION_REDIS, "URL",
     "redis://[user:password@]host[:port][/db] or unix:///path[?db=N]; default $REDIS_URL, then "
     "redis://127.0.0.1:6379/0",
     IN_RAW(redis)},
    {NULL, "password-file", 0, OPTION_TEXT, "FILE",
     "the password is the file's first line, read again at each connect", IN_RAW(password_file)},
    {NULL, "takeover", 0, OPTION_CHOICE, "observed|server-clock",
     "how an expired lease is recognised: by own observation (default), or faster but trusting "
     "the server's clock",
     IN_OPTIONS(server_clock), .choices = {"observed", "server-clock"}},
    {NULL, "assume-fresh", 0, OPTION_FLAG, NULL,
     "there can be no earlier leader: take a lease that has no record at once, not after a TTL",
     IN_OPTIONS(assume_fresh)},

    {"Operation", "log-format", 0, OPTION_FORMAT, "text|json", "of the log on standard error",
     IN_OPTIONS(log_format)},
    {NULL, "log-level", 0, OPTION_LEVEL, "error|warning|info|debug",
     "default info; debug shows each renewal and each wait", IN_OPTIONS(log_level)},
    {NULL, "check", 0, OPTION_MODE, NULL,
     "try everything on a scratch key, print the derived numbers, start nothing",
     .mode = MODE_CHECK},
    {NULL, "help", 'h', OPTION_MODE, NULL, "print this text", .mode = MODE_HELP},
    {NULL, "version", 'V', OPTION_MODE, NULL, "print the version", .mode = MODE_VERSION},
};

#define SPEC_COUNT (sizeof specs / sizeof specs[0])

/* Where a value came from, for the error message: "--ttl 15" or "LEADERWRAP_TTL=15". */
struct origin {
    char text[SHOWN_VALUE + 80];
};

static void variable_name(const struct option_spec *spec, char *buffer, size_t size)
{
    snprintf(buffer, size, "LEADERWRAP_%s", spec->name);
    for (char *at = buffer; *at != '\0'; at++)
        *at = *at == '-' ? '_' : (char)toupper((unsigned char)*at);
}

static int complain(char *error, size_t size, const struct origin *origin, const char *what)
{
    snprintf(error, size, "%s: %s", origin->text, what);
    return EXIT_USAGE;
}

static bool parse_flag(const char *text, bool *flag)
{
    static const char *const words[2][5] = {{"0", "no", "false", "off", ""},
                                            {"1", "yes", "true", "on", "1"}};
    for (int value = 0; value < 2; value++) {
        for (int i = 0; i < 5; i++) {
            if (strcasecmp(text, words[value][i]) == 0) {
                *flag = value == 1;
                return true;
            }
        }
    }
    return false;
}

/* Stores one value. `value` is NULL for an option without argument on the command line. */
static int store_value(const struct option_spec *spec, const char *value,
                       const struct origin *origin, struct options *options, struct raw *raw,
                       char *error, size_t size)
{
    void *field = (char *)(spec->raw ? (void *)raw : (void *)options) + spec->offset;
    const char *problem;
    char choices[96];

    switch (spec->kind) {
    case OPTION_TEXT:
    case OPTION_REDIS:
        *(const char **)field = value;
        return 0;
    case OPTION_DURATION:
        problem = duration_parse(value, field);
        return problem == NULL ? 0 : complain(error, size, origin, problem);
    case OPTION_CHOICE:
        for (int i = 0; i < 2; i++) {
            if (strcmp(value, spec->choices[i]) == 0) {
                *(bool *)field = i == 1;
                return 0;
            }
        }
        break;
    case OPTION_FLAG:
        if (value == NULL) {
            *(bool *)field = true;
            return 0;
        }
        return parse_flag(value, field) ? 0 : complain(error, size, origin, "must be 1 or 0");
    case OPTION_LEVEL:
        if (log_level_parse(value, field))
            return 0;
        break;
    case OPTION_FORMAT:
        if (log_format_parse(value, field))
            return 0;
        break;
    case OPTION_MODE:
        options->mode = spec->mode;
        return 0;
    }
    snprintf(choices, sizeof choices, "must be %s", spec->argument);
    return complain(error, size, origin, choices);
}

static int read_environment(struct options *options, struct raw *raw, char *error, size_t size)
{
    for (size_t i = 0; i < SPEC_COUNT; i++) {
        char variable[64];
        struct origin origin;
        if (specs[i].kind == OPTION_MODE)
            continue;
        variable_name(&specs[i], variable, sizeof variable);
        const char *value = getenv(variable);
        if (value == NULL)
            continue;
        snprintf(origin.text, sizeof origin.text, "%s=%.*s", variable, SHOWN_VALUE, value);
        int status = store_value(&specs[i], value, &origin, options, raw, error, size);
        if (status != 0)
            return status;
    }
    return 0;
}

/* The two forms that getopt_long(3) wants, made from the table. */
static void build_getopt(struct option *long_options, char *letters)
{
    *letters++ = '+'; /* the first word that is no option begins the command */
    *letters++ = ':'; /* a missing argument is told apart from an unknown option */
    for (size_t i = 0; i < SPEC_COUNT; i++) {
        int takes = specs[i].argument != NULL ? required_argument : no_argument;
        long_options[i] =
            (struct option){.name = specs[i].name, .has_arg = takes, .val = 256 + (int)i};
        if (specs[i].letter != 0) {
            *letters++ = specs[i].letter;
            if (takes)
                *letters++ = ':';
        }
    }
    long_options[SPEC_COUNT] = (struct option){0};
    *letters = '\0';
}

static const struct option_spec *find_spec(int found)
{
    if (found >= 256)
        return &specs[found - 256];
    for (size_t i = 0; i < SPEC_COUNT; i++)
        if (specs[i].letter == found)
            return &specs[i];
    return NULL;
}

/* What getopt_long(3) did not understand: `optopt` is the option it knows, or 0. */
static int complain_option(bool missing, const char *word, char *error, size_t size)
{
    char shown[SHOWN_VALUE + 1];
    const struct option_spec *spec = optopt != 0 ? find_spec(optopt) : NULL;

    if (spec != NULL && optopt >= 256)
        snprintf(shown, sizeof shown, "--%s", spec->name);
    else if (optopt != 0)
        snprintf(shown, sizeof shown, "-%c", optopt);
    else
        snprintf(shown, sizeof shown, "%.*s", SHOWN_VALUE, word);
    snprintf(error, size, "%s %s; see leaderwrap --help",
             missing        ? "missing value after"
             : spec != NULL ? "no value can be given to"
                            : "unknown or ambiguous option",
             shown);
    return EXIT_USAGE;
}

static int read_line(struct options *options, struct raw *raw, int argc, char **argv, char *error,
                     size_t size)
{
    struct option long_options[SPEC_COUNT + 1];
    char letters[2 * SPEC_COUNT + 3];
    int found;

    build_getopt(long_options, letters);
    opterr = 0;
    optind = 0; /* glibc: begin anew, whoever parsed before */
    while ((found = getopt_long(argc, argv, letters, long_options, NULL)) != -1) {
        struct origin origin;
        if (found == '?' || found == ':')
            return complain_option(found == ':', argv[optind - 1], error, size);
        const struct option_spec *spec = find_spec(found);
        if (spec->kind == OPTION_REDIS) {
            if (raw->redis_from_line) {
                snprintf(error, size, "--redis was given twice: the lease is kept on one server");
                return EXIT_USAGE;
            }
            raw->redis_from_line = true;
        }
        snprintf(origin.text, sizeof origin.text, "--%s %.*s", spec->name, SHOWN_VALUE,
                 optarg != NULL ? optarg : "");
        int status = store_value(spec, optarg, &origin, options, raw, error, size);
        if (status != 0)
            return status;
    }
    options->command = optind < argc ? argv + optind : NULL;
    return 0;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL && slash[1] != '\0' ? slash + 1 : path;
}

static int out_of_memory(char *error, size_t size)
{
    snprintf(error, size, "out of memory");
    return EXIT_OWN_FAILURE;
}

static int set_key(struct options *options, const struct raw *raw, char *error, size_t size)
{
    if (raw->key != NULL) {
        options->key = strdup(raw->key);
    } else if (options->command == NULL) {
        options->key = strdup(COUNTER_LEASE_KEY);
    } else if (asprintf(&options->key, "leaderwrap:%s", base_name(options->command[0])) < 0) {
        options->key = NULL;
    }
    if (options->key == NULL)
        return out_of_memory(error, size);
    const char *problem = store_check_key(options->key);
    if (problem == NULL)
        return 0;
    snprintf(error, size, "cannot use the lease key \"%.*s\": %s", SHOWN_VALUE, options->key,
             problem);
    return EXIT_USAGE;
}

static const char *check_name(const char *name)
{
    if (name[0] == '\0')
        return "is empty";
    if (strlen(name) > LEASE_NAME_MAX)
        return "is longer than 64 bytes";
    for (const char *at = name; *at != '\0'; at++)
        if (*at == '#' || (unsigned char)*at < 0x20 || *at == 0x7F)
            return "may not contain # or control characters";
    return NULL;
}

static int set_name(struct options *options, const struct raw *raw, char *error, size_t size)
{
    if (raw->name != NULL) {
        options->name = strdup(raw->name);
    } else {
        char host[LEASE_NAME_MAX - 11]; /* leaves room for a colon and a pid */
        if (gethostname(host, sizeof host) != 0 && errno != ENAMETOOLONG)
            snprintf(host, sizeof host, "localhost");
        host[sizeof host - 1] = '\0';
        if (asprintf(&options->name, "%s:%d", host, (int)getpid()) < 0)
            options->name = NULL;
    }
    if (options->name == NULL)
        return out_of_memory(error, size);
    const char *problem = check_name(options->name);
    if (problem == NULL)
        return 0;
    snprintf(error, size, "the name \"%.*s\" %s", SHOWN_VALUE, options->name, problem);
    return EXIT_USAGE;
}

/* Made absolute without resolving links: the keeper leaves the working directory, and whoever
 * rotates the secret may do so by moving a link. */
static int set_password_file(struct options *options, const char *path, char *error, size_t size)
{
    char *directory = path[0] == '/' ? NULL : getcwd(NULL, 0);
    int length = asprintf(&options->password_file, "%s%s%s", directory != NULL ? directory : "",
                          directory != NULL ? "/" : "", path);
    free(directory);
    if (length < 0) {
        options->password_file = NULL;
        return out_of_memory(error, size);
    }
    int file = open(options->password_file, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (file >= 0) {
        close(file);
        return 0;
    }
    snprintf(error, size, "cannot read the password file %.*s: %s", SHOWN_VALUE, path,
             strerror(errno));
    return EXIT_USAGE;
}

static int set_redis(struct options *options, const struct raw *raw, char *error, size_t size)
{
    const char *url = raw->redis != NULL ? raw->redis : getenv("REDIS_URL");
    const char *password = getenv("LEADERWRAP_PASSWORD");

    if (url == NULL)
        url = DEFAULT_REDIS;
    if (redis_url_parse(url, &options->redis, error, size) != 0)
        return EXIT_USAGE;
    if (raw->password_file != NULL)
        return set_password_file(options, raw->password_file, error, size);
    if (options->redis.password == NULL && password != NULL) {
        options->redis.password = strdup(password);
        if (options->redis.password == NULL)
            return out_of_memory(error, size);
    }
    return 0;
}

/* A key that comes from the environment of a command we wrap is that command's own lease: asking
 * for it from inside would wait for ever. */
static int check_nesting(const struct raw *raw, char *error, size_t size)
{
    const char *outer = getenv("LEADERWRAP_KEY");
    if (outer == NULL || raw->key != outer || getenv("LEADERWRAP_TOKEN") == NULL)
        return 0;
    snprintf(error, size,
             "this is the command of another leaderwrap, whose lease \"%.*s\" is held already; "
             "choose a lease of its own with --key",
             SHOWN_VALUE, outer);
    return EXIT_USAGE;
}

static void forget_outer_name(struct raw *raw)
{
    const char *outer = getenv("LEADERWRAP_NAME");
    if (raw->name != NULL && raw->name == outer && getenv("LEADERWRAP_TOKEN") != NULL)
        raw->name = NULL;
}

int options_parse(struct options *options, int argc, char **argv, char *error, size_t error_size)
{
    struct raw raw = {.timing = {.ttl_ms = DEFAULT_TTL_MS,
                                 .renew_ms = -1,
                                 .grace_ms = -1,
                                 .margin_ms = -1,
                                 .retry_ms = -1}};
    int status;

    memset(options, 0, sizeof *options);
    options->log_level = LOG_LEVEL_INFO;
    options->counter_key = DEFAULT_COUNTER_KEY;
    status = read_environment(options, &raw, error, error_size);
    if (status == 0)
        status = read_line(options, &raw, argc, argv, error, error_size);
    if (status != 0 || options->mode == MODE_HELP || options->mode == MODE_VERSION)
        return status;
    forget_outer_name(&raw);
    status = check_nesting(&raw, error, error_size);
    if (status == 0)
        status = set_key(options, &raw, error, error_size);
    if (status == 0)
        status = set_name(options, &raw, error, error_size);
    if (status == 0)
        status = set_redis(options, &raw, error, error_size);
    if (status == 0 && timing_derive(&raw.timing, &options->timing, error, error_size) != 0)
        status = EXIT_USAGE;
    return status;
}

void options_clear(struct options *options)
{
    free(options->key);
    free(options->name);
    free(options->password_file);
    redis_url_clear(&options->redis);
    memset(options, 0, sizeof *options);
}

/* Prints `text` from HELP_INDENT on, in lines that end before HELP_WIDTH. */
static void print_wrapped(const char *text, int column)
{
    column += printf("%*s", HELP_INDENT - column, "");
    for (bool first = true; *text != '\0'; first = false) {
        int length = (int)strcspn(text, " ");
        if (!first && column + 1 + length > HELP_WIDTH)
            column = printf("\n%*s", HELP_INDENT, "") - 1;
        else if (!first)
            column += printf(" ");
        column += printf("%.*s", length, text);
        text += length;
        text += strspn(text, " ");
    }
    putchar('\n');
}

static void print_option(const struct option_spec *spec)
{
    int used = spec->letter != 0 ? printf("  -%c, ", spec->letter) : printf("      ");

    used += printf("--%s", spec->name);
    if (spec->argument != NULL)
        used += printf(" %s", spec->argument);
    if (used + 2 > HELP_INDENT) {
        putchar('\n');
        used = 0;
    }
    print_wrapped(spec->help, used);
}

int options_print_help(void)
{
    fputs("Usage: leaderwrap [OPTION]... [--] [COMMAND [ARG]...]\n"
          "Run COMMAND on exactly one of many machines: on the one that holds a lease in Redis.\n"
          "Without a COMMAND a built-in counter runs, which only the leader may increment.\n",
          stdout);
    for (size_t i = 0; i < SPEC_COUNT; i++) {
        if (specs[i].section != NULL)
            printf("\n%s:\n", specs[i].section);
        print_option(&specs[i]);
    }
    fputs("\n"
          "Each long option has an environment variable (LEADERWRAP_TTL=15s); the command line "
          "wins.\n"
          "LEADERWRAP_PASSWORD is the password for a URL that has none. Times: 500ms 15s 5m 1h.\n"
          "\n"
          "COMMAND finds LEADERWRAP_KEY, _ID, _NAME, _TTL_MS and _TOKEN in its environment. The "
          "token\n"
          "only ever grows: a resource that remembers the highest one it saw can refuse a leader "
          "that a\n"
          "frozen machine brought back.\n"
          "\n"
          "Exit status:\n"
          "  the command's own, or 128+n if signal n ended it, whenever it ran to its end;\n"
          "  128+n if leaderwrap was stopped by signal n while no command ran;\n"
          "  64   usage: a bad option, value or URL\n"
          "  69   --check could not reach Redis\n"
          "  79   the lease was lost, with --on-lost exit\n"
          "  125  leaderwrap itself failed, or Redis refuses it\n"
          "  126  COMMAND cannot be executed\n"
          "  127  COMMAND was not found\n"
          "\n"
          "The guarantee: no two trees of one lease run at the same time, as long as the clock "
          "rates of\n"
          "two hosts differ by less than 1 % and the kernel lets leaderwrap or its keeper run "
          "within the\n"
          "margin. What that leaves open, a whole machine frozen and thawed, the token covers.\n",
          stdout);
    return fflush(stdout) == 0 ? 0 : -errno;
}
