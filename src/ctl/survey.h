/*
 * All leases of what the options lead to: those of one server, or of the master that sentinels
 * name; of a cluster those of every master that owns slots. A part of them is never taken for all:
 * where one master cannot be asked, nothing is told.
 *
 * What is known of a cluster is as old as the survey. A lease whose slot has gone to another node
 * since, or is on its way, is told as a failure; after any failure the survey is of no more use.
 * One that goes over in the very moment of the search, to a master that was searched already, may
 * be missed.
 */
#ifndef LEADERWRAP_CTL_SURVEY_H
#define LEADERWRAP_CTL_SURVEY_H

#include <stddef.h>

#include "lease.h"
#include "options.h"
#include "read.h"
#include "session.h"

struct survey;

/* Finds the server, or asks the nodes of a cluster in turn for its masters. `options` are borrowed.
 * Returns 0; or an exit status, with a sentence in `error`, as all below. Free with survey_free in
 * the first case alone. */
int survey_open(struct survey **out, const struct ctl_options *options, char *error, size_t size);

/* Finds the keys of all leases. */
int survey_keys(struct survey *survey, struct read_keys *keys, char *error, size_t size);

/* Gives the session with the server that has `key`, connecting where that has not been done; it is
 * the survey's. */
int survey_session(struct survey *survey, const char *key, struct session **session, char *error,
                   size_t size);

/* Reads one lease, as read_lease; `*lease` need not be zeroed. */
int survey_lease(struct survey *survey, const char *key, size_t entries, struct ctl_lease *lease,
                 char *error, size_t size);

/* NULL is fine. */
void survey_free(struct survey *survey);

#endif
