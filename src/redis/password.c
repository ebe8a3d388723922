/* The first line of a file; and what is odd about one. */
#include "leaderwrap/redis/password.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "leaderwrap/redis/file.h"

#define FROM_SHOWN 80 /* bytes of where it came from: a line is read by people */

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
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
    struct file_bytes file;
    const char *why = file_read(path, PASSWORD_SIZE_MAX + 2, &file);

    if (why == NULL)
        why = first_line(file.bytes, file.length);
    if (why == NULL)
        *password = file.bytes;
    else
        file_wipe(&file);
    return why;
}

const char *password_check_file(const char *path)
{
    char *password;
    const char *why = file_check_path(path);

    if (why != NULL)
        return why;
    why = load(path, &password);
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
