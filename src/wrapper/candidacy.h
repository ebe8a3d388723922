/*
 * What the options mean for the election and for the keepers.
 */
#ifndef LEADERWRAP_WRAPPER_CANDIDACY_H
#define LEADERWRAP_WRAPPER_CANDIDACY_H

#include "leaderwrap/election/election.h"
#include "options.h"

/* All of it but what is this process's own: the id, the seed and the key of its nonces. */
struct election_config candidacy_config(const struct options *options);

/* How long a keeper may take to acknowledge a request, in milliseconds. */
int64_t candidacy_ack_patience_ms(const struct options *options);

#endif
