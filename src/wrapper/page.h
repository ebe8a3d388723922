/*
 * The writer's side of the lease page (leaderwrap/lease_page.h): a sealed piece of shared memory
 * that the elector alone writes.
 */
#ifndef LEADERWRAP_WRAPPER_PAGE_H
#define LEADERWRAP_WRAPPER_PAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "leaderwrap/election/election.h"
#include "leaderwrap/lease_page.h"

struct page {
    struct leaderwrap_lease_page *memory; /* NULL: there is none */
    int fd;                               /* read-only, close-on-exec */
    int64_t expire_after_ms;              /* from a renewal's send to the expiry */
};

/* Makes the page, which says that there is no term. Whoever has its descriptor can read it and
 * neither resize nor write it: sealed against that (F_SEAL_FUTURE_WRITE, Linux 5.1; before, the
 * descriptor and the file's mode are read-only, against mistakes, for a process of our own user
 * could undo them as it could trace us). A fork of ours does not have the memory. Returns 0 or
 * -errno. */
int page_open(struct page *page, const struct timing *timing);
void page_close(struct page *page);

/* To be called in turn before and after an action is performed. A start and an end are seen in the
 * page before the command can know of them; an extension after the keeper was told, so that nobody
 * believes in more time than that grants. Without a page nothing is done. */
void page_before(const struct page *page, const struct election_action *action);
void page_after(const struct page *page, const struct election_action *action);

/* Replaces what the page says; for one writer at a time. */
void page_write(struct leaderwrap_lease_page *memory, const struct leaderwrap_lease *lease);

#endif
