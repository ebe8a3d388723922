/*
 * The outcome of a term and of the whole candidacy: in words, and as an exit status. Pure.
 */
#ifndef LEADERWRAP_OUTCOME_H
#define LEADERWRAP_OUTCOME_H

#include "leaderwrap/election.h"

struct outcome {
    enum election_end end; /* why leaderwrap ends */
    int child_status;      /* exit status of the run that ended last; -1: none worth telling */
    int stop_signal;       /* what asked us to stop; 0: nothing did */
    int conflict_exit_code;
};

/* Why a term ended, for the history and for --on-lose. */
const char *outcome_reason(enum election_end end);

/* How the term before ended, as far as a grant on a record in the state `before` says. */
const char *outcome_grounds(enum lease_state before);

/* The exit status of a process whose wait status, as of waitpid(2), is `wait_status`: as the shell
 * has it. */
int outcome_of_wait(int wait_status);

/* leaderwrap's own exit status. */
int outcome_status(const struct outcome *outcome);

#endif
