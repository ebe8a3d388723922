/* The log: one whole line per event, nothing forged, nobody held up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "leaderwrap/base/log.h"

/* Standard error, redirected into a pipe. */
struct capture {
    int read_end;
    int saved;
};

static struct capture begin(void)
{
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    struct capture capture = {.read_end = ends[0], .saved = dup(STDERR_FILENO)};
    assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
    close(ends[1]);
    return capture;
}

static size_t finish(struct capture *capture, char *text, size_t size)
{
    size_t used = 0;
    ssize_t length;
    while (used < size - 1 && (length = read(capture->read_end, text + used, size - 1 - used)) > 0)
        used += (size_t)length;
    text[used] = '\0';
    dup2(capture->saved, STDERR_FILENO);
    close(capture->saved);
    close(capture->read_end);
    return used;
}

static void configure(enum log_format format, const char *name, const char *key)
{
    const struct log_config config = {
        .level = LOG_LEVEL_INFO, .format = format, .name = name, .key = key};
    log_configure(&config);
}

static void a_text_line_names_the_speaker(void **state)
{
    char text[4096];
    (void)state;
    configure(LOG_FORMAT_TEXT, "worker-1", "k");
    struct capture capture = begin();
    log_line(LOG_LEVEL_WARNING, "event", "the answer is %d", 42);
    log_line(LOG_LEVEL_DEBUG, "event", "not shown");
    finish(&capture, text, sizeof text);
    assert_non_null(strstr(text, "Z leaderwrap worker-1: warning: the answer is 42\n"));
    assert_null(strstr(text, "not shown"));
}

static json_t *only_line_of(const char *text)
{
    json_error_t error;
    json_t *line = json_loads(text, 0, &error);

    assert_non_null(line);
    return line;
}

static void fields_are_for_machines(void **state)
{
    const struct log_field *fields =
        LOG_FIELDS(LOG_TEXT("holder", "w\n\"2\""), LOG_NUMBER("ttl_ms", -15000));
    char text[4096];

    (void)state;
    configure(LOG_FORMAT_JSON, "worker", "k");
    struct capture capture = begin();
    log_event(LOG_LEVEL_INFO, "event", fields, "a %s", "message");
    log_event(LOG_LEVEL_DEBUG, "event", fields, "not shown");
    finish(&capture, text, sizeof text);
    json_t *line = only_line_of(text);
    assert_string_equal(json_string_value(json_object_get(line, "holder")), "w\\x0a\"2\"");
    assert_int_equal(json_integer_value(json_object_get(line, "ttl_ms")), -15000);
    assert_string_equal(json_string_value(json_object_get(line, "message")), "a message");
    json_decref(line);
    configure(LOG_FORMAT_TEXT, "worker", "k");
    capture = begin();
    log_event(LOG_LEVEL_INFO, "event", fields, "a %s", "message");
    finish(&capture, text, sizeof text);
    assert_non_null(strstr(text, "Z leaderwrap worker: a message\n"));
}

static void logfmt_quotes_what_needs_it(void **state)
{
    char text[4096];

    (void)state;
    configure(LOG_FORMAT_LOGFMT, "worker", "a=b");
    log_set_token(17);
    struct capture capture = begin();
    log_event(LOG_LEVEL_WARNING, "event",
              LOG_FIELDS(LOG_TEXT("a", ""), LOG_TEXT("b", "c\\d"), LOG_TEXT("e", "f\ng"),
                         LOG_NUMBER("h", INT64_MIN)),
              "it says \"no\"");
    finish(&capture, text, sizeof text);
    log_set_token(0);
    assert_memory_equal(text, "time=20", 7);
    assert_non_null(strstr(text, "Z level=warning event=event pid="));
    assert_non_null(strstr(text, " key=\"a=b\" name=worker token=17 message=\"it says "
                                 "\\\"no\\\"\" a=\"\" b=\"c\\\\d\" e=\"f\\\\x0ag\" "
                                 "h=-9223372036854775808\n"));
}

/* As the priority in front of a line does. */
static void a_value_may_end_with_a_bracket(void **state)
{
    char text[4096];

    (void)state;
    configure(LOG_FORMAT_LOGFMT, "<me>", "k");
    struct capture capture = begin();
    log_event(LOG_LEVEL_INFO, "event", LOG_FIELDS(LOG_TEXT("a", "b>"), LOG_NUMBER("c", 1)), "d>");
    finish(&capture, text, sizeof text);
    assert_non_null(strstr(text, " name=<me> message=d> a=b> c=1\n"));
}

/* However long they are: the message is what counts. */
static void what_does_not_fit_are_fields(void **state)
{
    static char longest[4000];
    static const struct log_field many[] = {LOG_TEXT("a", longest), LOG_TEXT("b", longest),
                                            LOG_TEXT("c", longest), LOG_TEXT("d", longest),
                                            LOG_TEXT("e", longest), LOG_TEXT("f", longest),
                                            LOG_TEXT("g", longest), LOG_TEXT("h", longest),
                                            LOG_TEXT("i", longest), {.name = NULL}};
    static const enum log_format formats[] = {LOG_FORMAT_JSON, LOG_FORMAT_LOGFMT};
    char text[16384];

    (void)state;
    memset(longest, '"', sizeof longest - 1);
    for (int i = 0; i < 2; i++) {
        configure(formats[i], "worker", "k");
        struct capture capture = begin();
        log_event(LOG_LEVEL_INFO, "event", many, "%.900s", longest);
        size_t length = finish(&capture, text, sizeof text);
        assert_in_range(length, 900, 4096);
        assert_ptr_equal(strchr(text, '\n'), text + length - 1);
        assert_non_null(strstr(text, "message"));
        assert_null(strstr(text, "i="));
    }
}

static void begin_as_journal(struct capture *capture, const char *more)
{
    struct stat status;
    char stream[64];

    *capture = begin();
    assert_int_equal(fstat(STDERR_FILENO, &status), 0);
    snprintf(stream, sizeof stream, "%ju:%ju%s", (uintmax_t)status.st_dev, (uintmax_t)status.st_ino,
             more);
    setenv("JOURNAL_STREAM", stream, 1);
}

static void journald_gets_priorities_and_no_time(void **state)
{
    struct capture capture;
    char text[4096];

    (void)state;
    begin_as_journal(&capture, "");
    configure(LOG_FORMAT_TEXT, "worker", "k");
    log_line(LOG_LEVEL_ERROR, "event", "a");
    log_line(LOG_LEVEL_WARNING, "event", "b");
    log_line(LOG_LEVEL_INFO, "event", "c");
    finish(&capture, text, sizeof text);
    assert_string_equal(text, "<3>worker: a\n<4>worker: b\n<6>worker: c\n");
    begin_as_journal(&capture, "");
    configure(LOG_FORMAT_LOGFMT, "worker", "k");
    log_line(LOG_LEVEL_ERROR, "event", "a");
    finish(&capture, text, sizeof text);
    assert_memory_equal(text, "<3>level=error event=event pid=", 31);
    /* It is for the standard error that it names, and no other. */
    begin_as_journal(&capture, "1");
    configure(LOG_FORMAT_TEXT, "worker", "k");
    log_line(LOG_LEVEL_ERROR, "event", "a");
    finish(&capture, text, sizeof text);
    assert_non_null(strstr(text, "Z leaderwrap worker: error: a\n"));
    unsetenv("JOURNAL_STREAM");
    configure(LOG_FORMAT_TEXT, "worker", "k");
}

static void nothing_can_forge_a_line(void **state)
{
    char text[4096];
    (void)state;
    configure(LOG_FORMAT_TEXT, "worker", "k");
    struct capture capture = begin();
    log_line(LOG_LEVEL_INFO, "event", "a\nforged \x1b[31m \xff\xc3(caf\xc3\xa9) \xed\xa0\x80");
    finish(&capture, text, sizeof text);
    assert_non_null(
        strstr(text, "a\\x0aforged \\x1b[31m \\xff\\xc3(caf\xc3\xa9) \\xed\\xa0\\x80\n"));
    assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
}

static void json_survives_anything(void **state)
{
    char text[8192];
    char key[513], message[3000];
    (void)state;
    memset(key, '\x01', sizeof key - 1);
    key[sizeof key - 1] = '\0';
    memset(message, '"', sizeof message - 1);
    message[sizeof message - 1] = '\0';
    configure(LOG_FORMAT_JSON, "na\xff\"me", key);
    log_set_token(1795412446120502);
    struct capture capture = begin();
    log_line(LOG_LEVEL_ERROR, "event", "%s", message);
    size_t length = finish(&capture, text, sizeof text);
    log_set_token(0);
    assert_in_range(length, 1, 4096);
    json_error_t error;
    json_t *line = json_loads(text, 0, &error);
    assert_non_null(line);
    assert_string_equal(json_string_value(json_object_get(line, "event")), "event");
    assert_string_equal(json_string_value(json_object_get(line, "level")), "error");
    assert_int_equal(json_integer_value(json_object_get(line, "token")), 1795412446120502);
    json_decref(line);
}

static void a_reader_that_stopped_holds_nobody_up(void **state)
{
    char text[200000];
    (void)state;
    configure(LOG_FORMAT_TEXT, "worker", "k");
    struct capture capture = begin();
    /* A blocking pipe, as a stopped terminal or a full journal would be. */
    int flags = fcntl(STDERR_FILENO, F_GETFL);
    assert_int_equal(fcntl(STDERR_FILENO, F_SETFL, flags & ~O_NONBLOCK), 0);
    for (int i = 0; i < 5000; i++)
        log_line(LOG_LEVEL_INFO, "event", "%0100d", i);
    char some[65536];
    assert_true(read(capture.read_end, some, sizeof some) > 0);
    log_line(LOG_LEVEL_INFO, "event", "the last one");
    finish(&capture, text, sizeof text);
    assert_non_null(strstr(text, "log lines were lost"));
    assert_non_null(strstr(text, "the last one"));
}

static void errno_is_kept(void **state)
{
    char text[4096];
    (void)state;
    struct capture capture = begin();
    errno = ENOTTY;
    log_line(LOG_LEVEL_ERROR, "event", "x");
    int kept = errno;
    finish(&capture, text, sizeof text);
    assert_int_equal(kept, ENOTTY);
}

static void a_terminal_that_nobody_reads_holds_nobody_up(void **state)
{
    char name[64], some[65536];
    (void)state;
    configure(LOG_FORMAT_TEXT, "worker", "k");
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(master >= 0);
    assert_int_equal(grantpt(master), 0);
    assert_int_equal(unlockpt(master), 0);
    assert_int_equal(ptsname_r(master, name, sizeof name), 0);
    int terminal = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
    assert_true(terminal >= 0);
    int saved = dup(STDERR_FILENO);
    assert_true(dup2(terminal, STDERR_FILENO) >= 0);
    log_unblock();
    for (int i = 0; i < 5000; i++)
        log_line(LOG_LEVEL_INFO, "event", "%0300d", i);
    int flags = fcntl(STDERR_FILENO, F_GETFL);
    dup2(saved, STDERR_FILENO);
    ssize_t length = read(master, some, sizeof some);
    close(saved);
    close(terminal);
    close(master);
    /* The command shares the terminal, but not our way of writing to it. */
    assert_int_equal(flags & O_NONBLOCK, 0);
    assert_true(length > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_line_names_the_speaker),
        cmocka_unit_test(fields_are_for_machines),
        cmocka_unit_test(logfmt_quotes_what_needs_it),
        cmocka_unit_test(a_value_may_end_with_a_bracket),
        cmocka_unit_test(what_does_not_fit_are_fields),
        cmocka_unit_test(journald_gets_priorities_and_no_time),
        cmocka_unit_test(nothing_can_forge_a_line),
        cmocka_unit_test(json_survives_anything),
        cmocka_unit_test(a_reader_that_stopped_holds_nobody_up),
        cmocka_unit_test(errno_is_kept),
        /* The last one: it moves the log away from standard error. */
        cmocka_unit_test(a_terminal_that_nobody_reads_holds_nobody_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
