/* The search along PATH, and the first line of a script. */
#include "executable.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "options.h"

/* What the kernel reads of a file to find out how to execute it: BINPRM_BUF_SIZE, 128 before Linux
 * 5.1. */
#define FIRST_LINE_SIZE 256

/* An interpreter may be a script itself; the kernel follows that so many times (fs/exec.c). */
#define INTERPRETERS_MOST 5

static int check_file(const char *path, int depth, char *interpreter, size_t size);

/* The beginning of a file, as a string; empty where it may be executed but not read. */
static void read_beginning(const char *path, char *buffer, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    ssize_t length = fd >= 0 ? read(fd, buffer, size - 1) : 0;

    buffer[length > 0 ? length : 0] = '\0';
    if (fd >= 0)
        close(fd);
}

/* Cuts `line` down to the interpreter of a script (execve(2)). Returns NULL where it has none, or
 * one whose name the kernel would not read to its end: execvp(3) gives those to the shell. */
static char *find_interpreter(char *line)
{
    if (strncmp(line, "#!", 2) != 0)
        return NULL;
    char *name = line + 2 + strspn(line + 2, " \t");
    size_t length = strcspn(name, " \t\n");
    if (length == 0 || name[length] == '\0')
        return NULL;
    name[length] = '\0';
    return name;
}

static int check_interpreter(const char *path, int depth, char *interpreter, size_t size)
{
    char line[FIRST_LINE_SIZE + 1];

    read_beginning(path, line, sizeof line);
    const char *name = find_interpreter(line);
    if (name == NULL)
        return 0;
    int problem =
        depth < INTERPRETERS_MOST ? check_file(name, depth + 1, interpreter, size) : ELOOP;
    if (problem != 0 && interpreter[0] == '\0')
        snprintf(interpreter, size, "%s", name);
    return problem;
}

static int check_file(const char *path, int depth, char *interpreter, size_t size)
{
    struct stat status;

    if (stat(path, &status) != 0)
        return errno;
    if (S_ISDIR(status.st_mode))
        return EACCES;
    if (access(path, X_OK) != 0)
        return errno;
    return check_interpreter(path, depth, interpreter, size);
}

/* Goes on along PATH behind what cannot be executed, as execvp(3) does. The reason told is that of
 * the first file that is there. */
static int search(const char *command, const char *path, char *interpreter, size_t size)
{
    int result = 0;

    for (const char *at = path;; at++) {
        size_t length = strcspn(at, ":");
        char *candidate;
        char missing[FIRST_LINE_SIZE] = "";
        /* An empty entry means the current directory. */
        if (asprintf(&candidate, "%.*s%s%s", (int)length, at, length > 0 ? "/" : "./", command) < 0)
            return ENOMEM;
        int problem = check_file(candidate, 0, missing, sizeof missing);
        free(candidate);
        if (problem == 0)
            return 0;
        if (result == 0 && (missing[0] != '\0' || (problem != ENOENT && problem != ENOTDIR))) {
            result = problem;
            snprintf(interpreter, size, "%s", missing);
        }
        at += length;
        if (*at == '\0')
            return result != 0 ? result : ENOENT;
    }
}

int executable_find(const char *command, char *interpreter, size_t size)
{
    const char *path = getenv("PATH");

    interpreter[0] = '\0';
    if (strchr(command, '/') != NULL)
        return check_file(command, 0, interpreter, size);
    if (command[0] == '\0')
        return ENOENT;
    if (path == NULL)
        path = "/bin:/usr/bin"; /* what execvp(3) falls back to */
    int problem = search(command, path, interpreter, size);
    if (problem == 0)
        interpreter[0] = '\0';
    return problem;
}

int executable_exit_status(int error)
{
    return error == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE;
}

static void describe_interpreter(const char *command, const char *interpreter, int problem,
                                 char *text, size_t size)
{
    size_t length = strlen(interpreter);
    bool foreign_ends = length > 0 && interpreter[length - 1] == '\r';

    snprintf(text, size,
             "cannot execute %.140s: its first line asks for the interpreter %.*s: %s%s", command,
             (int)(foreign_ends ? length - 1 : length), interpreter,
             foreign_ends ? "it ends in a carriage return" : strerror(problem),
             foreign_ends ? "; save the file with the line ends of Unix" : "");
}

int executable_problem(char *const *argv, char *text, size_t size)
{
    char interpreter[161], hint[240] = "";
    int problem = argv == NULL ? 0 : executable_find(argv[0], interpreter, sizeof interpreter);

    if (problem == 0)
        return 0;
    if (interpreter[0] != '\0') {
        describe_interpreter(argv[0], interpreter, problem, text, size);
        return executable_exit_status(problem);
    }
    if (argv[1] == NULL && strpbrk(argv[0], " \t\n") != NULL)
        snprintf(hint, sizeof hint,
                 "; for a command of several words leave the quotes out, or let a shell read it: "
                 "--key KEY -- sh -c '%.80s'",
                 argv[0]);
    snprintf(text, size, "cannot execute %.200s: %s%s", argv[0], strerror(problem), hint);
    return executable_exit_status(problem);
}
