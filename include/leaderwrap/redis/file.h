/*
 * Small files that are read whole, again and again: passwords, certificates and keys. What was read
 * is wiped before it is freed.
 */
#ifndef LEADERWRAP_REDIS_FILE_H
#define LEADERWRAP_REDIS_FILE_H

#include <stdbool.h>
#include <stddef.h>

struct file_bytes {
    char *bytes; /* and a NUL behind them */
    size_t length;
};

/* Makes a path absolute without resolving links: the keeper leaves the working directory, and
 * whoever renews a secret may do so by moving a link. Returns it, for free(3), or NULL when out of
 * memory. */
char *file_absolute_path(const char *path);

/* What is wrong with the name of a file that is to be read again and again: it must be no
 * descriptor of this process. Returns NULL or a static phrase. */
const char *file_check_path(const char *path);

/* Whether somebody may read the file who need not: everybody, or a group although the file is our
 * own. False where it cannot be told. */
bool file_is_exposed(const char *path);

/* Reads the first `most` bytes of a regular file, which belong to the caller (file_wipe). Never
 * blocks on a pipe. Returns NULL; or what is wrong, static or as strerror(3) has it, and leaves
 * `*out` empty. */
const char *file_read(const char *path, size_t most, struct file_bytes *out);

/* Wipes and frees; then it is empty. An empty one is fine. */
void file_wipe(struct file_bytes *bytes);

#endif
