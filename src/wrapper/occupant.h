/*
 * Who is in the lease's own key, for --check, which tries everything else on a scratch key: two
 * commands that only read.
 */
#ifndef LEADERWRAP_WRAPPER_OCCUPANT_H
#define LEADERWRAP_WRAPPER_OCCUPANT_H

#include <uv.h>

#include "leaderwrap/base/lease.h"
#include "options.h"

struct occupant;

/* What was found. `text` is empty where nothing bars the key; else it says what does, and what to
 * do about it. `failure`: it could not be found out, and why is the text; LEASE_FAILURE_NONE
 * otherwise. */
struct occupant_answer {
    enum lease_failure failure;
    char text[LEASE_TEXT_SIZE];
};

typedef void occupant_fn(void *context, const struct occupant_answer *answer);

/* Begins to ask. `options` are borrowed. `done` is called once, from the loop, unless occupant_free
 * comes first: it sets no time limit of its own. Returns 0 or -errno. */
int occupant_ask(struct occupant **out, uv_loop_t *loop, const struct options *options,
                 occupant_fn *done, void *context);

/* The memory goes when the loop has run the close callbacks. NULL is fine. */
void occupant_free(struct occupant *occupant);

/* Writes what a person can do about a value in the key that no leaderwrap wrote, and that bars it
 * for ever, into `buffer`. Returns that. */
char *occupant_advice(const struct options *options, char *buffer, size_t size);

#endif
