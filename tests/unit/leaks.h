/*
 * For tests that run without /proc, or with that of another PID namespace: LeakSanitizer, which
 * looks at a process through it when that ends, is off there. Nobody calls this in other builds.
 */
#ifndef LEADERWRAP_TEST_LEAKS_H
#define LEADERWRAP_TEST_LEAKS_H

#include <stdlib.h>
#include <unistd.h>

int __lsan_is_turned_off(void); /* NOLINT(bugprone-reserved-identifier) */

int __lsan_is_turned_off(void) /* NOLINT(bugprone-reserved-identifier) */
{
    char own[32] = "";
    ssize_t length = readlink("/proc/self", own, sizeof own - 1);

    return length <= 0 || strtol(own, NULL, 10) != getpid();
}

#endif
