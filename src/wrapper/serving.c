/* Each path's answer, and the metrics' file. */
#include "serving.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "leaderwrap/base/clock.h"
#include "leaderwrap/base/log.h"

#define TEXT    "text/plain; charset=utf-8"
#define METRICS "text/plain; version=0.0.4; charset=utf-8"
#define JSON    "application/json"

#define WRITE_LEAST_MS 1000

static double unix_now(void)
{
    struct timespec now;

    return clock_gettime(CLOCK_REALTIME, &now) == 0 ? (double)now.tv_sec + (double)now.tv_nsec / 1e9
                                                    : 0;
}

static int64_t left_ns(const struct serving *serving)
{
    return leaderwrap_lease_left_ns(serving->page->memory, serving->status->token);
}

static int is_healthy(const struct serving *serving)
{
    const struct health *health = serving->health;

    if (serving->options->health_cmd == NULL)
        return -1;
    return serving->status->command == COMMAND_RUNNING && health->succeeded &&
           health->failures < health->config.retries;
}

static char *metrics_now(const struct serving *serving)
{
    const struct metrics_view view = {.options = serving->options,
                                      .status = serving->status,
                                      .left_ns = left_ns(serving),
                                      .healthy = is_healthy(serving),
                                      .now_ns = clock_boottime_ns()};

    return metrics_text(&serving->metrics, &view);
}

static const char *role_word(enum status_role role)
{
    switch (role) {
    case STATUS_CANDIDATE:
        return "follower";
    case STATUS_LEADER:
        return "leader";
    case STATUS_STOPPING:
        return "stopping";
    case STATUS_RELEASING:
        return "releasing";
    case STATUS_GONE:
        break;
    }
    return "gone";
}

static const char *command_word(enum status_command command)
{
    switch (command) {
    case COMMAND_NONE:
        break;
    case COMMAND_RUNNING:
        return "running";
    case COMMAND_ENDED:
        return "ended";
    case COMMAND_STUCK:
        return "stuck";
    }
    return "none";
}

/* NULL where memory ran out, or a value is no UTF-8. */
static char *status_text(const struct serving *serving)
{
    const struct status *status = serving->status;
    const struct metrics *metrics = &serving->metrics;
    const struct options *options = serving->options;
    int64_t now_ns = clock_boottime_ns();
    bool up = metrics_redis_is_up(metrics, &options->timing, now_ns);
    bool other = status->role == STATUS_CANDIDATE && status->record.state == LEASE_HELD;
    json_t *object = json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:{s:b, s:I, s:s}, s:{s:s, s:i}, s:s?}",
        "version", LEADERWRAP_VERSION, "key", options->key, "name", options->name, "id",
        serving->id, "role", role_word(status->role), "role_for_ms",
        (json_int_t)((now_ns - status->role_since_ns) / NS_PER_MS), "ttl_ms",
        (json_int_t)options->timing.ttl_ms, "lease_left_ms",
        (json_int_t)(left_ns(serving) / NS_PER_MS), "redis", "up", up, "answered_ms_ago",
        (json_int_t)(metrics->answered ? (now_ns - metrics->answered_ns) / NS_PER_MS : -1), "error",
        up ? "" : status->why, "command", "state", command_word(status->command), "pid",
        (int)status->pid, "leader",
        other ? status->record.name : (status->token != 0 ? options->name : NULL));
    if (object == NULL)
        return NULL;
    /* As a text: not every reader of JSON has 64 bits for a number. */
    char token[24];
    snprintf(token, sizeof token, "%llu",
             (unsigned long long)(status->token != 0 ? status->token : status->record.token));
    char *text = json_object_set_new(object, "token", json_string(token)) == 0
                     ? json_dumps(object, JSON_COMPACT)
                     : NULL;
    json_decref(object);
    return text;
}

static void answer_with(struct http_answer *answer, const char *type, char *body)
{
    answer->status = body != NULL ? 200 : 500;
    answer->type = type;
    answer->body = body;
}

static void answer_request(void *context, const struct http_request *request,
                           struct http_answer *answer)
{
    const char *path = request->path;
    const struct serving *serving = context;
    enum status_role role = serving->status->role;
    bool leads = left_ns(serving) > 0;
    const struct {
        const char *path;
        bool yes;
    } questions[] = {
        {"/livez", !serving->keeper_lost},
        {"/readyz",
         metrics_redis_is_up(&serving->metrics, &serving->options->timing, clock_boottime_ns())},
        {"/leader", leads},
        /* Neither while a term is being ended. */
        {"/follower", !leads && role == STATUS_CANDIDATE},
    };

    for (size_t i = 0; i < sizeof questions / sizeof questions[0]; i++) {
        if (strcmp(path, questions[i].path) == 0)
            answer->status = questions[i].yes ? 200 : 503;
    }
    if (strcmp(path, "/status") == 0)
        answer_with(answer, JSON, status_text(serving));
    else if (strcmp(path, "/metrics") == 0)
        answer_with(answer, METRICS, metrics_now(serving));
}

static bool open_http(struct serving *serving, uv_loop_t *loop)
{
    const struct options *options = serving->options;
    const struct http_config config = {.loop = loop,
                                       .address = &options->http_address,
                                       .on_request = answer_request,
                                       .context = serving};
    char error[PATH_MAX + 200];

    serving->backend = http_load("--http", error, sizeof error);
    if (serving->backend == NULL) {
        log_line(LOG_LEVEL_ERROR, "start_failed", "%s", error);
        return false;
    }
    int result = serving->backend->open(&serving->http, &config);
    if (result == 0)
        return true;
    log_line(LOG_LEVEL_ERROR, "start_failed", "cannot listen on --http %s: %s%s", options->http,
             strerror(-result),
             result == -EADDRINUSE ? "; choose another port, or end what listens there" : "");
    return false;
}

/* The line of the file that was there before which this run has nothing to say about: when the job
 * was done last, as other runs saw it. Returns 0 where there is none. */
static double earlier_success(const char *path)
{
    static const char name[] = "\nleaderwrap_job_last_success_timestamp_seconds{";
    char text[16384];
    double found = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0)
        return 0;
    ssize_t length = read(fd, text, sizeof text - 1);
    close(fd);
    text[length > 0 ? length : 0] = '\0';
    const char *line = strstr(text, name);
    const char *end = line != NULL ? strchr(line + 1, '\n') : NULL;
    while (end != NULL && end > line && *end != ' ')
        end--;
    if (end != NULL && *end == ' ')
        found = strtod(end, NULL);
    return found > 0 && found <= unix_now() ? found : 0;
}

/* Whether a file may be put in its place: nothing is there, or a file. A device would be gone. */
static bool is_replaceable(const char *path)
{
    struct stat status;

    return stat(path, &status) != 0 || S_ISREG(status.st_mode);
}

/* Whole or not at all: under another name first, which the collector does not read. Returns 0 or
 * -errno. */
static int replace_file(const char *path, const char *text)
{
    char other[PATH_MAX];
    size_t length = strlen(text);
    int result = 0;

    if (!is_replaceable(path))
        return -ENOTSUP;
    if (snprintf(other, sizeof other, "%s.%d.tmp", path, (int)getpid()) >= (int)sizeof other)
        return -ENAMETOOLONG;
    int fd = open(other, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0)
        return -errno;
    ssize_t written = write(fd, text, length);
    if (written != (ssize_t)length)
        result = written < 0 ? -errno : -ENOSPC;
    if (close(fd) != 0 && result == 0)
        result = -errno;
    if (result == 0 && rename(other, path) != 0)
        result = -errno;
    if (result != 0)
        (void)unlink(other);
    return result;
}

struct writing {
    uv_work_t work;
    struct serving *serving; /* used by the loop's thread alone; it outlives the loop */
    const char *path;
    char *text;
    int result;
};

static void tell_result(struct serving *serving, int result)
{
    const char *path = serving->options->metrics_file;

    if (result != 0 && result != serving->write_result)
        log_line(LOG_LEVEL_WARNING, "metrics_file", "cannot write --metrics-file %s: %s", path,
                 strerror(-result));
    serving->write_result = result;
}

/* In another thread: a file system may take its time. */
static void do_writing(uv_work_t *work)
{
    struct writing *writing = work->data;

    writing->result = replace_file(writing->path, writing->text);
}

static void on_written(uv_work_t *work, int status)
{
    struct writing *writing = work->data;

    writing->serving->is_writing = false;
    if (status == 0)
        tell_result(writing->serving, writing->result);
    free(writing->text);
    free(writing);
}

/* One at a time: what is slow is written less often. */
static void on_time_to_write(uv_timer_t *timer)
{
    struct serving *serving = timer->data;
    struct writing *writing = serving->is_writing ? NULL : calloc(1, sizeof *writing);

    if (writing == NULL)
        return;
    writing->work.data = writing;
    writing->serving = serving;
    writing->path = serving->options->metrics_file;
    writing->text = metrics_now(serving);
    if (writing->text != NULL &&
        uv_queue_work(timer->loop, &writing->work, do_writing, on_written) == 0) {
        serving->is_writing = true;
        return;
    }
    free(writing->text);
    free(writing);
}

static bool open_file(struct serving *serving, uv_loop_t *loop)
{
    uint64_t every_ms = (uint64_t)serving->options->timing.renew_ms;

    if (!is_replaceable(serving->options->metrics_file)) {
        log_line(LOG_LEVEL_ERROR, "start_failed",
                 "--metrics-file %s is no file, and would be replaced by one",
                 serving->options->metrics_file);
        return false;
    }
    serving->metrics.last_success = earlier_success(serving->options->metrics_file);
    /* A job is known when it has ended. */
    if (serving->options->once)
        return true;
    int result = uv_timer_init(loop, &serving->writing);
    if (result == 0) {
        serving->writing.data = serving;
        result = uv_timer_start(&serving->writing, on_time_to_write, 0,
                                every_ms > WRITE_LEAST_MS ? every_ms : WRITE_LEAST_MS);
    }
    if (result != 0)
        log_line(LOG_LEVEL_ERROR, "start_failed", "cannot make a timer: %s", strerror(-result));
    return result == 0;
}

bool serving_open(struct serving *serving, uv_loop_t *loop)
{
    metrics_init(&serving->metrics);
    serving->is_open = true;
    return (serving->options->metrics_file == NULL || open_file(serving, loop)) &&
           (serving->options->http == NULL || open_http(serving, loop));
}

/* A job that another one ran has nothing to say: the file is the same host's other runs'. */
static void write_last(struct serving *serving)
{
    const struct metrics *metrics = &serving->metrics;

    if (serving->is_writing || (serving->options->once && metrics->exit_status < 0))
        return;
    char *text = metrics_now(serving);
    if (text != NULL)
        tell_result(serving, replace_file(serving->options->metrics_file, text));
    free(text);
}

void serving_close(struct serving *serving)
{
    if (serving->is_open && serving->options->metrics_file != NULL)
        write_last(serving);
    if (serving->writing.data != NULL)
        uv_close((uv_handle_t *)&serving->writing, NULL);
    if (serving->backend != NULL)
        serving->backend->close(serving->http);
}

void serving_note(struct serving *serving, const struct election_note *note, int64_t now_ns)
{
    metrics_note(&serving->metrics, note, &serving->options->timing, now_ns, unix_now());
}

void serving_exit(struct serving *serving, int exit_status)
{
    metrics_exit(&serving->metrics, exit_status, unix_now());
}
