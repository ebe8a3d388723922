/*
 * The outcome of a term and of the whole candidacy: in words, and as an exit status. Pure.
 */
#ifndef LEADERWRAP_WRAPPER_OUTCOME_H
#define LEADERWRAP_WRAPPER_OUTCOME_H

#include <stddef.h>

#include "leaderwrap/election/election.h"

struct outcome {
    enum election_end end; /* why leaderwrap ends */
    int child_status;      /* exit status of the run that ended last; -1: none worth telling */
    int child_signal;      /* what ended it, where that was a signal; else 0 */
    int stop_signal;       /* what asked us to stop; 0: nothing did */
    int conflict_exit_code;
};

/* Room for any text of the two functions that follow, and a NUL. */
#define OUTCOME_REASON_SIZE 32

/* Why a term ended, in one of a few fixed words: for --on-lose. */
const char *outcome_reason(enum election_end end);

/* The same for the history, which also says how the command ended where it did so by itself:
 * "exit 3", "signal 9", "failed: exit 3". Returns `buffer`. */
char *outcome_history(const struct outcome *outcome, enum election_end end, char *buffer,
                      size_t size);

/* How the term before ended, as far as a grant on a record in the state `before` says. */
const char *outcome_grounds(enum lease_state before);

/* The command's own process ended, with a wait status as of waitpid(2), while the term was ending
 * for the reason `end`, if for any. What comes of it is the status that a shell would show; but a
 * command that had to be ended although nobody asked for it has none that is worth telling. */
void outcome_note_exit(struct outcome *outcome, enum election_end end, int wait_status);

/* Its term is over. */
void outcome_note_end(struct outcome *outcome, enum election_end end);

/* leaderwrap's own exit status. */
int outcome_status(const struct outcome *outcome);

#endif
