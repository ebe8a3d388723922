/* Reads a file and leaves no copy behind. */
#include "leaderwrap/redis/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROOM_LEAST 4096 /* a file that grows meanwhile, or has no size */

char *file_absolute_path(const char *path)
{
    char *directory = path[0] == '/' ? NULL : getcwd(NULL, 0);
    char *absolute;
    int length = asprintf(&absolute, "%s%s%s", directory != NULL ? directory : "",
                          directory != NULL ? "/" : "", path);

    free(directory);
    return length >= 0 ? absolute : NULL;
}

const char *file_check_path(const char *path)
{
    static const char *const descriptors[] = {"/dev/stdin", "/dev/fd/", "/proc/self/fd/",
                                              "/proc/thread-self/fd/"};

    /* Standard input becomes the command's, the others are closed. */
    for (size_t i = 0; i < sizeof descriptors / sizeof descriptors[0]; i++)
        if (strncmp(path, descriptors[i], strlen(descriptors[i])) == 0)
            return "it is an open descriptor, which is gone at the next connect: give the name of "
                   "a file";
    return NULL;
}

bool file_is_exposed(const char *path)
{
    struct stat status;

    return stat(path, &status) == 0 &&
           ((status.st_mode & S_IROTH) != 0 ||
            ((status.st_mode & S_IRGRP) != 0 && status.st_uid == geteuid()));
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
static int open_file(const char *path, off_t *size, const char **why)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    struct stat status;

    if (fd < 0) {
        *why = strerror(errno);
        return -1;
    }
    *why = fstat(fd, &status) == 0 ? check_kind(status.st_mode) : strerror(errno);
    if (*why == NULL) {
        *size = status.st_size;
        return fd;
    }
    close(fd);
    return -1;
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
        if (n < 0) {
            int error = errno;
            explicit_bzero(buffer, length);
            return -error;
        }
        length += (size_t)n;
    }
    return (ssize_t)length;
}

const char *file_read(const char *path, size_t most, struct file_bytes *out)
{
    const char *why;
    off_t size = 0;
    int fd = open_file(path, &size, &why);

    *out = (struct file_bytes){0};
    if (fd < 0)
        return why;
    size_t room = size > ROOM_LEAST ? (size_t)size + 1 : ROOM_LEAST;
    if (room > most)
        room = most;
    char *buffer = malloc(room + 1);
    ssize_t length = buffer != NULL ? read_up_to(fd, buffer, room) : -ENOMEM;
    close(fd);
    if (length < 0) {
        free(buffer);
        return buffer == NULL ? "out of memory" : strerror((int)-length);
    }
    buffer[length] = '\0';
    out->bytes = buffer;
    out->length = (size_t)length;
    return NULL;
}

void file_wipe(struct file_bytes *bytes)
{
    if (bytes->bytes != NULL)
        explicit_bzero(bytes->bytes, bytes->length);
    free(bytes->bytes);
    *bytes = (struct file_bytes){0};
}
