/* Log lines: formatted into one buffer on the stack, written by one write(2). */
#include "leaderwrap/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "log_format.h"

#define LINE_SIZE    PIPE_BUF
#define MESSAGE_SIZE 1024
#define FIELD_SIZE   256

static struct {
    int fd; /* where lines go: standard error, or a way of our own to the same pipe or terminal */
    enum log_level level;
    enum log_format format;
    bool journal; /* it goes to journald */
    char name[128];
    char key[256];
    uint64_t token;
    uint64_t dropped;
} state = {
    .fd = STDERR_FILENO, .level = LOG_LEVEL_INFO, .format = LOG_FORMAT_TEXT, .name = "leaderwrap"};

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

/* Whether standard error is what JOURNAL_STREAM names, "device:inode": a command may have got
 * another one, and the variable with it. */
static bool is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    char own[64];
    struct stat status;

    if (stream == NULL || fstat(STDERR_FILENO, &status) != 0)
        return false;
    snprintf(own, sizeof own, "%ju:%ju", (uintmax_t)status.st_dev, (uintmax_t)status.st_ino);
    return strcmp(own, stream) == 0;
}

void log_configure(const struct log_config *config)
{
    state.level = config->level;
    state.journal = is_journal();
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

/* Texts from anywhere, made fit to be shown; cut to FIELD_SIZE. */
static void sanitize_fields(const struct log_field *fields, struct log_field *clean,
                            char texts[LOG_FIELDS_MAX][FIELD_SIZE])
{
    size_t count = 0;

    for (; fields != NULL && fields->name != NULL && count < LOG_FIELDS_MAX; fields++, count++) {
        clean[count] = *fields;
        if (fields->text == NULL)
            continue;
        log_sanitize(texts[count], FIELD_SIZE, fields->text);
        clean[count].text = texts[count];
    }
    clean[count].name = NULL;
}

static size_t format_line(char *line, size_t size, enum log_level level, const char *event,
                          const struct log_field *fields, const char *message)
{
    char when[48], texts[LOG_FIELDS_MAX][FIELD_SIZE];
    struct log_field clean[LOG_FIELDS_MAX + 1];
    const struct log_entry entry = {
        .when = when,
        .level = level,
        .marked = state.journal,
        .event = event,
        .key = state.key,
        .name = state.name,
        .token = state.token,
        .message = message,
        .fields = clean,
    };

    format_time(when, sizeof when);
    sanitize_fields(fields, clean, texts);
    return log_format(state.format, &entry, line, size);
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

static void write_event(enum log_level level, const char *event, const struct log_field *fields,
                        const char *format, va_list arguments)
{
    char raw[MESSAGE_SIZE];
    char message[MESSAGE_SIZE];
    char line[LINE_SIZE];
    int saved_errno = errno;

    if (!log_enabled(level))
        return;
    vsnprintf(raw, sizeof raw, format, arguments);
    log_sanitize(message, sizeof message, raw);
    if (state.dropped > 0) {
        char note[64];
        snprintf(note, sizeof note, "%" PRIu64 " log lines were lost: nobody read them",
                 state.dropped);
        size_t length = format_line(line, sizeof line, LOG_LEVEL_WARNING, "log_lost",
                                    LOG_FIELDS(LOG_NUMBER("count", (int64_t)state.dropped)), note);
        if (write_line(line, length))
            state.dropped = 0;
    }
    size_t length = format_line(line, sizeof line, level, event, fields, message);
    if (length > 0 && !write_line(line, length))
        state.dropped++;
    errno = saved_errno;
}

void log_line(enum log_level level, const char *event, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    write_event(level, event, NULL, format, arguments);
    va_end(arguments);
}

void log_event(enum log_level level, const char *event, const struct log_field *fields,
               const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    write_event(level, event, fields, format, arguments);
    va_end(arguments);
}
