/* Whether a command can be executed: the search along PATH, and interpreters. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "wrapper/executable.h"
#include "wrapper/options.h"

static char folder[] = "/tmp/lw-executable-XXXXXX";
static char interpreter[128];

static int find(const char *command)
{
    return executable_find(command, interpreter, sizeof interpreter);
}

static char *path_of(const char *name)
{
    static char path[128];

    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static char *write_file(const char *name, const char *content, mode_t mode)
{
    char *path = path_of(name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, strlen(content)), strlen(content));
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
    return path;
}

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) == NULL;
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *place)
{
    (void)status;
    (void)type;
    (void)place;
    return remove(path);
}

static int remove_folder(void **state)
{
    (void)state;
    return nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void commands_are_found_as_execvp_does(void **state)
{
    (void)state;
    setenv("PATH", "/nonexistent:/usr/bin:/bin", 1);
    assert_int_equal(find("sh"), 0);
    assert_int_equal(find("/bin/sh"), 0);
    assert_int_equal(find("no-such-command"), ENOENT);
    assert_int_equal(find(""), ENOENT);
    assert_int_equal(find("/no/such/command"), ENOENT);
    assert_int_equal(find("/etc/passwd"), EACCES);
    assert_int_equal(find("/etc"), EACCES);
    setenv("PATH", "/etc", 1);
    assert_int_equal(find("passwd"), EACCES);
    unsetenv("PATH");
    assert_int_equal(find("sh"), 0);
    assert_string_equal(interpreter, "");
}

static void a_missing_interpreter_is_named(void **state)
{
    (void)state;
    assert_int_equal(find(write_file("script", "#! /no/such -x\nexit\n", 0755)), ENOENT);
    assert_string_equal(interpreter, "/no/such");
    assert_int_equal(find(write_file("script", "#!/etc/passwd\n", 0755)), EACCES);
    assert_string_equal(interpreter, "/etc/passwd");
    assert_int_equal(find(write_file("script", "#!/bin/sh\nexit\n", 0755)), 0);
    assert_string_equal(interpreter, "");
    assert_int_equal(find(write_file("script", "#!/usr/bin/env sh\n", 0755)), 0);
}

static void what_the_shell_would_get_is_left_to_it(void **state)
{
    char line[400];

    (void)state;
    assert_int_equal(find(write_file("script", "exit 3\n", 0755)), 0);
    assert_int_equal(find(write_file("script", "#!\nexit 3\n", 0755)), 0);
    assert_int_equal(find(write_file("script", "#!   ", 0755)), 0);
    assert_int_equal(find(write_file("script", "", 0755)), 0);
    /* The kernel reads no such name to its end. */
    memset(line, 'a', sizeof line);
    memcpy(line, "#!/", 3);
    line[sizeof line - 1] = '\0';
    assert_int_equal(find(write_file("script", line, 0755)), 0);
}

static void an_interpreter_may_be_a_script(void **state)
{
    char content[160];

    (void)state;
    write_file("inner", "#!/no/such\n", 0755);
    snprintf(content, sizeof content, "#!%s\n", path_of("inner"));
    assert_int_equal(find(write_file("outer", content, 0755)), ENOENT);
    assert_string_equal(interpreter, "/no/such");
    snprintf(content, sizeof content, "#!%s\n", path_of("circle"));
    assert_int_equal(find(write_file("circle", content, 0755)), ELOOP);
    assert_string_equal(interpreter, path_of("circle"));
}

static void the_search_goes_on_behind_a_missing_interpreter(void **state)
{
    char path[160];

    (void)state;
    write_file("cat", "#!/no/such\n", 0755);
    snprintf(path, sizeof path, "%s:/usr/bin:/bin", folder);
    setenv("PATH", path, 1);
    assert_int_equal(find("cat"), 0);
    assert_string_equal(interpreter, "");
    snprintf(path, sizeof path, "/nonexistent:%s:/etc", folder);
    setenv("PATH", path, 1);
    assert_int_equal(find("cat"), ENOENT);
    assert_string_equal(interpreter, "/no/such");
    setenv("PATH", "/usr/bin:/bin", 1);
}

static void a_problem_is_told_with_its_status(void **state)
{
    char text[EXECUTABLE_TEXT_SIZE];
    char words[] = "/bin/echo a";
    char *argv[] = {write_file("script", "#!/bin/sh\r\nexit\r\n", 0755), NULL};

    (void)state;
    assert_int_equal(executable_problem(argv, text, sizeof text), EXIT_NOT_FOUND);
    assert_non_null(strstr(text, "interpreter /bin/sh: it ends in a carriage return; save"));
    argv[0] = words;
    assert_int_equal(executable_problem(argv, text, sizeof text), EXIT_NOT_FOUND);
    assert_non_null(strstr(text, "sh -c '/bin/echo a'"));
    argv[0] = write_file("script", "exit 0\n", 0644);
    assert_int_equal(executable_problem(argv, text, sizeof text), EXIT_NOT_EXECUTABLE);
    assert_int_equal(executable_problem(NULL, text, sizeof text), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands_are_found_as_execvp_does),
        cmocka_unit_test(a_missing_interpreter_is_named),
        cmocka_unit_test(what_the_shell_would_get_is_left_to_it),
        cmocka_unit_test(an_interpreter_may_be_a_script),
        cmocka_unit_test(the_search_goes_on_behind_a_missing_interpreter),
        cmocka_unit_test(a_problem_is_told_with_its_status),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
