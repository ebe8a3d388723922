/*
 * doctor: what could hurt a lease, of its server and of itself.
 */
#ifndef LEADERWRAP_CTL_DOCTOR_H
#define LEADERWRAP_CTL_DOCTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lease.h"
#include "options.h"

#define DOCTOR_MOST      24 /* findings */
#define DOCTOR_TEXT_SIZE 320

struct finding {
    bool bad; /* or else it was looked at and is well */
    char text[DOCTOR_TEXT_SIZE];
};

struct findings {
    size_t count;
    struct finding list[DOCTOR_MOST];
};

/* What is known of the server. */
struct patient {
    const char *info;              /* as INFO answers; NULL: it may not be asked */
    bool is_local;                 /* its address leads to this host alone */
    bool has_witnesses;            /* sentinels or a cluster say who is the master */
    int64_t slowest_ms;            /* of a few round trips */
    const struct ctl_lease *lease; /* NULL: none was named */
};

/* Judges it. Pure. */
void doctor_judge(const struct patient *patient, struct findings *findings);

/* Runs the command. Returns an exit status: EXIT_NOT_DONE where something is bad. */
int doctor_run(const struct ctl_options *options, char *error, size_t size);

#endif
