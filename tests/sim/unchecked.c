/* For the mutants, in place of src/election/invariants.c: what they break has to be seen in the
 * world, not by the machine that is broken. */
#include "election/internal.h"

void invariants_check(const struct election *election, const struct election_actions *actions)
{
    (void)election;
    (void)actions;
}
