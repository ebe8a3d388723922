/* What an end is called, and the exit status it comes to. Switches without a default, so that the
 * compiler names the end that is missing. */
#include "outcome.h"

#include <stdio.h>
#include <sys/wait.h>

#include "options.h"

const char *outcome_reason(enum election_end end)
{
    switch (end) {
    case END_COMMAND:
        return "command ended";
    case END_STOPPED:
        return "stopped";
    case END_DEADLINE:
        return "no renewal in time";
    case END_LOST:
        return "lost";
    case END_KEEPER:
        return "keeper lost";
    case END_NOT_STARTED:
        return "not started";
    case END_RUNTIME:
        return "max runtime";
    case END_FAILED:
        return "failed";
    case END_UNHEALTHY:
        return "unhealthy";
    case END_KILLED:
        return "wrapper killed";
    case END_PAUSED:
        return "paused";
    case END_CORDONED:
        return "cordoned";
    case END_ASKED:
        return "step-down";
    case END_CONFIGURATION:
    case END_BUSY:
    case END_FOREIGN:
    case END_UNREACHABLE:
    case END_NONE:
        break; /* nothing was led */
    }
    return "none";
}

char *outcome_history(const struct outcome *outcome, enum election_end end, char *buffer,
                      size_t size)
{
    bool by_itself = (end == END_COMMAND || end == END_FAILED) && outcome->child_status >= 0;
    const char *before = end == END_FAILED ? "failed: " : "";

    if (!by_itself)
        snprintf(buffer, size, "%s", outcome_reason(end));
    else if (outcome->child_signal != 0)
        snprintf(buffer, size, "%ssignal %d", before, outcome->child_signal);
    else
        snprintf(buffer, size, "%sexit %d", before, outcome->child_status);
    return buffer;
}

const char *outcome_grounds(enum lease_state before)
{
    switch (before) {
    case LEASE_FREE:
    case LEASE_CLOSED:
        return "released";
    case LEASE_HELD:
        return "expired";
    case LEASE_VACANT:
    case LEASE_ABSENT:
        break;
    }
    return "unknown";
}

void outcome_note_exit(struct outcome *outcome, enum election_end end, int wait_status)
{
    if (end == END_UNHEALTHY)
        return;
    outcome->child_signal = WIFSIGNALED(wait_status) ? WTERMSIG(wait_status) : 0;
    outcome->child_status = outcome->child_signal != 0 ? EXIT_SIGNAL_BASE + outcome->child_signal
                                                       : WEXITSTATUS(wait_status);
}

void outcome_note_end(struct outcome *outcome, enum election_end end)
{
    if (end == END_LOST || end == END_DEADLINE || end == END_PAUSED || end == END_CORDONED ||
        end == END_ASKED)
        outcome->child_status = -1;
}

int outcome_status(const struct outcome *outcome)
{
    switch (outcome->end) {
    case END_COMMAND:
        return outcome->child_status;
    case END_STOPPED:
        return outcome->child_status >= 0 ? outcome->child_status
                                          : EXIT_SIGNAL_BASE + outcome->stop_signal;
    case END_DEADLINE:
    case END_LOST:
    case END_PAUSED:
    case END_CORDONED:
    case END_ASKED:
        return EXIT_LEASE_LOST;
    case END_RUNTIME:
        return EXIT_MAX_RUNTIME;
    case END_BUSY:
        return outcome->conflict_exit_code;
    case END_UNREACHABLE:
        return EXIT_UNREACHABLE;
    case END_KEEPER:
    case END_NOT_STARTED:
    case END_FAILED:
    case END_UNHEALTHY:
    case END_CONFIGURATION:
    case END_FOREIGN:
    case END_KILLED:
    case END_NONE:
        break;
    }
    return EXIT_OWN_FAILURE;
}
