/*
 * Notes of the election, for tests of those who are told them.
 */
#ifndef LEADERWRAP_TEST_NOTES_H
#define LEADERWRAP_TEST_NOTES_H

#include <string.h>

#include "leaderwrap/election/election.h"

/* All zero, but for these two. */
static inline struct election_note note_of(enum election_note_kind kind, enum election_state state)
{
    struct election_note note;

    memset(&note, 0, sizeof note);
    note.kind = kind;
    note.state = state;
    return note;
}

#endif
