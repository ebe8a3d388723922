/*
 * Reads a password from a file and leaves no copy behind.
 */
#include "password.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

int password_read(const char *path, char **password, char *error, size_t error_size)
{
    const size_t size = PASSWORD_SIZE_MAX + 2;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    char *buffer;
    const char *why;
    ssize_t length;

    if (fd < 0) {
        snprintf(error, error_size, "cannot open the password file %s: %s", path, strerror(errno));
        return -1;
    }
    buffer = malloc(size + 1);
    length = buffer != NULL ? read_up_to(fd, buffer, size) : -ENOMEM;
    close(fd);
    if (length >= 0) {
        why = first_line(buffer, (size_t)length);
        if (why == NULL) {
            *password = buffer;
            return 0;
        }
        explicit_bzero(buffer, (size_t)length);
    } else {
        why = strerror((int)-length);
    }
    snprintf(error, error_size, "cannot use the password file %s: %s", path, why);
    free(buffer);
    return -1;
}

void password_free(char *password)
{
    if (password != NULL)
        explicit_bzero(password, strlen(password));
    free(password);
}
