/* A look at the lease page. */
#include "holding.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "leaderwrap/lease_page.h"
#include "lease.h"
#include "show.h"

#define NS_PER_MS 1000000

static void print_left(const struct ctl_options *options, bool good, int64_t left_ms)
{
    char span[24];

    if (options->json)
        printf("{\"holding\": %s, \"left_ms\": %" PRId64 "}\n", good ? "true" : "false", left_ms);
    else if (left_ms > 0)
        printf("this term is good for another %s%s\n", show_span(left_ms, span, sizeof span),
               good ? "" : ", which is less than was asked for");
    else
        puts("this term is over, or is being ended");
}

int holding_run(const struct ctl_options *options, char *error, size_t size)
{
    uint64_t token = (uint64_t)ctl_number(getenv("LEADERWRAP_TOKEN"));
    const struct leaderwrap_lease_page *page = token != 0 ? leaderwrap_lease_open() : NULL;

    if (page == NULL) {
        snprintf(error, size,
                 "there is no lease page (%s): holding is for what runs under "
                 "leaderwrap --lease-page",
                 token == 0 ? "LEADERWRAP_TOKEN is no token" : strerror(errno));
        return EXIT_USAGE;
    }
    int64_t left_ms = leaderwrap_lease_left_ns(page, token) / NS_PER_MS;
    bool good = left_ms > 0 && left_ms >= options->at_least_ms;
    print_left(options, good, left_ms);
    return good ? 0 : EXIT_NOBODY_LEADS;
}
