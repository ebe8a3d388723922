/*
 * The loop that joins the parts: events of Redis, keeper, signals and time into the election, its
 * actions out again.
 */
#ifndef LEADERWRAP_WRAPPER_SUPERVISOR_H
#define LEADERWRAP_WRAPPER_SUPERVISOR_H

#include <sys/types.h>

#include "checks.h"
#include "hooks.h"
#include "leaderwrap/base/inherited.h"
#include "options.h"
#include "page.h"

struct supervisor_config {
    const struct options *options; /* borrowed, as all pointers here */
    const struct inherited *inherited;
    const char *id; /* <name>#<random> */
    uint64_t seed;  /* this and the next: as in struct election_config */
    const uint8_t *nonce_key;
    pid_t keeper;
    int keeper_fd; /* taken over */
    const struct page *page;
    struct hooks *hooks; /* forked, not open; as the next */
    struct checks *checks;
};

/* Runs the candidate to its end. Returns leaderwrap's exit status. */
int supervisor_run(const struct supervisor_config *config);

#endif
