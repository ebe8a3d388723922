/*
 * Reads a password from a file and leaves no copy behind; says what is odd about one.
 */
#include "leaderwrap/redis/password.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FROM_SHOWN 80 /* bytes of where it came from: a line is read by people */

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

/* What is wrong with a file of this kind, which is read again and again. */
static const char *check_kind(mode_t mode)
{
    if (S_ISREG(mode))
        return NULL;
    if (S_ISDIR(mode))
        return "it is a directory";
    return "it is no regular file, and would be empty when it is read again at the next connect";
}

/* Returns a descriptor, or -1 with what is wrong in `*why`. */
static int open_file(const char *path, const char **why)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    struct stat status;

    if (fd < 0) {
        *why = strerror(errno);
        return -1;
    }
    *why = fstat(fd, &status) == 0 ? check_kind(status.st_mode) : strerror(errno);
    if (*why == NULL)
        return fd;
    close(fd);
    return -1;
}

bool password_file_is_exposed(const char *path)
{
    struct stat status;

    return stat(path, &status) == 0 &&
           ((status.st_mode & S_IROTH) != 0 ||
            ((status.st_mode & S_IRGRP) != 0 && status.st_uid == geteuid()));
}

/* Fills `buffer` up to `size` or the end of the file. Returns the length or -errno. */
static ssize_t read_up_to(int fd, char *buffer, size_t size)
{
    size_t length = 0;

    while (length < size) {
        ssize_t n = read(fd, buffer + length, size - length);

        if (n == 0)
            break;
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        length += (size_t)n;
    }
    return (ssize_t)length;
}

/* Cuts `buffer` after its first line. Returns NULL or what is wrong with it. */
static const char *first_line(char *buffer, size_t length)
{
    char *end = memchr(buffer, '\n', length);
    size_t line = end != NULL ? (size_t)(end - buffer) : length;

    if (line > 0 && buffer[line - 1] == '\r')
        line--;
    if (line == 0)
        return "its first line is empty";
    if (line > PASSWORD_SIZE_MAX)
        return "its first line is longer than 64 KiB";
    if (memchr(buffer, '\0', line) != NULL)
        return "it is no text file";
    explicit_bzero(buffer + line, length - line);
    buffer[line] = '\0';
    return NULL;
}

/* Returns NULL, or what is wrong with the file. */
static const char *load(const char *path, char **password)
{
    const size_t size = PASSWORD_SIZE_MAX + 2;
    const char *why;
    int fd = open_file(path, &why);

    if (fd < 0)
        return why;
    char *buffer = malloc(size + 1);
    ssize_t length = buffer != NULL ? read_up_to(fd, buffer, size) : -ENOMEM;
    close(fd);
    why = buffer == NULL ? "out of memory"
          : length >= 0  ? first_line(buffer, (size_t)length)
                         : strerror((int)-length);
    if (why == NULL) {
        *password = buffer;
        return NULL;
    }
    if (length > 0)
        explicit_bzero(buffer, (size_t)length);
    free(buffer);
    return why;
}

const char *password_check_file(const char *path)
{
    static const char *const descriptors[] = {"/dev/stdin", "/dev/fd/", "/proc/self/fd/",
                                              "/proc/thread-self/fd/"};
    char *password;

    /* Standard input becomes the command's, the others are closed. */
    for (size_t i = 0; i < sizeof descriptors / sizeof descriptors[0]; i++)
        if (begins(path, descriptors[i]))
            return "it is an open descriptor, which is gone at the next connect: give the name of "
                   "a file";
    const char *why = load(path, &password);
    if (why == NULL)
        password_free(password);
    return why;
}

int password_read(const char *path, char **password, char *error, size_t error_size)
{
    const char *why = load(path, password);

    if (why == NULL)
        return 0;
    snprintf(error, error_size, "cannot use the password file %s: %s", path, why);
    return -1;
}

/* What looks like a mistake, NULL if nothing does. */
static const char *find_oddity(const char *password)
{
    size_t length = strlen(password);
    char last = length > 0 ? password[length - 1] : '\0';

    if (length == 0)
        return "is empty";
    if (begins(password, "\xEF\xBB\xBF"))
        return "begins with a byte order mark";
    if (last == '\n' || last == '\r')
        return "ends in a line break";
    if (strpbrk(password, "\r\n") != NULL)
        return "has a line break in it";
    if (last == ' ' || last == '\t')
        return "ends in a blank";
    if (password[0] == ' ' || password[0] == '\t')
        return "begins with a blank";
    if (length > 1 && (last == '"' || last == '\'') && password[0] == last)
        return "has quotes around it";
    return NULL;
}

char *password_hint(const char *password, const char *from, char *buffer, size_t size)
{
    const char *oddity = find_oddity(password);
    size_t length = strlen(from);
    bool whole = length <= FROM_SHOWN;

    /* The end of a long path says more than its beginning. */
    snprintf(buffer, size, "it came from %s%s%s%s", whole ? "" : "...",
             whole ? from : from + length - FROM_SHOWN, oddity != NULL ? " and " : "",
             oddity != NULL ? oddity : "");
    return buffer;
}

void password_free(char *password)
{
    if (password != NULL)
        explicit_bzero(password, strlen(password));
    free(password);
}
