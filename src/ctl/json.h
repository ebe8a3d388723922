/*
 * A lease and its terms as JSON documents: what --json prints, and the page gets.
 */
#ifndef LEADERWRAP_CTL_JSON_H
#define LEADERWRAP_CTL_JSON_H

#include <jansson.h>

#include "lease.h"

/* Both return a new reference, or NULL where there is no memory. */
json_t *ctl_json_lease(const char *key, const struct ctl_lease *lease);
json_t *ctl_json_term(const struct ctl_term *term);

/* Writes a document to standard output, in one line but for what the `flags` of json_dumpf say, and
 * a newline. Takes `value` over. Returns 0, or -1 where there was no memory or no room. */
int ctl_json_print(json_t *value, size_t flags);

#endif
