/*
 * A job of many steps that begins none for which its term may not last.
 *
 *     cc -D_GNU_SOURCE -o steps steps.c
 *     leaderwrap --lease-page -- ./steps
 *
 * Each step here takes a tenth of a second, and is begun only while there is half a second left;
 * else the job waits for a renewal. A line for each tells how much was left, in milliseconds.
 */
#include <inttypes.h>
#include <leaderwrap/lease_page.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define NS_PER_MS 1000000L

int main(void)
{
    const struct timespec step = {.tv_nsec = 100 * NS_PER_MS};
    const struct leaderwrap_lease_page *page = leaderwrap_lease_open();
    const char *token = getenv("LEADERWRAP_TOKEN");

    if (page == NULL || token == NULL) {
        fprintf(stderr, "steps: start me by leaderwrap --lease-page: %s\n", strerror(errno));
        return 1;
    }
    /* To finish what was begun: how long that may take, the page tells. */
    signal(SIGTERM, SIG_IGN);
    for (;;) {
        int64_t left_ms = leaderwrap_lease_left_ns(page, strtoull(token, NULL, 10)) / NS_PER_MS;
        printf("%s %" PRId64 "\n", left_ms > 500 ? "step" : "wait", left_ms);
        fflush(stdout);
        nanosleep(&step, NULL);
    }
}
