/* Log lines: formatted into one buffer on the stack, written by one write(2). */
#include "leaderwrap/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define LINE_SIZE    PIPE_BUF
#define MESSAGE_SIZE 1024

static struct {
    int fd; /* where lines go: standard error, or a way of our own to the same pipe or terminal */
    enum log_level level;
    enum log_format format;
    char name[128];
    char key[256];
    uint64_t token;
    uint64_t dropped;
} state = {
    .fd = STDERR_FILENO, .level = LOG_LEVEL_INFO, .format = LOG_FORMAT_TEXT, .name = "leaderwrap"};

static const char *const level_names[] = {"error", "warning", "info", "debug"};

void log_set_token(uint64_t token)
{
    state.token = token;
}

bool log_enabled(enum log_level level)
{
    return level <= state.level;
}

/* The length of the valid UTF-8 sequence at `text`, or 0 (RFC 3629; overlong forms, surrogates and
 * values above U+10FFFF are not valid). */
static size_t utf8_length(const unsigned char *text)
{
    size_t length = text[0] < 0x80                       ? 1
                    : text[0] >= 0xC2 && text[0] <= 0xDF ? 2
                    : (text[0] & 0xF0) == 0xE0           ? 3
                    : text[0] >= 0xF0 && text[0] <= 0xF4 ? 4
                                                         : 0;
    for (size_t i = 1; i < length; i++)
        if ((text[i] & 0xC0) != 0x80)
            return 0;
    if ((text[0] == 0xE0 && text[1] < 0xA0) || (text[0] == 0xED && text[1] > 0x9F) ||
        (text[0] == 0xF0 && text[1] < 0x90) || (text[0] == 0xF4 && text[1] > 0x8F))
        return 0;
    return length;
}

void log_sanitize(char *target, size_t size, const char *text)
{
    const unsigned char *at = (const unsigned char *)text;
    size_t used = 0;
    while (*at != '\0') {
        size_t length = *at >= 0x20 && *at != 0x7F ? utf8_length(at) : 0;
        size_t need = length > 0 ? length : 4;
        if (used + need >= size)
            break;
        if (length > 0)
            memcpy(target + used, at, length);
        else
            snprintf(target + used, size - used, "\\x%02x", *at);
        used += need;
        at += length > 0 ? length : 1;
    }
    target[used] = '\0';
}

void log_configure(const struct log_config *config)
{
    state.level = config->level;
    state.format = config->format;
    log_sanitize(state.name, sizeof state.name, config->name != NULL ? config->name : "leaderwrap");
    log_sanitize(state.key, sizeof state.key, config->key != NULL ? config->key : "");
}

static void format_time(char *buffer, size_t size)
{
    struct timespec now;
    struct tm utc;
    char seconds[32];
    if (clock_gettime(CLOCK_REALTIME, &now) != 0 || gmtime_r(&now.tv_sec, &utc) == NULL) {
        snprintf(buffer, size, "-");
        return;
    }
    strftime(seconds, sizeof seconds, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(buffer, size, "%s.%03ldZ", seconds, now.tv_nsec / 1000000);
}

static size_t format_text(char *line, size_t size, const char *when, enum log_level level,
                          const char *message)
{
    const char *mark = level == LOG_LEVEL_ERROR     ? "error: "
                       : level == LOG_LEVEL_WARNING ? "warning: "
                                                    : "";
    int length = snprintf(line, size - 1, "%s %s: %s%s", when, state.name, mark, message);
    if (length < 0)
        return 0;
    size_t used = (size_t)length < size - 2 ? (size_t)length : size - 2;
    line[used++] = '\n';
    return used;
}

static size_t format_json(char *line, size_t size, const char *when, enum log_level level,
                          const char *event, const char *message)
{
    json_t *object = json_pack("{s:s, s:s, s:s, s:i, s:s, s:s, s:s}", "time", when, "level",
                               level_names[level], "event", event, "pid", (int)getpid(), "key",
                               state.key, "name", state.name, "message", message);
    if (object == NULL)
        return 0;
    if (state.token != 0)
        json_object_set_new(object, "token", json_integer((json_int_t)state.token));
    size_t used = json_dumpb(object, line, size - 1, JSON_COMPACT);
    json_decref(object);
    /* json_dumpb tells the size it would have needed. */
    if (used == 0 || used > size - 1)
        return 0;
    line[used++] = '\n';
    return used;
}

static size_t format_line(char *line, size_t size, enum log_level level, const char *event,
                          const char *message)
{
    char when[48];
    format_time(when, sizeof when);
    if (state.format == LOG_FORMAT_JSON)
        return format_json(line, size, when, level, event, message);
    return format_text(line, size, when, level, message);
}

void log_unblock(void)
{
    struct stat status;
    int fd = -1;

    if (fstat(STDERR_FILENO, &status) == 0 &&
        (S_ISFIFO(status.st_mode) || isatty(STDERR_FILENO) == 1))
        fd = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd >= 0)
        state.fd = fd;
}

/* Writes `line` unless that could block: poll(2) promises room for PIPE_BUF bytes in a pipe. */
static bool write_line(const char *line, size_t length)
{
    struct pollfd out = {.fd = state.fd, .events = POLLOUT};
    if (poll(&out, 1, 0) == 0)
        return false;
    ssize_t written;
    do
        written = write(state.fd, line, length);
    while (written < 0 && errno == EINTR);
    return written >= 0 || errno != EAGAIN;
}

void log_line(enum log_level level, const char *event, const char *format, ...)
{
    char raw[MESSAGE_SIZE];
    char message[MESSAGE_SIZE];
    char line[LINE_SIZE];
    int saved_errno = errno;
    va_list arguments;

    if (!log_enabled(level))
        return;
    va_start(arguments, format);
    vsnprintf(raw, sizeof raw, format, arguments);
    va_end(arguments);
    log_sanitize(message, sizeof message, raw);

    if (state.dropped > 0) {
        char note[64];
        snprintf(note, sizeof note, "%" PRIu64 " log lines were lost: nobody read them",
                 state.dropped);
        size_t length = format_line(line, sizeof line, LOG_LEVEL_WARNING, "log_lost", note);
        if (write_line(line, length))
            state.dropped = 0;
    }
    size_t length = format_line(line, sizeof line, level, event, message);
    if (length > 0 && !write_line(line, length))
        state.dropped++;
    errno = saved_errno;
}
