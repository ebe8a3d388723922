/*
 * What others may ask of a candidate: by HTTP (--http), and in a file for the node_exporter's
 * textfile collector (--metrics-file). Runs on the candidate's own event loop: where that hangs
 * nobody is answered, which a load balancer takes for "down". Who leads is read from the lease page
 * at the moment of the question.
 */
#ifndef LEADERWRAP_WRAPPER_SERVING_H
#define LEADERWRAP_WRAPPER_SERVING_H

#include <stdbool.h>
#include <uv.h>

#include "leaderwrap/election/health.h"
#include "leaderwrap/http/http.h"
#include "metrics.h"
#include "page.h"
#include "status.h"

struct serving {
    const struct options *options; /* borrowed, as all pointers here */
    const char *id;
    const struct page *page;
    const struct status *status;
    const struct health *health;
    bool is_open;
    bool keeper_lost;
    struct metrics metrics;
    const struct http_backend *backend; /* NULL: there is no --http */
    struct http *http;
    uv_timer_t writing; /* of --metrics-file; without data: there is none */
    bool is_writing;    /* a thread is */
    int write_result;   /* of the last time: 0 or -errno */
};

/* Begins to answer, as `options` ask. The borrowed pointers are set before. Returns whether that
 * was possible; if not it has said why. serving_close is due in any case, even without
 * serving_open. */
bool serving_open(struct serving *serving, uv_loop_t *loop);

/* Writes the file for the last time, and closes everything. */
void serving_close(struct serving *serving);

/* News. The last is the exit status of the command's own process. */
void serving_note(struct serving *serving, const struct election_note *note, int64_t now_ns);
void serving_exit(struct serving *serving, int exit_status);

#endif
