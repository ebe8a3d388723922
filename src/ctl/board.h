/*
 * What the page shows: the document of all leases and their terms, read anew in each round; and
 * what is done from it. It blocks, and is meant for a thread of its own; one at a time may use it.
 *
 * To find the leases takes a look at all keys that a server has, so that is done for 1/100 of the
 * time at most; in between those that are known are read.
 */
#ifndef LEADERWRAP_CTL_BOARD_H
#define LEADERWRAP_CTL_BOARD_H

#include <stdbool.h>

#include "control.h"
#include "options.h"

struct board;

/* What a round has made. Both texts are NULL where there was no memory; free them. */
struct board_news {
    char *document;  /* an event of a stream (text/event-stream) */
    char *substance; /* the same without what changes all the time */
    bool failed;     /* it tells why there are no leases */
};

/* Makes one that is not connected; `options` are borrowed. Returns 0 or -ENOMEM. Free with
 * board_free. */
int board_new(struct board **out, const struct ctl_options *options);

/* Reads all leases, connecting first where there was a failure, or nothing yet. */
void board_read(struct board *board, struct board_news *news);

/* Does what somebody wishes on the page. Returns an event of a stream, called "act", that tells
 * what came of it, for free(3); NULL where there was no memory. */
char *board_act(struct board *board, const struct control_wish *wish);

/* NULL is fine. */
void board_free(struct board *board);

#endif
