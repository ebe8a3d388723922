/*
 * What is written to standard error meanwhile.
 */
#ifndef LEADERWRAP_TEST_CAPTURED_H
#define LEADERWRAP_TEST_CAPTURED_H

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct captured {
    int saved; /* standard error, which is a file meanwhile */
    int file;
    char text[65536];
};

static inline void capture_begin(struct captured *captured)
{
    char name[] = "/tmp/leaderwrap-test-XXXXXX";

    captured->file = mkstemp(name);
    assert_true(captured->file >= 0);
    unlink(name);
    captured->saved = dup(STDERR_FILENO);
    dup2(captured->file, STDERR_FILENO);
}

static inline const char *capture_end(struct captured *captured)
{
    dup2(captured->saved, STDERR_FILENO);
    close(captured->saved);
    ssize_t length = pread(captured->file, captured->text, sizeof captured->text - 1, 0);
    close(captured->file);
    assert_true(length >= 0);
    captured->text[length] = '\0';
    return captured->text;
}

/* How often `part` is in `text`. */
static inline int count(const char *text, const char *part)
{
    int found = 0;

    while ((text = strstr(text, part)) != NULL) {
        found++;
        text += strlen(part);
    }
    return found;
}

#endif
